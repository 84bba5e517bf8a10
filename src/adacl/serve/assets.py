"""The files of the web page and of the interface's description, held in memory."""

from __future__ import annotations

import hashlib
import mimetypes
from importlib.resources import files
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from adacl.errors import missing_extra

DOCUMENTATION = b"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>adacl: HTTP interface</title>
<link rel="stylesheet" href="/docs/swagger-ui.css">
<link rel="icon" href="/static/icon.svg">
</head>
<body>
<div id="page"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""
START = b"""SwaggerUIBundle({url: "/openapi.json", dom_id: "#page", deepLinking: true,
    validatorUrl: "none"});
"""
TYPES = {".js": "text/javascript", ".svg": "image/svg+xml"}


class Asset(NamedTuple):
    """A file that is served as it is."""

    content: bytes
    media_type: str
    tag: str

    def response(self, request: Request) -> Response:
        """Return the file, or that the client's copy is still right."""
        headers = {"ETag": self.tag, "Cache-Control": "no-cache"}
        if request.headers.get("if-none-match") == self.tag:
            return Response(status_code=304, headers=headers)
        return Response(self.content, headers=headers, media_type=self.media_type)


def _asset(name: str, content: bytes) -> Asset:
    suffix = "." + name.rpartition(".")[2]
    kind = TYPES.get(suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
    return Asset(content, kind, f'"{hashlib.sha256(content).hexdigest()[:32]}"')


def page() -> dict[str, Asset]:
    """Return the files of the web page by name."""
    folder = files("adacl.serve") / "static"
    return {
        entry.name: _asset(entry.name, entry.read_bytes())
        for entry in folder.iterdir()
        if entry.is_file()
    }


def documentation() -> dict[str, Asset]:
    """Return the files of the page that describes the interface (Swagger UI) by name.

    Raises
    ------
    MissingExtraError
        If the package that brings them is not installed.
    """
    try:
        folder = files("fastapi_offline") / "static"
    except ModuleNotFoundError as error:
        raise missing_extra(error) from error
    names = ("swagger-ui.css", "swagger-ui-bundle.js")
    found = {name: (folder / name).read_bytes() for name in names}
    found |= {"index.html": DOCUMENTATION, "start.js": START}
    return {name: _asset(name, content) for name, content in found.items()}
