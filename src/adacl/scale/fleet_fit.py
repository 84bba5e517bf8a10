"""Fit a model for each part, one core each, and keep a record of each beside it."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import Any

from adacl._version import __version__
from adacl.config import Config
from adacl.config.presets import by_size, parse_settings, preset_of_images
from adacl.data.folders import list_images
from adacl.data.training_set import probe_files
from adacl.errors import AdaclError, DataError, MissingDataError, missing_extra
from adacl.files import atomic_file, make_folder, read_whole
from adacl.model.verdict import Step
from adacl.scale.engines import Engine, run
from adacl.scale.fleet_parts import Part

TRIES = 2
MOST_WARNINGS = 5
"""Of each part."""
NEEDED = ("torch", "sklearn", "onnx")
"""Modules without which no part gets a model."""
GRADES = ("failed", "weak", "usable", "good")
"""Those that need a look come first."""

NUMBERS = ("normals", "threshold", "validation_auroc", "seconds")
RATES = ("fpr", "upper_bound")
"""Numbers of a model's record, and those that may be unknown."""
LARGEST = 2**53
"""Numbers beyond are not as they were written."""

Record = dict[str, Any]


def fit_parts(parts: Sequence[Part], out: Path, seed: int, engine: Engine) -> Iterator[Record]:
    """Fit the parts that have no model yet, those that fail once more, and yield their records.

    Raises
    ------
    MissingExtraError
        If a package is missing that every part needs.
    DataError
        If a record cannot be written, or its folder not be made.
    """
    for module in NEEDED:
        if find_spec(module) is None:
            raise missing_extra(ModuleNotFoundError(name=module))
    make_folder(out)
    remaining = list(parts)
    for attempt in range(TRIES):
        failed = []
        for outcome in run(engine, partial(fit_part, out.absolute(), seed), remaining):
            record = outcome.result or _failure(outcome.item, str(outcome.error))
            died = isinstance(outcome.error, DataError)  # the engine has tried it again itself
            if record["grade"] == "failed" and not died and attempt < TRIES - 1:
                failed.append(outcome.item)
                continue
            if outcome.result is None:
                _write(out / f"{outcome.item.name}.failed.json", record)
            yield record
        remaining = failed


def fit_part(out: Path, seed: int, part: Part) -> Record:
    """Fit and export the model of a part, unless it is there, and return its record.

    The record is written last, so that a model without one is not finished. That of a model that
    is there becomes the newest of the part, marked as ``kept`` where it is returned; if the model
    was calibrated since, it is exported anew. What goes wrong with the part is told in the record.
    """
    import torch

    torch.set_num_threads(1)
    started = time.perf_counter()
    failed = out / f"{part.name}.failed.json"
    try:
        with _warnings() as warnings:
            paths = list_images(part.source)
            name = f"{part.name}-{_hash_of(part, paths, seed)}"
            kept = _read(out / f"{name}.json")
            if kept and _has_model(out, kept):
                if kept.get("fitted") != _digest(out / f"{name}.adacl"):  # calibrated since
                    kept |= _exported(out / name)
                    _write(out / f"{name}.json", kept)
                os.utime(out / f"{name}.json")
                failed.unlink(missing_ok=True)
                return kept | {"kept": True}
            record = _fit(out / name, part, paths, seed)
    except (AdaclError, OSError, RuntimeError, ValueError, MemoryError) as error:
        record = _failure(part, " ".join(str(error).split()) or type(error).__name__)
        _write(failed, record)
        return record
    if len(warnings) > MOST_WARNINGS:
        warnings[MOST_WARNINGS - 1 :] = [f"and {len(warnings) - MOST_WARNINGS + 1} more warnings"]
    record |= {"warnings": warnings, "seconds": round(time.perf_counter() - started, 2)}
    _write(out / f"{name}.json", record)
    failed.unlink(missing_ok=True)
    return record


def records_in(out: Path) -> list[Record]:
    """Return the record of each part, what needs a look first.

    Where a part has several, the newest counts; those whose model was deleted do not.
    """
    found: dict[str, Record] = {}
    for path in sorted(out.glob("*.json"), key=_changed):
        record = _read(path)
        if record and (record["grade"] == "failed" or _has_model(out, record)):
            found[record["name"]] = record
    return sorted(found.values(), key=lambda row: (GRADES.index(row["grade"]), row["name"]))


def _changed(path: Path) -> int:
    """Return when a file was changed last; of one that another fit has removed meanwhile, 0."""
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def _fit(target: Path, part: Part, paths: list[Path], seed: int) -> Record:
    from adacl.image_detector import ImageDetector

    files = probe_files(paths, "skip")
    auto = part.preset == "auto"
    config = by_size(files.sizes(None)) if auto else preset_of_images(part.preset)
    config = config.replace(**parse_settings(part.settings))
    detector = ImageDetector(config=config, random_state=seed, on_error="skip", device="cpu")
    detector.fit(files)
    if not target.name.endswith(_hash_of(part, paths, seed)):
        raise DataError("its images changed while they were learnt; the same command tries again")
    detector.save(target.with_name(f"{target.name}.adacl"))
    return _described(part, config) | _exported(target)


def _exported(target: Path) -> Record:
    """Export the model file of a part, and return what it says of itself."""
    from adacl.deploy.export import export_model
    from adacl.deploy.opening import read_header
    from adacl.model.advice import advice

    fitted, exported = target.with_name(f"{target.name}.adacl"), f"{target.name}.onnx"
    export_model(fitted, target.with_name(exported), dynamic_batch=True)
    header = read_header(fitted)
    verdict = advice(header, model=fitted.name)
    return {
        "model": exported,
        "fitted": _digest(fitted),
        "grade": verdict.grade,
        "verdict": verdict.why,
        "sensitive": verdict.sensitive,
        "normals": header.training["images"],
        "threshold": header.threshold.value,
        "fpr": header.threshold.fpr,
        "upper_bound": header.threshold.upper_bound,
        "validation_auroc": header.history.best.validation_auroc,
        "next": [_in_fleet(step) for step in verdict.steps],
    }


def _in_fleet(step: Step) -> str:
    """Say a next step so that the model stays in the fleet, which makes its own fits."""
    changes = {
        "normals": "more normal images of it",
        "preset": f"the preset {step.value}",
        "epochs": f"training.epochs={step.value}",
    }
    if step.kind not in changes:
        return str(step)
    return f"{changes[step.kind]}, then adacl scale fit: {step.reason}"


def _described(part: Part, config: Config | None) -> Record:
    return {
        "name": part.name,
        "source": str(part.source),
        "preset": config.preset if config else part.preset,
        "settings": list(part.settings),
        "version": __version__,
    }


def _failure(part: Part, reason: str) -> Record:
    return {**_described(part, None), "grade": "failed", "verdict": reason, "warnings": []}


def _hash_of(part: Part, paths: Sequence[Path], seed: int) -> str:
    """Return a short hash of names and contents of the images, the settings and the version.

    Of an image that cannot be read, which the fit skips and names, it is that of the name.
    """
    digest = hashlib.sha256(json.dumps([__version__, part.preset, part.settings, seed]).encode())
    for path in paths:
        name = path.name.encode(errors="surrogateescape")
        digest.update(name)
        with suppress(MissingDataError):
            digest.update(hashlib.sha256(read_whole(path)).digest())
    return digest.hexdigest()[:12]


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@contextmanager
def _warnings() -> Iterator[list[str]]:
    """Collect what is warned of."""
    found: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: found.append(record.getMessage())  # type: ignore[method-assign]
    log = logging.getLogger("adacl")
    log.addHandler(handler)
    try:
        yield found
    finally:
        log.removeHandler(handler)


def _has_model(out: Path, record: Record) -> bool:
    exported = out / str(record["model"])
    return exported.exists() and exported.with_suffix(".adacl").exists()


def _read(path: Path) -> Record | None:
    try:
        record = json.loads(path.read_bytes())
    except (OSError, RecursionError, ValueError):
        return None
    return record if isinstance(record, dict) and _is_sound(record) else None


def _is_sound(record: Record) -> bool:
    """Tell whether a record has the fields that the tables show."""
    if record.get("grade") not in GRADES:
        return False
    lists = [record.get("settings"), record.get("warnings"), record.get("next", [])]
    if not all(isinstance(words, list) for words in lists):
        return False
    texts = [record.get(name) for name in ("name", "source", "preset", "verdict", "version")]
    texts += [record.get("sensitive", ""), *chain.from_iterable(lists)]
    if not all(isinstance(text, str) for text in texts):
        return False
    if record["grade"] == "failed":
        return not record.keys() & {"model", *NUMBERS, *RATES}
    numbers = [record.get(name) for name in NUMBERS]
    numbers += [record[name] for name in RATES if record.get(name) is not None]
    model = record.get("model")
    return (
        all(isinstance(x, int | float) and not abs(x) > LARGEST for x in numbers)
        and isinstance(record["normals"], int)
        and isinstance(model, str)
        and Path(model).name == model
    )


def _write(path: Path, record: Record) -> None:
    with atomic_file(path, "w") as file:
        json.dump(record, file, indent=1)
