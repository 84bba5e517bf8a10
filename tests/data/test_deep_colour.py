"""Colour of 16 bits is read exactly, turned, resized and laid on black like all other images."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from adacl import AnomalyDetector
from adacl.data.deep_colour import as_png
from adacl.data.images import decode, probe, read_image
from adacl.data.pixels import ImageHeader
from adacl.imaging.spec import ImageSpec

RNG = np.random.default_rng(0)
COLOUR = RNG.integers(0, 65536, (21, 17, 3)).astype(np.uint16)
ALPHA = np.dstack([COLOUR, RNG.integers(0, 65536, (21, 17)).astype(np.uint16)])
EIGHT = "has more than 8 bits for each colour, of which 8 are read"


def chunk(kind, content):
    check = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + check


def png(pixels, turned=1, upwards=False, before=b""):
    """Write a PNG whose rows are as they are, or differences to the rows above."""
    height, width, channels = pixels.shape
    rows = np.frombuffer(pixels.astype(">u2").tobytes(), np.uint8).reshape(height, -1)
    if upwards:
        rows = np.diff(rows, axis=0, prepend=np.zeros((1, rows.shape[1]), np.uint8))
    lines = b"".join(bytes([2 * upwards]) + row.tobytes() for row in rows)
    exif = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01" + struct.pack(">H", turned) + bytes(6)
    form = struct.pack(">IIBBBBB", width, height, 16, {3: 2, 4: 6}[channels], 0, 0, 0)
    parts = [(b"IHDR", form), (b"eXIf", exif), (b"IDAT", zlib.compress(lines)), (b"IEND", b"")]
    inner = [chunk(*part) for part in parts]
    return b"\x89PNG\r\n\x1a\n" + b"".join([inner[0], before, *inner[1:]])


def tiff(pixels, order="<", compressed=False, extra=None):
    """Write a TIFF of one strip, of either order of bytes."""
    height, width, channels = pixels.shape
    data = pixels.astype(f"{order}u2").tobytes()
    data = zlib.compress(data) if compressed else data
    tags = [(256, "H", [width]), (257, "H", [height]), (258, "H", [16] * channels)]
    tags += [(259, "H", [8 if compressed else 1]), (262, "H", [2]), (273, "I", [0])]
    tags += [(277, "H", [channels]), (278, "H", [height]), (279, "I", [len(data)])]
    tags += [] if extra is None else [(338, "H", [extra])]
    start = 8 + 2 + 12 * len(tags) + 4
    bits = struct.pack(f"{order}{channels}H", *[16] * channels)
    entries = b""
    for tag, kind, values in tags:
        values = [start + len(bits)] if tag == 273 else values
        value = struct.pack(f"{order}{len(values)}{kind}", *values)
        place = struct.pack(f"{order}I", start) if len(value) > 4 else value.ljust(4, b"\0")
        entries += struct.pack(f"{order}HHI", tag, {"H": 3, "I": 4}[kind], len(values)) + place
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}IH", 8, len(tags))
    return head + entries + bytes(4) + bits + data


FILES = {
    "png": (png(COLOUR), COLOUR),
    "png, rows as differences": (png(COLOUR, upwards=True), COLOUR),
    "tiff": (tiff(COLOUR), COLOUR),
    "tiff, other order": (tiff(COLOUR, ">"), COLOUR),
    "tiff, compressed": (tiff(COLOUR, compressed=True), COLOUR),
    "tiff, compressed, other order": (tiff(COLOUR, ">", compressed=True), COLOUR),
    "tiff with a further channel": (tiff(ALPHA, extra=0), COLOUR),
}


@pytest.mark.parametrize(("content", "pixels"), FILES.values(), ids=FILES)
def test_every_bit_is_read_from_files_and_from_what_was_sent(content, pixels, tmp_path, caplog):
    path = tmp_path / "deep"
    path.write_bytes(content)
    assert probe(path) == ImageHeader(21, 17, 3, "uint16")
    found = decode(path, None, 3, "uint16", colour=True)
    assert found.header == probe(path)
    assert (found.pixels == pixels).all()
    assert (found.colour == pixels).all()
    sent = decode("sent", content, 3, "uint16")
    assert (sent.pixels == pixels).all()
    assert sent.remark == ""
    assert not caplog.messages


@pytest.mark.parametrize("content", [png(ALPHA), tiff(ALPHA, extra=2)], ids=["png", "tiff"])
def test_transparency_is_laid_over_black(content):
    found = decode("sent", content, 3, "uint16").pixels
    expected = COLOUR * (ALPHA[..., 3:] / 65535)
    assert np.abs(found - expected).max() <= 0.5


def test_what_is_written_is_read_to_the_last_bit():
    assert np.array_equal(decode("written", as_png(COLOUR), 3, "uint16").pixels, COLOUR)


def test_it_becomes_grey_and_is_turned_and_resized_like_other_images():
    grey = decode("sent", png(COLOUR), 1, "uint16").pixels
    assert np.abs(grey[..., 0] - COLOUR @ [0.299, 0.587, 0.114]).max() <= 1
    turned = decode("sent", png(COLOUR, turned=6), 3, "uint16")
    assert (turned.height, turned.width) == (17, 21)
    assert (turned.pixels == np.rot90(COLOUR, -1)).all()
    smaller = decode("sent", png(COLOUR), 3, "uint16", (9, 8)).pixels
    for channel in range(3):
        plane = Image.fromarray(COLOUR[..., channel].astype(np.float32))
        expected = np.asarray(plane.resize((8, 9), Image.Resampling.BILINEAR))
        assert np.abs(smaller[..., channel] - expected).max() <= 0.51


def test_a_model_of_eight_bits_takes_eight_and_it_is_said(tmp_path, caplog):
    path = tmp_path / "deep.png"
    path.write_bytes(png(COLOUR))
    assert (read_image(path, 3) == COLOUR >> 8).all()
    assert caplog.messages == [f"{path}: {EIGHT}"]
    assert decode("sent", png(COLOUR), 3).remark == EIGHT


def test_a_colour_that_is_transparent_leaves_eight_bits_and_it_is_said(tmp_path, caplog):
    path = tmp_path / "deep.png"
    path.write_bytes(png(COLOUR, before=chunk(b"tRNS", bytes(6))))
    assert probe(path).dtype == "uint8"
    assert caplog.messages == [f"{path}: {EIGHT}"]


def test_further_pages_of_what_was_sent_are_remarked_on():
    file = io.BytesIO()
    page = Image.fromarray(np.zeros((9, 9), np.uint8))
    page.save(file, "TIFF", save_all=True, append_images=[page])
    remark = "has several pages or frames, of which only the first is read"
    assert decode("sent", file.getvalue(), 1).remark == remark


def test_a_model_learns_colour_of_sixteen_bits(tmp_path):
    for number in range(8):
        pixels = RNG.integers(30000, 30200, (16, 16, 3)).astype(np.uint16)
        (tmp_path / f"{number}.png").write_bytes(png(pixels))
    detector = AnomalyDetector("paper", epochs=1, device="cpu").fit(tmp_path)
    spec = detector.header.spec
    assert spec == ImageSpec(16, 16, 3, "uint16", spec.low, spec.high)
    assert 30000 <= spec.low < spec.high < 30200
