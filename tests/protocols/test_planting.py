"""Planted defects have the size and contrast that they are said to have, and are told in words."""

import io
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from adacl.data.deep_colour import as_png
from adacl.imaging.spec import ImageSpec
from adacl.protocols.inspection.planting import cover, local_variation, plant
from adacl.protocols.inspection.smallest import Found, find_smallest, sentence, table
from support.textures import textures


@pytest.mark.parametrize(("kind", "size"), [("spot", 2), ("spot", 8), ("spot", 32),
                                            ("scratch", 1), ("scratch", 3)])  # fmt: skip
def test_a_defect_has_its_size(kind, size):
    for seed in range(10):
        box, covered = cover(np.random.default_rng(seed), (200, 300), kind, size)
        whole = np.zeros((200, 300))
        whole[box] = covered
        if kind == "spot":
            assert whole.sum() == pytest.approx(np.pi * size**2 / 4, rel=0.15)
        else:
            assert 28 * size <= whole.sum() + 0.1 * size <= 45 * size + size**2
        rows, columns = np.nonzero(whole > 0.5)
        assert max(np.ptp(rows), np.ptp(columns)) < (size + 1 if kind == "spot" else 45 + size)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(("level", "sign"), [(0.5, 1), (0.5, -1), (0.05, -1), (0.95, 1)])
def test_a_defect_has_its_contrast_and_changes_nothing_else(dtype, level, sign):
    most = np.iinfo(dtype).max
    image = np.full((40, 50, 3), round(level * most), dtype)
    box, covered = cover(np.random.default_rng(1), (40, 50), "spot", 8)
    changed = plant(image, box, covered, sign * 0.2 * most, (0, most))
    difference = (changed.astype(float) - image)[box] / most
    assert np.allclose(np.abs(difference), 0.2 * covered[..., None], atol=0.003)
    changed[box] = image[box]
    assert np.array_equal(changed, image)
    assert changed.dtype == dtype


def test_variation_is_measured_within_squares():
    steps = np.repeat(np.arange(0, 250, 10, np.uint8), 8)[None, :, None] * np.ones((64, 1, 1))
    assert local_variation(steps) == 0
    noise = np.random.default_rng(0).normal(100, 7, (64, 80, 1))
    assert local_variation(noise) == pytest.approx(7, rel=0.1)
    assert local_variation(noise[:3, :1]) > 0


class Peak:
    """Scores an image by its pixel farthest from grey, and keeps what it saw."""

    def __init__(self, dtype="uint8", white=65535):
        most = {"uint8": 255, "uint16": white}[dtype]
        spec = ImageSpec(40, 40, 1, dtype, 0.0, float(most), white)
        self.header = SimpleNamespace(spec=spec, mask=None)
        self.seen = []

    def decode(self, path, content):
        pixels = np.asarray(Image.open(io.BytesIO(content)))
        full = 255 if pixels.dtype == np.uint8 else self.header.spec.white
        return SimpleNamespace(pixels=pixels / full)

    def score_decoded(self, images):
        images = list(images)
        self.seen += images
        return [SimpleNamespace(raw=np.abs(image - 0.5).max()) for image in images]


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_the_contrast_that_is_flagged_is_told(dtype, tmp_path):
    path = tmp_path / "grey.png"
    Image.fromarray(np.full((40, 40), np.iinfo(dtype).max // 2, dtype)).save(path)
    results, variation = find_smallest(Peak(dtype), [path], 0.15, 0)
    assert variation == 0
    for result in results:
        assert result.n == (result.size <= 20)
        if result.n and result.size > 1:
            assert result.found == (result.contrast > 0.15), result
    words = sentence(results)
    assert words.startswith("found in at least 9 of 10 images: spots of 2 pixels from 20% contrast")
    lines = list(table(results))
    assert len(lines) == 9
    assert lines[5].split()[-4:] == ["-"] * 4


@pytest.mark.parametrize(("dtype", "other"), [("uint8", "uint16"), ("uint16", "uint8")])
def test_the_contrast_is_that_of_the_white_level(dtype, other, tmp_path):
    path, white = tmp_path / "grey.png", 4095
    grey = {"uint8": 127, "uint16": white // 2}[other]
    Image.fromarray(np.full((40, 40), grey, other)).save(path)
    results, _ = find_smallest(Peak(dtype, white), [path], 0.15, 0)
    for result in results:
        if result.n and result.size > 1:
            assert result.found == (result.contrast > 0.15), result


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_defects_are_planted_in_colour_of_sixteen_bits(dtype, tmp_path):
    (tmp_path / "a.png").write_bytes(as_png(np.full((40, 40, 3), 32767, np.uint16)))
    results, _ = find_smallest(Peak(dtype), [tmp_path / "a.png"], 0.15, 0)
    for result in results:
        if result.n and result.size > 1:
            assert result.found == (result.contrast > 0.15), result


def test_places_follow_the_seed_and_the_image(tmp_path):
    paths = [tmp_path / "a.png", tmp_path / "b.png"]
    for path in paths:
        Image.fromarray(textures(1, (60, 60))[0]).save(path)
    seen = []
    for seed in (0, 0, 1):
        scorer = Peak()
        find_smallest(scorer, paths[:1], 0.15, seed)
        seen.append(np.stack(scorer.seen))
    assert np.array_equal(seen[0], seen[1])
    assert not np.array_equal(seen[0], seen[2])
    both = Peak()
    find_smallest(both, paths, 0.15, 0)
    first, second = np.split(np.stack(both.seen), 2)
    assert np.array_equal(first, seen[0])
    assert not np.array_equal(first, second)


def test_the_sentence_names_a_larger_defect_only_for_a_lower_contrast():
    rates = {
        ("spot", 4): {0.4: 1.0, 0.2: 0.5},
        ("spot", 8): {0.4: 0.95, 0.2: 0.95, 0.1: 0.9, 0.05: 0.2},
        ("spot", 16): {0.4: 1.0, 0.2: 1.0, 0.1: 1.0},
        ("spot", 32): {0.4: 0.5, 0.2: 1.0, 0.1: 1.0, 0.05: 1.0},
    }
    results = [
        Found(shape, size, contrast, round(20 * rate), 20)
        for (shape, size), row in rates.items()
        for contrast, rate in row.items()
    ]
    assert sentence(results) == (
        "found in at least 9 of 10 images: spots of 4 pixels from 40% contrast, of 8 pixels from "
        "10% contrast"
    )
    assert sentence(results[:0]).startswith("none of these")
