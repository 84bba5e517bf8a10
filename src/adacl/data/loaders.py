"""Images one after another from a Dataset or a DataLoader of PyTorch."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

from adacl.errors import InputError

AT_ONCE = 64
"""Images that are taken from an iterator together, at most."""
VALUES = 1 << 24
"""Values that they have, about."""


def loaded(images: Any) -> Any:
    """Return an iterator over the images of a Dataset or DataLoader; anything else as it is.

    Items are images, or tuples of which the first is the image: tensors, arrays, PIL images or
    paths.
    """
    library = sys.modules.get("torch.utils.data")
    if library is None:
        return images
    if isinstance(images, library.DataLoader):
        return _of_loader(images, library)
    if isinstance(images, library.IterableDataset):
        return map(_first, images)
    if isinstance(images, library.Dataset):
        return (_first(images[number]) for number in range(_length(images)))
    return images


def _of_loader(loader: Any, library: Any) -> Iterator[Any]:
    stacked = loader.collate_fn is library.default_collate
    for batch in loader:
        if loader.batch_size is None and loader.batch_sampler is None:
            yield _first(batch)
        elif stacked and isinstance(batch, list) and isinstance(batch[0], str):
            yield from batch
        elif stacked:
            yield from _first(batch)
        else:
            yield from map(_first, batch)


def _first(item: Any) -> Any:
    """Return the image of an item."""
    if isinstance(item, list | tuple):
        if not item:
            raise InputError("an item of the data set is empty; give images or (image, ...)")
        item = item[0]
    if isinstance(item, dict):
        raise InputError(
            f"the items of the data set are tables of {', '.join(map(str, item))}; give images or "
            "(image, ...)"
        )
    return item


def _length(images: Any) -> int:
    try:
        return len(images)
    except TypeError as error:
        raise InputError("the data set has no length; use an IterableDataset") from error


def in_parts(images: Iterator[Any]) -> Iterator[list[Any]]:
    """Yield images of one type and shape together, in order, as many as memory should hold."""
    part: list[Any] = []
    kind: object = None
    for image in images:
        shape = np.shape(image) if hasattr(image, "shape") else getattr(image, "size", None)
        size = int(np.prod(shape)) if shape else 1
        own = type(image), shape, getattr(image, "dtype", None)
        if part and (own != kind or len(part) * size >= VALUES):
            yield part
            part = []
        kind = own
        part.append(image)
        if len(part) == AT_ONCE:
            yield part
            part = []
    if part:
        yield part
