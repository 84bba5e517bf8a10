"""Frames per second of reading, gating, scoring and all together, and the peak memory.

The footage is a real video, looped and scaled to each size, encoded as H.264 with PyAV.

    python -m benchmarks.speed.video_speed FOOTAGE.mp4 --minutes 10 --hours 2 --output FILE.json
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import av
import torch

from adacl import VideoAnomalyDetector, VideoConfig
from adacl.config.presets import preset
from adacl.data.video import Clip
from adacl.deploy.export import export_model
from adacl.video.chunks import CHUNK, chunks, segments
from benchmarks.common import adacl, record

SIZES = {"240x360": (240, 360), "1080p": (1080, 1920)}
VARIANTS = {"default": {}, "overlap": {"stride": 15}}
RATE = 10
"""Frames per second of the footage made here, as in UCSD."""


def looped(path: Path) -> Iterator[Any]:
    while True:
        with av.open(str(path)) as container:
            yield from container.decode(video=0)


def make(source: Path, target: Path, size: tuple[int, int], frames: int) -> None:
    with av.open(str(target), "w") as container:
        track = container.add_stream("libx264", rate=RATE, options={"preset": "ultrafast"})
        track.height, track.width, track.pix_fmt = *size, "yuv420p"
        shrinker = av.video.reformatter.VideoReformatter()
        for number, frame in enumerate(islice(looped(source), frames)):
            image = shrinker.reformat(frame, width=size[1], height=size[0], format="yuv420p")
            image.pts, image.time_base = number, Fraction(1, RATE)
            container.mux(track.encode(image))
        container.mux(track.encode())


def drain(items: Iterable[Any]) -> float:
    started = time.perf_counter()
    deque(items, maxlen=0)
    return time.perf_counter() - started


def gated(clip: Clip, video: VideoConfig) -> Iterator[Any]:
    for segment in segments(clip.frames(1, video.tallest)):
        yield from chunks(segment, video, video.reach, CHUNK)


def speeds(folder: Path, source: Path, frames: int, rounds: int) -> list[dict[str, Any]]:
    """Measure each size and variant, alternating between them in every round."""
    found: dict[tuple[str, str], dict[str, list[float]]] = {}
    facts: dict[tuple[str, str], dict[str, Any]] = {}
    detectors: dict[tuple[str, str], VideoAnomalyDetector] = {}
    for size, pixels in SIZES.items():
        make(source, folder / f"{size}.mp4", pixels, frames)
        for name, changes in VARIANTS.items():
            video = replace(VideoConfig(), **changes)
            detector = VideoAnomalyDetector(video, preset("video").replace(training__epochs=2))
            detectors[size, name] = detector.fit(folder / f"{size}.mp4")
        model, exported = folder / "m.adacl", folder / "m.onnx"
        detectors[size, "default"].save(model)
        for backend, int8 in (("onnxruntime", False), ("openvino", True)):
            export_model(model, exported, dynamic_batch=True, int8=int8)
            name = f"default, exported, {backend} {'int8' if int8 else 'float32'}"
            detectors[size, name] = VideoAnomalyDetector.load(exported, backend=backend)
    for _ in range(rounds):
        for (size, name), detector in detectors.items():
            model, clip = detector.model_, detector.clip(folder / f"{size}.mp4")
            seconds = found.setdefault((size, name), {"reading": [], "gating": [], "total": []})
            seconds["reading"].append(drain(clip.frames(1, model.config.tallest)))
            seconds["gating"].append(drain(gated(clip, model.config)) - seconds["reading"][-1])
            started = time.perf_counter()
            kept = sum(score.tiles.size - int((score.tiles != score.tiles).sum())
                       for score in detector.score(clip))  # fmt: skip
            seconds["total"].append(time.perf_counter() - started)
            facts[size, name] = {"tiles_per_frame": round(kept / frames, 1)}
    rows = []
    for (size, name), seconds in found.items():
        middle = {stage: statistics.median(values) for stage, values in seconds.items()}
        middle["scoring"] = middle["total"] - middle["reading"] - middle["gating"]
        rates = {f"{stage}_fps": round(frames / value) for stage, value in middle.items()}
        slowest = round(frames / max(seconds["total"]))
        rows.append({"size": size, "variant": name, **facts[size, name], **rates,
                     "slowest_total_fps": slowest})  # fmt: skip
    return rows


def memory(folder: Path, source: Path, minutes: float, hours: float) -> list[dict[str, Any]]:
    """Measure the peak memory of the command line on a short and a long video."""
    train, model, exported = folder / "train.mp4", folder / "m.adacl", folder / "m.onnx"
    make(source, train, SIZES["240x360"], 2000)
    adacl("video", "fit", str(train), "-o", str(model), "--set", "training.epochs=2", "-q")
    export_model(model, exported, dynamic_batch=True)
    rows = []
    for length in (minutes * 60, hours * 3600):
        video = folder / f"{length}.mp4"
        make(source, video, SIZES["240x360"], round(length * RATE))
        for file in (model, exported):
            run = adacl("video", "score", str(file), str(video), "--format", "csv", "-q")
            frames = len(run["output"].splitlines()) - 1
            facts = {"file": file.name, "minutes": length / 60, "frames": frames}
            facts["fps"] = round(frames / run["seconds"])
            rows.append(facts | {key: run[key] for key in ("seconds", "peak_mib")})
        video.unlink()
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("footage", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--frames", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--hours", type=float, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        results: dict[str, Any] = {
            "threads": torch.get_num_threads(),
            "speed": speeds(Path(name), options.footage, options.frames, options.rounds),
        }
        if options.hours:
            results["memory"] = memory(Path(name), options.footage, options.minutes, options.hours)
    record(options.output, results)
