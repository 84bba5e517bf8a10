"""A change of light is told of footage too."""

import numpy as np

from adacl.config.presets import preset
from adacl.data.video import Frame
from adacl.imaging.spec import ImageSpec
from adacl.model.header import ModelHeader
from adacl.model.history import History
from adacl.model.learnt import Learnt
from adacl.model.threshold import Threshold
from adacl.video.light import EVERY, compared, measure_frame


def frames(level, count, seed=0):
    rng = np.random.default_rng(seed)
    for number in range(count):
        image = np.full((8, 8, 1), round(level + rng.integers(-3, 4)), np.uint8)
        yield Frame(number, number / 10, image)


def test_darker_footage_is_told_once_and_again_after_it_recovered(caplog):
    rows = np.array([measure_frame(frame) for frame in frames(100, 50)])
    learnt = {"learnt": Learnt.of_measures(rows).to_dict()}
    parts = ImageSpec(8, 8, 1), preset("video"), None, None, Threshold(0.5, "manual"), History()
    header = ModelHeader(*parts, learnt)

    def told(*levels):
        caplog.clear()
        clip = (frame for level in levels for frame in frames(level, 20 * EVERY))
        changes = []
        passed = sum(1 for _ in compared(clip, header, "gate", changes.append))
        assert passed == 20 * EVERY * len(levels)
        assert [change.kind for change in changes] == ["light"] * len(caplog.messages)
        for change, message in zip(changes, caplog.messages, strict=True):
            assert change.remark in message
        return [line.partition("% ")[2].partition(" (")[0] for line in caplog.messages]

    assert told(100) == told(100, 100) == []
    assert told(80) == ["darker than those learnt"]
    assert "may be missed" not in caplog.text
    assert told(80, 30, 80) == 2 * ["darker than those learnt"]
    assert told(30) == ["darker than those learnt"]
    assert "(mean 0.119, learnt 0.391), so far off that anomalies may be missed" in caplog.text
    assert told(80, 100, 130) == [
        "darker than those learnt",
        "brighter than those learnt",
    ]
