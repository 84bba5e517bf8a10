"""The picture of ``adacl video explain``: the frame with its worst tiles, and the score's curve."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from adacl.explain.heatmap import overlay
from adacl.explain.picture import FLAGGED, INK, NORMAL, SOFT
from adacl.model.map_scale import MapScale
from adacl.video.explanation import Reason, Seen
from adacl.video.frame_scores import FrameScore
from adacl.video.model import VideoModel

EDGE, HEAD, CURVE = 16, 66, 120
FRAME = 600
TILE, GAP = 104, 6
PANEL, ROW = 3 * TILE + 2 * GAP, TILE + 46
NEAR = 90
"""Pixels within which words would touch."""
AROUND = 20.0
"""Seconds of the curve on either side."""

Picture = NDArray[np.uint8]
Floats = NDArray[np.float64]
Box = tuple[float, float, float, float]


def drawn(
    title: str,
    seen: Seen,
    score: FrameScore,
    reasons: Sequence[Reason],
    curve: tuple[Floats, Floats],
    model: VideoModel,
) -> Picture:
    """Draw a frame with its worst tiles outlined and enlarged, and the scores around it.

    Parameters
    ----------
    title
        Name and time of the frame.
    seen, score, reasons
        What there is to show.
    curve
        Times and smoothed scores of the whole clip, (F,) each.
    model
        The model that scored.
    """
    scale = FRAME / seen.image.shape[1]
    height = round(seen.image.shape[0] * scale)
    body = max(height, len(reasons) * ROW + 32)
    sheet = Image.new("RGB", (FRAME + PANEL + 3 * EDGE, HEAD + body + CURVE + 2 * EDGE), "white")
    frame = Image.fromarray(seen.image).resize((FRAME, height))
    heat = Image.fromarray(overlay(np.asarray(frame), _map(score, model), _scale(model)))
    frame = Image.blend(frame.convert("L").convert("RGB"), heat, 0.6)
    _outlined(frame, score, reasons, model)
    sheet.paste(frame, (EDGE, HEAD))
    pen = ImageDraw.Draw(sheet)
    alarm, flagged = model.alarm.threshold, score.smoothed > model.alarm.threshold
    pen.text((EDGE, 10), title, INK, ImageFont.load_default(18))
    verdict = (
        f"{'ANOMALOUS' if flagged else 'normal'}: score {score.smoothed:.3f}, threshold "
        f"{alarm:.3f}; before smoothing {score.raw:.3f}"
    )
    pen.text((EDGE, 36), verdict, FLAGGED if flagged else NORMAL, ImageFont.load_default(18))
    left = FRAME + 2 * EDGE
    if not reasons:
        words = "Nothing moves here." if score.tile is None else "Next to a gap in the footage."
        pen.text((left, HEAD), words, SOFT, ImageFont.load_default(15))
    for number, reason in enumerate(reasons):
        _told(sheet, (left, HEAD + number * ROW), number + 1, reason)
    if reasons:
        lag = model.config.lag
        words = "Deviations are from what is usual in the row of the tile."
        words += f"\nPictures: {lag} frames earlier, now, {lag} later." * (model.config.frames == 3)
        below = HEAD + len(reasons) * ROW
        pen.multiline_text((left, below), words, SOFT, ImageFont.load_default(12))
    box = (EDGE, HEAD + body + EDGE, sheet.width - EDGE, sheet.height - EDGE)
    _curve(pen, box, curve, score, model)
    return np.asarray(sheet)


def _scale(model: VideoModel) -> MapScale:
    alarm = model.alarm
    usual = min(alarm.typical, alarm.threshold)
    return MapScale(usual, alarm.threshold, alarm.threshold + max(alarm.threshold - usual, 0.1))


def _map(score: FrameScore, model: VideoModel) -> NDArray[np.float32]:
    """Return how far the tiles of each pixel are above the usual (H, W)."""
    side, usual = model.config.tile, _scale(model).usual
    found = np.zeros((model.height, model.width), np.float32)
    corners = model.config.tiling.corners(model.height, model.width)
    for number in np.flatnonzero(~np.isnan(score.tiles)):
        top, left = corners[number]
        part = found[top : top + side, left : left + side]
        np.maximum(part, score.tiles[number] - usual, out=part)
    return found


def _outlined(
    frame: Image.Image, score: FrameScore, reasons: Sequence[Reason], model: VideoModel
) -> None:
    """Outline the tiles above the threshold, and number the worst; those below it are grey."""
    pen, side = ImageDraw.Draw(frame), model.config.tile
    across, down = frame.width / model.width, frame.height / model.height

    def box(corner: tuple[int, int]) -> Box:
        top, left = corner
        return left * across, top * down, (left + side) * across - 1, (top + side) * down - 1

    corners = model.config.tiling.corners(model.height, model.width)
    above = np.flatnonzero(np.nan_to_num(score.tiles, nan=-np.inf) > model.alarm.threshold)
    for number in above:
        pen.rectangle(box(corners[number]), outline="white", width=1)
    for rank, reason in reversed(list(enumerate(reasons, start=1))):
        place = box(reason.corner)
        colour = FLAGGED if reason.score > model.alarm.threshold else SOFT
        pen.rectangle(place, outline=colour, width=3)
        pen.rectangle((place[0], place[1], place[0] + 16, place[1] + 18), fill=colour)
        pen.text((place[0] + 4, place[1]), str(rank), "white", ImageFont.load_default(15))


def _told(sheet: Image.Image, place: tuple[int, int], number: int, reason: Reason) -> None:
    """Show what the network saw of a tile, and say what is unusual."""
    left, top = place
    pen = ImageDraw.Draw(sheet)
    words = f"{number}  tile at {reason.corner[0]},{reason.corner[1]}: score {reason.score:.3f}"
    pen.text((left, top), words, INK, ImageFont.load_default(15))
    for column, picture in enumerate(reason.pictures):
        tile = Image.fromarray(picture).resize((TILE, TILE), Image.Resampling.NEAREST)
        sheet.paste(tile, (left + column * (TILE + GAP), top + 20))
    below = top + 20 + TILE + 3
    pen.text((left, below), reason.words(), INK, ImageFont.load_default(12))


def _curve(
    pen: ImageDraw.ImageDraw,
    box: Box,
    curve: tuple[Floats, Floats],
    score: FrameScore,
    model: VideoModel,
) -> None:
    """Draw the smoothed scores around a frame, the threshold, and where the frame stands."""
    left, top, right, bottom = box
    font = ImageFont.load_default(12)
    near = np.abs(curve[0] - score.time) <= AROUND
    times, values = curve[0][near], curve[1][near]
    threshold = model.alarm.threshold
    ends = [*values, threshold, model.alarm.typical]
    low, high = min(ends), max(ends)
    high += 0.05 * (high - low) or 0.1
    bottom -= 16

    def place(time: float, value: float) -> tuple[float, float]:
        across = (time - times[0]) / max(times[-1] - times[0], 1e-9)
        return (
            left + (right - left) * across,
            bottom - (bottom - top) * (value - low) / (high - low),
        )

    line, here = place(times[0], threshold)[1], place(score.time, low)[0]
    pen.line((left, line, right, line), FLAGGED)
    pen.line((here, top, here, bottom), SOFT)
    if len(times) > 1:
        pen.line([place(*point) for point in zip(times, values, strict=True)], INK, 2)
    for x, time, anchor in ((left, times[0], "la"), (right, times[-1], "ra")):
        if abs(x - here) > NEAR:
            pen.text((x, bottom + 3), f"{time:.1f} s", SOFT, font, anchor)
    here = min(max(here, left + NEAR / 3), right - NEAR / 3)
    pen.text((here, bottom + 3), "this frame", SOFT, font, "ma")
    far, part = np.abs(values - threshold), max(1, len(values) // 8)
    x, anchor = (left + 4, "lb") if far[:part].min() > far[-part:].min() else (right - 4, "rb")
    words = f"threshold {threshold:.3f}"
    pen.text((x, line - 2), words, FLAGGED, font, anchor, stroke_width=2, stroke_fill="white")
