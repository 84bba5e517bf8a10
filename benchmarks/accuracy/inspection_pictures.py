"""Draw the worst misses, the worst false alarms and good finds of a model, each beside its map.

    python -m benchmarks.accuracy.inspection_pictures MODEL SET_DIR PICTURE.png

Most data sets may not be copied into the project, so the pictures are made where the data are.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageOps

from adacl import AnomalyDetector
from adacl.data.folders import list_images
from adacl.explain.heatmap import overlay

SIDE = 240
EACH = 6


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("picture", type=Path)
    arguments = parser.parse_args()
    detector = AnomalyDetector.load(arguments.model)
    tests = arguments.folder / "test"
    good = list_images(tests / "good")
    bad = [x for kind in sorted(tests.iterdir()) if kind.name != "good" for x in list_images(kind)]
    normal, anomalous = (-detector.score_samples(paths) for paths in (good, bad))
    rows = {
        "worst misses": [(bad[i], anomalous[i]) for i in np.argsort(anomalous)[:EACH]],
        "worst false alarms": [(good[i], normal[i]) for i in np.argsort(-normal)[:EACH]],
        "finds": [(bad[i], anomalous[i]) for i in np.argsort(-anomalous)[:EACH]],
    }
    page = Image.new("RGB", (2 * SIDE * EACH, len(rows) * (SIDE + 16)), "white")
    draw = ImageDraw.Draw(page)
    for row, (title, shown) in enumerate(rows.items()):
        top = row * (SIDE + 16)
        for column, (path, score) in enumerate(shown):
            pixels = np.asarray(Image.open(path).convert("RGB"))
            heat = detector.anomaly_map(path)
            limit = detector.threshold_ if score > detector.threshold_ else None
            coloured = overlay(pixels, heat, detector.header.map_scale, limit)
            for place, picture in enumerate((pixels, coloured)):
                shown_as = ImageOps.contain(Image.fromarray(picture), (SIDE - 4, SIDE - 4))
                page.paste(shown_as, ((2 * column + place) * SIDE, top + 16))
            text = f"{title}: {score:.3f} (threshold {detector.threshold_:.3f}) {path.parent.name}"
            draw.text((2 * column * SIDE, top + 2), text, fill="black")
    page.save(arguments.picture)


if __name__ == "__main__":
    main()
