"""Whoever can connect to the web server neither holds it shut nor fills or reads its log."""

import asyncio
import errno
import logging
import resource
from collections.abc import AsyncIterator, Callable

import pytest
from aiohttp import web

from scheduler.system.log_once import CountedWarning
from tests.each import each
from tests.fakes import FakeClock, until
from tests.integration.serve.serving import owner, place, serving
from tui.serve import connections
from tui.serve.access import AccessPolicy
from tui.serve.address import address
from tui.serve.connections import Connections, count_loop_errors
from tui.serve.credentials import Credentials
from tui.serve.middleware import HEADERS, Guard
from tui.serve.server import listening

TOKEN = "t0ken-" + "x" * 40
GET = f"GET /page HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"


class Site:
    """A server behind the guard, and raw connections to it."""

    def __init__(self, port: int, cookie: str) -> None:
        self.port, self.cookie = port, cookie
        self.held: list[asyncio.StreamWriter] = []

    async def connect(self, sent: bytes = b"") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(sent)
        self.held.append(writer)
        return reader, writer

    async def answer(self, sent: bytes) -> bytes:
        """What comes back until the server hangs up."""
        reader, _ = await self.connect(sent)
        async with asyncio.timeout(20):
            return await reader.read()

    async def page(self) -> bytes:
        return await self.answer(
            (GET % self.port).replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n").encode()
        )


@pytest.fixture
async def site(caplog: pytest.LogCaptureFixture) -> AsyncIterator[Site]:
    caplog.set_level(logging.DEBUG)
    clock, at, credentials = FakeClock(), address("127.0.0.1", 0, None), Credentials(TOKEN)
    hold = asyncio.Event()

    async def page(request: web.Request) -> web.Response:
        return web.Response(text="the page")

    async def broken(request: web.Request) -> web.Response:
        raise ValueError(f"a library quotes {request.headers} and {request.query}")

    async def slow(request: web.Request) -> web.Response:
        await hold.wait()
        return web.Response(text="late")

    app = web.Application(client_max_size=1024)
    policy = AccessPolicy(at, credentials)
    Guard(policy, clock).install(app)
    for path, view in (("/page", page), ("/broken", broken), ("/slow", slow)):
        app.router.add_get(path, view)
    runner = web.AppRunner(app, handle_signals=False)
    await runner.setup()
    async with listening(runner, at) as where:
        policy.address = where
        site = Site(where.port, credentials.cookie(clock.now()))
        site.release = hold.set
        yield site
    for writer in site.held:
        writer.close()
    await runner.cleanup()


# ------------------------------------------------------------------ what a client sent is in no log


MALFORMED: dict[str, Callable[[Site], str]] = {
    "a cookie of 9 KB": lambda s: (
        f"GET / HTTP/1.1\r\nHost: a\r\nCookie: experience={s.cookie}; o={'y' * 9000}\r\n\r\n"
    ),
    "a long query": lambda s: f"GET /?token={TOKEN}&{'z' * 9000} HTTP/1.1\r\nHost: a\r\n\r\n",
    "a stray byte": lambda s: f"GET /?token={TOKEN} HTTP/1.1\r\nHost: a\r\nCookie\x01: {s.cookie}\r\n\r\n",
    "a NUL": lambda s: f"GET /?token={TOKEN}\0 HTTP/1.1\r\nCookie: {s.cookie}\r\n\r\n",
    "no version": lambda s: f"GET /?token={TOKEN}\r\n\r\n",
    "an odd version": lambda s: f"GET / HTTP/{TOKEN}\r\nHost: a\r\n\r\n",
    "an odd method": lambda s: f"{TOKEN}@ / HTTP/1.1\r\nHost: a\r\n\r\n",
    "a space before a colon": lambda s: f"GET / HTTP/1.1\r\nCookie : {s.cookie} {TOKEN}\r\n\r\n",
    "a length that is none": lambda s: f"GET / HTTP/1.1\r\nContent-Length: {TOKEN}\r\n\r\n",
    "two lengths": lambda s: (
        f"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\nX: {TOKEN}\r\n\r\n"
    ),
    "many headers": lambda s: "GET / HTTP/1.1\r\n" + f"X: {TOKEN}\r\n" * 300 + "\r\n",
    "a chunk that is none": lambda s: f"GET / HTTP/1.1\r\nTransfer-Encoding: {TOKEN}\r\n\r\n",
}


@each("name", MALFORMED)
async def test_nothing_of_a_malformed_request_is_in_the_log_or_in_the_answer(site, caplog, name):
    answer = await site.answer(MALFORMED[name](site).encode("latin-1"))
    for text in (answer.decode("latin-1"), caplog.text):
        assert TOKEN not in text and site.cookie not in text and "yyyy" not in text and "zzzz" not in text
        assert "Traceback" not in text and "aiohttp/" not in text
    if answer:
        for header, value in HEADERS.items():
            assert f"{header}: {value}".encode() in answer
        assert b" 400 Bad Request\r\n" in answer or name == "no version"  # HTTP 0.9 is only refused


async def test_malformed_requests_are_one_line_however_many_come(site, caplog):
    for _ in range(50):
        await site.answer(f"{TOKEN}@ / HTTP/1.1\r\n\r\n".encode())
    lines = [each.getMessage() for each in caplog.records if each.name == "experience.serve"]
    assert lines == ["a malformed request from 127.0.0.1"]


async def test_an_error_that_quotes_a_request_is_logged_without_its_words(site, caplog):
    asked = (GET % site.port).replace("/page", "/broken?password=hunter2")
    reader, _ = await site.connect(asked.encode())
    answer = await asyncio.wait_for(reader.read(), 20)
    assert b"500 Internal Server Error" in answer and b"Server: experience" in answer
    assert TOKEN not in caplog.text and "hunter2" not in caplog.text + answer.decode()
    assert "a request broke: ValueError" in caplog.text and "in broken" in caplog.text


async def test_a_guesser_does_not_fill_the_log(site, caplog):
    for number in range(60):
        guess = f"GET /{number} HTTP/1.1\r\nHost: 127.0.0.1:{site.port}\r\nAuthorization: Bearer {number}\r\n"
        await site.answer(f"{guess}Connection: close\r\n\r\n".encode())
    lines = [each.getMessage() for each in caplog.records if "refused" in each.getMessage()]
    assert len(lines) == 2, "a wrong token, and too many of them"


# ------------------------------------------------------------------ half requests


@each("sent", [b"", b"GET / HTTP/1.1\r\nHost: a\r\n", b"GE"])
async def test_half_a_request_is_hung_up_on(site, sent, monkeypatch):
    monkeypatch.setattr(connections, "HEAD_WITHIN", 0.1)
    assert await site.answer(sent) == b""


async def test_a_request_that_drips_in_is_hung_up_on(site, monkeypatch):
    monkeypatch.setattr(connections, "HEAD_WITHIN", 0.2)
    reader, writer = await site.connect(b"GET / HTTP/1.1\r\n")

    async def drip() -> None:
        while True:
            writer.write(b"X: y\r\n")
            await asyncio.sleep(0.02)

    dripping = asyncio.create_task(drip())
    try:
        assert await asyncio.wait_for(reader.read(), 20) == b""
    except ConnectionError:
        pass
    finally:
        dripping.cancel()


async def test_a_second_request_on_a_connection_has_its_own_time(site, monkeypatch):
    monkeypatch.setattr(connections, "HEAD_WITHIN", 0.3)
    reader, writer = await site.connect((GET % site.port).encode())
    assert b"the page" in await asyncio.wait_for(reader.readuntil(b"the page"), 20)
    await asyncio.sleep(0.5)  # idle between two requests: it stays
    writer.write((GET % site.port).encode())
    assert b"the page" in await asyncio.wait_for(reader.readuntil(b"the page"), 20)
    writer.write(b"GET /pa")
    assert await asyncio.wait_for(reader.read(), 20) == b""


async def test_an_answer_may_take_longer_than_its_request(site, monkeypatch):
    monkeypatch.setattr(connections, "HEAD_WITHIN", 0.1)
    reader, writer = await site.connect((GET % site.port).replace("/page", "/slow").encode())
    await asyncio.sleep(0.3)
    writer.write(b"GET /")  # what a client sends meanwhile is not half a request yet
    await asyncio.sleep(0.3)
    site.release()
    assert b"late" in await asyncio.wait_for(reader.readuntil(b"late"), 20)


# ------------------------------------------------------------------ how many


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MOST", 12)
    monkeypatch.setattr(connections, "OF_AN_ADDRESS", 6)


async def test_a_crowd_of_half_requests_keeps_no_one_out(site, few, caplog):
    for _ in range(60):
        await site.connect(b"GET / HTTP/1.1\r\n")
    assert b"the page" in await site.page()
    assert [each.getMessage() for each in caplog.records if "too many" in each.getMessage()] == [
        "too many connections of 127.0.0.1"
    ]


async def test_who_was_admitted_keeps_its_connection(site, few):
    reader, writer = await site.connect((GET % site.port).encode())
    await reader.readuntil(b"the page")
    for _ in range(60):
        await site.connect(b"GET / HTTP/1.1\r\n")
    assert b"the page" in await site.page()
    writer.write((GET % site.port).encode())
    assert b"the page" in await asyncio.wait_for(reader.readuntil(b"the page"), 20)


class FakeConnection:
    gone = False

    def __init__(self, address: str, admitted: bool = False) -> None:
        self.address, self.admitted = address, admitted

    def abort(self) -> None:
        self.gone = True
        self.all.leave(self)


async def test_the_oldest_unknown_client_of_the_same_address_goes_first(few):
    crowd = Connections(None, {})
    FakeConnection.all = crowd
    old, *others = [FakeConnection("10.0.0.1") for _ in range(3)]
    same = [FakeConnection("10.0.0.2") for _ in range(6)]
    assert all(map(crowd.take, [old, *others, *same]))
    assert crowd.take(FakeConnection("10.0.0.2"))
    assert same[0].gone and not old.gone
    assert all(crowd.take(FakeConnection(f"10.0.1.{number}")) for number in range(4))
    assert old.gone and len(crowd) <= 12


async def test_with_admitted_clients_alone_a_further_one_is_refused(few):
    crowd = Connections(None, {})
    FakeConnection.all = crowd
    assert all(crowd.take(FakeConnection("10.0.0.1", admitted=True)) for _ in range(12))
    assert not crowd.take(FakeConnection("10.0.0.9"))


async def test_sockets_that_run_out_are_one_line(caplog):
    count_loop_errors(CountedWarning(logging.getLogger("experience.serve")))
    loop = asyncio.get_running_loop()
    for _ in range(1000):
        error = OSError(errno.EMFILE, "Too many open files")
        loop.call_exception_handler({"message": "socket.accept() out of system resource", "exception": error})
    loop.set_exception_handler(None)
    assert [each.getMessage() for each in caplog.records] == [
        "socket.accept() out of system resource: Too many open files"
    ]


@pytest.mark.timeout(90)
async def test_a_real_server_answers_its_user_among_half_requests(tmp_path):
    """At the usual soft limit of 1,024 descriptors, as many half requests held it shut, and its log grew."""
    here = place(tmp_path)
    with owner(here), serving(here) as served:
        soft, hard = resource.prlimit(served.process.pid, resource.RLIMIT_NOFILE)
        assert soft == hard
        host, _, port = served.host.rpartition(":")
        held = [await asyncio.open_connection(host, int(port)) for _ in range(600)]
        for _, writer in held:
            writer.write(b"GET / HTTP/1.1\r\n")
        answer = await served.request("/healthz", authorization=f"Bearer {served.token}")
        assert answer.status == 200
        for _, writer in held:
            writer.close()
        await until(lambda: "too many connections of 127.0.0.1" in served.log.read_text(), "it is said")
        assert len(served.log.read_text().splitlines()) < 10
