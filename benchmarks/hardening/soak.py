"""Keep the service busy for long: scoring, trainings, restarts; every answer compared.

The load is bounded (``--rate`` requests a second), a training is sent every two minutes, and the
service is restarted after every third of the time, with the same ``--data``. Its memory, without
that of trainings, is sampled and drawn. An hour is ``--seconds 3600``::

    python -m benchmarks.hardening.soak --seconds 600
"""

from __future__ import annotations

import argparse
import http.client
import json
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.common import RESULTS, record
from benchmarks.hardening.common import FIT, run, write_textures
from benchmarks.hardening.service import Service

PICTURE = Path(__file__).parents[2] / "docs" / "images" / "soak.png"
TRAINING_EVERY, STARTS = 120.0, 3
TOLERANCE = 1e-6


def main() -> None:
    """Run the service for so long."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--rate", type=float, default=20, help="requests a second, at most")
    parser.add_argument("--model", type=Path, help="an exported model; by default one is fitted")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        results = soaked(Path(name), given.seconds, given.rate, given.model)
    record(RESULTS / "soak.json", results)
    draw(results)
    print(json.dumps({key: value for key, value in results.items() if key != "memory"}, indent=1))


def soaked(folder: Path, seconds: float, rate: float, model: Path | None) -> dict[str, Any]:
    """Score, train and restart for so long, and count."""
    images = sorted(write_textures(folder / "good", 30).iterdir())
    if model is None:
        model = folder / "m.adacl"
        ended = run("fit", folder / "good", "-o", model, *FIT)
        assert ended.returncode == 0, ended.stderr
    said = folder / "said.txt"
    options = (model, "--data", folder / "data")
    contents = [path.read_bytes() for path in images]
    found: Counter[str] = Counter(answers=0, wrong=0, lost=0)
    memory: list[tuple[float, float, int]] = []
    begun, trainings, expected = time.monotonic(), [], None
    for start in range(STARTS):
        service = Service(said, *options)
        if expected is None:
            expected = [service.score(c).json["results"][0]["raw_score"] for c in contents]
        there = {x["id"]: x for x in service.ask("/v1/trainings").json["trainings"]}
        found["lost trainings"] += len(set(trainings) - set(there))
        connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=60)
        until = begun + seconds * (start + 1) / STARTS
        sampled = trained = 0.0
        number = 0
        while (now := time.monotonic()) < until:
            if now - trained > TRAINING_EVERY:
                trained, answer = now, service.train(images, "name=t&epochs=3")
                found[f"trainings answered {answer.status}"] += 1
                trainings += [answer.json["id"]] if answer.status == 202 else []
            if now - sampled > 1:
                sampled = now
                memory.append((round(now - begun, 1), service.memory_mib(), start))
            which = number % len(contents)
            number += 1
            try:
                connection.request(
                    "POST", "/v1/score?model=m", contents[which], {"Content-Type": "image/png"}
                )
                body = json.loads(connection.getresponse().read())
                right = abs(body["results"][0]["raw_score"] - expected[which]) <= TOLERANCE
                found["answers"] += 1
                found["wrong"] += not right
            except (OSError, KeyError, http.client.HTTPException):
                found["lost"] += 1
                connection.close()
            time.sleep(max(0.0, 1 / rate - (time.monotonic() - now)))
        connection.close()
        states = Counter(x["state"] for x in service.ask("/v1/trainings").json["trainings"])
        found["stopped with another code than 0"] += service.stop() != 0
    text = said.read_text(errors="replace")
    return {
        "seconds": seconds,
        "requests a second, at most": rate,
        "starts": STARTS,
        **found,
        "states of the trainings at the end": dict(states),
        "tracebacks": text.count("Traceback"),
        "memory": memory,
    }


def draw(results: dict[str, Any]) -> None:
    """Draw the memory over time, a line for each start of the service."""
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 3), layout="constrained")
    for start in range(results["starts"]):
        points = [(second / 60, mib) for second, mib, of in results["memory"] if of == start]
        axes.plot(*zip(*points, strict=True), color="tab:blue", linewidth=1)
    axes.set(xlabel="minutes", ylabel="memory of the service, MiB", ylim=(0, None))
    axes.set_title("Scoring all the time, trainings, two restarts", fontsize=10, loc="left")
    figure.savefig(PICTURE, dpi=110)


if __name__ == "__main__":
    main()
