"""The models that are served."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from adacl.deploy.opening import open_exported
from adacl.errors import ConfigError, InputError
from adacl.files import read_whole
from adacl.model.gate import check_files
from adacl.serve.problems import ProblemError


class Served:
    """A served model and its name.

    Parameters
    ----------
    name
        By which requests choose it.
    path
        An exported file, or a model file, which is exported.
    backend
        What runs it.
    model_file
        The model file it was exported from, if it was trained here.

    Raises
    ------
    MissingDataError, ModelFileError, InputError
        If the file is not there, not sound, or not a model of single image files.
    """

    def __init__(
        self, name: str, path: Path, backend: str = "onnxruntime", model_file: Path | None = None
    ) -> None:
        self.name = name
        self.model_file = model_file
        self.scorer = open_exported(path, backend, threads=1)
        self.scorer.header.check_kind(path, video=False, taker="adacl serve")
        try:
            check_files(self.scorer.spec)
        except InputError as error:
            raise InputError(f"{path}: {error}") from error

    def describe(self) -> dict[str, Any]:
        """Return the fields that clients see."""
        scorer = self.scorer
        training = scorer.header.training
        return {
            "name": self.name,
            "height": scorer.spec.height,
            "width": scorer.spec.width,
            "channels": scorer.spec.channels,
            "tiled": scorer.tiling is not None,
            "any_size": scorer.header.any_size,
            "threshold": scorer.threshold.to_dict(),
            "parameters": training["parameters"],
            "fingerprint": scorer.header.fingerprint,
            "trained_here": self.model_file is not None,
            "kept_epoch": scorer.header.history.best_epoch,
            "training": training,
        }

    def file(self, form: str) -> bytes | None:
        """Return the exported file (``onnx``) or the model file (``adacl``), if there is one."""
        if form == "onnx":
            return self.scorer.content
        return read_whole(self.model_file) if self.model_file else None


class Models:
    """The served models by name; the first is the default."""

    def __init__(self) -> None:
        self._served: dict[str, Served] = {}

    def __iter__(self) -> Iterator[Served]:
        return iter(self._served.values())

    def __len__(self) -> int:
        return len(self._served)

    def get(self, name: str | None) -> Served:
        """Return the model of that name, or the first one.

        Raises
        ------
        ProblemError
            404 if there is none.
        """
        served = next(iter(self), None) if name is None else self._served.get(name)
        if served is None:
            known = ", ".join(self._served) or "none yet"
            raise ProblemError(404, f"no model is called {name!r}; there are: {known}")
        return served

    def add(self, served: Served) -> None:
        """Serve a further model.

        Raises
        ------
        ConfigError
            If the name is taken.
        """
        if served.name in self._served:
            raise ConfigError(f"two models are called {served.name}; rename one of the files")
        self._served[served.name] = served

    def free_name(self, wanted: str) -> str:
        """Return ``wanted``, followed by a number if the name is taken."""
        number, name = 1, wanted
        while name in self._served:
            number += 1
            name = f"{wanted}-{number}"
        return name
