"""A folder of models, one for each part, as ``adacl scale fit`` writes it."""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path

from adacl.errors import DataError, MissingDataError
from adacl.model.exported_file import checksum_of

TABLE = "models.csv"


class Fleet:
    """The models of a folder, by the names of their parts.

    Parameters
    ----------
    folder
        That ``adacl scale fit`` wrote.

    Attributes
    ----------
    files : dict
        Name of a part to the name of its exported model.

    Raises
    ------
    MissingDataError
        If it has no table of models.
    DataError
        If the table is damaged, or has no model.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            with (folder / TABLE).open(newline="", encoding="utf-8-sig") as file:
                rows = list(csv.DictReader(file, strict=True))
        except OSError as error:
            raise MissingDataError(
                f"{folder / TABLE}: cannot be read ({error.strerror}); it is the table that adacl "
                "scale fit ends with"
            ) from error
        except (UnicodeDecodeError, csv.Error) as error:
            raise DataError(f"{folder / TABLE}: not a sound table ({error})") from error
        rows = [row for row in rows if row.get("name") and row.get("model")]
        self.files = {row["name"]: row["model"] for row in rows}
        self._thresholds = [f"{row['model']} {row.get('threshold')}" for row in rows]
        if not self.files:
            raise DataError(f"{folder / TABLE}: names no model")

    @property
    def hash(self) -> str:
        """A hash of all models, as the table has them and as their files are now."""
        digest = hashlib.sha256("\n".join(sorted(self._thresholds)).encode())
        for name in sorted(self.files.values()):
            digest.update(checksum_of(self.folder / name))
        return digest.hexdigest()

    def model_of(self, path: str) -> Path:
        """Return the exported model of an image: that of the innermost folder that has one.

        Parameters
        ----------
        path
            Path or URL of the image.

        Raises
        ------
        DataError
            If none of the folders it lies in is the name of a part.
        """
        for name in reversed(path.split("/")[:-1]):
            if name in self.files:
                return self.folder / self.files[name]
        raise DataError("no model has the name of a folder it lies in")
