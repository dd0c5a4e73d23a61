"""How a headless loop ends: after one signal or two, with its terminal closed, or with its output unread."""

import asyncio
import contextlib
import fcntl
import os
import pty
import signal
import subprocess
import sys
import termios

import pytest

from tests.crash.loops import Place, command, gone
from tests.fakes import until

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc"),
    pytest.mark.timeout(60),
]

GRACE = 'grace = "0.1s"\n'
TICK = command("tick", "true", every="0.1s")
# A child in its own session and group, and one that only its parent's group holds.
FAMILY = """
setsid sleep 600 & echo pid $! >> runs.log
sleep 601 & echo pid $! >> runs.log
echo pid $$ >> runs.log; wait"""
DEAF = "trap '' TERM INT HUP; echo pid $$ >> runs.log; while :; do sleep 0.05; done"


@pytest.fixture
def place(tmp_path):
    place = Place(tmp_path)
    yield place
    place.end(*pids(place))


def pids(place: Place) -> list[int]:
    return [int(pid) for word, pid in place.lines() if word == "pid"]


async def ended(loop, words: str) -> int:
    await until(lambda: loop.poll() is not None, words)
    return loop.returncode


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_told_once_it_saves_takes_its_children_along_and_ends_well(place, number):
    place.tasks(command("family", FAMILY), TICK, more=GRACE)
    with place.loop() as loop:
        await until(lambda: len(pids(place)) == 3 and place.count("tick"), "the run has begun")
        loop.send_signal(number)
        assert await ended(loop, "it ends") == 0
    assert [pid for pid in pids(place) if not gone(pid)] == []
    entry = place.entry("family")
    assert (entry["outcome"], entry["running"], entry["due_now"]) == ("interrupted", None, True)
    assert place.count("family") == 1
    assert place.states()["errors"]["family"]["error"] == "interrupted: the scheduler was shut down"
    assert not (place.home / ".experience" / "owner.json").exists()


async def test_what_our_own_shutdown_stopped_is_due_again_at_the_next_start(place):
    place.tasks(command("long", "echo pid $$ >> runs.log; exec sleep 600"), more=GRACE)
    with place.loop() as loop:
        await until(lambda: place.lines(), "the run has begun")
        loop.terminate()
        assert await ended(loop, "it ends") == 0
    with place.loop():
        await until(lambda: len(place.lines()) == 2, "it runs again at once, though its interval is an hour")


async def test_a_run_that_ends_within_the_grace_is_no_interruption(place):
    script = "echo pid $$ >> runs.log; while [ ! -e done ]; do sleep 0.02; done"
    place.tasks(command("short", script), more='grace = "1h"\n')
    with place.loop() as loop:
        await until(lambda: place.lines(), "the run has begun")
        loop.terminate()
        await until(lambda: "shutting down" in place.log.read_text(), "it has heard")
        (place.home / "done").touch()
        assert await ended(loop, "it ends") == 0
    assert place.entry("short")["outcome"] == "ok"


async def test_told_twice_it_waits_no_longer(place):
    place.tasks(command("deaf", DEAF), more='grace = "1h"\n')
    with place.loop() as loop:
        await until(lambda: place.lines(), "the run has begun")
        loop.terminate()
        await until(lambda: "shutting down" in place.log.read_text(), "it has heard")
        loop.terminate()
        assert await ended(loop, "it ends at once, though the grace is an hour") == 0
    assert all(map(gone, pids(place)))
    assert place.entry("deaf")["outcome"] == "interrupted"


async def test_two_signals_in_the_same_instant_are_told_twice(place):
    place.tasks(command("deaf", DEAF), more='grace = "1h"\n')
    with place.loop() as loop:
        await until(lambda: place.lines(), "the run has begun")
        loop.terminate()
        loop.send_signal(signal.SIGINT)
        assert await ended(loop, "it ends at once") == 0
    assert all(map(gone, pids(place)))


async def test_many_signals_end_it_no_worse_than_two(place):
    place.tasks(command("deaf", DEAF), more='grace = "1h"\n')
    with place.loop() as loop:
        await until(lambda: place.lines(), "the run has begun")
        while loop.poll() is None:
            loop.send_signal(signal.SIGINT)
            await asyncio.sleep(0.002)
    assert loop.returncode == 0
    assert "Traceback" not in place.log.read_text() and "KeyboardInterrupt" not in place.log.read_text()
    assert place.entry("deaf")["outcome"] == "interrupted"


async def test_a_hangup_without_a_terminal_reads_the_settings(place):
    place.tasks(TICK)
    with place.loop() as loop:
        await until(lambda: place.count("tick"), "it runs")
        (place.home / "experience.toml").write_text("nonsense")
        loop.send_signal(signal.SIGHUP)
        await until(lambda: "settings read" in place.log.read_text(), "the settings were read")
        before = place.count("tick")
        await until(lambda: place.count("tick") > before + 1, "broken ones change nothing")
        place.tasks(TICK, command("new", "echo pid $$ >> runs.log"))
        loop.send_signal(signal.SIGHUP)
        await until(lambda: place.lines(), "the new task runs")
        assert loop.poll() is None


def on_terminal(slave: int) -> None:
    """The child has this terminal, as a shell's child has."""
    os.setsid()
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)


async def test_a_terminal_that_is_closed_ends_it_well(place):
    place.tasks(command("family", FAMILY), TICK, more=GRACE)
    master, slave = pty.openpty()
    over = {"stdin": slave, "start_new_session": False, "preexec_fn": lambda: on_terminal(slave)}
    with place.loop(**over) as loop:
        os.close(slave)
        await until(lambda: len(pids(place)) == 3, "the run has begun")
        os.close(master)
        assert await ended(loop, "it ends") == 0
    assert all(map(gone, pids(place)))
    assert place.entry("family")["outcome"] == "interrupted"


async def test_on_a_terminal_a_hangup_alone_reads_the_settings(place):
    place.tasks(TICK)
    master, slave = pty.openpty()
    over = {"stdin": slave, "start_new_session": False, "preexec_fn": lambda: on_terminal(slave)}
    with place.loop(**over) as loop:
        os.close(slave)
        await until(lambda: place.count("tick"), "it runs")
        loop.send_signal(signal.SIGHUP)
        await until(lambda: "settings read" in place.log.read_text(), "the settings were read")
        assert loop.poll() is None
    os.close(master)


async def test_a_terminal_closed_while_it_is_written_to_is_no_crash(place):
    place.tasks(TICK, more=GRACE)
    master, slave = pty.openpty()
    over = {"stdin": slave, "stdout": slave, "stderr": slave, "start_new_session": False}
    with place.loop(**over, preexec_fn=lambda: on_terminal(slave)) as loop:
        os.close(slave)
        await until(lambda: place.count("tick"), "it runs")
        os.close(master)
        assert await ended(loop, "it ends") == 0


async def test_a_reader_that_is_gone_is_no_reason_to_stop(place):
    place.tasks(TICK, more=GRACE)
    with place.loop(stdout=subprocess.PIPE) as loop:
        loop.stdout.close()
        await until(lambda: place.count("tick") > 5, "it goes on")
        loop.terminate()
        assert await ended(loop, "it ends") == 0


async def test_a_reader_that_has_stopped_delays_neither_tasks_nor_the_end(place):
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)  # full after some thirty lines
    place.tasks(TICK, more=GRACE)
    with contextlib.closing(os.fdopen(reading, "rb")), place.loop(stdout=writing) as loop:
        os.close(writing)
        await until(lambda: place.count("tick") >= 18, "it goes on when the pipe is full")
        loop.terminate()
        assert await ended(loop, "it ends") == 0
    assert place.entry("tick")["running"] is None
    assert "Traceback" not in place.log.read_text() and "Fatal" not in place.log.read_text()
