"""Run the service with as few rights as it needs, and see that it works and can do no more.

In namespaces of their own (``unshare``): the whole file system is read-only but for the folder of
``--data``, there is no network but the loopback, and the service runs as ``nobody`` without
capabilities and with limits (``prlimit``). It must score and train, and store nothing elsewhere;
what is forbidden is tried with the same rights, and places where it must not write are named to it.
Needs Linux and root. The units are checked by ``systemd-analyze``, where there is one::

    python -m benchmarks.hardening.privileges
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.common import RESULTS, record
from benchmarks.hardening.common import ONE, TINY, TINY_TOML, command, run, write_textures
from benchmarks.hardening.service import Service

UNITS = sorted((Path(__file__).parents[2] / "packaging").glob("*.service"))
PROGRAM = "/opt/adacl/bin/adacl"  # which is not there where the units are checked
NOBODY = 65534
WITHOUT_RIGHTS = [
    "setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--no-new-privs",
    "--bounding-set=-all", "--inh-caps=-all",
]  # fmt: skip
LIMITS = ["prlimit", "--nofile=256", "--core=0", "--fsize=67108864", "--memlock=0"]
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
REFUSED = {
    "--data where it must not write": ["m.onnx", "--data", "good/data"],
    "--log where it must not write": ["m.onnx", "--log", "good/log.db"],
    "a model that it must not read": ["secret.onnx"],
}
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
            assert run("fit", good, "-o", folder / "m.adacl", *TINY, *ONE).returncode == 0
            ended = run("export", folder / "m.adacl", folder / "m.onnx", "--dynamic-batch")
            assert ended.returncode == 0, ended.stderr
        else:
            shutil.copy(given.model, folder / "m.onnx")
        (folder / "data").mkdir()
        os.chown(folder / "data", NOBODY, NOBODY)
        shutil.copy(folder / "m.onnx", folder / "secret.onnx")
        (folder / "secret.onnx").chmod(0o600)
        (folder / "tiny.toml").write_text(TINY_TOML)
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
    options = (model, "--config", folder / "tiny.toml", "--data", folder / "data")
    service = Service(folder / "data" / "said.txt", *options, before=[*LIMITS, *WITHOUT_RIGHTS])
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
    found["stored"] = sorted(path.name for path in (folder / "data").iterdir())
    for what, (model_name, *rest) in REFUSED.items():
        paths = [str(folder / x) if "/" in x else x for x in rest]
        tried = command("serve", folder / model_name, "--port", 0, *paths)
        found[what] = refused([*WITHOUT_RIGHTS, *tried], folder)
    for what, code in FORBIDDEN.items():
        tried = [sys.executable, "-c", f"import os, socket, sys; {code}", str(model)]
        found[what] = refused([*WITHOUT_RIGHTS, *tried], folder)
    return found


def refused(tried: list[str], folder: Path) -> str:
    """Run what must be refused; return its exit code and the last line that it said."""
    ended = subprocess.run(tried, capture_output=True, text=True, check=False, timeout=600)
    last = ended.stderr.strip().splitlines()[-1:] or ["possible"]
    return f"{ended.returncode}: {last[0].replace(str(folder), 'DIR')}"


def judged() -> dict[str, str]:
    """Return what systemd says of each unit: its mistakes, and its exposure."""
    if shutil.which("systemd-analyze") is None:
        return {}
    found = {}
    for unit, verb in itertools.product(UNITS, ("verify", "security")):
        with tempfile.TemporaryDirectory() as name:
            there = Path(name) / unit.name
            there.write_text(unit.read_text().replace(PROGRAM, "/bin/true"))
            offline = ["--offline=true"] if verb == "security" else []
            asked = ["systemd-analyze", verb, *offline, str(there)]
            ended = subprocess.run(asked, capture_output=True, text=True, check=False)
            lines = (ended.stdout + ended.stderr).strip().splitlines() or ["nothing"]
            said = lines[-1:] if verb == "security" else lines
            found[f"{verb} {unit.name}"] = f"{ended.returncode}: {'; '.join(said).strip('→ ')}"
    return found


if __name__ == "__main__":
    main()
