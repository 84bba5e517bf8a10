"""What the OpenAPI document says beyond what FastAPI knows: bodies, scoring, problems.

FastAPI describes every route that it serves. What is written here by hand it cannot know: scoring
does not pass through it, because limits and batches need the body as it arrives; uploads are read
by a parser that bounds them; and errors are problems (RFC 9457) instead of its own 422.
"""

from __future__ import annotations

from typing import Any, get_type_hints

from fastapi import FastAPI

from adacl.model.regions import Region
from adacl.serve.problems import MEDIA_TYPE

Json = dict[str, Any]

PROBLEM: Json = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "name": {"type": "string", "description": "The file it is about."},
        "errors": {"type": "array", "items": {"type": "object"}},
    },
}
REGION: Json = {
    "type": "object",
    "required": list(Region._fields),
    "properties": {
        name: {"type": "integer" if kind is int else "number"}
        for name, kind in get_type_hints(Region).items()
    },
}
RESULT: Json = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"type": "string"},
        "pred_score": {"type": "number", "minimum": 0, "maximum": 1},
        "raw_score": {"type": "number"},
        "pred_label": {"type": "integer", "enum": [0, 1]},
        "height": {"type": "integer"},
        "width": {"type": "integer"},
        "tile": {"type": "array", "items": {"type": "integer"}},
        "remark": {"type": "string", "description": "Why the score may be wrong."},
        "regions": {"type": "array", "items": {"$ref": "#/components/schemas/Region"}},
        "anomaly_map": {
            "type": "object",
            "properties": {
                "png": {"type": "string", "contentEncoding": "base64"},
                "peak": {"type": "array", "items": {"type": "number"}},
                "range": {
                    "type": "array",
                    "items": {"type": "number"},
                    "description": "Raw scores of the levels 0 and 255.",
                },
            },
        },
        "error": {"$ref": "#/components/schemas/Problem"},
    },
}
SCORES: Json = {
    "type": "object",
    "required": ["model", "threshold", "results"],
    "properties": {
        "model": {"type": "string"},
        "threshold": {"type": "number"},
        "request": {"type": "string", "description": "In the log, if one is kept."},
        "drift": {"type": "string", "description": "How scores have moved, if they have."},
        "results": {"type": "array", "items": {"$ref": "#/components/schemas/Result"}},
    },
}
FEEDBACK: Json = {
    "type": "object",
    "required": ["request", "true_label"],
    "additionalProperties": False,
    "properties": {
        "request": {
            "type": "string",
            "pattern": "^[0-9a-f]{16}$",
            "description": "That of the answer.",
        },
        "result": {
            "type": "integer",
            "minimum": 0,
            "maximum": 2147483647,
            "default": 0,
            "description": "Number of the result in the answer.",
        },
        "true_label": {"type": "integer", "enum": [0, 1]},
        "note": {"type": "string", "maxLength": 1000, "default": ""},
    },
}
KEPT: Json = {
    "type": "object",
    "required": ["request", "result", "true_label", "note", "time"],
    "properties": {**FEEDBACK["properties"], "time": {"type": "string", "format": "date-time"}},
}
STATION: Json = {
    "type": "object",
    "required": ["log", "drift"],
    "properties": {
        "log": {"type": "boolean", "description": "Whether answers are kept."},
        "drift": {
            "type": "object",
            "description": "By the name of the model.",
            "additionalProperties": {
                "type": "object",
                "required": ["state", "reason", "distance", "limit", "scores", "window"],
                "properties": {
                    "state": {
                        "type": "string",
                        "enum": ["off", "collecting", "steady", "moved"],
                    },
                    "reason": {"type": "string"},
                    "distance": {"type": "number"},
                    "limit": {"type": ["number", "null"]},
                    "scores": {"type": "integer"},
                    "window": {"type": "integer"},
                },
            },
        },
    },
}
FILES: Json = {
    "schema": {
        "type": "object",
        "required": ["file"],
        "properties": {
            "file": {
                "type": "array",
                "minItems": 1,
                "items": {"type": "string", "format": "binary"},
            }
        },
    }
}
IMAGE: Json = {"schema": {"type": "string", "format": "binary"}}
SCORE: Json = {
    "tags": ["scoring"],
    "summary": "Score one image or several",
    "operationId": "score",
    "parameters": [
        {
            "name": "model",
            "in": "query",
            "description": "By default the first one.",
            "schema": {"type": "string"},
        },
        {
            "name": "threshold",
            "in": "query",
            "description": "Instead of the model's own.",
            "schema": {"type": "number"},
        },
        {
            "name": "anomaly_map",
            "in": "query",
            "description": "Whether to show what made it anomalous.",
            "schema": {"type": "boolean", "default": False},
        },
    ],
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": FILES,
            **dict.fromkeys(("image/png", "image/jpeg", "application/octet-stream"), IMAGE),
        },
    },
    "responses": {
        "200": {
            "description": "One result per file; some may be errors.",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Scores"}}},
        },
    },
}


def complete(app: FastAPI) -> None:
    """Let the application describe itself in full."""
    generate = app.openapi

    def openapi() -> Json:
        if app.openapi_schema is None:
            _complete(generate())
        return app.openapi_schema or {}

    app.openapi = openapi  # type: ignore[method-assign]


def _complete(document: Json) -> None:
    document["paths"]["/v1/score"] = {"post": SCORE}
    document["paths"]["/v1/trainings"]["post"]["requestBody"] = {
        "required": True,
        "content": {"multipart/form-data": FILES},
    }
    feedback = document["paths"]["/v1/feedback"]["post"]
    feedback["requestBody"] = {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Feedback"}}},
    }
    for operation, status, name in (
        (feedback, "201", "KeptFeedback"),
        (document["paths"]["/v1/station"]["get"], "200", "Station"),
    ):
        schema = {"$ref": f"#/components/schemas/{name}"}
        operation["responses"][status]["content"] = {"application/json": {"schema": schema}}
    components = document.setdefault("components", {})
    components["schemas"] = {
        "Feedback": FEEDBACK,
        "KeptFeedback": KEPT,
        "Station": STATION,
        "Problem": PROBLEM,
        "Region": REGION,
        "Result": RESULT,
        "Scores": SCORES,
    }
    components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    problem = {
        "description": "A problem (RFC 9457)",
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    for path, operations in document["paths"].items():
        for operation in operations.values():
            operation["responses"].pop("422", None)
            operation["responses"]["default"] = problem
            if path.startswith("/v1/") or path == "/metrics":
                operation["security"] = [{"token": []}, {}]
