"""Which small changes of camera, light and file format raise normal images above the threshold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from adacl.imaging.changes import CHANGES


@dataclass(frozen=True)
class Sensitivity:
    """How many normal images, held out from the training, are flagged under each change.

    Parameters
    ----------
    images
        How many were held out and looked at.
    as_they_are
        How many of them are flagged without any change.
    changed
        How many are flagged under each change, by its name in ``CHANGES``.
    """

    images: int
    as_they_are: int
    changed: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        counts = (self.as_they_are, *self.changed.values())
        whole = all(type(count) is int for count in (self.images, *counts))
        if not whole or not all(0 <= count <= self.images for count in counts):
            raise ValueError(f"sensitivity: need counts of images, got {self!r:.200}")

    @classmethod
    def from_training(cls, training: Mapping[str, Any]) -> Self | None:
        """Read the counts from the training facts of a model file, None if it has none.

        Raises
        ------
        TypeError, ValueError
            If they are not as :meth:`to_dict` returns them.
        """
        if (tree := training.get("sensitivity")) is None:
            return None
        found = cls(**tree)
        if unknown := set(found.changed) - set(CHANGES):
            raise ValueError(f"sensitivity: unknown changes {sorted(unknown)!r:.200}")
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return the counts as plain values."""
        return asdict(self)

    @property
    def raising(self) -> dict[str, int]:
        """The changes under which more images are flagged than without, the worst first."""
        found = {name: self.changed.get(name, 0) for name in CHANGES}
        order = sorted(found, key=lambda name: -found[name])
        return {name: found[name] for name in order if found[name] > self.as_they_are}

    def words(self, most: int) -> str:
        """Name the worst changes, ``most`` of them, with their counts; "" if there are none."""
        worst = list(self.raising.items())[:most]
        if not worst:
            return ""
        (name, count), *others = worst
        further = "".join(f", {in_words(name)} {count}" for name, count in others)
        return (
            f"{in_words(name)} flags {count} of {self.images} normal images held out{further} "
            f"({self.as_they_are} as they are)"
        )


def in_words(change: str) -> str:
    """Return the name of a change as it stands in a sentence."""
    return change.replace(", ", " of ")
