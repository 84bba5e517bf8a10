"""The header of a model, and its conversion to and from plain data."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from adacl.config import Config
from adacl.errors import InputError, ModelFileError
from adacl.imaging.mask import Mask
from adacl.imaging.spec import MAX_PIXELS, ImageSpec
from adacl.imaging.tiles import Tiling
from adacl.model.exported_file import EXPORT_VERSION
from adacl.model.history import History
from adacl.model.learnt import Learnt, measure
from adacl.model.map_scale import MapScale
from adacl.model.peak_scale import PeakScale
from adacl.model.sensitivity import Sensitivity
from adacl.model.threshold import Threshold
from adacl.networks.architecture import smallest_side

FORMAT_VERSION = 1
COMMANDS = "score, evaluate, calibrate or explain"
"""What takes a model: of images under adacl, of video under adacl video."""


@dataclass(frozen=True)
class Exported:
    """The fields that the header of an exported file adds to that of its model file.

    Parameters
    ----------
    exported_by
        Version of adacl.
    licence
        Under which the model may be used.
    opset, precision
        Of the ONNX graph; ``float32`` or ``int8``.
    batch
        Images that the graph takes at once; None for any number.
    input_size
        Height and width of the images that the graph takes; None for any.
    normalisation
        Mean and standard deviation of each channel.
    """

    exported_by: str
    licence: str
    opset: int
    precision: str
    batch: int | None
    input_size: tuple[int, int] | None
    normalisation: Mapping[str, Any]

    def __post_init__(self) -> None:
        if self.input_size is not None:
            object.__setattr__(self, "input_size", checked_size(self.input_size))


@dataclass(frozen=True)
class ModelHeader:
    """Everything known of a trained model except its weights, as its file holds it.

    Parameters
    ----------
    spec, config
        Form of the network's input, and the method it was trained by.
    tiling
        How images are cut into tiles, or None.
    resize
        Height and width that image files are resized to (before cutting), or None.
    threshold, history
        How the threshold and the network came about.
    training
        Provenance: versions, seed, numbers of images.
    activation_maxima
        The largest activation of each stage, or of each hidden layer of a network with a map, see
        :mod:`adacl.training.activations`; what an 8-bit copy of the network is scaled by. Exported
        files do not hold it.
    video
        What a :class:`adacl.video.model.VideoModel` has beyond the model of its tiles.
    exported
        What was added by the export, for an exported file.
    fingerprint
        SHA-256 of the model file that it was read from, or that was exported; "" before.
    map_scale
        What the colours of heat maps mean. By default that of the threshold; another threshold
        replaces it only if it comes from normals, not if it is given by hand.
    mask
        Which part of the images is looked at, for a network with a map; by default all.
    peak_scale
        From the peak of a map to the raw regression of the image.
    """

    spec: ImageSpec
    config: Config
    tiling: Tiling | None
    resize: tuple[int, int] | None
    threshold: Threshold
    history: History
    training: dict[str, Any] = field(default_factory=dict)
    activation_maxima: tuple[float, ...] = ()
    video: Mapping[str, Any] | None = None
    exported: Exported | None = None
    fingerprint: str = ""
    map_scale: MapScale = None  # type: ignore[assignment]
    mask: Mask | None = None
    peak_scale: PeakScale = field(default_factory=PeakScale)

    def __post_init__(self) -> None:
        if self.map_scale is None:
            object.__setattr__(self, "map_scale", MapScale.of(self.threshold))

    def with_threshold(self, threshold: Threshold) -> Self:
        """Return the header with another threshold; how sensitive it is, is not known then."""
        if threshold == self.threshold:
            return self
        by_hand = threshold.method == "manual"
        scale = self.map_scale if by_hand else MapScale.of(threshold)
        training = {k: v for k, v in self.training.items() if k != "sensitivity"}
        return replace(self, threshold=threshold, map_scale=scale, training=training)

    @property
    def any_size(self) -> bool:
        """Whether images of any size are scored, rather than of the size in ``spec`` alone."""
        return self.tiling is not None or self.has_map

    @property
    def has_map(self) -> bool:
        """Whether the network has an output for every place, rather than for the image alone."""
        return self.config.network.output == "map"

    @property
    def resized_by_graph(self) -> tuple[int, int] | None:
        """Height and width of the images that an exported graph takes and resizes itself."""
        size = self.exported.input_size if self.exported else None
        return None if size == (self.spec.height, self.spec.width) else size

    @cached_property
    def learnt(self) -> Learnt:
        """What is known of the images that it was fitted on."""
        return Learnt.from_training(self.training)

    def sensitive_to(self, most: int) -> str:
        """Name the small changes under which more normal images are flagged, the worst first.

        "" if there are none, or that was not measured; ``most`` of them are named.
        """
        found = Sensitivity.from_training(self.training)
        words = found.words(most) if found else ""
        if not words or self.resize is None or self.learnt.sizes in (None, (self.resize,) * 2):
            return words
        return f"{words}, once resized to {self.resize[0]} × {self.resize[1]}"

    @property
    def light_varies(self) -> bool:
        """Whether the light may vary among normal images, so that unusual light is remarked on."""
        return not self.has_map or self.config.training.light > 0

    def remarks(self, samples: NDArray[Any], starts: Sequence[int]) -> list[tuple[str, float]]:
        """Return a remark on each image that differs from those learnt, and its mean level.

        They are S samples x H x W x C; each image's begin at one of ``starts``. With
        ``training.light`` 0 a network with a map takes the level for what tells normal from
        anomalous, and nothing is said of it.
        """
        light = self.config.training.light if self.light_varies else None
        if self.mask is not None:
            samples = self.mask.looked_at(samples)
        rows = measure(samples, self.spec)
        if len(starts) < len(rows):
            counts = np.diff(starts, append=len(rows))
            rows = np.add.reduceat(rows, starts) / counts[:, None]
        remark_on = self.learnt.remark_on_values
        return [(remark_on(row, self.spec, light), row[0]) for row in rows.tolist()]

    def check_layout(self, height: int, width: int, name: str) -> None:
        """Check that the mask, if there is one, is for images of such a size.

        Raises
        ------
        InputError
            If it is not; ``name`` is what the message calls the image.
        """
        if self.mask is not None:
            check_mask(self.mask, self.config, height, width, name, self.resize)

    def check_kind(self, path: str | Path, video: bool, taker: str | None = None) -> None:
        """Check that it is a model for video, or one for images.

        Raises
        ------
        ModelFileError
            If it is the other; ``path`` is named in the message, and ``taker``, which takes no
            model for video.
        """
        if video and self.video is None:
            raise ModelFileError(f"{path}: a model for images; use it with adacl {COMMANDS}")
        if not video and self.video is not None:
            refusal = f", which {taker} does not take" if taker else ""
            raise ModelFileError(
                f"{path}: a model for video{refusal}; use it with adacl video {COMMANDS}, or from "
                "Python with VideoAnomalyDetector"
            )

    def to_dict(self) -> dict[str, Any]:
        """Return what a model file or, if it was exported, an exported file holds.

        Nothing in it depends on the clock.
        """
        history = self.history.to_dict()
        for record in history["epochs"]:
            del record["seconds"]
        tree = {
            "config": self.config.to_dict(),
            "format_version": FORMAT_VERSION,
            "history": history,
            "map_scale": asdict(self.map_scale),
            "preset": self.config.preset,
            "resize": list(self.resize) if self.resize else None,
            "spec": asdict(self.spec),
            "threshold": self.threshold.to_dict(),
            "tiling": asdict(self.tiling) if self.tiling else None,
            "training": self.training,
        }
        if self.video is not None:
            tree["video"] = dict(self.video)
        if self.mask is not None:
            tree["mask"] = self.mask.to_text()
        if self.peak_scale != PeakScale():
            tree["peak_scale"] = asdict(self.peak_scale)
        if self.exported is None:
            return {"activation_maxima": list(self.activation_maxima), **tree}
        return {
            "export_version": EXPORT_VERSION,
            "exported_by": self.exported.exported_by,
            "fingerprint": self.fingerprint,
            **asdict(self.exported),
            **tree,
        }

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any], fingerprint: str = "") -> Self:
        """Build a header from what :meth:`to_dict` returned, today or in an earlier version.

        Parameters
        ----------
        tree
            The header of a model file or of an exported file.
        fingerprint
            Of a model file; an exported file holds its own.

        Raises
        ------
        AdaclError, KeyError, TypeError, ValueError
            If something is missing, of the wrong type or out of range.
        """
        if not isinstance(tree["training"], dict):
            raise ValueError(f"training: need a table, got {tree['training']!r}")
        maxima = tree.get("activation_maxima", [])
        if not all(isinstance(value, int | float) and 0 < value < math.inf for value in maxima):
            raise ValueError(f"activation_maxima: need numbers above 0, got {maxima}")
        Learnt.from_training(tree["training"])
        Sensitivity.from_training(tree["training"])
        exported = None
        if "export_version" in tree:
            exported = Exported(*(tree[name] for name in Exported.__dataclass_fields__))
        threshold = Threshold(**tree["threshold"])
        return cls(
            ImageSpec(**tree["spec"]),
            Config.of_model(tree["config"]),
            Tiling(**tree["tiling"]) if tree["tiling"] else None,
            None if tree["resize"] is None else checked_size(tree["resize"]),
            threshold,
            History.from_dict(tree["history"]),
            tree["training"],
            tuple(maxima),
            tree.get("video"),
            exported,
            tree["fingerprint"] if exported else fingerprint,
            MapScale(**tree["map_scale"]) if "map_scale" in tree else MapScale.of(threshold),
            Mask.from_text(tree["mask"]) if "mask" in tree else None,
            PeakScale(**tree.get("peak_scale", {})),
        )


def check_mask(
    mask: Mask,
    config: Config,
    height: int,
    width: int,
    name: str,
    resize: tuple[int, int] | None = None,
) -> None:
    """Check that a mask is for images of some size, which may be resized.

    Raises
    ------
    InputError
        If it is not; ``name`` is what the message calls the image.
    """
    mask.check(height, width, name, resize)
    height, width = resize or (height, width)
    least = smallest_side(config.network)
    if min(height, width) < least:
        raise InputError(
            f"{name}: {height}x{width} pixels; with a mask at least {least}x{least} are needed"
        )


def checked_size(size: Any) -> tuple[int, int]:
    """Return a height and width that an image may have.

    Raises
    ------
    ValueError
        If they are not two whole numbers, at least 1 and not more than images may have.
    """
    kinds = (int, np.integer)
    whole = [int(n) for n in size if isinstance(n, kinds) and not isinstance(n, bool)]
    if not (len(size) == len(whole) == 2 and min(whole) > 0 and whole[0] * whole[1] <= MAX_PIXELS):
        raise ValueError(
            f"need height and width, {MAX_PIXELS // 10**6} megapixels at most, got {size}"
        )
    return whole[0], whole[1]
