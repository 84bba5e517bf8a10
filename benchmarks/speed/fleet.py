"""What a fleet costs beside its fits: ``adacl scale fit`` against the same fits, one after another.

    python -m benchmarks.speed.fleet --data-dir DATA --parts 200 --out FILE

Each part has 60 digits of MNIST of its own and is learnt by the preset ``paper``, with fewer
images an epoch, and one network. Blocks of parts are learnt by the fleet, with one worker, and by a
loop in one process, in turn, so that what else the machine does hits both alike.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

from adacl.datasets import catalogue
from adacl.datasets.as_folders import write_images
from adacl.scale.fleet_fit import records_in
from benchmarks.common import adacl, record, timed

IMAGES = 60
SETTINGS = ("training.epochs=2", "training.min_epoch_images=1024", "threshold.folds=1")
BARE = """
import sys
from pathlib import Path
import torch
from adacl import AnomalyDetector
from adacl.config.presets import parse_settings, preset
from adacl.deploy.export import export_model
torch.set_num_threads(1)
out, *settings = sys.argv[2:]
config = preset("paper").replace(**parse_settings(settings))
for part in sorted(Path(sys.argv[1]).iterdir()):
    fitted = Path(out) / f"{part.name}.adacl"
    AnomalyDetector(config=config, device="cpu").fit(part).save(fitted)
    export_model(fitted, fitted.with_suffix(".onnx"), dynamic_batch=True)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--parts", type=int, default=200)
    parser.add_argument("--blocks", type=int, default=4)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    images, _ = catalogue.load("mnist", "train", given.data_dir)
    seconds: dict[str, list[float]] = {"fleet": [], "bare": []}
    grades: list[str] = []
    size = given.parts // given.blocks
    with tempfile.TemporaryDirectory() as temporary:
        for block in range(given.blocks):
            source = Path(temporary) / f"parts-{block}"
            for number in range(size):
                first = (block * size + number) * IMAGES
                chosen = images[first : first + IMAGES]
                write_images(chosen, map(str, range(IMAGES)), source / f"part-{number:03}")
            for name in ("fleet", "bare")[:: 1 if block % 2 else -1]:
                out = Path(temporary) / f"{name}-{block}"
                out.mkdir()
                seconds[name].append(learn(name, source, out))
            grades += [row["grade"] for row in records_in(Path(temporary) / f"fleet-{block}")]
    assert len(grades) == size * given.blocks
    assert "failed" not in grades
    ratios = [a / b for a, b in zip(seconds["fleet"], seconds["bare"], strict=True)]
    results = {
        "parts": len(grades),
        "images_of_a_part": IMAGES,
        "seconds": seconds,
        "fleet_over_bare": {"median": statistics.median(ratios), "blocks": ratios},
    }
    record(given.out, results)
    print(results)


def learn(name: str, source: Path, out: Path) -> float:
    """Learn a block of parts, and return the seconds, those to start Python included."""
    if name == "bare":
        return float(timed("-c", BARE, str(source), str(out), *SETTINGS)["seconds"])
    words = [word for setting in SETTINGS for word in ("--set", setting)]
    command = ("scale", "fit", str(source), "--out", str(out), "--preset", "paper", "--quiet")
    return float(adacl(*command, "--workers", "1", *words)["seconds"])


if __name__ == "__main__":
    main()
