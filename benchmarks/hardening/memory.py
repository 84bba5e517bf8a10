"""Count the memory that scoring takes for the largest images, by the number of readers.

The images have 134 megapixels, as many as adacl opens, one or three channels and nothing but zeros:
their files are sparse. A model that resizes them scores as many as all readers take at once; the
peak of the process is compared with that for small images. A run that would not fit into the free
memory is left out::

    python -m benchmarks.hardening.memory
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from pathlib import Path
from typing import Any

from adacl.data.images import MAX_PIXELS
from adacl.deploy.scorer import FILES
from benchmarks.common import RESULTS, adacl, record
from benchmarks.hardening.common import ONE, TINY, earlier, run, write_textures

SIDE = math.isqrt(MAX_PIXELS)
CHANNELS = {"grey": ("P5", 1), "colour": ("P6", 3)}
EXPECTED_COPIES = 3
"""Of the pixels for each reader: what a run is assumed to need when it is decided upon."""


def main() -> None:
    """Score large images by so many readers."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--readers", type=int, nargs="+", default=[1, 2, 16])
    parser.add_argument("--channels", nargs="+", default=[*CHANNELS], choices=CHANNELS)
    parser.add_argument("--model", type=Path, help="a model or an exported one, instead of fitting")
    given = parser.parse_args()
    results = earlier(RESULTS / "memory.json")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        good = write_textures(folder / "good", 12)
        model = given.model or fitted(folder, good)
        small = scored(model, [*good.iterdir()][:2], 1)["MiB at the peak"]
        for channels in given.channels:
            for readers in given.readers:
                image, mib = write_large(folder, channels)
                title = f"{model.suffix[1:]}, {channels}, {readers} readers"
                if small + EXPECTED_COPIES * mib * readers > free_mib():
                    results[title] = "left out: too little memory is free"
                else:
                    found = scored(model, [image] * FILES * readers, readers)
                    above = found["MiB at the peak"] - small
                    found |= {"MiB for small images": small, "MiB of an image": round(mib)}
                    found["images' worth for each reader"] = round(above / mib / readers, 2)
                    results[title] = found
                print(title, json.dumps(results[title]), flush=True)
                record(RESULTS / "memory.json", results)


def fitted(folder: Path, good: Path) -> Path:
    """Fit a small model and export it."""
    for arguments in (
        ("fit", good, "-o", folder / "m.adacl", *TINY, *ONE, "--epochs", "1"),
        ("export", folder / "m.adacl", folder / "m.onnx", "--dynamic-batch"),
    ):
        ended = run(*arguments)
        assert ended.returncode == 0, ended.stderr
    return folder / "m.onnx"


def write_large(folder: Path, channels: str) -> tuple[Path, float]:
    """Write an image as large as adacl opens; return it and the MiB of its pixels."""
    magic, count = CHANNELS[channels]
    path = folder / f"{channels}.pnm"
    head = f"{magic} {SIDE} {SIDE} 255\n".encode()
    path.write_bytes(head)
    size = count * SIDE * SIDE
    with path.open("r+b") as file:
        file.truncate(len(head) + size)
    return path, size / 2**20


def free_mib() -> float:
    """Return the memory that can be taken without swapping."""
    lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    return int(lines["MemAvailable"].split()[0]) / 1024


def scored(model: Path, images: list[Path], readers: int) -> dict[str, Any]:
    """Score images by so many readers, and return how many were and the peak of the memory."""
    options = ["--format", "jsonl", "--readers", str(readers)]
    done = adacl("score", str(model), *map(str, images), *options)
    return {"answers": len(done["output"].splitlines()), "MiB at the peak": done["peak_mib"]}


if __name__ == "__main__":
    main()
