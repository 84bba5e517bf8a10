"""Some of the normal images, from which the statistics of their pixels are learnt."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from adacl.data.samples import Samples
from adacl.imaging.mask import Mask
from adacl.imaging.smoothing import shrunk

SOME = 64


def some_normals(samples: Samples, shrink: int = 1) -> Iterator[tuple[Tensor, Tensor | None]]:
    """Yield some of the images (1, C, h, w) in [0, 1], shrunk, and where a mask looks (h, w).

    Elsewhere they have the mean of what is looked at. Without a mask, or where it shows less than
    two pixels, there is no second.
    """
    mask = samples.mask
    for image in samples.thinned(SOME).batches(torch.device("cpu"), 1):
        image, look = image[:, : samples.spec.channels], None
        image = shrunk(without_hidden(image, mask), shrink)
        if mask is not None:
            look = torch.from_numpy(mask.resized(*image.shape[-2:]))
        yield image, look if look is not None and int(look.sum()) > 1 else None


def without_hidden(image: Tensor, mask: Mask | None) -> Tensor:
    """Return an image (1, C, h, w) that has the mean of what a mask looks at elsewhere."""
    if mask is None:
        return image
    whole = torch.from_numpy(mask.resized(*image.shape[-2:]))
    return torch.where(whole, image, image[..., whole].mean(-1)[..., None, None])


def shown(values: Tensor, look: Tensor | None) -> Tensor:
    """Return values (1, C, h, w) where a mask looks, as (1, C, P, 1); without one as they are."""
    return values if look is None else values[..., look][..., None]
