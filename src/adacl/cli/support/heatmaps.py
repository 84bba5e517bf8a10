"""Where commands write heat maps, and under which names: none replaces what is not its own."""

from __future__ import annotations

import errno
import hashlib
import itertools
import logging
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from adacl.data.lists import root_of, with_folders
from adacl.data.reading import Skipped
from adacl.errors import ConfigError, DataError
from adacl.files import atomic_file, open_regular, resolved

if TYPE_CHECKING:
    from adacl.cli.support.opened import Opened, ScoreFiles
    from adacl.model.scoring import FileScore

ENDING = ".heatmap.png"
MARK = "Image"
"""The text of a picture that has a hash of the path of its image."""

log = logging.getLogger("adacl")


def layout(roots: Sequence[Path], folder: Path) -> Callable[[Path], Path]:
    """Return a function from the path of an image to the path of its heat map.

    In ``folder``, heat maps are laid out as their images are below the common parent of ``roots``.
    """
    roots = with_folders(roots)
    bases, top = _bases(roots)

    def target(path: Path) -> Path:
        base = bases[root_of(path, roots)]
        inside = (resolved(base) / path.relative_to(base)).relative_to(top)
        return folder / inside.with_name(inside.name + ENDING)

    return target


def _bases(roots: Sequence[Path]) -> tuple[dict[Path, Path], Path]:
    """Return the folder of each root, and their common parent."""
    bases = {root: root if root.is_dir() else root.parent for root in roots}
    return bases, Path(os.path.commonpath([resolved(base) for base in bases.values()]))


def check_outside(
    folder: Path, roots: Sequence[Path], content: str = "heat maps", among: str = "images"
) -> None:
    """Refuse a folder in which heat maps would lie among the images, and be scored as such."""
    place = None
    for root in roots:
        if root.is_dir() and resolved(folder).is_relative_to(resolved(root)):
            same = resolved(folder) == resolved(root)
            place = f"is the folder of the {among}" if same else f"lies in {root}"
    bases, top = _bases(with_folders(roots))
    if resolved(folder) == top and any(resolved(base) != top for base in bases.values()):
        place = place or f"holds the folders of the {among}"
    if place:
        raise ConfigError(
            f"{folder}: {place}, where {content} would be scored as {among}; name a folder outside"
        )


def tell_beside(image: Path, target: Path) -> bool:
    """Warn of a heat map that will lie in the folder of its image, and count as an image there."""
    beside = resolved(image.parent) == resolved(target.parent)
    if beside:
        log.warning(
            "%s: lies in the folder of the images, where fit and score would take it for one; "
            "move it, or name a folder outside with -o or --heatmaps",
            target.name,
        )
    return beside


def with_heatmaps(
    scorer: Opened, folder: Path, roots: Sequence[Path], tally: Counter[str]
) -> ScoreFiles:
    """Return a function that scores files and writes the heat map of each over its image.

    The map of another image keeps its name: the new one gets a number. It counts them as
    ``heat maps`` in the tally.
    """
    from adacl.explain.heatmap import overlay

    target = layout(roots, folder)
    limit, scale = scorer.threshold_, scorer.header.map_scale

    def score_files(paths: Iterable[Path], skipped: list[Skipped]) -> Iterator[FileScore]:
        told = False
        for score, anomaly_map, shown in scorer.explain_files(paths, skipped):
            told = told or tell_beside(score.path, target(score.path))
            outline = limit if score.raw > limit else None
            picture = overlay(shown, anomaly_map, scale, outline)
            mark = mark_of(score.path)
            tally["heat maps"] += write_picture(free_name(target(score.path), mark), picture, mark)
            yield score

    return score_files


def mark_of(image: Path) -> str:
    """Return the mark by which a picture tells its image or video."""
    return hashlib.sha256(os.fsencode(resolved(image))).hexdigest()


def free_name(target: Path, mark: str, npy: bool = False, ending: str = ENDING) -> Path:
    """Return the target, with a number if it is not the picture of the image with this mark.

    The number stands before the ending. With ``npy``, the place of the picture's values must not
    hold other values either.
    """
    name = target.name.removesuffix(ending)
    for number in itertools.count(2):
        texts = _texts(target)
        ours = texts is None or texts.get(MARK) == mark
        if ours and not (npy and has_foreign_values(target)):
            break
        target = target.with_name(f"{name}-{number}{ending}")
    return target


def _texts(target: Path) -> dict[Any, Any] | None:
    """Return what a picture says of itself; None if there is none, or it cannot be opened."""
    from PIL.PngImagePlugin import PngImageFile

    try:
        with open_regular(target) as file, PngImageFile(file) as picture:  # of any size
            return dict(picture.info)
    except OSError as error:
        return None if error.errno else {}
    except (SyntaxError, ValueError):  # no PNG file, or a damaged one
        return {}


def is_ours(target: Path) -> bool:
    """Whether a picture is one that adacl wrote."""
    return MARK in (_texts(target) or {})


def values_beside(target: Path) -> Path:
    """Return where the values of a heat map are written, as a NumPy file."""
    return target.with_suffix(".npy")


def has_foreign_values(target: Path) -> bool:
    """Whether the file of values beside a picture is there, and is none that explain wrote."""
    path = values_beside(target)
    if not os.path.lexists(path):
        return False
    try:
        with path.open("rb") as file:
            np.lib.format.read_magic(file)
            shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    except (OSError, ValueError):
        return True
    is_map = len(shape) == 2 and dtype == np.float32
    return not is_map or not is_ours(target)


def write_picture(
    path: Path, pixels: NDArray[np.uint8], mark: str, content: str = "heat map"
) -> bool:
    """Write pixels as a PNG file, its folder too, unless the name would be too long."""
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            path.stat()
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            log.warning("%s: no %s is written, its name would be too long", path, content)
            return False
        raise DataError(f"{path.parent}: cannot be made ({error.strerror})") from error
    info = PngInfo()
    info.add_text(MARK, mark)
    with atomic_file(path) as file:
        Image.fromarray(pixels).save(file, "PNG", pnginfo=info)
    return True
