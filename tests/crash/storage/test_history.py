"""kill -9 while runs are recorded: the history opens, whole, and the interrupted run is in it."""

import asyncio
import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from scheduler.core.records import RunQuery, RunRecord
from scheduler.core.task import Outcome, Trigger
from scheduler.storage import history_reader as history
from tests.crash.loops import ROOT, Place, command, gone
from tests.fakes import until

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc"),
    pytest.mark.timeout(60),
]

UNTIL_DONE = "echo $$ >> runs.log; while [ ! -e done ]; do sleep 0.02; done"
# Dies at a given point: before a transaction is committed, in the middle of it, or in a write to the disk.
DIES = """
import os, resource, signal, sqlite3, sys
from pathlib import Path
from scheduler.storage.history_file import HistoryFile
from scheduler.core.task import Retention, Outcome
from scheduler.core.records import FinishedRun
home, where = Path(sys.argv[1]), sys.argv[2]
run = FinishedRun("tick", None, 1, 1.0, 2.0, 1.0, Outcome.OK, 1500 * "x")
opened, connect = [], sqlite3.connect
sqlite3.connect = lambda *given, **more: opened.append(connect(*given, **more)) or opened[0]
file = HistoryFile(home)
file.add([run] * 50, Retention())
seen = []
def die(statement):
    seen.append(statement)
    if statement.startswith(where) and len(seen) > 2:
        os.kill(os.getpid(), 9)
if where == "write":
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    size = (home / "runs.db-wal").stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 3000, size + 3000))
else:
    opened[0].set_trace_callback(die)
file.add([run._replace(text="lost" + 1500 * "x")] * 50, Retention())
print("it lived")
"""


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def runs(place: Place, task: str | None = None) -> tuple[RunRecord, ...]:
    return history.runs(place.home, RunQuery(task, 10_000), ["tick", "long"])


def whole(home: Path) -> bool:
    with contextlib.closing(sqlite3.connect(home / "runs.db")) as database:
        return database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.mark.parametrize("where", ["COMMIT", "INSERT INTO runs", "write"])
def test_a_death_inside_a_transaction_costs_that_transaction(place, where):
    argv = [sys.executable, "-c", DIES, str(place.home), where]
    died = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert died.returncode in (-signal.SIGKILL, -signal.SIGXFSZ), died.stderr
    assert (len(runs(place)), died.stdout) == (50, "")
    assert whole(place.home)


async def test_a_run_whose_owner_was_killed_is_recorded_by_the_next(place):
    place.tasks(command("long", UNTIL_DONE), command("tick", "echo hi", every="0.1s"))
    with place.loop() as first:
        await until(lambda: place.lines() and (place.home / "runs.db").exists(), "runs are recorded")
        await until(lambda: len(runs(place, "tick")) >= 5, "the others go on")
        first.kill()
        await asyncio.to_thread(first.wait, 10)
    before = runs(place, "tick")
    assert all((run.outcome, run.text, run.trigger) == (Outcome.OK, "hi", Trigger.SCHEDULE) for run in before)
    assert runs(place, "long") == () or pytest.fail("it has not ended yet")
    with place.loop():
        await until(lambda: len(runs(place, "long")) == 1, "the next owner records it")
        await until(lambda: len(runs(place, "tick")) > len(before), "and goes on")
    (run,) = runs(place, "long")
    assert (run.outcome, run.trigger) == (Outcome.INTERRUPTED, None)
    assert run.text == "interrupted: the scheduler died during this run"
    assert {each.id for each in before} < {each.id for each in runs(place, "tick")}
    assert whole(place.home)
    (place.home / "done").touch()
    await until(lambda: gone(int(place.lines()[0][0])), "the orphan ends")


async def test_a_loop_that_is_told_to_end_has_recorded_everything(place):
    place.tasks(
        command("tick", "echo hi", every="0.1s"), command("long", "sleep 30"), more='grace = "0.1s"\n'
    )
    with place.loop() as loop:
        await until(lambda: place.count("tick") >= 5, "it runs")
        os.kill(loop.pid, signal.SIGTERM)
        assert await asyncio.to_thread(loop.wait, 20) == 0
    assert len(runs(place, "tick")) == place.count("tick")
    assert [run.outcome for run in runs(place, "long")] == [Outcome.INTERRUPTED]
    assert [path.name for path in place.home.glob("runs.db*")] == ["runs.db"]


async def test_a_damaged_history_stops_no_loop(place):
    (place.home / "runs.db").write_bytes(b"these are no runs")
    place.tasks(command("tick", "echo hi", every="0.1s"))
    with place.loop():
        await until(lambda: list(place.home.glob("runs.db.corrupt-*")), "it is moved aside")
        await until(lambda: len(runs(place)) >= 3, "and another is begun")
        await until(lambda: "set aside" in str(place.events()), "the log reports it")
