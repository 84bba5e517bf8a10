"""What it is worth that a thread draws the next crops while the network learns.

    python -m benchmarks.speed.drawing_ahead GOOD_DIR

Epochs of some steps of ``inspect``: in one thread, in all of PyTorch's, and with one of these
drawing ahead, in turn, medians of the rounds. One record goes to
``benchmarks/results/drawing_ahead.json``.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import median

import torch

from adacl import AnomalyDetector, preset
from adacl.training.place_lesson import PlaceLesson
from benchmarks.common import RESULTS, record

STEPS = 40
ROUNDS = 5
IMAGES = 40


def main() -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("good", type=Path, help="folder of good images")
    arguments = parser.parse_args()
    files = sorted(arguments.good.iterdir())[:IMAGES]
    threads = torch.get_num_threads()
    ways = {
        "1 thread": (1, False),
        f"{threads} threads": (threads, False),
        f"{threads} threads, one draws ahead": (threads, True),
    }
    times: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(ROUNDS):
        for way, (count, ahead) in ways.items():
            torch.set_num_threads(count)
            PlaceLesson.slow_to_draw = ahead
            times[way].append(epoch_seconds(files))
            print(way, times[way][-1], flush=True)
    found = {way: {"seconds": all_, "median": median(all_)} for way, all_ in times.items()}
    record(RESULTS / "drawing_ahead.json", {"steps": STEPS, "ways": found})


def epoch_seconds(files: list[Path]) -> float:
    """Return the seconds of the second of two epochs, validation included."""
    config = preset("inspect")
    shown = STEPS * config.training.batch_size
    config = config.replace(training__epochs=2, training__min_epoch_images=shown)
    detector = AnomalyDetector(config=config).fit(files)
    return detector.history_.epochs[-1].seconds


if __name__ == "__main__":
    main()
