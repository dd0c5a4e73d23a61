"""What is remembered of runs: the file, the thread that writes it, and how both bear what goes wrong."""

import _sqlite3
import asyncio
import contextlib
import ctypes
import resource
import sqlite3
import stat
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from scheduler.core.costs import RunCost
from scheduler.core.records import FinishedRun, RunQuery, RunRecord
from scheduler.core.schedules.schedule import Every
from scheduler.core.state import TaskState
from scheduler.core.task import Call, Outcome, Retention, Task, Trigger
from scheduler.errors import TaskFailed, UnknownRun, UnknownTask, Unreadable
from scheduler.executors.output import OutputBuffer
from scheduler.process.process_info import Running
from scheduler.storage import history_reader as history
from scheduler.storage.history_file import OUTPUTS_KEPT, TEXT, TRACEBACK, HistoryFile, NotRecorded
from scheduler.storage.history_writer import ROW, HistoryWriter
from tests.crash.loops import everything_in
from tests.each import each
from tests.fakes import NOON, until

FINE = FinishedRun("tick", Trigger.SCHEDULE, 1, NOON, NOON + 2.5, 2.5, Outcome.OK, "noted")
BAD = FINE._replace(outcome=Outcome.FAILED, text="no route", traceback="Traceback: no route")


def written(text: bytes) -> OutputBuffer:
    output = OutputBuffer()
    output.write(text)
    return output


@pytest.fixture
def file(home: Path):
    file = HistoryFile(home)
    yield file
    file.close()


def listed(home: Path, task: str | None = None, **more: Any) -> list[RunRecord]:
    return list(history.runs(home, RunQuery(task, **more), ["tick"]))


def texts(home: Path, **more: Any) -> list[str]:
    return [run.text for run in listed(home, **more)]


# ------------------------------------------------------------------ the file


def test_a_run_is_remembered_as_it_was(home, file):
    file.add([FINE, BAD._replace(trigger=None, attempt=3, task="tock")], Retention())
    bad, fine = listed(home)
    assert fine == RunRecord(
        1, "tick", NOON, NOON + 2.5, 2.5, Outcome.OK, Trigger.SCHEDULE, 1, "noted", printed=False
    )
    assert bad == RunRecord(
        2, "tock", NOON, NOON + 2.5, 2.5, Outcome.FAILED, None, 3, "no route", printed=True
    )


COST = RunCost("0.1234567890123456789", tokens_in=900, tokens_out=80, turns=3, session="s", summary="tidied")


def test_what_a_run_cost_is_remembered_to_the_last_digit(home, file):
    unknown = RunCost(unknown=True)
    file.add([FINE, FINE._replace(cost=COST), FINE._replace(cost=unknown)], Retention())
    assert [run.cost for run in listed(home)] == [unknown, COST, None]


@each("facts", ["{", "[]", '{"cost": 5}', '{"cost": {"turns": "x"}}', 7, b"\xff"])
def test_what_another_program_wrote_into_the_facts_is_left_out(home, facts):
    file = HistoryFile(home)
    file.add([FINE], Retention())
    file.close()
    with contextlib.closing(sqlite3.connect(home / "runs.db")) as database, database:
        database.execute("UPDATE runs SET facts = ?", (facts,))
    assert [run.cost for run in listed(home)] == [None]


def test_why_its_gate_let_a_wake_begin_and_where_it_ran_are_remembered(home, file):
    woken, elsewhere = FINE._replace(why="news: mail-1.json in the queue"), FINE._replace(machine="g1")
    file.add([FINE, woken, elsewhere], Retention())
    assert [run.why for run in listed(home)] == ["", "news: mail-1.json in the queue", ""]
    assert [run.machine for run in listed(home)] == ["g1", "", ""]


def test_a_file_from_before_there_were_facts_is_read_and_its_next_owner_adds_them(home, file):
    file.add([FINE], Retention())
    file.close()
    with contextlib.closing(sqlite3.connect(home / "runs.db")) as database, database:
        database.execute("ALTER TABLE runs DROP COLUMN facts")
        database.execute("PRAGMA user_version = 1")
    assert texts(home) == ["noted"]
    file.add([FINE._replace(cost=COST)], Retention())
    assert [run.cost for run in listed(home)] == [COST, None]


def test_the_output_is_kept_beside_the_traceback(home, file):
    file.add([FINE, BAD, BAD._replace(output=written(b"half way"))], Retention())
    assert [history.output(home, run) for run in (1, 2, 3)] == [
        "",
        "Traceback: no route",
        "half way\nTraceback: no route",
    ]


def test_what_a_run_leaves_is_bounded(home, file):
    output = written(b"begin" + 200_000 * b"x" + b"end")
    huge = BAD._replace(text=10_000 * "t", traceback=100_000 * "r" + "last", output=output)
    file.add([huge], Retention())
    (run,) = listed(home)
    assert len(run.text) == TEXT
    text = history.output(home, 1)
    assert text.startswith("begin") and text.endswith("rlast")
    assert "bytes left out" in text and len(text) < 65 * 1024 + TRACEBACK


def test_text_that_is_no_unicode_is_remembered(home, file):
    file.add([FINE._replace(text="a\udcff\0b", output=written(b"\xff\xfe"))], Retention())
    assert texts(home) == ["a\\udcff\0b"]
    assert history.output(home, 1) == "\ufffd\ufffd"


def test_the_newest_come_first_of_one_task_or_of_all_and_failures_alone(home, file):
    names = ["tick", "tock", "tick", "tock"]
    file.add(
        [(BAD if n % 3 else FINE)._replace(task=name, text=str(n)) for n, name in enumerate(names)],
        Retention(),
    )
    assert texts(home) == ["3", "2", "1", "0"]
    assert texts(home, task="tick") == ["2", "0"]
    assert texts(home, failed=True) == ["2", "1"]
    assert texts(home, task="tock", failed=True) == ["1"]
    assert texts(home, limit=2) == ["3", "2"]
    assert texts(home, before=3, limit=1) == ["1"]
    assert texts(home, before=2**70, limit=2**70) == ["3", "2", "1", "0"]


@each("task", [None, "tick"])
@each("failed", [False, True])
def test_every_question_is_answered_by_an_index(home, task, failed):
    file = HistoryFile(home)
    file.add([FINE], Retention())
    query, values = history.selection(RunQuery(task, failed=failed))
    with contextlib.closing(sqlite3.connect(home / "runs.db")) as database:
        plan = [row[3] for row in database.execute(f"EXPLAIN QUERY PLAN {query}", values)]
    assert not [step for step in plan if step.startswith("SCAN") or "TEMP B-TREE" in step], plan
    file.close()
    assert ("failures" in plan[0]) is failed and ("_of_task" in plan[0]) is bool(task), plan


def test_only_its_owner_may_read_the_file(home, file):
    file.add([FINE], Retention())
    modes = {stat.S_IMODE(path.stat().st_mode) for path in home.glob("runs.db*")}
    assert modes == {0o600}


def test_without_a_file_there_was_no_run(home):
    assert listed(home) == []
    assert everything_in(home).keys() == {str(home)}
    with pytest.raises(UnknownRun, match="run 7 is not in the history"):
        history.output(home, 7)


@each("run", [0, -1, 2, 2**70])
def test_a_run_that_there_is_not_is_said(home, run):
    file = HistoryFile(home)
    file.add([FINE], Retention())
    file.close()
    with pytest.raises(UnknownRun):
        history.output(home, run)


def test_an_unknown_task_is_an_error_and_one_that_left_the_settings_is_not(home, file):
    file.add([FINE._replace(task="gone")], Retention())
    with pytest.raises(UnknownTask, match="did you mean tick"):
        history.runs(home, RunQuery("tik"), ["tick"])
    assert [run.task for run in history.runs(home, RunQuery("gone"), ["tick"])] == ["gone"]
    assert history.runs(home, RunQuery("gone", failed=True), ["tick"]) == ()


@pytest.mark.parametrize("still_open", [True, False])
def test_reading_leaves_no_trace(home, file, still_open):
    file.add([FINE], Retention())
    if not still_open:
        file.close()
    before = {path: found[:1] for path, found in everything_in(home).items()}
    assert texts(home) == ["noted"]
    assert {path: found[:1] for path, found in everything_in(home).items()} == before


def test_a_reader_sees_what_was_committed_while_another_is_in_the_middle_of_writing(home, file):
    file.add([FINE], Retention())
    with contextlib.closing(sqlite3.connect(home / "runs.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("DELETE FROM runs")
        assert texts(home) == ["noted"]


def test_what_is_no_database_is_an_error_for_a_reader_who_leaves_it_alone(home):
    (home / "runs.db").write_text("these are no runs")
    with pytest.raises(Unreadable, match=r"runs\.db: file is not a database"):
        listed(home)
    assert (home / "runs.db").read_text() == "these are no runs"


def test_a_file_that_its_owner_has_not_laid_out_yet_holds_no_runs(home):
    (home / "runs.db").touch()
    assert listed(home) == []


def test_a_database_of_somebody_else_is_an_error_for_a_reader(home):
    with contextlib.closing(sqlite3.connect(home / "runs.db")) as other:
        other.execute("CREATE TABLE runs (x)")
    with pytest.raises(Unreadable, match=r"runs\.db was made by another program \(version 0\); move it away"):
        listed(home)


def test_a_folder_in_its_place_is_an_error_for_a_reader(home):
    (home / "runs.db").mkdir()
    with pytest.raises(Unreadable, match=r"runs\.db is not a file; move it away"):
        listed(home)


# ------------------------------------------------------------------ forgetting


def test_of_each_task_the_newest_are_kept(home, file):
    for n in range(30):
        file.add([FINE._replace(text=str(n)), FINE._replace(task="tock")], Retention(runs=10))
    assert texts(home, task="tick") == [str(n) for n in range(29, 19, -1)]
    assert len(listed(home, task="tock")) == 10


def test_what_is_too_old_goes(home, file):
    keep = Retention(seconds=100)
    file.add([FINE._replace(finished=NOON + n, text=str(n)) for n in range(50)], keep)
    file.add([FINE._replace(finished=NOON + 120, text="now", task="tock")], keep)
    assert texts(home) == ["now", *[str(n) for n in range(49, 19, -1)]]


def test_much_goes_in_small_steps(home, file):
    file.add([FINE for _ in range(2000)], Retention())
    left = []
    for _ in range(6):
        file.add([FINE], Retention(runs=100))
        left.append(len(listed(home, limit=5000)))
    assert left == [2001, 1502, 1003, 504, 100, 101]


@pytest.mark.skipif(not hasattr(_sqlite3, "__file__"), reason="SQLite is part of this Python")
def test_the_memory_of_an_open_file_does_not_grow_with_its_runs(home, file):
    used, sizes = ctypes.CDLL(_sqlite3.__file__).sqlite3_memory_used, []
    used.restype = ctypes.c_int64
    for _ in range(100):
        file.add([FINE for _ in range(50)], Retention())
        sizes.append(used())
    assert sizes[-1] - sizes[9] < 32 << 10, f"bytes from 500 runs to 5,000: {sizes[9]} to {sizes[-1]}"


def test_what_was_printed_goes_with_its_run_and_sooner_than_that(home, file):
    runs = [FINE._replace(output=written(b"x")) for _ in range(OUTPUTS_KEPT + 50)]
    file.add(runs, Retention())
    printed = [run.printed for run in listed(home, limit=5000)]
    assert printed == [True] * OUTPUTS_KEPT + [False] * 50
    file.add([FINE], Retention(runs=10, seconds=1e9))
    file.add([FINE], Retention(runs=10, seconds=1e9))
    file.add([FINE], Retention(runs=10, seconds=1e9))
    with contextlib.closing(sqlite3.connect(home / "runs.db")) as database:
        assert database.execute("SELECT count(*) FROM outputs").fetchone() == (7,)


def test_numbers_are_never_given_twice(home, file):
    file.add([FINE], Retention())
    with contextlib.closing(sqlite3.connect(home / "runs.db", isolation_level=None)) as database:
        database.execute("DELETE FROM runs")
    file.add([FINE], Retention())
    assert [run.id for run in listed(home)] == [2]


# ------------------------------------------------------------------ a file that is not as it should be


@pytest.mark.parametrize("content", [b"these are no runs", b"SQLite format 3\0" + 4096 * b"?"])
def test_a_damaged_database_is_moved_aside_whole(home, file, content):
    (home / "runs.db").write_bytes(content)
    aside = file.add([FINE], Retention())
    assert aside is not None and aside.name.startswith("runs.db.corrupt-")
    assert aside.read_bytes() == content
    assert texts(home) == ["noted"]


def test_a_page_that_is_damaged_while_it_is_open_moves_it_aside_with_its_log(home, file):
    file.add([FINE for _ in range(3000)], Retention())
    file.close()
    with (home / "runs.db").open("r+b") as raw:
        raw.seek(4096)
        raw.write(20 * 4096 * b"\xa5")
    with contextlib.closing(sqlite3.connect(home / "runs.db")) as other:
        other.execute("SELECT 1 FROM sqlite_master").fetchone()
        aside = file.add([FINE._replace(text="after")], Retention())
    assert aside is not None
    assert texts(home) == ["after"]
    assert list(home.glob("runs.db.corrupt-*"))


def test_an_empty_file_is_an_empty_history(home, file):
    (home / "runs.db").touch()
    assert file.add([FINE], Retention()) is None
    assert texts(home) == ["noted"]


def test_a_database_of_somebody_else_is_left_alone(home, file):
    with contextlib.closing(sqlite3.connect(home / "runs.db")) as other:
        other.execute("CREATE TABLE theirs (x)")
    before = (home / "runs.db").read_bytes()
    with pytest.raises(
        NotRecorded, match=r"runs\.db: was made by another program \(version 0\); move it away"
    ):
        file.add([FINE], Retention())
    assert (home / "runs.db").read_bytes() == before


def test_a_link_is_not_followed(home, file, tmp_path):
    (tmp_path / "precious").write_text("untouched")
    (home / "runs.db").symlink_to(tmp_path / "precious")
    with pytest.raises(NotRecorded, match="symbolic links"):
        file.add([FINE], Retention())
    assert (tmp_path / "precious").read_text() == "untouched"


def test_a_file_that_was_removed_is_made_again(home, file):
    file.add([FINE], Retention())
    for path in home.glob("runs.db*"):
        path.unlink()
    file.add([FINE._replace(text="again")], Retention())
    assert texts(home) == ["again"]


def test_somebody_elses_lock_is_not_waited_for_long(home, file, monkeypatch):
    monkeypatch.setattr("scheduler.storage.history_file.LOCK_PATIENCE", 0.01)
    file.add([FINE], Retention())
    file.close()
    with contextlib.closing(sqlite3.connect(home / "runs.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(NotRecorded, match="database is locked"):
            file.add([FINE], Retention())
    file.add([FINE._replace(text="free")], Retention())
    assert texts(home) == ["free", "noted"]


@contextlib.contextmanager
def no_file_longer_than(size: int):
    """As on a full disk: what would make a file longer fails. Python ignores the signal for it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.skipif(sys.platform != "linux", reason="limits the size of files")
def test_a_full_disk_costs_the_runs_of_that_moment_and_no_others(home, file):
    file.add([FINE], Retention())
    size = (home / "runs.db-wal").stat().st_size
    with no_file_longer_than(size + 2000), pytest.raises(NotRecorded, match=r"runs\.db: "):
        file.add([FINE._replace(text=2000 * "x") for _ in range(100)], Retention())
    file.add([FINE._replace(text="after")], Retention())
    assert texts(home) == ["after", "noted"]


# ------------------------------------------------------------------ the thread, and the scheduler before it


class Citizen:
    """A scheduler whose runs are recorded in a real home."""

    def __init__(self, home: Path, build: Any, writer: HistoryWriter) -> None:
        self.home, self._build, self.writer = home, build, writer

    async def starts(self, *tasks: Task, **more: Any) -> Any:
        self.recorder = self.writer.of(self.home, Retention())
        self.scheduler = await self._build(*tasks, recorder=self.recorder, **more)
        return self.scheduler

    def events(self, beginning: str) -> list[str]:
        events = self.scheduler.snapshot().events
        return [f"{event.kind}: {event.text}" for event in events if event.kind.startswith(beginning)]


@pytest.fixture
async def writer():
    writer = HistoryWriter()
    yield writer
    await writer.close()


@pytest.fixture
def citizen(home, build, writer):
    return Citizen(home, build, writer)


def task(name: str, handler: Any, **more: Any) -> Task:
    return Task(name, Every(300), Call(handler), **more)


async def test_a_run_is_in_the_history_as_soon_as_somebody_asks(citizen, clock, noting):
    scheduler = await citizen.starts(noting())
    await clock.advance(seconds=1)
    (run,) = await scheduler.history()
    assert run == RunRecord(1, "tick", NOON, NOON, 0.0, Outcome.OK, Trigger.SCHEDULE, 1, "noted")


async def test_what_a_handler_prints_is_its_output(citizen, clock, capsys):
    from scheduler.executors.stdout_capture import capture_prints

    async def chatty(context: Any) -> str:
        print("half", "way")
        return "done"

    with capture_prints():
        scheduler = await citizen.starts(task("chatty", chatty))
        await clock.advance(seconds=1)
    (run,) = await scheduler.history()
    assert run.printed and await scheduler.output(run.id) == "half way\n"


async def test_failures_retries_and_their_tracebacks_are_kept_apart(citizen, clock):
    async def broken(context: Any) -> str:
        raise TaskFailed("no route") if context.trigger is Trigger.RETRY else ValueError("a bug")

    scheduler = await citizen.starts(task("broken", broken, retries=1, retry_delay=10))
    await clock.advance(seconds=20)
    again, first = await scheduler.history("broken", failed=True)
    assert (first.trigger, first.attempt, first.text) == (Trigger.SCHEDULE, 1, "ValueError: a bug")
    assert (again.trigger, again.attempt, again.text) == (Trigger.RETRY, 2, "no route")
    assert "raise TaskFailed" in await scheduler.output(first.id)
    assert await scheduler.output(again.id) == "" and not again.printed


async def test_a_run_that_a_dead_owner_left_open_is_recorded_by_the_next(citizen):
    left = TaskState(last_run=NOON - 60, attempt=1, running=Running(99_999_999, 1.0, NOON - 60))
    scheduler = await citizen.starts(task("tick", print), states={"tick": left})
    run = (await scheduler.history())[-1]
    assert (run.outcome, run.trigger, run.attempt) == (Outcome.INTERRUPTED, None, 2)
    assert (run.started, run.finished, run.seconds) == (NOON - 60, NOON, 60)
    assert run.text == "interrupted: the scheduler died during this run"


async def test_a_run_that_our_own_end_interrupts_is_recorded(citizen, clock):
    async def long(context: Any) -> None:
        await asyncio.Event().wait()

    scheduler = await citizen.starts(task("long", long))
    await clock.advance(seconds=1)
    scheduler.stop_now()
    await scheduler.stop(0)
    assert [run.outcome for run in listed(citizen.home)] == [Outcome.INTERRUPTED]


async def test_after_the_end_everything_is_in_the_file_and_nothing_beside_it(citizen, clock, noting):
    scheduler = await citizen.starts(noting())
    await clock.advance(hours=1)
    await scheduler.stop(0)
    assert len(listed(citizen.home)) == 13
    assert [path.name for path in citizen.home.glob("runs.db*")] == ["runs.db"]


async def test_a_history_that_cannot_be_written_stops_nothing_is_said_once_and_written_later(
    citizen, clock, noting, runs
):
    (citizen.home / "runs.db").mkdir()
    scheduler = await citizen.starts(noting())
    for _ in range(3):
        await clock.advance(minutes=5)
        await citizen.writer.flush()
    await until(lambda: citizen.events("history"), "it is said")
    assert len(runs) == 4
    assert citizen.events("history") == [
        f"history not recorded: {citizen.home}/runs.db: Is a directory",
    ]
    (citizen.home / "runs.db").rmdir()
    await citizen.writer.flush()
    await until(lambda: len(citizen.events("history")) == 2, "it is well again")
    assert citizen.events("history")[1] == "history recorded again: no run is missing"
    assert [run.started for run in listed(citizen.home)] == runs[::-1]
    await clock.advance(minutes=5)
    assert len(await scheduler.history()) == 5


async def test_what_waits_for_a_disk_is_written_without_another_run(citizen, clock, noting, monkeypatch):
    monkeypatch.setattr("scheduler.storage.history_writer.RETRY", 0.05)
    (citizen.home / "runs.db").mkdir()
    await citizen.starts(noting())
    await clock.advance(seconds=1)
    await until(lambda: citizen.events("history"), "it is said")
    (citizen.home / "runs.db").rmdir()
    await until(lambda: len(citizen.events("history")) == 2, "it is well again")
    assert len(listed(citizen.home)) == 1


async def test_of_more_runs_than_may_wait_for_a_disk_the_newest_are_written_and_the_rest_is_counted(
    citizen, clock, noting, monkeypatch
):
    monkeypatch.setattr("scheduler.storage.history_writer.WAITING", 2 * (ROW + len("noted")))
    (citizen.home / "runs.db").mkdir()
    await citizen.starts(noting())
    for _ in range(4):
        await clock.advance(minutes=5)
        await citizen.writer.flush()
    (citizen.home / "runs.db").rmdir()
    await citizen.writer.flush()
    await until(lambda: len(citizen.events("history")) == 2, "it is well again")
    assert citizen.events("history")[1] == "history recorded again: 3 runs are missing"
    assert [run.started for run in listed(citizen.home)] == [clock.now(), clock.now() - 300]


async def test_what_waits_for_a_disk_waits_no_longer_than_its_citizen(citizen, clock, noting):
    (citizen.home / "runs.db").mkdir()
    scheduler = await citizen.starts(noting())
    await clock.advance(seconds=1)
    await scheduler.stop(0)
    assert citizen.recorder.waiting == []


async def test_a_damaged_history_is_said(citizen, clock, noting):
    (citizen.home / "runs.db").write_text("these are no runs")
    scheduler = await citizen.starts(noting())
    await clock.advance(seconds=1)
    assert len(await scheduler.history()) == 1
    (said,) = citizen.events("history")
    assert said.startswith(f"history set aside: it was damaged; it is {citizen.home}/runs.db.corrupt-")


async def test_what_there_is_no_room_for_is_left_out_and_counted(home, build, clock, noting, monkeypatch):
    stuck, go_on = threading.Event(), threading.Event()
    write = HistoryFile.add

    def slow(self: HistoryFile, *given: Any) -> Path | None:
        stuck.set()
        go_on.wait(8)
        return write(self, *given)

    monkeypatch.setattr(HistoryFile, "add", slow)
    writer = HistoryWriter(room=4 * ROW + 100)
    citizen = Citizen(home, build, writer)
    scheduler = await citizen.starts(noting())
    await clock.advance(seconds=1)
    await until(stuck.is_set, "the disk hangs")
    await clock.advance(minutes=5 * 6)
    assert citizen.events("history") == ["history not recorded: more runs end than the disk can take"]
    go_on.set()
    await writer.flush()
    await clock.advance(minutes=5)
    await until(lambda: len(citizen.events("history")) == 2, "there is room again")
    assert citizen.events("history")[1] == "history recorded again: 3 runs are missing"
    assert len(await scheduler.history()) == 5
    await writer.close()


async def test_a_run_that_printed_more_than_there_is_room_for_is_recorded(home, build, clock, noting):
    """Only its first and last bytes are kept, so a gigabyte takes no more room than a page."""
    writer = HistoryWriter()
    recorder = writer.of(home, Retention())
    output = written(b"begins ")
    output.skip(1 << 30)
    output.write(b"ends")
    recorder.record(FINE._replace(output=output))
    await writer.close()
    (run,) = listed(home)
    assert history.output(home, run.id).startswith("begins ") and recorder.lost == 0


async def test_a_disk_that_hangs_keeps_no_one_from_ending(home, build, clock, noting, monkeypatch):
    monkeypatch.setattr("scheduler.storage.history_writer.PATIENCE", 0.05)
    go_on = threading.Event()
    monkeypatch.setattr(HistoryFile, "add", lambda *given: go_on.wait(8) and None)
    writer = HistoryWriter()
    scheduler = await Citizen(home, build, writer).starts(noting())
    await clock.advance(seconds=1)
    await scheduler.stop(0)
    await writer.close()
    assert at_work()
    go_on.set()
    await until(lambda: not at_work(), "it ends")


async def test_one_thread_writes_for_all_and_keeps_few_databases_open(tmp_path, writer, monkeypatch):
    monkeypatch.setattr("scheduler.storage.history_writer.OPEN", 3)
    recorders = []
    for n in range(10):
        (tmp_path / f"c{n}").mkdir()
        recorders.append(writer.of(tmp_path / f"c{n}", Retention()))
        recorders[-1].begin(lambda kind, text: None)
    before = threading.active_count()
    for _ in range(2):
        for recorder in recorders:
            recorder.record(FINE)
        await writer.flush()
    assert threading.active_count() == before + 1
    assert [len(listed(tmp_path / f"c{n}")) for n in range(10)] == [2] * 10
    assert len(list(tmp_path.glob("*/runs.db-wal"))) == 3


async def test_runs_that_end_together_are_one_transaction(home, writer, monkeypatch):
    batches = []
    write = HistoryFile.add
    monkeypatch.setattr(
        HistoryFile, "add", lambda self, *given: batches.append(given[0]) or write(self, *given)
    )
    record(writer.of(home, Retention()), 30)
    await writer.flush()
    assert sum(map(len, batches)) == 30 and len(batches) <= 2


def at_work() -> bool:
    return "history" in [thread.name for thread in threading.enumerate()]


def record(recorder: Any, runs: int) -> None:
    recorder.begin(lambda kind, text: None)
    for _ in range(runs):
        recorder.record(FINE)


async def test_a_closed_recorder_gets_no_events_and_another_of_its_home_does(home, writer):
    first, second, said = writer.of(home, Retention()), writer.of(home, Retention()), []
    first.begin(lambda *words: pytest.fail("it has closed"))
    await first.close()
    (home / "runs.db").mkdir()
    first.record(FINE)  # no event for this one
    await writer.flush()
    second.begin(lambda *words: said.append(words))
    await first.close()
    second.record(FINE)
    await writer.flush()
    await until(lambda: said == [("history not recorded", f"{home}/runs.db: Is a directory")], "it is said")
    assert at_work()


async def test_when_it_ends_nothing_is_open(home):
    writer = HistoryWriter()
    record(writer.of(home, Retention()), 1)
    await writer.flush()
    assert (home / "runs.db-wal").exists()
    await writer.close()
    assert [path.name for path in home.glob("runs.db*")] == ["runs.db"]


async def test_without_a_home_nothing_is_remembered(build, clock, noting):
    scheduler = await build(noting())
    await clock.advance(seconds=1)
    assert await scheduler.history() == ()
    with pytest.raises(UnknownTask):
        await scheduler.history("tik")
    with pytest.raises(UnknownRun):
        await scheduler.output(1)
    assert not list(scheduler.home.iterdir())


async def test_other_settings_hold_from_the_next_run_on(citizen, clock, noting):
    scheduler = await citizen.starts(noting(schedule=Every(1)))
    await clock.advance(seconds=30)
    assert len(await scheduler.history()) == 31
    scheduler.set_tasks(scheduler._tasks, replace(scheduler._rules, history=Retention(runs=5)))
    await clock.advance(seconds=110)
    assert len(await scheduler.history(limit=200)) < 31
