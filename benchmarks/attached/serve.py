"""The browser: how soon Chromium shows the fleet, and what twenty tabs cost the owner that they look at."""

import asyncio
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.attached.owner import Owner
from benchmarks.child import HERE, MeasurementFailed, measure
from benchmarks.engine.load import Record, staggered
from benchmarks.engine.ours import Place, Watched, _InMemory
from benchmarks.homes import environment, settle
from benchmarks.numbers import Sample, middle, ratio
from benchmarks.table import Bar, Beside, Row
from scheduler.control.wire.server import Server
from scheduler.core.task import Task
from scheduler.engine.scheduler import Scheduler
from scheduler.storage.state_file import StateFile, States
from scheduler.storage.state_store import Store
from scheduler.system.unix_socket import socket_path

TABS = 20
JOBS = 21  # of three citizens: 6 runs, 12 changes a second
WORD = "t6"  # a task's name: only its owner's state brings it to a screen
DRIVER = HERE / "tests" / "integration" / "browser.mjs"
MODULES = HERE / ".node" / "node_modules"
LOADED = 5.0  # seconds until the next monitor waits for its tab
SEEN = 20.0  # seconds for a page to show the fleet

# A server of textual-serve's own for an empty app, without the font that its page wants from elsewhere.
PEER = """
import re, sys
from pathlib import Path
import textual_serve.server as served
folder = Path(sys.argv[1])
page = Path(served.__file__).parent / "templates" / "app_index.html"
(folder / page.name).write_text(re.sub(r"<link[^>]*https:[^>]*/>", "", page.read_text(), flags=re.S))
command = f"{sys.executable} -m benchmarks.screens.empty_app"
served.Server(command, port=int(sys.argv[2]), templates_path=folder).serve()
"""


def serve(quick: bool) -> Iterator[Row]:
    """First paint beside textual-serve's own, then the owner's lateness with and without tabs."""
    yield from _first_paint(2 if quick else 6)
    yield from _tabs(2 if quick else 3, 10 if quick else 20)


# ------------------------------------------------------------------ first paint


def _first_paint(repeats: int) -> Iterator[Row]:
    ours: list[Sample] = []
    peers: list[Sample] = []
    with TemporaryDirectory() as folder:
        root = Path(folder) / "root"
        root.mkdir()
        settle(root, 3)
        around = environment(root, XDG_STATE_HOME=folder)
        port = 8023
        with (
            closing(Owner(root, around)),
            _served(around) as link,
            _peer(Path(folder), port + 1) as peer,
            closing(Chromium(Path(folder) / "profile")) as chromium,
        ):
            for turn in range(repeats + 1):
                time.sleep(LOADED)
                mine, theirs = chromium.shows(link, "heartbeat"), chromium.shows(peer, "some words")
                if turn:  # the first one may have to compile
                    ours.append(mine)
                    peers.append(theirs)
    for key, what in (("painted", "first paint"), ("shown", "the citizens' states on screen")):
        took = middle(ours, key)
        beside = Beside("empty app by textual-serve", middle(peers, key) * 1e3, ratio(ours, peers, key))
        bars = (Bar("<= 1.5 s", took <= 1.5),)
        yield Row(f"in Chromium, {what}", took * 1e3, "ms", (beside,), bars)


class Chromium:
    """A headless browser, by playwright-core."""

    def __init__(self, profile: Path) -> None:
        node, chromium = shutil.which("node"), shutil.which("chromium")
        if not (node and chromium and (MODULES / "playwright-core").is_dir()):
            raise MeasurementFailed("chromium, node and playwright-core are needed: see .ci/run")
        self._process = subprocess.Popen(
            [node, DRIVER, MODULES, chromium, profile],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def shows(self, url: str, word: str) -> Sample:
        """Seconds until the page painted anything, and until this word was on it."""
        start = time.perf_counter()
        painted = self._ask("open", url=url)["milliseconds"] / 1e3
        while word not in self._ask("state")["screen"]:
            if time.perf_counter() > start + SEEN:
                raise MeasurementFailed(f"{word} was never on the page")
        shown = time.perf_counter() - start
        self._ask("shut")
        return {"painted": painted, "shown": shown}

    def close(self) -> None:
        self._process.communicate(timeout=20)

    def _ask(self, order: str, **more: Any) -> Any:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps({"order": order, "name": "page", **more}) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline() or '{"error": "the browser has died"}')
        if "error" in answer:
            raise MeasurementFailed(answer["error"])
        return answer["result"]


@contextmanager
def _served(around: Mapping[str, str]) -> Iterator[str]:
    """The link of a server."""
    with _process(["-m", "tui", "serve", "--port=0"], around) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()


@contextmanager
def _peer(folder: Path, port: int) -> Iterator[str]:
    with _process(["-c", PEER, str(folder), str(port)], environment(folder)) as process:
        assert process.stdout is not None
        while "Serving" not in (line := process.stdout.readline()):
            if not line:
                raise MeasurementFailed("textual-serve did not start")
        yield f"http://localhost:{port}"


@contextmanager
def _process(arguments: Sequence[str], around: Mapping[str, str]) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=HERE,
        env=dict(around),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=20)


# ------------------------------------------------------------------ twenty tabs


def _tabs(repeats: int, seconds: int) -> Iterator[Row]:
    floors, alone, looked_at = [], [], []
    for _ in range(repeats):
        floors.append(measure("engine.floor:lateness", jobs=JOBS, seconds=seconds))
        for samples, count in ((alone, 0), (looked_at, TABS)):
            with TemporaryDirectory() as folder:
                samples.append(measure("attached.serve:watched", folder=folder, count=count, seconds=seconds))
    for key in ("p50", "p99"):
        late = middle(looked_at, key)
        pair = (
            Beside("no tab", middle(alone, key), ratio(looked_at, alone, key)),
            Beside("floor", middle(floors, key), ratio(looked_at, floors, key)),
        )
        bars = (Bar("< 10 ms", late < 10),) if key == "p99" else ()
        yield Row(f"dispatch {key}, {TABS} tabs on {JOBS} jobs", late, "ms", pair, bars)
    beside = Beside("no tab", middle(alone, "cpu"))
    yield Row(f"owner's CPU with {TABS} tabs", middle(looked_at, "cpu"), "% of a core", (beside,))
    rate = middle(looked_at, "bytes") / seconds / TABS / 1e3
    bars = (Bar("none lost", not any(each["lost"] for each in looked_at)),)
    yield Row("over the wire to each tab", rate, "kB/s", (), bars)


@dataclass(slots=True)
class Open(Place):
    """Where the citizens live: in memory, with a home and a socket that monitors find."""

    servers: list[Server] = field(default_factory=list)

    async def citizen(self, number: int, tasks: Iterable[Task], store: Store) -> Scheduler:
        scheduler = await Place.citizen(self, number, tasks, store)
        self.servers.append(Server(scheduler, socket_path(self._home(number)), self._home(number)))
        await self.servers[-1].open()
        return scheduler

    def store(self, number: int, states: States) -> _InMemory:
        home = self._home(number)
        (home / ".experience").mkdir(parents=True)
        StateFile(home).save(states, version=1, durable=False)
        return _InMemory(states)


async def watched(folder: str, count: int, seconds: float) -> Sample:
    """How late runs begin while so many tabs look at them."""
    plan, record = staggered(JOBS), Record()
    root = Path(folder)
    await Watched(plan, record).take_in(Open(root))
    if not count:
        return {**await _window(record, seconds), "bytes": 0.0, "lost": 0.0}
    around = environment(root, XDG_STATE_HOME=folder)
    serve = await _start(around, "-m", "tui", "serve", "--port=0", f"--screens={count}")
    assert serve.stdout is not None
    link = await serve.stdout.readline()
    tabs = await _start(around, "-m", "benchmarks.attached.tabs", str(count), WORD)
    assert tabs.stdin is not None and tabs.stdout is not None
    tabs.stdin.write(link)
    if not await tabs.stdout.readline():
        raise MeasurementFailed("the tabs did not show the fleet")
    late = await _window(record, seconds)
    seen, _ = await tabs.communicate(b"")
    serve.terminate()
    await serve.wait()
    return {**late, **json.loads(seen)}


async def _window(record: Record, seconds: float) -> Sample:
    cpu, start = time.process_time(), time.perf_counter()
    late = await record.window(seconds, staggered(JOBS))
    return {**late, "cpu": 100 * (time.process_time() - cpu) / (time.perf_counter() - start)}


async def _start(around: Mapping[str, str], *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, *arguments),
        cwd=HERE,
        env=dict(around),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,  # as an owner in a service or in screen has one of its own
    )
