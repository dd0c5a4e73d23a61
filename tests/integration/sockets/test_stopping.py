"""`--stop`: owners are asked through their sockets, insisted on, killed in the end; others are left alone."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from scheduler.cli.main import main
from scheduler.config.loader import load
from scheduler.control.fleet import Fleet
from scheduler.control.wire.client import Connection
from scheduler.core.ports import FleetOptions
from scheduler.errors import SchedulerError
from scheduler.runtime import background_loops
from scheduler.runtime.background_loops import LoopReport, start_all, stop_all, stop_loops
from scheduler.runtime.loop_process import NewLoop
from scheduler.storage.lock import mark, owning, unit_of
from scheduler.system.unix_socket import client_socket, socket_path
from tests.crash.loops import ROOT, Place, command
from tests.each import each
from tests.fakes import until as until_true

# An owner that answers, but does not end when it is asked to.
STUBBORN = """
import asyncio, sys
from pathlib import Path
from scheduler.control.fleet import Fleet
from scheduler.core.ports import FleetOptions

async def main():
    fleet = Fleet(FleetOptions(config=Path(sys.argv[1]), wakes=False))
    fleet.on_stop = lambda: None
    await fleet.start()
    await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    place = Place(tmp_path)
    place.tasks(command("long", "echo begun > begun; sleep 0.7; echo done > done"), more='grace = "20s"\n')
    monkeypatch.setenv("EXPERIENCE_CONFIG", str(place.config))
    return place


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short time limits."""
    for name, seconds in (("AFTER_GRACE", 0.3), ("AFTER_SIGTERM", 0.3)):
        monkeypatch.setattr(background_loops, name, seconds)
    monkeypatch.setattr("scheduler.control.wire.client.GREETING_TIMEOUT", 0.3)


def until(holds: Callable[[], object], words: str) -> None:
    end = time.monotonic() + 25
    while not holds():
        assert time.monotonic() < end, f"never came true: {words}"
        time.sleep(0.01)


@contextlib.contextmanager
def owner(place: Place, *argv: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A process that owns the citizen, killed in the end."""
    given = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen([sys.executable, *argv], cwd=ROOT, env=place.environment(), **given)
    try:
        until(lambda: socket_path(place.home).exists(), "it owns the citizen")
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        process.wait(10)


def loop(place: Place) -> Any:
    return owner(place, str(ROOT / "core.py"), "--citizen", place.citizen, "--loop", "--background-only")


async def stopped(place: Place) -> list[LoopReport]:
    return await stop_loops(load(config=place.config).citizens, lambda report: None)


def test_a_loop_ends_when_it_is_asked_to_and_its_tasks_have_their_grace(place, capsys, monkeypatch):
    with loop(place) as process:
        until((place.home / "begun").exists, "a task is under way")
        assert main(["--stop"]) == 0
        assert capsys.readouterr() == ("opus: ended\n", "")
        assert process.wait(5) == 0
    assert (place.home / "done").exists() and place.entry("long")["outcome"] == "ok"
    assert main(["--stop"]) == 0
    assert capsys.readouterr().out == "no loop is running\n"
    monkeypatch.setattr(background_loops, "is_foreign", lambda home: True)  # who could not see a loop there
    assert (stop_all(place.config), stop_all(place.config, ["opus"])) == (0, 2)
    foreign = "opus: its home is another user's; end its loop as that user\n"
    assert capsys.readouterr() == (foreign, foreign)


@each(
    ("ended", "said"), [(True, "did not start"), (False, "still starts after 0.05s; to watch it: tail log")]
)
def test_a_loop_that_is_slow_to_start_is_not_said_to_have_ended(ended, said, place, monkeypatch, capsys):
    monkeypatch.setattr(background_loops, "STARTED_WITHIN", 0.05)
    begun = NewLoop("tail log", lambda: ended)
    monkeypatch.setattr(background_loops, "in_screen", lambda citizen, command: begun)
    assert start_all(place.config) != 0
    assert f"opus: {said}" in "".join(capsys.readouterr())


def test_one_process_with_several_citizens_is_asked_once(place, capsys):
    mira = Place(place.root, "mira")
    mira.tasks(command("long", "echo begun > begun; sleep 0.7; echo done > done"), more='grace = "20s"\n')
    with owner(place, "-m", "tui", "--no-ui") as process:
        until(
            lambda: (place.home / "begun").exists() and (mira.home / "begun").exists(), "tasks are under way"
        )
        assert main(["--stop"]) == 0
        assert process.wait(5) == 0
    assert capsys.readouterr().out == "mira: ended\nopus: ended\n"
    assert (place.home / "done").exists() and (mira.home / "done").exists()


def test_a_loop_of_several_is_not_ended_for_one_of_them(place, capsys):
    mira = Place(place.root, "mira")
    mira.tasks()
    argv = ("--citizen", "opus,mira", "--loop", "--background-only")
    with owner(place, str(ROOT / "core.py"), *argv) as process:
        assert main(["--stop", "--citizen", "mira"]) == 0
        left = f"mira: left alone: its loop (pid {process.pid}) also runs opus; name them, too"
        assert capsys.readouterr().out == f"{left}, or no citizen at all\n"
        assert process.poll() is None
        assert main(["--stop", "--citizen", "mira,opus"]) == 0
        assert process.wait(5) == 0


def test_one_of_several_can_be_named(place, capsys):
    mira = Place(place.root, "mira")
    mira.tasks()
    with loop(place) as process, loop(mira) as other:
        assert main(["--stop", "--citizen", "mira"]) == 0
        assert capsys.readouterr().out == "mira: ended\n"
        assert other.wait(5) == 0 and process.poll() is None
    assert main(["--stop", "--citizen", "mria"]) == 2
    assert "unknown citizen 'mria': did you mean mira?" in capsys.readouterr().err


async def test_one_that_only_says_yes_is_asked_again(place, hasty):
    place.tasks(more="grace = 0.1\n")
    with owner(place, "-c", STUBBORN, str(place.config)) as process:
        assert await stopped(place) == [LoopReport("opus: ended after a second request, sent after 0s")]
        assert process.wait(5) == -signal.SIGTERM


async def test_one_that_hangs_is_killed_and_that_is_no_success(place, hasty):
    place.tasks(more="grace = 0.1\n")
    with loop(place) as process:
        process.send_signal(signal.SIGSTOP)
        (report,) = await stopped(place)
        assert report.failed and report.text.startswith("opus: killed: it had not ended in ")
        assert process.wait(5) == -signal.SIGKILL


async def test_one_of_an_earlier_version_is_stopped_by_a_signal(place, monkeypatch):
    async def ask(self: Connection, method: str, **params: object) -> object:
        raise SchedulerError("no method 'stop' with these parameters")

    place.tasks()
    with loop(place) as process:
        monkeypatch.setattr(Connection, "ask", ask)
        assert await stopped(place) == [LoopReport("opus: ended")]
        assert process.wait(5) == 0


async def test_a_monitor_is_left_alone(place):
    fleet = Fleet(FleetOptions(config=place.config, wakes=False))
    await fleet.start(dispatch=False)
    said = f"opus: left alone: pid {os.getpid()} is a monitor; press q there"
    assert await stopped(place) == [LoopReport(said)]
    await fleet.stop(0)


async def test_a_monitor_that_was_closed_says_what_it_waits_for(place):
    """A closed terminal has no keys: the answer was to press q there."""
    place.tasks("slow\nevery = '1h'\ncommand = ['sleep', '60']\n")
    fleet, pid = Fleet(FleetOptions(config=place.config, wakes=False)), os.getpid()
    await fleet.start()
    fleet.closed = True
    try:
        await until_true(lambda: fleet.members["opus"].running(), "it runs")
        said = f"opus: left alone: pid {pid} is a monitor that was closed: it waits for opus/slow; "
        assert await stopped(place) == [LoopReport(f"{said}kill {pid} ends that at once")]
    finally:
        await fleet.stop(0)


async def test_a_service_is_left_to_its_manager(place):
    unit = unit_of("opus")
    mark(place.home, unit)
    options = FleetOptions(config=place.config, wakes=False, service=unit.name)
    fleet = Fleet(options)
    await fleet.start(dispatch=False)
    expected = "it is experience-opus.service; end it with systemctl stop experience-opus"
    assert await stopped(place) == [LoopReport(f"opus: left alone: {expected}")]
    (place.home / ".experience" / "managed").unlink()
    expected = "is experience-opus.service; end it with systemctl stop experience-opus"
    assert await stopped(place) == [LoopReport(f"opus: left alone: pid {os.getpid()} {expected}")]
    await fleet.stop(0)


async def test_a_note_that_names_another_process_harms_none(place):
    with owning(place.home, 5.0):
        (report,) = await stopped(place)
    assert report == LoopReport(
        f"opus: left alone: pid {os.getpid()} does not answer and is not a loop of --all or NAME"
    )


async def test_who_is_asked_a_second_time_gives_no_grace(place):
    place.tasks(command("long", "echo begun > begun; sleep 60"), more='grace = "50s"\n')
    with loop(place) as process:
        await until_true((place.home / "begun").exists, "a task is under way")
        connection = await Connection.open(client_socket("opus", place.home))
        assert await connection.ask("stop") is None
        await connection.ask("stop")
        assert process.wait(20) == 0
        connection.close()
    assert place.entry("long")["outcome"] == "interrupted"


def test_all_leaves_managed_homes_to_their_service(place, capsys):
    mark(place.home, unit_of("opus"))
    assert start_all(place.config) == 0
    said = "opus: left to experience-opus.service; start it with systemctl start experience-opus\n"
    assert capsys.readouterr().out == said
    with owning_as_its_service(place) as pid:
        assert start_all(place.config) == 0
    assert capsys.readouterr().out == f"opus: left to experience-opus.service, which runs it, pid {pid}\n"


@contextlib.contextmanager
def owning_as_its_service(place: Place) -> Iterator[int]:
    from scheduler.storage.lock import acquire

    ownership = acquire(place.home, 5.0, service="experience-opus")
    try:
        yield os.getpid()
    finally:
        ownership.release()
