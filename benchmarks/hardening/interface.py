"""Test the HTTP interface from its own description, with Schemathesis, on a running service.

It sends what the description allows and what it forbids, and checks each answer: no error of the
service, status, type and body as described, the token asked for, an answer within five seconds.
Statuses that the description cannot foretell count as right: bytes that are no image, say::

    python -m benchmarks.hardening.interface --seconds 180
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.common import RESULTS, record
from benchmarks.hardening.common import FIT, run, write_textures
from benchmarks.hardening.service import Service

TOKEN = {"Authorization": "Bearer secret"}
REFUSED = [200, 202, 204, 400, 404, 409, 413, 415, 422, 503]
"""What may come back for bodies that the description allows: they may be no images, or too few."""

SETTINGS = """
hooks = "benchmarks.hardening.interface_hooks"

[checks.positive_data_acceptance]
expected-statuses = {statuses}

[[operations]]
include-name = "GET /v1/trainings/{{identity}}"
parameters = {{ identity = "{identity}" }}

[[operations]]
include-name = "GET /v1/models/{{name}}/file"
parameters = {{ name = "m" }}
"""


def main() -> None:
    """Test a service that has a model and a training."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--seconds", type=int, default=180)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        results = tested(Path(name), given.seconds, given.seed)
    print(json.dumps(results, indent=1))
    record(RESULTS / "interface.json", results)


def tested(folder: Path, seconds: int, seed: int) -> dict[str, Any]:
    """Start a service in a folder, test it, and say what was found."""
    good = write_textures(folder / "good", 30)
    ended = run("fit", good, "-o", folder / "m.adacl", *FIT)
    assert ended.returncode == 0, ended.stderr
    said = folder / "said.txt"
    limits = ("--max-seconds", 4, "--max-body", 2, "--max-megapixels", 1)
    limits += ("--max-trainings-waiting", 100)
    options = ("--data", folder / "data", "--token", "secret", *limits)
    service = Service(said, folder / "m.adacl", *options)
    image = (good / "000.png").read_bytes()
    before = service.score(image, **TOKEN).json
    training = service.train(sorted(good.iterdir()), "name=t&epochs=1", **TOKEN).json
    service.finished(training["id"], **TOKEN)
    settings = folder / "schemathesis.toml"
    settings.write_text(SETTINGS.format(statuses=REFUSED, identity=training["id"]))
    memory = service.memory_mib()
    report = folder / "report.json"
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", settings, "run"]
    address = f"http://127.0.0.1:{service.port}/openapi.json"
    command += [address, "-H", "Authorization: Bearer secret"]
    command += ["--max-time", seconds, "--max-response-time", 5, "--continue-on-failure"]
    command += ["--seed", seed, "--report", "json", "--report-json-path", report]
    ended = subprocess.run(
        [*map(str, command)],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "NO_COLOR": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )
    if ended.returncode:
        print(ended.stdout, ended.stderr, file=sys.stderr)
    told = json.loads(report.read_text())
    after = service.score(image, **TOKEN).json
    counters = service.ask("/metrics", headers=TOKEN).body.decode()
    held = re.search(r"^adacl_held_bytes (\S+)$", counters, re.M)
    trainings = service.ask("/v1/trainings", headers=TOKEN).json["trainings"]
    found = {
        "schemathesis": version("schemathesis"),
        "seconds": seconds,
        "exit code": ended.returncode,
        "operations": told["operations"]["tested"],
        "requests": told["test_cases"]["generated"],
        "failures": told["failures"],
        "errors": told["errors"],
        "trainings accepted": len(trainings) - 1,
        "scores as before": before["results"] == after["results"],
        "bytes held afterwards": float(held[1]) if held else None,
        "memory before and after, MiB": [memory, service.memory_mib()],
        "exit code of the service": service.stop(),
    }
    lines = said.read_text(errors="replace").splitlines()
    return found | {"tracebacks": sum("Traceback" in x for x in lines), "lines said": len(lines)}


if __name__ == "__main__":
    main()
