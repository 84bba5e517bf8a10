"""Count the memory that scoring takes for the largest images, by the number of readers.

The images have 134 megapixels, as many as adacl opens, one or three channels and nothing but zeros:
their files are sparse. An exported model that resizes them, cuts them into tiles or maps them in
their own size scores as many as all readers take at once; the peak of the process is compared with
that for small images. A run that would not fit into the free memory is left out::

    python -m benchmarks.hardening.memory
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from adacl.deploy.scorer import FILES, Scorer
from adacl.imaging.spec import MAX_PIXELS
from benchmarks.common import RESULTS, adacl, record
from benchmarks.hardening.common import ONE, TINY, earlier, run

SIDE = math.isqrt(MAX_PIXELS)
CHANNELS = {"grey": ("P5", 1), "colour": ("P6", 3)}
KINDS = {
    "resized": (64, [*TINY, *ONE]),
    "tiles": (64, [*TINY, *ONE, "--tile", "32x32"]),
    "map": (1024, ["--preset", "inspect", *ONE]),
}
"""Side of the images to learn from, which a map has to have seen large, and options of the fit."""
EXPECTED_COPIES = 3
"""Of the pixels for each reader: what a run is assumed to need when it is decided upon."""


def main() -> None:
    """Score large images by so many readers."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--readers", type=int, nargs="+", default=[1, 2, 16])
    parser.add_argument("--channels", nargs="+", default=[*CHANNELS], choices=CHANNELS)
    parser.add_argument("--kinds", nargs="+", default=[*KINDS], choices=KINDS)
    given = parser.parse_args()
    results = earlier(RESULTS / "memory.json")
    with tempfile.TemporaryDirectory() as name:
        for kind in given.kinds:
            folder = Path(name) / kind
            model, good = fitted(folder, kind)
            small = scored(model, good, 1)["MiB at the peak"]
            for channels in given.channels:
                for readers in given.readers:
                    images = folder / f"{channels}-{readers}"
                    at_once = min(FILES, Scorer(model).at_once)
                    mib = write_large(images, channels, at_once * readers)
                    title = f"{kind}, {channels}, {readers} readers"
                    if small + EXPECTED_COPIES * mib * readers > free_mib():
                        results[title] = "left out: too little memory is free"
                    else:
                        found = scored(model, images, readers)
                        above = found["MiB at the peak"] - small
                        found |= {"MiB for small images": small, "MiB of an image": round(mib)}
                        found["images' worth for each reader"] = round(above / mib / readers, 2)
                        results[title] = found
                    print(title, json.dumps(results[title]), flush=True)
                    record(RESULTS / "memory.json", results)


def fitted(folder: Path, kind: str) -> tuple[Path, Path]:
    """Fit a model and export it; return it and the images learnt."""
    side, options = KINDS[kind]
    good = folder / "good"
    good.mkdir(parents=True)
    for number in range(12):
        pixels = np.random.default_rng(number).integers(90, 166, (side, side), np.uint8)
        Image.fromarray(pixels).save(good / f"{number:02d}.png")
    for arguments in (
        ("fit", good, "-o", folder / "m.adacl", *options, "--epochs", "1"),
        ("export", folder / "m.adacl", folder / "m.onnx", "--dynamic-batch"),
    ):
        ended = run(*arguments)
        assert ended.returncode == 0, ended.stderr
    return folder / "m.onnx", good


def write_large(folder: Path, channels: str, count: int) -> float:
    """Fill a folder with images as large as adacl opens, all one file; return the MiB of one."""
    folder.mkdir()
    magic, depth = CHANNELS[channels]
    first = folder / "000.pnm"
    head = f"{magic} {SIDE} {SIDE} 255\n".encode()
    first.write_bytes(head)
    size = depth * SIDE * SIDE
    with first.open("r+b") as file:
        file.truncate(len(head) + size)
    for number in range(1, count):
        (folder / f"{number:03d}.pnm").hardlink_to(first)
    return size / 2**20


def free_mib() -> float:
    """Return the memory that can be taken without swapping."""
    lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    return int(lines["MemAvailable"].split()[0]) / 1024


def scored(model: Path, images: Path, readers: int) -> dict[str, Any]:
    """Score a folder by so many readers, and return how many were and the peak of the memory."""
    options = ["--format", "jsonl", "--readers", str(readers)]
    done = adacl("score", str(model), str(images), *options)
    return {"answers": len(done["output"].splitlines()), "MiB at the peak": done["peak_mib"]}


if __name__ == "__main__":
    main()
