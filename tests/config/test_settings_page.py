"""The page of all settings."""

import runpy
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_of_all_settings_is_that_of_the_code():
    page = runpy.run_path(str(DOCS / "settings.py"))["page"]()
    written = (DOCS / "reference" / "settings.md").read_text(encoding="utf-8")
    assert written == page, "run docs/settings.py"
