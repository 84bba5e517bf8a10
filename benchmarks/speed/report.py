"""What ``adacl score --report`` costs, and how the page answers, for thousands of images.

``python -m benchmarks.speed.report DATA`` with the folder of the benchmark data; needs Chromium
(``ADACL_CHROMIUM`` or on the path). Every time is that of one run.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from adacl.datasets import catalogue
from benchmarks.common import RESULTS, adacl, record

COUNTS = (5_000, 50_000)
DIGIT = 3
STEPS = 20

ANSWERS = """async steps => {
  const drawn = () => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
  const timed = async act => { const start = performance.now(); act(); await drawn();
    return performance.now() - start; };
  const slider = document.getElementById("slider"), box = document.getElementById("text");
  const moves = [];
  for (let i = 0; i < steps; i++)
    moves.push(await timed(() => { slider.stepUp(7); slider.dispatchEvent(new Event("input")); }));
  const sort = await timed(() => document.querySelector("th[data-sort=name] button").click());
  box.value = "7-";
  const filter = await timed(() => box.dispatchEvent(new Event("input")));
  return { slider: moves.sort((a, b) => a - b)[steps >> 1], sort, filter };
}"""


def page(browser: Browser, path: Path) -> dict[str, float]:
    """Open a report; return the milliseconds until it is ready, and for each kind of answer."""
    tab = browser.new_page(viewport={"width": 1180, "height": 800})
    tab.goto(path.as_uri())
    tab.wait_for_selector("html[data-ready]")
    ready = tab.evaluate("performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd")
    answers = tab.evaluate(ANSWERS, STEPS)
    tab.close()
    return {name: round(value) for name, value in {"ready": ready, **answers}.items()}


def main() -> None:
    """Write the images, score them with and without a report, and open the report."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("data", type=Path)
    digits, labels = catalogue.load("mnist", "train", parser.parse_args().data)
    results: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        base = Path(folder)
        chromium = os.environ.get("ADACL_CHROMIUM") or shutil.which("chromium-headless-shell")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        normal = digits[labels == DIGIT][:1000]
        write(base / "good", normal, [DIGIT] * len(normal))
        model = base / "m.adacl"
        adacl("fit", str(base / "good"), "-o", str(model), "--epochs", "2", "-q")
        adacl("export", str(model), str(base / "m.onnx"), "--dynamic-batch")
        for count in COUNTS:
            images = base / str(count)
            write(images, digits[:count], labels[:count].tolist())
            for kind in ("m.adacl", "m.onnx"):
                score = ["score", str(base / kind), str(images), "-q"]
                report = base / "report.html"
                alone = adacl(*score)
                both = adacl(*score, "--report", str(report))
                results.append(
                    {
                        "model": kind,
                        "images": count,
                        "seconds_without": alone["seconds"],
                        "seconds_with": both["seconds"],
                        "peak_mib_without": alone["peak_mib"],
                        "peak_mib_with": both["peak_mib"],
                        "file_mb": round(report.stat().st_size / 1e6, 1),
                        "browser_ms": page(browser, report),
                    }
                )
                print(results[-1])
        browser.close()
    record(RESULTS / "report.json", results)


def write(folder: Path, images: Any, labels: list[int]) -> None:
    """Write images as PNG files named by their label and number."""
    folder.mkdir()
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        Image.fromarray(image.squeeze()).save(folder / f"{label}-{number:05d}.png")


if __name__ == "__main__":
    main()
