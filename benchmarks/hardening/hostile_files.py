"""Score a folder of damaged files of every format: every one is named or scored, none in silence.

::

    python -m benchmarks.hardening.hostile_files --count 2000
"""

from __future__ import annotations

import argparse
import io
import json
import math
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.common import RESULTS, record
from benchmarks.hardening.common import FIT, peak_mib, run, textures, write_textures

FORMATS = {
    "png": {"format": "PNG"},
    "jpg": {"format": "JPEG", "quality": 90},
    "jpeg": {"format": "JPEG", "progressive": True},
    "bmp": {"format": "BMP"},
    "tif": {"format": "TIFF"},
    "tiff": {"format": "TIFF", "compression": "tiff_lzw"},
    "webp": {"format": "WEBP", "lossless": True},
    "gif": {"format": "GIF"},
    "jp2": {"format": "JPEG2000"},
    "pgm": {"format": "PPM"},
}
Random = np.random.Generator


def bytes_changed(content: bytes, rng: Random) -> bytes:
    """Change up to eight bytes."""
    found = bytearray(content)
    for place in rng.integers(0, len(found), rng.integers(1, 9)):
        found[place] = rng.integers(256)
    return bytes(found)


def head_changed(content: bytes, rng: Random) -> bytes:
    """Change one to four of the first 64 bytes."""
    return bytes_changed(content[:64], rng) + content[64:]


def cut(content: bytes, rng: Random) -> bytes:
    """Cut the end off."""
    return content[: rng.integers(0, len(content))]


def zeroed(content: bytes, rng: Random) -> bytes:
    """Zero a tenth."""
    place, length = rng.integers(0, len(content)), len(content) // 10 + 1
    return (content[:place] + bytes(length) + content[place + length :])[: len(content)]


def repeated(content: bytes, rng: Random) -> bytes:
    """Put a piece in again somewhere else."""
    one, other = sorted(rng.integers(0, len(content), 2))
    place = rng.integers(0, len(content))
    return content[:place] + content[one:other] + content[place:]


def large_number(content: bytes, rng: Random) -> bytes:
    """Put the largest number of 32 bits somewhere into the head."""
    place = int(rng.integers(0, 64))
    return content[:place] + b"\xff\xff\xff\xff" + content[place + 4 :]


MUTATIONS: list[Callable[[bytes, Random], bytes]] = [
    bytes_changed, head_changed, cut, zeroed, repeated, large_number,
]  # fmt: skip


def write_mutations(folder: Path, count: int, rng: Random) -> None:
    """Write damaged files of every format in turn."""
    folder.mkdir()
    images = [*textures(8), *(t.astype(np.uint16) * 257 for t in textures(4, 1))]
    for number in range(count):
        ending = list(FORMATS)[number % len(FORMATS)]
        image = images[rng.integers(len(images) if ending in ("png", "tif", "pgm") else 8)]
        file = io.BytesIO()
        Image.fromarray(image).save(file, **FORMATS[ending])
        content = file.getvalue()
        for _ in range(rng.integers(1, 3)):
            content = MUTATIONS[rng.integers(len(MUTATIONS))](content or b"\0", rng)
        (folder / f"{number:05d}.{ending}").write_bytes(content)


def main() -> None:
    """Write the files, score them, and check what is said of each."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_textures(folder / "good", 30)
        fitted = run("fit", folder / "good", "-o", folder / "m.adacl", *FIT)
        assert fitted.returncode == 0, fitted.stderr
        alone = run("score", folder / "m.adacl", folder / "good", "--format", "jsonl")
        assert alone.returncode == 0, alone.stderr
        before = peak_mib()
        write_mutations(folder / "bad", given.count, np.random.default_rng(given.seed))
        ended = run("score", folder / "m.adacl", folder / "bad", "--format", "jsonl")
        lines = [json.loads(line) for line in ended.stdout.splitlines()]
        scored = {Path(line["image_path"]).name for line in lines}
        skipped = [x for x in ended.stderr.splitlines() if x.startswith("warning: skipped ")]
        files = sorted((folder / "bad").iterdir())
        others = [file.name for file in files if file.name not in scored]
        silent = [name for name in others if name not in ended.stderr]
        results = {
            "files": len(files),
            "scored": len(scored),
            "named and skipped": len(others) - len(silent),
            "in silence": silent,
            "scores that are not finite": sum(not math.isfinite(x["raw_score"]) for x in lines),
            "lines without a name": sum(
                not x.startswith(("warning: ", "adacl: ")) for x in ended.stderr.splitlines()
            ),
            "tracebacks": ended.stderr.count("Traceback"),
            "exit code": ended.returncode,
            "peak MiB": round(peak_mib()),
            "peak MiB of sound files": round(before),
            "reasons": Counter(reason(line) for line in skipped).most_common(12),
        }
    print(json.dumps(results, indent=1))
    record(RESULTS / "hostile_files.json", results)


def reason(line: str) -> str:
    """Return why a file was skipped."""
    return line.partition(": cannot be read (")[2].rstrip(")") or line.rpartition(": ")[2]


if __name__ == "__main__":
    main()
