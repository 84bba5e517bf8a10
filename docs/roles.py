"""Show roles of reStructuredText in docstrings as code, in the API reference."""

from __future__ import annotations

import re
from typing import Any

import griffe


class Roles(griffe.Extension):
    """Turn ``:func:`~a.b.c``` into ``c`` as code, and a final double colon into one."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite the docstring of an object that griffe has read."""
        if obj.docstring:
            text = re.sub(r":\w+:`~(?:\w+\.)*(\w+)`", r"`\1`", obj.docstring.value)
            text = re.sub(r":\w+:(?=`)", "", text)
            obj.docstring.value = re.sub(r"::$", ":", text, flags=re.MULTILINE)
