import numpy as np
import pytest
from PIL import Image

from adacl.data.training_set import probe_files, samples_of_array, samples_of_files
from adacl.errors import InputError
from adacl.imaging.tiles import Tiling


@pytest.fixture
def deep():
    return np.random.default_rng(0).integers(900, 4096, (6, 40, 40, 1), np.uint16)


@pytest.fixture
def hot(deep):
    deep[4, 20, 20] = 65535
    return deep


def paths_of(images, folder):
    for number, image in enumerate(images):
        Image.fromarray(image[..., 0]).save(folder / f"{number}.png")
    return sorted(folder.iterdir())


@pytest.mark.parametrize("tiling", [None, Tiling(20, 20)])
@pytest.mark.parametrize("any_size", [False, True])
def test_a_hot_pixel_that_stretches_the_range_is_told(hot, tiling, any_size, tmp_path, caplog):
    probed = probe_files(paths_of(hot, tmp_path), "fail")
    size = None if any_size or tiling else (40, 40)
    samples_of_files(probed, None if any_size else tiling, size, "fail", any_size)
    assert "the range learnt is 900 to 65535" in caplog.text
    assert f"because of 1 of 6 images, such as {tmp_path / '4.png'}; mend" in caplog.text


@pytest.mark.parametrize("kind", [np.uint16, np.float32])
def test_arrays_are_told_of_by_number(hot, kind, caplog):
    samples_of_array(hot.astype(kind), None)
    assert "1 of 6 images, such as number 4; mend" in caplog.text


def test_what_the_white_level_cuts_off_is_not_told(hot, caplog):
    samples_of_array(hot, None, 4095)
    assert not caplog.text


def test_usual_images_are_not_told_of(deep, caplog):
    samples_of_array(deep, None)
    samples_of_array((deep // 16).astype(np.uint8), None)
    deep[:, 10:14, 10:14] = 12000
    samples_of_array(deep, None)
    samples_of_array(np.where(deep > 4095, 1, 0.01).astype(np.float32), None)
    assert not caplog.text


@pytest.mark.parametrize("tiling", [None, Tiling(20, 20)])
def test_a_white_level_below_the_values_is_told(deep, tiling, tmp_path, caplog):
    deep[:3] //= 2
    probed = probe_files(paths_of(deep, tmp_path), "fail")
    samples_of_files(probed, tiling, None if tiling else (40, 40), "fail", white=2500)
    words = f"5% of the values of 3 of 6 images, such as {tmp_path / '3.png'}, are higher, and"
    assert f"white level 2500: more than {words} learnt as white; if" in caplog.text


def test_a_white_level_below_most_values_is_refused(deep):
    with pytest.raises(InputError, match="2000: lower than most values of most images, such as"):
        samples_of_array(deep, None, 2000)
