"""What a model is, how it came about, and what a user should know of it; without PyTorch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from adacl.config import Config
from adacl.model.file import parse_header
from adacl.model.history import History
from adacl.model.thresholds import Threshold

__all__ = [
    "INTENDED",
    "LIMITS",
    "Trained",
    "advice",
    "describe_tiles",
    "facts",
    "lines",
    "notes",
    "remarks",
]

FAIR_AUROC = 0.75
FEW_FOUND = 0.5

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


class Trained(Protocol):
    """What a model, or the header of its file, says of its training."""

    @property
    def training(self) -> Mapping[str, Any]:
        """Numbers of images and of parameters."""

    @property
    def config(self) -> Config:
        """The method."""

    @property
    def history(self) -> History:
        """The epochs."""

    @property
    def threshold(self) -> Threshold:
        """The threshold, and where it comes from."""


def notes(trained: Trained) -> list[str]:
    """Say in sentences what a user should know about how a model was trained."""
    facts, best = trained.training, trained.history.best
    lines = [
        f"{facts['parameters']:,} parameters; {facts['train']} images to learn from, "
        f"{facts['validation']} for early stopping, {facts['calibration']} for the threshold",
        f"epoch {best.epoch + 1} of {len(trained.history.epochs)} kept: validation AUROC "
        f"{best.validation_auroc:.4f} against made anomalies",
    ]
    dense = trained.config.network.output == "map"
    if not dense and facts["validation"] < trained.config.training.validation_size:
        lines.append(
            f"only {facts['validation']} normals could be spared for early stopping "
            f"({trained.config.training.validation_size} wanted); its AUROC is rough"
        )
    flagged = facts.get("validation_flagged") or 0
    if trained.threshold.method == "cross-fitting" and trained.threshold.refuted_by(
        flagged, facts["validation"]
    ):
        lines.append(
            f"the network flags {flagged} of the {facts['validation']} normals for early stopping, "
            "more than the threshold promises: networks of other folds score differently; train "
            "longer, or calibrate with further normals (adacl calibrate)"
        )
    for kind in () if dense else trained.history.weak_kinds():
        lines.append(
            f"{kind} is hardly told from normal (AUROC {best.kind_auroc[kind]:.2f}): if longer "
            "training does not help, it hardly changes these images; consider leaving it out "
            f"(--drop {kind})"
        )
    return lines + trained.threshold.describe()


def advice(figures: Mapping[str, Any], tiled: bool) -> str | None:
    """Say what may help where anomalies score higher, but few of them above the threshold.

    Parameters
    ----------
    figures
        What :func:`adacl.metrics.evaluation` returned.
    tiled
        Whether the model cuts images into tiles.

    Returns
    -------
    str or None
        A sentence without its full stop; None where nothing of the kind is to be said.
    """
    if figures["auroc"] < FAIR_AUROC or figures["tpr"] >= FEW_FOUND:
        return None
    tiles = "" if tiled else "cut the images into tiles if the defects are small (--tile), "
    return (
        f"anomalies do score higher than normal images (AUROC {figures['auroc']:.2f}), but only "
        f"{figures['tpr']:.0%} of them score above the threshold; to find more, train longer "
        f"(adacl fit --epochs), {tiles}or accept more false alarms (adacl calibrate --fpr)"
    )


def facts(header: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return terms and what to say of them, from the header of a model of either kind."""
    spec, training, tiling = header["spec"], header["training"], header["tiling"]
    history = header["history"]
    colour = {1: "grey", 3: "colour"}.get(spec["channels"], f"{spec['channels']} channels")
    size = "any size" if _is_dense(header) else f"{spec['height']} × {spec['width']} pixels"
    config = header["config"]
    made = config["local"]["fillings"] if _is_dense(header) else config["anomalies"]["weights"]
    rows = [
        ("Input", f"{size}, {colour}, {spec['dtype']}"),
        ("Images are", _sized(header["resize"], tiling)),
        ("Preset", header["preset"]),
        ("Parameters", f"{training['parameters']:,}, trained from scratch"),
        (
            "Fitted on",
            f"{training['images']:,} normal images: {training['train']:,} to learn from, "
            f"{training['validation']:,} for early stopping, {training['calibration']:,} for the "
            "threshold",
        ),
        ("Made anomalies", ", ".join(made)),
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


def _is_dense(header: Mapping[str, Any]) -> bool:
    return bool(header["config"]["network"].get("output") == "map")


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
    """Return the sentences of :func:`notes` for a header, without PyTorch."""
    return notes(parse_header(header))


def lines(header: Mapping[str, Any]) -> Iterator[str]:
    """Yield what ``adacl info`` shows of the header of a model of either kind."""
    spec, training, tiling = header["spec"], header["training"], header["tiling"]
    epochs, best = header["history"]["epochs"], header["history"]["best_epoch"]
    kinds = epochs[best]["kind_auroc"]
    fitted = f"{training['images']} images"
    if "video" in header:
        fitted = f"{training['frames']} frames in {training['images']} blocks"
    size = "any size" if _is_dense(header) else f"{spec['height']} x {spec['width']} pixels"
    rows = {
        "preset": header["preset"],
        "input": f"{size}, {spec['channels']} channel(s), "
        f"{spec['dtype']} values {spec['low']:g} to {spec['high']:g}",
        "tiles": describe_tiles(tiling) if tiling else "none, whole images",
        "parameters": f"{training['parameters']:,}",
        "fitted on": f"{fitted} ({training['train']} to learn from, "
        f"{training['validation']} for early stopping, {training['calibration']} for the "
        "threshold)",
        "training": f"epoch {best + 1} of {len(epochs)}, seed {training['seed']}, "
        f"{training['device']}, adacl {training['adacl']}, PyTorch {training['torch']}",
        "validation": f"AUROC {epochs[best]['validation_auroc']:.4f} against made anomalies ("
        + ", ".join(f"{kind} {area:.3f}" for kind, area in kinds.items())
        + ")",
    }
    if "export_version" in header:
        height, width = header["input_size"] or ("any", "any")
        batch = "any number of images" if header["batch"] is None else "one image"
        rows["exported"] = (
            f"ONNX opset {header['opset']}, {header['precision']}, {batch} of {height} x {width} "
            f"at once, by adacl {header['exported_by']}"
        )
        rows["licence"] = header["licence"]
    rows["fingerprint"] = header["fingerprint"]
    if "video" in header:
        del rows["tiles"]
    for name, value in rows.items():
        yield f"{name:12}{value}"


def describe_tiles(tiling: Mapping[str, Any]) -> str:
    """Say in one line how images are cut into tiles, and scored by them."""
    stride = tiling["stride"] or "none"
    aggregate = "maximum" if tiling["top_k"] == 1 else f"mean of the {tiling['top_k']} worst"
    return f"{tiling['height']} x {tiling['width']}, stride {stride}, {aggregate}"
