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


def wedges(angles, row=80.0, column=90.0, size=(160, 180), light=1.0, nick=False):
    """Return images of a part on a plain table, at angles in radians, N x H x W x 1.

    The part is a wedge, 80 pixels long and twice as wide at one end as at the other, with a dark
    spot to one side; ``nick`` takes a piece out of the other side.
    """
    down, right = np.mgrid[: size[0], : size[1]]
    images = []
    for angle in angles:
        along = (right - column) * np.cos(angle) + (down - row) * np.sin(angle)
        across = (down - row) * np.cos(angle) - (right - column) * np.sin(angle)
        half = 14 - 7 * along / 40
        inside = np.clip(half - np.abs(across) + 0.5, 0, 1) * np.clip(40.5 - np.abs(along), 0, 1)
        if nick:
            inside = inside * (np.hypot(along - 5, across + half) > 5)
        spot = np.clip(5.5 - np.hypot(along + 20, across - 7), 0, 1)
        image = 200 - inside * (120 + 40 * spot)
        images.append((light * image).round().clip(0, 255).astype(np.uint8)[..., None])
    return np.array(images)
