"""The documentation: its commands run, its options exist, and its words are plain.

A console block runs in a folder of small images, with small networks in place of the presets',
unless the line above it says ``<!-- excerpt: why -->``.
"""

import re
import shlex
import shutil
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from PIL import Image
from typer.main import get_command

from adacl import AnomalyDetector, cli
from adacl.config.presets import PRESETS, preset
from support.helpers import REPOSITORY, TINY, call
from support.textures import scratched, textures

PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]
EXTRAS = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"][
    "optional-dependencies"
]
SMALL = preset("inspect").replace(
    training__epochs=1,
    training__min_epoch_images=16,
    training__batch_size=4,
    training__crop=40,
    network__channels=[4, 6, 8, 8],
)
ADACL: Any = get_command(cli.app)
ENDLESS = {"serve"}
WRITTEN = {"commands", "settings"}
"""Pages that come from the code."""
MOST_WORDS = 11_500
"""Of the pages for users together, code left out: what they look up stands in the reference."""


@dataclass(frozen=True)
class Block:
    """A console block of a page: its commands, and whether it is an excerpt."""

    page: str
    commands: tuple[tuple[str, ...], ...]
    excerpt: bool

    @property
    def programs(self) -> set[str]:
        return {command[0] for command in self.commands}


def blocks() -> Iterator[Block]:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for mark, block in re.findall(r"(?m)^(.*)\n```console\n((?:(?!```).*\n)*)", text):
            lines = re.findall(r"^\$ (.*)", block.replace("\\\n", ""), re.MULTILINE)
            commands = tuple(
                tuple(shlex.split(line.split(" > ")[0], comments=True)) for line in lines
            )
            name = str(page.relative_to(REPOSITORY))
            yield Block(name, commands, mark.startswith("<!-- excerpt: "))


BLOCKS = list(blocks())
RUN = sorted({block.page for block in BLOCKS if not block.excerpt})


def the_command(words: list[str]) -> tuple[Any, list[str]]:
    """Return the command that the words after ``adacl`` name, and the rest of the words."""
    command = ADACL
    while hasattr(command, "commands"):
        assert words, "names no command"
        assert words[0] in command.commands, f"no command adacl {words[0]}"
        command, words = command.commands[words[0]], words[1:]
    return command, words


@pytest.fixture
def small_presets(monkeypatch):
    for name in PRESETS:
        monkeypatch.setitem(PRESETS, name, SMALL if name == "inspect" else TINY)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Return a folder with the folders of images that the pages speak of."""
    root = tmp_path_factory.mktemp("docs")

    def write(folder, pictures):
        for number, picture in enumerate(pictures):
            path = (
                root / folder / f"group-{number // 4}" / f"kos{number // 4}_part-{number:03d}.png"
            )
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(path)

    good, more, new = (textures(count, (72, 72), seed) for seed, count in enumerate((24, 16, 3)))
    bad, masks = scratched(textures(6, (72, 72), 9))
    write("good", good)
    write("bad", bad)
    write("masks", masks)
    write("more_good", more)
    for number, picture in enumerate(new):
        (root / "new").mkdir(exist_ok=True)
        Image.fromarray(picture).save(root / "new" / f"part-{number:03d}.png")
    files = [str(path.relative_to(root)) for path in sorted((root / "good").rglob("*.png"))]
    (root / "good.csv").write_text("\n".join(["path", *files]))
    (root / "today.txt").write_text("\n".join(files[:3]))
    Image.linear_gradient("L").resize((72, 72)).save(root / "look.png")
    shutil.copytree(root / "good", root / "good_parts")
    shutil.copytree(root / "more_good", root / "more_good_parts")
    shutil.copytree(root / "new", root / "new_parts")
    shutil.copytree(root / "new", root / "archive")
    for name, kind in (("more_good", "good"), ("bad", "bad")):
        shutil.copytree(root / name, root / "demo" / "test" / kind)
    shutil.copy(root / "new" / "part-000.png", root / "demo" / "test" / "bad" / "8-0008.png")
    detector = AnomalyDetector(config=SMALL).fit(root / "good")
    for name in ("parts.adacl", "demo/digits.adacl"):
        detector.save(root / name)
    return root


def test_console_blocks_run_or_are_marked():
    assert len(BLOCKS) > 30
    for block in BLOCKS:
        assert block.commands, f"{block.page}: a console block without a command"
        assert block.excerpt or block.programs <= {"adacl", "make", "pip"}, block


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_line_of_a_paragraph_becomes_a_heading(page):
    text = re.sub(r"(?ms)^```.*?^```", "", page.read_text(encoding="utf-8"))
    assert not re.search(r"(?m)^ {0,3}#+[^# ].*", text)


@pytest.mark.parametrize("page", RUN)
def test_the_commands_of_a_page_run(page, images, tmp_path, small_presets, monkeypatch):
    folder = tmp_path / "here"
    shutil.copytree(images, folder)
    monkeypatch.chdir(folder)
    commands = [c for b in BLOCKS if b.page == page and not b.excerpt for c in b.commands]
    for program, *words in commands:
        if program == "adacl" and words[0] not in ENDLESS:
            code, _, err = call(*words)
            assert code == 0, f"adacl {' '.join(words)}: {err}"


def test_every_command_of_a_block_is_understood(monkeypatch):
    monkeypatch.setenv("ADACL_VIDEO", "rtsp://camera/stream")
    for block in BLOCKS:
        for program, *words in block.commands:
            if program == "adacl":
                command, rest = the_command(words)
                command.make_context(command.name, rest)
            if program == "pip":
                for names in re.findall(r"\[([\w,]+)\]", " ".join(words)):
                    assert set(names.split(",")) <= EXTRAS.keys(), block.page
            if program == "make":
                assert f"\n{words[0]}: " in (REPOSITORY / "Makefile").read_text(), block.page


def test_commands_and_options_in_the_text_exist():
    known = set()
    commands = [ADACL]
    while commands:
        command = commands.pop()
        commands += getattr(command, "commands", {}).values()
        known |= {name for p in command.params for name in (*p.opts, *p.secondary_opts)}
    known |= {"--help", "--version"}
    for page in PAGES:
        text = re.sub(r"(?ms)^```.*?^```", "", page.read_text(encoding="utf-8"))
        for code in re.findall(r"`([^`]+)`", text):
            for option in re.findall(r"(?<![\w-])--[a-z][\w-]*", code):
                if not re.match(r"(python|pip|pytest|make|curl|docker|--data-binary)\b", code):
                    assert option in known, f"{page.name}: {code}"
            name = re.match(r"adacl ([a-z]\w*)", code)
            if name:
                assert name[1] in ADACL.commands, f"{page.name}: {code}"


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"])
def test_files_beside_the_docs_lead_to_files(name):
    """Links between the pages are checked by ``make docs``."""
    text = (REPOSITORY / name).read_text(encoding="utf-8")
    links = re.findall(r"\]\((?!\w+:|#)([^)#\s]+)", text)
    assert links or name != "README.md"
    for link in links:
        assert (REPOSITORY / link).is_file(), link
    for path in re.findall(r"`(docs/[\w./-]+)`", text):
        assert (REPOSITORY / path).exists(), path


def test_pages_avoid_the_phrases_of_the_list():
    guide = (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = guide.split("| avoid | write |\n|---|---|\n")[1].split("\n\n")[0].splitlines()
    phrases = [phrase for row in rows for phrase in row.split("|")[1].strip().split(", ")]
    assert len(phrases) > 30
    avoided = "|".join(map(re.escape, phrases))
    for page in PAGES:
        if page.stem not in WRITTEN:
            text = re.sub(r"(?ms)^```.*?^```|`[^`]*`", "", page.read_text(encoding="utf-8"))
            found = re.findall(rf"(?i)(?<!\w)(?:{avoided})(?!\w)", re.sub(r"\s+", " ", text))
            assert not found, f"{page.name}: {found}"


def test_the_pages_for_users_stay_short():
    words = 0
    for page in PAGES:
        if page.parent.name not in ("reference", "api", "evidence"):
            text = re.sub(r"(?s)```.*?```|\]\([^)]*\)", "", page.read_text(encoding="utf-8"))
            words += sum(bool(re.search(r"\w", word)) for word in text.split())
    assert 5_000 < words <= MOST_WORDS, "say it once, or in docs/reference"
