"""Let half of the files that Schemathesis sends be images, so that some requests succeed."""

import io

import schemathesis
from hypothesis import strategies
from PIL import Image

from benchmarks.hardening.common import textures


def _png(pixels: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


IMAGES = strategies.sampled_from([_png(texture) for texture in textures(8)])
schemathesis.openapi.format("binary", IMAGES | strategies.binary())
