"""The pictures of a report, as data URLs: thumbnails, and previews with heat maps."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from adacl.data.images import read_image
from adacl.data.reading import stream
from adacl.errors import ImageError
from adacl.explain.heatmap import overlay
from adacl.imaging.spec import ImageSpec
from adacl.model.header import ModelHeader

THUMBNAIL = 96
PREVIEW = 480
SMALL = 128
"""Images up to this size are kept as they are, and shown with visible pixels."""
QUALITY = 82

Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class Preview:
    """A larger copy of an image, and the same under its heat map, if there is one."""

    plain: str
    heat: str | None


def thumbnails(paths: Sequence[Path], spec: ImageSpec) -> list[str | None]:
    """Return a small copy of each image; None for files that can no longer be read."""
    by_path = dict(stream(dict.fromkeys(paths), partial(_thumbnail, spec=spec), "skip"))
    return [by_path.get(path) for path in paths]


def _thumbnail(path: Path, spec: ImageSpec) -> str:
    picture = _shrunk(path, spec, THUMBNAIL)
    return min(url(picture, "PNG"), url(picture, "JPEG"), key=len)


def preview(
    path: Path,
    header: ModelHeader,
    anomaly_map: Callable[[Path], NDArray[np.float32]] | None,
    threshold: float | None,
) -> Preview | None:
    """Return a larger copy of an image with its heat map; None if it can no longer be read.

    What is above the threshold is outlined, where there is one.
    """
    try:
        picture = _shrunk(path, header.spec, PREVIEW)
        values = anomaly_map(path) if anomaly_map else None
    except ImageError:
        return None
    longest = max(picture.shape)
    plain = url(picture, "PNG" if longest <= SMALL else "JPEG")
    if values is None:
        return Preview(plain, None)
    times = -(-2 * SMALL // longest) if longest <= SMALL else 1
    base = picture.repeat(times, axis=0).repeat(times, axis=1)
    return Preview(plain, url(overlay(base, values, header.map_scale, threshold), "JPEG"))


def url(picture: Picture, form: str) -> str:
    """Return a picture H x W x 3 as a data URL in PNG or JPEG format."""
    grey = (picture == picture[..., :1]).all()
    image = Image.fromarray(np.ascontiguousarray(picture[..., 0] if grey else picture))
    file = io.BytesIO()
    if form == "PNG":
        image.save(file, form, optimize=True)
    else:
        image.save(file, form, quality=QUALITY)
    return f"data:image/{form.lower()};base64," + base64.b64encode(file.getvalue()).decode()


def _shrunk(path: Path, spec: ImageSpec, side: int) -> Picture:
    image = Image.fromarray(spec.visible(read_image(path, 3, spec.dtype, white=spec.white)))
    image.thumbnail((side, side))
    return np.asarray(image)
