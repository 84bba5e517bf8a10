"""What is learnt before the training takes the memory of an image, not of all images."""

from __future__ import annotations

import subprocess
import sys

import pytest

LEARN = """
import re
import sys
from pathlib import Path
import numpy as np
from adacl.config.presets import preset
from adacl.data.samples import Samples
from adacl.training.alignment import settled
from adacl.training.crops import learn_pixels

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024

images = np.random.default_rng(0).integers(0, 256, (104, 512, 512, 1), np.uint8)
rim = int(sys.argv[1])
if rim:
    for side in (np.s_[:, :rim], np.s_[:, -rim:], np.s_[:, :, :rim], np.s_[:, :, -rim:]):
        images[side] = 128
samples = Samples(images)

def learn(count):
    learn_pixels(samples.subset(slice(count)))
    settled(preset("inspect"), samples.subset(slice(count)), 0)
    return peak()

few = learn(24)
print(learn(104) - few)
"""


FILED = """
import re
from pathlib import Path
import numpy as np
import torch
from adacl.data.training_set import build_ragged
from adacl.imaging import mapped

def now():
    return int(re.search(r"VmRSS:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024

mapped.MEMORY_LIMIT = 1 << 20
image = np.full((1024, 1024, 2), 700, np.uint16)
before = now()
samples = build_ragged((image + np.uint16(n) for n in range(40)), 40 * [image.shape], "uint16")
built = now() - before
total = sum(int(found[0, 0, 0]) for found in samples)
assert (total, samples.spec.low, samples.spec.high) == (40 * 700 + 780, 700, 739)
print(max(built, now() - before))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_images_in_a_temporary_file_do_not_stay_in_memory() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FILED], capture_output=True, text=True, check=True, timeout=300
    )
    assert int(done.stdout) < 80, "all images take 160 MiB"


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
@pytest.mark.parametrize("rim", [0, 60], ids=["surface", "part"])
def test_more_images_take_no_more_memory(rim: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LEARN, str(rim)],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    assert int(done.stdout) < 40, "an image, as the network sees it, takes 1 MiB"
