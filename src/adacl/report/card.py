"""The model card of a report: what a model is, how it came about, and what it is for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adacl.model_file import parse_header, read_header
from adacl.notes import notes
from adacl.tensor_file import digest

if TYPE_CHECKING:
    from adacl.detector import AnomalyDetector
    from adacl.runtime import Scorer

__all__ = ["INTENDED", "LIMITS", "facts", "header_of", "remarks"]

INTENDED = (
    "Telling images that look like those it learned from, from images that do not; to point a "
    "person at the images worth a look, or to sort where the rates above are good enough."
)
LIMITS = (
    "The model knows only what normal images of one kind, camera and lighting look like; when one "
    "of them changes, calibrate or train again.",
    "The score is no probability, and not a measure of how bad a defect is.",
    "Heat maps show what raised the score. They are not outlines of defects.",
    "It has never seen a real anomaly. How many of those it finds, only labelled images can tell.",
)


def facts(header: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return terms and what to say of them, from the header of a model of either kind."""
    spec, training, tiling = header["spec"], header["training"], header["tiling"]
    history = header["history"]
    colour = {1: "grey", 3: "colour"}.get(spec["channels"], f"{spec['channels']} channels")
    rows = [
        ("Input", f"{spec['height']} × {spec['width']} pixels, {colour}, {spec['dtype']}"),
        ("Images are", _sized(header["resize"], tiling)),
        ("Preset", header["preset"]),
        ("Parameters", f"{training['parameters']:,}, trained from scratch"),
        (
            "Fitted on",
            f"{training['images']:,} normal images: {training['train']:,} to learn from, "
            f"{training['validation']:,} for early stopping, {training['calibration']:,} for the "
            "threshold",
        ),
        (
            "Made anomalies",
            ", ".join(header["config"]["anomalies"]["weights"]),
        ),
        (
            "Training",
            f"epoch {history['best_epoch'] + 1} of {len(history['epochs'])} kept, seed "
            f"{training['seed']}, on {training['device']}, adacl {training['adacl']}, PyTorch "
            f"{training['torch']}",
        ),
    ]
    if "export_version" in header:
        rows += [
            (
                "Exported",
                f"ONNX opset {header['opset']}, {header['precision']}, by adacl "
                f"{header['exported_by']}",
            ),
            ("Licence", header["licence"]),
        ]
    return [*rows, ("Fingerprint", header["fingerprint"])]


def _sized(resize: list[int] | None, tiling: Mapping[str, Any] | None) -> str:
    parts = [f"resized to {resize[0]} × {resize[1]}"] if resize else []
    if tiling:
        step = tiling["stride"] or "no overlap"
        worst = "the worst" if tiling["top_k"] == 1 else f"the {tiling['top_k']} worst, averaged"
        parts.append(
            f"cut into tiles of {tiling['height']} × {tiling['width']} (stride {step}); {worst} "
            "gives the score"
        )
    return ", ".join(parts) or "taken as they are"


def remarks(header: Mapping[str, Any]) -> list[str]:
    """Return the sentences of :func:`adacl.notes.notes` for a header, without PyTorch."""
    return notes(parse_header(header))


def header_of(path: Path, scorer: AnomalyDetector | Scorer) -> Mapping[str, Any]:
    """Return what a model's file says of itself, with the fingerprint."""
    if hasattr(scorer, "header"):
        return scorer.header
    header, tensors = read_header(path)
    return header | {"fingerprint": digest(tensors, header)}
