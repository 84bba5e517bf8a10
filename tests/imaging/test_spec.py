import numpy as np
import pytest
import torch

from adacl.imaging.spec import ImageSpec, to_depth, value_range

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("dtype", "low", "high"), [("uint8", 0, 255), ("uint16", 0, 65535), ("float32", -1, 3)]
)
def test_pixels_are_brought_to_the_unit_interval(dtype, low, high):
    images = np.linspace(low, high, 2 * 4 * 5 * 3).round(3).astype(dtype).reshape(2, 4, 5, 3)
    batch = ImageSpec(4, 5, 3, dtype, low, high).to_tensor(images, CPU)
    assert batch.shape == (2, 3, 4, 5)
    assert batch.dtype == torch.float32
    assert batch.min() == 0
    assert batch.max() == 1
    expected = (images.astype(np.float64) - low) / (high - low)
    assert np.allclose(batch.permute(0, 2, 3, 1).numpy(), expected, atol=1e-6)


def test_values_beyond_the_range_are_clipped():
    images = np.array([0, 10, 20, 30], np.uint16).reshape(1, 2, 2, 1)
    batch = ImageSpec(2, 2, 1, "uint16", 10, 20).to_tensor(images, CPU)
    assert batch.flatten().tolist() == [0, 0, 1, 1]


def test_read_only_and_strided_images():
    images = np.arange(64, dtype=np.uint8).reshape(4, 4, 4, 1)[::2, ::-1]
    images.flags.writeable = False
    batch = ImageSpec(4, 4, 1).to_tensor(images, CPU)
    assert (batch[:, 0].numpy() * 255).round().astype(int).tolist() == images[..., 0].tolist()


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        (np.array([3, 7], np.uint8), (0, 255)),
        (np.array([0.2, 0.9], np.float32), (0, 1)),
        (np.array([0.0, 255.0], np.float32), (0, 255)),
        (np.array([-1.0, 1.0], np.float32), (-1, 1)),
        (np.array([100, 4095], np.uint16), (100, 4095)),
        (np.array([7, 7], np.uint16), (7, 8)),
    ],
)
def test_value_range(images, expected):
    assert value_range(images.reshape(-1, 1, 1, 1)) == expected


@pytest.mark.parametrize("first", [0, 50])
def test_value_range_of_more_images_than_a_chunk(first, monkeypatch):
    monkeypatch.setattr("adacl.imaging.spec.SCANNED", 100)
    images = np.full((1000, 1, 1, 1), first, np.uint16)
    images[500] = 50 - first
    assert value_range(images) == (0, 50)


@pytest.mark.parametrize("white", [4095, 65535])
def test_depths_are_converted_from_full_scale_to_full_scale(white):
    deep = np.arange(white + 1, dtype=np.uint16)
    shallow = to_depth(deep, "uint8", white)
    assert np.abs(shallow - deep * (255 / white)).max() <= 0.5 + 1e-9
    values = np.arange(256, dtype=np.uint8)
    assert np.abs(to_depth(values, "uint16", white) - values * (white / 255)).max() <= 0.5
    assert (to_depth(to_depth(values, "uint16", white), "uint8", white) == values).all()
    assert to_depth(np.array([65535], np.uint16), "uint8", white) == 255
