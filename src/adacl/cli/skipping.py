"""Broken image files that a command has passed over."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from adacl.data.folders import Skipped
from adacl.errors import DataError

__all__ = ["check_skipped"]

log = logging.getLogger("adacl")


def check_skipped(skipped: Sequence[Skipped], total: int) -> None:
    """Warn of files that were skipped, each of which was already named.

    Raises
    ------
    DataError
        If that goes for all of them.
    """
    if len(skipped) == total:
        raise DataError(f"none of {total} image files can be read")
    if skipped:
        log.warning("%d of %d images were skipped", len(skipped), total)
