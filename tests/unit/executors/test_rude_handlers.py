"""Handlers that reach for the event loop or the process: their own run fails, or one line names them."""

import asyncio
import subprocess
import sys

import pytest

from scheduler.core.task import Outcome
from scheduler.errors import SchedulerError
from scheduler.executors.executor import Executor
from scheduler.process import main_task
from tests.crash.loops import ROOT, Place
from tests.each import each
from tests.watching import call

# ------------------------------------------------------------------ GeneratorExit


async def raises_at_once(context):
    raise GeneratorExit


async def raises_later(context):
    await asyncio.sleep(0)
    raise GeneratorExit


async def raises_when_cancelled(context):
    try:
        await asyncio.sleep(3600)
    except asyncio.CancelledError:
        raise GeneratorExit from None


def raises_in_a_thread(context):
    raise GeneratorExit


@each("handler", [raises_at_once, raises_later, raises_in_a_thread])
async def test_a_handler_that_raises_generator_exit_fails_like_any_other(handler, build, noting):
    """Its worker was held until its time-out and ten seconds more, and it was called timed out."""
    from dataclasses import replace

    from scheduler.core.task import Call

    scheduler = await build(replace(noting(), work=Call(handler)))
    await scheduler.run_due_once(None)
    row = scheduler.snapshot().task("tick")
    assert row.outcome is Outcome.FAILED and "GeneratorExit" in row.error.text


async def test_a_handler_that_is_cancelled_may_answer_with_generator_exit(home):
    workers = Executor()
    running = asyncio.create_task(call(workers, raises_when_cancelled, home))
    await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(RuntimeError, match="GeneratorExit"):
        await running
    await workers.close()


async def test_a_run_that_is_closed_is_closed(home):
    workers, closed = Executor(), []

    async def waits(context):
        try:
            await asyncio.Event().wait()
        finally:
            closed.append(True)

    coroutine = call(workers, waits, home)
    coroutine.send(None)
    coroutine.close()
    assert closed
    await workers.close()


# ------------------------------------------------------------------ the loop


def test_what_cancels_all_tasks_is_named_and_the_process_cleans_up():
    cleaned = []

    async def main() -> None:
        asyncio.get_running_loop().create_task(tidy(), name="opus/tidy")
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned.append(True)

    async def tidy() -> None:
        for running in asyncio.all_tasks():
            running.cancel()

    with pytest.raises(SchedulerError, match="opus/tidy cancelled all tasks of this process"):
        main_task.run(main())
    assert cleaned


@each("soon", [False, True])
def test_a_loop_that_a_handler_stops_goes_on(soon, caplog):
    async def main() -> str:
        await asyncio.get_running_loop().create_task(stops(), name="opus/stops")
        await asyncio.sleep(0)
        return "done"

    async def stops() -> None:
        loop = asyncio.get_running_loop()
        loop.call_soon(loop.stop) if soon else loop.stop()

    assert main_task.run(main()) == "done"
    (line,) = [each.getMessage() for each in caplog.records if each.name == "experience"]
    assert line == f"{'a handler' if soon else 'opus/stops'} asked the event loop to stop; it goes on"


def test_an_owner_whose_handler_cancels_everything_ends_with_one_line(tmp_path):
    place = Place(tmp_path)
    (tmp_path / "rude.py").write_text(
        "import asyncio\nasync def tidy(context):\n    for t in asyncio.all_tasks():\n        t.cancel()\n"
    )
    place.tasks('tidy\nevery = "1h"\nhandler = "rude:tidy"')
    environment = {**place.environment(), "PYTHONPATH": f"{tmp_path}:{ROOT}"}
    argv = place.argv("--loop", "--background-only")
    ran = subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 2
    (line,) = ran.stderr.splitlines()
    assert line.startswith("experience: opus/tidy cancelled all tasks of this process")
    assert not (place.home / ".experience" / "control.sock").exists()


# ------------------------------------------------------------------ descriptors 0 to 2

CLOSES = """
import asyncio, os, sys
from pathlib import Path
from scheduler.executors.executor import Executor
from tests.watching import call

def closes(context):
    for number in range(3):
        os.close(number)

async def main():
    workers = Executor()
    before = [os.fstat(number).st_ino for number in range(3)]
    await call(workers, closes, Path.cwd())
    assert [os.fstat(number).st_ino for number in range(3)] == before
    with open(os.devnull) as file:
        assert file.fileno() > 2
    await workers.close()

asyncio.run(main())
print("still here")
"""


def test_a_handler_that_closes_the_standard_streams_takes_none_away():
    ran = subprocess.run([sys.executable, "-c", CLOSES], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (ran.stdout, ran.stderr) == ("still here\n", "")


LOGS = """
import logging, os, sys
from scheduler.runtime.log_output import log_lines

with log_lines(sys.stdout):
    os.close(1)
    logging.getLogger("experience.any").warning("still here")
"""


def test_the_log_goes_on_when_its_descriptor_is_closed():
    ran = subprocess.run([sys.executable, "-c", LOGS], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert ran.stdout.endswith("still here\n")
