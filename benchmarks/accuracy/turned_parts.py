"""Draw a set of turned parts under changing light, with small defects: screws on a light table.

No set at hand has parts that lie at any angle, so this one is drawn, by code that training does not
share: threaded bolts, each at an angle, place and phase of its own, lit from one side of the table.
The good ones of the test are darker than those learnt by ``--darker``, the defective ones are not:
a detector that takes light for a defect ranks them upside down. Folders are those of MVTec AD::

    python -m benchmarks.accuracy.turned_parts DIR --seed 0
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Plane = NDArray[np.float64]
SIDE, FINER = 256, 2
"""Pixels of an image, and how much finer it is drawn."""
LEARNT, GOOD, DEFECTIVE = 200, 40, 20
"""Images to learn from, good ones of the test, and those of each kind of defect."""
KINDS = ("blunt_tip", "flat_tooth", "head_nick", "neck_scratch", "thread_stain")
LENGTH, HEAD, NECK, PITCH, TOOTH = 170.0, 24.0, 34.0, 7.0, 2.6
"""Of a bolt, its head, and its neck, and of a thread, in pixels."""
HEAD_RADIUS, RADIUS = 22.0, 11.0


def main() -> None:
    """Draw all images of a set."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--darker", type=float, default=0.08)
    given = parser.parse_args()
    rng = np.random.default_rng(given.seed)
    plan: list[tuple[str, str | None, int, float]] = [
        ("train/good", None, LEARNT, 1.0),
        ("test/good", None, GOOD, 1 - given.darker),
    ]
    plan += [(f"test/{kind}", kind, DEFECTIVE, 1.0) for kind in KINDS]
    for name, kind, count, light in plan:
        folder = given.folder / name
        folder.mkdir(parents=True)
        for number in range(count):
            pixels = photograph(rng, kind, light * rng.normal(1, 0.015))
            Image.fromarray(pixels).save(folder / f"{number:03d}.png")


def photograph(rng: np.random.Generator, kind: str | None, light: float) -> NDArray[np.uint8]:
    """Return a picture (256, 256) of a bolt, which has a defect of a kind or none."""
    side = SIDE * FINER
    rows, columns = (np.mgrid[:side, :side] + 0.5) / FINER - SIDE / 2
    angle = rng.uniform(0, 2 * np.pi)
    down, right = rng.uniform(-12, 12, 2)
    along = (columns - right) * np.cos(angle) + (rows - down) * np.sin(angle) + LENGTH / 2
    across = (rows - down) * np.cos(angle) - (columns - right) * np.sin(angle)
    radius, tone = bolt(along, across, rng, kind)
    inside = np.clip((radius - np.abs(across)) * FINER + 0.5, 0, 1) * (radius > 0)
    height = np.sqrt(np.clip(1 - (across / np.maximum(radius, 1)) ** 2, 0, 1))
    toward = across / np.maximum(radius, 1) * np.cos(angle - 0.9)
    shine = 0.25 + 0.3 * height + 0.18 * toward + 0.3 * np.clip(height + 0.5 * toward, 0, 2) ** 8
    table = 0.74 + 0.03 * (rows + columns) / SIDE
    shadow = 0.12 * np.clip((radius + 5 - np.abs(across - 3)) / 6, 0, 1) * (radius > 0)
    picture = (table - shadow) * (1 - inside) + np.clip(shine * tone, 0, 1) * inside
    picture = picture.reshape(SIDE, FINER, SIDE, FINER).mean((1, 3))
    picture = light * picture + rng.normal(0, 0.012, picture.shape)
    pixels: NDArray[np.uint8] = (np.clip(picture, 0, 1) * 255).round().astype(np.uint8)
    return pixels


def bolt(
    along: Plane, across: Plane, rng: np.random.Generator, kind: str | None
) -> tuple[Plane, Plane]:
    """Return the radius of a bolt and its tone at places along and across its axis."""
    phase = rng.uniform(0, PITCH)
    thread = HEAD + NECK
    turn = (along - phase + 0.18 * across) / PITCH
    tooth = 2 * np.abs(turn - np.floor(turn) - 0.5)
    end = LENGTH - (6.0 + rng.uniform(2, 5) if kind == "blunt_tip" else 0.0)
    cone = 14.0 if kind != "blunt_tip" else 3.0
    depth = np.full_like(along, TOOTH)
    if kind == "flat_tooth":
        first = rng.uniform(thread + 10, LENGTH - 30)
        hit = (along > first) & (along < first + rng.uniform(1, 2) * PITCH) & (across > 0)
        depth = np.where(hit, 0.3, depth)
    radius = np.where(along < thread, RADIUS, RADIUS - depth * (1 - tooth))
    radius = np.where(
        along > end - cone, radius * np.clip((end - along) / cone, 0, 1) ** 0.6, radius
    )
    radius = np.where(along < HEAD, HEAD_RADIUS - 3 * (along < 3), radius)
    if kind == "head_nick":
        middle, size = rng.uniform(6, HEAD - 6), rng.uniform(2.5, 5)
        notch = np.clip(size - np.abs(along - middle), 0, None)
        radius = np.where((along < HEAD) & (across > 0), radius - notch, radius)
    radius = np.where((along < 0) | (along > end), 0, radius)
    tone = np.where(along > thread, 0.75 + 0.3 * tooth, 1.0)
    tone = np.where(along < HEAD, 0.9, tone)
    if kind == "neck_scratch":
        start, slope = rng.uniform(HEAD + 5, thread - 12), rng.uniform(-0.7, 0.7)
        line = np.abs(across - slope * (along - start) - rng.uniform(-4, 4)) < rng.uniform(0.5, 1)
        long = (along > start) & (along < start + rng.uniform(7, 12))
        tone = np.where(line & long, tone + rng.choice([-0.35, 0.35]), tone)
    if kind == "thread_stain":
        middle, size = rng.uniform(thread + 8, LENGTH - 25), rng.uniform(3, 6)
        spot = np.hypot(along - middle, across - rng.uniform(-5, 5)) / size
        tone = tone * (1 - 0.45 / (1 + np.exp(8 * (spot - 1))))
    return radius, tone


if __name__ == "__main__":
    main()
