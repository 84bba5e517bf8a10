"""Convert arrays and pictures to the form that a model learnt, or refuse them."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
from PIL import Image

from adacl.data.arrays import channels_last, resized
from adacl.data.pixels import header_of, pixels_of
from adacl.errors import ImageError, InputError
from adacl.imaging.spec import SMALLEST_SIDE, Array, ImageSpec, in_unit_range, to_depth
from adacl.model.header import ModelHeader
from adacl.model.learnt import outside

log = logging.getLogger("adacl")

MOST = 0.5
"""Share of an image's values outside the learnt range with which it is refused."""
CHANNELS = (1, 3, 2, 4)
"""Of pictures: grey and colours, and both with alpha."""
ONLY_ARRAYS = (
    "a model that takes float32 arrays cannot score image files; fit on files or on uint8 for that"
)


def fitting(images: Array, header: ModelHeader, first: int = 0) -> Array:
    """Convert images N x H x W x C to the form that a model takes.

    They are turned from N x C x H x W if only that is possible, resized as files are, and converted
    between 8 bits, 16 bits and floats in [0, 1] from full scale to full scale. Floats that rounding
    left up to 0.001 outside [0, 1] are clipped.

    Parameters
    ----------
    images
        uint8, uint16 or float32.
    header
        The model's.
    first
        Number of the first image, for messages; with 0 another size than those learnt is told.

    Raises
    ------
    InputError
        If they cannot be what was learnt.
    """
    images = channels_last(images, header.spec.channels)
    _check_form(images, header)
    height, width = images.shape[1:3]
    remark = header.learnt.remark_on_size(height, width, header.resize is not None)
    if first == 0 and remark:
        log.warning("images: %s", remark)
    return _converted(images, header, first)


def _check_form(images: Array, header: ModelHeader) -> None:
    """Check that images N x H x W x C have the channels and the size that a model takes."""
    spec, exported_for = header.spec, header.resized_by_graph
    expected = exported_for or (spec.height, spec.width)
    least = 1 if header.any_size else SMALLEST_SIDE
    if (
        images.shape[3] != spec.channels
        or (exported_for and images.shape[1:3] != exported_for)
        or min(images.shape[1:3]) < least
    ):
        remedy = "pass N x H x W x C"
        other_mode = images.shape[3] != spec.channels and images.shape[3] in CHANNELS
        if other_mode and spec.channels in CHANNELS[:2]:
            remedy = f"convert them to {'grey' if spec.channels == 1 else 'colours without alpha'}"
        if (images.shape[2], images.shape[3]) == (spec.channels, 1):
            remedy = "pass N x H x W x C, with N = 1 for one image"
        raise InputError(
            f"images of shape {images.shape[1:]} do not go with a model that takes "
            f"{(*expected, spec.channels)}; {remedy}"
        )
    height, width = images.shape[1:3]
    header.check_layout(height, width, "images")


def _converted(images: Array, header: ModelHeader, first: int) -> Array:
    """Bring images N x H x W x C to the size and the type that a model takes."""
    if header.resize and not header.resized_by_graph:
        images = resized(images, header.resize)
    images = _scaled(images, header.spec)
    for number, image in enumerate(images, start=first):
        check_range(image, header, f"image number {number}")
    return images


def pictures_fitting(
    pictures: Sequence[Image.Image], header: ModelHeader, first: int = 0
) -> list[Array]:
    """Convert PIL images to the form that a model takes, as if they were files.

    ``first`` is the number of the first image, for messages; with 0 other colours or another size
    than those learnt are told.

    Raises
    ------
    InputError
        If they cannot be what was learnt.
    """
    spec, size = header.spec, header.resize
    if spec.channels not in CHANNELS[:2]:
        raise InputError(
            f"a model that takes {spec.channels}-channel arrays cannot score PIL images; pass "
            "arrays N x H x W x C"
        )
    remarks = (header.learnt.remark_on_file(header_of(p), size is not None) for p in pictures)
    if first == 0 and (remark := next(filter(None, remarks), "")):
        log.warning("images: %s", remark)
    converted = []
    for number, picture in enumerate(pictures, start=first):
        header.check_layout(picture.height, picture.width, f"image number {number}")
        try:
            if spec.dtype != "float32" and not header.exported:
                pixels = pixels_of(picture, spec.channels, spec.dtype, size, spec.white)
                check_range(pixels, header, f"image number {number}")
            else:
                kind = "uint16" if picture.mode.startswith("I") else "uint8"
                pixels = pixels_of(picture, spec.channels, kind)[None]
                _check_form(pixels, header)
                pixels = _converted(pixels, header, number)[0]
        except ImageError as error:
            raise InputError(f"image number {number}: {error}") from error
        converted.append(pixels)
    return converted


def check_range(image: Array, header: ModelHeader, name: str, depth: str | None = None) -> None:
    """Check that most of an image's values lie in the range that was learnt.

    What a mask hides does not count.

    Parameters
    ----------
    image
        H x W x C, as the model takes it.
    header
        The model's.
    name
        What the error calls it.
    depth
        The depth it had before it was converted, if that is known.

    Raises
    ------
    InputError
        If they do not.
    """
    spec = header.spec
    share = outside(image, spec, header.mask)
    if share <= MOST:
        return
    why = "scale the values as those learnt were"
    if spec.dtype == "uint16" and depth == "uint8":
        why = (
            "it has 8 bits, those learnt 16: save it as those were, or fit with their white level "
            "(--white-level 4095 for a camera of 12 bits)"
        )
    raise InputError(
        f"{name}: {share:.0%} of its values lie outside those learnt ({spec.low:g} to "
        f"{spec.high:g}); {why}"
    )


def check_files(spec: ImageSpec) -> None:
    """Check that a model can score image files.

    Raises
    ------
    InputError
        If it was fitted on arrays that no image file can hold.
    """
    if spec.dtype == "float32":
        raise InputError(ONLY_ARRAYS)
    if spec.channels not in (1, 3):
        raise InputError(
            f"a model that takes {spec.channels}-channel {spec.dtype} arrays cannot score image "
            "files; pass arrays"
        )


def _scaled(images: Array, spec: ImageSpec) -> Array:
    """Convert values to the type that a model takes."""
    dtype, wanted = images.dtype.name, spec.dtype
    if dtype == wanted:
        return images
    if wanted == "float32":
        whole = (spec.low, spec.high) == (0.0, 1.0)
        full = 1 if not whole else 255 if dtype == "uint8" else spec.white
        return images.astype(np.float32) / np.float32(full)
    if dtype != "float32":
        return to_depth(images, wanted, spec.white)
    low, high = float(images.min()), float(images.max())
    full = 255 if wanted == "uint8" else spec.white
    integral = bool((images == images.round()).all())
    if in_unit_range(low, high) and (not integral or high == 0):
        return (images.clip(0, 1) * full).round().astype(wanted)
    if integral and low >= 0 and 1 < high <= np.iinfo(wanted).max:
        return images.astype(wanted)
    if in_unit_range(low, high):
        raise InputError(
            f"values of 0 and 1 alone can be read in two ways by a model that takes {wanted}; pass "
            f"{wanted}, multiplied by {full} if 1 is white"
        )
    raise InputError(
        f"float values from {low:g} to {high:g} do not go with a model that takes {wanted}; pass "
        f"{wanted}, or floats in [0, 1]"
    )
