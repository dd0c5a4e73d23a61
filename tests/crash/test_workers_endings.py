"""Ending a run ends everything it started, whatever that does; and nothing runs unrecorded."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scheduler.core.task import Command
from scheduler.executors.executor import Executor
from scheduler.executors.process_tree import Family, ProcessTree
from scheduler.process import process_info as facts
from scheduler.process.process_info import Running
from tests.each import each
from tests.fakes import until
from tests.watching import Watching, cancelled, context, descriptors, gone, shell, task, under_way

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")

ROOT = Path(__file__).parents[2]


@pytest.fixture
async def workers():
    workers = Executor(kill_grace=0.3)
    yield workers
    await workers.close()


def pids(watching: Watching) -> list[int]:
    return [int(word) for word in watching.output.text().split() if word.isdigit()]


async def test_a_polite_process_is_asked_and_has_time_to_tidy_up(home):
    script = "trap 'echo tidied; exit 0' TERM; echo up; while :; do sleep 0.01; done"
    watching, workers = Watching(), Executor(kill_grace=8.0)
    async with under_way(workers, shell(script), home, watching) as running:
        await until(lambda: watching.said("up"), "it runs")
        began = time.monotonic()
        await cancelled(running)
        assert watching.said("tidied")
        assert time.monotonic() - began < 4, "who goes is not waited for"


async def test_one_that_was_stopped_goes_on_to_tidy_up(home):
    watching, workers = Watching(), Executor(kill_grace=8.0)
    work = shell("trap 'echo tidied; exit' TERM; echo up; kill -STOP $$")
    async with under_way(workers, work, home, watching) as running:
        await until(lambda: watching.running and state(watching.running.pid) == "T", "it was stopped")
        await cancelled(running)
        assert watching.said("tidied")


def state(pid: int) -> str:
    found = facts.stat(pid)
    return found.state if found else ""


async def test_one_signal_is_sent_and_not_two(home):
    code = """
import signal, time
from tests.each import each
signal.signal(signal.SIGTERM, lambda *_: print("asked", flush=True))
print("up", flush=True)
while True: time.sleep(1)
"""
    watching, workers = Watching(), Executor(kill_grace=0.3)
    async with under_way(workers, Command((sys.executable, "-c", code)), home, watching) as running:
        await until(lambda: watching.said("up"), "it runs")
        await cancelled(running)
        assert watching.output.text().count("asked") == 1


@each(
    "script",
    [
        "trap '' TERM; echo $$; sleep 60; sleep 60",
        "trap '' TERM; sleep 60 & echo $! $$; wait; sleep 60",
        "sh -c \"sh -c 'trap : TERM; echo \\$\\$; sleep 60; sleep 60' & wait\" & echo $$; wait",
        "trap '' TERM; setsid sh -c 'echo $$; sleep 60; sleep 60' & echo $$; wait; sleep 60",
        "setsid setsid sh -c 'trap \"\" TERM; echo $$; sleep 60; sleep 60' & echo $$; sleep 60",
        "setsid sh -c 'echo $$; exec sleep 60' >/dev/null & echo $$; sleep 60",
        "env -i sh -c 'trap \"\" TERM; echo $$; sleep 60; sleep 60' & echo $$; wait",
    ],
)
async def test_nothing_of_a_cancelled_run_lives(workers, home, script):
    watching = Watching()
    async with under_way(workers, shell(script), home, watching) as running:
        await until(lambda: watching.running and watching.running.pid in pids(watching), "it runs")
        mark = mark_of(watching.running.pid)
        await cancelled(running)
    assert not await ProcessTree().of(Family(mark, watching.running))
    assert all(gone(pid) for pid in pids(watching))
    assert watching.left == []


def mark_of(pid: int) -> str:
    entries = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return next(e for e in entries if e.startswith(b"EXPERIENCE_RUN=")).decode().partition("=")[2]


@each("left", ["", "setsid "])
async def test_grandchildren_are_asked_politely_too(home, left):
    script = f"{left}sh -c 'trap \"echo tidied; exit\" TERM; echo up; while :; do sleep 0.01; done' & wait"
    watching, workers = Watching(), Executor(kill_grace=8.0)
    async with under_way(workers, shell(script), home, watching) as running:
        await until(lambda: watching.said("up"), "it runs")
        await cancelled(running)
        assert watching.said("tidied")


async def test_who_keeps_starting_others_is_ended_with_all_of_them(workers, home):
    script = "trap '' TERM; echo up; while :; do setsid sleep 61 & sleep 0.005; done"
    watching = Watching()
    async with under_way(workers, shell(script), home, watching) as running:
        await until(lambda: watching.said("up"), "it runs")
        mark = mark_of(watching.running.pid)
        await cancelled(running)
    assert await ProcessTree().of(Family(mark, watching.running)) == []


@each(
    "script",
    [
        "env -i setsid sleep 60 >/dev/null 2>&1 & echo $!; wait",
        "env -i setsid sh -c 'trap : TERM; sleep 60 & sleep 61 & wait; wait' >/dev/null 2>&1 & echo $!; wait",
        "(env -i setsid sleep 60 & echo $!); sleep 60",
        "(exec setsid env -i sh -c 'echo $$; exec sleep 60' 2>/dev/null &); sleep 60",
        "(exec env -i sleep 60 >/dev/null 2>&1 & echo $!); sleep 60",
    ],
)
async def test_who_wipes_one_sign_is_found_by_another(workers, home, script):
    watching = Watching()
    async with under_way(workers, shell(script), home, watching) as running:
        await until(lambda: pids(watching), "it runs")
        await cancelled(running)
    assert all(gone(pid) for pid in pids(watching)) and watching.left == []


async def test_hurry_ends_the_grace_of_all_at_once(home):
    watching, workers = Watching(), Executor(kill_grace=3600.0)
    async with under_way(
        workers, shell("trap '' TERM; echo up; sleep 60; sleep 60"), home, watching
    ) as running:
        await until(lambda: watching.said("up"), "it runs")
        running.cancel()
        await asyncio.sleep(0.05)
        assert not running.done(), "it is being waited for"
        workers.stop_now()
        await asyncio.wait([running], timeout=8)
        assert running.cancelled() and gone(watching.running.pid)


async def test_asking_twice_ends_the_grace_of_one(home):
    watching, workers = Watching(), Executor(kill_grace=3600.0)
    async with under_way(
        workers,
        shell(
            "trap '' TERM; setsid sh -c 'trap : TERM; echo $$ up; sleep 60; sleep 60' & wait; wait; sleep 60"
        ),
        home,
        watching,
    ) as running:
        await until(lambda: watching.said("up"), "it runs")
        running.cancel()
        await asyncio.sleep(0.05)
        await cancelled(running)
        assert gone(watching.running.pid) and gone(pids(watching)[0]), "the escapee too"


async def test_cancelled_at_the_gate_it_never_ran(workers, home):
    asked = asyncio.Event()

    async def never(running):
        asked.set()
        await asyncio.Event().wait()

    watching = Watching(never)
    async with under_way(workers, shell("touch ran"), home, watching) as running:
        await asked.wait()
        await cancelled(running)
    assert gone(watching.running.pid) and not (home / "ran").exists()


async def test_cancelled_while_it_waits_for_its_turn_nothing_starts(home):
    workers, release = Executor(starts=1), asyncio.Event()

    async def slowly(running):
        await release.wait()

    second = Watching()
    async with under_way(workers, shell("true"), home, Watching(slowly)) as first:
        async with under_way(workers, shell("touch ran"), home, second) as running:
            await asyncio.sleep(0.02)
            await cancelled(running)
        assert second.running is None
        release.set()
        assert (await first).text == ""


async def test_closing_ends_what_still_runs(home):
    workers, watching = Executor(), Watching()
    async with under_way(workers, shell("setsid sleep 60 & echo $! up; sleep 60"), home, watching) as running:
        await until(lambda: watching.said("up"), "it runs")
        await workers.close()
        assert gone(watching.running.pid) and all(gone(pid) for pid in pids(watching))
        assert (await running).text.startswith("killed by SIGKILL: ")


@pytest.mark.filterwarnings("error")
def test_a_loop_that_is_torn_down_takes_its_children_along(home):
    watching, before = Watching(), descriptors()

    async def main():
        run = Executor(kill_grace=3600).run(
            task(shell("trap '' TERM; echo up; sleep 60; sleep 60")), context(home), watching
        )
        running = asyncio.create_task(run)
        await until(lambda: watching.said("up"), "it runs")
        running.cancel()
        await asyncio.sleep(0.05)  # it is being stopped; asyncio.run now cancels the stopping, too

    asyncio.run(main())
    assert gone(watching.running.pid)
    assert descriptors() == before


async def test_forty_ended_at_once_share_their_looks_at_the_machine(workers, home, monkeypatch):
    looks = 0
    look = ProcessTree._look

    async def counted(self):
        nonlocal looks
        looks += 1
        return await look(self)

    monkeypatch.setattr(ProcessTree, "_look", counted)
    watchings = [Watching() for _ in range(40)]
    work = task(shell("echo up; sleep 60"))
    runs = [asyncio.create_task(workers.run(work, context(home), watching)) for watching in watchings]
    await until(lambda: all(watching.said("up") for watching in watchings), "they run")
    for running in runs:
        running.cancel()
    await asyncio.wait(runs)
    assert all(watching.running and gone(watching.running.pid) for watching in watchings)
    assert looks < 40


async def test_without_proc_the_same_processes_are_found(workers, home, monkeypatch):
    monkeypatch.setattr(facts, "LINUX", False)
    watching = Watching()
    async with under_way(workers, shell("setsid sleep 60 & echo $! $$; sleep 60"), home, watching):
        await until(lambda: len(pids(watching)) == 2, "it runs")
        mark = mark_of(watching.running.pid)
        found = {
            one.pid for one in await ProcessTree().of(Family(mark, watching.running)) if one.mark == mark
        }
        assert set(pids(watching)) <= found


# ------------------------------------------------------------------ the scheduler itself dies

SCHEDULER = """
import asyncio, sys
from pathlib import Path
from scheduler.executors.executor import Executor
from tests.watching import Watching, context, shell, task

async def recorded(running):
    print(running.pid, running.born, flush=True)
    if sys.argv[1] == "before":
        await asyncio.Event().wait()

home = Path(sys.argv[2])
work = task(shell("touch ran; exec sleep 60"))
asyncio.run(Executor().run(work, context(home), Watching(recorded)))
"""


async def killed_scheduler(when: str, home: Path) -> Running:
    """A scheduler that died by kill -9 before or after its child was let through; gives the child."""
    argv = (sys.executable, "-c", SCHEDULER, when, str(home))
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, cwd=ROOT)  # noqa: ASYNC220 # a start, no more
    assert process.stdout
    pid, born = process.stdout.readline().split()
    if when == "after":
        await until((home / "ran").exists, "the program started")
    process.kill()
    process.wait()
    process.stdout.close()
    return Running(int(pid), float(born), 0.0)


async def test_a_scheduler_that_dies_before_it_wrote_a_run_down_leaves_nothing_running(home):
    child = await killed_scheduler("before", home)
    await until(lambda: not facts.alive(child), "the shell at the gate ended")
    assert not (home / "ran").exists()


async def test_a_run_that_outlives_its_scheduler_is_recognised_until_it_ends(home):
    child = await killed_scheduler("after", home)
    assert facts.alive(child)
    assert facts.born(child.pid) == child.born
    os.kill(child.pid, signal.SIGKILL)
    await until(lambda: not facts.alive(child), "the orphan ended")
