"""Exported files with other metadata than adacl gave them."""

import json

import onnx

from adacl.model.exported_file import seal

LEFT_OUT = "left out"


def resealed(source, target, **changes):
    """Write an exported file again with other metadata."""
    model = onnx.load(source)
    properties = {p.key: p.value for p in model.metadata_props if p.key != "adacl.sha256"}
    for name, value in changes.items():
        properties[f"adacl.{name}"] = json.dumps(value)
        if value == LEFT_OUT:
            del properties[f"adacl.{name}"]
    onnx.helper.set_model_props(model, properties)
    target.write_bytes(seal(model.SerializeToString()))
    return target
