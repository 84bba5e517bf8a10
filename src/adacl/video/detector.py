"""``VideoAnomalyDetector``: learn from normal footage of a camera, find what is not normal."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Self

import numpy as np

from adacl.config import Config
from adacl.config.presets import preset
from adacl.config.sections import finite
from adacl.data.clips import list_clips
from adacl.data.video import FRAME_RATE, Clip, Frame
from adacl.detector_parameters import check_on_epoch, checked_config, checked_seed
from adacl.errors import ConfigError, missing_extra
from adacl.model.history import EpochRecord
from adacl.video.alarms import Alarm, Event, events
from adacl.video.changes import Change, OnChange, Stillness
from adacl.video.chunks import CHUNK
from adacl.video.config import VideoConfig
from adacl.video.frame_scores import FrameScore
from adacl.video.light import compared
from adacl.video.live import Dropped
from adacl.video.model import VideoModel
from adacl.video.reconnect import Connections, score_stream

SOON = 50
"""Frames after which the frame rate is compared with that of the training footage."""
OTHER_RATE = 1.2
OF_FOLDERS = ", unless the frames of this folder have another rate (--frame-rate)"

log = logging.getLogger("adacl")


class VideoAnomalyDetector:
    """Detect anomalous events after learning from normal footage of one fixed camera (4.2).

    Frames are cut into tiles; those in which something moves are scored by the regressor; the
    score of a frame is that of its worst tile, followed from frame to frame and smoothed over time.
    By default a tile is a stack of three frames, so that its motion is seen, and the anomalies to
    learn from are the same tiles, played faster.

    Parameters
    ----------
    video
        How frames become tiles and scores.
    config
        The method; by default the preset ``video``, or ``paper`` for single frames.
    false_alarms_per_hour
        The threshold is set for so many, from the last fifth of each clip, which is not trained
        on.
    frame_rate
        Of folders of frames, which do not say it.
    device
        ``auto``, ``cpu`` or ``cuda``.
    random_state
        Seed.
    checkpoints
        Folder for checkpoints; a training that was interrupted is continued from there.
    on_epoch
        Called after every epoch with the name of the training and its record.

    Attributes
    ----------
    model_ : VideoModel
        Network, gate, levels and threshold.

    Examples
    --------
    >>> detector = VideoAnomalyDetector()  # doctest: +SKIP
    >>> detector.fit(["monday.mp4", "tuesday.mp4"]).save("door.adacl")  # doctest: +SKIP
    >>> for event in detector.events("wednesday.mp4"):  # doctest: +SKIP
    ...     print(event.start, event.end, event.score)
    """

    def __init__(
        self,
        video: VideoConfig | None = None,
        config: Config | None = None,
        *,
        false_alarms_per_hour: float = 1.0,
        frame_rate: float = FRAME_RATE,
        device: str = "auto",
        random_state: int | np.random.RandomState | None = 0,
        checkpoints: str | Path | None = None,
        on_epoch: Callable[[str, EpochRecord], object] | None = None,
    ) -> None:
        self.video = video
        self.config = config
        self.false_alarms_per_hour = false_alarms_per_hour
        self.frame_rate = frame_rate
        self.device = device
        self.random_state = random_state
        self.checkpoints = checkpoints
        self.on_epoch = on_epoch

    def fit(self, sources: str | Path | Sequence[str | Path | Clip]) -> Self:
        """Learn from normal footage.

        Parameters
        ----------
        sources
            Video files, folders of frames, or folders of either; all of one camera.

        Raises
        ------
        ConfigError, MissingDataError, DataError
            If a setting is not valid, the footage cannot be used, or the folder for checkpoints not
            be made.
        ModelFileError
            If a checkpoint is damaged, or belongs to other footage or settings.
        TrainingError
            If the loss is no longer finite.
        MissingExtraError
            If PyTorch is not installed, or PyAV where a video file is to be read.
        """
        try:
            from adacl.networks.devices import resolve_device
            from adacl.video.fit import fit_video
        except ModuleNotFoundError as error:
            raise missing_extra(error) from error

        video = self.video or VideoConfig()
        if not isinstance(video, VideoConfig):
            raise ConfigError(f"video: need a VideoConfig, got {type(video).__name__}")
        config = self.config or preset("video" if video.frames == 3 else "paper")
        if checked_config(config).network.output == "map":
            raise ConfigError(
                f"config: the preset {config.preset} is for images; video needs a network of one "
                "number for each tile, as those of the presets video and paper"
            )
        finite("false alarms an hour", self.false_alarms_per_hour, above=0)
        check_on_epoch(self.on_epoch)
        seed = checked_seed(self.random_state)
        self.model_ = fit_video(
            list_clips(sources, self.frame_rate),
            video,
            config,
            per_hour=self.false_alarms_per_hour,
            seed=seed,
            device=resolve_device(self.device),
            checkpoints=Path(self.checkpoints) if self.checkpoints else None,
            on_epoch=self.on_epoch,
        )
        for line in self.notes():
            log.info(line)
        return self

    def score(
        self,
        source: str | Path | Clip,
        *,
        give_up: float | None = None,
        on_change: OnChange | None = None,
    ) -> Iterator[FrameScore]:
        """Score the frames of a clip or live stream, as they come.

        A live stream that is lost, or ends, is waited for and connected to again.

        Parameters
        ----------
        source
            Video file, folder of frames, or address of a stream.
        give_up
            Seconds without a frame after which a lost stream is an error; 0 makes its end one,
            None waits for ever.
        on_change
            Called when a live stream is lost and when it is back, when frames of it are dropped,
            every minute while that lasts and when it is over, when no pixel of the picture has
            changed for 10 seconds and when one does again, and when the light differs from that
            learnt.

        Raises
        ------
        NotFittedError
            Before ``fit`` or ``load``.
        ConfigError
            If ``give_up`` is not finite.
        MissingDataError, DataError
            If the source cannot be read, is given up, or its frames differ in size from the
            training's.
        """
        model = self._fitted()
        if give_up is not None:
            finite("give_up", give_up)
        clip = source if isinstance(source, Clip) else self.clip(source)

        def tell(change: Change) -> None:
            if on_change:
                on_change(change)

        still = Stillness(clip.name, tell)

        def watched(frames: Iterator[Frame]) -> Iterator[Frame]:
            return self._watched(frames, still)

        if clip.live:
            connections = Connections(lambda: self._read(clip), clip.name, give_up, tell)
            return score_stream(model, map(watched, connections), Dropped(clip.name, tell))
        return model.score(watched(self._read(clip)), CHUNK)

    def events(self, source: str | Path | Clip) -> Iterator[Event]:
        """Find the events of a clip or live stream; each is given when it has ended."""
        return events(self.score(source), self.alarm)

    def clip(self, source: str | Path) -> Clip:
        """Return the clip that a source is.

        Raises
        ------
        MissingDataError, ConfigError
            If it is not there, or more than one clip.
        """
        found = list_clips(source, self.frame_rate)
        if len(found) > 1:
            raise ConfigError(f"{source}: holds {len(found)} clips; give one at a time")
        return found[0]

    @property
    def alarm(self) -> Alarm:
        """Threshold and release level."""
        return self._fitted().alarm

    def set_threshold(self, threshold: float) -> Self:
        """Replace the threshold.

        Raises
        ------
        ConfigError
            If it is not finite.
        """
        model = self._fitted()
        model.alarm = model.alarm.at(threshold)
        return self

    def calibrate(
        self,
        sources: str | Path | Sequence[str | Path | Clip],
        false_alarms_per_hour: float | None = None,
    ) -> Self:
        """Set the threshold anew from normal footage that it was not fitted on.

        Parameters
        ----------
        sources
            As for :meth:`fit`.
        false_alarms_per_hour
            That are accepted; by default as many as before, or 1.

        Raises
        ------
        ConfigError, MissingDataError, DataError
            If the rate is not above 0, or the footage cannot be used.
        """
        from adacl.video.calibration import alarm_from

        def read(clip: Clip) -> Iterator[Frame]:
            return self._watched(self._read(clip), Stillness(clip.name, lambda change: None))

        model = self._fitted()
        wanted = model.alarm.per_hour or 1.0 if false_alarms_per_hour is None else (
            finite("false alarms an hour", false_alarms_per_hour, above=0)
        )  # fmt: skip
        model.alarm = alarm_from(model, list_clips(sources, self.frame_rate), wanted, read)
        return self

    def notes(self) -> list[str]:
        """Say in sentences what a user should know about how the model was trained."""
        model = self._fitted()
        facts, history = model.tiles.header.training, model.tiles.header.history
        return [
            f"{facts['parameters']:,} parameters; {facts['samples']:,} moving tiles of "
            f"{facts['frames']:,} frames; frames of {model.height}x{model.width} at "
            f"{model.frame_rate:.3g} a second",
            f"epoch {history.best_epoch + 1} of {len(history.epochs)} kept: validation AUROC "
            f"{history.best.validation_auroc:.4f} against made anomalies",
            *model.alarm.notes(),
        ]

    def save(self, path: str | Path) -> None:
        """Write the model to one file."""
        self._fitted().save(path)

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        frame_rate: float = FRAME_RATE,
        device: str = "auto",
        backend: str = "onnxruntime",
    ) -> Self:
        """Return a fitted detector from a model file, or from what was exported from one.

        Raises
        ------
        MissingDataError, ModelFileError
            If the file is not there, not sound, or a model for images.
        """
        model = VideoModel.load(path, device, backend)
        header = model.tiles.header
        detector = cls(
            model.config,
            header.config,
            false_alarms_per_hour=model.alarm.per_hour or 1.0,
            frame_rate=frame_rate,
            device=device,
            random_state=header.training.get("seed", 0),
        )
        detector.model_ = model
        return detector

    def _fitted(self) -> VideoModel:
        if not hasattr(self, "model_"):
            try:
                from adacl.detector import NotFittedError
            except ModuleNotFoundError as error:  # without scikit-learn, only load is possible
                raise missing_extra(error) from error

            raise NotFittedError(
                "this VideoAnomalyDetector is not fitted yet; call fit or load first"
            )
        return self.model_

    def _read(self, clip: Clip) -> Iterator[Frame]:
        return self._rate_checked(clip.frames(1, self._fitted().config.tallest), clip)

    def _watched(self, frames: Iterator[Frame], still: Stillness) -> Iterator[Frame]:
        frames, header = still.watch(frames), self._fitted().tiles.header
        return compared(frames, header, still.name, still.on_change)

    def _rate_checked(self, frames: Iterator[Frame], clip: Clip) -> Iterator[Frame]:
        times: list[float] = []
        for frame in frames:
            if len(times) <= SOON:
                times.append(frame.time)
            if frame.number == SOON:
                self._check_rate(times, clip)
            yield frame
        if 1 < len(times) <= SOON and not clip.live:
            self._check_rate(times, clip)

    def _check_rate(self, times: list[float], clip: Clip) -> None:
        if (step := float(np.median(np.diff(times)))) > 0:
            rate, learned = 1 / step, self._fitted().frame_rate
            if max(rate / learned, learned / rate) > OTHER_RATE:
                log.warning(
                    "%s: %.3g frames a second, the model was fitted on %.3g; motion will look "
                    "faster or slower than normal%s",
                    clip.name,
                    rate,
                    learned,
                    OF_FOLDERS if Path(clip.source).is_dir() else "",
                )
