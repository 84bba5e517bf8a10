"""Score, and run grids, on a Ray cluster that runs already."""

from __future__ import annotations

from pathlib import Path

from adacl.scale import grid
from adacl.scale.engines import Engine
from support.scaling import begun, wrongs
from support.stores import ray_cluster


def test_a_cluster_of_two_nodes(model: Path, images: Path, tmp_path: Path) -> None:
    def square(x: int) -> dict[str, int]:  # goes by value, because no worker can import it
        return {"square": x * x}

    run = begun(tmp_path / "out", model, images, shard_images=2)
    with ray_cluster(2) as cluster:
        engine = Engine("ray", address=cluster.address)
        counts = list(run.score(engine))
        cells = [(f"cell{x}", {"x": x}) for x in range(4)]
        list(grid.run_cells(square, cells, tmp_path / "grid", engine=engine))
    assert sum(count.scored for count in counts) == run.finish().scored == 20
    assert wrongs(run.folder) == []
    assert [result["square"] for result in grid.read_cells(tmp_path / "grid")] == [0, 1, 4, 9]
