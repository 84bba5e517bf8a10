"""Hostile requests: each gets the answer that the docs promise, and scoring goes on."""

import contextlib
import gzip
import io
import re
import socket
import struct
import time
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image

from adacl.runtime import Scorer
from support.helpers import REPOSITORY, write_images
from support.serving import BOUNDARY, Answer, multipart, received, serving, write_model

KIND = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
PNG = {"Content-Type": "image/png"}
MEGABYTE = 1 << 20


@pytest.fixture(scope="module")
def known(tmp_path_factory, digits):
    """Return a model, a good image, and its score."""
    folder = tmp_path_factory.mktemp("hostile")
    model = write_model(folder, digits.of(3)[:60])
    (path,) = write_images(folder / "one", digits.of(7)[:1])
    return model, path.read_bytes(), Scorer(model)(path).raw


@pytest.fixture(scope="module")
def service(known):
    limits = ("--max-body", 2, "--max-files", 8, "--max-megapixels", 1, "--max-waiting", 64)
    slow = ("--max-seconds", 1.5, "--max-head-seconds", 1, "--max-connections", 20)
    with serving(known[0], *limits, *slow) as service:
        yield service


@pytest.fixture
def good(known):
    return known[1]


@pytest.fixture(autouse=True)
def _still_scores(service, known):
    yield
    answer = service.score(known[1])
    assert answer.status == 200
    assert answer.json["results"][0]["raw_score"] == pytest.approx(known[2], abs=1e-6)
    assert service.process.poll() is None


def png_bomb(good):
    """Return 100 megapixels of black that take 100 kB."""

    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", 10000, 10000, 8, 0, 0, 0, 0)
    data = zlib.compress(bytes(10001 * 10000), 1)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def tiff_bomb(good):
    """Return a TIFF that declares 4 gigapixels."""
    entries = [(256, 65535), (257, 65535), (258, 8), (259, 1), (262, 1), (273, 8), (277, 1)]
    entries += [(278, 65535), (279, 100)]
    table = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + table + bytes(4)


def many_scans(good):
    """Return a JPEG of a few kB whose decoder goes through the image a thousand times."""
    buffer = io.BytesIO()
    Image.new("L", (800, 800)).save(buffer, "JPEG", progressive=True)
    content = buffer.getvalue()[:-2]
    return content + content[content.rindex(b"\xff\xda") :] * 1000 + b"\xff\xd9"


def polyglot(good):
    """Return a JPEG that is also a page with a script, and an archive."""
    image = Image.open(io.BytesIO(good))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", comment=b"<html><script>alert(1)</script>")
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr("../evil.txt", "evil")
    return buffer.getvalue()


IMAGES = [
    ("PNG of 100 megapixels in 0.4 MB", png_bomb, 422, "more than 1 megapixels"),
    ("TIFF that declares 4,295 megapixels", tiff_bomb, 422, "more than 1 megapixels"),
    ("JPEG of 1,000 scans in 15 kB", many_scans, 422, "more than 100 scans"),
    ("truncated image", lambda good: good[:-30], 422, "cannot be read"),
    ("half an image header", lambda good: good[:20], 422, "cannot be read"),
    ("HTML named `.png`", lambda good: b"<html></html>", 422, "not an image"),
    ("SVG, PDF, archive named `.png`", lambda good: b"%PDF-1.7 <svg/>", 422, "not an image"),
    ("empty body", lambda good: b"", 400, "the body is empty"),
    ("body of 3 MB where 2 are allowed", lambda good: bytes(3 * MEGABYTE), 413, "is longer than"),
]


@pytest.mark.parametrize(("label", "make", "status", "detail"), IMAGES)
def test_image(service, good, label, make, status, detail):
    answer = service.score(make(good))
    assert answer.status == status
    assert detail in answer.detail


def test_bomb_costs_no_memory(service, good):
    def peak():
        text = Path(f"/proc/{service.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+)", text)[1]) / 1024

    service.score(good)
    before = peak()
    for make in (png_bomb, tiff_bomb):
        service.score(make(good))
    assert peak() - before < 50


def test_polyglot_is_an_image_and_nothing_else(service, good):
    content = polyglot(good)
    assert zipfile.is_zipfile(io.BytesIO(content))
    answer = service.send([("a.png", content)])
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert b"script" not in answer.body


BODIES = [
    ("9 files where 8 are allowed", multipart([("a.png", b"x")] * 9), 413, "more than 8 files"),
    (
        "15,000 parts",
        multipart([("", b"")] * 15_000),
        413,
        "more than 8 files",
    ),
    (
        "1,000 form fields",
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="a"\r\n\r\nx\r\n'.encode() * 1000
        + multipart([]),
        413,
        "more than 16 fields",
    ),
    ("no last boundary", multipart([("a.png", b"x")])[:-10], 400, "ends early"),
    (
        "other boundary than declared",
        multipart([("a", b"x")]).replace(b"a-b", b"b-b"),
        400,
        "malformed",
    ),
    ("no file among the parts", multipart([]), 400, "holds no file"),
    ("noise instead of parts", bytes(range(256)) * 100, 400, "malformed"),
    (
        "part with a head of 1 MB",
        f"--{BOUNDARY}\r\nX: ".encode() + b"x" * MEGABYTE,
        400,
        "malformed",
    ),
]


@pytest.mark.parametrize(("label", "body", "status", "detail"), BODIES)
def test_multipart(service, label, body, status, detail):
    answer = service.ask("/v1/score", body, KIND)
    assert answer.status == status, answer
    assert detail in answer.detail


KINDS = [
    ("`application/json`", "application/json", 415, "is not understood"),
    ("form of a page", "application/x-www-form-urlencoded", 415, "is not understood"),
    ("multipart without a boundary", "multipart/form-data", 400, "names no boundary"),
    ("boundary of 300 letters", "multipart/form-data; boundary=" + "x" * 300, 400, "malformed"),
]


@pytest.mark.parametrize(("label", "kind", "status", "detail"), KINDS)
def test_media_type(service, good, label, kind, status, detail):
    answer = service.score(good, kind=kind)
    assert answer.status == status
    assert detail in answer.detail


@pytest.mark.parametrize("path", ["/v1/score", "/v1/trainings?name=a"])
def test_compressed_bodies_are_refused(service, good, path):
    kind = KIND if "training" in path else {"Content-Type": "image/png"}
    answer = service.ask(path, gzip.compress(good), kind | {"Content-Encoding": "gzip"})
    assert answer.status == 415
    assert answer.detail == "the body is compressed (gzip); send it as it is"
    plain = service.ask("/v1/score", good, {"Content-Type": "image/png", "Content-Encoding": ""})
    assert plain.status == 200


NAMES = [
    ("../../etc/passwd", "passwd"),
    ("..\\..\\windows\\system.ini", "system.ini"),
    ("/etc/passwd", "passwd"),
    ("a\0b.png", "ab.png"),
    ("a\x1b[31mb.png", "a[31mb.png"),
    ("..", ".."),
    ("", "image"),
    ("x" * 5000 + ".png", "x" * 200),
    ("\u202egnp.exe", "gnp.exe"),
    ("Prüfung 部品.png", "Prüfung 部品.png"),
    ("<script>.png", "<script>.png"),
]


@pytest.mark.parametrize(("sent", "shown"), NAMES)
def test_name_is_only_echoed(service, good, sent, shown):
    if len(sent) > 4000:
        answer = service.send([(sent, good)])
        assert answer.status == 400
        assert "malformed" in answer.detail
        return
    answer = service.send([(sent, good)])
    assert answer.status == 200
    assert answer.json["results"][0]["name"] == shown
    answer = service.send([(sent, b"no image")])
    assert answer.detail.startswith(shown)


PATHS = [
    "/static/../app.py",
    "/static/%2e%2e/app.py",
    "/static/..%2fapp.py",
    "/static//etc/passwd",
    "/docs/..%2f..%2fcore.py",
    "/v1/models/..%2f..%2fetc%2fpasswd/file",
    "/v1/trainings/..%2f..%2fetc",
    "/static/%00",
    "//etc/passwd",
]


@pytest.mark.parametrize("path", PATHS)
def test_path_never_reaches_the_files(service, path):
    answer = service.ask(path)
    assert answer.status == 404
    assert answer.detail


QUERIES = [
    ("threshold=nan", 400, "need a finite number"),
    ("threshold=", 400, "need a finite number"),
    ("anomaly_map=maybe", 400, "need true or false"),
    ("model=none", 404, "no model is called 'none'; there are: three"),
    ("model=../three", 404, "no model is called"),
    ("treshold=0.5", 400, "treshold: unknown"),
]


@pytest.mark.parametrize(("query", "status", "detail"), QUERIES)
def test_query(service, good, query, status, detail):
    answer = service.score(good, query)
    assert answer.status == status
    assert detail in answer.detail


FOREIGN = [
    ("`Origin` of another site", {"Origin": "https://evil.example"}, "another site"),
    ("`Origin` that is none", {"Origin": "http://["}, "another site"),
    ("`Origin: null`", {"Origin": "null"}, "another site"),
    ("`Sec-Fetch-Site: cross-site`", {"Sec-Fetch-Site": "cross-site"}, "another site"),
    (
        "`Host` of another name (DNS rebinding)",
        {"Host": "evil.example:80"},
        "is not known by the name",
    ),
]


@pytest.mark.parametrize(("label", "headers", "detail"), FOREIGN)
def test_foreign(service, good, label, headers, detail):
    answer = service.ask("/v1/score", good, PNG | headers)
    assert answer.status == 403
    assert detail in answer.detail


def test_own_page_may(service, good):
    own = {"Origin": f"http://127.0.0.1:{service.port}", "Sec-Fetch-Site": "same-origin"}
    assert service.ask("/v1/score", good, PNG | own).status == 200
    assert service.ask("/v1/score", good, PNG | {"Host": "[::1]:80"}).status == 200
    assert service.ask("/v1/score", good, PNG | {"Host": "localhost"}).status == 200


def parsed(data: bytes) -> Answer:
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    return Answer(int(first.split()[1]), headers, body)


HEAD = b"POST /v1/score HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"
RAW = [
    (
        "head of 50 kB, complete",
        HEAD + b"X: " + b"x" * 50_000 + b"\r\n\r\n",
        431,
        "the head of the request is too long",
    ),
    ("not HTTP", b"\x16\x03\x01\x02\x00 TLS\r\n\r\n", 400, "not a valid HTTP request"),
    ("head of 100 kB", HEAD + b"X: " + b"x" * 100_000, 431, "the head of the request is too long"),
    (
        "1,000 lines in the head",
        HEAD + b"X: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n" * 1000,
        431,
        "the head of the request is too long",
    ),
    ("`Content-Length: -1`", HEAD + b"Content-Length: -1\r\n\r\n", 400, "not a valid HTTP"),
    ("two lengths", HEAD + b"Content-Length: 1\r\nContent-Length: 9\r\n\r\n", 400, "not a valid"),
    (
        "length and chunks (smuggling)",
        HEAD + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
        "not a valid HTTP request",
    ),
    (
        "`Upgrade` with a body",
        HEAD + b"Upgrade: h2c\r\nConnection: Upgrade\r\nContent-Length: 40\r\n\r\n"
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n",
        400,
        "Upgrade is not possible with a body",
    ),
    (
        "length of 1 GB declared, little sent",
        HEAD + b"Content-Length: 1000000000\r\n\r\nxx",
        413,
        "is longer than",
    ),
    ("less sent than declared", HEAD + b"Content-Length: 100\r\n\r\nxx", 408, "did not arrive"),
    ("half a head, then silence", HEAD, 408, "head of the request did not arrive in time"),
    ("no `Host`", b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n", 403, "is not known by the name"),
]


@pytest.mark.parametrize(("label", "data", "status", "detail"), RAW)
def test_raw(service, label, data, status, detail):
    started = time.monotonic()
    answer = parsed(service.raw(data))
    assert answer.status == status
    assert detail in answer.detail
    assert answer.headers["connection"] == "close"
    assert time.monotonic() - started < 5


def test_endless_chunks(service):
    """A body without a length is cut off at the limit."""
    with socket.create_connection(("127.0.0.1", service.port)) as connection:
        connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
        for _ in range(2 * MEGABYTE // 65536 + 2):
            connection.sendall(chunk)
        answer = parsed(received(connection))
    assert answer.status == 413


def test_endless_trailers(service, good):
    """Lines behind the last chunk are no way around the limit of the head."""
    body = b"%x\r\n%b\r\n0\r\n" % (len(good), good)
    head = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
    fields = b"X: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n" * 1000
    with socket.create_connection(("127.0.0.1", service.port)) as connection:
        connection.sendall(head + body)
        time.sleep(0.1)
        started = time.monotonic()
        with contextlib.suppress(OSError):
            for _ in range(10):
                connection.sendall(fields)
                time.sleep(0.05)
        assert received(connection) == b""
        assert time.monotonic() - started < 1
    ending = b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n" + body + b"X: y\r\n\r\n"
    assert parsed(service.raw(HEAD + ending)).status == 200


def test_slow_head(service):
    started = time.monotonic()
    answer = parsed(service.raw(HEAD + b"X: " + b"x" * 200, pause=0.02))
    assert answer.status == 408
    assert time.monotonic() - started < 8


def test_slow_body(service, good):
    head = HEAD + b"Content-Length: 200\r\n\r\n"
    with socket.create_connection(("127.0.0.1", service.port)) as connection:
        connection.sendall(head)
        started = time.monotonic()
        connection.settimeout(0.1)
        found = b""
        while not found and time.monotonic() - started < 10:
            connection.sendall(b"x")
            try:
                found = connection.recv(1 << 16)
            except TimeoutError:
                continue
    assert parsed(found).status == 408
    assert time.monotonic() - started < 5


def test_silence(service):
    with socket.create_connection(("127.0.0.1", service.port)) as connection:
        started = time.monotonic()
        assert received(connection) == b""
        assert 0.5 < time.monotonic() - started < 5


def test_more_connections_than_allowed(service, good):
    held = [socket.create_connection(("127.0.0.1", service.port)) for _ in range(30)]
    time.sleep(0.1)
    answer = service.score(good)
    assert answer.status == 503
    assert answer.headers["retry-after"] == "1"
    assert answer.detail == "too many connections"
    for connection in held:
        connection.close()
    time.sleep(0.2)


def test_damaged_parts_leave_no_lines_in_the_log():
    """The parser of the library warns of them; clients could fill a disk with its lines."""
    body = multipart([("a.png", b"x")]).replace(b"Content-Type", b"Content\rType")
    with serving() as service:
        assert service.ask("/v1/trainings?name=a", body, KIND).status == 400
        assert service.stop() == "stopped\n"


def test_clients_that_leave_are_not_served(service, good):
    for cut in (20, len(HEAD), len(HEAD) + 40):
        with socket.create_connection(("127.0.0.1", service.port)) as connection:
            connection.sendall((HEAD + b"Content-Length: 1000\r\n\r\n" + good)[:cut])
    body = multipart([("a.png", good)] * 8)
    head = f"POST /v1/score HTTP/1.1\r\nHost: localhost\r\nContent-Type: {KIND['Content-Type']}\r\n"
    for _ in range(10):
        with socket.create_connection(("127.0.0.1", service.port)) as connection:
            connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    deadline = time.monotonic() + 5
    held = waiting = None
    while (held, waiting) != ("0.0", "0.0") and time.monotonic() < deadline:
        text = service.ask("/metrics").body.decode()
        held = re.search(r"^adacl_held_bytes (\S+)$", text, re.M)[1]
        waiting = re.search(r"^adacl_waiting_images (\S+)$", text, re.M)[1]
    assert (held, waiting) == ("0.0", "0.0")


def test_pipelined_requests_are_answered_in_order(service, good):
    one = HEAD + f"Content-Length: {len(good)}\r\n\r\n".encode() + good
    last = one.replace(b"Host:", b"Connection: close\r\nHost:")
    found = service.raw(one * 20 + last)
    assert found.count(b"HTTP/1.1 200 OK") == 21


def test_good_requests_between_hostile_ones(service, known):
    """Many of both at the same time: the good ones are all answered, and rightly."""
    _, good, raw = known
    bad = [b"", b"junk", good[:-30], tiff_bomb(good), bytes(3 * MEGABYTE)]

    def one(number):
        if number % 2:
            return service.score(bad[number // 2 % len(bad)]).status
        answer = service.score(good)
        assert answer.json["results"][0]["raw_score"] == pytest.approx(raw, abs=1e-6)
        return answer.status

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(one, range(200)))
    assert statuses[::2] == [200] * 100
    assert set(statuses[1::2]) == {400, 413, 422}


def test_documented():
    """Each case is in the table of the documentation, with its status."""
    text = (REPOSITORY / "docs" / "reference" / "http.md").read_text()
    rows = dict(re.findall(r"^\| ([^|]+?) \| (\d{3}) \|", text, re.M))
    for label, *_, status, _detail in [*IMAGES, *BODIES, *KINDS, *RAW]:
        assert rows[label] == str(status)
    for label, *_ in FOREIGN:
        assert rows[label] == "403"
