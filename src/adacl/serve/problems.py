"""Errors as problem details (RFC 9457)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from starlette.responses import Response

from adacl.data.image_files import NoMemoryError
from adacl.errors import ImageError

MEDIA_TYPE = "application/problem+json"


class ProblemError(Exception):
    """An answer other than the one asked for, and the reason.

    Parameters
    ----------
    status
        The HTTP status.
    detail
        What is wrong, and how to remedy it.
    name
        The file it is about, if any.
    errors
        The problems of several files, as dictionaries.
    headers
        Further headers of the response.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        name: str | None = None,
        errors: Sequence[Mapping[str, Any]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.name = name
        self.errors = list(errors)
        self.headers = headers

    def to_dict(self) -> dict[str, Any]:
        """Return the members of the problem document."""
        content = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
        }
        if self.name is not None:
            content["name"] = self.name
        if self.errors:
            content["errors"] = self.errors
        return content

    def response(self) -> Response:
        """Return the response."""
        content = json.dumps(self.to_dict())
        return Response(content, self.status, self.headers, MEDIA_TYPE)


SOON = {"Retry-After": "5"}


def unscored(name: str, error: ImageError) -> ProblemError:
    """Return the problem of an image that cannot be scored: the client's fault, or the memory's."""
    if isinstance(error, NoMemoryError):
        return ProblemError(503, str(error), name=name, headers=SOON)
    return ProblemError(422, str(error), name=name)


INTERNAL = ProblemError(500, "internal error; the service's log shows where")
STOPPING = ProblemError(503, "the service is stopping", headers=SOON)
