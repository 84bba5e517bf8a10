"""How well a linear model tells the images of each class from their puzzles: what accurate goes by.

    python -m benchmarks.research.layouts --data-dir DATA
        --out benchmarks/results/beyond/layouts.json

Training splits, no label but that of the normal class.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from adacl.data.samples import Samples
from adacl.datasets import catalogue
from adacl.training.alignment import layout_auroc


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    found = {}
    for data in ("mnist", "fashion-mnist", "cifar10"):
        images, labels = catalogue.load(data, "train", arguments.data_dir)
        samples = Samples(images)
        found[data] = {
            name: round(layout_auroc(samples.subset(labels == number), 0), 3)
            for number, name in enumerate(catalogue.get(data).classes)
        }
        print(data, found[data])
    arguments.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
