"""Run a video protocol: one cell for each variant and seed.

A variant is named by what differs from the default, joined by ``+``: ``overlap+autoencoder`` is
the autoencoder on overlapping tiles.
"""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from adacl._version import __version__
from adacl.config import Config
from adacl.config.presets import preset
from adacl.config.sections import plain
from adacl.errors import ConfigError
from adacl.metrics import auroc, equal_error_rate
from adacl.model.model import Model
from adacl.networks.regressor import count_parameters
from adacl.protocols.video.footage import ABNORMAL, Fold, Footage, load, original_clips, read_masks
from adacl.protocols.video.rivals import RIVALS
from adacl.scale.grid import Cell
from adacl.video.alarms import Alarm
from adacl.video.config import VideoConfig
from adacl.video.fit import fit_video, levels_of
from adacl.video.frame_scores import FrameScore
from adacl.video.model import VideoModel
from adacl.video.survey import survey
from adacl.video.training_tiles import training_tiles

PAPER_KINDS = {"cut_paste": 1.0, "puzzling": 1.0, "rotation": 1.0, "mix_up": 1.0}

CHANGES: dict[str, dict[str, Any]] = {
    "default": {},
    "overlap": {"stride": 15},
    "tile-20": {"tile": 20, "stride": 20},
    "tile-40": {"tile": 40, "stride": 40},
    "overlap-40": {"tile": 40, "stride": 20},
    "single-frame": {"frames": 1},
    "lag-1": {"lag": 1},
    "lag-3": {"lag": 3},
    "speeds-3": {"speeds": [1.5, 2.0, 3.0]},
    "speeds-4": {"speeds": [1.5, 2.0, 3.0, 5.0]},
    "speed-1.5": {"speeds": [1.5]},
    "speed-3": {"speeds": [3.0]},
    "no-position": {"position": False},
    "no-levels": {"levels": "all"},
    "no-motion": {"motion_weight": 0.0},
    "motion-2": {"motion_weight": 2.0},
    "no-carry": {"carry": 0.0},
    "no-mirror": {"training__mirror": False},
    "background": {"gate": "background"},
    "no-gate": {"gate": "none"},
    "all-kinds": {"anomalies__weights": PAPER_KINDS | {"skip": 4.0}},
    "kernel-3": {"network__kernel": 3},
    "average-pool": {"network__pool": "average"},
    "epochs-6": {"training__epochs": 6},
    "epochs-20": {"training__epochs": 20},
    "tiles-32k": {"max_samples": 32_000},
}
"""What can differ from the default: settings of the video (plain) or the method (``__``)."""

Scored = dict[str, list[FrameScore]]


def variant(name: str) -> tuple[VideoConfig, Config, str]:
    """Return the settings that a variant stands for, and ``adacl`` or the name of a rival.

    Raises
    ------
    ConfigError
        If a part of the name is not known.
    """
    changes: dict[str, Any] = {}
    method = "adacl"
    for part in name.split("+"):
        if part in RIVALS:
            method = part
        elif part in CHANGES:
            changes |= CHANGES[part]
        else:
            known = ", ".join([*CHANGES, *RIVALS])
            raise ConfigError(f"variant {part!r}: known, and joined by +, are {known}")
    video = VideoConfig(**{k: v for k, v in changes.items() if "__" not in k})
    if method == "frame-difference" and video.frames == 1:
        raise ConfigError(f"variant {name!r}: a single frame has no difference to another")
    config = preset("video" if video.frames == 3 else "paper").replace(training__epochs=12)
    return video, config.replace(**{k: v for k, v in changes.items() if "__" in k}), method


def cells(
    data: str, root: Path, variants: list[str], seeds: list[int], checkpoints: Path
) -> list[Cell]:
    """Return the grid's cells."""
    for name in variants:
        variant(name)
    shared = {"data": data, "root": root, "checkpoints": checkpoints}
    return [
        (f"{data}-{name}-seed{seed}", shared | {"name": name, "seed": seed})
        for name in variants
        for seed in seeds
    ]


def run_cell(data: str, root: Path, checkpoints: Path, name: str, seed: int) -> dict[str, Any]:
    """Train on each fold and test on its test clips.

    Variants that differ in scoring alone share the checkpoints of their training.

    Returns
    -------
    dict
        AUROC over all frames and its mean over clips, EER, all of raw and smoothed scores; the
        AUROC of tiles where masks exist; the scores; and what they were measured with.
    """
    video, config, method = variant(name)
    footage = load(data, root)
    clips = [clip for fold in footage.folds for clip in {*fold.train, *fold.test}]
    unique = list({clip.name: clip for clip in clips}.values())
    subset = f"UCSD{data.split('-')[1]}" if data.startswith("ucsd") else ""
    originals = original_clips(root, subset, unique) if subset else set()
    scored: Scored = {}
    facts: list[dict[str, Any]] = []
    tiles: list[tuple[NDArray[np.float64], Mask]] = []
    for number, fold in enumerate(footage.folds):
        started = time.perf_counter()
        if method == "adacl":
            known = checkpoints / f"{data}-{_training_key(video, config)}-seed{seed}-fold{number}"
            model, found = _fit(fold, video, config, seed, known)
        else:
            model, found = _fit_rival(fold, video, config, method, seed)
        trained = time.perf_counter()
        for clip in fold.test:
            scored[clip.name] = list(model.score(clip.frames(1, video.tallest)))
            if clip.name in footage.masks:
                tiles.append(_tiles(model, scored[clip.name], footage.masks[clip.name]))
        facts.append(
            found
            | {
                "fitting_seconds": round(trained - started, 1),
                "scoring_seconds": round(time.perf_counter() - trained, 1),
                "motion": model.motion,
            }
        )
    return {
        "data": data,
        "variant": name,
        "method": method,
        "seed": seed,
        **_figures(scored, footage, tiles),
        "folds": facts,
        "original_frames": bool(originals),
        "video": plain(video),
        "config": config.to_dict() if method == "adacl" else None,
        "threads": torch.get_num_threads(),
        "versions": {"adacl": __version__, "torch": version("torch"), "numpy": version("numpy")},
        "scores": {
            clip: {
                "raw": [round(s.raw, 4) for s in scores],
                "smoothed": [round(s.smoothed, 4) for s in scores],
                "abnormal": footage.abnormal[clip].astype(int).tolist(),
            }
            for clip, scores in scored.items()
        },
    }


Mask = NDArray[np.bool_]


def _training_key(video: VideoConfig, config: Config) -> str:
    """Name what decides the training, leaving out what only scoring depends on."""
    scored_alike = replace(
        video.training, motion_weight=0.0, levels="all", carry=0.0, smoothing=0.0
    )
    settings = json.dumps([plain(scored_alike), config.to_dict()])
    return hashlib.sha256(settings.encode()).hexdigest()[:12]


def _fit(
    fold: Fold, video: VideoConfig, config: Config, seed: int, checkpoints: Path
) -> tuple[VideoModel, dict[str, Any]]:
    model = fit_video(
        fold.train, video, config, normal=fold.normal, per_hour=None, seed=seed,
        checkpoints=checkpoints,
    )  # fmt: skip
    assert isinstance(model.tiles, Model)
    history = model.tiles.header.history
    return model, {
        "parameters": count_parameters(model.tiles.network),
        "tiles": model.tiles.header.training["samples"],
        "epochs": len(history.epochs),
        "best_epoch": history.best.epoch + 1,
        "validation_auroc": history.best.validation_auroc,
        "epoch_seconds": round(sum(epoch.seconds for epoch in history.epochs), 1),
    }


def _fit_rival(
    fold: Fold, video: VideoConfig, config: Config, method: str, seed: int
) -> tuple[VideoModel, dict[str, Any]]:
    video = replace(video, motion_weight=0.0)
    footage = survey(fold.train, video.training, 0.0)
    drawn, tiles = training_tiles(footage, video.training, fold.normal, seed)
    samples = np.ascontiguousarray(np.asarray(drawn.pixels)[..., : video.frames])
    rival = RIVALS[method]()
    rival.fit(samples, seed, config.training.epochs)
    scorer: Any = _FramesOnly(rival, video.frames)
    levels = levels_of(scorer.raw, samples, tiles, footage, video.training)
    model = VideoModel(
        scorer, video, footage.height, footage.width, 1 / footage.seconds, footage.motion, levels,
        Alarm(0.5),
    )  # fmt: skip
    return model, {"parameters": rival.parameters, "tiles": len(samples)}


class _FramesOnly:
    """A rival that is given the frames of a stack, without the channel of the row."""

    def __init__(self, rival: Any, frames: int) -> None:
        self.rival, self.frames = rival, frames

    def raw(self, samples: NDArray[np.uint8]) -> NDArray[np.float64]:
        scores: NDArray[np.float64] = self.rival.raw(
            np.ascontiguousarray(samples[..., : self.frames])
        )
        return scores


def _figures(
    scored: Scored, footage: Footage, tiles: list[tuple[NDArray[np.float64], Mask]]
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for kind in ("raw", "smoothed"):
        by_clip = {
            clip: (np.array([getattr(s, kind) for s in scores]), footage.abnormal[clip])
            for clip, scores in scored.items()
        }
        for clip, (scores, abnormal) in by_clip.items():
            if len(scores) != len(abnormal):
                raise ConfigError(f"{clip}: {len(scores)} frames read, {len(abnormal)} known")
        values = np.concatenate([scores for scores, _ in by_clip.values()])
        abnormal = np.concatenate([mask for _, mask in by_clip.values()])
        found[f"auroc_{kind}"] = auroc(values[~abnormal], values[abnormal])
        found[f"eer_{kind}"] = equal_error_rate(values[~abnormal], values[abnormal])
        found[f"auroc_{kind}_mean_over_clips"] = float(
            np.mean([auroc(s[~m], s[m]) for s, m in by_clip.values() if 0 < m.sum() < len(m)])
        )
        found |= {"frames": len(values), "abnormal_frames": int(abnormal.sum())}
    if tiles:
        values, abnormal = (np.concatenate(part) for part in zip(*tiles, strict=True))
        found["auroc_tiles"] = auroc(values[~abnormal], values[abnormal])
        found |= {"tiles": len(values), "abnormal_tiles": int(abnormal.sum())}
    return found


def _tiles(
    model: VideoModel, scores: list[FrameScore], masks: Path
) -> tuple[NDArray[np.float64], Mask]:
    """Return the scores of a clip's tiles, still ones lowest, and which are abnormal."""
    side = model.config.tile
    values, abnormal = [], []
    for score, mask in zip(scores, read_masks(masks, (model.height, model.width)), strict=True):
        corners = model.config.tiling.corners(model.height, model.width)
        covered = np.array(
            [(mask[top : top + side, left : left + side] > 127).mean() for top, left in corners]
        )
        counted = (covered == 0) | (covered >= ABNORMAL)
        values.append(np.nan_to_num(score.tiles[counted], nan=-1e3))
        abnormal.append(covered[counted] >= ABNORMAL)
    return np.concatenate(values), np.concatenate(abnormal)
