"""Lay out public copies of further sets for ``inspection``: surfaces, parts and scans.

    python -m benchmarks.accuracy.further_sets carbon CLONE OUT

CLONE is a clone of the repository below, OUT a new folder. Where a set has no split, a quarter of
the good images is held out at random (seed 0), of fabric a quarter of each of the seven fabrics, of
paper the last third of the sheets of each of the twelve papers, of the block half of its
photographs. The method was fixed before each set was measured for the first time. Some have become
development sets since, see docs/evidence/inspection.md.
The anomalies of ``papers`` and ``cells`` are whole images: papers and solar cells of another kind.
"""

from __future__ import annotations

import argparse
import random
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

FOUND_IN = {
    "carbon": "idinyte/SimpleNet_SDU, its own split: layers of carbon fibre, 1,024×1,024",
    "aitex": "sadanalog/defect-detection-using-cnn: AITEX, 4,096×256 grey",
    "piped": "bianconif/PIPED: impurities in twelve kinds of paper, 128×128, CC BY 4.0",
    "papers": "bianconif/PIPED: the first six kinds of paper, and the six others as anomalies",
    "cells": "zae-bayern/elpv-dataset as folders: mono cells, and poly cells as anomalies",
    "bricks": "Smalleaves123/CrackCV: photographs of brick walls, half of them cracked, 227×227",
    "pcb": "tangsanli5201/DeepPCB: seven printed circuit boards, 640×640, two grey levels, MIT",
    "castings": "alwinpaul1/explainable-ai-quality-inspection: pump impellers, 512×512 grey",
    "figures": "aws-samples/amazon-lookout-for-vision: toy aliens, 550×380, MIT-0 or CC BY-SA 4.0",
    "headct": "Roiabr/Head-CT-hemorrhage-detection: from the web, 134 to 957 pixels, mixed",
    "block": "aaronzink/tensorflow-visual-inspection: screws in a block of wood, 256×257",
    "sperm": "soroushj/mhsma-dataset: human sperm cells, 128×128 grey, CC BY-NC-SA 4.0",
}
KINDS = {
    "002": "broken_end", "006": "broken_yarn", "010": "broken_pick", "016": "weft_curling",
    "019": "fuzzyball", "022": "cut_selvage", "023": "crease", "025": "warp_ball", "027": "knots",
    "029": "contamination", "030": "nep", "036": "weft_crack",
}  # fmt: skip
GROUND = 135, 185
"""Median grey of the border of the castings used: most of those on brighter paper are good, so that
the background would show the label."""
NO_FABRIC = "08"
"""Defects of this fabric have no good images beside them."""
SCREWS = (5, 69, 261, 326), (305, 69, 561, 326), (5, 429, 261, 686), (325, 429, 581, 686)
"""Where the authors of that set look for the four screws."""
CELL = "acrosome", "head", "vacuole", "tail"

Copy = tuple[Path | Image.Image, str]


def main() -> None:
    """Copy the images of a set."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("name", choices=FOUND_IN)
    parser.add_argument("clone", type=Path)
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    given.out.mkdir()
    layouts = {
        "carbon": _carbon, "aitex": _fabric, "piped": _piped, "papers": _papers, "cells": _cells,
        "headct": _headct, "bricks": _bricks, "pcb": _boards, "castings": _castings,
        "figures": _figures, "block": _block, "sperm": _sperm,
    }  # fmt: skip
    for source, target in layouts[given.name](given.clone):
        path = given.out / target
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(source, Path):
            shutil.copyfile(source, path)
        else:
            source.save(path)


def _carbon(clone: Path) -> Iterator[Copy]:
    root = clone / "dataset" / "toothbrush"  # it took the place of that category of MVTec AD
    for part in ("train/good", "test/good", "test/defective", "ground_truth/defective"):
        yield from ((path, f"{part}/{path.name}") for path in sorted((root / part).iterdir()))


def _fabric(clone: Path) -> Iterator[Copy]:
    generator = random.Random(0)
    for fabric in sorted((clone / "dataset" / "NoDefect_images").iterdir()):
        good = [p for p in sorted(fabric.iterdir()) if re.fullmatch(r"\d{4}_000_\d\d\.png", p.name)]
        held_out = set(generator.sample(good, len(good) // 4))
        for path in good:
            yield path, f"{'test' if path in held_out else 'train'}/good/{path.name}"
    for path in sorted((clone / "dataset" / "Defect_images").iterdir()):
        name = re.fullmatch(r"\d{4}_(\d{3})_(\d\d)\.png", path.name)
        if name and name[2] != NO_FABRIC:
            yield path, f"test/{KINDS[name[1]]}/{path.name}"


def _piped(clone: Path) -> Iterator[Copy]:
    for folder in sorted((clone / "data").glob("PA_*")):
        good = sorted((folder / "NoDefects").glob("*.bmp"), key=_sheet)
        sheets = sorted(set(map(_sheet, good)))
        held_out = sheets[2 * len(sheets) // 3 :]
        for path in good:
            yield path, f"{'test' if _sheet(path) in held_out else 'train'}/good/{path.name}"
        masks = {_numbers(path): path for path in (folder / "Defects").glob("GroundT*/*.bmp")}
        for path in sorted((folder / "Defects").glob("*.bmp")):
            yield path, f"test/{folder.name}/{path.name}"
            dark = ImageOps.invert(Image.open(masks[_numbers(path)]).convert("L"))
            yield dark, f"ground_truth/{folder.name}/{path.stem}_mask.png"


def _papers(clone: Path) -> Iterator[Copy]:
    normal = sorted(folder.name for folder in (clone / "data").glob("PA_*"))[:6]
    for path, target in _piped(clone):
        if isinstance(path, Path) and "/good/" in target:
            paper = path.parts[-3]
            if paper in normal:
                yield path, target
            elif target.startswith("test/"):
                yield path, target.replace("good", paper)


def _cells(folders: Path) -> Iterator[Copy]:
    for source, target in (
        ("mono/train", "train/good"),
        ("mono/test", "test/good"),
        ("poly/test", "test/poly"),
    ):
        for path in sorted((folders / source / "good").iterdir()):
            yield path, f"{target}/{path.name}"


def _numbers(path: Path) -> tuple[int, int]:
    """Return the numbers of a sheet and of a piece of it."""
    sheet, piece = path.stem.split("_")[-2:]
    return int(sheet), int(piece)


def _sheet(path: Path) -> int:
    return _numbers(path)[0]


def _headct(clone: Path) -> Iterator[Copy]:
    root = clone / "Dataset"
    lines = (root / "labels.csv").read_text().splitlines()[1:]
    labels = {int(a): b.strip() for a, b in (line.split(",") for line in lines if line.strip())}
    good = sorted(number for number, label in labels.items() if label == "0")
    held_out = set(random.Random(0).sample(good, len(good) // 4))
    for number, label in sorted(labels.items()):
        part = "test" if label != "0" or number in held_out else "train"
        kind = "good" if label == "0" else "hemorrhage"
        yield root / "head_ct" / f"{number:03}.png", f"{part}/{kind}/{number:03}.png"


def _bricks(clone: Path) -> Iterator[Copy]:
    good = sorted((clone / "dataset" / "Negative").iterdir())
    held_out = set(random.Random(0).sample(good, len(good) // 4))
    for path in good:
        yield path, f"{'test' if path in held_out else 'train'}/good/{path.name}"
    for path in sorted((clone / "dataset" / "Positive").iterdir()):
        yield path, f"test/crack/{path.name}"


def _boards(clone: Path) -> Iterator[Copy]:
    """Take a third of the templates to learn, and test on other places of the same boards."""
    root = clone / "PCBData"
    learnt, tested = (
        [root / line.split()[0] for line in (root / name).read_text().splitlines() if line]
        for name in ("trainval.txt", "test.txt")
    )
    for path in learnt[::3]:
        yield _with(path, "temp"), f"train/good/{path.name}"
    boards = {path.parts[-3] for path in learnt}
    for number, path in enumerate(path for path in tested if path.parts[-3] in boards):
        if number % 2:
            yield _with(path, "test"), f"test/defects/{path.name}"
        else:
            yield _with(path, "temp"), f"test/good/{path.name}"


def _castings(clone: Path) -> Iterator[Copy]:
    """Learn the first three quarters by number: a casting is often shown twice in a row."""
    root = clone / "data" / "casting_512x512" / "casting_512x512"
    for name, kind in (("ok_front", "good"), ("def_front", "defects")):
        chosen = [
            (path, grey)
            for path in sorted((root / name).iterdir(), key=_by_number)
            if GROUND[0] <= _border(grey := Image.open(path).convert("L")) <= GROUND[1]
        ]
        for place, (path, grey) in enumerate(chosen):
            learnt = kind == "good" and place < 3 * len(chosen) // 4
            yield grey, f"{'train' if learnt else 'test'}/{kind}/{path.stem}.png"


def _by_number(path: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", path.stem)]


def _border(image: Image.Image) -> float:
    pixels = np.asarray(image)
    sides = pixels[:8], pixels[-8:], pixels[:, :8], pixels[:, -8:]
    return float(np.median(np.concatenate([side.ravel() for side in sides])))


def _figures(clone: Path) -> Iterator[Copy]:
    root = clone / "aliens-dataset"
    good = sorted((root / "normal").iterdir(), key=_by_number)
    held_out = set(random.Random(0).sample(good, len(good) // 4))
    for path in good:
        yield path, f"{'test' if path in held_out else 'train'}/good/{path.name}"
    for path in sorted((root / "anomaly").iterdir()):
        yield path, f"test/defects/{path.name}"


def _block(clone: Path) -> Iterator[Copy]:
    """Cut out the four places, and test on other photographs of the same four screws."""
    folder = clone / "datasets" / "screws" / "train_val_set"
    photographs = sorted(folder.iterdir(), key=_by_number)
    held_out = set(random.Random(0).sample(photographs, len(photographs) // 2))
    for path in photographs:
        photograph = Image.open(path)
        places = zip(path.stem.split("_")[1], SCREWS, strict=True)
        for place, (present, box) in enumerate(places):
            name = f"{path.stem}_{place}.png"
            if path in held_out:
                kind = "good" if present == "1" else "missing"
                yield photograph.crop(box), f"test/{kind}/{name}"
            elif present == "1":
                yield photograph.crop(box), f"train/good/{name}"


def _sperm(clone: Path) -> Iterator[Copy]:
    """Take the validation part: the copy used lacks the larger files of the two others."""
    root = clone / "mhsma"
    images = np.load(root / "x_128_valid.npy")
    marks = np.column_stack([np.load(root / f"y_{part}_valid.npy") for part in CELL])
    good = np.flatnonzero(~marks.any(axis=1)).tolist()
    held_out = set(random.Random(0).sample(good, len(good) // 4))
    for number, (image, abnormal) in enumerate(zip(images, marks, strict=True)):
        found = [part for part, mark in zip(CELL, abnormal, strict=True) if mark]
        kind = "several" if len(found) > 1 else found[0] if found else "good"
        part = "test" if found or number in held_out else "train"
        yield Image.fromarray(image), f"{part}/{kind}/{number:03}.png"


def _with(path: Path, kind: str) -> Path:
    return path.with_name(f"{path.stem}_{kind}{path.suffix}")


if __name__ == "__main__":
    main()
