"""What a report counts and keeps of the scores that go by."""

from pathlib import Path

import numpy as np

from adacl.model.scoring import FileScore
from adacl.report import tally
from adacl.report.tally import STEPS, Gathering


def file_score(raw: float, name: str = "a.png") -> FileScore:
    return FileScore(Path(name), raw, min(1.0, max(0.0, raw)), None)


def gathered(threshold: float, **groups: np.ndarray) -> Gathering:
    found = Gathering(threshold, 0.5)
    for group, raw in groups.items():
        scores = (file_score(value, f"{group}/{i}.png") for i, value in enumerate(raw.tolist()))
        assert sum(1 for _ in found.watch(scores, group)) == len(raw)
    return found


def above(gathering: Gathering, group: str, step: int) -> int:
    return sum(count for k, count in gathering.counts[group].items() if k >= step)


def test_counts_are_exact_at_every_step_and_at_the_thresholds():
    rng = np.random.default_rng(0)
    raw = np.concatenate([rng.normal(0.4, 0.3, 5000), np.arange(-5, 15000, 7) / STEPS, [-40, 40]])
    raw = np.concatenate([raw, np.float32(raw).astype(float)])
    found = gathered(0.123456789, image=raw)
    for step in range(-6000, 16000, 13):
        assert above(found, "image", step) == (raw > step / STEPS).sum()
    assert found.flagged["image"] == [(raw > 0.123456789).sum(), (raw > 0.5).sum()]
    assert found.total() == len(raw)


def test_of_more_images_than_can_be_listed_the_telling_ones_are_kept(monkeypatch):
    monkeypatch.setattr(tally, "ROWS", 80)
    rng = np.random.default_rng(1)
    normal, anomalous = rng.normal(0.3, 0.15, 700), rng.normal(0.7, 0.15, 900)
    found = gathered(0.5, normal=normal, anomalous=anomalous)
    assert found.total("normal") == 700
    assert found.total("anomalous") == 900
    rows = found.rows
    assert rows == sorted(rows, key=lambda r: (r.group == "anomalous", int(r.score.path.stem)))
    kept = {(row.group, row.score.raw) for row in rows}
    raws = {raw for _, raw in kept}
    both = np.concatenate([normal, anomalous])
    wanted = [both[np.abs(both - 0.5).argsort()], -np.sort(-both)]
    wanted += [np.sort(anomalous), -np.sort(-normal)]
    assert raws == {raw for order in wanted for raw in order[:20].tolist()}
    assert {raw for group, raw in kept if group == "normal"} <= set(normal.tolist())
