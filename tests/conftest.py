"""Fixtures: real handwritten digits, a tiny configuration, folders, and the benchmark data."""

import os
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from sklearn.datasets import load_digits

from adacl.config import Config
from support.helpers import REPOSITORY, TINY, write_images

# The networks here are so small that on a busy machine threads only wait for each other: in this
# process, and in those of the programs that are started. PyTorch, imported later, looks here.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OMP_WAIT_POLICY"] = "PASSIVE"

# A shell starts background jobs with SIGINT ignored, which the interrupted programs would inherit.
signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("adacl", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("adacl")

LONGEST = [
    "serve/test_web_page.py",
    "deploy/test_export.py",
    "cli/test_interrupts.py",
    "cli/test_evaluate.py",
    "report/test_in_a_browser.py",
    "cli/test_bench_paper.py",
    "serve/test_training.py",
    "cli/test_bench.py",
    "test_detector.py",
    "test_inspect.py",
    "scale/test_scoring.py",
    "serve/test_serve.py",
    "training/test_place_lesson.py",
    "video/test_detector.py",
    "scale/test_grid.py",
    "serve/test_station.py",
    "scale/test_clusters.py",
    "protocols/test_video.py",
    "scale/test_engines.py",
]
"""The files whose tests take longest: begun first, as nothing is left to do beside the last."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {Path(__file__).parent / name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path, len(LONGEST)))


@dataclass(frozen=True)
class Digits:
    """Real handwritten digits, uint8 images N x 8 x 8, and which digits they are."""

    images: np.ndarray
    target: np.ndarray

    def of(self, digit: int) -> np.ndarray:
        return self.images[self.target == digit]

    def other_than(self, digit: int) -> np.ndarray:
        return self.images[self.target != digit]


@dataclass(frozen=True)
class Threes:
    """Folders of PNG files: 3s to learn from, other 3s, and other digits."""

    train: Path
    test_normal: Path
    test_abnormal: Path


@pytest.fixture(scope="session")
def digits() -> Digits:
    data = load_digits()
    return Digits((data.images * 255 / 16).round().astype(np.uint8), data.target)


@pytest.fixture(scope="session")
def tiny_config() -> Config:
    return TINY


@pytest.fixture(scope="session")
def threes(digits, tmp_path_factory) -> Threes:
    root = tmp_path_factory.mktemp("threes")
    folders = Threes(root / "train", root / "test" / "normal", root / "test" / "abnormal")
    normal = digits.of(3)
    write_images(folders.train, normal[:120])
    write_images(folders.test_normal, normal[120:])
    write_images(folders.test_abnormal, digits.other_than(3)[:100])
    return folders


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Return the folder of the benchmark data, for tests marked ``realdata``."""
    folder = Path(os.environ.get("ADACL_DATA") or REPOSITORY.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no benchmark data in {folder}; set ADACL_DATA to the folder that holds them")
    return folder


@pytest.fixture(scope="module")
def browser():
    """Return a headless Chromium, with a made camera, for the tests of pages.

    Playwright's event loop runs in this thread until the end, so it is ended with the module.
    """
    sync_api = pytest.importorskip("playwright.sync_api")
    found = map(shutil.which, ("chromium-headless-shell", "chromium"))
    path = os.environ.get("ADACL_CHROMIUM") or next(filter(None, found), None)
    if not path:
        pytest.skip("needs chromium-headless-shell (Debian's package, or ADACL_CHROMIUM=path)")
    camera = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", *camera])
        yield chromium
        chromium.close()
