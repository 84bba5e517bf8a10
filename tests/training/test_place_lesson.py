"""Training of networks with a map: it learns, repeats itself and goes on where it stopped."""

import dataclasses

import numpy as np
import pytest
import torch

from adacl.config.presets import preset
from adacl.data.samples import Samples
from adacl.errors import ConfigError, InputError
from adacl.imaging.mask import FILL, Mask
from adacl.imaging.spec import ImageSpec
from adacl.metrics import auroc
from adacl.networks.build import build_network, dense_maps, raw_scores
from adacl.training import loop, place_lesson
from adacl.training.place_lesson import PlaceLesson
from support.textures import scratched, textures

CPU = torch.device("cpu")
TINY_MAP = preset("inspect").replace(
    training__epochs=2,
    training__min_epoch_images=16,
    training__batch_size=4,
    training__crop=32,
    network__channels=[4, 8],
    network__place="no",
)
LEARNING_MAP = TINY_MAP.replace(
    training__epochs=3,
    training__min_epoch_images=640,
    training__batch_size=8,
    training__crop=48,
    network__channels=[8, 16, 16],
)
SPEC = ImageSpec(64, 64, 1)


@pytest.fixture(scope="module")
def images():
    return textures(40)[..., None]


def train(images, config=TINY_MAP, seed=0, spec=SPEC, **options):
    samples = Samples(images, spec)
    train_on, validate_on = samples.subset(slice(-8)), samples.subset(slice(-8, None))
    return loop.train(train_on, validate_on, config, seed=seed, device=CPU, **options)


def lesson_of(images, config, mask=None):
    samples = Samples(images, SPEC, mask=mask)
    return PlaceLesson(samples.subset(slice(32)), samples.subset(slice(32, 40)), config)


def state_of(network):
    return {name: tensor.numpy().tobytes() for name, tensor in network.state_dict().items()}


def without_seconds(history):
    return [dataclasses.replace(record, seconds=0.0) for record in history.epochs]


def test_it_learns_to_find_scratches_that_it_never_saw(images):
    network, history = train(images, LEARNING_MAP)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        untrained = build_network(LEARNING_MAP.network, SPEC)
    untrained.mean.copy_(network.mean)
    untrained.std.copy_(network.std)
    before = dict(untrained.named_parameters())
    assert all(not torch.equal(p, before[name]) for name, p in network.named_parameters())
    assert history.epochs[-1].loss < 0.8 * history.epochs[0].loss
    assert history.best_epoch == 2

    normal = SPEC.to_tensor(textures(40, seed=1)[..., None], CPU)
    defective, masks = scratched(textures(40, seed=2))
    abnormal = SPEC.to_tensor(defective[..., None], CPU)
    areas = [
        auroc(raw_scores(model, normal), raw_scores(model, abnormal))
        for model in (untrained, network)
    ]
    assert areas[1] > 0.8
    assert areas[1] > areas[0] + 0.1
    maps = dense_maps(network, abnormal)
    places = masks.reshape(40, 32, 2, 32, 2).any((2, 4))
    assert auroc(maps[~places], maps[places]) > 0.8


@pytest.mark.parametrize("threads", [1, 2])
def test_equal_seeds_give_equal_networks(threads, images):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    (network, history), (again, history_again) = train(images), train(images)
    torch.set_num_threads(before)
    assert state_of(network) == state_of(again)
    assert without_seconds(history) == without_seconds(history_again)
    assert state_of(train(images, seed=1)[0]) != state_of(network)


def test_global_random_state_is_left_alone(images):
    torch.manual_seed(7)
    state = torch.get_rng_state()
    network, _ = train(images)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(8)
    assert state_of(train(images)[0]) == state_of(network)


def stop_after(epoch):
    def on_epoch(record, network):
        if record.epoch == epoch:
            raise KeyboardInterrupt

    return on_epoch


@pytest.mark.parametrize(
    "changes",
    [
        {"training__light_loss": 5.0},
        {"training__optimizer": "muon"},
        {"network__place": "coordinates"},
    ],
    ids=["light", "muon", "coordinates"],
)
def test_a_resumed_training_equals_an_undisturbed_one(changes, images, tmp_path):
    config = TINY_MAP.replace(training__epochs=3, **changes)
    undisturbed, history = train(images, config)
    checkpoint = tmp_path / "checkpoint"
    for epoch in (0, 1):
        with pytest.raises(KeyboardInterrupt):
            train(images, config, checkpoint=checkpoint, on_epoch=stop_after(epoch))
    resumed, history_resumed = train(images, config, checkpoint=checkpoint)
    assert state_of(resumed) == state_of(undisturbed)
    assert without_seconds(history_resumed) == without_seconds(history)
    assert state_of(train(images, config, checkpoint=checkpoint)[0]) == state_of(undisturbed)


def test_an_epoch_interrupted_halfway_is_repeated(images, tmp_path, monkeypatch):
    config = TINY_MAP.replace(training__epochs=3)
    undisturbed, _ = train(images, config)
    draw, steps = place_lesson.draw_crops, []

    def interrupted(*args):
        steps.append(args)
        if len(steps) == 18:
            raise KeyboardInterrupt
        return draw(*args)

    monkeypatch.setattr(place_lesson, "draw_crops", interrupted)
    checkpoint = tmp_path / "checkpoint"
    with pytest.raises(KeyboardInterrupt):
        train(images, config, checkpoint=checkpoint)
    assert checkpoint.exists()
    resumed, _ = train(images, config, checkpoint=checkpoint)
    assert state_of(resumed) == state_of(undisturbed)


def test_validation_leaves_changes_alone_as_the_difference(images, monkeypatch):
    """Normal crops and made ones differ by the changes, and by no change of light."""
    seen = []

    def watched(*args):
        seen.append((args[0], draw(*args)))
        return seen[-1][1]

    draw = place_lesson.draw_crops
    monkeypatch.setattr(place_lesson, "draw_crops", watched)
    config = TINY_MAP.replace(training__light=0.5, training__vary=0.0, training__tilt=0.0)
    lesson = lesson_of(images, config)
    area, kinds = lesson.validate(lesson.network(), torch.Generator().manual_seed(0))
    assert 0 <= area <= 1
    assert kinds == {"local": area}
    crops, steps = (
        torch.cat(parts) for parts in zip(*[(c.images, s.images) for c, s in seen], strict=True)
    )
    assert len(crops) >= place_lesson.VALIDATED
    same = (crops - steps).abs() < 1e-6
    assert float(same.float().mean()) > 0.5
    assert not same.flatten(1).all(1).all()


def test_the_loss_counts_what_another_light_does_to_the_outputs(images):
    lesson = lesson_of(images, TINY_MAP.replace(training__light_loss=1.0))
    torch.manual_seed(0)
    network = lesson.network()
    step = lesson.draw(lesson.train_on.subset(slice(8)), torch.Generator().manual_seed(0))
    assert len(step.images) == 10
    with torch.no_grad():
        output = network(step.images)
    change = float(((output[8:] - output[:2]) ** 2).mean())
    assert change > 0
    losses = []
    for weight in (0.0, 5.0, 20.0):
        lesson.config = TINY_MAP.replace(training__light_loss=weight)
        losses.append(lesson.loss(network, step).item())
    assert losses[1] - losses[0] == pytest.approx(5 * change, rel=1e-3)
    assert losses[2] - losses[0] == pytest.approx(20 * change, rel=1e-3)


def test_another_light_moves_the_outputs_less_if_that_is_learnt(images):
    unseen = SPEC.to_tensor(textures(40, seed=1)[..., None], CPU)
    config = LEARNING_MAP.replace(training__epochs=1)
    moves = []
    for weight in (0.0, 50.0):
        network, _ = train(images, config.replace(training__light_loss=weight))
        with torch.inference_mode():
            own = network(unseen)
            light = [network(unseen * 0.9), network(unseen * 1.1), network(unseen + 0.05)]
            moves.append(float(torch.stack([(each - own).abs() for each in light]).mean()))
    assert moves[1] < 0.7 * moves[0]


def test_outputs_that_vary_among_the_normals_count_less(images):
    lesson = lesson_of(images, TINY_MAP)
    torch.manual_seed(0)
    network = lesson.network()
    with torch.no_grad():
        network.output.weight[0] *= 100
    lesson.finish(network)
    assert float(network.shares.sum()) == pytest.approx(1, abs=1e-6)
    assert (network.shares > 0).all()
    assert float(network.shares[0]) == float(network.shares.min()) < 0.15


def test_single_outputs_are_brought_to_the_unit_of_their_mean(images):
    """So that 0.5 of their distance from the median of the normal images counts."""
    config = TINY_MAP.replace(network__alone=0.5)
    lesson = lesson_of(images, config)
    torch.manual_seed(0)
    network = lesson.network()
    with torch.no_grad():
        network.output.weight *= 100
    lesson.finish(network)
    seen = lesson.train_on.thinned(place_lesson.WEIGHED).batches(torch.device("cpu"), 1)
    weights = torch.cat([network.shares[None], torch.eye(4)])
    with torch.inference_mode():
        peaks = torch.cat([network.peaks(image, weights) for image in seen]).numpy()
    factor, offset = network.alone.numpy()
    middle, upper = np.quantile(peaks, [0.5, 0.9], axis=0)
    assert (upper - middle).min() > 0.01
    np.testing.assert_allclose(network.level, middle[0])
    np.testing.assert_allclose(factor * middle[1:] + offset, 0, atol=1e-4)
    np.testing.assert_allclose(factor * upper[1:] + offset, (upper[0] - middle[0]) / 2, atol=1e-4)


@pytest.mark.parametrize("section", ["shapes", "fillings"])
def test_unknown_shapes_and_fillings_are_refused_before_the_training(section, images):
    with pytest.raises(ConfigError, match=f"local.{section}: 'star'"):
        train(images, TINY_MAP.replace(**{f"local__{section}": {"star": 1.0}}))


def test_images_of_many_sizes_are_learnt_from():
    sizes = [(40, 70), (64, 64), (33, 90), (20, 20)] * 4
    mixed = [textures(1, size, seed)[0][..., None] for seed, size in enumerate(sizes)]
    network, history = train(mixed)
    assert len(history.epochs) == 2
    assert all(torch.isfinite(p).all() for p in network.parameters())


class Sinking(torch.nn.Module):
    """Gives 0 for what is seen, and ever less for what is hidden."""

    def __init__(self, config):
        super().__init__()
        self.config, self.calls = config, 0
        self.register_buffer("mean", torch.zeros(1))

    def forward(self, images):
        self.calls += 1
        shown = torch.nn.functional.max_pool2d((images != FILL).float(), 2)
        return (shown - 1) * self.calls


def test_what_a_mask_hides_does_not_count_in_validation(images):
    look = np.zeros((64, 64), bool)
    look[30:36, 30:36] = True
    config = TINY_MAP.replace(
        training__crop=48, training__vary=0.0, training__tilt=0.0, network__window=1
    )
    lesson = lesson_of(images, config, Mask.of(look))
    area, _ = lesson.validate(Sinking(config.network), torch.Generator().manual_seed(0))
    assert area == 0.5


def test_a_mask_too_thin_for_images_seen_shrunk_is_refused(images):
    look = np.zeros((64, 64), bool)
    look[31] = True
    config = TINY_MAP.replace(training__crop=32, network__shrink=4)
    lesson = lesson_of(images, config, Mask.of(look))
    with pytest.raises(InputError, match="too thin to be seen at 1/4"):
        lesson.validate(Sinking(config.network), torch.Generator().manual_seed(0))
