"""The pages that are written from the code."""

import runpy
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"


@pytest.mark.parametrize("name", ["commands", "settings"])
def test_the_page_is_that_of_the_code(name):
    page = runpy.run_path(str(DOCS / f"{name}.py"))["page"]()
    written = (DOCS / "reference" / f"{name}.md").read_text(encoding="utf-8")
    assert written == page, f"run docs/{name}.py"
