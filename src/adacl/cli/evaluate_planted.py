"""``adacl evaluate --planted``: the smallest defect that a model finds."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import typer

from adacl.cli.support import options
from adacl.cli.support.opened import (
    open_scorer,
    scores_of_files,
    warn_of_copies,
    warned_of_seen,
)
from adacl.cli.support.progress import count, messages
from adacl.data.folders import ImageFiles, list_images, without_repeats
from adacl.errors import DataError

MOST = 20
"""Images that defects are planted in, spread over all."""


def smallest_defect(
    model: Path,
    normals: list[Path],
    seed: int,
    threshold: float | None,
    device: options.Device,
    backend: options.Backend,
    on_error: options.OnError,
    json_output: bool,
    quiet: bool,
) -> None:
    """Plant defects of known size in some of the normal images, and print which are found.

    Raises
    ------
    DataError
        If no image can be read, or all are flagged as they are.
    """
    from adacl.protocols.inspection.smallest import ENOUGH, find_smallest, sentence, table

    paths = list_images(without_repeats(normals))
    n = min(MOST, len(paths))
    chosen = ImageFiles([paths[i * len(paths) // n] for i in range(n)])
    with messages(quiet):
        scorer, in_use, _ = open_scorer(model, device, backend, on_error, threshold)
        scores = list(scores_of_files(scorer.score_files, chosen, "normal images", quiet))
        warn_of_copies(scores, "normal")
        seen = warned_of_seen(scores, model)
        usual = [score.path for score in scores if score.raw <= in_use.value]
        if not usual:
            raise DataError(
                f"all {len(scores)} images are flagged as they are, so defects in them prove "
                "nothing; are they normal? If so, set the threshold by further ones (adacl "
                "calibrate)"
            )
        tracked = count(usual, "planted defects", len(usual), quiet)
        results, variation = find_smallest(scorer, tracked, in_use.value, seed)
    left_out = len(scores) - len(usual)
    if json_output:
        figures = {
            "planted": [asdict(result) for result in results],
            "threshold": in_use.value,
            "local_variation": variation,
            "n_normal": len(scores),
            "n_left_out": left_out,
            "n_seen_in_fit": seen,
        }
        typer.echo(json.dumps(figures))
        return
    for line in table(results):
        typer.echo(line)
    typer.echo(
        f"share found at the threshold {in_use.value:.4f}, in {len(usual)} of {len(scores)} images "
        f"({left_out} flagged without a defect), which vary by {variation:.1%} within 8 x 8 pixels"
    )
    judged = [result for result in results if result.n >= ENOUGH]  # others have no room in most
    few = f"planted in {len(usual)} images only: too few to say what is found nearly always"
    typer.echo(few if len(usual) < ENOUGH else sentence(judged))
