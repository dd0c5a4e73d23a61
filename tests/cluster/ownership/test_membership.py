"""A citizen joins and leaves with its states and history, and is on one side only whenever that is cut."""

import shutil
from pathlib import Path

import pytest

from scheduler.cluster import membership
from scheduler.cluster.database import Database, install
from scheduler.cluster.leases import Leases
from scheduler.cluster.membership import join, leave, move, owners
from scheduler.core.records import FinishedRun, RunQuery
from scheduler.core.state import TaskState
from scheduler.core.task import Outcome, Retention, Trigger
from scheduler.errors import PROGRAM, Owned, SchedulerError
from scheduler.process.process_info import Running
from scheduler.storage import history_reader
from scheduler.storage.history_writer import HistoryWriter
from scheduler.storage.lock import acquire
from scheduler.storage.shared_home import shared_home
from scheduler.storage.state_file import StateFile

NOW = 1_770_000_000.0
STATES = {"report": TaskState(first_seen=1.0, last_run=100.0, run_count=7)}
RUN = FinishedRun("report", Trigger.FORCE, 1, 100.0, 101.0, 1.0, Outcome.OK, "a\0b", "", None)


def killed(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.fixture
async def empty(url: str) -> Database:
    database = Database(url)
    await install(database)
    return database


@pytest.fixture
async def filled(home: Path) -> Path:
    StateFile(home).save(STATES, 1, True)
    writer = HistoryWriter()
    recorder = writer.of(home, Retention())
    recorder.begin(lambda kind, text: None)
    recorder.record(RUN._replace(output=membership._Text("printed")))
    await recorder.close()
    await writer.close()
    return home


async def test_joining_copies_states_and_history(empty: Database, filled: Path) -> None:
    await join(empty, "opus", filled, "m1", NOW)
    assert [(each.citizen, each.machine, each.epoch) for each in await owners(empty)] == [("opus", "m1", 0)]
    rows = await empty.rows("SELECT state->>'run_count' FROM experience.states")
    assert rows == [("7",)]
    rows = await empty.rows("SELECT number, outcome, text, output, trigger FROM experience.runs")
    assert rows == [(1, "ok", "a\ufffdb", "printed", "force")]
    assert shared_home(filled)
    await empty.close()


async def test_leaving_brings_back_what_happened_meanwhile(empty: Database, filled: Path) -> None:
    await join(empty, "opus", filled, "m1", NOW)
    async with empty.connection() as connection:
        await connection.execute("UPDATE experience.states SET state = jsonb_set(state, '{run_count}', '8')")
        await connection.execute(
            "INSERT INTO experience.runs (citizen, task, number, slot, attempt, epoch, trigger, started,"
            " finished, seconds, outcome, text, output) VALUES"
            " ('opus', 'report', 2, '', 1, 1, 'schedule', 200, 201, 1, 'failed', 'boom', 'more')"
        )
    await leave(empty, "opus", filled, NOW)
    assert StateFile(filled).load()[0]["report"].run_count == 8
    runs = history_reader.runs(filled, RunQuery(), ())
    assert [(run.text, run.outcome) for run in runs] == [("boom", Outcome.FAILED), ("a\0b", Outcome.OK)]
    assert history_reader.output(filled, runs[0].id) == "more"
    assert await owners(empty) == [] and shared_home(filled) is None
    await empty.close()


async def test_a_join_that_was_cut_before_the_mark_is_done_again(
    empty: Database, filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(*given: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(membership, "mark_shared", cut)
        with pytest.raises(KeyboardInterrupt):
            await join(empty, "opus", filled, "m1", NOW)
    assert shared_home(filled) is None  # it runs by itself
    await join(empty, "opus", filled, "m1", NOW)
    mark = shared_home(filled)
    assert mark and await empty.rows("SELECT home_id FROM experience.owners") == [(mark.home_id,)]
    assert len(await empty.rows("SELECT 1 FROM experience.runs")) == 1
    await empty.close()


async def test_a_leave_that_was_cut_before_the_mark_went_is_finished(
    empty: Database, filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(*given: object) -> None:
        raise KeyboardInterrupt

    await join(empty, "opus", filled, "m1", NOW)
    with monkeypatch.context() as patch:
        patch.setattr(membership, "unmark_shared", cut)
        with pytest.raises(KeyboardInterrupt):
            await leave(empty, "opus", filled, NOW)
    assert shared_home(filled) and await owners(empty) == []  # it cannot be owned
    await leave(empty, "opus", filled, NOW)
    assert shared_home(filled) is None
    await empty.close()


async def test_a_citizen_that_runs_neither_joins_nor_leaves(empty: Database, filled: Path) -> None:
    ownership = acquire(filled, NOW)
    with pytest.raises(Owned):
        await join(empty, "opus", filled, "m1", NOW)
    ownership.release()
    await join(empty, "opus", filled, "m1", NOW)
    async with empty.connection() as connection:
        await connection.execute("UPDATE experience.owners SET until = clock_timestamp() + interval '1 h'")
    with pytest.raises(Owned, match="opus runs on m1: stop it there first"):
        await leave(empty, "opus", filled, NOW)
    await empty.close()


async def test_a_second_citizen_of_that_name_does_not_join(
    empty: Database, filled: Path, tmp_path: Path
) -> None:
    await join(empty, "opus", filled, "m1", NOW)
    async with empty.connection() as connection:
        await connection.execute("UPDATE experience.owners SET epoch = 1")
    other = tmp_path / "elsewhere" / "opus"
    other.mkdir(parents=True)
    with pytest.raises(Owned, match="another opus is shared already, by m1"):
        await join(empty, "opus", other, "m2", NOW)
    assert shared_home(other) is None
    await empty.close()


async def test_a_copied_home_takes_the_place_of_the_first_when_a_person_says_so(
    empty: Database, filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await join(empty, "opus", filled, "m1", NOW)
    copy = shutil.copytree(filled, tmp_path / "m2" / "opus")
    with pytest.raises(Owned, match="this folder is not its home; leave it from m1"):
        await leave(empty, "opus", copy, NOW)
    async with empty.connection() as connection:
        await connection.execute("UPDATE experience.owners SET until = clock_timestamp() + interval '1 h'")
        with pytest.raises(Owned, match="opus runs on m1: stop it there first"):
            await join(empty, "opus", copy, "m2", NOW)
        await connection.execute("UPDATE experience.owners SET until = clock_timestamp()")
    with monkeypatch.context() as patch:
        patch.setattr(membership, "mark_shared", killed)
        with pytest.raises(KeyboardInterrupt):
            await join(empty, "opus", copy, "m2", NOW)
    await join(empty, "opus", copy, "m2", NOW)
    here = Leases(empty, "m2", Running(1, 0.0, 0.0), 600.0)
    for home, taken in ((filled, False), (copy, True)):
        mark = shared_home(home)
        assert mark and not mark.copied
        if taken:
            await here.take("opus", mark.home_id)
        else:
            with pytest.raises(
                Owned, match="the folder here was copied, or created again; its home is on m2"
            ):
                await here.take("opus", mark.home_id)
    await here.close()
    await empty.close()


async def test_what_is_not_shared_cannot_move_or_leave(empty: Database, home: Path) -> None:
    with pytest.raises(SchedulerError, match=f"{PROGRAM} engine join opus"):
        await move(empty, "opus", "m2")
    with pytest.raises(SchedulerError, match="opus is not shared"):
        await leave(empty, "opus", home, NOW)
    await empty.close()
