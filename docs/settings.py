"""Write the page of all settings: ``python docs/settings.py``."""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

from adacl import Config, VideoConfig, preset
from adacl.config.presets import PRESETS
from adacl.config.sections import settings, type_words

PAGE = Path(__file__).parent / "reference" / "settings.md"
HEAD = """\
# All settings

`python docs/settings.py` writes this page from the code, which checks your settings against the
same types and ranges.

- **One setting**: `adacl fit --set training.epochs=20`, or for [video](../how-to/video.md)
  `adacl video fit --set video.stride=15`.
- **Several settings**: a TOML file (`--config`).
- **In Python**: `Config().replace(training__epochs=20)`.
- **Settings that you leave out** have the value of the [preset](../how-to/presets.md). The defaults
  are those of `paper`; other presets are named where they differ. `accurate` chooses `aligned` or
  `varied`, and keeps your settings.
- **The settings of a model**: `adacl info MODEL --json`.

A *network with a map* gives a score for every place of the image, as with the preset `inspect`.
Numbers in brackets are sections of the paper.
"""


def page() -> str:
    """Return the page."""
    sections = {n: hint for n, hint in settings(Config).items() if dataclasses.is_dataclass(hint)}
    parts = (
        _section(name, section) for name, section in (sections | {"video": VideoConfig}).items()
    )
    return "\n".join([HEAD, *parts])


def _section(name: str, section: Any) -> str:
    text = inspect.getdoc(section) or ""
    meanings = dict(re.findall(r"^(\w+)\n((?:    .+\n?)+)", text, re.MULTILINE))
    rows = [
        "| setting | takes | range | default | presets | meaning |",
        "|---|---|---|---|---|---|",
    ]
    defaults = section()
    for setting, hint in settings(section).items():
        default = getattr(defaults, setting)
        cells = (
            f"`{name}.{setting}`",
            type_words(hint),
            _range(hint),
            _value(default),
            "; ".join(_others(name, setting, default)),
            _markdown(meanings[setting]),
        )
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join([f"## {name}\n", _markdown(text.split("\n\n")[0]) + "\n", *rows, ""])


def _range(hint: Any) -> str:
    """Return the rules of a type in words, those of its items last."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        rules = " and ".join(rule.words for rule in arguments[1:])
        return "; ".join(filter(None, (rules, _range(arguments[0]))))
    if origin in (tuple, Mapping):
        items = _range(arguments[0 if origin is tuple else 1])
        return f"each {items}" if items else ""
    return ""


def _others(section: str, setting: str, default: Any) -> Iterator[str]:
    """Yield the values in presets other than the default, each with its presets."""
    presets: dict[str, list[str]] = {}
    for name in PRESETS if section != "video" else ():
        value = getattr(getattr(preset(name), section), setting)
        if name != "accurate" and value != default:
            presets.setdefault(_value(value), []).append(f"`{name}`")
    for value, names in presets.items():
        yield f"{', '.join(names)}: {value}"


def _value(value: Any) -> str:
    return f"`{value if isinstance(value, str) else json.dumps(value)}`"


def _markdown(text: str) -> str:
    text = re.sub(r":\w+:`", "`", " ".join(text.split()))
    return text.replace("``", "`")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
