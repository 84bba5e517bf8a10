"""``adacl demo``."""

import re
import shlex
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
        code, out, _ = call("demo", "-o", tmp_path / "my demo", "-q")
        assert code == 0
    assert "AUROC" in out
    commands = [shlex.split(line) for line in out.splitlines()[-3:]]
    assert commands[0][:3] == ["adacl", "fit", str(tmp_path / "my demo" / "good")]
    assert commands[1] == ["adacl", "score", "parts.adacl", str(tmp_path / "my demo" / "test")]
    for path in (commands[0][2], commands[1][3], commands[2][4], commands[2][6]):
        assert Path(path).is_dir()
    page = (tmp_path / "my demo" / "report.html").read_text()
    assert "Digit 3 against the rest" in page
    assert "adacl evaluate" in page
    assert not re.search(r"""<[^>]* (src|href)=["'](?!data:|#)""", page)
