"""Screens on a running owner: how soon they show it, what changes in it, and that it has died."""

import json
import select
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.attached.owner import Owner
from benchmarks.child import MeasurementFailed
from benchmarks.homes import environment, settle
from benchmarks.numbers import middle, percentile, ratio
from benchmarks.screens.monitor import CITIZEN, EMPTY, FRAME
from benchmarks.screens.terminal import Terminal
from benchmarks.table import Bar, Beside, Row
from scheduler.system.unix_socket import socket_path

ATTACHED = ("-m", "tui", "--attach")
SCREENS = 10
LIMIT = 15.0  # seconds for any one thing to be shown
PAUSE = 0.37  # seconds between two forces: no whole part of the second in which countdowns are painted
LIVE = b"heartbeat"  # a task's name: only its owner's state brings it to the screen
GONE = b"is gone"

# Prints a new text each time; an error has its own line on the screen.
BEACON = """
from scheduler import TaskFailed

async def run(context):
    raise TaskFailed("m%05d" % int((context.home / "mark").read_text()))
"""


def attach(quick: bool) -> Iterator[Row]:
    """First frame, a force seen on ten screens, and an owner that is killed while they watch."""
    with TemporaryDirectory() as folder:
        root = Path(folder)
        settle(root, 3)
        around = environment(root, PYTHONPATH=folder)
        _lay_beacon(root)
        with closing(Owner(root, around)):
            yield from _first_frames(around, 2 if quick else 7)
        yield from _ten_screens(root, around, 12 if quick else 60)


# ------------------------------------------------------------------ first frame


def _first_frames(around: Mapping[str, str], repeats: int) -> Iterator[Row]:
    ours, full, empty = [], [], []
    for turn in range(repeats + 1):
        with closing(Terminal(ATTACHED, around)) as mine:
            frame = {"s": mine.shows(FRAME[("-m", "tui", "--own-as-root")])}
            live = {"s": mine.shows(LIVE)}
        with closing(Terminal(EMPTY, around)) as floor:
            nothing = {"s": floor.shows(FRAME[EMPTY])}
        if turn:  # the first start may have to compile
            ours.append(frame), full.append(live), empty.append(nothing)
    for what, samples in (("attach, first frame", ours), ("attach, the citizens' states on screen", full)):
        mine_s = middle(samples, "s")
        beside = Beside("empty app", middle(empty, "s") * 1e3, ratio(samples, empty, "s"))
        yield Row(what, mine_s * 1e3, "ms", (beside,), (Bar("<= 600 ms", mine_s <= 0.6),))


# ------------------------------------------------------------------ ten screens


def _lay_beacon(root: Path) -> None:
    (root / "beacon.py").write_text(BEACON)
    home = root / CITIZEN.decode()
    (home / "mark").write_text("0")
    states = json.loads((home / "background_tasks.json").read_text())
    states["last_run"]["beacon"] = time.time()
    (home / "background_tasks.json").write_text(json.dumps(states))
    (home / "experience.toml").write_text(
        '[tasks.beacon]\nevery = "1h"\nhandler = "beacon:run"\npriority = 0\n'
    )


def _ten_screens(root: Path, around: Mapping[str, str], forces: int) -> Iterator[Row]:
    owner = Owner(root, around)
    with ExitStack() as stack:
        stack.callback(lambda: owner.close())
        screens = [stack.enter_context(closing(Terminal(ATTACHED, around))) for _ in range(SCREENS)]
        all_show(screens, LIVE)
        for screen in screens:
            screen.watch(0.2)
        client = stack.enter_context(closing(Client(root / CITIZEN.decode())))
        yield from _forces(root, client, screens, forces)
        owner.kill()
        died = time.perf_counter()
        gone = all_show(screens, GONE) - died
        _watch(screens, 2.0)
        restarted = time.perf_counter()
        owner = Owner(root, around)
        ready = time.perf_counter() - restarted
        back = all_show(screens, b"pid %d" % owner.pid) - restarted
    bars = (Bar("<= 2 s", gone <= 2),)
    yield Row(f"owner killed, until the last of {SCREENS} screens says so", gone, "s", bars=bars)
    beside = Beside("until it listens again", ready, back / ready)
    yield Row(f"restarted, until all {SCREENS} screens are live", back, "s", (beside,))


def _forces(root: Path, client: "Client", screens: list[Terminal], forces: int) -> Iterator[Row]:
    painted: list[float] = []
    heard: list[float] = []
    for number in range(forces):
        (root / CITIZEN.decode() / "mark").write_text(str(number))
        _watch(screens, PAUSE)
        mark = b"m%05d" % number
        client.forget()
        start = time.perf_counter()
        client.ask("force", task="beacon")
        seen = _each_shows([client, *screens], mark)
        heard.append((seen.pop(0) - start) * 1e3)
        painted += [(at - start) * 1e3 for at in seen]
        _watch(screens, 0.2)
    for percent in (50, 99):
        mine, theirs = percentile(painted, percent), percentile(heard, percent)
        beside = Beside("a bare client of the socket", theirs, mine / theirs)
        bars = (Bar("< 200 ms", mine < 200),) if percent == 99 else ()
        yield Row(f"a force to its text on {SCREENS} screens, p{percent}", mine, "ms", (beside,), bars)


class Client:
    """The least that can watch and steer a citizen: what the socket alone takes."""

    def __init__(self, home: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(socket_path(home)))
        self._socket.setblocking(False)
        self._told = 0
        self.ask("watch")

    def ask(self, method: str, **params: str) -> None:
        self._told += 1
        message = {"jsonrpc": "2.0", "id": self._told, "method": method, "params": params}
        self._socket.sendall(json.dumps(message).encode() + b"\n")

    def fileno(self) -> int:
        return self._socket.fileno()

    def read(self) -> bytes:
        """What has come since the last look; does not wait."""
        try:
            return self._socket.recv(1 << 20)
        except BlockingIOError:
            return b""

    def forget(self) -> None:
        while self.read():
            pass

    def close(self) -> None:
        self._socket.close()


def _each_shows(sources: list["Client | Terminal"], text: bytes) -> list[float]:
    """When each of them brought this text."""
    found: dict[int, float] = {}
    tails = dict.fromkeys(range(len(sources)), b"")
    numbers = {source.fileno(): number for number, source in enumerate(sources)}
    end = time.perf_counter() + LIMIT
    while len(found) < len(sources):
        if (left := end - time.perf_counter()) <= 0:
            raise MeasurementFailed(f"{text.decode()} was not shown on {len(sources) - len(found)} screens")
        for descriptor in select.select(list(numbers), [], [], left)[0]:
            number = numbers[descriptor]
            tails[number] += sources[number].read()
            if text in tails[number]:
                found.setdefault(number, time.perf_counter())
            tails[number] = tails[number][-len(text) :]
    return [found[number] for number in range(len(sources))]


def all_show(screens: list[Terminal], text: bytes) -> float:
    """When the last of them showed this text."""
    return max(_each_shows([*screens], text))


def _watch(screens: list[Terminal], seconds: float) -> None:
    """Let time pass, reading all that is painted on all of them."""
    end = time.perf_counter() + seconds
    while (left := end - time.perf_counter()) > 0:
        for screen in select.select(screens, [], [], left)[0]:
            screen.read()
