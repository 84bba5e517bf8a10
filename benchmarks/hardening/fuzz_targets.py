"""What :mod:`benchmarks.hardening.fuzz` runs: one target, fed by libFuzzer until something breaks.

Seeds are written into the corpus. Inputs that start with ``{`` are trees of JSON, mutated as such.
"""

from __future__ import annotations

import contextlib
import copy
import io
import json
import logging
import random
import shutil
import sys
import time
import warnings
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import atheris
import numpy as np
import tomli_w

with atheris.instrument_imports(include=["adacl", "PIL"]):
    from PIL import Image

    from adacl.config import Config
    from adacl.config.presets import PRESETS, from_toml
    from adacl.data.images import decode, probe
    from adacl.data.video import Clip
    from adacl.deploy.scorer import Scorer
    from adacl.errors import AdaclError, ImageError
    from adacl.model import tensor_file
    from adacl.model.exported_file import seal, to_properties
    from adacl.model.file import load_model
    from adacl.scale import records
    from adacl.serve.problems import ProblemError
    from adacl.serve.training.record import Training, read_all
    from adacl.serve.uploads import Parts, sent_name

Target = tuple[list[bytes], Callable[[bytes], None]]
MOST_PIXELS = 1 << 20
HANG_SECONDS = 5
ODD: list[Any] = [
    None, True, False, 0, -1, 1, 3, 2**31, 2**63, 10**400, 0.0, -0.5, 1e308, 1e-308, "", "0", "x",
    "\ud800", "a\0b", [], {}, [[]], [None], [1, 2, 3], {"": 1}, "9" * 5000,
]  # fmt: skip
VIDEOS = [
    ("mp4", "mpeg4", "yuv420p"), ("avi", "mjpeg", "yuvj420p"), ("mpegts", "mpeg2video", "yuv420p"),
    ("matroska", "libx264", "yuv420p"), ("asf", "wmv2", "yuv420p"), ("flv", "flv1", "yuv420p"),
    ("nut", "ffv1", "yuv420p"), ("gif", "gif", "rgb8"), ("ivf", "libvpx", "yuv420p"),
    ("mov", "prores", "yuv422p10le"), ("h264", "libx264", "yuv420p"), ("rm", "rv10", "yuv420p"),
    ("webm", "libvpx-vp9", "yuv420p"), ("m4v", "mpeg4", "yuv420p"), ("avi", "rawvideo", "yuv420p"),
    ("yuv4mpegpipe", "wrapped_avframe", "yuv420p"), ("mov", "png", "rgb24"),
    ("mov", "qtrle", "rgb24"), ("avi", "utvideo", "yuv420p"),
]  # fmt: skip
"""Containers, codecs and colours."""


def mutated(data: bytes, most: int, seed: int) -> bytes:
    """Mutate a tree of JSON, or bytes as libFuzzer does."""
    rng = random.Random(seed)
    if not data.startswith(b"{") or rng.random() < 0.1:
        return bytes(atheris.Mutate(data, most))
    try:
        tree = json.loads(data)
    except (ValueError, RecursionError):
        return bytes(atheris.Mutate(data, most))
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        _change(tree, rng)
    return json.dumps(tree).encode()[:most]


def _change(tree: Any, rng: random.Random) -> None:
    """Change one thing somewhere in a tree, in place."""
    places = [
        (node, key)
        for node in _nodes(tree)
        for key in (node if isinstance(node, dict) else range(len(node)))
    ]
    if not places:
        return
    node, key = rng.choice(places)
    value, kind = node[key], rng.randrange(6)
    if kind == 0:
        del node[key]
    elif kind == 1 and isinstance(node, dict):
        node[rng.choice(["surprise", "", key + "s"])] = value
    elif kind == 2 and isinstance(value, int | float) and not isinstance(value, bool):
        other = min(max(value, -1e300), 1e300) * 1.5
        node[key] = rng.choice([-value, value + 1, value - 1, value * 2, other, "9" * 20])
    elif kind == 3:
        other, place = rng.choice(places)
        node[key] = copy.deepcopy(other[place])
    elif kind == 4 and isinstance(value, list):
        node[key] = value * 2 if len(value) < 1000 else value[:1]
    else:
        node[key] = copy.deepcopy(rng.choice(ODD))


def _nodes(tree: Any) -> list[Any]:
    found, waiting = [], [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict | list):
            found.append(node)
            waiting += node.values() if isinstance(node, dict) else node
    return found


def parsed(data: bytes) -> Any:
    """Return a tree, or None if the bytes are none."""
    try:
        tree = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return tree if isinstance(tree, dict) else None


def model(folder: Path, scratch: Path) -> Target:
    """Model files: raw ones, and forged headers over sound weights, which then score."""
    files = {path.stem: path for path in sorted(folder.glob("*.adacl"))}
    sound = {kind: tensor_file.read(path) for kind, path in files.items()}
    path = scratch / "m.adacl"

    def one(data: bytes) -> None:
        tree = parsed(data)
        if tree is None:
            path.write_bytes(data)
        else:
            tensors = sound.get(str(tree.get("kind")), sound["whole"])[0]
            header = tree.get("header")
            if not isinstance(header, dict):
                return
            try:
                tensor_file.write(path, tensors, header)
            except (ValueError, TypeError):  # not JSON
                return
        score(load_model(path))

    trees = [json.dumps({"kind": k, "header": h}).encode() for k, (_, h) in sound.items()]
    return [*trees, files["whole"].read_bytes()[:20000]], one


def score(opened: Any) -> None:
    """Score one grey sample, and describe the model, as ``adacl info`` does."""
    json.dumps(opened.header.to_dict())
    spec = opened.spec
    if spec.height * spec.width <= MOST_PIXELS:
        pixels = np.full((1, spec.height, spec.width, spec.channels), 99, spec.dtype)
        found = opened.raw(pixels)
        opened.header.remarks(pixels, np.array([0]))
        assert found.shape == (1,), found.shape


def checkpoint(folder: Path, scratch: Path) -> Target:
    """Checkpoints: history and shapes of the tensors changed, then one step of the training."""
    with atheris.instrument_imports(include=["adacl"]):
        from adacl.networks.build import build_network
        from adacl.training import checkpoints
        from adacl.training.optimizers import make_optimizer

    header = load_model(folder / "whole.adacl").header
    identity = {"data": "x"}
    network = build_network(header.config.network, header.spec)
    optimizer = make_optimizer(network, header.config.training)
    for parameter in network.parameters():
        parameter.grad = parameter.detach() * 0
    optimizer.step()
    path = scratch / "network.ckpt"
    best = dict(network.state_dict())
    checkpoints.save(path, network, optimizer, best, header.history, identity)
    sound, tree = tensor_file.read(path)

    def one(data: bytes) -> None:
        tree = parsed(data)
        if tree is None:
            path.write_bytes(data)
        else:
            shapes = tree.pop("shapes", None)
            try:
                arrays = {
                    name: sound[name] if list(sound[name].shape) == shape else np.zeros(shape, "f4")
                    for name, shape in shapes.items()
                    if np.prod(shape) < 1e6
                }
                tensor_file.write(path, arrays, tree)
            except (ValueError, TypeError, AttributeError, KeyError, OverflowError, MemoryError):
                return
        own = build_network(header.config.network, header.spec)
        steps = make_optimizer(own, header.config.training)
        checkpoints.resume(path, own, steps, identity)
        for parameter in own.parameters():
            parameter.grad = parameter.detach() * 0
        steps.step()

    shapes = {name: list(array.shape) for name, array in sound.items()}
    return [json.dumps(tree | {"shapes": shapes}).encode(), path.read_bytes()[:20000]], one


def exported(folder: Path, scratch: Path) -> Target:
    """Open exported files: forged properties on a sound graph, and damaged graphs, sealed anew."""
    import onnx

    graphs = {path.stem: onnx.load(path) for path in sorted(folder.glob("*.onnx"))}
    path = scratch / "m.onnx"
    trees = []
    for kind, graph in graphs.items():
        properties = {p.key: p.value for p in graph.metadata_props if p.key != "adacl.sha256"}
        header = {key.removeprefix("adacl."): json.loads(x) for key, x in properties.items()}
        trees.append(json.dumps({"kind": kind, "header": header}).encode())
        del graph.metadata_props[:]

    def one(data: bytes) -> None:
        tree = parsed(data)
        if tree is None:
            path.write_bytes(seal(data))
        else:
            changed = onnx.ModelProto()
            changed.CopyFrom(graphs.get(str(tree.get("kind")), graphs["whole"]))
            try:
                onnx.helper.set_model_props(changed, to_properties(tree["header"]))
            except (ValueError, TypeError, AttributeError, KeyError):
                return
            path.write_bytes(seal(changed.SerializeToString()))
        score(Scorer(path, threads=1))

    raw = (folder / "whole.onnx").read_bytes()[:-80]
    return [*trees, raw[:60000]], one


def image(folder: Path, scratch: Path) -> Target:
    """Images: as sent to the service, and as files of the further formats."""
    rng = np.random.default_rng(0)
    grey, colour = (
        rng.integers(0, 256, (16, 12), np.uint8),
        rng.integers(0, 256, (12, 16, 3), np.uint8),
    )
    deep = rng.integers(0, 65536, (9, 11)).astype(np.uint16)
    seeds = []
    for pixels in (grey, colour, deep):
        for kind in ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF", "JPEG2000", "PPM"):
            for options in ({}, {"compression": "tiff_lzw"}, {"progressive": True}):
                file = io.BytesIO()
                try:
                    Image.fromarray(pixels).save(file, kind, **options)
                except (OSError, KeyError, ValueError):
                    continue
                seeds.append(file.getvalue())
    path = scratch / "x.png"

    def one(data: bytes) -> None:
        for channels, dtype in ((3, "uint8"), (1, "uint16")):
            try:
                decode("sent", data, channels, dtype, most=MOST_PIXELS)
            except ImageError:
                continue
        path.write_bytes(data)
        try:
            header = probe(path)
            found = decode(path, None, 3, most=MOST_PIXELS)
        except ImageError:
            return
        assert (header.height, header.width) == found.pixels.shape[:2], (header, found.header)

    return list(dict.fromkeys(seeds)), one


def video(folder: Path, scratch: Path) -> Target:
    """Video files: probed and decoded, up to 30 frames."""
    import av

    rng = np.random.default_rng(0)
    seeds = []
    for form, codec, colours in VIDEOS:
        file = io.BytesIO()
        with av.open(file, "w", format=form) as container:
            track = container.add_stream(codec, rate=10)
            track.width = track.height = 32
            track.pix_fmt = colours
            for _ in range(3):
                pixels = rng.integers(0, 256, (32, 32), np.uint8)
                picture = av.VideoFrame.from_ndarray(pixels, format="gray")
                container.mux(track.encode(picture))
            container.mux(track.encode())
        seeds.append(file.getvalue())
    path = scratch / "x.mp4"

    def one(data: bytes) -> None:
        path.write_bytes(data)
        for frame in islice(Clip("x", path).frames(1, 64), 30):
            assert frame.image.dtype == np.uint8

    return seeds, one


def upload(folder: Path, scratch: Path) -> Target:
    """Bodies of requests: the first line is the type, the second the name, the rest the parts."""
    body = (
        b'--b\r\nContent-Disposition: form-data; name="f"; filename="a.png"\r\n\r\nxyz\r\n--b--\r\n'
    )
    seeds = [
        b'multipart/form-data; boundary=b\nattachment; filename="a"\n' + body * n for n in (1, 2)
    ]

    def one(data: bytes) -> None:
        from starlette.datastructures import Headers

        kind, _, rest = data.partition(b"\n")
        disposition, _, rest = rest.partition(b"\n")
        name = sent_name(Headers(raw=[(b"content-disposition", disposition)]))
        assert 0 < len(name) <= 200, name
        assert name.isprintable(), name
        for size in (7, 4096):
            parts = Parts(kind.decode("latin-1"), 8, 1 << 12)
            for place in range(0, len(rest), size):
                parts.feed(rest[place : place + size])
            parts.finish()
            assert len(parts.files) <= 8

    return seeds, one


def settings(folder: Path, scratch: Path) -> Target:
    """Files of settings, as text and as trees; what is taken must survive being written."""
    path = scratch / "s.toml"
    trees = [preset.to_dict() for preset in PRESETS.values()]

    def one(data: bytes) -> None:
        tree = parsed(data)
        if tree is None:
            path.write_bytes(data)
        else:
            try:
                path.write_bytes(tomli_w.dumps(tree).encode())
            except (TypeError, ValueError, AttributeError):
                return
        config = from_toml(path)
        assert Config.from_dict(config.to_dict()).to_dict() == config.to_dict()

    texts = [tomli_w.dumps(_without_none(tree)).encode() for tree in trees[:2]]
    return [*(json.dumps(_without_none(tree)).encode() for tree in trees), *texts], one


def _without_none(tree: dict[str, Any]) -> dict[str, Any]:
    return {
        key: _without_none(value) if isinstance(value, dict) else value
        for key, value in tree.items()
        if value is not None
    }


def recorded(folder: Path, scratch: Path) -> Target:
    """Read what the service keeps of a training, and lines of a grid."""
    config = PRESETS["paper"].to_dict()
    training = Training("0" * 16, "a", 3, None, (16, 16), config, "2026-01-01", [], "running", 4)
    training.history.append({"stage": "fit", "epoch": 1, "loss": 0.1})
    place = scratch / ("0" * 16)
    place.mkdir()

    def one(data: bytes) -> None:
        lines = scratch / "r.jsonl"
        lines.write_bytes(data)
        with contextlib.suppress(AdaclError):
            records.read(lines)
        (place / "training.json").write_bytes(data)
        for found in read_all(scratch):
            json.dumps(found.describe(None))

    return [json.dumps(vars(training)).encode(), b'{"a": 1}\n{"a": 2}\n'], one


def manifest(folder: Path, scratch: Path) -> Target:
    """Folders of results, and tables of parts and models: as trees, or one file as raw bytes."""
    with atheris.instrument_imports(include=["adacl"]):
        from adacl.scale import manifest as listing
        from adacl.scale import parts, results
        from adacl.scale.fleet import Fleet
        from adacl.scale.fleet_fit import records_in
        from adacl.scale.fleet_parts import parts_of
        from adacl.scale.fleet_table import write_tables
        from adacl.scale.scoring import read_run
        from adacl.scale.storage import Folder
        from adacl.scale.verification import verify
    import pyarrow as pa
    import pyarrow.parquet as pq

    out, images = scratch / "out", scratch / "images"
    images.mkdir()
    paths = [str(images / f"{name}.png") for name in "abc"]
    for path in paths:
        Path(path).write_bytes(b"")
    work = parts.Work("0" * 64, None, [str(images)], 2, 1 << 20)
    place = Folder(str(out))
    list(listing.write_manifest(place, work.sources, work.shard_images, work.shard_bytes))
    place.create("run.json", json.dumps(vars(work)).encode())
    place.create("_SUCCESS", b"{}")
    for number, unit in enumerate((paths[:2], paths[2:])):
        rows = [parts.Row(path, listing.id_of(path), 0.5, 0, 0.5, status="scored") for path in unit]
        name = parts.name_of(f"{number:06}", work.hash)
        parts.write_part(place, name, rows, len(unit), {"model": work.model})
    record = {
        "name": "a", "source": "a", "preset": "paper", "settings": [], "version": "0",
        "grade": "good", "verdict": "", "warnings": ["w"], "model": "a.onnx", "fitted": "",
        "sensitive": "", "normals": 9, "threshold": 0.5, "fpr": 0.01, "upper_bound": None,
        "validation_auroc": 0.9, "next": ["n"], "seconds": 1.5,
    }  # fmt: skip
    (out / "a.onnx").write_bytes(b"")
    (out / "a.adacl").write_bytes(b"")
    (out / "a.json").write_text(json.dumps(record))
    (out / "models.csv").write_text("name,model,threshold\na,a.onnx,0.5\n")
    (out / "p.csv").write_text("name,source,preset,settings\na,images,paper,network.hidden=8\n")
    files = {str(path.relative_to(out)): path for path in sorted(out.rglob("*")) if path.is_file()}
    sound = {name: path.read_bytes() for name, path in files.items()}
    names = [name for name in sound if not name.endswith((".onnx", ".adacl"))]

    def as_tree(name: str) -> Any:
        if not name.endswith(".parquet"):
            return sound[name].decode() if name.endswith(".csv") else json.loads(sound[name])
        table = pq.read_table(files[name])
        marks = {key.decode(): value.decode() for key, value in table.schema.metadata.items()}
        return {"columns": table.to_pydict(), "metadata": marks}

    def as_bytes(name: str, tree: Any) -> bytes:
        if isinstance(tree, str):
            return tree.encode()
        if not name.endswith(".parquet"):
            return json.dumps(tree).encode()
        file = io.BytesIO()
        pq.write_table(pa.table(tree["columns"], metadata=tree["metadata"]), file)
        return file.getvalue()

    def one(data: bytes) -> None:
        tree = parsed(data)
        if tree is None:
            contents = {names[data[0] % len(names)]: data[1:]} if data else {}
        else:
            try:
                contents = {name: as_bytes(name, tree[name]) for name in names if name in tree}
            except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
                return
        for name in names:
            files[name].write_bytes(contents.get(name, sound[name]))
        for read in (
            lambda: list(verify(place)),
            lambda: list(results.rows_of(place)),
            lambda: list(results.file_scores(place, [])),
            lambda: read_run(place),
            lambda: Fleet(out).model_of("x/a/1.png"),
            lambda: parts_of(out / "p.csv", "auto", ()),
            lambda: write_tables(scratch, records_in(out)),
        ):
            with contextlib.suppress(AdaclError):
                read()
        files["manifest.json"].unlink()
        with contextlib.suppress(AdaclError):  # goes on with the listing
            list(listing.write_manifest(place, work.sources, 2, 1 << 20))

    trees = [json.dumps({name: as_tree(name)}).encode() for name in names]
    raw = [bytes([number]) + sound[name] for number, name in enumerate(names)]
    return [*trees, *raw], one


TARGETS = {
    "model": model, "checkpoint": checkpoint, "exported": exported, "image": image,
    "video": video, "upload": upload, "settings": settings, "records": recorded,
    "manifest": manifest,
}  # fmt: skip


def main() -> None:
    """Write the seeds, and hand over to libFuzzer."""
    name, (folder, corpus, scratch) = sys.argv[1], map(Path, sys.argv[2:5])
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    seeds, one = TARGETS[name](folder, scratch)
    for number, seed in enumerate(seeds):
        (corpus / f"seed-{number:02}").write_bytes(seed)

    def guarded(data: bytes) -> None:
        begun = time.process_time()
        with contextlib.suppress(AdaclError, ProblemError):
            one(data)
        spent = time.process_time() - begun
        if spent > HANG_SECONDS:
            raise TimeoutError(f"{spent:.0f} seconds of a processor")

    with contextlib.suppress(AdaclError, ProblemError):
        one(seeds[0])  # loads what is loaded at first use

    atheris.Setup([sys.argv[0], str(corpus), *sys.argv[5:]], guarded, custom_mutator=mutated)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
