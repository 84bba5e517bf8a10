"""The service: a real process on 127.0.0.1."""

import asyncio
import base64
import contextlib
import http.client
import io
import json
import os
import re
import signal
import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from adacl import AnomalyDetector
from adacl.deploy.export import export_model
from adacl.explain.heatmap import to_png
from adacl.explain.maps import anomaly_map
from adacl.model.file import save_model
from adacl.runtime import Scorer
from adacl.serve.counters import Metrics
from adacl.serve.guard import Guard
from support.helpers import refused, write_images
from support.serving import (
    BOUNDARY,
    WAIT_SECONDS,
    multipart,
    serving,
    write_model,
    write_tiled_model,
)

KIND = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("serve")


@pytest.fixture(scope="module")
def models(folder, digits):
    threes = digits.of(3)[:60]
    return {"three": write_model(folder, threes), "tiled": write_tiled_model(folder, threes)}


@pytest.fixture(scope="module")
def service(models):
    with serving(*models.values()) as service:
        yield service


@pytest.fixture(scope="module")
def scorers(models, folder):
    export_model(models["tiled"], folder / "tiled.onnx", dynamic_batch=True)
    return {"three": Scorer(models["three"]), "tiled": Scorer(folder / "tiled.onnx")}


@pytest.fixture(scope="module")
def files(folder, digits):
    paths = write_images(folder / "all", digits.images[:400])
    return {path.name: path.read_bytes() for path in paths}


@pytest.fixture(scope="module")
def expected(scorers, folder, files):
    found = scorers["three"].score_files([folder / "all" / name for name in files])
    return {score.path.name: score.raw for score in found}


def test_every_image_scores_as_offline(service, files, expected, scorers):
    threshold = scorers["three"].threshold.value
    names = list(files)
    for start in range(0, len(names), 50):
        part = names[start : start + 50]
        answer = service.send((name, files[name]) for name in part)
        assert answer.status == 200
        assert answer.json["model"] == "three"
        assert answer.json["threshold"] == threshold
        results = answer.json["results"]
        assert [result["name"] for result in results] == part
        for result in results:
            raw = expected[result["name"]]
            assert result["raw_score"] == pytest.approx(raw, abs=1e-6)
            assert result["pred_score"] == pytest.approx(min(1, max(0, raw)), abs=1e-6)
            assert result["pred_label"] == int(raw > threshold)
            assert (result["height"], result["width"]) == (8, 8)


def test_many_clients_get_their_own_answers(service, files, expected):
    def one(name):
        answer = service.score(files[name])
        return answer.json["results"][0]["raw_score"]

    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(one, files))
    assert found == pytest.approx(list(expected.values()), abs=1e-6)
    metrics = service.ask("/metrics").body.decode()
    counts = [
        int(float(n)) for n in re.findall(r"^adacl_batch_images_bucket.* (\S+)$", metrics, re.M)
    ]
    assert counts[-1] > counts[0], "no batch of more than one image"


def test_threshold_and_model_are_chosen_by_the_request(service, files, folder, scorers):
    name = next(iter(files))
    answer = service.score(files[name], "threshold=-5").json
    assert answer["threshold"] == -5
    assert answer["results"][0]["pred_label"] == 1
    assert service.score(files[name], "threshold=9").json["results"][0]["pred_label"] == 0

    path = folder / "large" / "0003.png"
    image = Image.open(path).rotate(90, expand=True)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    (result,) = service.score(buffer.getvalue(), "model=tiled").json["results"]
    score = scorers["tiled"].score_decoded([np.asarray(image)[..., None]])[0]
    assert result["raw_score"] == pytest.approx(score.raw, abs=1e-6)
    assert result["tile"] == list(score.tile)
    assert (result["height"], result["width"]) == (image.height, image.width)


@pytest.mark.parametrize("model", ["three", "tiled"])
def test_anomaly_map_is_the_one_of_explain(service, scorers, folder, files, model):
    source = folder / ("large" if model == "tiled" else "all") / "0005.png"
    answer = service.score(source.read_bytes(), f"model={model}&anomaly_map=true")
    found = answer.json["results"][0]["anomaly_map"]
    mine = anomaly_map(scorers[model], scorers[model].decode(source).pixels)
    scale = scorers[model].header.map_scale
    assert base64.b64decode(found["png"]) == to_png(mine, scale)
    assert found["range"] == [scale.usual, scale.far]
    row, column = np.unravel_index(mine.argmax(), mine.shape)
    assert found["peak"] == pytest.approx(
        [(row + 0.5) / mine.shape[0], (column + 0.5) / mine.shape[1]]
    )


def test_large_anomaly_maps_are_made_smaller(service, folder):
    image = Image.open(folder / "large" / "0001.png").resize((1500, 60))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    (result,) = service.score(buffer.getvalue(), "model=tiled&anomaly_map=1").json["results"]
    shown = Image.open(io.BytesIO(base64.b64decode(result["anomaly_map"]["png"])))
    assert shown.size == (1024, 41)


def test_good_and_bad_files_together(service, files, expected):
    good = list(files)[:2]
    sent = [(good[0], files[good[0]]), ("broken.png", b"no image"), (good[1], files[good[1]])]
    answer = service.send(sent)
    assert answer.status == 200
    first, broken, last = answer.json["results"]
    assert (first["raw_score"], last["raw_score"]) == pytest.approx(
        [expected[n] for n in good], abs=1e-6
    )
    assert broken["error"]["status"] == 422
    assert broken["error"]["detail"] == "broken.png: cannot be read (not an image)"
    assert "pred_score" not in broken


@pytest.mark.parametrize("kind", ["gif", "jpeg2000", "ppm"])
def test_images_of_kinds_that_are_not_taken_are_not_called_damaged(service, kind):
    buffer = io.BytesIO()
    Image.new("L", (28, 28), 90).save(buffer, kind)
    answer = service.send([("part.img", buffer.getvalue())])
    assert answer.status == 422
    assert answer.detail == (
        "part.img: cannot be read (GIF, JPEG 2000 or PNM; send PNG, JPEG, BMP, TIFF or WebP)"
    )


def test_no_good_file_is_a_problem(service):
    answer = service.send([("broken.png", b"no image")])
    assert answer.status == 422
    assert answer.detail == "broken.png: cannot be read (not an image)"
    assert answer.json["name"] == "broken.png"
    answer = service.send([("a.png", b"no image"), ("b.png", b"")])
    assert answer.status == 422
    assert answer.detail == "none of 2 files can be scored"
    assert [error["name"] for error in answer.json["errors"]] == ["a.png", "b.png"]


@pytest.mark.skipif(sys.platform != "linux", reason="the memory of another process is limited")
def test_too_little_memory_is_not_the_image_s_fault(models, folder, files):
    resource = pytest.importorskip("resource")
    buffer = io.BytesIO()
    Image.new("RGB", (6000, 6000)).save(buffer, "PNG")  # 108 MB of pixels, sent as 0.1
    large, (name, small) = buffer.getvalue(), next(iter(files.items()))
    with serving(models["three"], "--workers", 1, "--data", folder / "short") as service:
        assert service.score(small).status == 200
        status = Path(f"/proc/{service.process.pid}/status").read_text()
        used = int(re.search(r"VmSize:\s+(\d+) kB", status)[1]) << 10
        most = used + (64 << 20)
        resource.prlimit(service.process.pid, resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))
        for answer in (
            service.score(large),
            service.send([("image", large), ("image", large), ("none.png", b"no image")]),
            service.send([*[(name, small)] * 10, ("image", large)], "/v1/trainings?name=short"),
        ):
            assert answer.status == 503
            told = answer.json["errors"][0]["detail"] if "errors" in answer.json else answer.detail
            assert told.startswith("image: not enough memory for this image; try again when more")
            assert int(answer.headers["retry-after"]) > 0
        good, bad = service.send([(name, small), ("image", large)]).json["results"]
        assert "pred_score" in good
        assert bad["error"]["status"] == 503
        assert service.score(small).status == 200
        assert service.ask("/v1/trainings").json["trainings"] == []


def test_models_tell_what_a_client_needs(service, models, scorers):
    told = service.ask("/v1/models").json
    assert [model["name"] for model in told["models"]] == ["three", "tiled"]
    three, tiled = told["models"]
    assert (three["height"], three["width"], three["channels"]) == (8, 8, 1)
    assert (three["tiled"], tiled["tiled"]) == (False, True)
    assert three["threshold"] == json.loads(json.dumps(scorers["three"].threshold.to_dict()))
    assert three["fingerprint"] == scorers["three"].header.fingerprint
    assert told["limits"]["max_files"] == 64
    assert told["training"]["available"] is True
    answer = service.ask("/v1/models/three/file")
    assert answer.body == models["three"].read_bytes()
    assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''three.onnx"
    assert "not trained here" in service.ask("/v1/models/three/file?format=adacl").detail


def test_page_and_description_come_from_here(service):
    page = service.ask("/")
    assert page.status == 200
    assert page.headers["content-type"].startswith("text/html")
    assert service.ask("/", headers={"If-None-Match": page.headers["etag"]}).status == 304
    docs = service.ask("/docs")
    for answer in (page, docs):
        assert not re.search(rb"(src|href)=\"(https?:)?//", answer.body)
        for path in re.findall(r"(?:src|href)=\"(/[^\"]+)", answer.body.decode()):
            assert service.ask(path).status == 200, path
    paths = service.ask("/openapi.json").json["paths"]
    assert paths.keys() >= {"/v1/score", "/v1/models", "/v1/trainings", "/healthz", "/metrics"}


def test_headers_of_every_answer(service, files):
    for answer in (service.ask("/"), service.ask("/no"), service.score(next(iter(files.values())))):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["permissions-policy"].startswith("camera=(self)")
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "server" not in answer.headers


def test_metrics_count(service, files):
    def value(name):
        text = service.ask("/metrics").body.decode()
        found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.M)
        return float(found[1]) if found else 0

    scored = 'adacl_images_total{label="anomalous",model="three"}'
    before = value(scored), value("adacl_refused_images_total")
    service.send(
        [("a.png", next(iter(files.values()))), ("b.png", b"no")], "/v1/score?threshold=-9"
    )
    assert value(scored) == before[0] + 1
    assert value("adacl_refused_images_total") == before[1] + 1
    assert value('adacl_requests_total{route="/v1/score",status="200"}') > 0
    assert value('adacl_request_seconds_count{route="/v1/score"}') > 0
    assert value("adacl_waiting_images") == 0
    assert value("adacl_held_bytes") == 0
    assert value("process_resident_memory_bytes") > 0


def test_health(service):
    assert service.ask("/healthz").json == {"status": "ok"}
    assert service.ask("/readyz").json == {"status": "ready"}
    for path in ("/healthz", "/", "/v1/models"):
        whole, head = service.ask(path), service.ask(path, method="HEAD")
        assert (head.status, head.body) == (200, b"")
        assert head.headers["content-length"] == str(len(whole.body))


def test_token_and_an_odd_name(models, files, tmp_path):
    content = next(iter(files.values()))
    odd = tmp_path / os.fsdecode(b"a b%3F#\xff.onnx")
    odd.write_bytes(models["three"].read_bytes())
    with serving(odd, ADACL_TOKEN="secret") as service:
        for path in ("/v1/models", "/metrics", "/v1/score", "/v1/trainings"):
            for given in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic secret"}):
                answer = service.ask(path, headers=given)
                assert answer.status == 401
                assert "Authorization: Bearer TOKEN" in answer.detail
                assert answer.headers["www-authenticate"] == "Bearer"
        headers = {"Authorization": "Bearer secret", "Content-Type": "image/png"}
        assert service.ask("/v1/score", content, headers).json["model"] == "a b%3F#?"
        assert b'model="a b%3F#?"' in service.ask("/metrics", headers=headers).body
        answer = service.ask("/v1/models/a%20b%253F%23%3F/file", headers=headers)
        assert answer.body == odd.read_bytes()
        for path in ("/", "/docs", "/openapi.json", "/healthz", "/readyz"):
            assert service.ask(path).status == 200


def test_overload_is_refused_honestly_and_passes(models, files, expected):
    names = list(files)
    with serving(models["three"], "--max-waiting", 64, "--workers", 1) as service:
        bodies = {
            start: multipart((name, files[name]) for name in names[start : start + 50])
            for start in range(0, 400, 50)
        }

        def one(number):
            start = number % 8 * 50
            answer = service.ask("/v1/score", bodies[start], KIND)
            if answer.status == 503:
                assert "are waiting already" in answer.detail
                assert 1 <= int(answer.headers["retry-after"]) <= 30
            else:
                assert answer.status == 200
                found = [result["raw_score"] for result in answer.json["results"]]
                wanted = [expected[name] for name in names[start : start + 50]]
                assert found == pytest.approx(wanted, abs=1e-6)
            return answer.status

        with ThreadPoolExecutor(32) as pool:
            statuses = list(pool.map(one, range(400)))
        assert {200, 503} == set(statuses)
        assert [one(number) for number in range(8)] == [200] * 8


def test_time_limit(models, folder):
    big = Image.effect_noise((2000, 2000), 80)
    buffer = io.BytesIO()
    big.save(buffer, "PNG")
    with serving(models["tiled"], "--max-seconds", 1) as service:
        started = time.monotonic()
        answer = service.score(buffer.getvalue(), "anomaly_map=true")
        assert answer.status == 504
        assert "not scored in time" in answer.detail
        assert time.monotonic() - started < 10
        small = (folder / "large" / "0000.png").read_bytes()
        assert service.score(small).status == 200, "the thread was not freed"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_graceful_stop_answers_what_was_sent(models, files, expected, number):
    names = list(files)
    answers, broken = [], []
    with serving(models["three"]) as service:

        def client(offset):
            reader = None
            for turn in range(100_000):
                try:
                    if reader is None:
                        connection = socket.create_connection(("127.0.0.1", service.port))
                        reader = connection.makefile("rb")
                except OSError:
                    return
                name = names[(offset * 37 + turn) % len(names)]
                head = "POST /v1/score HTTP/1.1\r\nHost: localhost\r\nContent-Length: "
                head += f"{len(files[name])}\r\n\r\n"
                connection.sendall(head.encode() + files[name])
                lines = list(iter(reader.readline, b"\r\n")) if reader.peek(1) else []
                if not lines:
                    broken.append(turn)
                    return
                headers = dict(line.strip().split(b": ", 1) for line in lines[1:])
                result = json.loads(reader.read(int(headers[b"content-length"])))["results"][0]
                answers.append((name, result["raw_score"]))
                if headers.get(b"connection") == b"close":
                    reader = None

        threads = [threading.Thread(target=client, args=(offset,)) for offset in range(8)]
        for thread in threads:
            thread.start()
        time.sleep(0.5)
        said = service.stop(number)
        for thread in threads:
            thread.join()
    assert not broken
    assert len(answers) > 50
    for name, raw in answers:
        assert raw == pytest.approx(expected[name], abs=1e-6)
    assert said.endswith("stopped\n")


def test_not_ready_while_stopping(models, folder):
    big = Image.effect_noise((1200, 1200), 80)
    buffer = io.BytesIO()
    big.save(buffer, "PNG")
    with (
        serving(models["tiled"]) as service,
        contextlib.closing(http.client.HTTPConnection("127.0.0.1", service.port)) as held,
        ThreadPoolExecutor(1) as pool,
    ):
        held.connect()
        slow = pool.submit(service.score, buffer.getvalue(), "anomaly_map=true")
        while b"adacl_held_bytes 0.0" in service.ask("/metrics").body:
            assert not slow.done()
        service.process.send_signal(signal.SIGTERM)
        status = 200
        while status == 200:
            held.request("GET", "/readyz")
            answer = held.getresponse()
            answer.read()
            status = answer.status
        assert (status, answer.headers["connection"]) == (503, "close")
        assert slow.result().status == 200
        assert service.process.wait(WAIT_SECONDS) == 0


def test_stopped_as_soon_as_it_says_that_it_listens():
    with serving() as service:
        assert service.stop().endswith("stopped\n")


def test_without_models(folder, files):
    with serving() as service:
        assert service.ask("/v1/models").json["models"] == []
        answer = service.score(next(iter(files.values())))
        assert answer.status == 404
        assert "none yet" in answer.detail


def test_method_that_is_not_possible(service):
    answer = service.ask("/v1/trainings/x", method="PUT")
    assert answer.status == 405
    assert answer.detail == "this method is not possible here"
    assert answer.headers["allow"] == "DELETE, GET, HEAD"
    for method in ("GET", "HEAD"):
        answer = service.ask("/v1/score", method=method)
        assert (answer.status, answer.headers["allow"]) == (405, "POST")


def test_unexpected_error_tells_nothing(caplog):
    async def broken(scope, receive, send):
        raise RuntimeError("secret")

    guard = Guard(broken, Metrics(), None, [])
    transport = httpx.ASGITransport(guard)

    async def ask():
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.get("/")

    answer = asyncio.run(ask())
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert "secret" not in answer.text
    assert "RuntimeError: secret" in caplog.text


def test_request_that_the_stop_cuts_off_is_told():
    async def stuck(scope, receive, send):
        await asyncio.Event().wait()

    async def main():
        sent = []

        async def send(message):
            sent.append(message)

        headers = [(b"host", b"localhost")]
        scope = {"type": "http", "method": "POST", "path": "/v1/trainings", "headers": headers}
        task = asyncio.create_task(Guard(stuck, Metrics(), None, [])(scope, None, send))
        await asyncio.sleep(0)
        task.cancel()
        await task
        assert sent[0]["status"] == 503
        assert b"the service is stopping" in sent[1]["body"]

    asyncio.run(main())


def test_command_refuses(models, folder, tmp_path, monkeypatch):
    assert "two models are called three" in refused(
        2, "serve", models["three"], folder / "three.adacl"
    )
    assert "no such file" in refused(3, "serve", tmp_path / "none.onnx")
    (tmp_path / "text.onnx").write_text("text")
    assert "not an adacl file" in refused(4, "serve", tmp_path / "text.onnx")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        message = refused(2, "serve", models["three"], "--port", port)
    assert f"cannot listen at 127.0.0.1 port {port} (Address already in use)" in message
    model = AnomalyDetector.load(folder / "three.adacl").model_
    save_model(model, tmp_path / "film.adacl", video={"any": 1})
    with monkeypatch.context() as patch:
        patch.delitem(sys.modules, "adacl.serve.server")
        patch.setitem(sys.modules, "uvicorn", None)  # as if the extra were not installed
        assert "a model for video, which adacl serve does not take" in refused(
            4, "serve", tmp_path / "film.adacl"
        )
    assert "may wait" in refused(2, "serve", models["three"], "--max-waiting", 10)
    assert "need a finite number above 0" in refused(
        2, "serve", models["three"], "--max-seconds", 0
    )
    for token in ("", "schlüssel", "two\nlines", " "):
        assert "need printable ASCII" in refused(2, "serve", "--port", 0, "--token", token)
    for host in ("https://parts.example.org", "parts.example.org:443", "*.example.org", ""):
        message = refused(2, "serve", "--port", 0, "--allow-host", host)
        assert f"--allow-host {host}: need a name such as parts.example.org alone" in message
    with monkeypatch.context() as patch:
        patch.setenv("ADACL_TOKEN", "")
        assert "ADACL_TOKEN: is empty" in refused(2, "serve", "--port", 0)
