"""How well anomaly maps point at masked pixels: ``adacl evaluate --masks``."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adacl.cli.support.progress import count
from adacl.data.reading import Skipped, pass_over
from adacl.errors import DataError, ImageError, InputError

if TYPE_CHECKING:
    from adacl.deploy.image_explainer import ImageExplainer
    from adacl.model.scoring import FileScore

HALF = 0.5
"""Share of white that masks of anomalies hardly have, on average."""

log = logging.getLogger("adacl")


def localisation(
    scorer: ImageExplainer,
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
