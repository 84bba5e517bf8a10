"""What users import: the names, where they say they live, and the names that the docs use."""

import ast
import importlib
import inspect
import re
from collections.abc import Iterator

import pytest

import adacl
from support.helpers import REPOSITORY

PUBLIC = {
    "adacl": {
        "AnomalyDetector": "adacl.detector",
        "Config": "adacl.config",
        "PyODDetector": "adacl.pyod_adapter",
        "Scorer": "adacl.runtime",
        "VideoAnomalyDetector": "adacl.video.detector",
        "VideoConfig": "adacl.video.config",
        "__version__": None,
        "preset": "adacl.config.presets",
    },
    "adacl.anomalies": {
        "KINDS": None,
        "check_anomaly_config": "adacl.anomalies",
        "cut_paste": "adacl.anomalies",
        "draw_kinds": "adacl.anomalies",
        "make": "adacl.anomalies",
        "make_mixture": "adacl.anomalies",
        "mix_up": "adacl.anomalies",
        "puzzling": "adacl.anomalies",
        "register": "adacl.anomalies",
        "rotation": "adacl.anomalies",
        "skip": "adacl.anomalies",
    },
    "adacl.config": {
        "PARAMETER_LIMIT": None,
        "AnomalyConfig": "adacl.config",
        "Config": "adacl.config",
        "LabelConfig": "adacl.config",
        "LocalConfig": "adacl.config",
        "NetworkConfig": "adacl.config",
        "ThresholdConfig": "adacl.config",
        "TrainingConfig": "adacl.config",
    },
    "adacl.errors": {
        "AdaclError": "adacl.errors",
        "ConfigError": "adacl.errors",
        "DataError": "adacl.errors",
        "ImageError": "adacl.errors",
        "InputError": "adacl.errors",
        "MissingDataError": "adacl.errors",
        "MissingExtraError": "adacl.errors",
        "ModelFileError": "adacl.errors",
        "TrainingError": "adacl.errors",
    },
    "adacl.metrics": {
        "Localisation": "adacl.metrics",
        "auroc": "adacl.metrics",
        "auroc_interval": "adacl.metrics",
        "average_precision": "adacl.metrics",
        "equal_error_rate": "adacl.metrics",
        "evaluation": "adacl.metrics",
        "roc": "adacl.metrics",
    },
    "adacl.runtime": {"Scorer": "adacl.runtime"},
}
"""Each public module: its names in order, and the module that each object reports as its own."""

PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]
USUAL = {"detector": adacl.AnomalyDetector, "scorer": adacl.Scorer, "config": adacl.Config}


@pytest.mark.parametrize("module", PUBLIC)
def test_a_public_module_has_exactly_these_names(module):
    assert importlib.import_module(module).__all__ == list(PUBLIC[module])


@pytest.mark.parametrize("module", PUBLIC)
def test_every_public_object_reports_a_module_that_has_it(module):
    for name, home in PUBLIC[module].items():
        found = getattr(importlib.import_module(module), name)
        if home is None:
            assert not inspect.isclass(found)
            assert not inspect.isroutine(found)
            continue
        assert found.__module__ == home
        assert getattr(importlib.import_module(home), name) is found


@pytest.mark.parametrize("module", PUBLIC)
def test_what_reports_a_public_module_is_among_its_names(module):
    unlisted = {
        name
        for name, found in vars(importlib.import_module(module)).items()
        if (inspect.isclass(found) or inspect.isroutine(found))
        and found.__module__ == module
        and not name.startswith("_")
    }
    assert unlisted - PUBLIC[module].keys() == UNLISTED.get(module, set())


UNLISTED = {"adacl.errors": {"is_out_of_memory", "missing_extra"}}


def _blocks() -> Iterator[tuple[str, ast.Module]]:
    for page in PAGES:
        for code in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            yield page.name, ast.parse(code)


def test_the_docs_import_only_public_names():
    imported = set()
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for module, names in re.findall(r"from (adacl[\w.]*) import ([\w, ]+)", text):
            assert module in PUBLIC, page.name
            imported |= set(names.split(", "))
            assert set(names.split(", ")) <= PUBLIC[module].keys(), page.name
    assert imported >= {"AnomalyDetector", "Config", "PyODDetector", "Scorer"}


def test_methods_and_arguments_in_the_docs_exist():
    checked = set()
    for page, block in _blocks():
        classes = dict(USUAL)
        for node in ast.walk(block):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in adacl.__all__:
                called = getattr(adacl, node.func.id)
                known = inspect.signature(called).parameters
                assert {keyword.arg for keyword in node.keywords} <= known.keys(), page
            if isinstance(node, ast.Assign):
                made = {x.id for x in ast.walk(node.value) if isinstance(x, ast.Name)}
                for name in made & set(adacl.__all__):
                    classes[node.targets[0].id] = getattr(adacl, name)
        for node in ast.walk(block):
            if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") in classes:
                owner = classes[node.value.id]
                checked.add(node.attr)
                annotated = inspect.get_annotations(owner)
                source = inspect.getsource(inspect.getmodule(owner.__init__) or owner)
                known = hasattr(owner, node.attr) or node.attr in annotated
                assert known or f"self.{node.attr} " in source, f"{page}: {node.attr}"
    assert checked >= {"anomaly_score", "anomaly_map", "predict", "score_files", "events"}


def test_modules_named_in_the_docs_exist():
    named = set()
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        named |= set(re.findall(r"`(adacl\.(?:errors|metrics|runtime|anomalies)[\w.]*)`", text))
    assert named
    for name in named:
        module = ".".join(name.split(".")[:2])
        found = importlib.import_module(module)
        for part in name.split(".")[2:]:
            found = getattr(found, part)
