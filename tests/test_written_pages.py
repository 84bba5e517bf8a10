"""The pages that are written from the code."""

import re
import runpy
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PINNED = re.search(r"(?m)^typer==(.*)$", (ROOT / "constraints.txt").read_text())[1]
BY_TYPER = pytest.mark.skipif(version("typer") != PINNED, reason=f"typer {PINNED} writes the page")


@pytest.mark.parametrize("name", [pytest.param("commands", marks=BY_TYPER), "settings"])
def test_the_page_is_that_of_the_code(name):
    page = runpy.run_path(str(DOCS / f"{name}.py"))["page"]()
    written = (DOCS / "reference" / f"{name}.md").read_text(encoding="utf-8")
    assert written == page, f"run docs/{name}.py"
