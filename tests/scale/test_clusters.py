"""Score on a Ray cluster that runs already."""

from __future__ import annotations

from pathlib import Path

from adacl.scale.engines import Engine
from support.scaling import begun, wrongs
from support.stores import ray_cluster


def test_a_cluster_of_two_nodes(model: Path, images: Path, tmp_path: Path) -> None:
    run = begun(tmp_path / "out", model, images, shard_images=2)
    with ray_cluster(2) as cluster:
        counts = list(run.score(Engine("ray", address=cluster.address)))
    assert sum(count.scored for count in counts) == run.finish().scored == 20
    assert wrongs(run.folder) == []
