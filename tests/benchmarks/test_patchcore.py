import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")
reason = "the benchmarks are not part of the source distribution"
patchcore = pytest.importorskip("benchmarks.accuracy.patchcore", reason=reason)
inspection = pytest.importorskip("benchmarks.accuracy.inspection", reason=reason)

CHANNELS = {"stem": 8, "stages": (8, 8, 12, 16, 20)}


@pytest.fixture
def untrained(monkeypatch):
    """Random weights in place of the package's, of the same form but fewer channels."""
    generator = torch.Generator().manual_seed(0)
    weights = {}

    def convolution(conv, norm, outputs, inputs, kernel):
        form = (outputs, inputs, kernel, kernel)
        weights[f"{conv}.weight"] = torch.randn(form, generator=generator) / (inputs**0.5 * kernel)
        for part, value in (("weight", 1), ("bias", 0), ("running_mean", 0), ("running_var", 1)):
            weights[f"{norm}.{part}"] = torch.full((outputs,), float(value))

    inputs, number = CHANNELS["stem"], 0
    convolution("_conv_stem", "_bn0", inputs, 3, 3)
    for (blocks, *_), outputs in zip(patchcore.STAGES, CHANNELS["stages"], strict=True):
        for _ in range(blocks):
            name, wide = f"_blocks.{number}.", inputs if number == 0 else 2 * inputs
            if number:
                convolution(f"{name}_expand_conv", f"{name}_bn0", wide, inputs, 1)
            convolution(f"{name}_depthwise_conv", f"{name}_bn1", wide, 1, 3)
            convolution(f"{name}_project_conv", f"{name}_bn2", outputs, wide, 1)
            inputs, number = outputs, number + 1
    monkeypatch.setattr(patchcore, "pretrained", lambda: weights)


def greedy(points, count, first):
    """The definition of the greedy coreset, without what makes it fast."""
    chosen = [first]
    while len(chosen) < count:
        gaps = np.linalg.norm(points[:, None] - points[None, chosen], axis=2)
        chosen.append(int(gaps.min(1).argmax()))
    return chosen


@pytest.mark.parametrize("ahead", [1, 8, 512])
def test_the_coreset_is_the_greedy_one(monkeypatch, ahead):
    monkeypatch.setattr(patchcore, "AHEAD", ahead)
    monkeypatch.setattr(patchcore, "ROWS", 128)
    rng = np.random.default_rng(ahead)
    clusters = rng.normal(scale=5, size=(6, 4))
    points = clusters[rng.integers(6, size=300)] + rng.normal(size=(300, 4))
    chosen = patchcore.coreset(torch.tensor(points, dtype=torch.float32), 60, first=7)
    assert chosen.tolist() == greedy(points, 60, 7)


def test_a_coreset_may_hold_every_point():
    points = torch.randn(20, 3)
    assert sorted(patchcore.coreset(points, 20, first=3).tolist()) == list(range(20))


def test_the_nearest_distance_is_that_to_the_nearest():
    queries, bank = torch.randn(1500, 7), torch.randn(90, 7)
    wanted = torch.cdist(queries, bank, compute_mode="donot_use_mm_for_euclid_dist").amin(1)
    torch.testing.assert_close(patchcore.nearest_distances(queries, bank), wanted)


@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (5, 1), (3, 2), (5, 2)])
@pytest.mark.parametrize("side", [15, 16])
def test_convolutions_pad_as_tensorflow_does(kernel, stride, side):
    weights = {"c.weight": torch.randn(4, 3, kernel, kernel)}
    weights |= {f"n.{part}": torch.rand(4) + 0.5 for part in ("weight", "bias")}
    weights |= {f"n.{part}": torch.rand(4) + 0.5 for part in ("running_mean", "running_var")}
    image = torch.randn(1, 3, side, side)
    found = patchcore.Convolution(weights, "c", "n", stride)(image)
    places = -(-side // stride)
    before = max((places - 1) * stride + kernel - side, 0) // 2
    padded = torch.nn.functional.pad(image, [before, kernel, before, kernel])
    plain = torch.nn.functional.conv2d(padded, weights["c.weight"], None, stride)
    norm = [weights[f"n.{part}"] for part in ("running_mean", "running_var", "weight", "bias")]
    wanted = torch.nn.functional.batch_norm(plain[..., :places, :places], *norm, eps=1e-3)
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("side", [None, 64])
def test_a_spot_is_found_where_it_is(untrained, tmp_path, side):
    rng = np.random.default_rng(0)
    paths = []
    for number in range(5):
        pixels = rng.integers(100, 130, (60, 90), dtype=np.uint8)
        if number == 4:
            pixels[20:32, 60:72] = 250
        paths.append(tmp_path / f"{number}.png")
        Image.fromarray(pixels).save(paths[-1])
    model = patchcore.PatchCore(side, share=0.5, most=100, seed=0).fit(paths[:3])
    assert len(model.bank) == min(100, model.patches_seen // 2)
    normal, spotted = (model.distances(path) for path in paths[3:])
    assert spotted.max() > 1.5 * normal.max()
    heat = model.anomaly_map(spotted, (60, 90))
    assert heat.shape == ((side, side) if side else (60, 90))
    row, column = np.unravel_index(int(heat.argmax()), heat.shape)
    assert 10 <= row * 60 / heat.shape[0] < 42
    assert 50 <= column * 90 / heat.shape[1] < 82


def test_reflection_makes_the_border_look_less_odd(untrained, monkeypatch, tmp_path):
    Image.new("L", (96, 80), 120).save(tmp_path / "flat.png")
    model = patchcore.PatchCore(None, 0.5, 100, 0)

    def oddity():
        features = model._features(tmp_path / "flat.png")
        assert features.shape == (32, 10, 12)
        return float((features - features[:, 5:6, 6:7]).abs().max().detach())

    reflected = oddity()
    monkeypatch.setattr(patchcore, "REFLECTED", 0)
    assert reflected < oddity() / 2


def record(good, bad, **more):
    scores = {"good": list(good), "bad": list(bad)}
    files = {kind: [f"{kind} {n}" for n in range(len(x))] for kind, x in scores.items()}
    return {"set": "s", "fold": None, "scores": scores, "files": files} | {
        "auroc": inspection.auroc(good, bad),
        **more,
    }


def test_the_difference_is_paired():
    rng = np.random.default_rng(0)
    good, bad = rng.normal(size=40), rng.normal(1, size=30)
    one = record(good, bad)
    assert inspection.difference([one], [record(3 * good + 2, 3 * bad + 2)]) == (0, 0, 0)
    mean, low, high = inspection.difference([record(good, bad + 1)], [one])
    assert low <= mean <= high
    assert low > 0
    unpaired = inspection.interval([one])
    assert high - low < unpaired[1] - unpaired[0]


def test_records_of_other_images_have_no_difference():
    one = record([0, 1], [2])
    others = {"good": ["good 0", "good 1"], "bad": ["bad 1"]}
    for other in (record([0], [2]), record([0, 1], [2], files=others)):
        with pytest.raises(SystemExit, match="not of the same images"):
            inspection.difference([one], [other])
