"""Names that a report must bear, and what is read out of pages and records."""

import csv
import io
import json
import os
import re
from pathlib import Path

from support.helpers import call

HOSTILE = [
    "x<{}script><img src=x onerror=hacked=1>.png".format("/"),
    "\"double\" 'single' & <b>bold.png",
    "{{ 7 * 7 }} {% raw %}.png",
    "‮snømann ☃ 中文\u2028.png",
    "--threshold=9.png",
    os.fsdecode(b"undecodable-\xff\xfe.png"),
]


def records(*arguments: object) -> list[dict[str, str]]:
    """Score images, and return the rows of the table."""
    code, out, err = call("score", *arguments, "--format", "csv", "-q")
    assert code == 0, err
    return list(csv.DictReader(io.StringIO(out)))


def embedded(page: Path) -> dict:
    """Return the data that a page holds for its script."""
    text = page.read_text()
    return json.loads(
        re.search(r'<script type="application/json" id="data">(.*?)</script>', text)[1]
    )
