"""TIFF files that Pillow cannot write, written here tag by tag."""

import struct
import zlib

import numpy as np
import pytest

from adacl.data.images import decode, probe, read_image
from adacl.errors import ImageError

GREY = np.add.outer(np.arange(20), 5 * np.arange(24)).astype(np.uint8)
COLOUR = np.stack([GREY, GREY[::-1], 255 - GREY], axis=2)
DEEP = GREY.astype(np.uint16) * 400
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, MASK, YCBCR = 0, 1, 2, 4, 6
PLANES = {284: (2,)}
COMPRESSED = {259: (8,)}


def tiff(arrays, photometric, order="<", samples=1, more=None):
    """Write a TIFF of one strip for each array."""
    tags = {256: (24,), 257: (20,), 258: (arrays[0].itemsize * 8,) * samples, 259: (1,)}
    tags |= {262: (photometric,), 277: (samples,), 278: (20,)} | (more or {})
    code = arrays[0].dtype.newbyteorder(order)
    strips = [array.astype(code).tobytes() for array in arrays]
    if tags[259] == (8,):
        strips = [zlib.compress(strip) + bytes(len(zlib.compress(strip)) % 2) for strip in strips]
    ends = 8 + np.cumsum([len(strip) for strip in strips])
    tags[273] = tuple(int(end) - len(s) for end, s in zip(ends, strips, strict=True))
    tags[279] = tuple(len(strip) for strip in strips)
    start = int(ends[-1])
    place = start + 6 + 12 * len(tags)
    entries, values = b"", b""
    for tag, value in sorted(tags.items()):
        packed = struct.pack(f"{order}{len(value)}I", *value)
        entries += struct.pack(f"{order}HHI", tag, 4, len(value))
        if len(value) == 1:
            entries += packed
        else:
            entries += struct.pack(f"{order}I", place + len(values))
            values += packed
    head = b"II*\0" if order == "<" else b"MM\0*"
    directory = struct.pack(f"{order}H", len(tags)) + entries + bytes(4)
    return head + struct.pack(f"{order}I", start) + b"".join(strips) + directory + values


def read(content, expected):
    channels = expected.shape[2] if expected.ndim == 3 else 1
    pixels = decode("x.tif", content, channels, expected.dtype.name).pixels
    return pixels.reshape(expected.shape)


def test_sixteen_bits_whose_zero_is_white_are_turned_round():
    for more in ({}, COMPRESSED):
        content = tiff([65535 - DEEP], WHITE_IS_ZERO, more=more)
        assert (read(content, DEEP) == DEEP).all()
        eight = read(content, GREY)
        assert (eight == (DEEP / 257).round()).all()
    for order in "<>":
        assert (read(tiff([255 - GREY], WHITE_IS_ZERO, order), GREY) == GREY).all()
        assert (read(tiff([DEEP], BLACK_IS_ZERO, order), DEEP) == DEEP).all()


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("more", [PLANES, PLANES | COMPRESSED])
def test_colour_in_separate_planes(more, order):
    planes = list(np.moveaxis(COLOUR, 2, 0))
    assert (read(tiff(planes, RGB, order, 3, more), COLOUR) == COLOUR).all()
    deep = [plane.astype(np.uint16) * 257 for plane in planes]
    content = tiff(deep, RGB, order, 3, more)
    if more == PLANES:
        with pytest.raises(ImageError, match=r"x\.tif.*colour of 16 bits in separate planes; save"):
            decode("x.tif", content, 3)
    else:
        assert (read(content, COLOUR) == COLOUR).all()


@pytest.mark.parametrize("order", ["<", ">"])
def test_signed_values(order):
    signed = {339: (2,)}
    assert (read(tiff([DEEP // 2], BLACK_IS_ZERO, order, more=signed), DEEP) == DEEP // 2).all()
    with pytest.raises(ImageError, match=r"x\.tif.*signed values of 8 bits; save it"):
        decode("x.tif", tiff([GREY], BLACK_IS_ZERO, order, more=signed), 1)
    with pytest.raises(ImageError, match=r"x\.tif.*beyond 16 bits"):
        decode("x.tif", tiff([DEEP + 30000], BLACK_IS_ZERO, order, more=signed), 1)


REFUSED = {
    "2 x 16 bits grey": ([np.dstack([DEEP, DEEP])], BLACK_IS_ZERO, 2, {338: (2,)}),
    "32 bits grey": ([DEEP.astype(np.uint32)], WHITE_IS_ZERO, 1, {}),
    "16 bits floating-point grey": ([DEEP], BLACK_IS_ZERO, 1, {339: (3,)}),
    "16 bits untyped grey": ([DEEP], BLACK_IS_ZERO, 1, {339: (4,)}),
    "3 x 8 bits signed RGB": ([COLOUR], RGB, 3, {339: (2, 2, 2)}),
    "8 bits mask": ([GREY], MASK, 1, {}),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_other_kinds_are_refused_by_name(kind, tmp_path):
    arrays, photometric, samples, more = REFUSED[kind]
    path = tmp_path / "x.tif"
    path.write_bytes(tiff(arrays, photometric, "<", samples, more))
    with pytest.raises(ImageError, match=rf"x\.tif: cannot be read \(TIFF, {kind}, which is not"):
        probe(path)


def test_files_of_more_channels_than_colour_are_for_python(tmp_path):
    path = tmp_path / "x.tif"
    path.write_bytes(tiff([np.dstack([DEEP] * 5)], BLACK_IS_ZERO, "<", 5, {338: (0,) * 4}))
    with pytest.raises(ImageError, match="5 x 16 bits grey, which is not supported; pass its pix"):
        probe(path)


def test_subsampled_colour_without_compression_is_refused():
    with pytest.raises(ImageError, match="subsampled colour without compression"):
        decode("x.tif", tiff([COLOUR], YCBCR, "<", 3, {530: (2, 2)}), 3)


def test_odd_tags_are_one_line_that_names_the_file(tmp_path, caplog, recwarn):
    path = tmp_path / "odd.tif"
    path.write_bytes(tiff([GREY], BLACK_IS_ZERO, more={296: (2, 2), 282: (72, 72)}))
    assert (read_image(path, 1)[..., 0] == GREY).all()
    (line,) = caplog.messages
    assert line.startswith(f"{path}: Metadata Warning, tag 2")
    assert not recwarn


def test_tags_behind_the_end_are_damage(tmp_path, recwarn):
    content = tiff([COLOUR], RGB, "<", 3)
    path = tmp_path / "odd.tif"
    path.write_bytes(content[:-8])
    with pytest.raises(ImageError, match=r"odd\.tif: cannot be read \(damaged TIFF\)"):
        probe(path)
    assert not recwarn
