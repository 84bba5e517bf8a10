"""The paper's claims, tested: equations 3 and 5 and figure 2 by numbers, the rest by cells.

Each test says what it compares and over how many pairs; small numbers of runs give weak tests, and
then the answer is that nothing was shown, not that the claim is wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from adacl.config import LabelConfig
from adacl.protocols.paper.curves import runs
from adacl.protocols.summary import Cells, alike

SIGNIFICANT = 0.05
FEWEST_RUNS = 3
"""Of a class: two are equally far from their median, which leaves no variance to compare."""
SMALL = 0.5
"""Points of AUROC: what table 4 of the paper, which calls it little, spans (97.42 - 96.93)."""
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Claim:
    """A claim, the verdict on it, and the figures behind the verdict."""

    claim: str
    verdict: str
    figures: str


def from_equations() -> list[Claim]:
    """Check equations 3 and 5 and figure 2 on a fine grid."""
    return [_equation3(), _equation5(LabelConfig()), _figure2()]


def _equation3() -> Claim:
    x = np.linspace(-10, 10, 200001)
    slope = _sigmoid(x) * (1 - _sigmoid(x))
    before = _sigmoid(x - 1) * (1 - _sigmoid(x - 1))
    negative = bool((slope > before)[x < 0].all())
    fails = x[(x > 0) & (before <= slope)]
    return Claim(
        "Equation 3: for x < 0, h'(x) > h'(x - 1); for x > 0, h'(x - 1) > h'(x)",
        "holds in part",
        f"first line: {'holds' if negative else 'fails'} on a grid of [-10, 10]; second line: "
        f"fails for 0 < x <= {fails.max():.2f}, because h' is even and |x - 1| > |x| there",
    )


def _equation5(labels: LabelConfig) -> Claim:
    p = np.linspace(0, 1, 100001)
    low, high = labels.normal
    mean, variance = (low + high) / 2, (high - low) ** 2 / 12
    continuous = (p - mean) ** 2 + variance
    holds = p[continuous < p**2]
    return Claim(
        "Equation 5: the expected MSE is lower with continuous than with discrete labels",
        "holds in part",
        f"at the prediction 0.5 it holds; for normal samples with labels from U[{low:g}, {high:g}] "
        f"it holds for predictions above {holds.min():.3f} and fails below (mirrored for made "
        f"anomalies); at its best prediction the loss is {variance:.4f} instead of 0",
    )


def _figure2() -> Claim:
    p = np.linspace(1e-4, 1 - 1e-4, 99999)
    by_prediction = bool((2 * (1 - p) > 1 / p).any())
    return Claim(
        "Figure 2: beyond a certain point the gradients of MSE are larger than those of BCE",
        "not as stated",
        f"by the prediction p (target 1), 2 (1 - p) {'sometimes' if by_prediction else 'never'} "
        "exceeds 1 / p; by the network's output, MSE with a linear output has 2 (1 - p), always "
        "twice the 1 - p of BCE with a sigmoid; MSE behind a sigmoid has "
        f"at most {(2 * (1 - p) ** 2 * p).max():.2f} and is smaller than BCE for every p",
    )


def _sigmoid(x: Array) -> Array:
    result: Array = 1 / (1 + np.exp(-x))
    return result


def from_cells(cells: Cells) -> list[Claim]:
    """Test the claims that experiments can answer, as far as their cells are there."""
    tested = [_loss(cells), _variance(cells), _augmentations(cells), _intervals(cells)]
    return [claim for claim in tested if claim is not None]


def _pairs(cells: Cells, data: str, first: str, second: str, value: Any) -> Array:
    """Return values of two variants for the same class and seed, as rows (pairs, 2)."""
    found = alike(cells, data, (first, second))
    half = len(found) // 2
    rows = [(value(a), value(b)) for a, b in zip(found[:half], found[half:], strict=True)]
    return np.array(rows, float).reshape(-1, 2)


def _signed_rank(rows: Array) -> float:
    """Return the p-value of the two-sided Wilcoxon signed-rank test of paired values."""
    return float(stats.wilcoxon(rows[:, 0], rows[:, 1]).pvalue)


def _verdict(better: bool, p: float) -> str:
    if p >= SIGNIFICANT:
        return "not shown"
    return "confirmed" if better else "contradicted"


def _loss(cells: Cells) -> Claim | None:
    def early(cell: dict[str, Any]) -> float:
        return 100 * float(np.mean(cell["test_auroc_by_epoch"][:5]))

    def final(cell: dict[str, Any]) -> float:
        return 100 * float(cell["auroc"])

    rows = _pairs(cells, "cifar10", "mse-epochs", "bce-epochs", early)
    if len(rows) < 6:
        return None
    last = _pairs(cells, "cifar10", "mse-epochs", "bce-epochs", final)
    p = _signed_rank(rows)
    return Claim(
        "MSE converges faster than BCE (figure 7)",
        _verdict(rows[:, 0].mean() > rows[:, 1].mean(), p),
        f"CIFAR-10, mean test AUROC of the first five epochs: MSE {rows[:, 0].mean():.2f}, BCE "
        f"{rows[:, 1].mean():.2f} (Wilcoxon p = {p:.3g}, {len(rows)} pairs); kept epoch: "
        f"{last[:, 0].mean():.2f} and {last[:, 1].mean():.2f} (p = {_signed_rank(last):.3g})",
    )


def _variance(cells: Cells) -> Claim | None:
    cells = alike(cells, "cifar10", ("paper", "discrete"))
    continuous, discrete = runs(cells, "paper"), runs(cells, "discrete")
    if min((len(found) for found in discrete.values()), default=0) < FEWEST_RUNS:
        return None

    def spread(found: dict[str, list[dict[str, Any]]], value: Any) -> Array:
        parts = []
        for of_class in found.values():
            values = np.array([value(cell) for cell in of_class])
            parts.append(np.abs(values - np.median(values)))
        return 100 * np.concatenate(parts)

    texts, p_values, lower = [], [], []
    for title, value in (
        (
            "validation AUROC of the last epoch",
            lambda c: c["history"]["epochs"][-1]["validation_auroc"],
        ),
        ("test AUROC", lambda c: c["auroc"]),
    ):
        a, b = spread(continuous, value), spread(discrete, value)
        p = float(stats.f_oneway(a, b).pvalue)
        p_values.append(p)
        lower.append(a.mean() < b.mean())
        texts.append(
            f"{title}: mean deviation {a.mean():.2f} with continuous, {b.mean():.2f} with discrete "
            f"labels (Brown-Forsythe p = {p:.3g})"
        )
    return Claim(
        "Continuous labels lower the variance of validation and test AUROC (figures 8 and 9)",
        _verdict(all(lower), max(p_values)),
        f"CIFAR-10, {len(discrete)} classes, {len(cells) // 2} runs each; " + "; ".join(texts),
    )


def _augmentations(cells: Cells) -> Claim | None:
    def area(cell: dict[str, Any]) -> float:
        return 100 * float(cell["auroc"])

    others = ["puzzling", "rotation-1", "rotation-3", "mix-up-0.3", "mix-up-0.5", "mix-up-0.7"]
    rows = {name: _pairs(cells, "mnist", "cut-paste", name, area) for name in [*others, "paper"]}
    if min(len(found) for found in rows.values()) < 6:
        return None
    best = max(others, key=lambda name: rows[name][:, 1].mean())
    p_best, p_all = _signed_rank(rows[best]), _signed_rank(rows["paper"])
    cut_paste, other = rows[best].mean(0)
    return Claim(
        "Cut-paste is the best single kind, and all together are better (figure 10)",
        f"cut-paste best: {_verdict(cut_paste > other, p_best)}; all together better: "
        f"{_verdict(rows['paper'][:, 1].mean() > rows['paper'][:, 0].mean(), p_all)}",
        f"MNIST: cut-paste {cut_paste:.2f}, the best other kind {best} {other:.2f} (Wilcoxon "
        f"p = {p_best:.3g}, {len(rows[best])} pairs); all {rows['paper'][:, 1].mean():.2f} "
        f"(p = {p_all:.3g})",
    )


def _intervals(cells: Cells) -> Claim | None:
    def area(cell: dict[str, Any]) -> float:
        return 100 * float(cell["auroc"])

    texts, p_values, limits = [], [], []
    for name in ("interval-0.1", "interval-0.2"):
        rows = _pairs(cells, "mnist", "paper", name, area)
        if len(rows) < 6:
            return None
        change = rows[:, 1] - rows[:, 0]
        p_values.append(_signed_rank(rows))
        low, high = stats.t.interval(
            0.95, len(change) - 1, loc=change.mean(), scale=stats.sem(change)
        )
        limits += [abs(low), abs(high)]
        texts.append(
            f"{name} instead of 0.3: {change.mean():+.2f} (95 % interval {low:+.2f} to "
            f"{high:+.2f}, Wilcoxon p = {p_values[-1]:.3g}, {len(rows)} pairs)"
        )
    if max(limits) < SMALL:
        verdict = "confirmed"
    else:
        verdict = "a difference was found" if min(p_values) < SIGNIFICANT else "not shown"
    return Claim(
        "The choice of the interval has little effect (table 4)",
        verdict,
        f"MNIST, AUROC in points, small is less than {SMALL}: " + "; ".join(texts),
    )
