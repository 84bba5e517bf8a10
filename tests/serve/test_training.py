"""Trainings through the service: real digits, in a process of their own."""

import asyncio
import json
import logging
import os
import re
import shutil
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import pytest

from adacl import AnomalyDetector
from adacl.config import Config
from adacl.config.presets import preset
from adacl.errors import DataError
from adacl.runtime import Scorer
from adacl.serve.limits import Limits
from adacl.serve.models import Models
from adacl.serve.problems import ProblemError
from adacl.serve.server import _folder
from adacl.serve.training.queue import Trainings
from adacl.serve.training.record import Training, read_all, write
from adacl.serve.training.worker import Notes
from adacl.serve.uploads import Upload
from support.helpers import LEARNING, TINY, write_images
from support.serving import WAIT_SECONDS, serving, write_model

COUNT = 60
PNG = {"Content-Type": "image/png"}
linux = pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc")


@pytest.fixture(scope="module")
def folder(tmp_path_factory, digits):
    folder = tmp_path_factory.mktemp("training")
    write_model(folder, digits.of(3)[:COUNT])
    write_images(folder / "all", digits.images[:50])
    (folder / "learning.toml").write_text(LEARNING.to_toml())
    slow = TINY.replace(training__min_epoch_images=2048)
    (folder / "slow.toml").write_text(slow.to_toml())
    return folder


@pytest.fixture(scope="module")
def normals(folder):
    return [(path.name, path.read_bytes()) for path in sorted((folder / "threes").iterdir())]


@pytest.fixture(scope="module")
def service(folder):
    config = ("--config", folder / "slow.toml", "--max-trainings-waiting", 2)
    with serving(folder / "three.onnx", *config, "--max-training-images", 100) as service:
        yield service


def begin(service, files, query="name=digit"):
    return service.send(files, f"/v1/trainings?{query}")


def test_trains_serves_and_survives_a_restart(folder, normals, tmp_path):
    sent = [("../x.png", b"no image"), *normals]
    arguments = ("--data", tmp_path, "--config", folder / "learning.toml")
    with serving(folder / "three.onnx", *arguments) as service:
        answer = begin(service, sent, "name=three&epochs=2")
        assert answer.status == 202
        told = answer.json
        address = answer.headers["location"]
        assert (told["state"], told["position"], told["images"]) == ("queued", 1, COUNT)
        assert told["skipped"] == [
            {"name": "x.png", "detail": "x.png: cannot be read (not an image)"}
        ]
        assert service.ask(address).json["id"] == told["id"]
        done = service.until(address, "finished", "failed")
        assert done["state"] == "finished", done
        assert done["progress"] == 1
        assert done["model"] == "three-2", "the name three was taken"
        assert [(r["stage"], r["epoch"]) for r in done["history"]] == [
            (stage, epoch) for stage in ("network", "fold 1", "fold 2") for epoch in (0, 1)
        ]
        assert any(note.startswith("threshold ") for note in done["notes"])
        assert [note.startswith("verdict: ") for note in done["notes"]].count(True) == 1
        assert done["error"] is None

        mine = AnomalyDetector(config=LEARNING, epochs=2).fit(folder / "threes")
        paths = sorted((folder / "all").iterdir())
        for path, raw in zip(paths[:20], -mine.score_samples(paths[:20]), strict=True):
            answer = service.score(path.read_bytes(), "model=three-2")
            assert answer.json["results"][0]["raw_score"] == pytest.approx(raw, abs=1e-4)
        model = service.ask("/v1/models").json["models"][1]
        assert model["trained_here"] is True
        assert model["kept_epoch"] == mine.history_.best_epoch
        (tmp_path / "got.adacl").write_bytes(
            service.ask("/v1/models/three-2/file?format=adacl").body
        )
        assert (
            AnomalyDetector.load(tmp_path / "got.adacl").threshold_ == model["threshold"]["value"]
        )
        (tmp_path / "got.onnx").write_bytes(service.ask("/v1/models/three-2/file").body)
        assert Scorer(tmp_path / "got.onnx").header.fingerprint == model["fingerprint"]
        kept = {path.name for path in (tmp_path / "trainings" / told["id"]).iterdir()}
        assert kept == {"training.json", "model.adacl", "model.onnx", "stderr.txt"}
        kept_model = tmp_path / "trainings" / told["id"] / "model.adacl"
        aside = kept_model.rename(tmp_path / "aside")
        gone = service.ask("/v1/models/three-2/file?format=adacl")
        assert (gone.status, "no longer there" in gone.detail) == (404, True)
        aside.rename(kept_model)

    others, half = (tmp_path / "trainings" / name for name in ("mine", "0" * 16))
    for path in (others, half):
        (path / "images").mkdir(parents=True)
    with serving("--data", tmp_path) as service:
        assert service.ask(address).json == done | {"model": "three"}
        assert others.exists()
        assert not half.exists(), "was never received whole"
        assert service.score(normals[0][1], "model=three").status == 200
        assert service.ask(address, method="DELETE").status == 204
        assert service.ask(address).status == 404
        assert service.ask("/v1/trainings").json == {"trainings": []}
        assert service.score(normals[0][1], "model=three").status == 200, "its model stays"
        shutil.rmtree(tmp_path / "trainings")
        (tmp_path / "trainings").touch()
        for _ in range(5):  # more than may wait
            answer = begin(service, normals)
            assert answer.status == 507
            assert "the images cannot be kept" in answer.detail


def test_scoring_goes_on_and_the_training_is_taken_up_again(folder, normals, tmp_path):
    arguments = ("--data", tmp_path, "--config", folder / "slow.toml")
    content = (folder / "all" / "0000.png").read_bytes()
    expected = Scorer(folder / "three.onnx")(folder / "all" / "0000.png").raw
    with serving(folder / "three.onnx", *arguments) as service:
        address = begin(service, normals, "name=a&epochs=2").headers["location"]
        waiting = begin(service, normals, "name=b").headers["location"]
        while not service.ask(address).json["history"]:
            time.sleep(0.1)  # the training, of low priority, needs the processor as well
            answer = service.score(content)
            assert answer.json["results"][0]["raw_score"] == pytest.approx(expected, abs=1e-6)
        told = service.ask(address).json
        assert told["state"] == "running"
        assert 0 < told["progress"] < 1
        assert service.ask(waiting).json["position"] == 1
        assert service.ask(waiting, method="DELETE").status == 204
        started = time.monotonic()
        service.stop()
        assert time.monotonic() - started < 5
    with serving(*arguments) as service:
        assert service.ask(waiting).json["state"] == "cancelled"
        done = service.until(address, "finished", "failed")
        assert done["state"] == "finished", done
        begun = len(told["history"])
        assert done["history"][:begun] == told["history"], "epochs were repeated"
        assert len(done["history"]) in (5, 6)  # a stop between checkpoint and report loses one
        assert [model["name"] for model in service.ask("/v1/models").json["models"]] == ["a"]


def test_running_training_is_cancelled_and_forgotten(service, normals):
    address = begin(service, normals, "name=busy&epochs=50").headers["location"]
    service.until(address, "running")
    assert service.ask(address, method="DELETE").status == 204
    assert service.ask(address).json["state"] == "cancelled"
    assert service.ask(address, method="DELETE").status == 204
    assert service.ask(address).status == 404


def test_cancelled_at_the_last_moment(tmp_path):
    """The process is through, its model being opened: no model is served."""

    async def main():
        models, opening = Models(), threading.Event()
        trainings = Trainings(tmp_path, models, Limits(), "onnxruntime", None)
        training = Training("0" * 16, "a", 1, None, None, {}, "now", state="running")
        trainings._all[training.id] = training
        trainings._open = lambda training: opening.wait() and SimpleNamespace()
        concluding = asyncio.create_task(trainings._conclude(training, 0))
        await asyncio.sleep(0)
        await trainings.remove(training)
        opening.set()
        await concluding
        assert training.state == "cancelled"
        assert not list(models)

    asyncio.run(main())


def test_deleted_twice_at_the_same_time(tmp_path, monkeypatch):
    """The second request comes while the first one writes that the training is cancelled."""
    writing, kept = threading.Event(), []

    def write_slowly(folder, training):
        writing.set()
        time.sleep(0.3)
        kept.append(folder.exists())
        write(folder, training)

    async def main():
        trainings = Trainings(tmp_path, Models(), Limits(), "onnxruntime", None)
        training = Training("0" * 16, "a", 1, None, None, {}, "now")
        trainings._all[training.id] = training
        (tmp_path / training.id).mkdir()
        first = asyncio.create_task(trainings.remove(training))
        await asyncio.to_thread(writing.wait)
        await asyncio.gather(first, trainings.remove(trainings.get(training.id)))
        with pytest.raises(ProblemError, match="no such training"):
            trainings.get(training.id)

    monkeypatch.setattr("adacl.serve.training.queue.write", write_slowly)
    asyncio.run(main())
    assert kept == [True]
    assert not list(tmp_path.iterdir())


def test_two_services_do_not_share_their_trainings(tmp_path):
    said = f"{tmp_path / 'trainings'}: another service keeps its trainings there"
    with _folder(tmp_path), pytest.raises(DataError, match=re.escape(said)):
        ExitStack().enter_context(_folder(tmp_path))
    with _folder(tmp_path) as folder:
        assert folder == tmp_path / "trainings"


def test_what_was_said_before_a_restart_is_not_said_twice(tmp_path):
    said = Training("0" * 16, "a", 1, None, None, {}, "now", state="running", notes=["3 copies"])
    (tmp_path / said.id).mkdir()
    write(tmp_path / said.id, said)
    trainings = Trainings(tmp_path, Models(), Limits(), "onnxruntime", None)
    trainings.take_up()
    taken_up = trainings.get(said.id)
    assert (taken_up.state, taken_up.notes) == ("queued", [])


def test_notes_name_images_as_the_client_does_and_not_the_folder_of_the_service(tmp_path, capsys):
    images = [tmp_path / "images" / f"{number:06}.png" for number in (2, 1, 3)]
    told = ("adacl", logging.INFO, "", 0, "least normal: %s, %s, %s", tuple(images), None)
    Notes(tmp_path, ["000002.png", "bolt 7.jpg"]).emit(logging.LogRecord(*told))
    said = "least normal: bolt 7.jpg, 000002.png, 000003.png"
    assert json.loads(capsys.readouterr().out) == {"note": said}


def test_names_of_images_are_kept_as_long_as_they_are(normals, tmp_path):
    """The second file of five is no image, so the numbers of the others are not those sent."""
    sent = [Upload(f"bolt {number}.png", content) for number, (_, content) in enumerate(normals)]
    sent[1] = Upload("list.txt", b"text")

    async def main():
        trainings = Trainings(tmp_path, Models(), Limits(), "onnxruntime", Config())
        async with trainings.begin("a", None, None, None, None) as reception:
            for upload in sent[:5]:
                await reception.take(upload)
            training = await reception.complete()
        (kept,) = read_all(tmp_path)
        assert kept.names == ["bolt 0.png", "bolt 2.png", "bolt 3.png", "bolt 4.png"]
        await trainings.remove(training)
        assert training.names == []

    asyncio.run(main())


def test_long_notes_are_cut_to_what_the_service_reads(tmp_path, capsys):
    for sign in ("a", "\N{GRINNING FACE}"):
        told = ("adacl", logging.INFO, "", 0, sign * 10**5, (), None)
        Notes(tmp_path).emit(logging.LogRecord(*told))
        line = capsys.readouterr().out
        assert len(line) < 2**16
        assert json.loads(line)["note"] == f"{sign * 4000} …"


def test_queue_is_bounded_and_cancellable(service, normals):
    running = begin(service, normals, "name=a&epochs=100").headers["location"]
    service.until(running, "running")
    waiting = [begin(service, normals, f"name={n}").headers["location"] for n in "bc"]
    assert [service.ask(a).json["position"] for a in waiting] == [1, 2]
    refused = begin(service, normals, "name=d")
    assert refused.status == 503
    assert "2 trainings are waiting already" in refused.detail
    assert refused.headers["retry-after"] == "60"
    assert service.ask(waiting[0], method="DELETE").status == 204
    assert service.ask(waiting[0]).json["state"] == "cancelled"
    assert service.ask(waiting[1]).json["position"] == 1
    for address in (running, waiting[1]):
        service.ask(address, method="DELETE")
    told = service.ask("/v1/trainings").json["trainings"]
    assert [training["state"] for training in told][:3] == ["cancelled"] * 3
    metrics = service.ask("/metrics").body.decode()
    assert 'adacl_trainings{state="cancelled"}' in metrics


@pytest.mark.parametrize(
    ("query", "status", "detail"),
    [
        ("", 400, "name: Field required"),
        ("name=../x", 400, "name: "),
        ("name=a&epochs=0", 400, "epochs: "),
        ("name=a&epochs=1e9", 400, "epochs: "),
        ("name=a&image_size=4", 400, "image_size: "),
        ("name=a&tile=x", 400, "tile: "),
        ("name=a&preset=video", 400, "preset: "),
        ("name=a&epoch=5", 400, "epoch: unknown; known are name, epochs, preset, image_size, tile"),
    ],
)
def test_parameters_are_checked(service, normals, query, status, detail):
    answer = begin(service, normals, query)
    assert answer.status == status
    assert detail in answer.detail
    other = service.ask("/v1/models/three/file?form=adacl")
    assert (other.status, other.detail) == (400, "form: unknown; known are format")
    assert service.ask("/v1/models?x").detail == "x: unknown; none are known"


def test_what_the_service_s_file_sets_is_handed_on_beside_its_preset(tmp_path):
    config = preset("accurate").replace(training__shift=2)
    trainings = Trainings(tmp_path, Models(), Limits(), "onnxruntime", config)
    for preset_name, wanted in ((None, config), ("accurate", preset("accurate"))):
        training = trainings.begin("a", preset_name, None, None, None).training
        write(tmp_path, training)
        settings = json.loads((tmp_path / "training.json").read_text())
        told = Config.from_dict(settings["config"], settings["explicit"])
        assert (told, told.explicit) == (wanted, wanted.explicit)


def test_a_preset_takes_the_place_of_the_service_s_configuration(service, normals):
    answer = begin(service, normals, "name=a&preset=accurate")
    assert answer.json["epochs"] == 15
    address = answer.headers["location"]
    deadline = time.monotonic() + WAIT_SECONDS
    while not (notes := service.ask(address).json["notes"]):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert notes[0].startswith("preset aligned, because the images show the same thing at")
    assert service.ask(address, method="DELETE").status == 204


def test_time_is_estimated_before_the_start(service):
    query = "/v1/estimate?images=40&height=8&width=8&epochs=2"

    def ask(path, **headers):
        return service.ask(path, b"", headers)

    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(ask, [query, query + "&image_size=8"])
    assert sorted((one.status, other.status)) == [200, 503]
    found = one if one.status == 200 else other
    assert found.json.keys() == {"seconds", "epoch_seconds", "epochs", "networks"}
    assert (found.json["epochs"], found.json["networks"]) == (2, 3)
    assert found.json["seconds"] > 6 * found.json["epoch_seconds"] > 0
    asked = query if found is one else query + "&image_size=8"
    assert ask(asked).json == found.json, "measured once"
    assert ask(asked, Origin="https://evil.example").status == 403
    assert service.ask(asked).status == 405, "a page of another site could have it measured"
    for wrong in ("images=3", "height=0", "width=20001", "tile=5", "preset=none", "epochs=0"):
        assert ask(f"{query}&{wrong}").status == 400


def test_images_are_checked(service, normals):
    answer = begin(service, [("a.png", b"no"), *normals[:3]])
    assert answer.status == 422
    assert "at least 4 normal images are needed, got 3" in answer.detail
    assert answer.json["errors"][0]["name"] == "a.png"
    answer = begin(service, normals * 2)
    assert answer.status == 413
    assert "more than 100 files" in answer.detail
    assert service.ask("/v1/trainings?name=a", b"x", PNG).status == 415


def test_failure_is_told(service, normals):
    """Tiles larger than the images: what the trainer says reaches the client."""
    address = begin(service, normals, "name=large&tile=64").headers["location"]
    done = service.until(address, "failed", "finished")
    assert done["state"] == "failed"
    assert done["error"].startswith("tile 64x64: larger than the images")


def trainer_of(service, normals):
    """Begin a training, and return the number of its process."""
    service.until(begin(service, normals, "name=a").headers["location"], "running")
    return service.worker()


@linux
def test_trainer_that_dies_is_told(service, normals):
    os.kill(trainer_of(service, normals), signal.SIGKILL)
    (latest, *_) = service.ask("/v1/trainings").json["trainings"]
    done = service.until(f"/v1/trainings/{latest['id']}", "failed", "finished")
    assert "ended unexpectedly (exit code -9)" in done["error"]


@linux
def test_trainer_ends_with_a_service_that_is_killed(normals, tmp_path):
    with serving("--data", tmp_path) as service:
        trainer = trainer_of(service, normals)
        service.process.kill()
        service.process.wait()
    deadline = time.monotonic() + 30
    status = Path(f"/proc/{trainer}/stat")
    while status.exists() and status.read_text().split()[2] != "Z":
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_training_whose_folder_vanishes_fails_in_a_sentence(folder, normals, tmp_path):
    config = ("--config", folder / "slow.toml")
    with serving(folder / "three.onnx", "--data", tmp_path / "data", *config) as service:
        running, waiting = (begin(service, normals).headers["location"] for _ in range(2))
        service.until(running, "running")
        shutil.rmtree(tmp_path / "data")
        for address in (running, waiting):
            error = service.until(address, "failed")["error"]
            assert "No such file or directory; was its folder removed, or its disk?" in error
        service.until(begin(service, normals).headers["location"], "running")
        said = service.stop()
    assert f"{tmp_path / 'data' / 'trainings'}: was removed; trainings go to a new folder" in said
    assert "Traceback" not in said


def test_without_pytorch(folder, tmp_path):
    """A package torch that cannot be found: training says so, scoring works."""
    program = "import importlib.util, sys; find = importlib.util.find_spec\n"
    program += (
        "importlib.util.find_spec = lambda name, *a: None if name == 'torch' else find(name, *a)\n"
    )
    (tmp_path / "sitecustomize.py").write_text(program)
    with serving(folder / "three.onnx", PYTHONPATH=str(tmp_path)) as service:
        told = service.ask("/v1/models").json["training"]
        assert told["available"] is False
        assert told["reason"].startswith("torch is not installed")
        assert told["reason"].endswith("pip install 'adacl[train]'")
        answer = service.send([("a.png", b"x")], "/v1/trainings?name=a")
        assert answer.status == 501
        assert "adacl[train]" in answer.detail
        assert service.score((folder / "all" / "0000.png").read_bytes()).status == 200
