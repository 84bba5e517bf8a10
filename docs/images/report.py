"""Make the pictures of a report: ``python docs/images/report.py REPORT.html``."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

HERE = Path(__file__).parent


def main() -> None:
    """Photograph the head, the list at another threshold, and a phone."""
    address = Path(sys.argv[1]).resolve().as_uri()
    chromium = os.environ.get("ADACL_CHROMIUM") or shutil.which("chromium-headless-shell")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for scheme, width, height in (("light", 1180, 1250), ("dark", 1180, 1000)):
            page = browser.new_page(
                viewport={"width": width, "height": height}, color_scheme=scheme
            )
            page.goto(address)
            page.wait_for_selector("html[data-ready]")
            if scheme == "dark":
                page.locator("#slider").focus()
                page.keyboard.press("PageUp")
                page.evaluate("document.querySelector('#worst-title').scrollIntoView()")
                page.wait_for_timeout(1000)
            page.screenshot(path=HERE / f"report-{scheme}.png")
        page = browser.new_page(viewport={"width": 360, "height": 1000}, color_scheme="light")
        page.goto(address)
        page.wait_for_selector("html[data-ready]")
        page.screenshot(path=HERE / "report-phone.png")
        browser.close()
    for path in HERE.glob("report-*.png"):
        Image.open(path).quantize(256).save(path, optimize=True)


if __name__ == "__main__":
    main()
