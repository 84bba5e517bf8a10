import copy
import dataclasses
from concurrent.futures import ThreadPoolExecutor
from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from adacl.anomalies import KINDS
from adacl.config import AnomalyConfig, TrainingConfig
from adacl.data.samples import Samples
from adacl.errors import ConfigError, InputError, ModelFileError, TrainingError
from adacl.imaging.spec import ImageSpec
from adacl.metrics import auroc
from adacl.model import tensor_file
from adacl.model.history import History
from adacl.networks.devices import resolve_device
from adacl.networks.regressor import Regressor, raw_scores
from adacl.training import batches, image_lesson, loop
from adacl.training.loop import learning_rate
from adacl.training.splits import validation_count
from support.helpers import LEARNING, TINY

CPU = torch.device("cpu")
SPEC = ImageSpec(8, 8, 1)
OPTIMIZERS = ["adam", "adamw", "nadam", "radam", "muon"]
BEYOND = {
    "anomalies__weights": {"cut_paste": 1, "puzzling": 1, "mix_up": 1},
    "anomalies__per_image": 2,
    "network__blocks": [0, 1],
    "network__turns": [0, 1, 2, 3],
    "network__mirrored": "own",
    "network__distance": 0.5,
    "training__optimizer": "muon",
    "training__balance": True,
    "training__keep": "last",
}
"""What the paper does not have, all at once."""


@pytest.fixture(scope="module")
def images(digits):
    return digits.of(3)[..., None]


def train(images, config=TINY, seed=0, spec=SPEC, **options):
    """Learn from the first 80 images, and stop early by the next 20."""
    samples = Samples(images, spec)
    train_on, validate_on = samples.subset(slice(80)), samples.subset(slice(80, 100))
    return loop.train(train_on, validate_on, config, seed=seed, device=CPU, **options)


def state_of(network):
    return {name: tensor.numpy().tobytes() for name, tensor in network.state_dict().items()}


def without_seconds(history):
    records = [dataclasses.replace(record, seconds=0.0) for record in history.epochs]
    return records, history.best_epoch


@pytest.fixture
def untrained(monkeypatch):
    """Collect copies of the networks as they are before training."""
    networks = []

    def make(*args):
        networks.append(Regressor(*args))
        return copy.deepcopy(networks[-1])

    monkeypatch.setattr(image_lesson, "Regressor", make)
    return networks


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"network__head": "sigmoid", "training__loss": "bce"},
        {"labels__scheme": "discrete"},
        {"training__schedule": "triangular", "training__optimizer": "adamw"},
        {"training__precision": "bfloat16"},
        BEYOND,
        BEYOND | {"network__head": "sigmoid", "training__loss": "bce"},
    ],
    ids=["paper", "sigmoid", "discrete", "triangular", "bfloat16", "beyond", "beyond, sigmoid"],
)
def test_it_learns(changes, digits, images, untrained):
    network, history = train(images, LEARNING.replace(**changes))
    before = dict(untrained[0].named_parameters())
    assert all(not torch.equal(p, before[name]) for name, p in network.named_parameters())
    assert history.epochs[-1].loss < 0.8 * history.epochs[0].loss

    normal = SPEC.to_tensor(images[100:], CPU)
    abnormal = SPEC.to_tensor(digits.other_than(3)[..., None], CPU)
    untrained[0].mean.copy_(network.mean)
    untrained[0].std.copy_(network.std)
    areas = [
        auroc(raw_scores(model, normal), raw_scores(model, abnormal))
        for model in (untrained[0], network)
    ]
    assert areas[1] > 0.85
    assert areas[1] > areas[0] + 0.2
    assert raw_scores(network, abnormal).std() > 0.05
    assert history.best.validation_auroc > 0.8


def test_equal_seeds_give_equal_networks(images):
    (network, history), (again, history_again) = train(images), train(images)
    assert state_of(network) == state_of(again)
    assert without_seconds(history) == without_seconds(history_again)
    assert state_of(train(images, seed=1)[0]) != state_of(network)


@pytest.mark.parametrize("function", ["draw_labels", "make_mixture"])
def test_labels_and_anomalies_are_fresh_in_every_step(function, images, monkeypatch):
    original, drawn = getattr(batches, function), []

    def record(*args):
        result = original(*args)
        drawn.append(result if isinstance(result, torch.Tensor) else result[0].images)
        return result

    monkeypatch.setattr(batches, function, record)
    config = TINY.replace(training__epochs=3, training__batch_size=32)
    train(np.repeat(images[:1], 100, axis=0), config)
    assert len(drawn) == 3 * 3
    assert len({tensor[:16].numpy().tobytes() for tensor in drawn}) == len(drawn)


def test_half_of_the_normals_are_mirrored_before_anomalies_are_made(images, monkeypatch):
    """And none are unless it is asked for."""
    seen = []

    def watched(normal, *arguments):
        seen.append(normal.clone())
        return make_mixture(normal, *arguments)

    make_mixture = batches.make_mixture
    monkeypatch.setattr(batches, "make_mixture", watched)
    known = SPEC.to_tensor(images, CPU)
    shares = []
    for mirror in (True, False):
        seen.clear()
        train(images, TINY.replace(training__mirror=mirror, training__min_epoch_images=400))
        drawn = torch.cat(seen)
        straight = (drawn[:, None] == known).all((2, 3, 4)).any(1)
        mirrored = (drawn[:, None] == known.flip(-1)).all((2, 3, 4)).any(1)
        assert (straight | mirrored).all()
        shares.append(float(straight.float().mean()))
    assert 0.4 < shares[0] < 0.6
    assert shares[1] == 1


def test_trainings_in_several_threads_give_the_networks_of_trainings_alone(images):
    def trained(seed):
        return state_of(train(images, TINY.replace(training__epochs=4), seed)[0])

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(trained, range(3))) == list(map(trained, range(3)))


def test_global_random_state_is_left_alone(images):
    torch.manual_seed(7)
    state, numpy_state = torch.get_rng_state(), np.random.get_state()[1]  # noqa: NPY002
    network, _ = train(images)
    assert torch.equal(torch.get_rng_state(), state)
    assert (np.random.get_state()[1] == numpy_state).all()  # noqa: NPY002
    torch.manual_seed(8)
    assert state_of(train(images)[0]) == state_of(network)


def test_images_and_their_order_are_left_alone(images):
    before = images.copy()
    train(images)
    assert (images == before).all()


def stop_after(epoch):
    def on_epoch(record, network):
        if record.epoch == epoch:
            raise KeyboardInterrupt

    return on_epoch


@pytest.mark.parametrize(
    "changes",
    [{"training__optimizer": name} for name in OPTIMIZERS]
    + [{"network__batch_norm": True}, {"training__schedule": "triangular", "training__cycles": 2}]
    + [BEYOND],
    ids=[*OPTIMIZERS, "batch norm", "triangular", "beyond"],
)
def test_a_resumed_training_equals_an_undisturbed_one(changes, images, tmp_path):
    config = TINY.replace(training__epochs=4, training__rate_max=0.01, **changes)
    undisturbed, history = train(images, config)
    checkpoint = tmp_path / "checkpoint"
    for epoch in (0, 1):
        with pytest.raises(KeyboardInterrupt):
            train(images, config, checkpoint=checkpoint, on_epoch=stop_after(epoch))
    resumed, history_resumed = train(images, config, checkpoint=checkpoint)
    assert state_of(resumed) == state_of(undisturbed)
    assert without_seconds(history_resumed) == without_seconds(history)


def test_an_epoch_interrupted_halfway_is_repeated(images, tmp_path, monkeypatch):
    config = TINY.replace(training__epochs=3, training__batch_size=16)
    undisturbed, _ = train(images, config)
    step, steps = batches.make_mixture, []

    def interrupted(*args):
        steps.append(args)
        if len(steps) == 8:
            raise KeyboardInterrupt
        return step(*args)

    monkeypatch.setattr(batches, "make_mixture", interrupted)
    checkpoint = tmp_path / "checkpoint"
    with pytest.raises(KeyboardInterrupt):
        train(images, config, checkpoint=checkpoint)
    resumed, _ = train(images, config, checkpoint=checkpoint)
    assert state_of(resumed) == state_of(undisturbed)


def test_a_finished_training_is_not_repeated(images, tmp_path):
    checkpoint = tmp_path / "checkpoint"
    network, _ = train(images, checkpoint=checkpoint)
    epochs = []
    again, _ = train(images, checkpoint=checkpoint, on_epoch=lambda *seen: epochs.append(seen))
    assert not epochs
    assert state_of(again) == state_of(network)


@pytest.mark.parametrize("kind", [bool, np.bool_])
def test_a_training_that_was_ended_early_is_not_gone_on_with(kind, images, tmp_path):
    config, checkpoint = TINY.replace(training__epochs=4), tmp_path / "checkpoint"
    ended, history = train(
        images, config, checkpoint=checkpoint, on_epoch=lambda record, _: kind(record.epoch == 1)
    )
    again, history_again = train(images, config, checkpoint=checkpoint)
    assert len(history.epochs) == len(history_again.epochs) == 2
    assert state_of(again) == state_of(ended)


def test_a_checkpoint_of_something_else_is_refused(images, tmp_path):
    checkpoint = tmp_path / "checkpoint"
    train(images, checkpoint=checkpoint)
    content = checkpoint.read_bytes()
    for other in (
        {"images": images[::-1].copy()},
        {"images": np.concatenate([images[:80], images[100:120]])},  # for early stopping
        {"images": images, "seed": 1},
        {"images": images, "config": TINY.replace(training__epochs=2)},
        {"images": images, "spec": dataclasses.replace(SPEC, high=200.0)},
    ):
        remedy = f"other data or settings; .* delete all checkpoints in {tmp_path} to start"
        with pytest.raises(ModelFileError, match=remedy):  # those of later networks would end it
            train(**other, checkpoint=checkpoint)
    assert checkpoint.read_bytes() == content


def test_a_damaged_checkpoint_is_refused(images, tmp_path):
    checkpoint = tmp_path / "checkpoint"
    train(images, checkpoint=checkpoint)
    content = checkpoint.read_bytes()
    flipped = bytearray(content)
    flipped[-100] ^= 1
    for damaged in (b"", content[:-1], content[:100], bytes(flipped), b"\x80\x04N."):
        checkpoint.write_bytes(damaged)
        with pytest.raises(ModelFileError, match="checkpoint"):
            train(images, checkpoint=checkpoint)


@pytest.mark.parametrize(
    ("optimizer", "of_optimizer"),
    [
        ("adam", "optimizer.0.exp_avg"),
        ("muon", "optimizer.1.momentum"),
        ("muon", "optimizer.5.step"),
    ],
)
def test_a_checkpoint_whose_tensors_are_not_its_own_is_refused(
    optimizer, of_optimizer, images, tmp_path
):
    checkpoint, config = tmp_path / "checkpoint", TINY.replace(training__optimizer=optimizer)
    train(images, config, checkpoint=checkpoint)
    tensors, header = tensor_file.read(checkpoint)
    assert of_optimizer in tensors
    for missing in ("network.output.bias", "best.output.bias", of_optimizer):
        rest = {name: tensor for name, tensor in tensors.items() if name != missing}
        tensor_file.write(checkpoint, rest, header)
        with pytest.raises(ModelFileError, match="checkpoint"):
            train(images, config, checkpoint=checkpoint)
    for changed in ("network.output.weight", "best.output.weight", of_optimizer):
        for shape in ((2,), (2, 1)) if changed.endswith("step") else ((), (2,)):
            other = tensors | {changed: np.zeros(shape, np.float32)}
            tensor_file.write(checkpoint, other, header)
            with pytest.raises(ModelFileError, match="checkpoint"):
                train(images, config, checkpoint=checkpoint)


@pytest.fixture
def scripted(monkeypatch):
    """Replace the validation by given areas, and collect the network's state at each."""
    states = []

    def script(areas):
        def validate(lesson, network, generator):
            states.append(state_of(network))
            return areas[len(states) - 1], {}

        monkeypatch.setattr(image_lesson.ImageLesson, "validate", validate)
        return states

    return script


def test_training_stops_at_patience_and_restores_the_best_epoch(images, scripted):
    states = scripted([0.6, 0.9, 0.8, 0.7, 0.99])
    config = TINY.replace(training__epochs=5, training__patience=2)
    network, history = train(images, config)
    assert len(history.epochs) == 4
    assert history.best_epoch == 1
    assert state_of(network) == states[1]
    assert len(set(map(str, states))) == 4


def test_the_latest_of_equally_good_epochs_is_kept(images, scripted):
    states = scripted([0.5, 0.9, 0.9, 0.8])
    network, history = train(images, TINY.replace(training__epochs=4))
    assert history.best_epoch == 2
    assert state_of(network) == states[2]


def test_the_last_epoch_is_kept_where_that_is_asked_for(images, scripted):
    states = scripted([0.9, 0.5, 0.4, 0.3])
    config = TINY.replace(training__epochs=4, training__patience=1, training__keep="last")
    network, history = train(images, config)
    assert history.best_epoch == len(history.epochs) - 1 == 3
    assert state_of(network) == states[3]


def test_balance_gives_what_is_normal_half_of_the_weight():
    anomalous = torch.tensor([[False, True], [True, False], [True, True], [True, True]])
    labels, output = anomalous.float(), torch.zeros(4, 2)
    plain = image_lesson._loss(output, labels, anomalous, TrainingConfig())
    balanced = image_lesson._loss(output, labels, anomalous, TrainingConfig(balance=True))
    assert float(plain) == 6 / 8
    assert float(balanced) == 1 / 2


@pytest.mark.parametrize("head", [{}, {"network__head": "sigmoid", "training__loss": "bce"}])
@pytest.mark.parametrize("scored", [0, 1])
@pytest.mark.parametrize("among", ["hidden", "features", "both"])
def test_the_distance_varies_as_the_regression_does_on_held_out_normals(
    images, head, scored, among
):
    config = TINY.replace(
        network__turns=[0, 2], network__distance=1.0, network__distance_among=among, **head
    )
    network, _ = train(images, config.replace(network__scored_views=scored))
    held_out = SPEC.to_tensor(images[80:100], CPU)
    with_distance = raw_scores(network, held_out)
    network.distance.scale.zero_()
    alone = raw_scores(network, held_out)
    distance = with_distance - alone
    assert abs(distance.mean()) < 1e-4
    assert distance.std() == pytest.approx(alone.std(), rel=1e-3)


def test_a_shift_wider_than_the_images_is_refused(images):
    with pytest.raises(ConfigError, match=r"training\.shift = 8 .* 8 x 8"):
        train(images, TINY.replace(training__shift=8))


def test_options_of_kinds_are_tried_on_images_of_the_form_learnt_from(images):
    def recoloured(made, generator, side=4):
        assert made.shape[-1] >= side
        return made[:, [2, 1, 0]]

    config = TINY.replace(
        anomalies__weights={"recoloured": 1.0}, anomalies__options={"recoloured": {"side": 12}}
    )
    colours = np.zeros((2, 12, 12, 3), np.uint8)
    with mock.patch.dict(KINDS, recoloured=recoloured):
        assert image_lesson.ImageLesson(Samples(colours), Samples(colours), config)
        with pytest.raises(ConfigError, match="recoloured"):
            train(images, config)


def test_with_few_held_out_normals_all_give_the_distance_its_unit(images):
    config = TINY.replace(network__distance=1.0)
    network, _ = train(images[:81], config)
    some = SPEC.to_tensor(images[:81], CPU)
    with_distance = raw_scores(network, some)
    network.distance.scale.zero_()
    alone = raw_scores(network, some)
    assert (with_distance - alone).std() == pytest.approx(alone.std(), rel=1e-3)


def test_history(images):
    config = TINY.replace(training__epochs=2)
    records = []
    _, history = train(images, config, on_epoch=lambda record, _: records.append(record))
    assert history.epochs == records
    assert [record.epoch for record in records] == [0, 1]
    for record in records:
        assert set(record.kind_auroc) == set(config.anomalies.kinds)
        assert all(
            0 <= area <= 1 for area in (record.validation_auroc, *record.kind_auroc.values())
        )
        assert record.loss > 0
        assert record.rate > 0
        assert record.seconds > 0
    assert History.from_dict(history.to_dict()) == history


def test_the_loss_is_the_mean_over_images_of_which_the_last_step_has_fewer(images):
    (_, exact), (_, larger) = (
        train(images, TINY.replace(training__min_epoch_images=80, training__batch_size=size))
        for size in (80, 160)
    )
    assert without_seconds(exact) == without_seconds(larger)


def test_validation_is_the_same_in_every_epoch(images):
    config = TINY.replace(training__epochs=3, training__rate_min=0, training__rate_max=1e-30)
    _, history = train(images, config)
    assert len({str(record.kind_auroc) for record in history.epochs}) == 1


def test_rotation_of_round_parts_is_reported_as_weak():
    rng = np.random.default_rng(0)
    rows, columns = np.indices((16, 16)) - 7.5
    radius = rng.uniform(4, 7, (100, 1, 1))
    brightness = rng.integers(150, 256, (100, 1, 1))
    discs = (np.hypot(rows, columns) < radius) * brightness
    config = LEARNING.replace(anomalies__weights={"rotation": 1.0, "puzzling": 1.0})
    _, history = train(discs[..., None].astype(np.uint8), config, spec=ImageSpec(16, 16, 1))
    assert history.weak_kinds() == ["rotation"]
    assert history.best.kind_auroc["rotation"] == pytest.approx(0.5)


def test_a_diverging_training_is_stopped(images):
    with pytest.raises(TrainingError, match="rate_max"):
        train(images, TINY.replace(training__rate_max=1e30, training__batch_size=8))


def test_a_training_that_diverges_in_its_last_step_is_stopped(images):
    with pytest.raises(TrainingError, match="rate_max"):
        train(images, TINY.replace(training__rate_max=1e30, training__batch_size=128))


def test_unknown_kinds_are_refused(images):
    config = dataclasses.replace(TINY, anomalies=AnomalyConfig(weights={"melting": 1.0}))
    with pytest.raises(ConfigError, match="melting"):
        train(images, config)


@pytest.mark.parametrize("count", [0, 80])
def test_too_few_images_are_refused(images, count):
    with pytest.raises(InputError, match="at least one image"):
        train(images[:count])


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("threads", [1, 2])
def test_a_score_does_not_depend_on_the_batch(digits, threads, batch_norm):
    config = TINY.replace(network__channels=[16, 32], network__batch_norm=batch_norm)
    network, _ = train(digits.images[..., None], config)
    images = SPEC.to_tensor(digits.images[:600, ..., None], CPU)
    usual = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        scores = raw_scores(network, images)
        for size in (1, 2, 15, 16, 17, 100, 257):
            some = images[: 5 * size]
            parts = [raw_scores(network, part) for part in some.split(size)]
            assert (np.concatenate(parts) == scores[: len(some)]).all()
        assert (raw_scores(network, images.flip(0))[::-1] == scores).all()
    finally:
        torch.set_num_threads(usual)


schedules = st.sampled_from(["triangular", "one_cycle"])


@given(st.integers(1, 300), schedules, st.integers(1, 5), st.floats(0, 1e-3))
def test_learning_rate_stays_between_its_bounds(steps, schedule, cycles, low):
    config = TrainingConfig(schedule=schedule, cycles=cycles, rate_min=low, rate_max=2e-3)
    rates = [learning_rate(step, steps, config) for step in range(steps)]
    assert min(rates) >= low - 1e-12
    assert max(rates) <= 2e-3 + 1e-12


def turns(rates):
    """Return the places where the rate goes from rising to falling, and the other way."""
    rising = np.diff(rates) > 0
    changes = np.flatnonzero(rising[1:] != rising[:-1]) + 1
    return [int(c) for c in changes if rising[c - 1]], [int(c) for c in changes if rising[c]]


def test_one_cycle_rises_for_a_third_and_falls():
    config = TrainingConfig(schedule="one_cycle", rate_min=1e-5, rate_max=2e-3)
    rates = [learning_rate(step, 300, config) for step in range(300)]
    peaks, valleys = turns(rates)
    assert len(peaks) == 1
    assert peaks[0] == pytest.approx(100, abs=1)
    assert not valleys
    assert max(rates) == pytest.approx(2e-3, rel=0.02)
    assert rates[-1] == pytest.approx(1e-5, rel=0.1)


def test_triangular_rises_and_falls_in_every_cycle():
    config = TrainingConfig(schedule="triangular", cycles=3, rate_min=1e-5, rate_max=2e-3)
    rates = [learning_rate(step, 300, config) for step in range(300)]
    peaks, valleys = turns(rates)
    assert peaks == pytest.approx([50, 150, 250], abs=1)
    assert valleys == pytest.approx([100, 200], abs=1)
    assert rates[:100] == pytest.approx(rates[100:200])
    assert np.diff(rates[:49]).std() < 1e-9


@pytest.mark.parametrize(
    ("images", "held_out"),
    [(2, 1), (4, 1), (10, 2), (183, 36), (749, 149), (750, 150), (10**6, 150)],
)
def test_validation_set_scales_with_the_images(images, held_out):
    assert validation_count(images) == held_out


def test_device():
    assert resolve_device("cpu") == CPU
    assert resolve_device("auto").type in {"cpu", "cuda"}
    with pytest.raises(ConfigError, match="tpu"):
        resolve_device("tpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_absent_cuda_is_refused():
    with pytest.raises(ConfigError, match="cuda"):
        resolve_device("cuda")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_training_on_cuda_repeats_and_learns(images):
    cuda = torch.device("cuda")
    samples = Samples(images[:100], SPEC)
    train_on, validate_on = samples.subset(slice(80)), samples.subset(slice(80, None))
    runs = [loop.train(train_on, validate_on, LEARNING, seed=0, device=cuda) for _ in range(2)]
    states = [state_of(network.cpu()) for network, _ in runs]
    assert states[0] == states[1]
    assert runs[0][1].best.validation_auroc > 0.8
