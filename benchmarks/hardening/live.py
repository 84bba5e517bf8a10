"""Score a web camera for long, whose connection is lost again and again; watch the memory.

    PYTHONPATH=.:tests python -m benchmarks.hardening.live --seconds 3600

The camera sends ten frames a second. It is pulled out at random moments, for up to 20 seconds.
Numbers of the records must rise, times must not fall (frames that wait arrive within a
millisecond), and each loss must be told with its return.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import random
import re
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.common import RESULTS, record
from benchmarks.hardening.common import command, run
from support.footage import walkers, write_frames
from support.web_camera import WebCamera

RATE, LOST_EVERY, GONE = 10.0, 90.0, 20.0
LEARNT = ("--epochs", "2", "--device", "cpu", "--set", "training.min_epoch_images=512")


def main() -> None:
    """Run the camera for so long."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--seconds", type=float, default=600)
    given = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's "&" has it ignored
    with tempfile.TemporaryDirectory() as name:
        results = watched(Path(name), given.seconds)
    record(RESULTS / "live.json", results)
    print(json.dumps({key: value for key, value in results.items() if key != "memory"}, indent=1))


def watched(folder: Path, seconds: float) -> dict[str, Any]:
    """Score the camera for so long, and count."""
    model, records, said = folder / "m.adacl", folder / "scores.jsonl", folder / "said.txt"
    write_frames(folder / "normal" / "clip", walkers(600, 1), "{:03d}.png")
    ended = run("video", "fit", folder / "normal", "-o", model, *LEARNT)
    assert ended.returncode == 0, ended.stderr
    camera = WebCamera(walkers(900, 7, running=range(600, 650)), frames=10**9, rate=RATE)
    options = ("--format", "jsonl", "-o", records, "--events", folder / "events.csv")
    memory, losses = [], 0
    rng = random.Random(0)
    with (
        said.open("w") as log,
        subprocess.Popen(
            command("video", "score", model, camera.address, *options), stdout=log, stderr=log
        ) as process,
    ):
        begun = time.monotonic()
        losing = begun + LOST_EVERY / 3
        while process.poll() is None and (now := time.monotonic()) < begun + seconds:
            memory.append((round(now - begun, 1), _memory_mib(process.pid)))
            time.sleep(1)
            if now > losing:
                camera.pulled_out()
                time.sleep(rng.uniform(0.5, GONE))
                camera.plugged_in()
                losses += 1
                losing = time.monotonic() + rng.expovariate(1 / LOST_EVERY)
        process.send_signal(signal.SIGINT)
        process.wait(60)
    camera.pulled_out()
    text = said.read_text()
    found = [json.loads(line) for line in records.read_text().splitlines()]
    return {
        "seconds": seconds,
        "frames sent": camera.sent,
        "records": len(found),
        "not finite": sum(not math.isfinite(one["pred_score"]) for one in found),
        "numbers that do not rise, or times that fall": sum(
            a["frame"] >= b["frame"] or a["time"] > b["time"] for a, b in itertools.pairwise(found)
        ),
        "events": len((folder / "events.csv").read_text().splitlines()) - 1,
        "connections cut": losses,
        "told lost": len(re.findall("connecting again", text)),
        "told back": len(re.findall("back after", text)),
        "tracebacks": text.count("Traceback"),
        "exit code": process.returncode,
        "memory": memory,
    }


def _memory_mib(process: int) -> float:
    status = Path(f"/proc/{process}/status").read_text()
    return round(int(re.findall(r"VmRSS:\s+(\d+)", status)[0]) / 1024, 1)


if __name__ == "__main__":
    main()
