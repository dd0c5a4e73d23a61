"""The way to the network: limits, redirects, waiting, certificates, and what errors do not tell."""

import gzip
import ssl
import time
import tracemalloc
import zlib
from email.utils import formatdate

import pytest

from scheduler.core.secrets import Sensitive
from scheduler.errors import TaskFailed
from scheduler.handlers.net.http import LATER, LIMIT, Answer, NoAnswer, open_web, retry_after, status_problem
from scheduler.handlers.net.urls import address, redacted
from scheduler.schema.values import InvalidValue
from tests.each import each
from tests.handlers.email_check.dovecot import certificates
from tests.handlers.email_check.mail_servers import greeting, serving
from tests.handlers.net.web_servers import Reply, Site, site

SECRET = "s3cr3t-t0ken"


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


async def get(url: str, headers: dict[str, str] | None = None, timeout: float = 5.0) -> Answer:
    async with open_web(timeout) as web:
        return await web.get(url, headers)


async def problem(url: str, **more) -> NoAnswer:
    with pytest.raises(NoAnswer) as failed:
        await get(url, **more)
    assert SECRET not in str(failed.value) + repr(failed.value)
    assert isinstance(failed.value, TaskFailed)
    return failed.value


async def test_an_answer_of_any_status_comes_back():
    async with site() as there:
        answer = await get(there.at("/a", Reply(b"hello", 418, {"ETag": '"1"'})))
    assert (answer.status, answer.body, answer.headers["etag"]) == (418, b"hello", '"1"')
    assert status_problem(answer) == "answers HTTP 418"
    assert there.asked[0][1]["user-agent"].startswith("experience-tui")


async def test_what_is_compressed_is_inflated():
    text = b"hello" * 99
    for encoding, body in (
        ("gzip", gzip.compress(text)),
        ("deflate", zlib.compress(text)),
        ("deflate", zlib.compress(text)[2:-4]),
        ("identity", text),
    ):
        async with site() as there:
            answer = await get(there.at("/a", Reply(body, headers={"Content-Encoding": encoding})))
        assert answer.body == text, encoding


async def test_an_unusable_answer_is_a_problem():
    packed = {"Content-Encoding": "gzip"}
    for reply, words in (
        (Reply(b"x" * (LIMIT + 1)), "is longer than 10 MiB"),
        (Reply(gzip.compress(b"\0" * (LIMIT + 1)), headers=packed), "longer than 10"),
        (Reply(b"not gzip at all", headers=packed), "its compression is broken"),
        (Reply(b"x", headers={"Content-Encoding": "br"}), "in a way that was not asked for"),
        (Reply(b"half", cut=2), "the connection broke off"),
        (Reply(b"slowly", drip=0.3), "no answer within 1 s"),
    ):
        async with site() as there:
            assert words in (await problem(there.at("/a", reply), timeout=1.0)).why, words


@each("coding", ["UTF-8", "none", "identity", "binary", "8bit", "gzip, utf-8", "", "identity,identity"])
async def test_a_coding_that_is_no_compression_is_ignored(coding):
    """cpp-httplib 2518, FFmpeg 41: stores that send Content-Encoding: UTF-8."""
    body = gzip.compress(b"hello") if "gzip" in coding else b"hello"
    async with site() as there:
        assert (await get(there.at("/a", Reply(body, headers={"Content-Encoding": coding})))).body == b"hello"


@each("coding", ["br", "zstd", "gzip, gzip", "x-gzip", "deflate,br"])
async def test_a_compression_that_was_not_asked_for_is_not_inflated(coding):
    async with site() as there:
        found = await problem(there.at("/a", Reply(b"x", headers={"Content-Encoding": coding})))
    assert found.why == "is compressed in a way that was not asked for"


@each(
    "header",
    [
        b"X-Powered by nothing",
        b"X-A : b",
        b"X Cache: HIT",
        b"Transfer-Encoding: identity",
        b"Content-Length: x",
    ],
)
async def test_a_header_that_is_not_http_is_no_broken_connection(header):
    """httpx 1363 and 1561, httpx2 590: asked three times, and the network blamed."""
    asked = []

    def talk(connection):
        asked.append(connection.recv(65536))
        connection.sendall(b"HTTP/1.1 200 OK\r\n" + header + b"\r\nConnection: close\r\n\r\nhello")

    with serving(talk) as port:
        assert (await problem(f"http://127.0.0.1:{port}/a")).why == "its header is not HTTP"
    assert len(asked) == 1


@each("begun", [b"", b"HTTP/1.1 200 O", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"])
async def test_a_connection_that_breaks_is_still_one(begun):
    asked = []

    def talk(connection):
        asked.append(connection.recv(65536))
        connection.sendall(begun)

    with serving(talk) as port:
        assert (await problem(f"http://127.0.0.1:{port}/a")).why == "the connection broke off"
    assert len(asked) == 3


async def test_a_decompression_bomb_does_not_grow():
    bomb = gzip.compress(b"\0" * (200 << 20))  # 200 KB
    tracemalloc.start()
    try:
        async with site() as there:
            url = there.at("/a", Reply(bomb, headers={"Content-Encoding": "gzip"}))
            assert "longer than 10" in (await problem(url, timeout=20.0)).why
        assert tracemalloc.get_traced_memory()[1] < 5 * LIMIT
    finally:
        tracemalloc.stop()


# ------------------------------------------------------------------ once more


async def test_a_connection_that_breaks_is_tried_again():
    async with site() as there:
        answer = await get(there.at("/a", Reply(b"half", cut=2), Reply(b"whole")))
    assert answer.body == b"whole"


async def test_what_is_asked_for_is_waited_for():
    async with site() as there:
        url = there.at("/a", Reply(status=429, headers={"Retry-After": "1"}), Reply(b"now"))
        before = time.monotonic()
        assert (await get(url)).body == b"now"
    assert 0.9 < time.monotonic() - before < 4


@each("status", [429, 503])
async def test_a_wait_longer_than_the_run_ends_it_at_once(status):
    async with site() as there:
        late = formatdate(time.time() + 600, usegmt=True)
        for value, least in (("600", 600.0), (late, 590.0), ("9" * 30, LATER)):
            found = await problem(there.at("/a", Reply(status=status, headers={"Retry-After": value})))
            assert least <= found.later <= least + 20
        assert len(there.asked) == 3


async def test_an_invalid_wait_is_none():
    for value in ("", "soon", "-5", "²", "Mon, 99 Foo", "Mon, 99 Foo 2026 00:00:00 GMT"):
        assert retry_after(value) is None, value
    async with site() as there:
        assert (await get(there.at("/a", Reply(status=429, headers={"Retry-After": "soon"})))).status == 429


def test_a_wait_is_a_number_or_a_date():
    assert retry_after(" 7 ") == 7 and retry_after("0.1") == 0.1 and retry_after("9" * 40) == LATER
    assert retry_after(formatdate(time.time() + 60, usegmt=True)) == pytest.approx(60, abs=2)
    assert retry_after(formatdate(0, usegmt=True)) == 0


# ------------------------------------------------------------------ redirects


def leads(there: Site, place: str, to: str) -> str:
    return there.at(place, Reply(status=302, headers={"Location": to}))


async def test_redirects_are_followed_so_far():
    async with site() as there:
        there.at("/5", Reply(b"here"))
        for number in range(5):
            leads(there, f"/{number}", f"/{number + 1}")
        assert (await get(there.base + "/0")).body == b"here"
        leads(there, "/round", "/round")
        assert "more than 5 times" in (await problem(there.base + "/round")).why


async def test_strangers_learn_no_secret():
    async with site() as there, site() as stranger:
        goal = stranger.at("/b", Reply(b"b"))
        url = leads(there, "/a", goal).replace("//", f"//me:{SECRET}@")
        await get(url, {"x-api-key": SECRET, "if-none-match": '"1"'})
        assert "authorization" in there.asked[0][1] and there.asked[0][1]["x-api-key"] == SECRET
        assert SECRET not in str(stranger.asked) and "authorization" not in stranger.asked[0][1]
        assert stranger.asked[0][1]["if-none-match"] == '"1"'
        there.at("/home", Reply(b"home"))
        await get(leads(there, "/c", there.base + "/home").replace("//", f"//me:{SECRET}@"))
        assert "authorization" in there.asked[-1][1]


@each("place", ["file:///etc/passwd", "ftp://127.0.0.1/x", "javascript:alert(1)"])
async def test_a_redirect_stays_on_the_web(place):
    async with site() as there:
        assert "not on the web" in (await problem(leads(there, "/a", place))).why


# ------------------------------------------------------------------ TLS


@pytest.mark.needs("openssl")
async def test_certificates_are_looked_at(tmp_path, monkeypatch):
    certificates(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    for name, words in (
        ("good", ""),
        ("expired", "has expired"),
        ("other", "not valid for"),
        ("alone", "self"),
    ):
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(tmp_path / f"{name}.pem", tmp_path / "server.key")
        async with site(server) as there:
            url = there.at("/a", Reply(b"hello"))
            if words:
                said = (await problem(url)).why
                assert said.startswith("its certificate is not accepted: ") and words in said
            else:
                assert (await get(url)).body == b"hello"
                leads(there, "/down", "http://127.0.0.1:1/")
                assert "from https to http" in (await problem(there.base + "/down")).why


async def test_a_server_without_tls_is_said():
    with serving(greeting(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as port:
        assert (await problem(f"https://127.0.0.1:{port}/a")).why.startswith("no TLS connection")


# ------------------------------------------------------------------ what errors tell


@each(
    ("url", "words"),
    [
        (f"http://127.0.0.1:1/a?key={SECRET}", "http://127.0.0.1:1/a: connection refused"),
        (f"http://me:{SECRET}@127.0.0.1:1/", "http://127.0.0.1:1/: connection refused"),
        (Sensitive(f"http://127.0.0.1:1/{SECRET}"), "http://127.0.0.1:1: connection refused"),
        (f"http://unknown.invalid/?{SECRET}", "http://unknown.invalid/: "),
    ],
)
async def test_an_error_names_the_place_without_what_is_secret(url, words, caplog):
    caplog.set_level("DEBUG")
    assert words in str(await problem(url))
    assert SECRET not in caplog.text


async def test_no_address_reaches_a_log(caplog):
    caplog.set_level("DEBUG")
    async with site() as there:
        await get(there.at(f"/a?key={SECRET}", Reply(b"x")))
    assert SECRET not in caplog.text


@each("value", ["", "example.org", "ftp://a/b", "http://", "http://a:b/", "http://a b/", 3])
def test_what_is_no_address_is_refused(value):
    with pytest.raises(InvalidValue):
        address(value)


def test_an_address_does_not_show_itself():
    assert SECRET not in repr(address(f"https://a:{SECRET}@example.org/x?{SECRET}"))
    assert redacted("https://u:p@[::1]:8443/x?y#z") == "https://[::1]:8443/x"
