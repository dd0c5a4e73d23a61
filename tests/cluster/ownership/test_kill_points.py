"""Join, leave and move, killed before each line: the citizen is on one side, nothing is lost or doubled."""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import psycopg
import pytest

from scheduler.cluster import membership, shared_files
from scheduler.cluster.database import Database
from scheduler.cluster.leases import Leases
from scheduler.cluster.membership import join, leave, move
from scheduler.cluster.store import read_committed
from scheduler.core.records import FinishedRun, RunQuery
from scheduler.core.state import TaskState
from scheduler.core.task import Outcome, Retention, Trigger
from scheduler.process.process_info import BOOT, Running
from scheduler.storage import history_reader, shared_home
from scheduler.storage.history_writer import HistoryWriter
from scheduler.storage.lock import owning
from scheduler.storage.state_file import StateFile

NOW = 1_770_000_000.0
STATES = {"report": TaskState(first_seen=1.0, last_run=100.0, run_count=7)}
FILES = {module.__file__ for module in (membership, shared_files, shared_home)}
NEW_RUN = """
INSERT INTO experience.runs (citizen, task, number, slot, attempt, epoch, trigger, started, finished,
    seconds, outcome, text, output)
VALUES ('nova', 'report', 2, '', 1, 1, 'schedule', 200, 201, 1, 'failed', 'boom', 'more')
"""
Work = Callable[[Database], Coroutine[Any, Any, object]]


def killed_before(line: int, work: Work, url: str) -> bool:
    """Do it in a child that dies before this line is executed; False if it came to its end before."""
    if child := os.fork():
        status = os.waitpid(child, 0)[1]
        assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, status
        return os.WIFSIGNALED(status)
    left = [line]

    def count(frame: Any, event: str, value: Any) -> Any:
        if frame.f_code.co_filename not in FILES:
            return None
        if event == "line":
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return count

    code = 1
    try:
        asyncio._set_running_loop(None)  # that of the test
        threading.settrace(count)
        sys.settrace(count)
        asyncio.run(work(Database(url)))  # type: ignore[arg-type]
        code = 0
    finally:
        os._exit(code)


def joining(home: Path) -> Work:
    return lambda database: join(database, "nova", home, "m1", NOW)


def leaving(home: Path) -> Work:
    return lambda database: leave(database, "nova", home, NOW)


async def through(url: str, work: Work) -> None:
    """The whole of it, which nothing kills."""
    database = Database(url)
    await work(database)
    await database.close()


def ask(url: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        found = connection.execute(query)  # type: ignore[call-overload]
        return found.fetchall() if found.description else []


def forget_nova(url: str) -> None:
    for table in ("owners", "runs"):
        ask(url, f"DELETE FROM experience.{table} WHERE citizen = 'nova'")


async def filled(home: Path) -> Path:
    os.makedirs(home)  # noqa: PTH103  # a moment
    StateFile(home).save(STATES, 1, True)
    writer = HistoryWriter()
    recorder = writer.of(home, Retention())
    recorder.begin(lambda kind, text: None)
    recorder.record(FinishedRun("report", Trigger.FORCE, 1, 100.0, 101.0, 1.0, Outcome.OK, "ok", "", None))
    await recorder.close()
    await writer.close()
    return home


def runs_in(home: Path) -> list[str]:
    return [run.text for run in history_reader.runs(home, RunQuery(), ())]


async def is_taken(url: str, home: Path) -> bool:
    """Whether a machine with this home may run it through the database, with all that it was."""
    mark = shared_home.shared_home(home)
    if mark is None:
        with owning(home, NOW):  # else its own lock is enough
            return False
    database = Database(url)
    leases = Leases(database, "m1", Running(os.getpid(), 0.0, 0.0, BOOT), 600.0)
    try:
        await leases.release(await leases.take("nova", mark.home_id))
        assert (await read_committed(database, "nova")).states.keys() == STATES.keys()
        return True
    finally:
        await leases.close()
        await database.close()


@pytest.mark.timeout(240)
async def test_a_join_that_is_killed_before_any_line_leaves_the_citizen_on_one_side(
    url: str, database: Database, tmp_path: Path
) -> None:
    await database.close()
    sides = set()
    for line in range(1000):
        home = await filled(tmp_path / f"{line}" / "nova")
        forget_nova(url)
        was_killed = killed_before(line, joining(home), url)
        sides.add(shared := await is_taken(url, home))
        assert StateFile(home).load()[0].keys() == STATES.keys() and runs_in(home) == ["ok"]
        if not was_killed:
            assert shared
            break
        if not shared:  # it can be done again
            await through(url, joining(home))
        assert ask(url, "SELECT text FROM experience.runs WHERE citizen = 'nova'") == [("ok",)]
    assert sides == {False, True} and line > 30


@pytest.mark.timeout(240)
async def test_a_leave_that_is_killed_before_any_line_loses_and_doubles_nothing(
    url: str, database: Database, tmp_path: Path
) -> None:
    await database.close()
    ends = set()
    for line in range(1000):
        home = await filled(tmp_path / f"{line}" / "nova")
        forget_nova(url)
        await through(url, joining(home))
        ask(url, NEW_RUN)
        was_killed = killed_before(line, leaving(home), url)
        there = bool(ask(url, "SELECT 1 FROM experience.owners WHERE citizen = 'nova'"))
        marked = shared_home.shared_home(home) is not None
        ends.add((there, marked))
        assert marked or not there  # never at once on both sides
        if there:
            assert len(ask(url, "SELECT 1 FROM experience.runs WHERE citizen = 'nova'")) == 2
        else:
            assert sorted(runs_in(home)) == ["boom", "ok"]
        if marked:
            await through(url, leaving(home))
        assert sorted(runs_in(home)) == ["boom", "ok"]
        assert StateFile(home).load()[0]["report"].run_count == 7 and not await is_taken(url, home)
        if not was_killed:
            break
    assert ends == {(True, True), (False, True), (False, False)} and line > 30


async def test_a_move_that_is_killed_before_any_line_changes_no_owner(url: str, database: Database) -> None:
    await database.close()
    ask(url, "UPDATE experience.owners SET epoch = 3, machine = 'm1'")
    for line in range(100):
        ask(url, "UPDATE experience.owners SET wanted = ''")
        was_killed = killed_before(line, lambda database: move(database, "opus", "m2"), url)
        ((machine, epoch, wanted),) = ask(
            url, "SELECT machine, epoch, wanted FROM experience.owners WHERE citizen = 'opus'"
        )
        assert (machine, epoch) == ("m1", 3) and wanted in ("", "m2")
        if not was_killed:
            assert wanted == "m2"
            break
    assert line > 2
