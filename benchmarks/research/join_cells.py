"""Join the results of grids that have a file for each cell into one file for each grid.

    python -m benchmarks.research.join_cells FOLDER [FOLDER ...]

``FOLDER/cells/NAME.json`` become the lines of ``FOLDER/cells.jsonl``. The files are deleted once
every value has been read back from there.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

from adacl.scale import grid, records


def join(folder: Path) -> int:
    """Join the cells of a folder and return how many it has."""
    file, old = folder / grid.FILE, folder / "cells"
    results = grid.read_cells(folder)
    known = {result["cell"] for result in records.read(file)}
    for result in results:
        if result["cell"] not in known:
            records.append(file, result)
    joined = {result["cell"]: result for result in records.read(file)}
    for path in old.iterdir():
        before = {"cell": path.stem, **json.loads(path.read_text(encoding="utf-8"))}
        if json.dumps(joined[path.stem]) != json.dumps(before):
            raise SystemExit(f"{path}: differs from its line in {file}; nothing was deleted")
    shutil.rmtree(old)
    return len(joined)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", type=Path, nargs="+", metavar="FOLDER")
    for folder in parser.parse_args().folders:
        print(f"{folder}: {join(folder)} cells")


if __name__ == "__main__":
    main()
