"""One-class SVM at several kernel widths: why the published row differs from the default one.

    python -m benchmarks.accuracy.ocsvm_width --data-dir DIR

Writes ``benchmarks/results/ocsvm_width.json``: AUROC in per cent by class of MNIST, nu = 0.1 as in
our rival, on the first 3,000 images of each class. The widths are compared on the test set, so
none of them is a result to be quoted as ours.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score
from sklearn.svm import OneClassSVM

from adacl.protocols.image import data, rivals
from benchmarks.common import RESULTS, record

FACTORS = (1, 4, 16)
IMAGES = 3000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, required=True)
    data_dir = parser.parse_args().data_dir
    areas: dict[str, dict[str, float]] = {}
    for name in data.classes("mnist"):
        train, test, is_normal = data.load_one_vs_rest("mnist", name, data_dir)
        x, rows = rivals.rows(train[:IMAGES]), rivals.rows(test)
        default = 1 / (x.shape[1] * x.var())
        areas[name] = {}
        for factor in FACTORS:
            model = OneClassSVM(nu=0.1, gamma=factor * default).fit(x)
            area = roc_auc_score(is_normal, model.decision_function(rows))
            areas[name][str(factor)] = round(100 * float(area), 2)
        print(name, areas[name], flush=True)
    mean = {str(f): round(float(np.mean([a[str(f)] for a in areas.values()])), 2) for f in FACTORS}
    results = {"train_images": IMAGES, "gamma_over_default": FACTORS, "auroc": areas, "mean": mean}
    record(RESULTS / "ocsvm_width.json", results)
    print(mean)


if __name__ == "__main__":
    main()
