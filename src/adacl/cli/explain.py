"""``adacl explain``, and the heat maps and localisation figures of the other commands."""

from __future__ import annotations

import errno
import hashlib
import itertools
import logging
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import typer
from numpy.typing import NDArray

from adacl.cli.support import options
from adacl.cli.support.opened import check_skipped, open_scorer
from adacl.cli.support.outputs import check_folder
from adacl.cli.support.progress import count, messages
from adacl.cli.support.streams import escaped
from adacl.data.folders import list_images, without_repeats
from adacl.data.lists import is_list, root_of, with_folders
from adacl.data.reading import Skipped, pass_over
from adacl.errors import ConfigError, DataError, ImageError, InputError
from adacl.files import atomic_file, check_writable, resolved

if TYPE_CHECKING:
    from adacl.cli.support.opened import Opened, ScoreFiles
    from adacl.deploy.image_scorer import ImageScorer
    from adacl.explain.picture import Shown
    from adacl.model.scoring import FileScore

ENDING = ".heatmap.png"
HALF = 0.5
"""Share of white that masks of anomalies hardly have, on average."""
MARK = "Image"
"""The text of a picture that has a hash of the path of its image."""

log = logging.getLogger("adacl")


def explain(
    model: options.Model,
    images: Annotated[
        list[Path],
        typer.Argument(metavar="IMAGE...", help="Images, folders of images, and lists of images."),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="OUT",
            help="PNG file to write or, for several images, folder; by default "
            f"NAME{ENDING} in the current folder.",
        ),
    ] = None,
    method: Annotated[
        Literal["occlusion", "gradient"],
        typer.Option(
            help="How to make the map: cover parts of the image, or follow the gradient (PyTorch)."
        ),
    ] = "occlusion",
    npy: Annotated[
        bool,
        typer.Option("--npy", help="Also write the values, as a NumPy file beside the picture."),
    ] = False,
    threshold: options.Threshold = None,
    device: options.Device = "auto",
    backend: options.Backend = "onnxruntime",
    on_error: options.OnError = "skip",
    quiet: options.Quiet = False,
) -> None:
    """Show why an image was flagged: the image beside a heat map of what is anomalous in it.

    Yellow is above the usual, orange at the threshold, red far above; see docs/how-to/explain.md.
    """
    from adacl.explain.picture import Shown, explained

    with messages(quiet):
        scorer, in_use = open_scorer(model, device, backend, on_error, threshold)
        paths = list_images(without_repeats(images))
        targets = _targets(model, images, paths, output, npy)
        skipped: list[Skipped] = []
        maps = scorer.explain_files(paths, skipped, method)
        scale = scorer.header.map_scale
        for score, anomaly_map, image in count(maps, "maps", len(paths), quiet):
            mark, target = _mark_of(score.path), targets[score.path]
            if target != output:
                target = _free(target, mark, npy)
            written = "no map is written"
            name = escaped(score.path.name)
            shown = Shown(name, image, anomaly_map, score.raw, in_use.value)
            if _write_png(target, explained(shown, scale), mark):
                written = f"wrote {target}"
                if npy:
                    with atomic_file(_values_beside(target)) as file:
                        np.save(file, anomaly_map)
            typer.echo(escaped(f"{_verdict(score, shown)}; {written}"))
        check_skipped(skipped, len(paths), len(paths) - len(skipped))


def _targets(
    model: Path, roots: list[Path], paths: list[Path], output: Path | None, npy: bool
) -> dict[Path, Path]:
    """Return the path to write for the heat map of each image."""
    alone = len(paths) == 1 and not (roots[0].is_dir() or is_list(roots[0]))
    if output is None or output.is_dir() or not alone:
        if output is not None:
            check_folder(output, "maps")
        folder = output or Path()
        check_outside(folder, roots)
        target_of = layout(roots, folder)
        return {path: target_of(path) for path in paths}
    if output.suffix.lower() != ".png":
        raise ConfigError(f"{output}: is no folder, and a picture's name ends in .png")
    check_writable(output)
    if resolved(output) in {resolved(path) for path in (model, *paths)}:
        raise ConfigError(f"{output}: is the model or the image; name another output")
    if output.exists() and MARK not in (_texts(output) or {}):
        raise ConfigError(
            f"{output}: is there, and is no picture that adacl wrote; name another output, or "
            "remove it"
        )
    if npy and _foreign_values(output):
        raise ConfigError(
            f"{_values_beside(output)}: is there, and is no map that explain wrote beside "
            f"{output.name}; name another output, or remove it"
        )
    return {paths[0]: output}


def _mark_of(image: Path) -> str:
    return hashlib.sha256(os.fsencode(resolved(image))).hexdigest()


def _free(target: Path, mark: str, npy: bool = False) -> Path:
    """Return the target, with a number if it is not the picture of the image with this mark.

    Nor may other values be in the place of those of the picture, with ``npy``.
    """
    name = target.name.removesuffix(ENDING)
    for number in itertools.count(2):
        texts = _texts(target)
        ours = texts is None or texts.get(MARK) == mark
        if ours and not (npy and _foreign_values(target)):
            break
        target = target.with_name(f"{name}-{number}{ENDING}")
    return target


def _texts(target: Path) -> dict[Any, Any] | None:
    """Return what a picture says of itself; None if there is none."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(target) as picture:
            return dict(picture.info)
    except UnidentifiedImageError:
        return {}
    except OSError:
        return None


def _values_beside(target: Path) -> Path:
    return target.with_suffix(".npy")


def _foreign_values(target: Path) -> bool:
    """Whether the file of values beside a picture is there, and is none that explain wrote."""
    path = _values_beside(target)
    if not os.path.lexists(path):
        return False
    try:
        with path.open("rb") as file:
            np.lib.format.read_magic(file)
            shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    except (OSError, ValueError):
        return True
    is_map = len(shape) == 2 and dtype == np.float32
    return not is_map or MARK not in (_texts(target) or {})


def _verdict(score: FileScore, shown: Shown) -> str:
    """Return the label and, for an anomalous image, the place with the highest value."""
    from adacl.explain.picture import peak_of

    limit = f"(threshold {shown.threshold:.4f})"
    if not shown.anomalous:
        return f"{score.path}: {score.score:.4f} normal {limit}"
    peak, (height, width) = peak_of(shown.anomaly_map), shown.anomaly_map.shape
    place = "no place stands out"
    if peak:
        place = f"most at row {peak[0]}, column {peak[1]} of {height}x{width}"
    return f"{score.path}: {score.score:.4f} ANOMALOUS {limit}, {place}"


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


def check_outside(folder: Path, roots: Sequence[Path]) -> None:
    """Refuse a folder in which heat maps would lie among the images, and be scored as such."""
    place = None
    for root in roots:
        if root.is_dir() and resolved(folder).is_relative_to(resolved(root)):
            same = resolved(folder) == resolved(root)
            place = "is the folder of the images" if same else f"lies in {root}"
    bases, top = _bases(with_folders(roots))
    if resolved(folder) == top and any(resolved(base) != top for base in bases.values()):
        place = place or "holds the folders of the images"
    if place:
        raise ConfigError(
            f"{folder}: {place}, where heat maps would be scored as images; name a folder outside"
        )


def with_heatmaps(
    scorer: Opened, folder: Path, roots: Sequence[Path], tally: Counter[str]
) -> ScoreFiles:
    """Return a function that scores files and writes the heat map of each over its image.

    The map of another image keeps its name: the new one gets a number. It counts
    them as ``heat maps`` in the tally.
    """
    from adacl.explain.heatmap import overlay

    target = layout(roots, folder)
    limit, scale = scorer.threshold_, scorer.header.map_scale

    def score_files(paths: Iterable[Path], skipped: list[Skipped]) -> Iterator[FileScore]:
        for score, anomaly_map, shown in scorer.explain_files(paths, skipped):
            outline = limit if score.raw > limit else None
            picture = overlay(shown, anomaly_map, scale, outline)
            mark = _mark_of(score.path)
            tally["heat maps"] += _write_png(_free(target(score.path), mark), picture, mark)
            yield score

    return score_files


def _write_png(path: Path, pixels: NDArray[np.uint8], mark: str) -> bool:
    """Write pixels as a PNG file, its folder too, unless the name would be too long."""
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            path.stat()
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            log.warning("%s: no heat map is written, its name would be too long", path)
            return False
        raise DataError(f"{path.parent}: cannot be made ({error.strerror})") from error
    info = PngInfo()
    info.add_text(MARK, mark)
    with atomic_file(path) as file:
        Image.fromarray(pixels).save(file, "PNG", pnginfo=info)
    return True


def localisation(
    scorer: ImageScorer,
    normal: Sequence[FileScore],
    abnormal: Sequence[FileScore],
    masks: Mapping[Path, Path],
    quiet: bool,
) -> dict[str, Any]:
    """Measure how well anomaly maps point at the masked pixels, with bounded memory.

    Images and masks that vanish or change are left out; without a masked image there are no
    figures.
    """
    from adacl.data.masks import read_mask
    from adacl.metrics import Localisation

    images = [*((s.path, masks[s.path]) for s in abnormal), *((s.path, None) for s in normal)]
    measured, white, left_out = Localisation(), [], list[Skipped]()
    for path, mask in count(images, "anomaly maps", len(images), quiet):
        try:
            known = None if mask is None else read_mask(mask, path)
            found = scorer.anomaly_map(path)
            if known is not None and known.shape != found.shape:
                raise ImageError(f"{path}: has another size than before")
        except (DataError, InputError) as error:
            pass_over(path, error, scorer.on_error, left_out)
            continue
        measured.add(found, known)
        if known is not None and known.any():
            white.append(float(known.mean()))
    if left_out:
        log.warning("the figures of the maps leave %d of %d images out", len(left_out), len(images))
        if not measured.n_masked:
            log.warning("no masked image is left, so there are no figures of the maps")
            return {}
    if white and (share := sum(white) / len(white)) > HALF:
        log.warning(
            "the masks are white in %.0f%% of their pixels, on average; white marks the anomaly: "
            "are they inverted?", 100 * share,
        )  # fmt: skip
    return {
        "pixel_auroc": measured.pixel_auroc,
        "peaks_inside": measured.peaks_inside,
        "n_masked": measured.n_masked,
    }
