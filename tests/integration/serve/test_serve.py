"""`experience-tui serve` for real: who comes in, what they get, and that nothing of it is left behind."""

import asyncio
import json
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

from tests.each import each
from tests.fakes import until
from tests.integration.serve.serving import ROOT, Place, Served, client, end, owner, place, serving, wait_for
from tests.watching import gone
from tui.serve.session import EndReason

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return place(tmp_path_factory.mktemp("serve"))


@pytest.fixture(scope="module")
def loop_of_opus(here: Place) -> Iterator["subprocess.Popen[str]"]:
    with owner(here) as process:
        yield process


@pytest.fixture(scope="module")
def server_of_three(here: Place, loop_of_opus: Any) -> Iterator[Served]:
    with serving(here, "--screens=3") as server:
        yield server


@pytest.fixture
async def served(server_of_three: Served) -> Served:
    """A screen takes its place until its process has gone, which a test before may have left to others."""
    await until(lambda: len(server_of_three.monitors()) <= 1, "all three screens are free")
    return server_of_three


class Screen:
    """A browser's end of a screen, without a browser."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket, self.painted, self.said = socket, b"", []  # type: bytes, list[Any]
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for message in self.socket:
            if message.type is aiohttp.WSMsgType.BINARY:
                self.painted += message.data
            else:
                self.said.append(json.loads(message.data))

    def shows(self, text: str) -> bool:
        return text.encode() in self.painted

    async def there(self) -> None:
        """Its monitor runs behind everything else, so a busy machine lets it wait."""
        await until(lambda: self.shows("note"), "the fleet is there", 75)

    async def press(self, *keys: str) -> None:
        for key in keys:
            await self.socket.send_json(["stdin", key])

    async def over(self) -> int | None:
        """The code that the screen was closed with."""
        await asyncio.wait_for(self._reading, 75)
        return self.socket.close_code


@asynccontextmanager
async def opened(served: Served, **query: int) -> AsyncIterator[Screen]:
    async with client() as session:
        size = {"width": 120, "height": 40} | query
        headers = {"Cookie": await served.cookie(), "Origin": served.url}
        async with session.ws_connect(f"{served.url}/ws", params=size, headers=headers) as socket:
            yield Screen(socket)


# ------------------------------------------------------------------ who comes in


async def test_the_link_gives_a_strict_cookie_and_leaves_the_address_bar(served):
    answer = await served.request(f"/?token={served.token}")
    assert answer.status == 303 and answer.headers["Location"] == "/"
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie and "Path=/" in cookie
    assert served.token not in cookie
    page = await served.request("/", cookie=cookie.partition(";")[0])
    assert page.status == 200 and "text/html" in page.headers["Content-Type"]
    assert served.token not in await page.text()


@each("path", ["/", "/page/page.js", "/healthz", "/metrics", "/static/js/textual.js", "/ws", "/nothing"])
async def test_without_cookie_or_token_there_is_nothing_to_see(served, path):
    answer = await served.request(path)
    assert answer.status == 401 and answer.headers["WWW-Authenticate"] == "Bearer"
    evil = await served.request(path, cookie=await served.cookie(), host="evil.example")
    assert evil.status == 403
    evil = await served.request(path, cookie=await served.cookie(), origin="http://evil.example")
    assert evil.status == 403


async def test_a_wrong_token_is_refused_and_logged_without_it(served):
    answer = await served.request("/?token=" + "a-guess" * 9)
    assert answer.status == 401 and "Set-Cookie" not in answer.headers
    await until(lambda: "a wrong token" in served.log.read_text(), "it is in the log")
    assert "a-guess" not in served.log.read_text()


@each(
    "changed, status",
    [
        ({"Cookie": ""}, 401),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": ""}, 403),
        ({"Host": "evil.example"}, 403),
    ],
)
async def test_no_page_of_another_site_opens_a_screen(served, changed, status):
    headers = {"Cookie": await served.cookie(), "Origin": served.url} | changed
    async with client() as session:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await session.ws_connect(f"{served.url}/ws", headers=headers)
    assert refused.value.status == status


async def test_no_page_of_another_site_opens_a_screen_without_saying_where_it_is_from(served):
    async with client() as session:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await session.ws_connect(f"{served.url}/ws", headers={"Cookie": await served.cookie()})
    assert refused.value.status == 403


@each("path", ["/", "/nothing", "/healthz", "/static/js/textual.js", "/static/", "/download/x"])
@each("known", [True, False])
async def test_every_answer_is_protected(served, path, known):
    answer = await served.request(path, **({"cookie": await served.cookie()} if known else {}))
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "http" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Cache-Control"] in ("no-store", "no-cache")
    assert answer.headers["Server"] == "experience"
    assert path.startswith("/static/") or answer.headers["Cache-Control"] == "no-store"


async def test_the_pages_name_no_other_host(served):
    cookie = await served.cookie()
    for path in ("/", "/page/page.css", "/page/page.js", "/static/css/xterm.css"):
        text = await (await served.request(path, cookie=cookie)).text()
        assert "//fonts." not in text and "url(http" not in text and 'href="http' not in text
    assert (await served.request("/static/%2e%2e/server.py", cookie=cookie)).status == 404
    assert (await served.request("/static/", cookie=cookie)).status == 403
    assert (await served.request("/", "POST", cookie=cookie)).status == 405


async def test_too_many_wrong_tokens_have_to_wait(here, loop_of_opus):
    with serving(here) as server:
        codes = [(await server.request("/healthz", authorization="Bearer guess")).status for _ in range(12)]
        assert codes == [401] * 10 + [429] * 2
        answer = await server.request("/healthz", authorization=f"Bearer {server.token}")
        assert answer.status == 429 and 0 < int(answer.headers["Retry-After"]) <= 6


# ------------------------------------------------------------------ a screen


async def test_a_key_forces_a_task_and_the_screen_shows_it(served, here):
    async with opened(served) as screen:
        await screen.there()
        before = here.ran()
        await screen.press("g", "j", "f")  # the first row is the wake's
        await until(lambda: here.ran() > before, "the owner ran it")
        await until(
            lambda: screen.shows("×") or screen.painted.count(b"note") > 1, "the row is painted again"
        )


async def test_a_screen_of_any_size_changes_with_its_window(served):
    async with opened(served, width=60, height=12) as screen:
        await screen.there()
        screen.painted = b""
        await screen.socket.send_json(["resize", {"width": 150, "height": 45}])
        await until(lambda: b"\x1b[45;1H" in screen.painted, "the 45th line is painted")


async def test_a_screen_that_is_quit_says_so_and_leaves_no_process(served):
    async with opened(served) as screen:
        await screen.there()
        await screen.press("q")
        assert await screen.over() == EndReason.QUIT
    await until(lambda: len(served.monitors()) <= 1, "its monitor has ended")


async def test_a_monitor_that_dies_is_said_to_the_page(here, loop_of_opus):
    with serving(here) as server:
        await until(server.monitors, "one waits for its tab")
        (monitor,) = server.monitors()
        async with opened(server) as screen:
            await screen.there()
            monitor.kill()
            assert await screen.over() == EndReason.BROKEN
        async with opened(server) as screen:
            await screen.there()  # a new one


async def test_so_many_screens_and_no_more(served):
    async with opened(served) as one, opened(served), opened(served):
        async with opened(served) as fourth:
            assert await fourth.over() == EndReason.FULL
        await one.there()  # the others go on
    await until(lambda: len(served.monitors()) <= 1, "only the one in reserve is left")


async def test_nonsense_from_a_page_ends_its_screen_alone(served):
    async with opened(served) as other:
        for nonsense in ("{", '["quit"]', "[" * 5000):
            async with opened(served) as screen:
                await screen.socket.send_str(nonsense)
                assert await screen.over() == EndReason.INVALID
            await until(lambda: len(served.monitors()) <= 2, "its place is free again")
        await other.there()  # the other goes on


async def test_a_screenshot_goes_to_the_browser(served):
    async with opened(served) as screen:
        await screen.there()
        await screen.press("S")
        await until(lambda: screen.said, "the page has the news")
        what, key = screen.said[0]
        cookie = await served.cookie()
        assert what == "deliver_file_start"
        picture = await served.request(f"/download/{key}", cookie=cookie)
        assert picture.headers["Content-Disposition"].startswith('attachment; filename="experience-')
        assert (await picture.text()).endswith("</svg>\n") and len(await picture.text()) > 10_000
        assert (await served.request(f"/download/{key}", cookie=cookie)).status == 404


async def test_a_read_only_server_refuses_to_force(here, loop_of_opus):
    with serving(here, "--read-only") as server:
        async with opened(server) as screen:
            await until(lambda: screen.shows("READ ONLY"), "it says so")
            before = here.ran()
            await screen.press("g", "f", "q")
            assert await screen.over() == EndReason.QUIT  # the keys before it were read, too
        assert here.ran() == before


async def test_a_forgotten_screen_ends(here, loop_of_opus):
    with serving(here, "--idle=1s") as server:
        async with opened(server) as screen:
            assert await screen.over() == EndReason.IDLE


# ------------------------------------------------------------------ ends


async def test_the_server_ends_with_all_that_it_started(here, loop_of_opus):
    with serving(here) as server:
        async with opened(server) as screen:
            await screen.there()
            monitors = server.monitors()
            server.process.send_signal(signal.SIGTERM)
            assert await screen.over() == EndReason.STOPPED
        assert await asyncio.to_thread(server.process.wait, 20) == 0
        assert monitors and all(gone(each.pid) for each in monitors)
    assert loop_of_opus.poll() is None


async def test_a_server_that_is_killed_leaves_no_process_either(here, loop_of_opus):
    with serving(here) as server:
        async with opened(server) as screen:
            await screen.there()
            await until(lambda: len(server.monitors()) == 2, "one is in reserve")
            monitors = server.monitors()
            server.process.kill()
            await until(lambda: all(gone(each.pid) for each in monitors), "they end by themselves")


async def test_a_monitor_that_hangs_is_killed_when_its_tab_is_closed(here, loop_of_opus):
    with serving(here) as server:
        await until(server.monitors, "one waits for its tab")
        (monitor,) = server.monitors()
        async with opened(server) as screen:
            await screen.there()
            assert monitor.nice() == min(
                19, psutil.Process(server.process.pid).nice() + 10
            )  # tasks come first
            monitor.suspend()
        await until(lambda: gone(monitor.pid), "it is gone")
        assert server.process.poll() is None


async def test_a_tab_that_reads_nothing_delays_no_other(here, loop_of_opus):
    with serving(here) as server, await deaf(server):
        async with opened(server) as screen:
            await screen.there()
            await until(lambda: len(server.monitors()) >= 2, "it has a monitor of its own")
        monitors = server.monitors()
        server.process.send_signal(signal.SIGTERM)
        await until(lambda: all(gone(each.pid) for each in monitors), "they are gone")
        assert await asyncio.to_thread(server.process.wait, 20) == 0


async def deaf(server: Served) -> socket.socket:
    """A browser that opens the largest screen there is and never reads."""
    name, _, port = server.host.partition(":")
    lines = [
        "GET /ws?width=500&height=200 HTTP/1.1",
        f"Host: {server.host}",
        f"Origin: {server.url}",
        f"Cookie: {await server.cookie()}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==",
    ]
    connection = socket.create_connection((name, int(port)))
    connection.sendall("\r\n".join([*lines, "", ""]).encode())
    return connection


# ------------------------------------------------------------------ health and metrics


async def healthz(server: Served) -> tuple[int, Any]:
    answer = await server.request("/healthz", authorization=f"Bearer {server.token}")
    return answer.status, await answer.json()


async def eventually(check: Any, words: str) -> None:
    async with asyncio.timeout(40):
        while not await check():  # noqa: ASYNC110 - another process answers, without a signal before
            await asyncio.sleep(0.1)


async def test_health_is_that_of_the_owners(tmp_path):
    alone = place(tmp_path)
    with serving(alone) as server:

        async def is_now(status: int, owner: str) -> bool:
            code, found = await healthz(server)
            return (code, found["citizens"]["opus"]["owner"]) == (status, owner)

        async def beats() -> bool:
            _, found = await healthz(server)
            return found["citizens"]["opus"]["heartbeat_age_seconds"] is not None

        assert await is_now(200, "free")  # none should be there
        assert "no process runs opus now" in server.log.read_text()
        with owner(alone) as process:
            await eventually(lambda: is_now(200, "alive"), "an owner that comes is seen")
            await eventually(beats, "and its heartbeat is asked for: at first only its lock was there")
            process.send_signal(signal.SIGSTOP)
            await eventually(lambda: is_now(503, "hung"), "its heart stands still")
            process.send_signal(signal.SIGCONT)
            await eventually(lambda: is_now(200, "alive"), "it beats again")
            process.kill()
            await eventually(lambda: is_now(503, "gone"), "it died")
        with owner(alone) as process:
            await eventually(lambda: is_now(200, "alive"), "another took over")
            end(process)
            await eventually(lambda: is_now(200, "free"), "it was given back")


async def test_metrics_count_each_run_once_over_an_owners_restart(tmp_path):
    alone = place(tmp_path)
    with serving(alone) as server:

        async def runs() -> tuple[float, float]:
            answer = await server.request("/metrics", authorization=f"Bearer {server.token}")
            lines = dict(line.rsplit(" ", 1) for line in (await answer.text()).splitlines() if line[0] != "#")
            ever = lines.get('experience_task_runs_total{citizen="opus",task="note"}', 0)
            seen = lines.get('experience_task_outcomes_total{citizen="opus",outcome="ok",task="note"}', 0)
            return float(ever), float(seen)

        async def are(ever: float) -> bool:
            return await runs() == (ever, ever)

        with owner(alone):
            await eventually(lambda: are(1), "the first run is counted")
            force(alone)
            await eventually(lambda: are(2), "a forced one, too")
        with owner(alone):
            force(alone)
            await eventually(lambda: are(3), "and one of the next owner")


def force(place: Place) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "tui", "force", "opus", "note", "--own-as-root", "--wait"],
        cwd=ROOT,
        env=place.environment,
        capture_output=True,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr


# ------------------------------------------------------------------ the command


def command(place: Place, *arguments: str, **more: Any) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-P", "-m", "tui", "serve", *arguments],
        cwd=ROOT,
        env=place.environment | more.pop("env", {}),
        capture_output=True,
        text=True,
        timeout=30,
        **more,
    )


@each(
    "arguments, words",
    [
        (["--host=0.0.0.0"], "--public-url https://"),
        (["--public-url=http://opus.example.org"], "only https://"),
        (["--citizen=opsu"], "did you mean opus"),
        (["--port=1", "--host=127.0.0.9", "--token-file=/dev/null"], "not a regular file"),
    ],
)
def test_what_a_person_can_get_wrong_is_one_line(here, arguments, words):
    done = command(here, *arguments)
    assert done.returncode == 2 and words in done.stderr
    assert len(done.stderr.splitlines()) == 1 and "Traceback" not in done.stderr


def test_a_port_that_is_taken_is_one_line(here, served):
    done = command(here, f"--port={served.host.rpartition(':')[2]}", f"--token-file={here.token}")
    assert done.returncode == 2 and "choose another with --port" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_without_its_packages_it_says_how_to_get_them(here, tmp_path):
    hidden = tmp_path / "sitecustomize.py"
    hidden.write_text("import sys\nsys.modules['textual_serve'] = None\nsys.modules['aiohttp'] = None\n")
    done = command(here, env={"PYTHONPATH": str(tmp_path)})
    assert done.returncode == 2 and "./run.sh serve" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_who_only_looks_is_not_said_to_be_refused(here, served):
    assert "not run here" not in served.log.read_text()
    logs = here.opus / "logs" / "experience.log"
    assert "not run here" not in logs.read_text()


def test_the_link_is_printed_again_on_demand(here, served):
    done = command(here, "--link", "--public-url=https://opus.example.org", f"--token-file={here.token}")
    assert (done.returncode, done.stdout) == (0, f"https://opus.example.org/?token={served.token}\n")


def test_the_token_is_in_no_log_no_file_but_its_own_and_no_process_list(here, served):
    everything = [each for each in here.folder.rglob("*") if each.is_file() and each != here.token]
    assert [each for each in everything if served.token.encode() in each.read_bytes()] == []
    for process in (psutil.Process(served.process.pid), *served.monitors()):
        assert served.token not in " ".join(process.cmdline())
        assert served.token not in str(process.environ())


def test_what_is_printed_into_a_file_is_without_the_token(tmp_path):
    alone, output = place(tmp_path), tmp_path / "output"
    with output.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "tui", "serve", "--port=0", f"--token-file={alone.token}"],
            cwd=ROOT,
            env=alone.environment,
            stdout=file,
            stderr=subprocess.DEVNULL,
        )
    try:
        wait_for(lambda: "\n" in output.read_text(), process)
        said = output.read_text()
        assert str(alone.token) in said and alone.token.read_text().strip() not in said
    finally:
        end(process)


def test_the_scheduler_and_the_monitor_start_without_the_browsers_packages():
    asked = "import sys, scheduler.runtime.headless, tui.__main__, tui.app, scheduler.cli.verbs.run_verb;"
    asked += "print(*({'aiohttp', 'prometheus_client', 'textual_serve', 'tui.serve'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", asked], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_the_packages_data_goes_along():
    assert {each.name for each in Path(ROOT, "tui", "serve", "page").iterdir()} >= {
        "page.html",
        "page.css",
        "page.js",
        "refused.html",
    }
