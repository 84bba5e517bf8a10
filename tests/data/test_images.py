import io
import math
import os
import socket
import struct
import warnings
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from adacl.data.images import decode, probe, read_image
from adacl.data.pixels import ImageHeader
from adacl.errors import ImageError
from support.helpers import without_rights

LOSSLESS = ["png", "bmp", "dib", "tif", "tiff", "webp", "gif", "ppm", "pgm", "pnm", "jp2", "j2k"]
FORMATS = [*LOSSLESS, "jpg", "jpeg", "jpe", "jfif"]
GREY = np.add.outer(np.arange(20), 5 * np.arange(24)).astype(np.uint8)
COLOUR = np.stack([GREY, GREY[::-1], 255 - GREY], axis=2)
DEEP = GREY.astype(np.uint16) * 400
ORIENTATION = 0x0112

ORIENTED = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
    8: lambda a: np.rot90(a, 1),
}


def save(image, path, **options):
    if path.suffix == ".webp":
        options |= {"lossless": True, "exact": True}
    elif path.suffix in {".jpg", ".jpeg", ".jpe", ".jfif"}:
        options |= {"quality": 98, "subsampling": 0}
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    image.save(path, **options)
    return path


def chunk(kind, content):
    check = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + check


def difference(image, expected):
    assert image.shape == expected.shape
    return np.abs(image.astype(int) - expected.astype(int)).max()


def agrees_with_probe(path):
    header = probe(path)
    image = read_image(path, header.channels, header.dtype)
    assert image.shape == (header.height, header.width, header.channels)
    assert image.dtype == header.dtype
    return image


@pytest.mark.parametrize("suffix", FORMATS)
def test_formats(suffix, tmp_path):
    image = Image.fromarray(COLOUR)
    exact = image if suffix != "gif" else image.quantize(256)
    colour = save(exact, tmp_path / f"colour.{suffix}")
    grey = save(GREY, tmp_path / f"grey.{suffix}")
    tolerance = 0 if suffix in LOSSLESS else 6
    assert probe(colour) == ImageHeader(20, 24, 3, "uint8")
    assert difference(agrees_with_probe(colour), np.asarray(exact.convert("RGB"))) <= tolerance
    assert difference(read_image(grey, 1), GREY[..., None]) <= tolerance
    assert difference(read_image(grey, 3), np.stack([GREY] * 3, 2)) <= tolerance
    luminance = np.asarray(exact.convert("RGB").convert("L"))[..., None]
    assert difference(read_image(colour, 1), luminance) <= tolerance


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp"])
def test_one_bit(suffix, tmp_path):
    path = save(Image.fromarray(GREY > 60), tmp_path / f"bits.{suffix}")
    assert probe(path).channels in (1, 3)
    assert difference(read_image(path, 1), (GREY > 60)[..., None] * 255) == 0


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "I;16"])
@pytest.mark.parametrize("size", [None, (9, 12)])
def test_the_colours_beside_the_pixels_are_those_of_the_image_by_itself(mode, size, tmp_path):
    image = Image.fromarray(DEEP if mode == "I;16" else COLOUR).convert(mode)
    path = save(image, tmp_path / "image.png")
    for dtype in ("uint8", "uint16"):
        found = decode(path, None, 1, dtype, size, colour=True)
        assert (found.height, found.width) == (20, 24)
        assert (found.pixels == read_image(path, 1, dtype, size)).all()
        assert found.colour.dtype == found.pixels.dtype
        assert (found.colour == read_image(path, 3, dtype)).all()


def test_palette(tmp_path):
    image = Image.fromarray(GREY % 4, "P")
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255, 10, 20, 30])
    colours = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [10, 20, 30]])
    for suffix in ("png", "bmp", "tif"):
        path = save(image, tmp_path / f"palette.{suffix}")
        assert difference(agrees_with_probe(path), colours[GREY % 4]) == 0
    path = save(image, tmp_path / "transparent.png", transparency=1)
    colours[1] = 0
    assert difference(agrees_with_probe(path), colours[GREY % 4]) == 0


def test_transparent_colour_of_a_grey_image(tmp_path):
    path = save(Image.fromarray(GREY), tmp_path / "grey.png", transparency=50)
    assert difference(read_image(path, 1), np.where(GREY == 50, 0, GREY)[..., None]) <= 1


@pytest.mark.parametrize("suffix", ["png", "tif", "webp"])
def test_transparency_is_laid_over_black(suffix, tmp_path):
    alpha = np.full_like(GREY, 255)
    alpha[:10], alpha[10:12] = 0, 128
    path = save(np.dstack([COLOUR, alpha]), tmp_path / f"image.{suffix}")
    assert difference(agrees_with_probe(path), COLOUR * (alpha / 255)[..., None]) <= 1


def test_grey_with_transparency(tmp_path):
    alpha = np.where(GREY > 50, 255, 0).astype(np.uint8)
    image = Image.merge("LA", [Image.fromarray(GREY), Image.fromarray(alpha)])
    for suffix in ("png", "tif"):
        path = save(image, tmp_path / f"image.{suffix}")
        assert probe(path) == ImageHeader(20, 24, 1, "uint8")
        assert difference(agrees_with_probe(path), np.where(GREY > 50, GREY, 0)[..., None]) <= 1


@pytest.mark.parametrize("suffix", ["jpg", "tif"])
def test_print_colours(suffix, tmp_path):
    image = Image.fromarray(COLOUR).convert("CMYK")
    path = save(image, tmp_path / f"image.{suffix}")
    assert difference(agrees_with_probe(path), COLOUR) <= 6


@pytest.mark.parametrize("suffix", ["png", "tif", "pgm", "jp2"])
def test_sixteen_bits(suffix, tmp_path):
    path = save(DEEP, tmp_path / f"deep.{suffix}")
    assert probe(path) == ImageHeader(20, 24, 1, "uint16")
    assert difference(agrees_with_probe(path), DEEP[..., None]) == 0
    assert difference(read_image(path, 3, "uint16"), np.stack([DEEP] * 3, 2)) == 0
    assert difference(read_image(path, 1), (DEEP / 257).round()[..., None]) == 0


def test_sixteen_bits_of_the_other_byte_order(tmp_path):
    image = Image.frombytes("I;16B", (24, 20), DEEP.astype(">u2").tobytes())
    path = save(image, tmp_path / "deep.tif")
    assert difference(agrees_with_probe(path), DEEP[..., None]) == 0


def odd_png(path):
    """Save a PNG that says it is animated, by a chunk that is damaged."""
    content = save(GREY, path).read_bytes()
    path.write_bytes(content[:33] + chunk(b"acTL", struct.pack(">II", 0, 0)) + content[33:])


def test_remarks_of_the_decoder_become_one_line_that_names_the_file(tmp_path, caplog, recwarn):
    paths = [tmp_path / f"{number}.png" for number in range(2)]
    for path in paths:
        odd_png(path)
        assert difference(agrees_with_probe(path), GREY[..., None]) == 0
        assert decode("sent", path.read_bytes(), 1).height == 20
    remark = "Invalid APNG, will use default PNG image if possible"
    assert caplog.messages == [f"{path}: {remark}" for path in paths]
    assert not recwarn


def test_the_warnings_of_others_are_shown_as_ever(tmp_path):
    probe(save(GREY, tmp_path / "image.png"))
    with pytest.warns(UserWarning, match="by others"):
        warnings.warn("by others", stacklevel=1)


def test_eight_bits_read_as_sixteen_fill_the_scale(tmp_path):
    path = save(COLOUR, tmp_path / "image.png")
    image = read_image(path, 3, "uint16")
    assert image.dtype == np.uint16
    assert difference(image, COLOUR.astype(int) * 257) == 0


def test_thirty_two_bits_are_read_where_they_fit(tmp_path):
    fits = save(DEEP.astype(np.int32), tmp_path / "fits.tif")
    assert difference(agrees_with_probe(fits), DEEP[..., None]) == 0
    for name, shift in (("large", 65536), ("negative", -1000)):
        path = save(DEEP.astype(np.int32) + shift, tmp_path / f"{name}.tif")
        with pytest.raises(ImageError, match=rf"{name}\.tif.*16"):
            read_image(path, 1, "uint16")


def test_floating_point_is_refused(tmp_path):
    path = save(GREY.astype(np.float32), tmp_path / "float.tif")
    for read in (probe, lambda p: read_image(p, 1)):
        with pytest.raises(ImageError, match=r"float\.tif.*floating"):
            read(path)


@pytest.mark.parametrize("orientation", ORIENTED)
@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif"])
def test_orientation(suffix, orientation, tmp_path):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    path = save(COLOUR, tmp_path / f"image.{suffix}", exif=exif)
    tolerance = 0 if suffix in LOSSLESS else 6
    assert difference(agrees_with_probe(path), ORIENTED[orientation](COLOUR)) <= tolerance


def test_a_png_file_may_say_how_it_is_turned_behind_its_pixels(tmp_path):
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    path = save(COLOUR, tmp_path / "turned.png", exif=exif)
    content = path.read_bytes()
    start = content.index(b"eXIf") - 4
    end = start + 12 + int.from_bytes(content[start : start + 4])
    path.write_bytes(content[:start] + content[end:-12] + content[start:end] + content[-12:])
    assert difference(agrees_with_probe(path), ORIENTED[6](COLOUR)) == 0


@pytest.mark.parametrize("image", [GREY, DEEP], ids=["8 bits", "16 bits"])
@pytest.mark.parametrize("orientation", [3, 6])
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_orientation_of_grey_images(suffix, orientation, image, tmp_path):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    path = save(image, tmp_path / f"image.{suffix}", exif=exif)
    assert difference(agrees_with_probe(path), ORIENTED[orientation](image)[..., None]) == 0


def test_the_first_of_several_pages_is_taken(tmp_path, caplog):
    path = tmp_path / "pages.tif"
    pages = [Image.fromarray(GREY), Image.fromarray(COLOUR)]
    pages[0].save(path, save_all=True, append_images=pages[1:])
    assert difference(agrees_with_probe(path), GREY[..., None]) == 0
    line = f"{path}: has several pages or frames, of which only the first is read"
    assert caplog.messages == [line]


@pytest.mark.parametrize("image", [GREY, COLOUR, DEEP], ids=["grey", "colour", "deep"])
def test_resize(image, tmp_path):
    path = save(image, tmp_path / "image.png")
    channels, dtype = (3 if image.ndim == 3 else 1), image.dtype.name
    whole = read_image(path, channels, dtype)
    assert (read_image(path, channels, dtype, (20, 24)) == whole).all()
    small = read_image(path, channels, dtype, (10, 8))
    assert small.shape == (10, 8, channels)
    means = whole.reshape(10, 2, 8, 3, channels).mean((1, 3))
    assert difference(small[1:-1, 1:-1], means[1:-1, 1:-1]) <= 0.02 * np.ptp(image) + 1
    assert read_image(path, channels, dtype, (33, 50)).shape == (33, 50, channels)


def test_small_sizes_do_not_alias(tmp_path):
    stripes = np.tile(np.array([0, 255], np.uint8), (64, 32))
    image = read_image(save(stripes, tmp_path / "stripes.png"), 1, size=(8, 8))
    assert np.abs(image[:, 1:-1].astype(int) - 127).max() <= 8


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("suffix", FORMATS)
def test_truncated_files_are_refused_by_name(suffix, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    content = save(noise, tmp_path / f"whole.{suffix}").read_bytes()
    path = tmp_path / f"short.{suffix}"
    for length in (0, 1, 10, len(content) // 2):
        path.write_bytes(content[:length])
        with pytest.raises(ImageError, match=path.name):
            read_image(path, 3)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "webp", "jpg"])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_files_raise_nothing_else(suffix, data, tmp_path):
    path = tmp_path / f"image.{suffix}"
    content = bytearray(save(COLOUR, path).read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1) | st.integers(0, 100))
        content[place % len(content)] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        probe(path)
        image = read_image(path, 3, size=(8, 8))
    except ImageError as error:
        assert path.name in str(error)  # noqa: PT017
    else:
        assert image.shape == (8, 8, 3)


def test_files_that_are_no_images_are_refused_by_name(tmp_path):
    path = tmp_path / "notes.png"
    path.write_text("not an image")
    with pytest.raises(ImageError, match=r"notes\.png.*not an image"):
        read_image(path, 3)
    starts = {
        b"": "empty file",
        b"\x1f\x8b\x08": "compressed by gzip",
        b"\x89PNG\r\n": "damaged PNG",
        b"\xff\xd8\xff": "damaged JPEG",
        b"II*\0\x08": "damaged TIFF",
        b"\x93NUMPY\x01": "a NumPy array; load it and pass it from Python",
    }
    for start, kind in starts.items():
        path.write_bytes(start)
        with pytest.raises(ImageError, match=rf"notes\.png.*{kind}"):
            probe(path)
    with pytest.raises(ImageError, match=r"missing\.png"):
        read_image(tmp_path / "missing.png", 3)
    with pytest.raises(ImageError, match=tmp_path.name):
        read_image(tmp_path, 3)


def test_the_reason_is_what_the_system_says(tmp_path):
    path = tmp_path / "self.png"
    path.symlink_to("self.png")
    with pytest.raises(ImageError, match=r"self\.png.*\(Too many levels of symbolic links\)"):
        probe(path)
    path = tmp_path / "closed.png"
    save(GREY, path).chmod(0)
    with without_rights(), pytest.raises(ImageError, match=r"closed\.png.*\(Permission denied\)"):
        probe(path)


def test_only_files_are_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket.png"))
    (tmp_path / "device.png").symlink_to("/dev/zero")
    for kind in ("pipe", "socket", "device"):
        for read in (probe, lambda p: read_image(p, 1)):
            with pytest.raises(ImageError, match=rf"{kind}\.png.*a {kind}, not a file"):
                read(tmp_path / f"{kind}.png")


def test_other_formats_are_refused_whatever_their_name(tmp_path):
    path = tmp_path / "image.png"
    Image.fromarray(GREY).save(path, format="TGA")
    with pytest.raises(ImageError, match=r"image\.png"):
        probe(path)


@pytest.mark.parametrize("kind", ["GIF", "PPM", "JPEG2000"])
def test_what_is_sent_has_a_format_that_is_safe_to_decode(kind):
    buffer = io.BytesIO()
    Image.fromarray(GREY).save(buffer, format=kind)
    with pytest.raises(ImageError, match="sent: cannot be read"):
        decode("sent", buffer.getvalue(), 1)


def test_a_png_with_a_wrong_checksum_is_damaged(tmp_path):
    content = save(GREY, tmp_path / "a.png").read_bytes()
    start = content.index(b"IDAT") + 4
    end = start + int.from_bytes(content[start - 8 : start - 4])
    other = zlib.compress(np.pad(GREY + 1, ((0, 0), (1, 0))).tobytes(), 0)
    for data, check in ((content[start:end], bytes(4)), (other, content[end : end + 4])):
        length = struct.pack(">I", len(data))
        damaged = content[: start - 8] + length + b"IDAT" + data + check + content[end + 4 :]
        (tmp_path / "a.png").write_bytes(damaged)
        with pytest.raises(ImageError, match=r"a\.png.*whose checksum is wrong"):
            read_image(tmp_path / "a.png", 1)


@pytest.mark.parametrize("suffix", ["ppm", "jp2"])
def test_deep_colour_of_other_formats_is_read_as_eight_bits_and_it_is_said(
    suffix, tmp_path, caplog
):
    path = tmp_path / f"deep.{suffix}"
    if suffix == "ppm":
        pixels = (COLOUR * np.uint16(257)).astype(">u2").tobytes()
        path.write_bytes(b"P6 24 20 65535\n" + pixels)
        assert difference(agrees_with_probe(path), COLOUR) == 0
    else:
        content = bytearray(save(COLOUR, path).read_bytes())
        place = content.index(b"\xff\x4f\xff\x51") + 42
        content[place : place + 9 : 3] = b"\x0f" * 3
        path.write_bytes(content)
        probe(path)
    assert "has more than 8 bits for each colour" in caplog.text


def write_bomb(path, side):
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    row = zlib.compress(bytes(side + 1))
    content = chunk(b"IHDR", header) + chunk(b"IDAT", row) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + content)
    return path


def test_large_images_are_no_matter_for_a_remark(tmp_path, caplog):
    assert probe(write_bomb(tmp_path / "large.png", 10_000)).height == 10_000
    assert not caplog.records


@pytest.mark.parametrize("side", [12_000, 50_000])
def test_decompression_bombs_are_refused(side, tmp_path):
    path = write_bomb(tmp_path / "bomb.png", side)
    for read in (probe, lambda p: read_image(p, 1)):
        with pytest.raises(ImageError, match=r"bomb\.png.*megapixels"):
            read(path)


@pytest.mark.parametrize("between", [b"", b"\xff\x01", b"\xff"])
def test_jpegs_of_many_scans_are_refused(between, tmp_path):
    buffer = io.BytesIO()
    Image.new("L", (64, 64)).save(buffer, "JPEG", progressive=True)
    image = buffer.getvalue()[:-2]
    scan = between + image[image.rindex(b"\xff\xda") :]
    assert decode("a", image + scan * 50 + b"\xff\xd9", 1).pixels.shape == (64, 64, 1)
    with pytest.raises(ImageError, match=r"a: cannot be read \(a JPEG of more than 100 scans"):
        decode("a", image + scan * 150 + b"\xff\xd9", 1)
    (tmp_path / "a.jpg").write_bytes(image + scan * 150 + b"\xff\xd9")
    with pytest.raises(ImageError, match=r"a\.jpg: cannot be read \(a JPEG of more than 100"):
        read_image(tmp_path / "a.jpg", 1)
    behind = image + b"\xff\xd9" + scan * 150  # such as the film that phones append
    assert decode("a", behind, 1).pixels.shape == (64, 64, 1)


@pytest.mark.parametrize("sides", [(1 << 24, 1), (4, 2)])
def test_large_bitmaps_of_runs_are_refused(sides, tmp_path):
    """A few bytes that end a line fill it, pixel by pixel, in Python."""
    pixels, palette = b"\x01\x05\0\0" * 2 + b"\0\1", bytes(1024)
    head = struct.pack("<IiiHHIIiiII", 40, *sides, 1, 8, 1, len(pixels), 1, 1, 256, 0)
    start = 14 + len(head) + len(palette)
    begin = b"BM" + struct.pack("<IHHI", start + len(pixels), 0, 0, start)
    path = tmp_path / "runs.bmp"
    path.write_bytes(begin + head + palette + pixels)
    if math.prod(sides) > 1 << 23:
        with pytest.raises(ImageError, match=r"runs\.bmp: a BMP of more than 8 megapixels that"):
            read_image(path, 1)
    else:
        assert read_image(path, 1).shape == (*sides[::-1], 1)
