"""Does a network that looks at what moves, not how fast, help on video? On Ped1 and Avenue.

    python -m benchmarks.research.video_trial gather NAME ROOT FOLDER
    python -m benchmarks.research.video_trial train FOLDER KIND[,KIND,...] [SEED]
    python -m benchmarks.research.video_trial rank FOLDER

``gather`` keeps the moving tiles of each fold, to learn from and to score, in FOLDER. ``train``
teaches one network for each list of kinds (joined by ``+``: with an output for each kind, which
learns nothing from the other's), shorter than the product (8,000 tiles, six epochs), and
keeps its raw scores. ``rank`` combines the evidence in several ways and prints frame AUROC and EER.
Kinds: ``skip`` (twice the speed, the product's), ``shape`` (a filled ellipse or rectangle that
moves as a pedestrian does), ``soft`` (the same with a soft rim, slightly transparent, filled with
another tile that moves along; half of the normals have a part with such a rim that is moved by less
than a pixel), ``stretch`` (1.3 to 2.2 times as wide or tall, or both, from the frames
t-1, t, t+1, so about as fast as before; half of the normals are blurred as much).
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.ndimage import binary_erosion
from torch import Tensor
from torch.nn import functional

from adacl.config.presets import preset
from adacl.metrics import auroc, equal_error_rate
from adacl.networks.regressor import Regressor
from adacl.protocols.video.footage import load
from adacl.video.chunks import chunks
from adacl.video.config import VideoConfig
from adacl.video.fit import survey
from adacl.video.motion import stack_energy
from adacl.video.row_levels import Level

VIDEO = VideoConfig()
LARGER = " or skip"
"""A kind of evidence: the larger of two networks' outputs."""
STEPS = (-2, 0, 2, -1, 1, -4, 4)
LEARNT, EPOCHS, BATCH = 8000, 6, 128
Arrays = dict[str, Any]


def gather(name: str, root: Path, folder: Path) -> None:
    """Cut the tiles of every fold and write them to ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    footage = load(name, root)
    for number, fold in enumerate(footage.folds):
        seen = survey(fold.train, VIDEO.training, 0.0)
        rng = np.random.default_rng(number)
        parts = []
        for clip, count in zip(fold.train, seen.counts, strict=True):
            usable = fold.normal.get(clip.name, np.ones(count, bool))[:count]
            usable = binary_erosion(usable, np.ones(9))
            for chunk in chunks(clip.frames(1, VIDEO.tallest), VIDEO.training, 4):
                centres, tiles = chunk.moving(seen.motion)
                numbers = np.array([frame.number for frame in chunk.centres])
                keep = usable[numbers[centres]] & (rng.random(len(centres)) < 0.5)
                parts.append((_cut(chunk, centres[keep], tiles[keep], VIDEO.training), tiles[keep]))
        samples, tiles = (np.concatenate(column) for column in zip(*parts, strict=True))
        chosen = rng.permutation(len(samples))[:LEARNT]
        rows = VIDEO.training.rows(seen.height, seen.width)
        found: Arrays = {"learnt": samples[chosen], "learnt_rows": rows[tiles[chosen]]}
        rows = VIDEO.rows(seen.height, seen.width)
        parts, abnormal = [], []
        for place, clip in enumerate(fold.test):
            for chunk in chunks(clip.frames(1, VIDEO.tallest), VIDEO, 2):
                centres, tiles = chunk.moving(seen.motion)
                numbers = np.array([frame.number for frame in chunk.centres])
                cut = _cut(chunk, centres, tiles, VIDEO, STEPS[:3])
                clips = np.full(len(tiles), place)
                parts.append((cut, rows[tiles], numbers[centres], clips))
            abnormal.append(footage.abnormal[clip.name])
        columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
        found |= dict(zip(("tested", "rows", "frames", "clips"), columns, strict=True))
        found |= {f"abnormal{place}": mask for place, mask in enumerate(abnormal)}
        np.savez(folder / f"fold{number}.npz", **found)
        print(folder, number, len(samples), "to learn from,", len(columns[0]), "to score")


def _cut(chunk: Any, centres: Any, tiles: Any, config: VideoConfig, steps: Any = STEPS) -> Any:
    """Return the frames at ``steps`` from each centre, and the place, as the last channel."""
    images = np.stack([frame.image[:, :, 0] for frame in chunk.frames])
    top, left = np.array(config.tiling.corners(*images.shape[1:]))[tiles].T
    side = config.tile
    windows = np.lib.stride_tricks.sliding_window_view(images, (side, side), axis=(1, 2))
    cut = np.empty((len(tiles), side, side, len(steps) + 1), np.uint8)
    for channel, step in enumerate(steps):
        cut[..., channel] = windows[centres + chunk.reach + step, top, left]
    cut[..., -1] = np.round(255 * top / max(1, images.shape[1] - side))[:, None, None]
    return cut


def skip(x: Tensor, g: torch.Generator) -> tuple[Tensor, Tensor]:
    """Play twice as fast."""
    return x[:, [5, 1, 6, 7]], x[:, [0, 1, 2, 7]]


def shape(x: Tensor, g: torch.Generator) -> tuple[Tensor, Tensor]:
    """Paste an ellipse or rectangle, filled with another tile or one grey, that walks."""
    n, _, h, w = x.shape
    u = lambda low, high: low + (high - low) * torch.rand(n, 1, 1, generator=g)  # noqa: E731
    cy, cx, ry, rx = u(0, h), u(0, w), u(3, 11), u(3, 14)
    angle, vx = u(0, 3.14), torch.randn(n, 1, 1, generator=g) * 2.5
    vy = torch.randn(n, 1, 1, generator=g) * 1.0
    round_ = torch.rand(n, 1, 1, generator=g) < 0.5
    ys, xs = torch.arange(h).view(1, h, 1), torch.arange(w).view(1, 1, w)
    grey = torch.rand(n, 1, 1, generator=g)
    other = x[torch.randperm(n, generator=g), 1]
    fill = torch.where(torch.rand(n, 1, 1, generator=g) < 0.5, grey, (other + grey) / 2)
    made = x[:, [0, 1, 2, 7]].clone()
    for channel, time in ((0, -1), (1, 0), (2, 1)):
        dy, dx = ys - cy - time * vy, xs - cx - time * vx
        a = (dx * angle.cos() + dy * angle.sin()) / rx
        b = (dy * angle.cos() - dx * angle.sin()) / ry
        inside = torch.where(round_, (a * a + b * b) < 1, torch.maximum(a.abs(), b.abs()) < 0.9)
        made[:, channel] = torch.where(inside, fill, made[:, channel])
    return made, x[:, [0, 1, 2, 7]]


def soft(x: Tensor, g: torch.Generator) -> tuple[Tensor, Tensor]:
    """Paste a walking ellipse or rectangle with a soft rim, filled with a tile that moves along."""
    n, _, h, w = x.shape
    u = lambda low, high: low + (high - low) * torch.rand(n, 1, 1, generator=g)  # noqa: E731
    ys, xs = torch.arange(h).view(1, h, 1), torch.arange(w).view(1, 1, w)

    def pasted(sources: list[Tensor], dy: Tensor, dx: Tensor) -> Tensor:
        cy, cx, ry, rx, angle = u(0, h), u(0, w), u(3, 11), u(3, 14), u(0, 3.14)
        round_, rim, opacity = u(0, 1) < 0.5, u(0.05, 0.3), u(0.6, 1)
        made = x[:, [0, 1, 2, 7]].clone()
        for channel, time in ((0, -1), (1, 0), (2, 1)):
            y, z = ys - cy - time * dy, xs - cx - time * dx
            a = (z * angle.cos() + y * angle.sin()) / rx
            b = (y * angle.cos() - z * angle.sin()) / ry
            radius = torch.where(round_, (a * a + b * b).sqrt(), torch.maximum(a.abs(), b.abs()))
            mask = opacity * ((1 - radius) / rim).sigmoid()
            moved = _moved(sources[channel], time * dy, time * dx)
            made[:, channel] += mask * (moved - made[:, channel])
        return made

    grey, part = u(0, 1), u(0.5, 1)
    other = x[torch.randperm(n, generator=g), 1]
    mixed = part * other + (1 - part) * grey
    shifted = (other + u(-0.3, 0.3)).clamp(0, 1)
    fill = torch.where(u(0, 1) < 0.5, mixed, shifted)
    down, right = torch.randn(2, n, 1, 1, generator=g) * torch.tensor([1.0, 2.5]).view(2, 1, 1, 1)
    made = pasted([fill] * 3, down, right)
    null = pasted([x[:, frame] for frame in range(3)], u(-0.5, 0.5), u(-0.5, 0.5))
    return made, torch.where(u(0, 1)[:, None] < 0.5, null, x[:, [0, 1, 2, 7]])


def _moved(images: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """Return images (N, H, W) moved by some pixels each, linearly between pixels."""
    n, h, w = images.shape
    theta = torch.eye(2, 3).repeat(n, 1, 1)
    theta[:, 0, 2], theta[:, 1, 2] = -2 * right.view(n) / w, -2 * down.view(n) / h
    grid = functional.affine_grid(theta, [n, 1, h, w], align_corners=False)
    moved = functional.grid_sample(
        images[:, None], grid, padding_mode="reflection", align_corners=False
    )
    return moved[:, 0]


def stretch(x: Tensor, g: torch.Generator) -> tuple[Tensor, Tensor]:
    """Make what moves wider, taller or both; normals are blurred as the enlarging blurs."""
    n = len(x)
    factor = 1.3 + 0.9 * torch.rand(n, 2, generator=g)
    which = torch.randint(3, (n,), generator=g)
    factor[which == 0, 0] = 1
    factor[which == 1, 1] = 1

    def warp(images: Tensor, scale: Tensor) -> Tensor:
        theta = torch.zeros(len(images), 2, 3)
        theta[:, 0, 0], theta[:, 1, 1] = 1 / scale[:, 0], 1 / scale[:, 1]
        grid = functional.affine_grid(theta, list(images.shape), align_corners=False)
        return functional.grid_sample(images, grid, padding_mode="reflection", align_corners=False)

    made = torch.cat([warp(x[:, [3, 1, 4]], factor), x[:, 7:]], 1)
    again = 1.3 + 0.9 * torch.rand(n, 2, generator=g)
    blurred = warp(warp(x[:, :3], 1 / again), again)
    normal = torch.where(torch.rand(n, 1, 1, 1, generator=g) < 0.5, blurred, x[:, :3])
    return made, torch.cat([normal, x[:, 7:]], 1)


KINDS = {"skip": skip, "shape": shape, "soft": soft, "stretch": stretch}


def train(folder: Path, kinds: str, seed: int) -> None:
    """Teach a network made anomalies of some kinds, and keep its raw scores for each fold."""
    config = preset("video")
    low, high = config.labels.normal, config.labels.anomalous
    for path in sorted(folder.glob("fold?.npz")):
        heads = kinds.split("+")
        targets = [
            folder / f"{path.stem}-{kinds}{f'.{head}' if heads[1:] else ''}-{seed}.npz"
            for head in heads
        ]
        if all(target.exists() for target in targets):
            continue
        data = np.load(path)
        learnt = data["learnt"]
        torch.manual_seed(seed)
        g = torch.Generator().manual_seed(seed)
        network = Regressor(config.network, 4, VIDEO.tile, VIDEO.tile)
        network.output = torch.nn.Linear(config.network.hidden, len(heads))
        mean = torch.tensor(learnt[..., [0, 1, 2, 7]].mean((0, 1, 2)) / 255).float()
        std = torch.tensor(learnt[..., [0, 1, 2, 7]].std((0, 1, 2)) / 255).float()
        network.mean.copy_(mean.view_as(network.mean))
        network.std.copy_(std.view_as(network.std))
        optimizer = torch.optim.AdamW(network.parameters(), 1e-3)
        total = EPOCHS * (len(learnt) // BATCH)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total)
        network.train()
        for epoch in range(EPOCHS):
            order, losses = torch.randperm(len(learnt), generator=g).numpy(), []
            for start in range(0, len(learnt) - BATCH + 1, BATCH):
                x = torch.from_numpy(learnt[order[start : start + BATCH]]).permute(0, 3, 1, 2) / 255
                x = torch.where(torch.rand(BATCH, 1, 1, 1, generator=g) < 0.5, x, x.flip(3))
                made, normal = _made(x, heads, g)
                images = torch.cat([normal, *made])
                y = torch.rand(len(images), 1, generator=g)
                y[:BATCH] = low[0] + (low[1] - low[0]) * y[:BATCH]
                y[BATCH:] = high[0] + (high[1] - high[0]) * y[BATCH:]
                own = torch.eye(len(heads)).repeat_interleave(BATCH, 0)
                known = torch.cat([torch.ones(BATCH, len(heads)), own])
                loss = ((network(images) - y).square() * known).sum() / known.sum()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
                losses.append(loss.item())
            print(folder.name, path.stem, kinds, epoch, f"{np.mean(losses):.4f}", flush=True)
        network.eval()

        def raw(images: Any, network: Regressor = network) -> Any:
            with torch.inference_mode():
                batches = np.array_split(images, max(1, len(images) // 1000))
                tensors = (torch.from_numpy(b).permute(0, 3, 1, 2) / 255 for b in batches)
                return np.concatenate([network(t).numpy() for t in tensors])

        of_learnt, of_tested = raw(learnt[..., [0, 1, 2, 7]]), raw(data["tested"])
        for head, target in enumerate(targets):
            np.savez(target, learnt=of_learnt[:, head], tested=of_tested[:, head])


def _made(x: Tensor, heads: list[str], g: torch.Generator) -> tuple[list[Tensor], Tensor]:
    """Return made anomalies for each output, a mixture where commas part kinds, and normals."""
    columns = []
    for head in heads:
        parts = x.chunk(len(head.split(",")))
        pairs = [KINDS[k](p, g) for k, p in zip(head.split(","), parts, strict=True)]
        columns.append([torch.cat(column) for column in zip(*pairs, strict=True)])
    return [made for made, _ in columns], columns[0][1]


def smoothed(scores: Any, sigma: float = 6.0) -> Any:
    """Smooth the scores of a clip as the product does."""
    kernel = np.exp(-0.5 * (np.arange(-18, 19) / sigma) ** 2)
    weight = np.convolve(np.ones(len(scores)), kernel)
    return (np.convolve(scores, kernel) / weight)[18:-18]


def rank(folder: Path) -> None:
    """Print what each single evidence and each combination reaches on all frames of the folds."""
    folds: list[tuple[Arrays, dict[str, Any]]] = []
    for path in sorted(folder.glob("fold?.npz")):
        data = np.load(path)
        count = int(max(data["rows"].max(), data["learnt_rows"].max())) + 1
        energy = stack_energy(data["learnt"]), stack_energy(data["tested"])
        evidence = {"energy": energy}
        for known in sorted(folder.glob(f"{path.stem}-*.npz")):
            scores = np.load(known)
            evidence[known.stem.split("-", 1)[1]] = scores["learnt"], scores["tested"]
        for name in [*evidence][1:]:
            if name.startswith("skip-") or ".skip" in name:
                continue
            first = name.replace(".shape", ".skip") if ".shape" in name else "skip-0"
            pairs = zip(evidence[first], evidence[name], strict=True)
            evidence[f"{name}{LARGER}"] = tuple(np.maximum(*pair) for pair in pairs)
        found = {}
        for name, (learnt, tested) in evidence.items():
            level = Level.measure(learnt.astype(float), data["learnt_rows"], count, True)
            found[name] = level.deviation(tested.astype(float), data["rows"])
            top = np.array([
                np.quantile(learnt[data["learnt_rows"] == r], (0.5, 0.99))
                if (data["learnt_rows"] == r).sum() > 200 else np.quantile(learnt, (0.5, 0.99))
                for r in range(count)
            ])[data["rows"]]  # fmt: skip
            found[name + "^"] = 2.33 * (tested - top[:, 0]) / (top[:, 1] - top[:, 0])
        folds.append((data, found))
    every = [name for name in folds[0][1] if not name.endswith("^") and name != "energy"]
    names = [name for name in every if not name.endswith(LARGER)]
    rules: dict[str, Any] = {name: (lambda f, n=name: f[n]) for name in ["energy", *names]}
    rules["default: (skip + energy) / 2"] = lambda f: (f["skip-0"] + f["energy"]) / 2
    rules["the same in units of the upper tail"] = lambda f: (f["skip-0^"] + f["energy^"]) / 2
    rules["the larger of the two"] = lambda f: np.maximum(f["skip-0"], f["energy"])
    rules["the larger of the two, tail"] = lambda f: np.maximum(f["skip-0^"], f["energy^"])
    for name in names:
        if name == "skip-0":
            continue
        rules[f"({name} + energy) / 2"] = lambda f, n=name: (f[n] + f["energy"]) / 2
        rules[f"(skip + energy + {name}) / 3"] = lambda f, n=name: (
            (f["skip-0"] + f["energy"] + f[n]) / 3
        )
        rules[f"(2 skip + 2 energy + {name}) / 5"] = lambda f, n=name: (
            (2 * f["skip-0"] + 2 * f["energy"] + f[n]) / 5
        )
        rules[f"max of default and {name}"] = lambda f, n=name: np.maximum(
            (f["skip-0"] + f["energy"]) / 2, f[n]
        )
        rules[f"max of default and {name}, tail"] = lambda f, n=name: np.maximum(
            (f["skip-0^"] + f["energy^"]) / 2, f[n + "^"]
        )
    for name in names:
        if ".shape" in name:
            partner = name.replace(".shape", ".skip")
            rules[f"max of ({partner} + energy) / 2 and {name}, tail"] = (
                lambda f, n=name, m=partner: np.maximum((f[m + "^"] + f["energy^"]) / 2, f[n + "^"])
            )
    for name in every:
        if name.endswith(LARGER):
            rules[f"({name} + energy) / 2"] = lambda f, n=name: (f[n] + f["energy"]) / 2
    for (rule, combine), worst in itertools.product(rules.items(), (1, 3)):
        values, truth = [], []
        for data, found in folds:
            tiles = combine(found)
            for place in np.unique(data["clips"]):
                abnormal = data[f"abnormal{place}"]
                mine = data["clips"] == place
                rows = [[1.0] * worst for _ in abnormal]
                for frame, score in zip(data["frames"][mine], tiles[mine], strict=True):
                    rows[frame].append(score)
                frames = np.array([np.sort(row)[-worst:].mean() for row in rows])
                frames[:2], frames[-2:] = frames[2], frames[-3]
                values.append(smoothed(frames))
                truth.append(abnormal)
        v, t = np.concatenate(values), np.concatenate(truth)
        rule = f"{rule}, {worst} worst"
        print(f"{folder.name:8} {rule:60} {100 * auroc(v[~t], v[t]):6.2f} "
              f"{100 * equal_error_rate(v[~t], v[t]):6.2f}")  # fmt: skip


def main() -> None:
    """Gather, train or rank."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    gathering = commands.add_parser("gather")
    gathering.add_argument("name")
    gathering.add_argument("root", type=Path)
    gathering.add_argument("folder", type=Path)
    training = commands.add_parser("train")
    training.add_argument("folder", type=Path)
    training.add_argument("kinds", help="lists of kinds, parted by /")
    training.add_argument("seed", type=int, nargs="?", default=0)
    commands.add_parser("rank").add_argument("folder", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.command == "gather":
        gather(given.name, given.root, given.folder)
    elif given.command == "train":
        for listed in given.kinds.split("/"):
            train(given.folder, listed, given.seed)
    else:
        rank(given.folder)


if __name__ == "__main__":
    main()
