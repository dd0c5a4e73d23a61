"""The rows of runs on workers: claimed once, ended by that claim, never under an owner that is no more."""

import asyncio
import json
from importlib.resources import files
from uuid import uuid4

import psycopg
import pytest

from scheduler.cluster.database import (
    STEPS,
    VERSION,
    Database,
    NotInstalled,
    install,
    require_schema,
)
from scheduler.cluster.fence import Ended
from scheduler.cluster.workers import run_rows
from tests.cluster.desk import OK, Desk


async def test_a_run_waits_with_its_row_and_a_knock(desk: Desk) -> None:
    run = await desk.start()
    assert await desk.jobs() == ["todo"]
    assert await desk.ask("SELECT args->>'run' FROM procrastinate_jobs") == [str(run)]
    assert (await desk.look(run))[run] == run_rows.Sight(None, None, 1, 1, 0)
    await desk.enter()
    assert (await desk.look(run))[run].workers == 1


async def test_a_start_that_is_committed_again_knocks_once(desk: Desk) -> None:
    assert await desk.start() == await desk.start()
    assert await desk.jobs() == ["todo"]


async def test_one_worker_claims_it_and_that_one_ends_it(desk: Desk) -> None:
    run, one, two = await desk.start(), await desk.enter(), await desk.enter()
    claimed = await desk.claim(run, one)
    assert claimed and claimed.holder == desk.leases.holder and claimed.digest == "digest"
    assert claimed.variables == {"EXPERIENCE_SLOT": "opus/render/slot1", "EXPERIENCE_EPOCH": "1"}
    assert await desk.claim(run, two) is None
    assert await desk.claim(run, one) == claimed  # the answer was lost
    assert not await desk.finish(run, two)
    assert await desk.finish(run, one) and await desk.finish(run, one)  # again: the answer was lost
    assert (await desk.look(run))[run].result == OK
    assert await desk.claim(run, one) is None


async def test_the_next_run_is_claimed_and_its_knock_goes_with_that(desk: Desk) -> None:
    worker = await desk.enter()
    first, second = [await desk.start(task=name) for name in ("one", "two")]
    for run in (first, second):
        claimed = await desk.claim_next(worker)
        assert claimed and claimed.run == run
    assert await desk.claim_next(worker) is None and await desk.jobs() == []
    assert await run_rows.asked(desk.connection, worker) == {first: False, second: False}


async def test_a_knock_for_a_run_that_must_not_begin_is_dropped_and_the_next_is_heard(desk: Desk) -> None:
    worker = await desk.enter()
    gone, run = [await desk.start(task=name) for name in ("gone", "render")]
    await desk.connection.execute("UPDATE runs SET outcome = 'stopped' WHERE id = %s", (gone,))
    claimed = await desk.claim_next(worker)
    assert claimed and claimed.run == run and await desk.jobs() == []


async def test_a_knock_stays_when_the_claim_is_not_committed(desk: Desk) -> None:
    await desk.start()
    await desk.connection.execute('UPDATE procrastinate_jobs SET args = \'{"run": "x"}\'')
    with pytest.raises(psycopg.DataError):
        await desk.claim_next(await desk.enter())
    assert await desk.jobs() == ["todo"]


async def test_who_carried_a_run_says_where_its_owner_listens_that_it_has_ended(desk: Desk) -> None:
    run, worker = await desk.start(), await desk.enter()
    await desk.claim(run, worker)
    await desk.connection.execute("LISTEN here")
    assert not await run_rows.finish(desk.connection, run, uuid4(), OK, "here")
    assert await run_rows.results(desk.connection, [run]) == {}
    assert await run_rows.finish(desk.connection, run, worker, OK, "here")
    async for heard in desk.connection.notifies(timeout=10.0, stop_after=1):
        assert heard.payload == str(run)
        break
    else:
        pytest.fail("nothing is heard")
    assert await run_rows.results(desk.connection, [run]) == {run: OK}


async def test_its_row_goes_when_its_outcome_is_on_record(desk: Desk) -> None:
    run, worker = await desk.start(), await desk.enter()
    await desk.claim(run, worker)
    await desk.finish(run, worker)
    assert await desk.writer.write(desk.lease, [Ended("render", 2.0, 1.0, "ok", "done")]) == [1]
    assert await desk.ask("SELECT run FROM remote") == []


async def test_a_worker_that_is_silent_claims_nothing(desk: Desk) -> None:
    run = await desk.start()
    assert await desk.claim(run, await desk.enter(-1.0)) is None
    assert await desk.claim(run, uuid4()) is None


async def test_a_run_of_an_owner_that_is_no_more_is_not_claimed(desk: Desk) -> None:
    run, worker = await desk.start(), await desk.enter()
    await desk.connection.execute("UPDATE owners SET until = clock_timestamp()")
    assert await desk.claim(run, worker) is None
    await desk.connection.execute("UPDATE owners SET until = 'infinity', epoch = epoch + 1")
    assert await desk.claim(run, worker) is None


async def test_a_result_under_an_older_epoch_is_refused(desk: Desk) -> None:
    run, worker = await desk.start(), await desk.enter()
    await desk.claim(run, worker)
    await desk.connection.execute("UPDATE owners SET epoch = epoch + 1")
    assert not await desk.finish(run, worker)
    assert await desk.ask("SELECT run FROM remote") == []


async def test_a_zombie_cannot_end_the_run_that_was_given_to_another(desk: Desk) -> None:
    first, zombie = await desk.start(), await desk.enter()
    await desk.claim(first, zombie)
    await desk.connection.execute("UPDATE workers SET until = clock_timestamp()")
    assert await desk.look(first) == {}  # swept
    await desk.writer.write(desk.lease, [Ended("render", 2.0, 1.0, "interrupted", "lost")])
    second, worker = await desk.start(2), await desk.enter()
    assert await desk.claim(second, worker)
    assert not await desk.finish(first, zombie) and not await desk.finish(second, zombie)
    assert await desk.finish(second, worker)


async def test_a_task_never_overlaps_itself_on_two_workers(desk: Desk) -> None:
    before, one, two = await desk.start(), await desk.enter(), await desk.enter()
    await desk.claim(before, one)
    await desk.next_owner()
    await desk.connection.execute("UPDATE runs SET outcome = 'interrupted'")
    (run,) = await desk.ask(
        "INSERT INTO runs (citizen, task, number, slot, attempt, epoch, trigger, started)"
        " VALUES ('opus', 'render', 2, '', 1, 2, 'schedule', 1) RETURNING id"
    )
    await desk.connection.execute(
        "INSERT INTO remote (run, citizen, task, epoch, queue, digest, job)"
        f" VALUES ({run}, 'opus', 'render', 2, 'gpu', '', 0)"
    )
    assert await desk.claim(run, two) is None  # the run of the owner before has not ended
    await desk.connection.execute(f"UPDATE workers SET until = clock_timestamp() WHERE id = '{one}'")
    assert await desk.claim(run, two)


async def test_the_next_owner_drops_what_waits_and_ends_what_runs(desk: Desk) -> None:
    worker = await desk.enter()
    waits, runs, ended = [await desk.start(task=name) for name in ("waits", "runs", "ended")]
    await desk.claim(runs, worker)
    await desk.claim(ended, worker)
    await desk.finish(ended, worker)
    assert await desk.next_owner() == {"runs", "ended"}
    assert await desk.ask("SELECT run FROM remote") == [runs]
    assert await run_rows.asked(desk.connection, worker) == {runs: True}
    assert await desk.claim(waits, worker) is None


async def test_a_run_that_waits_is_dropped_and_one_that_runs_is_asked_to_end(desk: Desk) -> None:
    worker = await desk.enter()
    waits, runs = await desk.start(task="waits"), await desk.start(task="runs")
    await desk.claim(runs, worker)
    assert await run_rows.take_back(desk.connection, [waits, runs]) == {waits}
    assert not await run_rows.stop(desk.connection, waits) and await run_rows.stop(desk.connection, runs)
    assert await desk.ask("SELECT run FROM remote") == [runs] and await desk.jobs() == ["todo"]
    assert await run_rows.asked(desk.connection, worker) == {runs: True}
    assert await desk.claim(waits, worker) is None


async def test_a_run_that_is_taken_back_during_its_claim_stays_with_its_worker(desk: Desk) -> None:
    """Both wait for each other where one locks the job first and the other its row."""
    run, worker, database = await desk.start(), await desk.enter(), desk.database
    async with database.connection() as claims, database.connection() as takes_back:
        async with desk.connection.transaction():  # the claim gets as far as its job
            await desk.connection.execute("SELECT FROM owners FOR UPDATE")
            claiming = asyncio.create_task(run_rows.claim_next(claims, ["gpu"], worker))
            await desk.until_it_waits(claiming, claims)
            taking = asyncio.create_task(run_rows.take_back(takes_back, [run]))
            await desk.until_it_waits(taking, takes_back)
        claimed, taken = await claiming, await taking
    assert claimed and claimed.run == run and not taken
    assert await run_rows.stop(desk.connection, run)


async def test_a_claim_tells_of_the_freezes_and_may_be_given_back(desk: Desk) -> None:
    """Its owner, which takes back what may not begin, is frozen or cut off at this moment."""
    run, worker = await desk.start(), await desk.enter()
    for citizen in ("opus", "mira", ""):
        note = json.dumps({"last": {"since": 1.0, "why": citizen}})
        keep = "INSERT INTO notes VALUES (%s, 'freeze', %s), (%s, 'wake', '')"
        await desk.connection.execute(keep, (citizen, note, citizen))
    claimed = await desk.claim(run, worker)
    assert claimed and claimed.frozen(2.0) and len(claimed.freezes) == 2
    await run_rows.give_back(desk.connection, run, worker)
    assert await run_rows.asked(desk.connection, worker) == {}
    assert (await desk.look(run, patience=0.0))[run].place == 1
    await desk.connection.execute("UPDATE notes SET content = '{}' WHERE citizen <> 'mira'")
    claimed = await desk.claim(run, worker)
    assert claimed and not claimed.frozen(2.0)


async def test_a_knock_that_was_not_followed_is_made_again(desk: Desk) -> None:
    run = await desk.start()
    await desk.connection.execute("UPDATE procrastinate_jobs SET status = 'doing'")
    await desk.look(run)
    assert await desk.jobs() == ["doing"]  # a moment is normal
    await desk.look(run, patience=0.0)
    assert await desk.jobs() == ["todo"]
    await desk.connection.execute("DELETE FROM procrastinate_jobs")
    await desk.look(run, patience=0.0)
    assert await desk.jobs() == ["todo"]
    assert await desk.ask("SELECT job FROM remote") == await desk.ask("SELECT id FROM procrastinate_jobs")


async def test_tables_of_the_version_before_are_completed_and_others_are_refused(url: str) -> None:
    database = Database(url)
    async with database.connection() as connection:
        await connection.execute((files("scheduler.cluster") / "sql" / STEPS[0]).read_bytes())
        with pytest.raises(NotInstalled, match=f"version 1, this program knows {VERSION}: .*engine setup"):
            await require_schema(connection, database)
        assert await install(database) and not await install(database)
        await require_schema(connection, database)
        await connection.execute("UPDATE version SET number = 99")
        with pytest.raises(NotInstalled, match=r"version 99, .* install the newer program"):
            await install(database)
    await database.close()
