"""Read the images of tar files one after another, as they were written (WebDataset's layout)."""

from __future__ import annotations

import lzma
import os
import tarfile
import zlib
from collections import Counter
from collections.abc import Iterator
from tarfile import EmptyHeaderError, InvalidHeaderError, TruncatedHeaderError  # type: ignore[attr-defined]
from typing import IO, Self

from adacl.data.image_files import EXTENSIONS
from adacl.errors import AdaclError, DataError, MissingDataError
from adacl.scale.storage import GONE, LARGEST, TOO_LARGE, is_url, open_source, reason_of

Content = bytes | str
"""The bytes of an image, or the reason why there are none."""


class _Header(tarfile.TarInfo):
    """A header that does not take damage for the end, as the library does behind the first file."""

    @classmethod
    def fromtarfile(cls, tarfile: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(tarfile)
        except (EmptyHeaderError, InvalidHeaderError, TruncatedHeaderError) as error:
            raise EOFError(f"damaged or cut: {error}") from error


def images_in(path: str) -> Iterator[tuple[str, Content]]:
    """Yield the path and the bytes of each image of a tar file; other files are passed over.

    A path is that of the tar file, a slash, and the name in it; of several images of one name the
    later ones get a number. If the file cannot be read, or not to its end, the last pair is its own
    path and the reason.

    Raises
    ------
    DataError
        If the storage does not answer.
    """
    seen: Counter[str] = Counter()
    read = 0
    try:
        with open_source(path) as file, _opened(file) as members:
            for member in members:
                name = member.name.removeprefix("./")
                hidden = name.rpartition("/")[2].startswith(".")
                if hidden or os.path.splitext(name)[1].lower() not in EXTENSIONS:
                    continue
                seen[name] += 1
                again = f"#{seen[name]}" if seen[name] > 1 else ""
                content = _content(members, member)
                read += 1
                yield f"{path}/{name}{again}", content
    except MissingDataError as error:
        cause = error.__cause__
        told = isinstance(cause, FileNotFoundError | PermissionError)
        if not told and (is_url(path) or not isinstance(cause, OSError) or cause.errno in GONE):
            raise DataError(str(error)) from error
        yield path, reason_of(cause or error)
    except AdaclError:
        raise
    except (tarfile.TarError, EOFError, ValueError, lzma.LZMAError, zlib.error) as error:
        yield path, f"not a sound tar file after {read} images ({reason_of(error)})"
    except OSError as error:
        if is_url(path):
            raise DataError(f"{path}: cannot be read ({reason_of(error)})") from error
        yield path, f"cannot be read after {read} images ({reason_of(error)})"
    else:
        if not seen:
            yield path, "a tar file without images"


def _opened(file: IO[bytes]) -> tarfile.TarFile:
    return tarfile.open(fileobj=file, mode="r|*", tarinfo=_Header)


def _content(members: tarfile.TarFile, member: tarfile.TarInfo) -> Content:
    if not member.isreg():
        return "a link or device, not a file"
    if member.size > LARGEST:
        return TOO_LARGE
    reader = members.extractfile(member)
    assert reader is not None
    return reader.read()
