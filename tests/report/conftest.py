"""A report on labelled images, some of them with hostile names."""

import json

import numpy as np
import pytest

from adacl import AnomalyDetector
from adacl.deploy.export import export_model
from support.helpers import LEARNING, call, write_images
from support.reports import HOSTILE, records


@pytest.fixture(scope="session")
def shop(threes, digits, tmp_path_factory):
    """A model in both forms, and labelled images, some of them with hostile names or broken."""
    root = tmp_path_factory.mktemp("shop")
    AnomalyDetector(config=LEARNING).fit(threes.train).save(root / "threes.adacl")
    export_model(root / "threes.adacl", root / "threes.onnx")
    write_images(root / "good", digits.of(3)[120:])
    others = write_images(root / "bad", digits.other_than(3)[:90])
    for path, name in zip(others, HOSTILE, strict=False):
        (root / "bad" / name).parent.mkdir(exist_ok=True)
        path.rename(root / "bad" / name)
    (root / "bad" / "broken.png").write_bytes(b"not an image")
    return root


@pytest.fixture(scope="session")
def evaluated(shop):
    """The report on them, and the same figures from elsewhere."""
    page = shop / "evaluated.html"
    code, out, err = call(
        "evaluate", shop / "threes.adacl", "--normal", shop / "good", "--abnormal", shop / "bad",
        "--json", "--report", page, "-q",
    )  # fmt: skip
    assert code == 0, err
    return page, json.loads(out)


@pytest.fixture(scope="session")
def raw(shop) -> tuple[np.ndarray, np.ndarray]:
    """The raw scores of the normal images and of the anomalies, as ``adacl score`` writes them."""
    found = (records(shop / "threes.adacl", shop / part) for part in ("good", "bad"))
    return tuple(np.array([float(row["raw_score"]) for row in rows]) for rows in found)
