"""Make the pictures of the glossary, from scikit-learn's digits.

``python docs/images/glossary.py DEMO``, where the folder is what ``adacl demo -o DEMO`` wrote.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image
from sklearn.datasets import load_digits

from adacl import AnomalyDetector
from adacl.anomalies import make

HERE = Path(__file__).parent
KINDS = [
    *("cut_paste", "puzzling", "rotation", "mix_up"),
    *("scar", "foreign_paste", "blur", "noise", "tone", "flip", "shift"),
]


def kinds() -> None:
    """Draw a digit and one anomaly of each kind."""
    digits = load_digits().images[[3, 13, 23, 45]] / 16
    large = [Image.fromarray(digit.astype(np.float32)).resize((64, 64)) for digit in digits]
    images = torch.from_numpy(np.stack([np.asarray(one) for one in large])[:, None].clip(0, 1))
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    for place, name in enumerate(["normal", *KINDS]):
        made = images
        if place:
            made = make(name, images, torch.Generator().manual_seed(1))[0]
        axes = figure.add_subplot(2, 6, place + 1)
        axes.imshow(made[0, 0], cmap="gray", vmin=0, vmax=1)
        axes.set_title(name, fontsize=10)
        axes.set_axis_off()
    figure.savefig(HERE / "kinds.png", dpi=110)


def threshold(demo: Path) -> None:
    """Draw the scores of normal and anomalous pictures, and the threshold."""
    detector = AnomalyDetector.load(demo / "digits.adacl")
    figure = Figure(figsize=(7, 2.8), layout="constrained")
    axes = figure.subplots()
    for name, label, colour in (("good", "normal", "#2a6f97"), ("bad", "anomalous", "#c8553d")):
        scores = detector.anomaly_score(demo / "test" / name)
        axes.hist(scores, np.linspace(0, 1, 41), density=True, alpha=0.7, color=colour, label=label)
    axes.axvline(detector.threshold_, color="black")
    axes.annotate(
        "threshold",
        (detector.threshold_, axes.get_ylim()[1] * 0.9),
        (5, 0),
        textcoords="offset points",
    )
    axes.set(xlabel="score", ylabel="share of the images", yticks=[])
    axes.legend(frameon=False)
    figure.savefig(HERE / "threshold.png", dpi=110)


if __name__ == "__main__":
    kinds()
    threshold(Path(sys.argv[1]))
