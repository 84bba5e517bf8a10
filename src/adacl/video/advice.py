"""The verdict on a video model, in words, and what would help it most."""

from __future__ import annotations

from typing import Any

from adacl.model.advice import FAIR_AUROC, FEW_FOUND, GOOD_AUROC, MANY_FOUND, WEAK_MAP
from adacl.model.verdict import Advice, Step
from adacl.video.alarms import NONE_ALLOWED, Alarm, duration

ENOUGH_NORMAL = 60.0
"""Seconds of normal footage below which false alarms cannot be judged."""


def after_fit(validation_auroc: float, alarm: Alarm, model: str) -> Advice:
    """Judge a model by its training, and say what would help most.

    Parameters
    ----------
    validation_auroc
        Of held-out tiles against anomalies made from them.
    alarm
        The threshold, and what it rests on.
    model
        Its file, as a word of a command.
    """
    ranks = f"AUROC {validation_auroc:.2f}"
    if validation_auroc < WEAK_MAP:
        why = f"the network hardly distinguishes made anomalies from normal motion ({ranks})"
        other = "give footage in which things move, of one fixed camera, every frame of it"
        longer = _video("fit", "NORMAL", "-o", model, "--epochs", "N", why="trains longer")
        return Advice("weak", why, (Step((), other), longer))
    shown = "shows what it finds and flags"
    tried = _video("evaluate", model, "CLIPS", "--truth", "TABLE", why=shown)
    bound = alarm.upper_bound
    if bound is None or alarm.per_hour is None or bound <= alarm.per_hour:
        why = (
            f"the network distinguishes made anomalies from normal motion ({ranks}); real ones may "
            "differ"
        )
        return Advice("good", why, (tried,))
    needed = duration(alarm.hours_needed)
    none = ("--false-alarms", f"{NONE_ALLOWED * alarm.per_hour:g}")
    assured = (
        f"{needed} of it assure {alarm.per_hour:g} false alarm{'s' * (alarm.per_hour != 1)} an hour"
    )
    more = _video("calibrate", model, "MORE_NORMAL", *none, why=assured)
    rests = f"the threshold rests on {duration(alarm.hours)} of normal footage"
    if alarm.hours < ENOUGH_NORMAL / 3600:
        return Advice("weak", f"{rests}, too little to judge false alarms", (more, tried))
    return Advice("usable", f"{rests}, too little for the rate that was asked for", (more, tried))


def after_evaluation(figures: dict[str, Any], alarm: Alarm, model: str) -> Advice:
    """Judge a model by what :func:`adacl.video.evaluation.evaluate` found; say what would help."""
    if (hours := figures["normal_hours"]) < ENOUGH_NORMAL / 3600:
        why = (
            f"{duration(hours)} of normal footage are too little for a verdict, which needs "
            f"{ENOUGH_NORMAL:g}"
        )
        counted = "with more normal footage, it counts false alarms"
        again = _video("evaluate", model, "MORE_CLIPS", "--truth", "TABLE", why=counted)
        return Advice("none", why, (again,))
    found = figures["found"] / figures["intervals"]
    too_many = max(1.0, 2 * (alarm.per_hour or 0) * hours)
    footage = "learns from more normal footage of this camera"
    more = _video("fit", "MORE_NORMAL", "-o", model, why=footage)
    explain = _video("explain", model, "VIDEO", why="shows what is missed or flagged")
    higher = _video("calibrate", model, "NORMAL", why="more normal footage sets the threshold")
    accepts = "accepts more false alarms"
    lower = _video("calibrate", model, "NORMAL", "--false-alarms", "N", why=accepts)
    ranks = f"AUROC {figures['auroc']:.2f}"
    counts = f"{figures['found']} of {figures['intervals']} abnormal intervals are found"
    if figures["auroc"] < FAIR_AUROC:
        why = f"abnormal frames hardly score higher than normal ones ({ranks})"
        return Advice("weak", why, (explain, more))
    if figures["false_alarms"] > too_many:
        return Advice("usable", f"there are {figures['false_alarms']} false alarms", (higher,))
    if found < FEW_FOUND:
        return Advice("weak", f"only {counts} at this threshold ({ranks})", (lower, explain))
    if found < MANY_FOUND or figures["auroc"] < GOOD_AUROC:
        return Advice("usable", f"{counts} ({ranks})", (explain, more))
    return Advice("good", f"{counts} ({ranks})", ())


def _video(*words: str, why: str) -> Step:
    return Step(("adacl", "video", *words), why)
