"""Write the page of all commands: ``python docs/commands.py``."""

from __future__ import annotations

import html
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from typer.main import get_command

from adacl.cli import app

PAGE = Path(__file__).parent / "reference" / "commands.md"
HEAD = """\
# All commands

Written by `python docs/commands.py` from the commands themselves; `adacl COMMAND --help` shows the
same. Results go to stdout, messages and progress to stderr. The page on [errors](errors.md) lists
the exit codes.
"""


def page() -> str:
    """Return the page."""
    return "\n".join([HEAD, *_sections(get_command(app), "adacl")])


def _sections(group: Any, path: str) -> Iterator[str]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _sections(command, f"{path} {name}")
        else:
            yield _section(command, f"{path} {name}")


def _section(command: Any, path: str) -> str:
    context = typer.Context(command, info_name=path)
    usage = " ".join([path, *command.collect_usage_pieces(context)])
    usage = re.sub(r"[{}]|(?<=[]}])\.{3}", "", usage).replace("[[", "[").replace("]]", "]")
    records = [parameter.get_help_record(context) for parameter in command.params]
    rows = [f"| `{_name(name)}` | {_cell(meaning)} |" for name, meaning in filter(None, records)]
    table = ["| argument or option | meaning |", "|---|---|", *rows, ""]
    return "\n".join([f"## {path}\n", f"```text\n{usage}\n```\n", _prose(command.help), "", *table])


def _name(name: str) -> str:
    return re.sub(r"(?<=[A-Z.]) <.*>$", "", name).replace(" range>", ">")


def _cell(text: str) -> str:
    return " ".join(_prose(text).split()).replace("|", r"\|")


def _prose(text: str) -> str:
    """Return help as Markdown: options and the names of fields as code."""
    text = html.escape(inspect.cleandoc(text).replace("\b\n", ""), quote=False)
    text = text.replace("*", r"\*")
    return re.sub(r"(?<![\w-])(--[a-z][\w-]*|\w+_\w+)", r"`\1`", text)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
