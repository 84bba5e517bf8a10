import numpy as np
import pytest
import torch

from adacl.imaging.smoothing import box_mean, shrunk


@pytest.mark.parametrize(("height", "width"), [(8, 12), (9, 14), (11, 5)])
def test_an_image_is_shrunk_to_means_of_squares_continued_by_its_edge(height, width):
    image = torch.rand((1, 1, height, width), generator=torch.Generator().manual_seed(0))
    down, right = -height % 4, -width % 4
    whole = np.pad(image[0, 0].numpy(), ((0, down), (0, right)), "edge")
    expected = whole.reshape(len(whole) // 4, 4, -1, 4).mean((1, 3))
    np.testing.assert_allclose(shrunk(image, 4)[0, 0], expected, atol=1e-6)


@pytest.mark.parametrize("side", [1, 3, 9, 15])
def test_a_box_mean_is_that_of_the_pixels_that_are_there(side):
    image = torch.rand((1, 1, 11, 13), generator=torch.Generator().manual_seed(0))
    found = box_mean(image, side)[0, 0].numpy()
    reach = side // 2
    for row, column in np.ndindex(11, 13):
        rows = slice(max(0, row - reach), row + reach + 1)
        columns = slice(max(0, column - reach), column + reach + 1)
        assert found[row, column] == pytest.approx(
            float(image[0, 0, rows, columns].mean()), abs=1e-6
        )
