import io
import os
import random
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from adacl.data.images import decode, probe, read_image
from adacl.errors import ImageError

FAULTS = Path(os.environ.get("ADACL_FAULTS", Path(__file__).parents[3] / "shared" / "faults"))
KINDS = [
    {},
    {"subsampling": 2},
    {"progressive": True},
    {"restart_marker_rows": 1},
    {"restart_marker_blocks": 3},
]


def picture(height=120, width=150):
    y, x = np.mgrid[:height, :width]
    noise = np.random.default_rng(0).normal(0, 10, (height, width))
    rows = [127 + 60 * np.sin(x / 9) + 50 * np.cos(y / 7) + noise, x * 255 / width, y * 2]
    pixels = np.stack(rows, axis=2).clip(0, 255).astype(np.uint8)
    pixels[height // 2 :, width // 2 :] = 0
    return Image.fromarray(pixels)


def encoded(image, **options):
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=90, **options)
    return buffer.getvalue()


def behind_header(content):
    return content.index(b"\xff\xda") + 14


@pytest.mark.parametrize("options", KINDS)
@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_sound_files_are_read_as_ever(mode, options):
    for image in (picture(), picture(16, 17), Image.new("RGB", (64, 64)), picture(8, 9)):
        content = encoded(image.convert(mode), **options)
        with Image.open(io.BytesIO(content)) as opened:
            expected = np.asarray(opened.convert("RGB"))
        filled_up = content[:-2] + bytes(50) + content[-2:]
        for sound in (content, filled_up, content + b"trailing" * 1000):
            assert (decode("a", sound, 3).pixels == expected).all()


@pytest.mark.parametrize("options", KINDS)
def test_data_that_end_early_are_damage(options):
    content = encoded(picture(), **options)
    start = behind_header(content)
    for part in (0.1, 0.5, 0.9):
        cut = content[: start + int(part * (len(content) - start))].rstrip(b"\xff")
        with pytest.raises(ImageError, match=r"a: cannot be read \(damaged image data"):
            decode("a", cut + b"\xff\xd9", 3)


@pytest.mark.parametrize("options", [{}, {"subsampling": 2}])
def test_zeros_and_noise_within_the_data_are_damage(options):
    content = encoded(picture(), **options)
    start, length = behind_header(content), len(content) // 8
    numbers = random.Random(0)
    for place in range(start, len(content) - length, length):
        noise = bytes(numbers.choices(range(255), k=length))
        for filling in (bytes(length), noise):
            damaged = content[:place] + filling + content[place + length :]
            with pytest.raises(ImageError, match="damaged image data"):
                decode("a", damaged, 3)


def test_a_missing_part_between_restart_markers_is_damage():
    content = encoded(picture(), restart_marker_rows=1)
    first, second = content.index(b"\xff\xd1"), content.index(b"\xff\xd2")
    with pytest.raises(ImageError, match="damaged image data, of which a part is missing"):
        decode("a", content[:first] + content[second:], 3)


def test_large_files_are_checked_as_well(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (1200, 1200, 3), np.uint8)
    content = encoded(Image.fromarray(noise))
    assert len(content) > 1 << 20
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    assert read_image(path, 3).shape == (1200, 1200, 3)
    path.write_bytes(content[: len(content) // 2].rstrip(b"\xff") + b"\xff\xd9")
    assert probe(path).height == 1200
    with pytest.raises(ImageError, match=r"a\.jpg: cannot be read \(damaged image data"):
        read_image(path, 3)


@pytest.mark.realdata
@pytest.mark.skipif(not FAULTS.is_dir(), reason="no files of faults beside the project")
def test_files_that_were_scored_although_damaged():
    assert read_image(FAULTS / "ok.jpg", 1).shape == (240, 320, 1)
    for name in ("damaged_middle", "zero_filled", "cut_with_eoi"):
        with pytest.raises(ImageError, match=f"{name}.jpg: cannot be read .damaged image data"):
            read_image(FAULTS / f"{name}.jpg", 1)
