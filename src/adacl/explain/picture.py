"""The picture of ``adacl explain``: an image, its heat map, the verdict and a legend."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from adacl.explain.heatmap import colours, overlay
from adacl.model.map_scale import MapScale

SHOWN = 400
"""Pixels on the longer side, up to which small images are enlarged to be seen."""
HIGHEST_UNIT = 100
"""Pixels, about, up to which letters grow with the width of a picture; beyond, with its height."""
FLAGGED, NORMAL, INK, SOFT = "#b3122c", "#1c6b3c", "#1d2430", "#5b6472"

Picture = NDArray[np.uint8]


class Shown(NamedTuple):
    """An image with its map, score and threshold.

    Parameters
    ----------
    name
        Of the image.
    image
        H x W x 3, uint8.
    anomaly_map
        H x W.
    raw, threshold
        Its raw score, and the threshold in use.
    """

    name: str
    image: Picture
    anomaly_map: NDArray[np.float32]
    raw: float
    threshold: float

    @property
    def anomalous(self) -> bool:
        """Whether the score is above the threshold."""
        return self.raw > self.threshold

    @property
    def score(self) -> str:
        """The score in [0, 1], and the raw one where only it tells the side of the threshold."""
        clipped = min(max(self.raw, 0.0), 1.0)
        unclear = (clipped > self.threshold) != self.anomalous
        return f"{clipped:.4f} (raw {self.raw:.4f})" if unclear else f"{clipped:.4f}"


def peak_of(anomaly_map: NDArray[np.float32]) -> tuple[int, int] | None:
    """Return row and column of the highest place; None if no place stands out."""
    row, column = divmod(int(anomaly_map.argmax()), anomaly_map.shape[1])
    return (row, column) if anomaly_map[row, column] > 0 else None


def explained(shown: Shown, scale: MapScale) -> Picture:
    """Return an image beside its heat map, with the verdict above and the legend below.

    Small images are enlarged by a whole number. In the heat map of an anomalous image what is
    above the threshold is outlined, and its highest place has a ring.
    """
    times = max(1, round(SHOWN / max(shown.image.shape[:2])))
    large = shown.image.repeat(times, 0).repeat(times, 1)
    limit = shown.threshold if shown.anomalous else None
    heat = Image.fromarray(overlay(large, shown.anomaly_map, scale, limit))
    width, height = heat.size
    gap = max(8, width // 48)
    whole = max(2 * width + gap, 560)
    unit = min(whole / 60, max(HIGHEST_UNIT, height / 6))
    head, foot = round(4.6 * unit), round(4.4 * unit)
    sheet = Image.new("RGB", (whole + 2 * gap, height + head + foot), "white")
    left = (sheet.width - 2 * width - gap) // 2
    sheet.paste(Image.fromarray(large), (left, head))
    if shown.anomalous and (peak := peak_of(shown.anomaly_map)):
        _ring(ImageDraw.Draw(heat), ((peak[1] + 0.5) * times, (peak[0] + 0.5) * times), unit)
    sheet.paste(heat, (left + width + gap, head))
    pen = ImageDraw.Draw(sheet)
    word = "ANOMALOUS" if shown.anomalous else "normal"
    verdict = f"{word}: score {shown.score}, threshold {shown.threshold:.4f}"
    _write(pen, (gap, 0.5 * unit), shown.name, 1.35 * unit, INK, sheet.width - 2 * gap)
    _write(
        pen, (gap, 2.4 * unit), verdict, 1.35 * unit, FLAGGED if shown.anomalous else NORMAL,
        sheet.width - 2 * gap,
    )  # fmt: skip
    _legend(sheet, (gap, height + head + 0.9 * unit), unit, shown.anomalous, scale)
    return np.asarray(sheet)


def _ring(pen: ImageDraw.ImageDraw, centre: tuple[float, float], unit: float) -> None:
    for radius, colour, thick in ((1.75, INK, 0.36), (1.68, "white", 0.2)):
        box = [centre[0] - radius * unit, centre[1] - radius * unit]
        box += [centre[0] + radius * unit, centre[1] + radius * unit]
        pen.ellipse(box, outline=colour, width=max(2, round(thick * unit)))


def _write(
    pen: ImageDraw.ImageDraw,
    corner: tuple[float, float],
    text: str,
    size: float,
    colour: str,
    room: float,
) -> None:
    """Write one line; a text that is too long loses its beginning."""
    font = ImageFont.load_default(size)
    start = text
    while text and pen.textlength(start, font) > room:
        text = text[max(1, len(text) // 16) :]
        start = f"…{text}"
    pen.text(corner, start, colour, font)


def _legend(
    sheet: Image.Image,
    corner: tuple[float, float],
    unit: float,
    anomalous: bool,
    scale: MapScale,
) -> None:
    """Draw the colour scale and label its ends and its middle."""
    left, top = round(corner[0]), round(corner[1])
    width, height = round(26 * unit), round(1.1 * unit)
    ramp = np.linspace(0, scale.far - scale.usual, width)[None].repeat(height, 0)
    base = Image.new("RGBA", (width, height), (190, 190, 190))
    base.alpha_composite(Image.fromarray(colours(ramp, scale)))
    sheet.paste(base.convert("RGB"), (left, top))
    pen = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(unit)
    below = top + height + 0.3 * unit
    middle = left + width * (scale.threshold - scale.usual) / (scale.far - scale.usual)
    pen.line([(middle, top), (middle, top + height)], INK, max(1, round(unit / 8)))
    known = scale.usual < scale.threshold
    for x, anchor, word, value in (
        *([(left, "la", "usual", scale.usual)] if known else []),
        (middle, "ma" if known else "la", "threshold", scale.threshold),
        (left + width, "ra", "far above", scale.far),
    ):
        pen.text((x, below), f"{word} {value:.3f}", SOFT, font, anchor)
    if anomalous:
        words = "ring: the highest place"
        if known:
            words = f"white line: above the threshold\n{words}"
        pen.multiline_text((left + width + 2 * unit, top), words, SOFT, font)
