"""The verdict on a video model, in words, and what would help it most."""

from __future__ import annotations

from typing import Any

from adacl.model.advice import FAIR_AUROC, FEW_FOUND, GOOD_AUROC, MANY_FOUND, WEAK_MAP, Advice
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
        How commands name its file.
    """
    ranks = f"AUROC {validation_auroc:.2f}"
    if validation_auroc < WEAK_MAP:
        why = f"the network hardly distinguishes made anomalies from normal motion ({ranks})"
        other = "give footage in which things move, of one fixed camera, every frame of it"
        return Advice(
            "weak", why, (other, f"adacl video fit … -o {model} --epochs N: train longer")
        )
    tried = f"adacl video evaluate {model} CLIPS --truth TABLE: shows what it finds and flags"
    bound = alarm.upper_bound
    if bound is None or alarm.per_hour is None or bound <= alarm.per_hour:
        why = (
            f"the network distinguishes made anomalies from normal motion ({ranks}); real ones may "
            "differ"
        )
        return Advice("good", why, (tried,))
    needed = duration(alarm.hours_needed)
    none = f"--false-alarms {NONE_ALLOWED * alarm.per_hour:g}"
    more = (
        f"adacl video calibrate {model} MORE_NORMAL {none}: {needed} of it assure "
        f"{alarm.per_hour:g} false alarm{'s' * (alarm.per_hour != 1)} an hour"
    )
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
        again = f"adacl video evaluate {model} with more normal footage, to count false alarms"
        return Advice("none", why, (again,))
    found = figures["found"] / figures["intervals"]
    too_many = max(1.0, 2 * (alarm.per_hour or 0) * hours)
    more = f"train on more normal footage of this camera: adacl video fit … -o {model}"
    explain = f"see what is missed or flagged: adacl video explain {model} VIDEO"
    higher = f"set the threshold by more normal footage: adacl video calibrate {model} NORMAL"
    lower = f"accept more false alarms: adacl video calibrate {model} NORMAL --false-alarms N"
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
