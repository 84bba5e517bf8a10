"""Collect the warnings of Pillow about a file, and log them with the name of the file."""

from __future__ import annotations

import logging
import re
import threading
import warnings
from typing import Any

from PIL import Image

log = logging.getLogger("adacl")
logging.getLogger("PIL").addHandler(logging.NullHandler())

MOST_TOLD = 10_000
FILTER = ("always", None, Warning, re.compile(r"PIL\."), 0)

_told: set[str] = set()
_thread = threading.local()
_before = warnings.showwarning


def _show(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, *more: Any
) -> None:
    remarks = getattr(_thread, "remarks", None)
    if remarks is None:
        _before(message, category, filename, lineno, *more)
    elif not issubclass(category, Image.DecompressionBombWarning):  # we have a limit of our own
        remarks.append(" ".join(str(message).split()))


class Heard:
    """Collects the warnings of this thread, instead of showing them."""

    def __enter__(self) -> list[str]:
        global _before
        if warnings.showwarning is not _show:
            _before = warnings.showwarning
            warnings.showwarning = _show  # type: ignore[assignment]
        if FILTER not in warnings.filters:
            warnings.filterwarnings("always", module=FILTER[3].pattern)
        self._outer = getattr(_thread, "remarks", None)
        remarks: list[str] = []
        _thread.remarks = remarks
        return remarks

    def __exit__(self, *_: object) -> None:
        _thread.remarks = self._outer


def tell(path: object, remarks: list[str]) -> None:
    """Log remarks about a file in one line, once; the record has them as its ``remark``, too."""
    words = "; ".join(dict.fromkeys(remark.rstrip(". ") for remark in remarks))
    line = f"{path}: {words}"
    if remarks and line not in _told:
        if len(_told) >= MOST_TOLD:
            _told.clear()
        _told.add(line)
        log.warning("%s", line, extra={"remark": words})
