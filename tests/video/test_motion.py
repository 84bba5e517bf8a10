"""Which tiles move: differences, energies of tiles, and the threshold between still and moving."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adacl.data.clips import list_clips
from adacl.data.video import Frame
from adacl.errors import DataError
from adacl.imaging.tiles import Tiling
from adacl.video.chunks import chunks
from adacl.video.config import VideoConfig
from adacl.video.motion import Background, FrameDifference, motion_threshold, tile_energy


def test_frame_difference_looks_lag_frames_back() -> None:
    gate = FrameDifference(lag=2)
    values = [10, 250, 13, 0]
    found = [gate.difference(np.full((2, 3, 1), value, np.uint8)) for value in values]
    assert found[0] is None
    assert found[1] is None
    np.testing.assert_array_equal(found[2], 3)
    np.testing.assert_array_equal(found[3], 250)


def test_background_forgets_what_passes_and_learns_what_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("adacl.video.motion.STEP", 1)
    gate = Background()
    empty = np.full((4, 4, 1), 100, np.uint8)
    full = np.full((4, 4, 1), 200, np.uint8)
    assert gate.difference(empty) is None
    np.testing.assert_array_equal(gate.difference(full), 100)
    np.testing.assert_array_equal(gate.difference(empty), 1)
    for _ in range(100):
        last = gate.difference(full)
    assert last is not None
    assert last.max() <= 1


@given(
    height=st.integers(16, 50), width=st.integers(16, 50), stride=st.integers(4, 12),
    seed=st.integers(0, 100),
)  # fmt: skip
def test_energy_is_the_mean_of_each_tile_that_is_cut(
    height: int, width: int, stride: int, seed: int
) -> None:
    tiling = Tiling(16, 12, stride)
    image = np.random.default_rng(seed).integers(0, 256, (height, width), np.uint8)
    expected = tiling.cut(image[:, :, None]).mean((1, 2, 3))
    np.testing.assert_allclose(tile_energy(image, tiling), expected)


@given(seed=st.integers(0, 100), share=st.floats(0.05, 0.6))
def test_threshold_parts_still_from_moving_tiles(seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    moving = rng.random(5000) < share
    energies = np.where(moving, rng.lognormal(2, 0.3, 5000), rng.lognormal(-1, 0.3, 5000))
    threshold = motion_threshold(energies)
    assert ((energies > threshold) == moving).mean() > 0.99


@pytest.mark.parametrize("energies", [np.zeros(10), np.zeros(0), np.full((3, 4), 2.5)])
def test_still_footage_is_refused(energies: np.ndarray) -> None:
    with pytest.raises(DataError, match="nothing moves"):
        motion_threshold(energies)


def test_frames_smaller_than_a_tile_are_refused() -> None:
    frames = [Frame(n, n / 25, np.zeros((20, 40, 1), np.uint8)) for n in range(9)]
    with pytest.raises(DataError, match="20x40 pixels are smaller than a tile of 30x30"):
        list(chunks(frames, VideoConfig(), 2))


@pytest.mark.realdata
@pytest.mark.parametrize("gate", [partial(FrameDifference, 2), Background])
def test_on_real_footage_walkers_pass_the_gate_and_the_wall_does_not(data_dir: Path, gate) -> None:
    tiling, watching = Tiling(30, 30), gate()
    (clip,) = list_clips(data_dir / "avenue" / "train" / "12.mp4")
    differences = [watching.difference(frame.image) for frame in clip.frames()]
    energies = np.stack([tile_energy(found, tiling) for found in differences if found is not None])
    kept = (energies > motion_threshold(energies)).mean(0)
    assert 0.02 < kept.mean() < 0.6
    assert kept.min() < 0.02
    assert kept.max() > 0.5
