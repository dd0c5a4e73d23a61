"""Commands, their processes and their time limits, as people met them."""

import asyncio
import os
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from scheduler.core.schedule import Every
from scheduler.core.task import Call, Outcome, Task
from scheduler.core.views import TaskView
from scheduler.engine.scheduler import Scheduler
from scheduler.system.process_info import stat
from tests.fakes import FakeClock, settle, until
from tests.watching import shell

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
    pytest.mark.timeout(60),
]


def limited(work: Any, **more: Any) -> Task:
    """A task with a time limit of five seconds."""
    return Task("work", Every(3600), work, timeout=5, **more)


def row(scheduler: Scheduler) -> TaskView:
    return scheduler.snapshot().tasks[0]


# ------------------------------------------------------------------ a result beats a deadline looked at later


async def begun(home: Path, clock: FakeClock) -> int:
    """The pid of the command, once it runs."""
    await clock.advance()
    pid = home / "pid"
    await until(lambda: pid.exists() and pid.read_text().endswith("\n"), "the command runs")
    return int(pid.read_text())


def exit_while_nobody_looks(pid: int, go: Path) -> None:
    """Let the command end, and wait for that without giving the loop a turn."""
    go.touch()
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


WAITS = "echo $$ > pid; while [ ! -e go ]; do sleep 0.02; done; "


@pytest.mark.parametrize(("script", "outcome"), [("exit 0", Outcome.OK), ("exit 3", Outcome.FAILED)])
async def test_a_command_that_ended_while_the_scheduler_was_stopped_is_not_timed_out(
    build: Any, clock: FakeClock, home: Path, script: str, outcome: Outcome
) -> None:
    """A scheduler that was stopped, or frozen with its cgroup or machine, sees both exit and deadline."""
    scheduler = await build(limited(shell(WAITS + script)))
    exit_while_nobody_looks(await begun(home, clock), home / "go")
    clock.stall(8)
    await until(lambda: row(scheduler).run_count == 1, "it has ended")
    assert row(scheduler).outcome is outcome


async def test_a_coroutine_that_waited_while_another_blocked_the_loop_is_not_timed_out(
    build: Any, clock: FakeClock
) -> None:
    """One coroutine of the citizen blocks the loop for longer than the limit of another."""
    answered: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def handler(citizen: str) -> str:
        return await answered

    scheduler = await build(limited(Call(handler)))
    await clock.advance()
    answered.set_result("hello")
    clock.stall(8)
    await settle()
    assert row(scheduler).outcome is Outcome.OK


async def test_a_thread_that_returned_while_the_loop_was_blocked_is_not_timed_out(
    build: Any, clock: FakeClock
) -> None:
    began, go, threads = threading.Event(), threading.Event(), []

    def handler(citizen: str) -> str:
        threads.append(threading.current_thread())
        began.set()
        go.wait(20)
        return "done"

    scheduler = await build(limited(Call(handler)))
    await clock.advance()
    await until(began.is_set, "it runs")
    go.set()
    threads[0].join()
    clock.stall(8)
    await settle()
    assert row(scheduler).outcome is Outcome.OK


async def test_a_command_that_left_a_background_process_is_not_timed_out_while_its_pipe_is_read(
    build: Any, clock: FakeClock, home: Path
) -> None:
    """The exit code was there; only the pipe, held by the process in the background, was still open."""
    script = "sleep 30 & echo $! > left; echo $$ > pid; exit 0"
    scheduler = await build(limited(shell(script)))
    leader = await begun(home, clock)
    pid = int((home / "left").read_text())
    try:
        await until(lambda: stat(leader) is None, "it has exited, and that was seen")
        clock.stall(8)
        await until(lambda: row(scheduler).run_count == 1, "it has ended")
        assert row(scheduler).outcome is Outcome.OK
        os.kill(pid, 0)  # as after any run: what it left behind itself goes on
    finally:
        os.kill(pid, 9)


async def test_a_command_that_has_not_ended_is_timed_out_however_late_the_look_is(
    build: Any, clock: FakeClock, home: Path
) -> None:
    scheduler = await build(limited(shell(WAITS)))
    await begun(home, clock)
    clock.stall(8)
    await until(lambda: row(scheduler).run_count == 1, "it has ended")
    assert row(scheduler).outcome is Outcome.TIMED_OUT
