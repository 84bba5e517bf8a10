"""What ``adacl info`` and the report tell of a model: its data sheet and notes; without PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adacl.imaging.tiles import Tiling
from adacl.model.advice import FAIR_AUROC, WEAK_MAP
from adacl.model.header import ModelHeader

MOST_CHANGES = 3
"""Changes named that raise normal images above the threshold."""
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


def facts(header: ModelHeader) -> list[tuple[str, str]]:
    """Return the data sheet of a model of any kind as pairs of term and text."""
    spec, training, history = header.spec, header.training, header.history
    colour = {1: "grey", 3: "colour"}.get(spec.channels, f"{spec.channels} channels")
    fitted = f"{training['images']:,} normal images{_copies(training)}"
    if header.video is not None:
        fitted = f"{training['frames']:,} frames in {training['images']:,} stretches"
    kinds = ", ".join(f"{kind} {area:.3f}" for kind, area in history.best.kind_auroc.items())
    rows = {
        "Preset": header.config.preset,
        "Input": f"{_size(header)}, {colour}, {spec.dtype} values {spec.low:g} to {spec.high:g}",
        "Images are": _sized(header),
        "Parameters": f"{training['parameters']:,}, trained from scratch",
        "Fitted on": f"{fitted}: {_split(header)}",
        "Made anomalies": _made(header),
        "Training": f"epoch {history.best_epoch + 1} of {len(history.epochs)} kept, seed "
        f"{training['seed']}, on {training['device']}, adacl {training['adacl']}, PyTorch "
        f"{training['torch']}",
        "Validation": f"AUROC {history.best.validation_auroc:.4f} against made anomalies ({kinds})",
    }
    if worst := header.sensitive_to(MOST_CHANGES):
        rows["Sensitive to"] = worst
    if not header.light_varies:
        rows["Light"] = "fixed: brightness itself counts, and is not remarked on (--light fixed)"
    elif header.config.network.local_contrast:
        rows["Light"] = "varies: each place is seen relative to its surroundings"
    elif header.config.training.light_loss:
        rows["Light"] = "varies: the network learnt to disregard it (--light varies)"
    if header.mask is not None:
        tall, wide = header.mask.pixels.shape
        rows["Looked at"] = f"{header.mask.share:.0%} of the image, by a mask of {tall} × {wide}"
    if exported := header.exported:
        size = " × ".join(map(str, exported.input_size or ())) or "any size"
        batch = "any number of images" if exported.batch is None else "one image"
        rows["Exported"] = (
            f"ONNX opset {exported.opset}, {exported.precision}, {batch} of {size} "
            f"at a time, by adacl {exported.exported_by}"
        )
        rows["Licence"] = exported.licence
    rows["Fingerprint"] = header.fingerprint
    if header.video is not None:
        del rows["Images are"]
    return list(rows.items())


def _sized(header: ModelHeader) -> str:
    parts = []
    if header.resize:
        parts.append("resized to {} × {}".format(*header.resize))
    if header.tiling:
        parts.append(describe_tiles(header.tiling))
    if header.config.network.shrunk > 1:
        parts.append(f"seen at 1/{header.config.network.shrunk} of their size")
    if header.config.network.upright == "yes":
        parts.append("each part turned upright")
    return ", ".join(parts) or "taken as they are"


def describe_tiles(tiling: Tiling) -> str:
    """Describe how images are cut into tiles and scored."""
    step = tiling.stride or "no overlap"
    worst = "the worst" if tiling.top_k == 1 else f"the {tiling.top_k} worst, averaged"
    return (
        f"cut into tiles of {tiling.height} × {tiling.width} (stride {step}); {worst} gives the "
        "score"
    )


def notes(header: ModelHeader) -> list[str]:
    """Return the sentences that tell a user how a model was trained."""
    facts, best = header.training, header.history.best
    lines = [
        f"{facts['parameters']:,} parameters; {_split(header)}",
        f"epoch {best.epoch + 1} of {len(header.history.epochs)} kept: validation AUROC "
        f"{best.validation_auroc:.4f} against made anomalies",
    ]
    if header.has_map:
        return lines + weakness(header) + header.threshold.notes()
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
            f"{kind} is hardly distinguished from normal (AUROC {best.kind_auroc[kind]:.2f}): if "
            "longer training does not help, it hardly changes these images; consider leaving it "
            f"out (--drop {kind})"
        )
    return lines + weakness(header) + header.threshold.notes()


def weakness(header: ModelHeader) -> list[str]:
    """Return the sentence among the notes that says not to rely on a model, if there is one."""
    area = header.history.best.validation_auroc
    if area >= (WEAK_MAP if header.has_map else FAIR_AUROC):
        return []
    return [
        f"made anomalies are hardly distinguished from normal (AUROC {area:.2f}): train longer "
        "(--epochs); if that does not help, do not rely on this model"
    ]


def _split(header: ModelHeader) -> str:
    """Say what the normal images, or stretches of footage, were used for."""
    facts = header.training
    if header.video is not None:
        return f"{facts['train']:,} to learn from, {facts['validation']:,} for early stopping"
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
    """Name the anomalies that training made."""
    if not header.has_map:
        return ", ".join(header.config.anomalies.weights)
    local = header.config.local
    shapes, fillings = (", ".join(names) for names in (local.shapes, local.fillings))
    return f"{shapes}; filled with {fillings}"


def _size(header: ModelHeader) -> str:
    spec = header.spec
    return "any size" if header.has_map else f"{spec.height} × {spec.width} pixels"
