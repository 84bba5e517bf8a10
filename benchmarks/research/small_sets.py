"""What a threshold from a small set costs and is worth: three more networks, or a fifth held out.

    python benchmarks/research/small_sets.py

Of scikit-learn's handwritten digits (8 x 8 pixels), 120 of one class are normal; the rest of that
class are fresh normals, every eighth of the others is an anomaly. Preset paper, five epochs of
1,024 images, one seed a class. Prints a line for each class and ``threshold.folds``: seconds of all
processors together, fresh normals flagged, share of the anomalies found.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from sklearn.datasets import load_digits

from adacl import AnomalyDetector
from adacl.config.presets import preset
from adacl.metrics import auroc

TRAIN, EVERY = 120, 8


def main() -> None:
    """Print a line for each class and number of folds."""
    argparse.ArgumentParser(description=__doc__.split("\n\n")[0]).parse_args()
    digits = load_digits()
    images = (digits.images * 15).astype(np.uint8)
    for digit in (0, 3, 5, 8):
        own = images[digits.target == digit]
        own = own[np.random.default_rng(digit).permutation(len(own))]
        others = images[digits.target != digit][::EVERY]
        for folds in (3, 1):
            config = preset("paper").replace(
                training__min_epoch_images=1024, training__epochs=5, threshold__folds=folds
            )
            detector = AnomalyDetector(config=config, device="cpu", random_state=digit)
            started = time.process_time()
            detector.fit(own[:TRAIN])
            seconds = time.process_time() - started
            good, bad = (-detector.score_samples(part) for part in (own[TRAIN:], others))
            threshold = detector.header.threshold
            print(
                f"digit {digit}, folds {folds}: {seconds:.1f} s; at most "
                f"{threshold.upper_bound:.1%} flagged, {(good > threshold.value).sum()} of "
                f"{len(good)} were; {(bad > threshold.value).mean():.1%} found; AUROC "
                f"{auroc(good, bad):.4f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
