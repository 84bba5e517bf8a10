"""The log of answers, feedback on them, and the alarm at drift."""

import asyncio
import csv
import io
import json
import re
import shutil
import signal
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import sqlalchemy
from PIL import ExifTags, Image
from sqlalchemy.exc import OperationalError

from adacl import AnomalyDetector
from adacl.deploy.export import export_model
from adacl.errors import ConfigError, DataError, MissingDataError
from adacl.model.threshold_rules import from_normal_scores
from adacl.serve.counters import Metrics
from adacl.serve.models import Models
from adacl.serve.station import writer
from adacl.serve.station.drift import WINDOW, DriftWatch
from adacl.serve.station.records import Records
from adacl.serve.station.tables import COLUMNS
from adacl.serve.station.writer import Station, thumbnail
from adacl.serve.uploads import Upload
from support.helpers import LEARNING, call, refused, write_images
from support.serving import WAIT_SECONDS, serving

JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def model(digits, tmp_path_factory):
    """Return a model whose threshold comes from normals that its own network has scored."""
    folder = tmp_path_factory.mktemp("station")
    threes = digits.of(3)
    paths = write_images(folder / "threes", threes)
    detector = AnomalyDetector(config=LEARNING).fit(paths[:60])
    detector.calibrate(paths[60:180]).save(folder / "three.adacl")
    export_model(folder / "three.adacl", folder / "three.onnx", dynamic_batch=True)
    return folder / "three.onnx"


def png(image):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


def tell(service, **fields):
    return service.ask("/v1/feedback", json.dumps(fields).encode(), JSON)


def metric(service, name):
    text = service.ask("/metrics").body.decode()
    return float(re.search(rf"^{re.escape(name)} (\S+)$", text, re.M)[1])


def wait(condition):
    deadline = time.monotonic() + WAIT_SECONDS
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


def exported(*arguments):
    code, out, err = call("log", *arguments)
    assert code == 0, err
    return out


def test_every_answer_is_in_the_log_after_a_stop(model, digits, tmp_path):
    images = [png(image) for image in digits.images[:120]]
    where = tmp_path / "log.db"
    with serving(model, "--log", where, "--log-thumbnails") as service:

        def one(number):
            query = "anomaly_map=true" if number == 3 else ""
            return service.send([(f"{number}.png", images[number])], f"/v1/score?{query}").json

        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(one, range(len(images))))
        mixed = service.send([("good.png", images[0]), ("=bad,\n.png", b"no image")]).json
        assert service.score(b"no image", "threshold=0.9").status == 422
        service.stop()

    lines = exported(where, "--format", "jsonl")
    exported(where, "-o", tmp_path / "named.jsonl")
    assert (tmp_path / "named.jsonl").read_text() == lines
    rows = [json.loads(line) for line in lines.splitlines()]
    assert len(rows) == len(images) + 3
    by_request = {(row["request"], row["result"]): row for row in rows}
    for number, answer in enumerate(answers):
        row, (result,) = by_request[answer["request"], 0], answer["results"]
        assert row["name"] == f"{number}.png"
        assert row["model"] == "three"
        assert row["bytes"] == len(images[number])
        assert row["threshold"] == answer["threshold"]
        for name in ("raw_score", "pred_score", "pred_label", "height", "width"):
            assert row[name] == result[name]
        assert 0 < row["seconds"] < WAIT_SECONDS
        assert len(row["sha256"]) == len(row["fingerprint"]) == 64
        assert row["true_label"] is None
    assert [row["time"] for row in rows] == sorted(row["time"] for row in rows)
    bad = by_request[mixed["request"], 1]
    assert bad["error"] == mixed["results"][1]["error"]["detail"]
    assert bad["raw_score"] is None
    assert rows[-1]["threshold"] == 0.9
    assert rows[-1]["error"]

    table = list(csv.DictReader(io.StringIO(exported(where))))
    assert list(table[0]) == COLUMNS
    assert [row["name"] for row in table if row["error"]] == ["'=bad,.png", "image"]
    since = rows[-1]["time"]
    assert len(exported(where, "--since", since).splitlines()) < len(rows)
    exported(where, "--thumbnails", tmp_path / "small")
    kept = list((tmp_path / "small").iterdir())
    assert len(kept) == len(images) + 1
    assert Image.open(tmp_path / "small" / f"{answers[5]['request']}-0.jpg").size == (8, 8)


def test_what_is_written_survives_a_kill(model, digits, tmp_path):
    where = tmp_path / "log.db"
    with serving(model, "--log", where) as service:
        answers = [service.score(png(image)).json["request"] for image in digits.images[:50]]
        wait(lambda: metric(service, "adacl_log_written_total") == 50)
        service.process.send_signal(signal.SIGKILL)
        service.process.wait()
    kept = {row["request"] for row in Records(str(where), create=False).read()}
    assert kept == set(answers)
    with serving(model, "--log", where) as service:
        service.score(png(digits.images[0]))
    assert len(exported(where).splitlines()) == 52


def test_feedback_is_kept_before_it_is_acknowledged(model, digits, tmp_path):
    where = tmp_path / "log.db"
    with serving(model, "--log", where) as service:
        answer = service.send([("a.png", png(digits.images[0])), ("b.png", png(digits.images[1]))])
        request = answer.json["request"]
        assert tell(service, request=request, result=1, true_label=1).status == 201
        told = tell(service, request=request, result=1, true_label=0, note="=only \x07a shadow")
        assert told.status == 201
        assert told.json.keys() == {"request", "result", "true_label", "note", "time"}
        (row,) = Records(str(where), create=False).read(told=True)
        assert (row["name"], row["true_label"], row["note"]) == ("b.png", 0, "=only a shadow")
        assert row["told"] == told.json["time"]
        assert metric(service, 'adacl_feedback_total{label="normal"}') == 1

        assert tell(service, request="0" * 16, true_label=1).status == 404
        assert tell(service, request=request, result=2, true_label=1).status == 404
        for fields, detail in (
            ({"request": request}, "true_label: need 0"),
            ({"request": request, "true_label": True}, "true_label: need 0"),
            ({"request": request, "true_label": 2}, "true_label: need 0"),
            ({"request": "' OR 1=1 --", "true_label": 1}, "request: need"),
            ({"request": [request], "true_label": 1}, "request: need"),
            ({"request": request, "true_label": 1, "result": -1}, "result: need"),
            ({"request": request, "true_label": 1, "result": 1e300}, "result: need"),
            ({"request": request, "true_label": 1, "note": "x" * 1001}, "note: need"),
            ({"request": request, "true_label": 1, "label\x1b": 1}, "label: unknown"),
        ):
            answer = tell(service, **fields)
            assert answer.status == 400
            assert answer.detail.startswith(detail)
    (row,) = csv.DictReader(io.StringIO(exported(where, "--feedback")))
    assert row["note"] == "'=only a shadow"


HOSTILE = [
    (b"", 400, "not sound JSON"),
    (b"[" * 8000, 400, "not sound JSON"),
    (b"\xff\xfe{}", 400, "not sound JSON"),
    (b"[]", 400, "must be a JSON object"),
    (b'{"request": ' + b"9" * 8000 + b"}", 400, ""),
    (b"{" + b" " * 9000 + b"}", 413, "longer than 8192 bytes"),
]


def test_hostile_feedback(model, digits, tmp_path):
    limits = ("--max-seconds", 1.5, "--max-head-seconds", 1)
    with serving(model, "--log", tmp_path / "log.db", *limits) as service:
        for body, status, detail in HOSTILE:
            answer = service.ask("/v1/feedback", body, JSON)
            assert answer.status == status
            assert detail in answer.detail
        assert service.ask("/v1/feedback", b"{}", {"Content-Type": "text/plain"}).status == 415
        assert service.ask("/v1/feedback", b"{}", JSON | {"Content-Encoding": "gzip"}).status == 415
        assert service.ask("/v1/feedback", iter([b"{"] * 9000), JSON).status == 413
        assert service.ask("/v1/feedback", b"{}", JSON | {"Origin": "null"}).status == 403
        assert service.ask("/v1/feedback").status == 405
        head = (
            b"POST /v1/feedback HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        )
        slow = service.raw(head + b"Content-Length: 99\r\n\r\n{")
        assert b" 408 " in slow
        assert service.score(png(digits.images[0])).status == 200


def test_token_guards_feedback_and_status(model, tmp_path):
    with serving(model, "--log", tmp_path / "log.db", "--token", "secret") as service:
        assert service.ask("/v1/feedback", b"{}", JSON).status == 401
        assert service.ask("/v1/station").status == 401
        known = {"Authorization": "Bearer secret"}
        assert service.ask("/v1/station", headers=known).json["log"] is True


def test_nothing_is_kept_unless_asked(model, digits, tmp_path):
    with serving(model) as service:
        answer = service.score(png(digits.images[0])).json
        assert answer.keys() == {"model", "threshold", "results"}
        assert service.ask("/v1/station").json == {"log": False, "drift": {}}
        assert tell(service, request="0" * 16, true_label=1).status == 501
        assert b"adacl_log" not in service.ask("/metrics").body


def rows_of(count, start=0):
    """Return rows as the service writes them."""
    fields = {"time": "2026-01-01", "model": "m", "fingerprint": "f", "result": 0, "name": "a.png"}
    fields |= {"bytes": 10, "sha256": "0" * 64, "height": 8, "width": 8, "pred_score": 0.1}
    fields |= {"raw_score": 0.1, "threshold": 0.5, "pred_label": 0, "regions": None}
    fields |= {"remark": None, "error": None, "seconds": 0.01, "thumbnail": b"x" * 2000}
    return [fields | {"request": f"{start + number:016x}"} for number in range(count)]


def test_the_oldest_go_first(tmp_path):
    path = tmp_path / "log.db"
    most = 1 << 20
    records = Records(str(path), create=True, most_bytes=most)
    removed = 0
    for start in range(0, 5000, 100):
        found = records.write(rows_of(100, start))
        removed += found.answers if found else 0
        assert records.tell(f"{start:016x}", 0, 1, "") is not None
        assert path.stat().st_size < 1.3 * most
    kept = [int(row["request"], 16) for row in records.read()]
    assert kept == list(range(removed, 5000))
    assert 150 < len(kept) < 600
    assert len(list(records.read(told=True))) == len([n for n in kept if n % 100 == 0])
    connection = sqlite3.connect(path)
    (feedback,) = connection.execute("select count(*) from adacl_feedback").fetchone()
    assert feedback == len([n for n in kept if n % 100 == 0])


def test_feedback_keeps_to_the_bound_too(tmp_path):
    path = tmp_path / "log.db"
    most = 200_000
    records = Records(str(path), create=True, most_bytes=most)
    records.write(rows_of(1))
    told = [records.tell("0" * 16, 0, 1, "x" * 1000) for _ in range(250)]
    assert told[-1] is None, "the answer went, and what was said of it"
    assert path.stat().st_size < 1.3 * most


def test_answers_since_a_time_of_any_offset(tmp_path):
    path = tmp_path / "log.db"
    records = Records(str(path), create=True)
    times = [f"2026-11-01T{hour:02}:00:00.000+00:00" for hour in (7, 8, 9)]
    pairs = zip(rows_of(3), times, strict=True)
    records.write([row | {"time": time} for row, time in pairs])
    for since, count in (
        ("2026-11-01", 3),
        ("2026-11-01 08:00", 2),
        ("2026-11-01T08:00Z", 2),
        ("2026-11-01T10:00+02:00", 2),
        ("2026-11-01T08:00-01:00", 1),
    ):
        assert exported(path, "--since", since).count("\n") == 1 + count
    records.tell(f"{1:016x}", 0, 1, "")
    for options, names in (
        (["--feedback"], [f"{1:016x}-0.jpg"]),
        (["--since", "2026-11-01T09:00"], [f"{2:016x}-0.jpg"]),
        (["--model", "other"], []),
    ):
        folder = tmp_path / options[0]
        exported(path, *options, "--thumbnails", folder)
        assert [file.name for file in folder.iterdir()] == names
    _, out, err = call("log", path, "--model", "other")
    assert (out.count("\n"), err) == (1, "the log has no such answers\n")
    assert "--since yesterday: need a time" in refused(2, "log", path, "--since", "yesterday")
    for where in (path, f"sqlite:///{path}"):
        assert "is the log itself" in refused(2, "log", where, "-o", path)


def test_a_log_without_thumbnails_is_named_as_such(tmp_path):
    path = tmp_path / "log.db"
    records = Records(str(path), create=True)
    records.write([row | {"thumbnail": None} for row in rows_of(2)])
    code, _, err = call("log", path, "--thumbnails", tmp_path / "pictures")
    assert (code, list((tmp_path / "pictures").iterdir())) == (0, [])
    assert err.startswith("the log has no thumbnails of them; adacl serve --log-thumbnails ")


def test_odd_places_for_a_log_are_refused(tmp_path):
    (tmp_path / "text.db").write_text("no database, but text that is long enough " * 100)
    with pytest.raises(DataError, match="is a folder; name a file"):
        Records(str(tmp_path), create=True)
    with pytest.raises(DataError, match=r"text\.db: cannot be opened as a log"):
        Records(str(tmp_path / "text.db"), create=True)
    with pytest.raises(MissingDataError, match="there is no such log"):
        Records(str(tmp_path / "none.db"), create=False)
    assert not (tmp_path / "none.db").exists()
    sqlite3.connect(tmp_path / "other.db").execute("create table t (x)")
    with pytest.raises(DataError, match="not a log of adacl serve"):
        Records(str(tmp_path / "other.db"), create=False)
    mode = sqlite3.connect(tmp_path / "other.db").execute("pragma journal_mode").fetchone()
    assert mode == ("delete",), "reading changes nothing"
    old = sqlite3.connect(tmp_path / "old.db")
    old.execute("create table adacl_answers (id integer, model text)")
    with pytest.raises(DataError, match="the log of another version, without bytes"):
        Records(str(tmp_path / "old.db"), create=True)
    with pytest.raises(DataError, match=r"the folder .*no does not exist; make it first"):
        Records(str(tmp_path / "no" / "folder.db"), create=True)
    with pytest.raises(ConfigError, match="need a file, or a URL"):
        Records("http//://", create=True)
    with pytest.raises(ConfigError, match="driver is missing") as caught:
        Records("mssql+pymssql://user:secret@host/db", create=True)
    assert "secret" not in str(caught.value)
    with pytest.raises(ConfigError, match="only for SQLite"):
        Records("postgresql://host/db", create=True, most_bytes=1)
    for nowhere in ("", ":memory:", "sqlite://"):
        with pytest.raises(ConfigError, match="name a file"):
            Records(nowhere, create=True)
    assert "need --log FILE" in refused(2, "serve", "--log-thumbnails")
    assert "there is no such log" in refused(3, "log", tmp_path / "none.db")


class Refusing(Records):
    """A log that cannot be written for a while."""

    def __init__(self, where, errors):
        super().__init__(where, create=True)
        self.errors = errors

    def write(self, rows):
        if self.errors:
            raise self.errors.pop()
        return super().write(rows)


def full():
    return OperationalError("insert", {}, sqlite3.OperationalError("database or disk is full"))


class Known:
    """A stand-in for a served model."""

    def __init__(self, threshold):
        self.name = "m"
        self.scorer = self
        self.header = self
        self.fingerprint = "f"
        self.threshold = threshold


@pytest.fixture
def served():
    return Known(from_normal_scores(np.linspace(0, 1, 300), 0.01, 0.95, "hold-out"))


def run(records, served, requests, monkeypatch, most=None):
    """Let a station take answers; return its metrics and what is in the log."""
    monkeypatch.setattr(writer, "RETRY_SECONDS", 0.01)
    if most:
        monkeypatch.setattr(writer, "MOST_WAITING", most)
    metrics = Metrics()
    station = Station(records, metrics, thumbnails=True)
    for rows in requests:
        station.note(served, rows, [Upload("a.png", b"content")] * len(rows))
    station.start(Models())
    station.close()
    text = metrics.text().decode()
    counts = dict(re.findall(r"^adacl_log_(\w+)_total (\S+)$", text, re.M))
    return {name: int(float(count)) for name, count in counts.items()}


def test_a_full_disk_is_waited_for(tmp_path, served, monkeypatch, caplog):
    records = Refusing(str(tmp_path / "log.db"), [full() for _ in range(5)])
    with caplog.at_level("INFO", "adacl"):
        counts = run(records, served, [rows_of(30)], monkeypatch)
    assert counts == {"written": 30, "dropped": 0, "failures": 5}
    said = [record.getMessage() for record in caplog.records]
    assert said == [
        "the log cannot be written (database or disk is full)",
        "the log is written again",
    ]
    assert len(list(Records(str(tmp_path / "log.db"), create=False).read())) == 30


def test_a_disk_that_stays_full_ends_the_wait_at_a_stop(tmp_path, served, monkeypatch):
    monkeypatch.setattr(writer, "CLOSE_SECONDS", 0.1)
    records = Refusing(str(tmp_path / "log.db"), [full() for _ in range(100_000)])
    counts = run(records, served, [rows_of(30)], monkeypatch)
    assert counts["dropped"] == 30
    assert counts["written"] == 0


def test_what_waits_behind_a_refused_batch_is_given_up_at_once(
    tmp_path, served, monkeypatch, caplog
):
    monkeypatch.setattr(writer, "CLOSE_SECONDS", 0.0)
    monkeypatch.setattr(writer, "MOST_AT_ONCE", 10)
    records = Refusing(str(tmp_path / "log.db"), [full()])  # which would take the next batch
    counts = run(records, served, [rows_of(90)], monkeypatch)
    assert counts == {"written": 0, "dropped": 90, "failures": 1}
    said = [record.getMessage() for record in caplog.records]
    assert said[1:] == [f"{count} answers are missing in the log" for count in (10, 80)]


def test_images_count_until_their_thumbnail_is_made(tmp_path, served, monkeypatch):
    station = Station(Records(str(tmp_path / "log.db"), create=True), Metrics(), True)
    held = []
    monkeypatch.setattr(writer, "thumbnail", lambda content: held.append(station._bytes))
    station.note(served, rows_of(3), [Upload("a.png", b"content")] * 3)
    station.start(Models())
    station.close()
    assert held == [21, 14, 7]
    assert station._bytes == 0


def test_what_there_is_no_room_for_is_counted(tmp_path, served, monkeypatch):
    records = Records(str(tmp_path / "log.db"), create=True)
    requests = [rows_of(8, 8 * number) for number in range(4)]
    counts = run(records, served, requests, monkeypatch, most=20)
    assert counts == {"written": 20, "dropped": 12, "failures": 0}
    kept = Records(str(tmp_path / "log.db"), create=False).read()
    assert [int(row["request"], 16) for row in kept] == list(range(20))


def test_a_locked_database_delays_no_answer(model, digits, tmp_path):
    where = tmp_path / "log.db"
    with serving(model, "--log", where) as service:
        other = sqlite3.connect(where, isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        requests = [service.score(png(image)).json["request"] for image in digits.images[:40]]
        assert metric(service, "adacl_log_written_total") == 0
        other.execute("COMMIT")
        wait(lambda: metric(service, "adacl_log_written_total") == 40)
    assert [row["request"] for row in Records(str(where), create=False).read()] == requests


def test_any_database_of_sqlalchemy_by_its_url(tmp_path):
    url = f"sqlite:///{tmp_path}/log.db"
    Records(url, create=True).write(rows_of(3))
    engine = sqlalchemy.create_engine(url)
    with engine.connect() as connection:
        counted = connection.exec_driver_sql("select count(*) from adacl_answers").scalar_one()
    assert counted == 3
    assert len(exported(url).splitlines()) == 4


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "I;16", "1"])
def test_thumbnails_of_any_image(mode):
    image = Image.fromarray(np.arange(300 * 200, dtype=np.uint16).reshape(300, 200))
    if mode != "I;16":
        image = Image.fromarray(np.asarray(image) >> 8).convert("L").convert(mode)
    file = io.BytesIO()
    image.save(file, "PNG")
    small = Image.open(io.BytesIO(thumbnail(file.getvalue())))
    assert small.size == (85, 128)
    assert small.format == "JPEG"
    low, high = small.convert("L").getextrema()
    assert high - low > 100


@pytest.mark.parametrize(
    ("kind", "depth"), [("JPEG", 8), ("PNG", 8), ("TIFF", 8), ("PNG", 16), ("TIFF", 16)]
)
def test_thumbnails_are_turned_as_the_image_says(kind, depth):
    image = Image.fromarray(np.zeros((40, 20), np.uint8 if depth == 8 else np.uint16))
    turn = Image.Exif()
    turn[ExifTags.Base.Orientation] = 6
    file = io.BytesIO()
    image.save(file, kind, exif=turn)
    assert Image.open(io.BytesIO(thumbnail(file.getvalue()))).size == (40, 20)


def test_no_thumbnail_of_what_is_no_image():
    assert thumbnail(b"no image") is None


def fed(watch, scores):
    return [watch.add(float(score), None) for score in scores]


def normals(count, seed=0):
    return np.random.default_rng(seed).normal(0.3, 0.05, count)


def test_drift_is_told_and_passes():
    watch = DriftWatch(from_normal_scores(normals(300), 0.01, 0.95, "calibration"))
    assert watch.describe()["state"] == "collecting"
    changed = fed(watch, normals(WINDOW, 1))
    assert watch.state == "steady"
    assert changed == [False] * (WINDOW - 1) + [True]
    fed(watch, normals(WINDOW, 2) + 0.05)
    assert watch.state == "moved"
    assert re.fullmatch(
        r"\d+% of the last 200 scores lie above 0\.\d+, but only \d+% of those of normal images "
        r"that it did not learn from",
        watch.reason,
    )
    assert watch.distance > watch.limit
    fed(watch, normals(WINDOW, 3))
    assert watch.state == "steady"
    fed(watch, normals(WINDOW, 4) - 0.05)
    assert watch.state == "moved"


@pytest.mark.parametrize("count", [20, 100, 1000])
def test_steady_scores_raise_no_alarm_however_few_normals_they_are_compared_with(count):
    for seed in range(20):
        watch = DriftWatch(from_normal_scores(normals(count, seed), 0.01, 0.95, "calibration"))
        fed(watch, normals(3 * WINDOW, 100 + seed))
        assert watch.state == "steady"


def test_an_image_that_comes_again_counts_once():
    watch = DriftWatch(from_normal_scores(normals(300), 0.01, 0.95, "hold-out"))
    for _ in range(10 * WINDOW):
        watch.add(0.9, b"the same")
    assert watch.describe()["scores"] == 1
    for number, score in enumerate(normals(2 * WINDOW, 1)):
        watch.add(score, str(number).encode())
    assert watch.state == "steady"
    assert watch.add(0.9, b"the same") is False
    assert watch._recent[-1] == (0.9, b"the same")


@pytest.mark.parametrize(
    ("method", "count", "why"),
    [
        ("cross-fitting", 300, "scored by other networks"),
        ("hold-out", 19, "at least 20 are needed"),
        ("calibration", 20, ""),
    ],
)
def test_what_cannot_be_compared_is_not_watched(method, count, why):
    watch = DriftWatch(from_normal_scores(normals(count), 0.01, 0.95, method))
    assert watch.state == ("off" if why else "collecting")
    assert why in watch.reason
    fed(watch, np.ones(3 * WINDOW))
    assert watch.state == ("off" if why else "moved")


def test_images_that_came_again_leave_no_gap_in_the_scores_taken_up(tmp_path):
    records = Records(str(tmp_path / "log.db"), create=True)
    digests = [f"{number - number % 2:064x}" for number in range(2 * WINDOW + 100)]
    rows = rows_of(len(digests))
    records.write([row | {"sha256": digest} for row, digest in zip(rows, digests, strict=True)])
    found = records.recent("f", WINDOW)
    assert [digest for _, digest in found] == digests[100::2]


def test_the_service_tells_of_drift_and_remembers_it(model, digits, tmp_path):
    where = tmp_path / "log.db"
    others = [png(image) for image in digits.other_than(3)[:240]]
    with serving(model, "--log", where, "--max-files", 64) as service:
        assert service.ask("/v1/station").json["drift"]["three"]["state"] == "collecting"
        for start in range(0, 240, 60):
            answer = service.send([("a.png", image) for image in others[start : start + 60]])
            assert "drift" not in answer.json
        wait(lambda: service.ask("/v1/station").json["drift"]["three"]["state"] == "moved")
        answer = service.score(others[0]).json
        assert "of the last 200 scores lie above" in answer["drift"]
        assert metric(service, 'adacl_drift_moved{model="three"}') == 1
        assert metric(service, 'adacl_drift_alarms_total{model="three"}') == 1
        limit = metric(service, 'adacl_drift_limit{model="three"}')
        assert metric(service, 'adacl_drift_distance{model="three"}') > limit
        assert re.search(r"three: the scores have moved: \d+% of the last 200", service.stop())
    with serving(model, "--log", where) as service:
        drift = service.ask("/v1/station").json["drift"]["three"]
        assert drift["state"] == "moved"
        assert drift["scores"] == WINDOW


def test_a_station_takes_no_feedback_it_has_no_room_for(tmp_path, served, monkeypatch):
    monkeypatch.setattr(writer, "MOST_WAITING", 0)
    station = Station(Records(str(tmp_path / "log.db"), create=True), Metrics(), False)
    with pytest.raises(writer.ProblemError, match="try again later"):
        asyncio.run(station.tell("0" * 16, 0, 1, ""))


def answers_in(path):
    records = Records(str(path), create=False)
    try:
        return len(list(records.read()))
    finally:
        records.close()


@pytest.mark.parametrize("replaced", [True, False])
def test_a_log_that_was_moved_alone_can_be_completed(replaced, tmp_path, caplog):
    path, moved = tmp_path / "log.db", tmp_path / "moved.db"
    other = Records(str(tmp_path / "other.db"), create=True)
    other.write(rows_of(1, start=90))
    other.close()
    records = Records(str(path), create=True)
    for number in range(5):
        records.write(rows_of(1, start=number))
    path.rename(moved)
    if replaced:
        (tmp_path / "other.db").rename(path)
    records.write(rows_of(2, start=5))
    aside = tmp_path / "log.db-wal-1"
    assert f"{aside} holds the last answers of the old file" in caplog.text
    aside.rename(tmp_path / "moved.db-wal")
    assert answers_in(moved) == 5
    assert answers_in(path) == 2 + replaced
    records.close()
    assert not (tmp_path / "log.db-wal").exists()
    shutil.copy(path, tmp_path / "copy.db")
    assert answers_in(tmp_path / "copy.db") == 2 + replaced


@pytest.mark.parametrize("moved", [True, False])
def test_a_log_that_is_taken_away_is_begun_again(moved, tmp_path, caplog):
    path = tmp_path / "station" / "log.db"
    path.parent.mkdir()
    records = Records(str(path), create=True)
    records.write(rows_of(2))
    if moved:
        path.rename(tmp_path / "old.db")
    else:
        path.unlink()
    records.write(rows_of(3, start=2))
    assert f"{path}: was removed or replaced" in caplog.text
    records.write(rows_of(1, start=5))
    assert len(list(Records(str(path), create=False).read())) == 4
    assert len(caplog.records) == 1
    for file in path.parent.iterdir():
        file.unlink()
    path.parent.rmdir()
    with pytest.raises(OperationalError, match="unable to open"):
        records.write(rows_of(1, start=6))
    path.parent.mkdir()
    records.write(rows_of(1, start=6))
    assert len(list(Records(str(path), create=False).read())) == 1
    records.close()
