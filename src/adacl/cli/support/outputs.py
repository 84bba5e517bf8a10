"""Check where a command will write."""

from __future__ import annotations

from pathlib import Path

from adacl.data.images import EXTENSIONS
from adacl.errors import ConfigError
from adacl.files import check_writable


def check_output(path: Path) -> None:
    """Check, before work begins, that a model or records can be written and replace no image.

    Raises
    ------
    ConfigError
        If there is an image.
    DataError
        As of :func:`adacl.files.check_writable`.
    """
    check_writable(path)
    if path.is_file() and path.suffix.lower() in EXTENSIONS:
        raise ConfigError(f"{path}: is an image, which would be replaced; name another output")
