import dataclasses
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adacl.config import (
    AnomalyConfig,
    Config,
    LabelConfig,
    NetworkConfig,
    ThresholdConfig,
    TrainingConfig,
)
from adacl.config.presets import PRESETS, from_toml, preset
from adacl.errors import AdaclError, ConfigError, MissingDataError

INVALID = [
    ("training", "rate_max", 10**400),
    ("training", "rate_max", 1e31),
    ("training", "weight_decay", 1e4),
    ("training", "crop", 10_001),
    ("network", "distance", 1e4),
    ("anomalies", "per_image", 101),
    ("training", "batch_size", 2**63),
    ("anomalies", "options", {"rotation": {"angles": [10**400]}}),
    ("anomalies", "weights", {}),
    ("anomalies", "weights", {"rotation": 0}),
    ("anomalies", "weights", {"rotation": 1, "mix_up": -1}),
    ("anomalies", "weights", {"rotation": math.nan}),
    ("anomalies", "weights", {"rotation": "much"}),
    ("anomalies", "weights", ["rotation"]),
    ("anomalies", "options", {"rotation": 1}),
    ("anomalies", "options", {"rotation": {"turns": 1}}),
    ("anomalies", "options", {"rotation": {"turns": ["one"]}}),
    ("labels", "scheme", "fuzzy"),
    ("labels", "normal", [0.3, 0.0]),
    ("labels", "normal", [-0.1, 0.3]),
    ("labels", "normal", [0.0, 0.3, 0.5]),
    ("labels", "normal", "low"),
    ("labels", "normal", [0.0, 0.7]),
    ("labels", "anomalous", [0.7, 1.1]),
    ("labels", "anomalous", [0.7, math.nan]),
    ("labels", "anomalous", [0.3, 1.0]),
    ("network", "channels", []),
    ("network", "channels", [16, 0]),
    ("network", "channels", [16.5]),
    ("network", "channels", 16),
    ("network", "kernel", 4),
    ("network", "kernel", -3),
    ("network", "kernel", True),
    ("network", "hidden", 0),
    ("network", "conv_dropout", 1.0),
    ("network", "dropout", -0.1),
    ("network", "dropout", math.nan),
    ("network", "batch_norm", 1),
    ("network", "pool", "max"),
    ("network", "head", "relu"),
    ("network", "blocks", [0, 0, 0, 1]),
    ("network", "blocks", [-1]),
    ("network", "mirrored", "yes"),
    ("network", "scored_views", 2),
    ("network", "distance", -0.5),
    ("network", "distance", math.nan),
    ("network", "distance_among", "outputs"),
    ("network", "distance_components", -1),
    ("network", "top", 2**40),
    ("network", "fade", 2**62),
    ("training", "shift", -1),
    ("training", "shift", 0.5),
    ("training", "tint", 1.0),
    ("training", "tint", -0.1),
    ("anomalies", "per_image", 0),
    ("training", "keep", "first"),
    ("training", "balance", 1),
    ("training", "epochs", 0),
    ("training", "epochs", 1.5),
    ("training", "epochs", "10"),
    ("training", "min_epoch_images", 0),
    ("training", "batch_size", 0),
    ("training", "loss", "l1"),
    ("training", "optimizer", "sgd"),
    ("training", "schedule", "constant"),
    ("training", "rate_min", -1e-5),
    ("training", "rate_min", 1.0),
    ("training", "rate_max", 0.0),
    ("training", "rate_max", math.inf),
    ("training", "cycles", 0),
    ("training", "weight_decay", -1.0),
    ("training", "weight_decay", math.inf),
    ("training", "validation_size", 0),
    ("training", "patience", 0),
    ("threshold", "fpr", 0.0),
    ("threshold", "fpr", 1.0),
    ("threshold", "confidence", 1.0),
    ("threshold", "folds", 0),
]
SECTIONS = {
    "anomalies": AnomalyConfig,
    "labels": LabelConfig,
    "network": NetworkConfig,
    "training": TrainingConfig,
    "threshold": ThresholdConfig,
}


CONTRADICTIONS = [
    ({"training__mirror": True, "network__mirrored": "own"}, "both"),
    ({"anomalies__weights": {"flip": 1}, "training__mirror": True}, "--drop flip"),
    ({"anomalies__weights": {"flip": 1}, "network__mirrored": "own"}, "--drop flip"),
    ({"network__turns": [0, 1, 2, 3]}, "--drop rotation"),
    ({"network__turns": [0, 3]}, "--drop rotation"),
]


@pytest.mark.parametrize(("changes", "words"), CONTRADICTIONS)
def test_what_would_be_normal_and_an_anomaly_at_once_is_refused(changes, words):
    with pytest.raises(ConfigError, match=words):
        Config().replace(**changes)


@pytest.mark.parametrize(
    ("name", "setting", "value"),
    [
        ("paper", "network.shrink", 2),
        ("varied", "network.upright", "yes"),
        ("paper", "training.tilt", 3.0),
        ("video", "training.light", 0.1),
        ("aligned", "local.clean", 0.5),
        ("inspect", "network.hidden", 32),
        ("inspect", "training.shift", 2),
        ("inspect", "training.balance", True),
        ("inspect", "anomalies.per_image", 2),
    ],
)
def test_settings_of_another_kind_of_network_are_refused(name, setting, value):
    with pytest.raises(ConfigError, match=rf"^{setting}: does not go with network\.output"):
        preset(name).replace(**{setting.replace(".", "__"): value})


def test_turns_that_rotation_does_not_make_are_allowed():
    assert Config().replace(network__turns=[0, 2]).network.turns == (0, 2)
    options = {"rotation": {"turns": [2]}}
    assert Config().replace(network__turns=[0, 1], anomalies__options=options)


def test_numbers_of_numpy_are_taken_as_those_of_python():
    options = {
        "cut_paste": {"area": np.array([0.25, 0.5])},
        "mix_up": {"rotated": (np.float32(0.5), 0.75)},
        "rotation": {"turns": [np.int64(1)]},
    }
    config = Config().replace(
        training__epochs=np.int64(3), threshold__fpr=np.float32(0.25), anomalies__options=options
    )
    assert Config.from_dict(json.loads(json.dumps(config.to_dict()))) == Config().replace(
        training__epochs=3,
        threshold__fpr=0.25,
        anomalies__options={
            "cut_paste": {"area": [0.25, 0.5]},
            "mix_up": {"rotated": [0.5, 0.75]},
            "rotation": {"turns": [1]},
        },
    )


def test_a_choice_is_taken_as_it_is_written_whatever_equals_it():
    config = preset("inspect").replace(network__shrink=np.int64(2), network__place=np.str_("no"))
    assert json.loads(json.dumps(config.to_dict())) == config.to_dict()
    assert [type(config.network.shrink), type(config.network.place)] == [int, str]
    for value in (True, 2.0, np.float32(1)):
        with pytest.raises(ConfigError, match=r"network\.shrink: need one of auto, 1, 2, 4, 8"):
            config.replace(network__shrink=value)


@pytest.mark.parametrize("name", PRESETS)
def test_a_file_may_name_a_preset_and_change_some_of_it(name, tmp_path):
    (tmp_path / "my.toml").write_text(f'preset = "{name}"\n[training]\nepochs = 3\n')
    assert from_toml(tmp_path / "my.toml") == preset(name).replace(training__epochs=3)


@pytest.mark.parametrize(("section", "name", "value"), INVALID)
def test_invalid_values_are_refused_by_name(section, name, value):
    with pytest.raises(ConfigError, match=section) as caught:
        Config.from_dict({section: {name: value}})
    assert name in str(caught.value)


@pytest.mark.parametrize(
    ("section", "name", "value", "message"),
    [
        ("training", "epochs", 0, "training.epochs: need at least 1, got 0"),
        ("training", "epochs", "10", "training.epochs: need a whole number, got '10'"),
        ("training", "loss", "l1", "training.loss: need one of mse, bce, got 'l1'"),
        ("threshold", "fpr", 1, "threshold.fpr: need more than 0 and less than 1, got 1.0"),
        ("network", "kernel", 4, "network.kernel: need an odd number and at least 1, got 4"),
        ("network", "channels", [8, 0], "network.channels: need at least 1, got 0"),
        ("network", "channels", 8, "network.channels: need a list of whole numbers, got 8"),
        ("network", "turns", [1], "network.turns: need 0 first, then some of 1, 2, 3, got [1]"),
        ("labels", "normal", [0.3], "labels.normal: need a list of 2 numbers, got [0.3]"),
        ("labels", "normal", [0.3, 0], "labels.normal: need the lower end first, got [0.3, 0.0]"),
        ("local", "shapes", {"blob": -1}, "local.shapes.blob: need at least 0, got -1.0"),
        ("local", "shapes", {"blob": 0}, "local.shapes: need a sum above 0, got {'blob': 0.0}"),
        ("anomalies", "options", 1, "anomalies.options: need a table of tables of values, got 1"),
    ],
)
def test_a_message_names_the_setting_its_range_and_the_value(section, name, value, message):
    with pytest.raises(ConfigError) as caught:
        Config.from_dict({section: {name: value}})
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("section", "name", "value"),
    [case for case in INVALID if isinstance(case[2], str) or case[2] is math.inf],
)
def test_a_section_that_exists_is_valid(section, name, value):
    with pytest.raises(ConfigError, match=name):
        Config(**{section: SECTIONS[section](**{name: value})})


@pytest.mark.parametrize(
    ("tree", "name"),
    [
        ({"tranining": {}}, "tranining"),
        ({"training": {"epoch": 3}}, "training.epoch"),
        ({"training": 3}, "training"),
        ({"preset": 3}, "preset"),
        ([], "configuration"),
    ],
)
def test_unknown_settings_and_wrong_forms_are_refused(tree, name):
    with pytest.raises(ConfigError, match=name):
        Config.from_dict(tree)


@pytest.mark.parametrize(
    ("name", "value"), [("turns", [0, 1]), ("distance", 1.0), ("kernel", 3), ("hidden", 32)]
)
def test_settings_that_a_network_with_a_map_would_ignore_are_refused(name, value):
    with pytest.raises(ConfigError, match=f"network.{name}: does not go with"):
        preset("inspect").replace(**{f"network__{name}": value})


@pytest.mark.parametrize(("head", "loss"), [("clip", "bce"), ("sigmoid", "mse")])
def test_head_and_loss_must_go_together(head, loss):
    with pytest.raises(ConfigError, match=r"network\.head.*training\.loss"):
        Config(network=NetworkConfig(head=head), training=TrainingConfig(loss=loss))


@pytest.mark.parametrize(("head", "loss"), [("clip", "mse"), ("sigmoid", "bce")])
def test_heads_with_their_losses(head, loss):
    config = Config().replace(network__head=head, training__loss=loss)
    assert (config.network.head, config.training.loss) == (head, loss)


bounds = st.floats(-0.2, 1.2)


@given(bounds, bounds, bounds, bounds)
def test_intervals_are_valid_exactly_when_ordered_and_apart(a, b, c, d):
    if 0 <= a <= b < c <= d <= 1:
        config = LabelConfig(normal=(a, b), anomalous=(c, d))
        assert Config.from_dict({"labels": dataclasses.asdict(config)}).labels == config
    else:
        with pytest.raises(ConfigError, match="labels"):
            LabelConfig(normal=(a, b), anomalous=(c, d))


@given(
    st.lists(st.floats(0, 1), min_size=4, max_size=4, unique=True).map(sorted),
    st.lists(st.integers(1, 64), min_size=1, max_size=5),
    st.floats(1e-9, 1e3),
    st.dictionaries(st.sampled_from(["rotation", "mix_up"]), st.floats(1e-3, 9), min_size=1),
    st.text(),
)
def test_toml_round_trip(tmp_path_factory, labels, channels, rate, weights, name):
    config = Config().replace(
        preset=name,
        labels__normal=labels[:2],
        labels__anomalous=labels[2:],
        network__channels=channels,
        training__rate_min=0.0,
        training__rate_max=rate,
        anomalies__weights=weights,
        anomalies__options={"cut_paste": {"area": [0.1, 0.2]}},
    )
    path = tmp_path_factory.mktemp("toml") / "config.toml"
    path.write_text(config.to_toml(), encoding="utf-8", newline="")
    assert from_toml(path) == config


def test_settings_left_out_keep_their_default(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text("[training]\nepochs = 3\nrate_max = 1\n")
    assert from_toml(path) == Config().replace(training__epochs=3, training__rate_max=1.0)


@pytest.mark.parametrize("name", ["inspct", "auto", ""])
def test_an_unknown_preset_is_refused_where_it_would_decide(tmp_path, name):
    path = tmp_path / "config.toml"
    for rest in ("", "[training]\nepochs = 3\n"):
        path.write_text(f'preset = "{name}"\n{rest}')
        with pytest.raises(ConfigError, match=rf"preset .{name}. is not known, .*accurate"):
            from_toml(path)


def test_unreadable_files_are_refused_by_name(tmp_path):
    with pytest.raises(MissingDataError, match=r"missing\.toml"):
        from_toml(tmp_path / "missing.toml")
    for name, content in (("text.toml", b"epochs: 3"), ("latin.toml", b"preset = '\xe9'")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ConfigError, match=name):
            from_toml(tmp_path / name)
    with pytest.raises(AdaclError, match=str(tmp_path)):
        from_toml(tmp_path)


def test_what_was_set_is_no_setting():
    changed = preset("varied").replace(training__epochs=15, preset="mine")
    assert changed.explicit == {"training__epochs"}
    assert changed == preset("varied").replace(preset="mine")
    assert "explicit" not in changed.to_dict()
    with pytest.raises(ConfigError, match="explicit: unknown setting"):
        Config.from_dict({"explicit": []})


def test_replace_leaves_the_original():
    config = Config()
    changed = config.replace(training__epochs=3, preset="mine")
    assert (changed.training.epochs, changed.preset) == (3, "mine")
    assert config == Config()
    assert changed.replace(training__epochs=10, preset="paper") == config


@pytest.mark.parametrize("address", ["training__epoch", "tranining__epochs", "epochs", "preset__x"])
def test_replace_refuses_unknown_settings(address):
    with pytest.raises(ConfigError, match=address.partition("__")[0]):
        Config().replace(**{address: 1})


def test_presets():
    assert preset("paper") == Config()
    assert all(PRESETS[name].preset == name for name in PRESETS)
    with pytest.raises(ConfigError, match=r"papers.*paper"):
        preset("papers")


def test_kinds_in_use():
    assert Config().anomalies.kinds == ("cut_paste", "mix_up", "puzzling", "rotation")
    assert AnomalyConfig(weights={"rotation": 1, "mix_up": 0}).kinds == ("rotation",)


@pytest.mark.parametrize("text", ["a = " + "[" * 100_000, f"seed = {'9' * 5000}", "a = 1e"])
def test_files_that_no_parser_takes_are_refused_by_name(text, tmp_path):
    (tmp_path / "deep.toml").write_text(text)
    with pytest.raises(ConfigError, match=r"deep\.toml: not a readable TOML file"):
        from_toml(tmp_path / "deep.toml")


@pytest.mark.parametrize(
    ("name", "unused"),
    [
        ("paper", {"training": {"tilt": 3.0}, "local": {"most": 2}, "network": {"top": 5}}),
        ("inspect", {"training": {"shift": 2}, "anomalies": {"weights": {"scar": 1.0}}}),
    ],
)
def test_an_older_model_may_hold_settings_that_its_network_does_not_look_at(name, unused):
    tree = preset(name).to_dict()
    for section, settings in unused.items():
        tree[section].update(settings)
    with pytest.raises(ConfigError, match="does not look at it"):
        Config.from_dict(tree)
    assert Config.of_model(tree) == preset(name)
    tree["training"]["epochs"] = 0
    with pytest.raises(ConfigError, match=r"training\.epochs"):
        Config.of_model(tree)
