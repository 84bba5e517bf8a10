"""List what is to be scored: folders, patterns, lists and tar files, here or on object storage.

Everything is listed in an order that is the same each time, so that a listing that was interrupted
goes on behind the last entry that it wrote.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator, Sequence
from itertools import dropwhile, islice, pairwise
from pathlib import Path
from typing import Any, Literal, NamedTuple

from adacl.data.folders import walk
from adacl.data.image_files import EXTENSIONS
from adacl.data.lists import is_list, names_in
from adacl.errors import DataError, MissingDataError
from adacl.scale.storage import absolute, filesystem, is_url, open_source, path_of, reason_of

TARS = frozenset({".tar", ".tgz"})
KINDS = EXTENSIONS | TARS


class Entry(NamedTuple):
    """A file to score: its path or URL, bytes, version, and whether it is an image or a tar file.

    The version changes with the content: the time of the last change, or the tag of an object. Of
    files that a list names on object storage neither bytes nor version are asked for.
    """

    path: str
    size: int | None
    version: str
    kind: Literal["image", "tar"]


class Source:
    """One of the places that are named to be scored.

    Parameters
    ----------
    name
        A folder, an image, a tar file, a list (``.txt``, ``.csv`` or ``.parquet``), or a pattern
        with ``*``, ``?`` or ``**``; a path of this machine or a URL.

    Raises
    ------
    MissingDataError
        If it is a path of this machine that is not there.
    DataError
        If it is empty, or a pattern that names no folder or bucket to begin in.
    """

    def __init__(self, name: str) -> None:
        self.name = absolute(name)
        self._url = is_url(self.name)
        self._pattern: re.Pattern[str] | None = None
        self.root = self.name
        if glob.has_magic(self.name) and (self._url or not os.path.exists(self.name)):
            self._pattern = _pattern_of(self.name)
            parts = self.name.split("/")
            first = next(i for i, part in enumerate(parts) if glob.has_magic(part))
            if first < (3 if self._url else 2):
                raise DataError(f"{name}: a pattern begins in a folder or a bucket; name that")
            self.root = "/".join(parts[:first])
        self.is_list = self._pattern is None and is_list(Path(self.name))
        if not self._url and not os.path.exists(self.root):
            raise MissingDataError(f"{name}: no such file or folder")

    def check(self) -> None:
        """Check that what lies on object storage can be listed, without listing it all.

        Raises
        ------
        DataError, MissingDataError
            If it cannot.
        """
        if self._url:
            next(self.entries(), None)

    def entries(self, after: str = "", taken: int = 0) -> Iterator[Entry]:
        """Yield what is there, from behind an entry.

        Parameters
        ----------
        after
            Path of the last entry that is known already, or "".
        taken
            Entries known already; of a list so many are passed over.

        Raises
        ------
        DataError, MissingDataError
            If something cannot be read, or a list is no longer the one that was begun.
        """
        if self.is_list:
            yield from self._listed(after, taken)
        elif self._url:
            yield from self._stored(after)
        else:
            yield from self._local(after)

    def _listed(self, after: str, taken: int) -> Iterator[Entry]:
        with open_source(self.name) as file:
            paths = map(self._beside, names_in(file, self.name))
            if taken and next(islice(paths, taken - 1, None), None) != after:
                raise DataError(
                    f"{self.name}: is no longer the list that was begun with (its name number "
                    f"{taken} was {after}); score it into another folder"
                )
            for path in paths:
                yield Entry(path, None, "", _kind(path)) if is_url(path) else _stat(path)

    def _beside(self, name: str) -> str:
        """Return what a name in the list means: a path is relative to the folder of the list."""
        name = path_of(name)
        if is_url(name):
            return name
        if not self._url:
            return os.path.normpath(os.path.join(os.path.dirname(self.name), name))
        scheme, _, folder = os.path.dirname(self.name).partition("://")
        return f"{scheme}://{os.path.normpath(f'{folder}/{name}')}"

    def _local(self, after: str) -> Iterator[Entry]:
        found = iter([self.root]) if not os.path.isdir(self.root) else walk(self.root, KINDS)
        if self._pattern:
            found = filter(self._pattern.fullmatch, found)
        if after:
            last = after.split("/")
            found = dropwhile(lambda path: path.split("/") <= last, found)
        return map(_stat, found)

    def _stored(self, after: str) -> Iterator[Entry]:
        files, inside = filesystem(self.root)
        protocol = self.root.partition("://")[0]
        protocols = files.protocol if isinstance(files.protocol, tuple) else (files.protocol,)
        objects = _objects_of_s3 if "s3" in protocols else _objects
        skip = files._strip_protocol(after) if after else ""
        for path, size, version in objects(files, inside, skip):
            url = f"{protocol}://{path}"
            name = path.rpartition("/")[2]
            if os.path.splitext(name)[1].lower() not in KINDS or name.startswith("."):
                continue
            if self._pattern is None or self._pattern.fullmatch(url):
                yield Entry(url, size, version, _kind(path))


def opened_sources(names: Sequence[str]) -> list[Source]:
    """Return the sources of some names.

    Raises
    ------
    MissingDataError
        If one is not there.
    DataError
        If one is empty, or holds another, whose images would be scored twice.
    """
    sources = [Source(name) for name in names]
    roots = sorted((f"{s.root}/", s.name) for s in sources if not s.is_list)
    for (root, name), (root_of_other, other) in pairwise(roots):  # what lies in one follows it
        if root_of_other.startswith(root):
            raise DataError(
                f"{other}: lies in {name}, so its images could be scored twice; name one of them"
            )
    return sources


def _pattern_of(pattern: str) -> re.Pattern[str]:
    from fsspec.utils import glob_translate

    return re.compile(glob_translate(pattern))


def _kind(path: str) -> Literal["image", "tar"]:
    return "tar" if path[-4:].lower() in TARS else "image"


def _stat(path: str) -> Entry:
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return Entry(path, None, "", _kind(path))
    return Entry(path, status.st_size, str(status.st_mtime_ns), _kind(path))


def _objects_of_s3(files: Any, inside: str, after: str) -> Iterator[tuple[str, int, str]]:
    """Yield the objects below a prefix as the storage lists them, a thousand at a time."""
    bucket, _, prefix = inside.partition("/")
    asked: dict[str, Any] = {"Bucket": bucket, "Prefix": prefix and f"{prefix.rstrip('/')}/"}
    if after:
        asked["StartAfter"] = after.partition("/")[2]
    elif prefix and files.isfile(inside):
        details = files.info(inside)
        yield inside, details["size"], str(details.get("ETag", "")).strip('"')
        return
    while True:
        try:
            page = files.call_s3("list_objects_v2", **asked)
        except FileNotFoundError as error:
            raise MissingDataError(f"s3://{bucket}: no such bucket") from error
        except Exception as error:
            raise DataError(f"s3://{inside}: cannot be listed ({reason_of(error)})") from error
        for found in page.get("Contents", ()):
            yield f"{bucket}/{found['Key']}", found["Size"], found.get("ETag", "").strip('"')
        if not page.get("IsTruncated"):
            return
        asked = {name: value for name, value in asked.items() if name in ("Bucket", "Prefix")} | {
            "ContinuationToken": page["NextContinuationToken"]
        }


def _objects(files: Any, inside: str, after: str) -> Iterator[tuple[str, int, str]]:
    """Yield the files below a folder of any storage, folder by folder."""
    last = after.split("/") if after else []
    try:
        for details in _below(files, inside):
            if details["name"].split("/") > last:
                version = details.get("ETag") or details.get("mtime") or ""
                yield details["name"], details["size"], str(version)
    except OSError as error:
        raise DataError(f"{inside}: cannot be listed ({reason_of(error)})") from error


def _below(files: Any, folder: str) -> Iterator[dict[str, Any]]:
    for details in sorted(files.ls(folder, detail=True), key=lambda found: found["name"]):
        if details["type"] == "directory":
            yield from _below(files, details["name"])
        else:
            yield details
