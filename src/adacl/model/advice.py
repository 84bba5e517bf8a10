"""The verdict on a model, in words, and what would help it most; without PyTorch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from adacl.model.header import ModelHeader
from adacl.model.threshold import Threshold
from adacl.model.verdict import Advice, Grade, Step
from adacl.words import plural, were

SWAPPED, FAIR_AUROC, GOOD_AUROC = 0.4, 0.75, 0.95
HARDLY_FOUND, FEW_FOUND, MANY_FOUND = 0.2, 0.5, 0.8
"""Shares of the anomalies that score above the threshold."""
FEW_ALARMS, MANY_ALARMS = 0.05, 0.2
"""Shares of the normal images that are flagged, or may be."""
UNSURE = 0.25
"""The bound on flagged normal images above which a threshold rests on too few of them. Of 100
images ``inspect`` holds out 20 and sets one aside, which gives 0.22."""
GOOD_MADE, WEAK_MAP = 0.9, 0.6
"""Validation AUROC of a good network, and that below which one with a map has hardly learnt."""
TOO_FAR = 2
"""How often further above the usual the threshold of the folds lies than the highest normal."""
TOO_FEW_IMAGES, FEW_IMAGES, ROUGH = 20, 100, 10
"""Images to learn from (twice), and labelled images of a kind, below which more would help."""


class _Fault(NamedTuple):
    severe: bool
    why: str
    steps: tuple[Step, ...]


def advice(
    header: ModelHeader,
    figures: Mapping[str, Any] | None = None,
    model: str = "MODEL",
    normals: Sequence[str] = ("NORMALS",),
    swapped: Sequence[str] = ("--normal", "GOOD", "--abnormal", "BAD"),
    same: Sequence[str] | None = None,
) -> Advice:
    """Judge a model by its training or, better, by labelled images.

    Parameters
    ----------
    header
        Of the model.
    figures
        What :func:`adacl.metrics.evaluation` returned, and ``n_seen_in_fit``; None after a fit.
    model, normals
        Its file and the images that it learnt from, as words of a command.
    swapped
        How a command names the labelled images if normal and anomalous were confused.
    same
        Options of the fit, which another one with the same preset repeats; by default those that
        the model file holds.
    """
    sensitive, learn = "", _learn_more(header, normals, _same(header) if same is None else same)
    if figures is None:
        sensitive = header.sensitive_to(1)
        faults = _faults_of_fit(header, model, learn)
        area = header.history.best.validation_auroc
        why = (
            f"the network distinguishes made anomalies from normal images (AUROC {area:.2f}); real "
            "ones may differ"
        )
        planted = ("adacl", "evaluate", model, "--planted", "FRESH_NORMALS")
        further = Step(planted, "shows the smallest defect found", "test")
    else:
        if header.has_map and header.mask is None and figures["auroc"] < FAIR_AUROC:
            learn = (_preset(header, normals, "paper", "if images differ as a whole"), *learn)
        faults = _faults_found(header, figures, model, learn, swapped)
        why = (
            f"AUROC {figures['auroc']:.3f}; {figures['tpr']:.0%} of the anomalies are found, and "
            f"{figures['fpr']:.0%} of the normal images flagged"
        )
        further = Step(("adacl", "score", model, "IMAGES"), "put it to use", "use")
    if not faults:
        return Advice("good", why, (further,), sensitive)
    grade: Grade = "weak" if any(f.severe for f in faults) else "usable"
    faults.sort(key=lambda fault: not fault.severe)
    steps = dict.fromkeys(step for fault in faults for step in fault.steps)
    why = "; ".join(fault.why for fault in faults[:2])
    return Advice(grade, why, tuple(steps)[:2], sensitive)


def _faults_of_fit(header: ModelHeader, model: str, learn: tuple[Step, ...]) -> list[_Fault]:
    area, threshold = header.history.best.validation_auroc, header.threshold
    faults = []
    weak = WEAK_MAP if header.has_map else FAIR_AUROC
    if area < GOOD_MADE:
        does = "hardly distinguishes" if area < weak else "does not always distinguish"
        why = f"the network {does} made anomalies from normal images (AUROC {area:.2f})"
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
            f"the threshold rests on {_counted(threshold)}: up to {threshold.upper_bound:.0%} of "
            "new ones like them may be flagged"
        )
        severe = threshold.upper_bound > UNSURE
        faults.append(_Fault(severe, why, (_calibrate(header, model),)))
    if (count := header.training["train"]) < TOO_FEW_IMAGES:
        faults.append(_Fault(True, f"the network learnt from {count} images only", learn))
    return faults


def _counted(threshold: Threshold) -> str:
    """Return the number of normal images that the bound rests on, or of their groups."""
    images = "normal images" if threshold.groups or threshold.n != 1 else "normal image"
    unit = ("group of " if threshold.n == 1 else "groups of ") if threshold.groups else ""
    return f"{threshold.n} {unit}{images}"


def _too_careful(header: ModelHeader) -> bool:
    """Whether networks of the folds score normal images much higher than the one that is kept."""
    highest, scale = header.training.get("validation_highest"), header.map_scale
    if header.threshold.method != "cross-fitting" or highest is None:
        return False
    return bool(scale.threshold - scale.usual > TOO_FAR * max(0, highest - scale.usual))


def _faults_found(
    header: ModelHeader,
    figures: Mapping[str, Any],
    model: str,
    learn: tuple[Step, ...],
    swapped: Sequence[str],
) -> list[_Fault]:
    threshold, faults = header.threshold, []
    area, found, alarms = (figures[name] for name in ("auroc", "tpr", "fpr"))
    flagged = round(alarms * figures["n_normal"])
    refuted = threshold.refuted_by(flagged, figures["n_normal"])
    if area < SWAPPED:
        why = f"normal images score higher than anomalies (AUROC {area:.2f})"
        step = Step(("adacl", "evaluate", model, *swapped), "if the two were swapped", "test")
        faults.append(_Fault(True, why, (step, *learn)))
    elif area < FAIR_AUROC:
        why = f"anomalies hardly score higher than normal images (AUROC {area:.2f})"
        faults.append(_Fault(True, why, learn))
    elif found < FEW_FOUND:
        why = (
            f"anomalies do score higher than normal images (AUROC {area:.2f}), but only "
            f"{found:.0%} of them score above the threshold"
        )
        lower = _calibrate(header, model, ("--fpr", "0.05"), "accepts more false alarms")
        exact = threshold.assured or threshold.method in ("manual", "defects")
        steps = (lower, *learn) if exact else (_calibrate(header, model), lower)
        faults.append(_Fault(found < HARDLY_FOUND, why, steps))
    elif area < GOOD_AUROC or found < MANY_FOUND:
        why = f"AUROC {area:.3f}, and {found:.0%} of the anomalies are found"
        faults.append(_Fault(False, why, learn))
    if refuted or alarms > MANY_ALARMS:
        promised = ", more than the threshold promises" if refuted else ""
        why = f"{flagged} of {figures['n_normal']} normal images are flagged{promised}"
        faults.append(_Fault(alarms > MANY_ALARMS, why, (_calibrate(header, model),)))
    if seen := figures.get("n_seen_in_fit"):
        why = f"{seen} of these images {were(seen)} used in fitting, so the figures are too good"
        faults.append(_Fault(False, why, (_evaluate(model, "with images that are new"),)))
    few = min(figures["n_normal"], figures["n_abnormal"])
    if few < ROUGH:
        why = f"with {plural(few, 'image')} of a kind, all figures are rough"
        faults.append(_Fault(False, why, (_evaluate(model, "with more labelled images"),)))
    return faults


def _calibrate(
    header: ModelHeader, model: str, options: tuple[str, ...] = (), what: str = ""
) -> Step:
    if header.exported:
        model = "MODEL.adacl"
    threshold = header.threshold
    rests = (
        f"its threshold rests on {threshold.rests_on}; give more than {threshold.n}, because the "
        "new ones replace these"
    )
    if threshold.upper_bound is None:
        rests = "images that it has not learnt set a better threshold"
    elif threshold.method == "defects" and threshold.defects:
        rests = (
            f"its threshold was set by {plural(threshold.defects.n, 'labelled defect')}; one that "
            "normal images set flags fewer of them"
        )
    command = ("adacl", "calibrate", model, "MORE_NORMALS", *options, *_group(header))
    again = "export it again" if header.exported else ""
    return Step(command, what or rests, "threshold", then=again)


def _group(header: ModelHeader) -> tuple[str, ...]:
    if "groups" not in header.training:
        return ()
    return "--group", str(header.training.get("group", "RULE"))


def _evaluate(model: str, what: str) -> Step:
    return Step(("adacl", "evaluate", model, "--normal", "GOOD", "--abnormal", "BAD"), what, "test")


def _fit(header: ModelHeader, normals: Sequence[str]) -> tuple[str, ...]:
    return "adacl", "fit", *normals, "-o", "NEW", *_group(header)


def _preset(header: ModelHeader, normals: Sequence[str], name: str, reason: str) -> Step:
    return Step((*_fit(header, normals), "--preset", name), reason, "preset", name)


def _same(header: ModelHeader) -> list[str]:
    """Return the options for another fit with the preset, the tiles and the mask of this one."""
    preset, tiling = header.config.preset, header.tiling
    same = [] if preset == "inspect" else ["--preset", preset]
    if tiling:
        same += ["--tile", f"{tiling.height}x{tiling.width}"]
        same += ["--stride", str(tiling.stride)] if tiling.stride else []
        same += ["--top-k", str(tiling.top_k)] if tiling.top_k > 1 else []
    return same if header.mask is None else [*same, "--mask", "MASK"]


def _learn_more(
    header: ModelHeader, normals: Sequence[str], same: Sequence[str]
) -> tuple[Step, ...]:
    """Return ways to a better network, the most promising first."""
    facts, config = header.training, header.config
    steps = []
    if facts["train"] < FEW_IMAGES:
        more = (*_fit(header, ["MORE_NORMALS"]), *same)
        steps.append(Step(more, f"it learnt from {facts['train']} images", "normals"))
    if not header.has_map:
        small = "if the defects are small parts of the image"
        steps.append(_preset(header, normals, "inspect", small))
    if config.preset == "paper" and not header.any_size:
        steps.append(_preset(header, normals, "accurate", "if images differ as a whole"))
    epochs = str(2 * config.training.epochs)
    at = same.index("--epochs") if "--epochs" in same else len(same)
    longer = (*_fit(header, normals), *same[:at], *same[at + 2 :], "--epochs", epochs)
    steps.append(Step(longer, "trains twice as long", "epochs", epochs))
    return tuple(steps)
