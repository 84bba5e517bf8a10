"""What training saw of light, colours and sizes, and how far other images are from it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from adacl.data.pixels import ImageHeader
from adacl.data.samples import Samples
from adacl.imaging.mask import Mask
from adacl.imaging.spec import Array, ImageSpec

Size = tuple[int, int]

SOME = 1000
MARGIN = 0.1
"""How far beyond the learnt levels, by a factor, an image is remarked on."""
SATURATED = 0.6
"""An image is remarked on if so small a part, against those learnt, of it is neither black nor
white."""
CUT_OFF = 0.05
ASPECT = 1.1
LARGER = 1.5
SMALL = 1 << 16
"""Values that a batch has, at most, if its images are measured one by one from histograms."""
_LEVELS = np.arange(256)


@dataclass(frozen=True)
class Learnt:
    """What is known of the images that a model was fitted on.

    Parameters
    ----------
    level
        Means of the images, of the range that the network sees: the smallest, the quantile of 5 %,
        the mean, the quantile of 95 %, and the largest. Of older models the first and last alone.
    ends
        The largest share of an image that is black, and that is white.
    channels
        The smallest and largest mean of each channel.
    sizes
        The least height and width, and the largest, before the images were resized.
    colours
        Channels of the files (1, 3).
    """

    level: tuple[float, ...] = ()
    ends: tuple[float, ...] = ()
    channels: tuple[tuple[float, float], ...] = ()
    sizes: tuple[Size, Size] | None = None
    colours: tuple[int, ...] = ()

    @classmethod
    def of(cls, samples: Samples) -> Self:
        """Measure (some of) the images that samples were made of."""
        owner = samples.owner[samples.numbers]
        images = np.unique(owner)
        chosen = samples.of(images[:: max(1, len(images) // SOME)])
        look = samples.mask.looked_at if samples.mask else np.asarray
        rows = np.array([measure(look(image[None]), samples.spec)[0] for image in chosen])
        _, index, counts = np.unique(
            samples.owner[chosen.numbers], return_inverse=True, return_counts=True
        )
        sums = np.zeros((len(counts), rows.shape[1]))
        np.add.at(sums, index, rows)
        return cls.of_measures(sums / counts[:, None])

    @classmethod
    def of_measures(cls, rows: Array) -> Self:
        """Summarise what :func:`measure` returned of images."""
        level, (_, black, white), channels = rows[:, 0], rows[:, 1:4].T, rows[:, 4:]
        inner = np.quantile(level, [0.05, 0.95])
        return cls(
            (level.min(), inner[0], level.mean(), inner[1], level.max()),
            (black.max(), white.max()),
            tuple(zip(channels.min(0).tolist(), channels.max(0).tolist(), strict=True)),
        ).rounded()

    def joined(self, seen: Learnt) -> Self:
        """Return a copy with the sizes and colours of ``seen``."""
        return replace(self, sizes=seen.sizes, colours=seen.colours)

    def rounded(self) -> Self:
        """Return a copy rounded to five digits, however dark the images are."""
        level, ends = (tuple(_digits(float(v), 5) for v in row) for row in (self.level, self.ends))
        return type(self)(
            level,
            ends,
            tuple((_digits(low, 5), _digits(high, 5)) for low, high in self.channels),
            self.sizes,
            self.colours,
        )

    @classmethod
    def from_training(cls, training: Mapping[str, Any]) -> Self:
        """Read the record from the training facts of a model file.

        Raises
        ------
        ValueError
            If it is not as :meth:`to_dict` returns it.
        """
        if (tree := training.get("learnt")) is None:
            return cls(tuple(_numbers(training.get("brightness", []), 0, 2)))
        if not isinstance(tree, dict):
            raise ValueError(f"learnt: need a table, got {tree!r:.100}")
        sizes = [_numbers(size, 2) for size in tree.get("sizes", [])]
        if len(sizes) not in (0, 2) or any(side < 1 for size in sizes for side in size):
            raise ValueError(f"learnt: need two sizes of images, got {sizes!r:.100}")
        return cls(
            _numbers(tree["level"], 5),
            _numbers(tree["ends"], 2),
            tuple((low, high) for low, high in (_numbers(pair, 2) for pair in tree["channels"])),
            ((int(sizes[0][0]), int(sizes[0][1])), (int(sizes[1][0]), int(sizes[1][1])))
            if sizes
            else None,
            tuple(int(number) for number in _numbers(tree.get("colours", []))),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the record as plain values."""
        tree: dict[str, Any] = {
            "level": list(self.level),
            "ends": list(self.ends),
            "channels": [list(pair) for pair in self.channels],
        }
        if self.sizes:
            tree["sizes"] = [list(size) for size in self.sizes]
        if self.colours:
            tree["colours"] = list(self.colours)
        return tree

    def remark_on_values(self, row: Sequence[float], spec: ImageSpec, light: float | None) -> str:
        """Return a remark on the values of an image, from :func:`measure`, if they differ.

        ``light`` is how far training varied the level, or None where that tells good from bad.
        """
        level, cut, black, white, *channels = row
        if cut > CUT_OFF:
            return (
                f"{cut:.0%} of its values lie outside those learnt ({spec.low:g} to {spec.high:g}) "
                "and are cut off"
            )
        if self._exchanged(channels):
            return "red and blue look exchanged; give RGB, not BGR"
        if self.level and light is not None:
            margin = max(light, MARGIN) if len(self.level) == 5 else light
            least, most = self.level[0], self.level[-1]
            if not least * (1 - margin) <= level <= most * (1 + margin):
                word = "darker" if level < least else "brighter"
                mean, low, high = (level_words(value, 2) for value in (level, least, most))
                return f"{word} than any learnt: mean {mean}, learnt {low} to {high}"
        for share, learnt, word in zip((black, white), self.ends, ("black", "white"), strict=False):
            if 1 - share < SATURATED * (1 - learnt):
                return (
                    f"saturated: {share:.0%} of it is {word}, of those learnt at most {learnt:.0%}"
                )
        return ""

    def _exchanged(self, means: Sequence[float]) -> bool:
        if len(means) != 3 or len(self.channels) != 3:
            return False

        def misfit(means: Sequence[float]) -> float:
            pairs = zip(means, self.channels, strict=True)
            return max(max(low - mean, mean - high, 0.0) for mean, (low, high) in pairs)

        return misfit(means) > 0.02 and misfit(means[::-1]) == 0

    def remark_on_file(self, header: ImageHeader, resized: bool) -> str:
        """Return a remark on the colours and size of an image file, if they differ."""
        remarks = []
        if self.colours and header.channels not in self.colours:
            kinds = ("in colour", "grey") if header.channels == 3 else ("grey", "in colour")
            remarks.append(f"{kinds[0]}, those learnt are {kinds[1]}")
        remarks.append(self.remark_on_size(header.height, header.width, resized))
        return "; ".join(filter(None, remarks))

    def remark_on_size(self, height: int, width: int, resized: bool) -> str:
        """Return a remark on the size of an image or, where it is resized, its shape."""
        word = self.sizes and self._other_size((height, width), resized)
        if not word:
            return ""
        learnt = " to ".join(dict.fromkeys("{}x{}".format(*size) for size in self.sizes or ()))
        return f"{word} than those learnt: {height}x{width}, learnt {learnt}"

    def _other_size(self, size: Size, resized: bool) -> str:
        assert self.sizes
        least, most = self.sizes
        if resized:
            aspect = size[1] / size[0]
            inside = least[1] / most[0] / ASPECT <= aspect <= most[1] / least[0] * ASPECT
            return "" if inside else "of another shape"
        if max(size[0] / most[0], size[1] / most[1]) > LARGER:
            return "larger"
        if max(least[0] / size[0], least[1] / size[1]) > LARGER:
            return "smaller"
        return ""


def level_words(level: float, digits: int) -> str:
    """Return a level with so many decimal places, or as many digits if it is a dark one."""
    if abs(level) >= 10 ** (1 - digits):
        return f"{level:.{digits}f}"
    return np.format_float_positional(level, digits, fractional=False, trim="-")


def _digits(value: float, digits: int) -> float:
    return float(f"{value:.{digits}g}")


def _numbers(values: Any, count: int | None = None, other: int | None = None) -> tuple[float, ...]:
    numbers = tuple(values)
    sound = all(isinstance(number, int | float) and math.isfinite(number) for number in numbers)
    if not sound or (count is not None and len(numbers) not in (count, other)):
        raise ValueError(f"learnt: need finite numbers, got {values!r:.100}")
    return numbers


def measure(images: Array, spec: ImageSpec) -> Array:
    """Measure images S x H x W x C, stored as a model takes them.

    Returns
    -------
    ndarray
        S x (4 + C): mean level of the range that the network sees, shares of the values that lie
        outside that range, at its lower end or below, and at its upper end or above; then the mean
        level of each channel.
    """
    small = images.dtype == np.uint8 and images.size <= SMALL
    if small and (spec.low, spec.high) == (0, 255):
        return np.array([_of_bytes(image) for image in images])
    count, height, width, channels = images.shape
    lines = images.reshape(count, height, width * channels)
    wide = {"uint8": np.uint32, "uint16": np.uint64}.get(images.dtype.name, float)
    sums = lines.sum(1, dtype=wide)
    means = sums.reshape(count, width, channels).sum(1, dtype=float) / (height * width)
    means = (means - spec.low) / (spec.high - spec.low)
    black = _shares(lines, lambda line: line <= spec.low)
    white = _shares(lines, lambda line: line >= spec.high)
    cut = np.zeros(count)
    if spec.dtype != "uint8":
        least, most = spec.bounds
        cut = _shares(lines, lambda line: (line < least) | (line > most))
    return np.column_stack([means.mean(1), cut, black, white, means])


def _of_bytes(image: Array) -> list[float]:
    """Measure a small image of 8 bits from the histograms of its channels.

    A service does so for every request; as arrays the same takes several times as many calls.
    """
    channels = image.shape[-1]
    pixels = image.size // channels
    black, white, means = 0, 0, []
    for channel in range(channels):
        counts = np.bincount(image[..., channel].ravel(), minlength=256)
        black += int(counts[0])
        white += int(counts[255])
        means.append(int(counts.dot(_LEVELS)) / pixels / 255)
    level = means[0] if channels == 1 else float(np.mean(means))
    return [level, 0.0, black / image.size, white / image.size, *means]


def _shares(images: Array, chosen: Callable[[Array], Array]) -> Array:
    counts: Array = np.array([np.count_nonzero(chosen(image)) for image in images])
    return counts / float(images[0].size)


def outside(image: Array, spec: ImageSpec, mask: Mask | None = None) -> float:
    """Return the share of an image's values that lie outside the range that the network sees.

    What a mask hides does not count.
    """
    if spec.dtype == "uint8":
        return 0.0
    if mask is not None:
        image = mask.looked_at(image[None])
    least, most = spec.bounds
    return float(((image < least) | (image > most)).mean())


def sizes_of(sizes: Iterable[Size]) -> tuple[Size, Size]:
    """Return the least height and width, and the largest."""
    heights, widths = zip(*sizes, strict=True)
    return (min(heights), min(widths)), (max(heights), max(widths))
