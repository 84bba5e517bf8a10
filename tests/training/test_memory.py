"""What is learnt before the training takes the memory of an image, not of all images."""

from __future__ import annotations

import subprocess
import sys

import pytest

LEARN = """
import re
from pathlib import Path
import numpy as np
from adacl.config.presets import preset
from adacl.data.samples import Samples
from adacl.training.alignment import settled
from adacl.training.crops import learn_pixels

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024

images = np.random.default_rng(0).integers(0, 256, (160, 512, 512, 1), np.uint8)
samples = Samples(images)

def learn(count):
    learn_pixels(samples.subset(slice(count)))
    settled(preset("inspect"), samples.subset(slice(count)), 0)
    return peak()

few = learn(24)
print(learn(160) - few)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
def test_more_images_take_no_more_memory() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LEARN], capture_output=True, text=True, check=True, timeout=300
    )
    assert int(done.stdout) < 40, "an image, as the network sees it, takes 1 MiB"
