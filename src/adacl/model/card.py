"""What a model is, how it came about, and what a user should know of it; without PyTorch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from adacl.imaging.tiles import Tiling
from adacl.model.header import ModelHeader

__all__ = [
    "INTENDED",
    "LIMITS",
    "advice",
    "describe_tiles",
    "facts",
    "lines",
    "notes",
]

FAIR_AUROC = 0.75
FEW_FOUND = 0.5
WEAK_MAP = 0.6
"""Validation AUROC below which a network with a map has hardly learnt anything."""

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


def notes(header: ModelHeader) -> list[str]:
    """Say in sentences what a user should know about how a model was trained."""
    facts, best = header.training, header.history.best
    lines = [
        f"{facts['parameters']:,} parameters; {_split(header)}",
        f"epoch {best.epoch + 1} of {len(header.history.epochs)} kept: validation AUROC "
        f"{best.validation_auroc:.4f} against made anomalies",
    ]
    if header.has_map:
        return lines + _weak_map(best.validation_auroc) + header.threshold.describe()
    if facts["validation"] < header.config.training.validation_size:
        lines.append(
            f"only {facts['validation']} normals could be spared for early stopping "
            f"({header.config.training.validation_size} wanted); its AUROC is rough"
        )
    flagged = facts.get("validation_flagged") or 0
    if header.threshold.method == "cross-fitting" and header.threshold.refuted_by(
        flagged, facts["validation"]
    ):
        lines.append(
            f"the network flags {flagged} of the {facts['validation']} normals for early stopping, "
            "more than the threshold promises: networks of other folds score differently; train "
            "longer, or calibrate with further normals (adacl calibrate)"
        )
    for kind in header.history.weak_kinds():
        lines.append(
            f"{kind} is hardly told from normal (AUROC {best.kind_auroc[kind]:.2f}): if longer "
            "training does not help, it hardly changes these images; consider leaving it out "
            f"(--drop {kind})"
        )
    return lines + header.threshold.describe()


def _weak_map(area: float) -> list[str]:
    if area >= WEAK_MAP:
        return []
    return [
        f"made anomalies are hardly told from normal (AUROC {area:.2f}): train longer (--epochs); "
        "if that does not help, do not rely on this model"
    ]


def _split(header: ModelHeader) -> str:
    """Say what the normal images were used for."""
    facts = header.training
    stopping = "" if header.has_map else f"{facts['validation']:,} for early stopping, "
    return (
        f"{facts['train']:,} images to learn from, {stopping}{facts['calibration']:,} for the "
        "threshold"
    )


def _copies(training: Mapping[str, Any]) -> str:
    """Say how many of the images are distinct, unless all are."""
    count = training.get("distinct", training["images"])
    return f", {count:,} distinct" if count < training["images"] else ""


def _made(header: ModelHeader) -> str:
    """Name the anomalies that were made of them."""
    if not header.has_map:
        return ", ".join(header.config.anomalies.weights)
    local = header.config.local
    shapes, fillings = (", ".join(names) for names in (local.shapes, local.fillings))
    return f"{shapes}; filled with {fillings}"


def _size(header: ModelHeader) -> str:
    spec = header.spec
    return "any size" if header.has_map else f"{spec.height} × {spec.width} pixels"


def advice(figures: Mapping[str, Any], header: ModelHeader) -> str | None:
    """Say what may help where anomalies score higher, but few of them above the threshold.

    Parameters
    ----------
    figures
        What :func:`adacl.metrics.evaluation` returned.
    header
        Of the model.

    Returns
    -------
    str or None
        A sentence without its full stop; None where nothing of the kind is to be said.
    """
    if figures["auroc"] < FAIR_AUROC or figures["tpr"] >= FEW_FOUND:
        return None
    tiles = (
        "" if header.any_size else "cut the images into tiles if the defects are small (--tile), "
    )
    return (
        f"anomalies do score higher than normal images (AUROC {figures['auroc']:.2f}), but only "
        f"{figures['tpr']:.0%} of them score above the threshold; to find more, train longer "
        f"(adacl fit --epochs), {tiles}or accept more false alarms (adacl calibrate --fpr)"
    )


def facts(header: ModelHeader) -> list[tuple[str, str]]:
    """Return terms and what to say of them in a report, for a model of either kind."""
    spec, training, exported = header.spec, header.training, header.exported
    colour = {1: "grey", 3: "colour"}.get(spec.channels, f"{spec.channels} channels")
    rows = [
        ("Input", f"{_size(header)}, {colour}, {spec.dtype}"),
        ("Images are", _sized(header.resize, header.tiling)),
        ("Preset", header.config.preset),
        ("Parameters", f"{training['parameters']:,}, trained from scratch"),
        (
            "Fitted on",
            f"{training['images']:,} normal images{_copies(training)}: {_split(header)}",
        ),
        ("Made anomalies", _made(header)),
        (
            "Training",
            f"epoch {header.history.best_epoch + 1} of {len(header.history.epochs)} kept, seed "
            f"{training['seed']}, on {training['device']}, adacl {training['adacl']}, PyTorch "
            f"{training['torch']}",
        ),
    ]
    if exported:
        rows += [
            (
                "Exported",
                f"ONNX opset {exported.opset}, {exported.precision}, by adacl "
                f"{exported.exported_by}",
            ),
            ("Licence", exported.licence),
        ]
    return [*rows, ("Fingerprint", header.fingerprint)]


def _sized(resize: tuple[int, int] | None, tiling: Tiling | None) -> str:
    parts = [f"resized to {resize[0]} × {resize[1]}"] if resize else []
    if tiling:
        step = tiling.stride or "no overlap"
        worst = "the worst" if tiling.top_k == 1 else f"the {tiling.top_k} worst, averaged"
        parts.append(
            f"cut into tiles of {tiling.height} × {tiling.width} (stride {step}); {worst} "
            "gives the score"
        )
    return ", ".join(parts) or "taken as they are"


def lines(header: ModelHeader) -> Iterator[str]:
    """Yield what ``adacl info`` shows of a model of either kind."""
    spec, training, history = header.spec, header.training, header.history
    fitted = f"{training['images']} images{_copies(training)}"
    if header.video is not None:
        fitted = f"{training['frames']} frames in {training['images']} blocks"
    rows = {
        "preset": header.config.preset,
        "input": f"{_size(header).replace('×', 'x')}, {spec.channels} channel(s), "
        f"{spec.dtype} values {spec.low:g} to {spec.high:g}",
        "tiles": describe_tiles(header.tiling) if header.tiling else "none, whole images",
        "parameters": f"{training['parameters']:,}",
        "fitted on": f"{fitted} ({_split(header)})",
        "training": f"epoch {history.best_epoch + 1} of {len(history.epochs)}, seed "
        f"{training['seed']}, {training['device']}, adacl {training['adacl']}, PyTorch "
        f"{training['torch']}",
        "validation": f"AUROC {history.best.validation_auroc:.4f} against made anomalies ("
        + ", ".join(f"{kind} {area:.3f}" for kind, area in history.best.kind_auroc.items())
        + ")",
    }
    if exported := header.exported:
        height, width = exported.input_size or ("any", "any")
        batch = "any number of images" if exported.batch is None else "one image"
        rows["exported"] = (
            f"ONNX opset {exported.opset}, {exported.precision}, {batch} of {height} x {width} "
            f"at once, by adacl {exported.exported_by}"
        )
        rows["licence"] = exported.licence
    rows["fingerprint"] = header.fingerprint
    if header.video is not None:
        del rows["tiles"]
    for name, value in rows.items():
        yield f"{name:12}{value}"


def describe_tiles(tiling: Tiling) -> str:
    """Say in one line how images are cut into tiles, and scored by them."""
    aggregate = "maximum" if tiling.top_k == 1 else f"mean of the {tiling.top_k} worst"
    return f"{tiling.height} x {tiling.width}, stride {tiling.stride or 'none'}, {aggregate}"
