"""What annotated copies show."""

import pytest

from adacl.video.annotated_copy import clock


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.04, "00:00.0"), (59.92, "00:59.9"), (59.96, "01:00.0"), (3599.96, "60:00.0")],
)
def test_no_minute_has_60_seconds(seconds: float, shown: str) -> None:
    """25 frames a second have one at 59.96 s."""
    assert clock(seconds) == shown
