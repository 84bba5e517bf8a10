"""Files in a folder of this machine or on object storage, by URL.

Local paths work without a package; URLs (``s3://…``) are opened by fsspec, whose settings and
credentials come from its own environment variables and files.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import groupby
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote_from_bytes, unquote_to_bytes

from adacl.errors import AdaclError, DataError, MissingDataError, missing_extra
from adacl.files import create_file, open_regular

LARGEST = 1 << 30
"""Bytes of the largest image file that is read."""
S3_OPTIONS = {
    "max_concurrency": 1,  # else a HEAD for each GET
    "config_kwargs": {"connect_timeout": 10, "retries": {"max_attempts": 3}},
}
TOO_LARGE = f"larger than {LARGEST >> 20} MiB"

GONE = (errno.ESTALE, errno.ENOTCONN, errno.ETIMEDOUT, errno.EHOSTDOWN, errno.EHOSTUNREACH)
"""Numbers of errors that say nothing of a file, but that a network drive does not answer."""


def is_url(path: str) -> bool:
    """Tell whether a path names something that is not a file of this machine."""
    return "://" in path


def absolute(path: str) -> str:
    """Return a path that means the same in every process, without slashes at its end.

    Raises
    ------
    DataError
        If it is empty, or a URL of nothing (as ``s3://$BUCKET`` without the variable).
    """
    found = path_of(path)
    scheme, url, inside = found.partition("://")
    if not found or (url and not inside.strip("/")):
        raise DataError(f"{path!r}: the name is empty; name a folder or a file")
    return f"{scheme}://{inside.rstrip('/')}" if url else os.path.abspath(found)


def text_of(path: str) -> str:
    """Return a path as it is written to a file of results.

    That is the path itself unless it holds bytes that are no UTF-8, which no text may: then it is a
    ``file://`` URL, as other programs write such names (RFC 8089). In another URL, whose tar file
    holds such a name, these bytes alone are quoted.
    """
    try:
        path.encode()
    except UnicodeEncodeError:
        if is_url(path):
            return re.sub("[\udc80-\udcff]", lambda byte: f"%{ord(byte[0]) - 0xDC00:02X}", path)
        return f"file://{quote_from_bytes(os.fsencode(path))}"
    return path


def path_of(text: str) -> str:
    """Return the path that :func:`text_of` wrote; of any ``file://`` URL its path."""
    if not text.startswith("file://"):
        return text
    return os.fsdecode(unquote_to_bytes(text.removeprefix("file://")))


def filesystem(url: str) -> tuple[Any, str]:
    """Return the file system of a URL, and the path in it.

    Raises
    ------
    MissingExtraError
        If fsspec, or the package for this kind of URL, is not installed.
    DataError
        If the kind is not known.
    """
    try:
        import fsspec
    except ModuleNotFoundError as error:
        raise missing_extra(error) from error

    try:
        options = S3_OPTIONS if url.startswith("s3") else {}
        files, path = fsspec.core.url_to_fs(url, use_listings_cache=False, **options)
    except (ImportError, ValueError) as error:
        raise DataError(f"{url}: {' '.join(str(error).split())}") from error
    return files, path


def open_source(path: str) -> IO[bytes]:
    """Open a file to read it.

    Raises
    ------
    MissingDataError
        If it is not there, or cannot be read.
    """
    try:
        if not is_url(path):
            return open_regular(Path(path))
        files, inside = filesystem(path)
        opened: IO[bytes] = files.open(inside, "rb")
        return opened
    except AdaclError:
        raise
    except Exception as error:
        raise MissingDataError(f"{path}: cannot be read ({reason_of(error)})") from error


def reason_of(error: BaseException) -> str:
    """Return in one line why a file cannot be read or written."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split()) or type(error).__name__


def read_all(paths: Sequence[str]) -> list[bytes | str]:
    """Return the bytes of some files, those of each storage fetched side by side.

    Of a file that is not there or cannot be opened, and of a local one that is too large, the
    reason is returned.

    Raises
    ------
    DataError
        If the storage itself does not answer: that says nothing about the file.
    """
    found: dict[str, bytes | str] = {}
    for storage, group in groupby(sorted(paths, key=_storage_of), _storage_of):
        some = list(group)
        contents = _fetched(some) if storage else map(_read_local, some)
        found.update(zip(some, contents, strict=True))
    return [found[path] for path in paths]


def _storage_of(path: str) -> str:
    """Return scheme and host of a URL, "" for a file of this machine."""
    return "/".join(path.split("/", 3)[:3]) if is_url(path) else ""


def _fetched(paths: Sequence[str]) -> list[bytes | str]:
    files, _ = filesystem(paths[0])
    stripped = [files._strip_protocol(path) for path in paths]
    try:
        found = files.cat_ranges(stripped, None, None, on_error="return")
    except Exception as error:
        raise DataError(f"{paths[0]}: cannot be read ({reason_of(error)})") from error
    return [_bytes_or_reason(content, path) for content, path in zip(found, paths, strict=True)]


def _bytes_or_reason(found: bytes | Exception, path: str) -> bytes | str:
    if isinstance(found, FileNotFoundError):
        return "no such file"
    if isinstance(found, PermissionError):
        return "Permission denied"
    if isinstance(found, Exception):
        raise DataError(f"{path}: cannot be read ({reason_of(found)})") from found
    return found


def _read_local(path: str) -> bytes | str:
    try:
        with open_regular(Path(path)) as file:
            if os.fstat(file.fileno()).st_size > LARGEST:
                return TOO_LARGE
            return file.read()
    except FileNotFoundError:
        return "no such file"
    except OSError as error:
        if error.errno in GONE:
            raise DataError(f"{path}: cannot be read ({error.strerror})") from error
        return error.strerror or str(error)
    except ValueError as error:  # a null byte in the name
        return str(error)


class Folder:
    """A folder whose files appear whole or not at all, and are written once.

    Parameters
    ----------
    path
        Of this machine, or a URL.

    Raises
    ------
    DataError
        If it is empty, or a file.
    """

    def __init__(self, path: str) -> None:
        if not is_url(path) and os.path.isfile(path_of(path)):
            raise DataError(f"{path}: is a file; name a folder")
        self.path = absolute(path)
        self._local = None if is_url(self.path) else Path(self.path)

    def url(self, name: str) -> str:
        """Return where a file of the folder is."""
        return f"{self.path}/{name}"

    def create(self, name: str, content: bytes) -> bool:
        """Write a file, unless one of this name is there already; tell whether it was written.

        Of several writers one wins, and its file stays.

        Raises
        ------
        DataError
            If it cannot be written.
        """
        with self._telling(name, "written"):
            if self._local:
                return create_file(self._local / name, content)
            files, inside = filesystem(self.url(name))
            try:
                files.pipe_file(inside, content, mode="create")
            except FileExistsError:
                return False
            except Exception as error:
                if "PreconditionFailed" not in str(error):
                    raise
                return False
        return True

    def read(self, name: str) -> bytes | None:
        """Return the bytes of a file, or None if it is not there.

        Raises
        ------
        DataError
            If it cannot be read.
        """
        with suppress(FileNotFoundError), self._telling(name, "read"):
            if self._local:
                return (self._local / name).read_bytes()
            files, inside = filesystem(self.url(name))
            content: bytes = files.cat_file(inside)
            return content
        return None

    def names(self, below: str) -> list[str]:
        """Return the sorted names of the files in a folder below this one, none if it is not there.

        Raises
        ------
        DataError
            If it cannot be read.
        """
        with suppress(FileNotFoundError), self._telling(below, "read"):
            if self._local:
                return sorted(n for n in os.listdir(self._local / below) if not n.startswith("."))
            files, inside = filesystem(self.url(below))
            return sorted(path.rpartition("/")[2] for path in files.ls(inside, detail=False))
        return []

    def delete(self, name: str) -> None:
        """Delete a file.

        Raises
        ------
        DataError
            If it cannot be deleted.
        """
        with suppress(FileNotFoundError), self._telling(name, "deleted"):
            if self._local:
                (self._local / name).unlink()
            else:
                files, inside = filesystem(self.url(name))
                files.rm_file(inside)

    @contextmanager
    def _telling(self, name: str, what: str) -> Iterator[None]:
        """Turn what goes wrong into an error that names the file, but for one that is not there."""
        try:
            yield
        except AdaclError:
            raise
        except Exception as error:
            if isinstance(error, FileNotFoundError) and what != "written":
                raise
            raise DataError(f"{self.url(name)}: cannot be {what} ({reason_of(error)})") from error
