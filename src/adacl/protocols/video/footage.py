"""The footage of the video protocols: folds of clips, and which of their frames are abnormal.

``ucsd-ped1``, ``ucsd-ped2``: learn from ``Train``, test on ``Test`` (paper, 4.2).
``ucsd-ped1-two-fold``, ``ucsd-ped2-two-fold``: learn from the normal frames of half of the test
clips and test on the other half, then the other way round; for copies without ``Train``.
``avenue``: learn from ``train``, test on ``test``, both with whatever clips are there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from adacl.data.clips import list_clips
from adacl.data.folders import list_images
from adacl.data.images import read_image
from adacl.data.video import Clip
from adacl.datasets import ucsd
from adacl.errors import ConfigError, DataError, MissingDataError

NAMES = (
    "ucsd-ped1",
    "ucsd-ped2",
    "ucsd-ped1-two-fold",
    "ucsd-ped2-two-fold",
    "avenue",
)
ABNORMAL = 0.2
"""A tile is abnormal if so much of it is masked, normal if nothing is, else not counted."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Fold:
    """Clips to learn from, which of their frames are normal, and clips to test on."""

    train: list[Clip]
    test: list[Clip]
    normal: Mapping[str, Mask] = field(default_factory=dict)


@dataclass(frozen=True)
class Footage:
    """The folds of a protocol, and the truth about its test clips.

    Parameters
    ----------
    folds
        Each test clip is in one of them.
    abnormal
        Which frames (F,) of each test clip are abnormal.
    masks
        For test clips with pixel masks, their folder.
    """

    folds: list[Fold]
    abnormal: Mapping[str, Mask]
    masks: Mapping[str, Path]


def load(name: str, root: Path) -> Footage:
    """Find the footage of a protocol below ``root``.

    Raises
    ------
    MissingDataError, DataError
        If it is not there, incomplete, or at odds with its ground truth.
    """
    if name not in NAMES:
        raise ConfigError(f"video data {name!r}: known are {', '.join(NAMES)}")
    if name == "avenue":
        return _avenue(_tree(root, ("avenue", "Avenue Dataset"), "train"))
    subset = "UCSD" + name.split("-")[1].capitalize().replace("Ped", "ped")
    return _ucsd(_tree(root, (subset, f"UCSD_Anomaly_Dataset.v1p2/{subset}"), "Test"), name)


def _tree(root: Path, folders: tuple[str, ...], part: str) -> Path:
    """Return ``root``, or the folder below it, in which ``part`` is."""
    found = [root / folder for folder in folders if (root / folder).is_dir()]
    if not found and (root / part).is_dir():
        found = [root]
    if not found:
        raise MissingDataError(
            f"{root}: has neither {folders[0]} nor {part} in it; give the folder that the archive "
            "was unpacked in"
        )
    return found[0]


def _ucsd(root: Path, name: str) -> Footage:
    test, spans = ucsd.clips(root, "Test"), ucsd.read_ground_truth(root)
    unknown = [clip.name for clip in test if clip.name not in spans]
    if unknown:
        raise DataError(f"{root / 'Test'}: the ground truth says nothing of {unknown[0]}")
    abnormal = {clip.name: ucsd.abnormal_frames(spans[clip.name], clip.count()) for clip in test}
    masks = {
        clip.name: folder for clip in test if (folder := root / "Test" / f"{clip.name}_gt").is_dir()
    }
    for clip, folder in masks.items():
        if (count := len(list_images([folder]))) != len(abnormal[clip]):
            raise DataError(f"{folder}: {count} masks for {len(abnormal[clip])} frames")
    if not name.endswith("two-fold"):
        missing = sorted(set(spans) - set(abnormal))
        if missing:
            raise MissingDataError(
                f"{root / 'Test'}: has no {missing[0]}; the standard protocol needs all "
                f"{len(spans)} clips, see --protocol two-fold"
            )
        return Footage([Fold(ucsd.clips(root, "Train"), test)], abnormal, masks)
    if len(test) < 2:
        raise MissingDataError(f"{root / 'Test'}: two folds need at least two clips")
    normal = {clip: ~mask for clip, mask in abnormal.items()}
    halves = test[: len(test) // 2], test[len(test) // 2 :]
    folds = [Fold(a, b, normal) for a, b in (halves, halves[::-1])]
    return Footage(folds, abnormal, masks)


def _avenue(root: Path) -> Footage:
    test = list_clips(root / "test")
    abnormal, masks = {}, {}
    for clip in test:
        folder = root / "test_mask" / clip.name
        if not folder.is_dir():
            raise MissingDataError(
                f"{folder}: there are no masks, and so no truth, for {clip.name}"
            )
        masks[clip.name] = folder
        abnormal[clip.name] = np.array([mask.any() for mask in read_masks(folder)])
        if len(abnormal[clip.name]) != clip.count():
            raise DataError(f"{folder}: {len(abnormal[clip.name])} masks for {clip.count()} frames")
    return Footage([Fold(list_clips(root / "train"), test)], abnormal, masks)


def read_masks(folder: Path, size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
    """Read the pixel masks F x H x W of a clip, 0 where normal."""
    return np.stack([read_image(path, 1, "uint8", size)[..., 0] for path in list_images([folder])])


def original_clips(root: Path, subset: str, clips: list[Clip]) -> set[str]:
    """Return the clips whose frames equal, bit for bit, those that UCSD published.

    Parameters
    ----------
    root
        Where they are, for messages.
    subset
        ``UCSDped1`` or ``UCSDped2``.
    clips
        All clips that are used.

    Raises
    ------
    DataError
        If some but not all do: copies of different quality must not be mixed; or if all do, but
        some of the published ones are missing, and Train is used: that is the standard protocol.
    """
    listed = files("adacl.protocols.video").joinpath("ucsd_sha256.txt").read_text(encoding="utf-8")
    known = dict(line.split()[::-1] for line in listed.splitlines())
    found = {
        clip.name
        for clip in clips
        if known.get(f"{subset}/{_part(clip)}/{clip.name}") == _digest(Path(clip.source))
    }
    standard = any(_part(clip) == "Train" for clip in clips)
    whole = {path.split("/")[2] for path in known if path.startswith(f"{subset}/")}
    if standard and found and len(found) == len(clips) and whole - found:
        raise DataError(
            f"{root}: {len(whole - found)} of {len(whole)} published clips are missing, "
            f"{min(whole - found)} among them"
        )
    if found and len(found) < len(clips):
        other = next(clip.name for clip in clips if clip.name not in found)
        raise DataError(
            f"{root}: {len(found)} of {len(clips)} clips are the originals, but {other} is not; "
            "copies of different quality must not be mixed"
        )
    return found


def _part(clip: Clip) -> str:
    return Path(clip.source).parent.name


def _digest(folder: Path) -> str:
    """Hash the frames of a clip; as in the list, names without folders."""
    if not folder.is_dir():
        return ""
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
        for path in sorted(folder.glob("[!.]*.tif"))
    ]
    return hashlib.sha256("".join(lines).encode()).hexdigest()
