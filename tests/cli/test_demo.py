"""``adacl demo``."""

import re
from pathlib import Path

import pytest

from adacl.config.presets import PRESETS, preset
from support.helpers import call, refused


def test_demo_writes_a_report_and_touches_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adacl.cli.demo.EPOCHS", 2)
    quick = {"training__min_epoch_images": 256, "threshold__folds": 2}
    small = {"network__channels": [4, 8], "network__hidden": 8}
    monkeypatch.setitem(PRESETS, "paper", preset("paper").replace(**quick, **small))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "precious.txt").write_text("keep")
    assert "holds other files" in refused(3, "demo", "-o", tmp_path / "mine")
    for _ in range(2):
        code, out, _ = call("demo", "-o", tmp_path / "demo", "-q")
        assert code == 0
    assert "AUROC" in out
    page = (tmp_path / "demo" / "report.html").read_text()
    assert "Digit 3 against the rest" in page
    assert "adacl evaluate" in page
    assert not re.search(r"""<[^>]* (src|href)=["'](?!data:|#)""", page)
