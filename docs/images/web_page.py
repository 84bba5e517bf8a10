"""Make the pictures of the web page, from scikit-image's photograph of a paved way.

``python docs/images/web_page.py FOLDER``, where the folder (``skimage/data``) holds ``brick.png``
and ``gravel.png``.
"""

from __future__ import annotations

import io
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from playwright.sync_api import Page, expect, sync_playwright

from adacl import AnomalyDetector

SIDE = 128
HERE = Path(__file__).parent


def write(folder: Path, images: np.ndarray, name: str) -> list[Path]:
    """Write images N x H x W as PNG files."""
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{name}-{number:03d}.png" for number in range(len(images))]
    for path, image in zip(paths, images, strict=True):
        Image.fromarray(image).save(path)
    return paths


def drop(page: Page, *paths: Path) -> None:
    """Drop files or folders onto the page, which gets its time to take them."""
    data = {"items": [], "files": list(map(str, paths)), "dragOperationsMask": 1}
    session = page.context.new_cdp_session(page)
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": kind, "x": 200, "y": 300, "data": data})
        page.evaluate("() => new Promise(done => requestAnimationFrame(() => setTimeout(done)))")


def shoot(page: Page, name: str) -> None:
    """Write a picture of a page, in few colours so that it is small."""
    shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    shot.quantize(256, dither=Image.Dither.NONE).save(HERE / f"{name}.png", optimize=True)


def pictures(photographs: Path, folder: Path) -> tuple[Path, list[Path]]:
    """Train on cuts from the way; return the model and pictures to score, some with faults."""
    way, gravel = (
        np.asarray(Image.open(photographs / f"{name}.png").convert("L"))
        for name in ("brick", "gravel")
    )
    random = np.random.default_rng(0)

    def cut(photograph: np.ndarray, side: int = SIDE) -> np.ndarray:
        top, left = random.integers(0, 512 - side, 2)
        return photograph[top : top + side, left : left + side].copy()

    def fault(kind: str) -> np.ndarray:
        image, side = cut(way), int(random.integers(28, 44))
        top, left = random.integers(8, SIDE - side - 8, 2)
        place = np.s_[top : top + side, left : left + side]
        if kind == "gravel":
            image[place] = cut(gravel, side)
        elif kind == "turned":
            image[place] = np.rot90(image[place])
        else:
            crack = Image.fromarray(image)
            steps = random.integers(-9, 10, 13).cumsum() + SIDE // 2
            ImageDraw.Draw(crack).line([(11 * i, int(y)) for i, y in enumerate(steps)], 35, 3)
            image = np.asarray(crack)
        return image

    write(folder / "small", np.stack([cut(way)[::4, ::4] for _ in range(240)]), "way")
    train = write(folder / "train", np.stack([cut(way) for _ in range(1600)]), "way")
    AnomalyDetector(epochs=5, image_size=(48, 48)).fit(train).save(folder / "paving.adacl")
    normal = write(folder / "scored", np.stack([cut(way) for _ in range(28)]), "way")
    faulty = [
        path
        for kind in ("gravel", "turned", "crack")
        for path in write(folder / "scored", np.stack([fault(kind) for _ in range(4)]), kind)
    ]
    return folder / "paving.adacl", normal + faulty


def main(photographs: str) -> None:
    """Write the pictures beside this file."""
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        model, scored = pictures(Path(photographs), folder)
        command = [sys.executable, "-m", "adacl", "serve", str(model), "--port", "0"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as service:
            assert service.stderr
            url = next(filter(None, (re.search(r"http://\S+", line) for line in service.stderr)))[0]
            chromium = playwright.chromium.launch(
                executable_path=shutil.which("chromium-headless-shell"), args=["--no-sandbox"]
            )

            def page_of(width: int, height: int, scheme: str, scale: float = 1) -> Page:
                context = chromium.new_context(
                    viewport={"width": width, "height": height},
                    color_scheme=scheme,  # type: ignore[arg-type]
                    device_scale_factor=scale,
                )
                page = context.new_page()
                page.goto(url)
                expect(page.locator("html[data-ready]")).to_have_count(1, timeout=60_000)
                return page

            def inspect(page: Page, kind: str) -> None:
                drop(page, *scored)
                expect(page.locator("#gallery li")).to_have_count(len(scored), timeout=300_000)
                expect(page.locator("#work")).to_be_hidden(timeout=300_000)
                page.select_option("#sort", "high")
                page.locator(f"[title^={kind}]").first.click()
                expect(page.locator("#map-text")).to_be_hidden(timeout=60_000)
                page.mouse.move(0, 0)
                page.evaluate("() => (document.activeElement.blur(), scrollTo(0, 0))")
                page.wait_for_timeout(500)

            for scheme in ("light", "dark"):
                page = page_of(1280, 1080, scheme)
                inspect(page, "crack" if scheme == "light" else "turned")
                shoot(page, f"web-{scheme}")
            page = page_of(360, 760, "light", 1.5)
            inspect(page, "gravel")
            shoot(page, "web-phone")
            page = page_of(1280, 980, "light")
            page.click("#to-teach")
            drop(page, folder / "small")
            page.fill("#lesson-name", "paving when wet")
            page.click("#lesson-start")
            expect(page.locator(".training .state")).to_have_text("running", timeout=300_000)
            drop(page, *sorted((folder / "train").iterdir())[:240])
            expect(page.locator(".training")).to_contain_text("epoch 5 of 10", timeout=900_000)
            page.evaluate("() => scrollTo(0, 0)")
            shoot(page, "web-training")
            chromium.close()
            service.send_signal(signal.SIGINT)


if __name__ == "__main__":
    main(sys.argv[1])
