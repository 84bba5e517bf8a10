"""Say what a model is, how it was made and what a user should know of it, without PyTorch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

from adacl.imaging.tiles import Tiling
from adacl.model.header import ModelHeader

FAIR_AUROC, GOOD_AUROC = 0.75, 0.95
HARDLY_FOUND, FEW_FOUND, MANY_FOUND = 0.2, 0.5, 0.8
"""Shares of the anomalies that score above the threshold."""
FEW_ALARMS, MANY_ALARMS = 0.05, 0.2
"""Shares of the normal images that are flagged, or may be."""
GOOD_MADE, WEAK_MAP = 0.9, 0.6
"""Validation AUROC of a good network, and that below which one with a map has hardly learnt."""
TOO_FAR = 2
"""How often further above the usual the threshold of the folds lies than the highest normal."""
TOO_FEW_IMAGES, FEW_IMAGES, ROUGH = 20, 100, 10
"""Images to learn from (twice), and labelled images of a kind, below which more would help."""

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
        return lines + _weak_map(best.validation_auroc) + header.threshold.notes()
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
    return lines + header.threshold.notes()


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


class Advice(NamedTuple):
    """What a model is worth, and what would help most.

    Parameters
    ----------
    grade
        ``good``, ``usable`` or ``weak``.
    why
        A sentence without its full stop.
    steps
        The next things to do, at most two: a command, and what it is for.
    """

    grade: Literal["good", "usable", "weak"]
    why: str
    steps: tuple[str, ...]

    @property
    def word(self) -> str:
        """The grade in words."""
        return "weak, do not rely on it" if self.grade == "weak" else self.grade

    def lines(self) -> Iterator[str]:
        """Yield the lines that a command ends with."""
        yield f"verdict: {self.word}. {self.why[:1].upper()}{self.why[1:]}"
        for step in self.steps:
            yield f"next: {step}"


class _Fault(NamedTuple):
    severe: bool
    why: str
    steps: tuple[str, ...]


def advice(
    header: ModelHeader, figures: Mapping[str, Any] | None = None, model: str = "MODEL"
) -> Advice:
    """Judge a model by what its training tells or, better, by labelled images.

    Parameters
    ----------
    header
        Of the model.
    figures
        What :func:`adacl.metrics.evaluation` returned, and ``n_seen_in_fit``; None after a fit.
    model
        How commands name its file.
    """
    if figures is None:
        faults = _faults_of_fit(header, model)
        area = header.history.best.validation_auroc
        why = f"made anomalies are told from normal images (AUROC {area:.2f}); real ones may differ"
        further = f"adacl evaluate {model} --planted FRESH_NORMALS: the smallest defect it finds"
    else:
        faults = _faults_found(header, figures, model)
        why = (
            f"AUROC {figures['auroc']:.2f}; {figures['tpr']:.0%} of the anomalies are found, and "
            f"{figures['fpr']:.0%} of the normal images flagged"
        )
        further = f"adacl score {model} IMAGES: put it to use"
    if not faults:
        return Advice("good", why, (further,))
    grade: Literal["usable", "weak"] = "weak" if any(f.severe for f in faults) else "usable"
    faults.sort(key=lambda fault: not fault.severe)
    steps = dict.fromkeys(step for fault in faults for step in fault.steps)
    return Advice(grade, "; ".join(fault.why for fault in faults[:2]), tuple(steps)[:2])


def _faults_of_fit(header: ModelHeader, model: str) -> list[_Fault]:
    area, threshold = header.history.best.validation_auroc, header.threshold
    learn, faults = _learn_more(header), []
    weak = WEAK_MAP if header.has_map else FAIR_AUROC
    if area < GOOD_MADE:
        word = "hardly" if area < weak else "not always"
        why = f"made anomalies are {word} told from normal images (AUROC {area:.2f})"
        faults.append(_Fault(area < weak, why, learn))
    if not 0 < threshold.value < 1:
        why = f"the threshold {threshold.value:.2f} lies outside [0, 1]"
        faults.append(_Fault(True, why, learn))
    if _too_careful(header):
        why = (
            f"the threshold {threshold.value:.2f} may be far too careful: of "
            f"{header.training['validation']} normal images held out, the highest scores "
            f"{header.training['validation_highest']:.2f}"
        )
        faults.append(_Fault(False, why, (_calibrate(header, model),)))
    if threshold.upper_bound is None:
        why = "nothing is known of how many new normal images would be flagged"
        faults.append(_Fault(False, why, (_calibrate(header, model),)))
    elif threshold.upper_bound > FEW_ALARMS:
        why = (
            f"the threshold rests on {threshold.n} normal images: up to "
            f"{threshold.upper_bound:.0%} of new ones may be flagged"
        )
        faults.append(_Fault(False, why, (_calibrate(header, model),)))
    if (count := header.training["train"]) < TOO_FEW_IMAGES:
        faults.append(_Fault(True, f"the network learnt from {count} images only", learn))
    return faults


def _too_careful(header: ModelHeader) -> bool:
    """Whether networks of the folds score normal images much higher than the one that is kept."""
    highest, scale = header.training.get("validation_highest"), header.map_scale
    if header.threshold.method != "cross-fitting" or highest is None:
        return False
    return bool(scale.threshold - scale.usual > TOO_FAR * max(0, highest - scale.usual))


def _faults_found(header: ModelHeader, figures: Mapping[str, Any], model: str) -> list[_Fault]:
    threshold, learn, faults = header.threshold, _learn_more(header), []
    area, found, alarms = (figures[name] for name in ("auroc", "tpr", "fpr"))
    flagged = round(alarms * figures["n_normal"])
    refuted = threshold.refuted_by(flagged, figures["n_normal"])
    if area < FAIR_AUROC:
        why = f"anomalies hardly score higher than normal images (AUROC {area:.2f})"
        faults.append(_Fault(True, why, learn))
    elif found < FEW_FOUND:
        why = (
            f"anomalies do score higher than normal images (AUROC {area:.2f}), but only "
            f"{found:.0%} of them score above the threshold"
        )
        lower = _calibrate(header, model, " --fpr 0.05", "accepts more false alarms")
        exact = threshold.assured or threshold.method in ("manual", "defects")
        steps = (lower, *learn) if exact else (_calibrate(header, model), lower)
        faults.append(_Fault(found < HARDLY_FOUND, why, steps))
    elif area < GOOD_AUROC or found < MANY_FOUND:
        why = f"AUROC {area:.2f}, and {found:.0%} of the anomalies are found"
        faults.append(_Fault(False, why, learn))
    if refuted or alarms > MANY_ALARMS:
        promised = ", more than the threshold promises" if refuted else ""
        why = f"{flagged} of {figures['n_normal']} normal images are flagged{promised}"
        faults.append(_Fault(alarms > MANY_ALARMS, why, (_calibrate(header, model),)))
    if seen := figures.get("n_seen_in_fit"):
        why = f"{seen} of these images were used in fitting, which flatters it"
        faults.append(_Fault(False, why, (f"adacl evaluate {model} with images that are new",)))
    few = min(figures["n_normal"], figures["n_abnormal"])
    if few < ROUGH:
        why = f"with {few} images of a kind all figures are rough"
        faults.append(_Fault(False, why, (f"adacl evaluate {model} with more labelled images",)))
    return faults


def _calibrate(header: ModelHeader, model: str, option: str = "", what: str = "") -> str:
    if header.exported:
        model = "MODEL.adacl"
    rests = f"its threshold rests on {header.threshold.n}; more set it better"
    again = ", then export it again" if header.exported else ""
    return f"adacl calibrate {model} MORE_NORMALS{option}{again}: {what or rests}"


def _learn_more(header: ModelHeader) -> tuple[str, ...]:
    """Return ways to a better network, the most promising first."""
    facts, config = header.training, header.config
    steps = []
    if facts["train"] < FEW_IMAGES:
        steps.append(f"adacl fit with more normal images: it learnt from {facts['train']}")
    if not header.has_map:
        steps.append("adacl fit --preset inspect: if the defects are small parts of the image")
    if config.preset == "paper" and not header.any_size:
        steps.append("adacl fit --preset accurate: if images differ as a whole")
    steps.append(f"adacl fit --epochs {2 * config.training.epochs}: trains twice as long")
    return tuple(steps)


def facts(header: ModelHeader) -> list[tuple[str, str]]:
    """Return the data sheet of a model of any kind: terms, and what to say of them."""
    spec, training, history = header.spec, header.training, header.history
    colour = {1: "grey", 3: "colour"}.get(spec.channels, f"{spec.channels} channels")
    fitted = f"{training['images']:,} normal images{_copies(training)}"
    if header.video is not None:
        fitted = f"{training['frames']:,} frames in {training['images']:,} blocks"
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
    if header.mask is not None:
        tall, wide = header.mask.pixels.shape
        rows["Looked at"] = f"{header.mask.share:.0%} of the image, by a mask of {tall} × {wide}"
    if exported := header.exported:
        height, width = exported.input_size or ("any", "any")
        batch = "any number of images" if exported.batch is None else "one image"
        rows["Exported"] = (
            f"ONNX opset {exported.opset}, {exported.precision}, {batch} of {height} × {width} "
            f"at once, by adacl {exported.exported_by}"
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
    return ", ".join(parts) or "taken as they are"


def describe_tiles(tiling: Tiling) -> str:
    """Say how images are cut into tiles, and scored by them."""
    step = tiling.stride or "no overlap"
    worst = "the worst" if tiling.top_k == 1 else f"the {tiling.top_k} worst, averaged"
    return (
        f"cut into tiles of {tiling.height} × {tiling.width} (stride {step}); {worst} gives the "
        "score"
    )
