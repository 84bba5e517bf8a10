"""Surfaces with a texture, and scratches drawn into them as tests see them."""

import numpy as np

SIDE = 64


def textures(count: int, size: tuple[int, int] = (SIDE, SIDE), seed: int = 0) -> np.ndarray:
    """Return grainy grey images N x H x W."""
    height, width = size
    noise = np.random.default_rng(seed).normal(0, 1, (count, height + 4, width + 4))
    grain = sum(noise[:, i : i + height, j : j + width] for i in range(5) for j in range(5)) / 5
    return (128 + 18 * grain).clip(0, 255).astype(np.uint8)


def scratched(images: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return images with a bright or dark bent scratch in each, and the pixels of the scratches."""
    rng = np.random.default_rng(seed)
    found, masks = images.copy(), np.zeros(images.shape, bool)
    for image, mask in zip(found, masks, strict=True):
        height, width = image.shape
        along = np.linspace(-1, 1, 200) * rng.uniform(9, 18)
        angle = rng.uniform(0, np.pi)
        rows = rng.integers(12, height - 12) + along * np.sin(angle) + 0.003 * along**2
        columns = rng.integers(12, width - 12) + along * np.cos(angle)
        rows = rows.round().astype(int).clip(0, height - 2)
        columns = columns.round().astype(int).clip(0, width - 1)
        for row in (rows, rows + 1):
            mask[row, columns] = True
        image[mask] = 128 + rng.choice([-1, 1]) * rng.integers(60, 90)
    return found, masks
