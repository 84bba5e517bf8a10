import math
from unittest import mock

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from adacl import anomalies
from adacl.anomalies import KINDS, check_anomaly_config, make, make_mixture, mixture, register
from adacl.config import AnomalyConfig
from adacl.errors import ConfigError, InputError

PAPER = ("cut_paste", "puzzling", "rotation", "mix_up")
FURTHER = ("blur", "flip", "foreign_paste", "noise", "scar", "shift", "tone")
kinds = st.sampled_from(PAPER + FURTHER)
seeds = st.integers(0, 2**32)
sides = st.integers(8, 40)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@st.composite
def batches(draw, height=sides, width=sides):
    shape = (draw(st.integers(1, 6)), draw(st.integers(1, 5)), draw(height), draw(width))
    return torch.rand(shape, generator=generator(draw(seeds)))


@st.composite
def squares(draw):
    side = draw(sides)
    return draw(batches(st.just(side), st.just(side)))


def numbered(count, height, width):
    """Return images whose pixels all differ, so that each one's origin can be told."""
    pixels = torch.arange(height * width).view(1, 1, height, width) / (height * width)
    return pixels.repeat(count, 1, 1, 1)


@given(kinds, batches(), seeds)
def test_form_range_and_determinism(kind, images, seed):
    before, global_state = images.clone(), torch.get_rng_state()
    made, mask = make(kind, images, generator(seed))
    assert made.shape == images.shape
    assert made.dtype == images.dtype
    assert made.min() >= 0
    assert made.max() <= 1
    assert torch.equal(images, before)
    again = make(kind, images, generator(seed))
    assert torch.equal(made, again.images)
    assert torch.equal(mask, again.mask)
    assert torch.equal(torch.get_rng_state(), global_state)


@pytest.mark.parametrize("kind", PAPER + FURTHER)
def test_another_seed_makes_other_anomalies(kind):
    images = torch.rand(16, 1, 12, 12, generator=generator())
    one, other = (make(kind, images, generator(seed)).images for seed in (1, 2))
    assert not torch.equal(one, other)


@pytest.mark.parametrize("kind", PAPER + FURTHER)
def test_channels_last_makes_no_difference(kind):
    images = torch.rand(5, 3, 9, 14, generator=generator())
    channels_last = images.contiguous(memory_format=torch.channels_last)
    for made, plain in zip(
        make(kind, channels_last, generator()), make(kind, images, generator()), strict=True
    ):
        assert torch.equal(made, plain)


@given(kinds, batches(), seeds)
def test_the_mask_says_where_an_image_was_changed(kind, images, seed):
    made, mask = make(kind, images, generator(seed))
    changed = ((made - images).abs() > 1e-6).any(1, keepdim=True)
    assert mask.shape == changed.shape
    assert mask.dtype == torch.bool
    assert not (changed & ~mask).any()
    assert changed[mask].float().mean() > 0.6
    if kind in ("flip", "shift"):
        assert mask.all()


@given(sides, sides, seeds)
def test_puzzling_is_a_permutation_and_never_the_identity(height, width, seed):
    images = numbered(6, height, width)
    made, mask = anomalies.puzzling(images, generator(seed))
    assert torch.equal(mask, made != images)
    assert torch.equal(made.flatten(1).sort().values, images.flatten(1).sort().values)
    assert (made != images).flatten(1).any(1).all()
    half_h, half_w = height // 2, width // 2
    if height % 2:
        assert torch.equal(made[:, :, half_h], images[:, :, half_h])
    if width % 2:
        assert torch.equal(made[..., half_w], images[..., half_w])

    def quarters(image):
        return [
            image[0, top : top + half_h, left : left + half_w].flatten().tolist()
            for top in (0, height - half_h)
            for left in (0, width - half_w)
        ]

    for image in made:
        assert sorted(quarters(image)) == sorted(quarters(images[0]))


def test_puzzling_draws_all_orders():
    made, _ = anomalies.puzzling(numbered(2000, 8, 8), generator())
    assert len({tuple(image.flatten().tolist()) for image in made}) == math.factorial(4) - 1


@given(squares(), seeds)
def test_rotation_turns_square_images(images, seed):
    made, mask = anomalies.rotation(images, generator(seed))
    assert mask.all()
    for before, after in zip(images, made, strict=True):
        turned = [torch.rot90(before, k, (1, 2)) for k in (1, 3)]
        assert any(torch.equal(after, t) for t in turned)


@given(squares(), st.integers(1, 3))
def test_rotation_by_a_given_number_of_turns(images, turns):
    made, _ = anomalies.rotation(images, generator(), turns=[turns])
    assert torch.equal(made, torch.rot90(images, turns, (2, 3)))


@given(sides, sides, seeds)
def test_rotation_turns_the_largest_square_of_other_images(height, width, seed):
    images = numbered(4, height, width)
    side = min(height, width)

    def candidates(image):
        for top in range(height - side + 1):
            for left in range(width - side + 1):
                for k in (1, 3):
                    turned = image.clone()
                    window = image[:, top : top + side, left : left + side]
                    turned[:, top : top + side, left : left + side] = window.rot90(k, (1, 2))
                    yield turned

    made, mask = anomalies.rotation(images, generator(seed))
    assert (mask.sum((1, 2, 3)) == side**2).all()
    for before, after in zip(images, made, strict=True):
        assert any(torch.equal(after, candidate) for candidate in candidates(before))


def test_rotation_turns_squares_at_all_places_along_the_longer_side():
    changed = anomalies.rotation(numbered(200, 8, 12), generator()).mask[:, 0]
    first_columns = changed.any(1).int().argmax(1)
    assert set(first_columns.tolist()) == {0, 1, 2, 3, 4}


@given(sides, sides, seeds)
def test_cut_paste_copies_one_rectangle(height, width, seed):
    images = numbered(4, height, width)
    made, mask = anomalies.cut_paste(images, generator(seed))
    assert torch.equal(mask, made != images)
    for before, after in zip(images, made, strict=True):
        rows, columns = (before != after)[0].nonzero(as_tuple=True)
        top, left = rows.min(), columns.min()
        patch_h, patch_w = rows.max() - top + 1, columns.max() - left + 1
        assert len(rows) == patch_h * patch_w
        assert 0.1 * height * width - height / 2 <= len(rows)
        assert len(rows) <= 0.5 * height * width + patch_h / 2
        patch = after[0, top : top + patch_h, left : left + patch_w]
        windows = before[0].unfold(0, int(patch_h), 1).unfold(1, int(patch_w), 1)
        assert (windows == patch).flatten(2).all(2).any()


@pytest.mark.parametrize("area", [(0.05, 0.1), (0.5, 0.6)])
def test_cut_paste_keeps_to_the_area_asked_for(area):
    images = numbered(200, 40, 40)
    mask = anomalies.cut_paste(images, generator(), area=area).mask
    share = mask.float().mean((1, 2, 3))
    assert share.min() > area[0] - 0.02
    assert share.max() < area[1] + 0.02
    assert share.std() > 0.01


@given(squares(), seeds)
def test_mix_up_lies_between_its_coefficients(images, seed):
    made, _ = anomalies.mix_up(images, generator(seed))
    for before, after in zip(images, made, strict=True):
        fits = []
        for k in (1, 3):
            turned = before.rot90(k, (1, 2))
            ends = torch.stack([0.7 * before + 0.3 * turned, 0.3 * before + 0.7 * turned])
            inside = (after >= ends.amin(0) - 1e-6) & (after <= ends.amax(0) + 1e-6)
            fits.append(bool(inside.all()))
        assert any(fits)


@given(squares(), st.floats(0, 1))
def test_mix_up_adds_up_what_it_is_told(images, share):
    made, _ = anomalies.mix_up(images, generator(), rotated=(share, share), turns=[1])
    expected = (1 - share) * images + share * images.rot90(1, (2, 3))
    torch.testing.assert_close(made, expected, atol=1e-6, rtol=0)


def test_mix_up_with_free_coefficients_is_clipped():
    images = torch.rand(4, 1, 8, 8, generator=generator())
    options = {"rotated": (0.9, 0.9), "original": (0.8, 0.8), "turns": [1]}
    made, _ = anomalies.mix_up(images, generator(), **options)
    expected = (0.8 * images + 0.9 * images.rot90(1, (2, 3))).clamp(max=1)
    torch.testing.assert_close(made, expected)


@pytest.mark.parametrize("kind", PAPER)
def test_near_no_ops_are_drawn_again(kind, digits):
    small = torch.from_numpy(digits.of(3)[:, None] / 255).float()
    images = functional.pad(small, (12, 8, 6, 14))
    made, _ = make(kind, images, generator())
    changed = ((made - images).abs() > 0.1).float().mean((1, 2, 3))
    assert (changed >= 0.005).float().mean() >= 0.95


@pytest.mark.parametrize("kind", PAPER)
def test_a_blank_image_comes_back(kind):
    images = torch.full((3, 1, 10, 10), 0.5)
    torch.testing.assert_close(make(kind, images, generator()).images, images)


def test_redraws_are_few_and_only_of_the_unchanged(own_kinds):
    sizes = []

    @register("first image only")
    def first_only(images, generator):
        sizes.append(len(images))
        return torch.cat([1 - images[:1], images[1:]])

    make("first image only", numbered(4, 8, 8), generator())
    assert sizes == [4, 3, 2, 1]
    sizes.clear()
    make("first image only", torch.zeros(100, 1, 8, 8), generator())
    assert len(sizes) == 1 + mixture.MAX_REDRAWS


def test_redraws_bring_their_masks(own_kinds):
    calls = []

    @register("one more row each time")
    def rows(images, generator):
        calls.append(len(images))
        mask = torch.zeros_like(images, dtype=torch.bool)
        mask[:, :, : len(calls)] = True
        made = images.clone()
        made[0] = 1 - made[0]
        return made, mask

    made = make("one more row each time", numbered(4, 8, 8), generator())
    assert calls == [4, 3, 2, 1]
    assert made.mask.sum((1, 2, 3)).tolist() == [8, 16, 24, 32]


def test_mixture_keeps_to_its_weights():
    config = AnomalyConfig(weights={"rotation": 3.0, "cut_paste": 1.0, "mix_up": 0.0})
    images = numbered(4000, 8, 8)
    made, drawn = make_mixture(images, generator(), config)
    assert config.kinds == ("cut_paste", "rotation")
    assert set(drawn.tolist()) == {0, 1}
    assert (drawn == 1).float().mean() == pytest.approx(0.75, abs=0.03)
    turned = torch.stack([images[0].rot90(k, (1, 2)) for k in (1, 3)])
    is_turned = (made.images[:, None] == turned).flatten(2).all(2).any(1)
    assert torch.equal(is_turned, drawn == 1)
    assert torch.equal(made.mask.flatten(1).all(1), is_turned)


@pytest.mark.parametrize("kind", PAPER)
def test_each_kind_can_be_used_alone(kind):
    config = AnomalyConfig(weights={kind: 0.1})
    made, drawn = make_mixture(torch.rand(5, 2, 9, 8, generator=generator()), generator(), config)
    assert made.images.shape == (5, 2, 9, 8)
    assert not drawn.any()


def test_mixture_is_equal_for_equal_seeds():
    images = torch.rand(32, 1, 9, 11, generator=generator())
    (made, drawn), (again, drawn_again) = (make_mixture(images, generator(5)) for _ in range(2))
    assert torch.equal(made.images, again.images)
    assert torch.equal(drawn, drawn_again)
    assert len(set(drawn.tolist())) == 4


def test_mixture_passes_options_on():
    config = AnomalyConfig(weights={"rotation": 1.0}, options={"rotation": {"turns": [2]}})
    images = numbered(5, 8, 8)
    made, _ = make_mixture(images, generator(), config)
    assert torch.equal(made.images, images.rot90(2, (2, 3)))


def test_weights_may_be_whole_numbers():
    _, drawn = make_mixture(
        numbered(5, 8, 8), generator(), AnomalyConfig(weights={"rotation": 2, "mix_up": 1})
    )
    assert len(drawn) == 5


@pytest.fixture
def own_kinds():
    """Forget afterwards what a test registers."""
    with mock.patch.dict(KINDS):
        yield


def test_a_further_kind_takes_one_function_and_one_registration(own_kinds):
    @register("mirror")
    def mirror(images, generator):
        return images.flip(-1)

    config = AnomalyConfig(weights={"mirror": 1.0})
    check_anomaly_config(config)
    images = numbered(3, 8, 9)
    made, _ = make_mixture(images, generator(), config)
    assert torch.equal(made.images, images.flip(-1))
    assert made.mask.all()


def test_unknown_kinds_and_options_are_refused():
    images = torch.zeros(1, 1, 8, 8)
    with pytest.raises(ConfigError, match=r"melting.*cut_paste"):
        make("melting", images, generator())
    with pytest.raises(ConfigError, match="melting"):
        check_anomaly_config(AnomalyConfig(weights={"melting": 1.0}))
    with pytest.raises(ConfigError, match="melting"):
        check_anomaly_config(AnomalyConfig(options={"melting": {}}))
    with pytest.raises(ConfigError, match=r"rotation\.angle.*turns"):
        check_anomaly_config(AnomalyConfig(options={"rotation": {"angle": 1}}))
    with pytest.raises(ConfigError, match="images"):
        check_anomaly_config(AnomalyConfig(options={"rotation": {"images": 1}}))


@pytest.mark.parametrize(
    ("kind", "option", "value"),
    [
        ("cut_paste", "area", "large"),
        ("cut_paste", "area", [-0.3, -0.1]),
        ("cut_paste", "area", [0.1]),
        ("cut_paste", "area", ["a", "b"]),
        ("cut_paste", "aspect", [0.0, 1.0]),
        ("rotation", "turns", []),
        ("rotation", "turns", 1),
        ("rotation", "turns", "12"),
        ("rotation", "turns", [1.5]),
        ("rotation", "turns", [1, 4]),
        ("mix_up", "turns", [0]),
        ("mix_up", "rotated", 0.5),
    ],
)
def test_impossible_values_of_options_are_refused(kind, option, value):
    with pytest.raises(ConfigError, match=rf"^anomalies\.options\.{kind}: {option}: need"):
        check_anomaly_config(AnomalyConfig(options={kind: {option: value}}))


@pytest.mark.parametrize("shape", [(1, 1, 7, 8), (1, 1, 8, 7), (1, 8, 8), (8, 8)])
def test_small_or_shapeless_images_are_refused(shape):
    with pytest.raises(InputError, match="8"):
        make("rotation", torch.zeros(shape), generator())


def changed(kind, images, **options):
    return (make(kind, images, generator(), **options).images != images).any(1)


@pytest.mark.parametrize("kind", ["blur", "foreign_paste", "noise", "tone"])
def test_a_defect_of_a_place_leaves_the_rest_alone(kind):
    images = torch.rand(40, 3, 20, 30, generator=generator())
    where = changed(kind, images, area=[0.1, 0.2])
    assert (where.flatten(1).any(1)).all()
    assert where.float().mean((1, 2)).max() <= 0.25
    for one in where:
        rows, columns = one.any(1).nonzero(), one.any(0).nonzero()
        inside = one[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        assert inside.float().mean() > 0.9


def test_foreign_paste_takes_from_another_image():
    images = (torch.arange(12) / 12).view(-1, 1, 1, 1).expand(12, 1, 10, 10).contiguous()
    made, _ = make("foreign_paste", images, generator())
    for image, source in zip(made, images, strict=True):
        assert len(image.unique()) == 2
        assert source[0, 0, 0] in image
    alone = torch.rand(1, 1, 16, 16, generator=generator())
    assert 0.04 < changed("foreign_paste", alone).float().mean() < 0.35


@pytest.mark.parametrize(
    ("ways", "axes"),
    [(["left-right"], [-1]), (["up-down"], [-2]), (["left-right", "up-down"], [-1, -2])],
)
def test_flip(ways, axes):
    images = torch.rand(60, 2, 9, 12, generator=generator())
    made, _ = make("flip", images, generator(), ways=ways)
    seen = torch.stack([(made == images.flip(axis)).flatten(1).all(1) for axis in axes])
    assert seen.any(0).all()
    assert (seen.sum(1) > 15).all()


def test_a_shift_moves_the_image_and_repeats_its_rim():
    images = numbered(50, 24, 24)
    made, _ = make("shift", images, generator(), by=[0.25, 0.25])
    for image in made:
        rows = (image[0] * 576).round().long() // 24
        columns = (image[0] * 576).round().long() % 24
        down = torch.arange(24)[:, None] - rows
        right = torch.arange(24)[None] - columns
        moved = math.hypot(
            float(down.flatten().mode().values), float(right.flatten().mode().values)
        )
        assert 5 <= moved <= 7
    assert torch.isin(made, images).all()


def test_a_scar_is_a_thin_line_of_one_colour():
    images = torch.full((80, 1, 40, 40), 0.5)
    made, _ = make("scar", images, generator(), length=[0.5, 0.5], width=[0.05, 0.05])
    for image in made:
        where = (image[0] != 0.5).nonzero().float()
        if len(where):
            assert len(image.unique()) == 2
            assert len(where) <= 20 * 4
            apart = where - where.mean(0)
            spread = torch.linalg.svdvals(apart)
            assert spread[1] < 0.45 * spread[0] or len(where) < 15


def test_blur_smooths_and_noise_roughens():
    images = torch.rand(30, 1, 24, 24, generator=generator()) * 0.5 + 0.25
    rough = {
        kind: float(make(kind, images, generator(), area=[0.8, 0.9]).images.diff().abs().mean())
        for kind in ("blur", "noise")
    }
    before = float(images.diff(dim=-1).abs().mean())
    assert rough["blur"] < 0.6 * before
    assert rough["noise"] > 1.2 * before


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("flip", {"ways": []}),
        ("flip", {"ways": ["diagonal"]}),
        ("shift", {"by": [0.5, 1.5]}),
        ("blur", {"radius": 0}),
        ("blur", {"area": [0.5, 1.0]}),
        ("noise", {"deviation": [0.3, 0.1]}),
        ("scar", {"length": [-1, 1]}),
        ("tone", {"amount": [0, 1]}),
    ],
)
def test_options_of_further_kinds_that_cannot_be(kind, options):
    with pytest.raises(ConfigError, match=kind):
        check_anomaly_config(AnomalyConfig(weights={kind: 1}, options={kind: options}))
