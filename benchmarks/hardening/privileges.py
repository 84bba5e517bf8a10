"""Run the service with as few rights as it needs, and see that it works and can do no more.

In namespaces of their own (``unshare``): the whole file system is read-only but for the folder of
``--data``, there is no network but the loopback, and the service runs as ``nobody`` without
capabilities. It must score and train; what is forbidden is tried with the same rights. Needs Linux
and root. The systemd unit is judged by ``systemd-analyze security``, where there is one::

    python -m benchmarks.hardening.privileges
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.common import RESULTS, record
from benchmarks.hardening.common import FIT, run, write_textures
from benchmarks.hardening.service import Service

UNIT = Path(__file__).parents[2] / "packaging" / "adacl.service"
NOBODY = 65534
WITHOUT_RIGHTS = [
    "setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--no-new-privs",
    "--bounding-set=-all", "--inh-caps=-all",
]  # fmt: skip
ENCLOSED = """
set -e
mount --make-rprivate /
mkdir "$1/python"
mount --bind "$2" "$1/python"
case "$2" in "$HOME"/*)  # which others may not enter
    mount -t tmpfs -o mode=755 tmpfs "$HOME"
    mkdir -p "$2"
    mount --move "$1/python" "$2";;
esac
mount --bind "$1/data" "$1/data"
mount -o remount,bind,ro /
ip link set lo up
shift 2
exec "$@"
"""
FORBIDDEN = {
    "write beside the data": "open('/etc/adacl-was-here', 'w')",
    "write to /tmp": "open('/tmp/adacl-was-here', 'w')",
    "read what root alone may": "open('/etc/shadow').read()",
    "change the model": "open(sys.argv[1], 'ab')",
    "connect to the outside": "socket.create_connection(('192.0.2.1', 80), 3)",
    "become root": "os.setuid(0)",
}


def main() -> None:
    """Build the enclosure, and try the service in it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--model", type=Path, help="an exported model; by default one is fitted")
    given = parser.parse_args()
    if given.inside:
        (given.inside / "data" / "found.json").write_text(json.dumps(inside(given.inside)))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        good = write_textures(folder / "good", 12)
        if given.model is None:
            assert run("fit", good, "-o", folder / "m.adacl", *FIT).returncode == 0
            ended = run("export", folder / "m.adacl", folder / "m.onnx", "--dynamic-batch")
            assert ended.returncode == 0, ended.stderr
        else:
            shutil.copy(given.model, folder / "m.onnx")
        (folder / "data").mkdir()
        os.chown(folder / "data", NOBODY, NOBODY)
        script = folder / "enclosed.sh"
        script.write_text(ENCLOSED)
        again = [sys.executable, "-m", "benchmarks.hardening.privileges", "--inside", name]
        enclosure = ["unshare", "--mount", "--net", "sh", str(script), name, sys.base_prefix]
        subprocess.run([*enclosure, *again], check=True)
        results = json.loads((folder / "data" / "found.json").read_text())
    results["systemd"] = judged()
    print(json.dumps(results, indent=1))
    record(RESULTS / "privileges.json", results)


def inside(folder: Path) -> dict[str, Any]:
    """Start the service without rights, use it, and try what it must not be able to do."""
    os.environ |= {"TMPDIR": str(folder / "data"), "HOME": str(folder / "data")}
    model, images = folder / "m.onnx", sorted((folder / "good").iterdir())
    options = (model, "--data", folder / "data")
    service = Service(folder / "data" / "said.txt", *options, before=WITHOUT_RIGHTS)
    lines = Path(f"/proc/{service.process.pid}/status").read_text().splitlines()
    status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    found: dict[str, Any] = {
        "rights": {name: status[name] for name in ("Uid", "CapEff", "CapBnd", "NoNewPrivs")},
        "scores": service.score(images[0].read_bytes()).status,
    }
    training = service.train(images, "name=t&epochs=1")
    found["training accepted"] = training.status
    found["training"] = service.finished(training.json["id"], 900)["state"]
    found["exit code"] = service.stop()
    for what, code in FORBIDDEN.items():
        tried = [sys.executable, "-c", f"import os, socket, sys; {code}", str(model)]
        ended = subprocess.run(
            [*WITHOUT_RIGHTS, *tried], capture_output=True, text=True, check=False
        )
        last = ended.stderr.strip().splitlines()[-1:] or ["possible"]
        found[what] = last[0].replace(str(folder), "DIR")
    return found


def judged() -> str | None:
    """Return what systemd says of the unit."""
    if shutil.which("systemd-analyze") is None:
        return None
    command = ["systemd-analyze", "security", "--offline=true", str(UNIT)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    return ended.stdout.strip().splitlines()[-1].strip("→ ")


if __name__ == "__main__":
    main()
