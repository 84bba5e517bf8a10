"""Score on Ray clusters that run already."""

from __future__ import annotations

from pathlib import Path

from adacl.scale.engines import Engine
from support.scaling import begun, wrongs
from support.stores import ray_cluster, ray_head


def scored_on(address: str, out: Path, model: Path, images: Path) -> None:
    run = begun(out, model, images, shard_images=2)
    counts = list(run.score(Engine("ray", address=address)))
    assert sum(count.scored for count in counts) == run.finish().scored == 20
    assert wrongs(run.folder) == []


def test_a_cluster_of_two_nodes(model: Path, images: Path, tmp_path: Path) -> None:
    with ray_cluster(2) as cluster:
        scored_on(cluster.address, tmp_path / "out", model, images)


def test_a_cluster_that_the_command_line_started(model: Path, images: Path, tmp_path: Path) -> None:
    with ray_head() as address:
        scored_on(address, tmp_path / "out", model, images)
