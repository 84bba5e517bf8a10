"""Datasets, loaders and generators give the scores of the same images as an array."""

import numpy as np
import pytest
from PIL import Image
from torch import from_numpy
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset

from adacl import AnomalyDetector, Scorer
from adacl.data.loaders import AT_ONCE
from adacl.deploy.export import export_model
from adacl.errors import InputError
from support.helpers import TINY
from support.textures import textures

IMAGES = np.random.default_rng(0).integers(0, 256, (90, 12, 10, 3), np.uint8)
TENSORS = from_numpy(IMAGES.transpose(0, 3, 1, 2).copy())
LABELS = from_numpy(np.arange(90))


class Items(Dataset):
    def __init__(self, items):
        self.items = items

    def __len__(self):
        return len(self.items)

    def __getitem__(self, number):
        return self.items[number]


class Stream(IterableDataset):
    def __iter__(self):
        return ((image, "label") for image in IMAGES)


GIVEN = {
    "tensors": lambda: Items(TENSORS),
    "labelled": lambda: TensorDataset(TENSORS, LABELS),
    "subset": lambda: Subset(TensorDataset(TENSORS, LABELS), range(90)),
    "pictures": lambda: Items([(Image.fromarray(image), 0) for image in IMAGES]),
    "stream": Stream,
    "loader": lambda: DataLoader(Items(TENSORS), batch_size=7),
    "labelled loader": lambda: DataLoader(TensorDataset(TENSORS, LABELS), batch_size=7),
    "lists": lambda: DataLoader(TensorDataset(TENSORS, LABELS), batch_size=7, collate_fn=list),
    "one by one": lambda: DataLoader(TensorDataset(TENSORS, LABELS), batch_size=None),
    "generator": lambda: (image for image in IMAGES),
    "pictures one by one": lambda: (Image.fromarray(image) for image in IMAGES),
}


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    path = tmp_path_factory.mktemp("loaders") / "m.adacl"
    detector = AnomalyDetector(config=TINY).fit(IMAGES)
    detector.save(path)
    export_model(path, path.with_suffix(".onnx"))
    return detector, Scorer(path.with_suffix(".onnx"))


@pytest.mark.parametrize("given", GIVEN)
def test_scores_are_those_of_the_array(given, fitted):
    for scorer in fitted:
        np.testing.assert_array_equal(
            scorer.score_samples(GIVEN[given]()), scorer.score_samples(IMAGES)
        )


@pytest.mark.parametrize("given", GIVEN)
def test_a_fit_is_that_of_the_array(given, fitted):
    again = AnomalyDetector(config=TINY).fit(GIVEN[given]())
    assert again.threshold_ == fitted[0].threshold_


def test_images_are_scored_as_they_come(fitted):
    taken, scored = [], []

    def endless():
        for number in range(10 * AT_ONCE):
            taken.append(number)
            yield IMAGES[number % 90]

    detector = AnomalyDetector.from_model(fitted[0].model_)
    for _ in detector._scored(enumerate(detector._streamed(endless()))):
        scored.append(len(taken))
    assert scored[0] < len(taken) == 10 * AT_ONCE


def test_images_of_several_sizes_are_scored_where_the_network_takes_them():
    images = [textures(1, size, seed)[0] for seed, size in enumerate([(40, 50), (50, 40)] * 3)]
    small = {"training__epochs": 1, "training__min_epoch_images": 8, "training__crop": 32,
             "network__channels": [4, 6]}  # fmt: skip
    detector = AnomalyDetector("inspect").set_params(
        **{f"config__{name}": value for name, value in small.items()}
    )
    detector.fit(textures(8, (40, 50)))
    found = detector.score_samples(Items(images))
    assert found == pytest.approx(
        [detector.score_samples(image[None])[0] for image in images], abs=1e-6
    )


def test_a_wrong_image_is_called_by_its_number(fitted):
    floats = [image / np.float32(255) for image in IMAGES[:70]]
    floats[66] = floats[66] * 1000
    with pytest.raises(InputError, match=r"float values|image number 66"):
        fitted[0].score_samples(iter(floats))


@pytest.mark.parametrize(
    ("items", "words"),
    [([{"image": 1}], "tables of image"), ([()], "is empty")],
)
def test_items_that_are_no_images_are_refused(items, words, fitted):
    with pytest.raises(InputError, match=words):
        fitted[0].score_samples(Items(items))
