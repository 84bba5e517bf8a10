"""The report on scored images or a fit: one HTML file that opens from disk, without a network."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import platform
import shlex
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from adacl._version import __version__
from adacl.files import atomic_file
from adacl.model import info
from adacl.model.advice import advice
from adacl.model.threshold import Threshold
from adacl.report.galleries import Track, galleries
from adacl.report.subject import Subject, readable
from adacl.report.tally import SKIPPED, STEPS, Gathering, Row, notable
from adacl.report.thumbnails import thumbnails
from adacl.words import plural

THUMBNAILS = 2_000
SCRIPTS = ("charts.js", "state.js", "list.js", "report.js")


def write_report(
    path: Path,
    subject: Subject,
    gathering: Gathering,
    figures: Mapping[str, Any] | None = None,
    track: Track | None = None,
) -> None:
    """Write a report.

    Parameters
    ----------
    path
        File to write (HTML).
    subject
        What it is about.
    gathering
        What was scored.
    figures
        What :func:`adacl.metrics.evaluation` returned, where labels are known.
    track
        Shows how many of the heat maps are made.

    Raises
    ------
    DataError
        If the file cannot be written.
    """
    environment = Environment(
        loader=PackageLoader("adacl.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = _source("report.css")
    script = "(() => {\n" + "\n".join(map(_source, SCRIPTS)) + "\n})();\n"
    page = environment.get_template("report.html.j2").generate(
        _told(subject, gathering, figures, track or _untracked),
        style=style,
        script=script,
        style_hash=_hash(style),
        script_hash=_hash(script),
        version=__version__,
        python=platform.python_version(),
        system=f"{platform.system()} {platform.machine()}",
    )
    with atomic_file(path, "w") as file:
        file.writelines(page)


def _told(
    subject: Subject, gathering: Gathering, figures: Mapping[str, Any] | None, track: Track
) -> dict[str, Any]:
    """Return the values that the template shows, by name."""
    rows = gathering.rows
    threshold = subject.threshold
    shown, unmapped = galleries(subject, rows, track)
    promise = _promise(threshold)
    data = _data(subject, gathering, rows, promise)
    described = threshold.notes()
    now = datetime.now().astimezone()
    return {
        "title": readable(subject.title),
        "story": subject.story,
        "data": _embedded(data),
        "model_name": readable(subject.model_path.name),
        "when": f"{now.day} {now:%B %Y, %H:%M}",
        "learned": subject.header.training["images"],
        "total": gathering.total(),
        "groups": {group: gathering.total(group) for group in gathering.counts},
        "flagged": {group: flagged[0] for group, flagged in gathering.flagged.items()},
        "figures": figures and {**figures, "kinds": _kinds(figures)},
        "advice": subject.story != "score"
        and advice(subject.header, figures, readable(subject.model_path.name)),
        "threshold": threshold,
        "scale": subject.header.map_scale,
        "expected": threshold.fpr_at(threshold.value),
        "held_out": data["held_out"],
        "promise": promise,
        "galleries": shown,
        "unmapped": unmapped,
        "listed": len(rows),
        "pictured": len(data["pictures"]),
        "skipped": len(gathering.skipped) + gathering.unnamed,
        "named": min(SKIPPED, len(gathering.skipped)),
        "seen": sum(bool(row.score.trained_on) for row in rows),
        "setting": sum(bool(row.score.set_threshold) for row in rows),
        "examples": _examples(subject, rows),
        "history": subject.header.to_dict()["history"],
        "facts": info.facts(subject.header),
        "remarks": [line for line in info.notes(subject.header) if line not in described],
        "described": described,
        "intended": info.INTENDED,
        "limits": info.LIMITS,
        "command": readable(subject.command),
    }


def _kinds(figures: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{**row, "kind": readable(row["kind"])} for row in figures.get("kinds", ())]


def _data(subject: Subject, gathering: Gathering, rows: list[Row], promise: str) -> dict[str, Any]:
    """Return the data for the script of the page."""
    threshold = subject.threshold
    return {
        "steps": STEPS,
        "threshold": threshold.value,
        "own": gathering.own,
        "curve": threshold.curve or None,
        "held_out": _held_out(threshold),
        "promise": promise,
        "groups": [
            {
                "name": group,
                "steps": sorted(counts),
                "counts": [counts[step] for step in sorted(counts)],
                "flagged": gathering.flagged[group],
            }
            for group, counts in gathering.counts.items()
        ],
        "rows": _listed(rows, gathering),
        "pictures": _pictures(subject, rows),
        "history": subject.header.to_dict()["history"],
        "again": readable(shlex.join(subject.again)),
    }


def _untracked(items: Iterable[Any], title: str, total: int) -> Iterable[Any]:
    return items


def _held_out(threshold: Threshold) -> str:
    """Name the normal images that the curve of a threshold counts."""
    if threshold.groups:
        return f"the images of {plural(threshold.n, 'held-out group')}"
    return f"{threshold.n:,} held-out normal images"


def _promise(threshold: Threshold) -> str:
    if threshold.upper_bound is None or threshold.confidence is None:
        return ""
    return (
        f"; of all at most {100 * threshold.upper_bound:.1f} %, with "
        f"{100 * threshold.confidence:.0f} % confidence"
    )


def _pictures(subject: Subject, rows: list[Row]) -> dict[int, str]:
    """Return thumbnails by row: of the notable ones, and of others in equal steps."""
    indices = set(notable(rows, subject.threshold.value, THUMBNAILS))
    others = [index for index in range(len(rows)) if index not in indices]
    room = min(THUMBNAILS - len(indices), len(others))
    indices |= {others[i * len(others) // room] for i in range(room)}
    order = sorted(indices)
    urls = thumbnails([rows[index].score.path for index in order], subject.header.spec)
    return {index: url for index, url in zip(order, urls, strict=True) if url}


def _listed(rows: list[Row], gathering: Gathering) -> dict[str, Any]:
    """Return the columns of the list: images, then those that could not be read."""
    skipped = gathering.skipped[:SKIPPED]
    files = [row.score.path for row in rows] + [path for path, _ in skipped]
    paths = [readable(path.as_posix()) for path in files]
    try:
        folder = os.path.commonpath([os.path.dirname(path) for path in paths])  # noqa: PTH120
    except ValueError:  # absolute and relative paths, or several drives
        folder = ""
    start = len(folder) + 1 if folder.strip("/\\") else 0
    labels = {"normal": 0, "anomalous": 1}
    known = {"image", *labels}
    return {
        "folder": folder if start else "",
        "names": [path[start:] for path in paths],
        "raw": [row.score.raw for row in rows],
        "labels": [labels.get(row.group) for row in rows]
        if any(row.group in labels for row in rows)
        else None,
        "tiles": {i: row.score.tile for i, row in enumerate(rows) if row.score.tile},
        "remarks": {i: row.score.remark for i, row in enumerate(rows) if row.score.remark},
        "seen": [i for i, row in enumerate(rows) if row.score.trained_on and row.group in known],
        "reasons": [readable(reason) for _, reason in skipped],
    }


def _examples(subject: Subject, rows: list[Row]) -> Any:
    """Return made anomalies with their scores, or None for an exported model."""
    if not hasattr(subject.scorer, "model_"):
        return None
    from adacl.report import made_anomalies

    model = subject.scorer.model_
    normal = [row for row in rows if row.group != "anomalous"] or rows
    lowest = sorted(normal, key=lambda row: row.score.raw)
    lowest = lowest[: max(made_anomalies.EXAMPLES, len(lowest) // 10)]
    chosen = lowest[:: len(lowest) // made_anomalies.EXAMPLES or 1]
    samples = made_anomalies.samples(model, [row.score.path for row in chosen])
    return made_anomalies.examples(model, samples) if samples else None


def _embedded(data: Mapping[str, Any]) -> str:
    """Return JSON that cannot end the script element it is in."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _source(name: str) -> str:
    return (Path(__file__).parent / "templates" / name).read_text(encoding="utf-8")


def _hash(source: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
