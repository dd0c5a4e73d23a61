"""A worker, an owner, or both die after each step of a remote run, or its knock comes twice.

Whatever dies when: no run is claimed twice, a task never overlaps itself, nothing is left behind, and the
task runs again.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from datetime import date
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.types.json import Jsonb

from scheduler.cluster.database import Connection
from scheduler.cluster.fence import Ended, Saved, Started
from scheduler.cluster.leases import Leases
from scheduler.cluster.workers import run_rows
from scheduler.cluster.workers.run_sender import RunSender
from scheduler.engine.paid.run_costs import RunCosts
from scheduler.errors import DatabaseAway
from scheduler.process.process_info import BOOT, Running
from scheduler.spending.account import AllCitizens
from tests.cluster.desk import OK, ORDER, Desk
from tests.fakes import FakeClock

STEPS = ("started", "claimed", "ended", "recorded")


class Story:
    """One run, as far as a test lets it come; then a process dies, and all goes on."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.claims = desk, list[tuple[int, UUID]]()
        self.worker = self.run = None
        self.owner_lives = self.worker_lives = True

    async def come_to(self, step: str) -> None:
        desk = self.desk
        self.worker = await desk.enter()
        self.run = await desk.start()
        deeds: dict[str, Callable[[], Awaitable[object]]] = {
            "started": self._nothing,
            "claimed": lambda: self.claim_next(self.worker),
            "ended": lambda: desk.finish(self.run, self.worker),
            "recorded": lambda: desk.writer.write(desk.lease, [Ended("render", 2.0, 1.0, "ok", "done")]),
        }
        for each in STEPS[: STEPS.index(step) + 1]:
            await deeds[each]()

    async def _nothing(self) -> None: ...

    async def claim(self, run: int, worker: UUID) -> run_rows.Claimed | None:
        claimed = await self.desk.claim(run, worker)
        if claimed:
            self.claims.append((run, worker))
        return claimed

    async def claim_next(self, worker: UUID) -> None:
        claimed = await self.desk.claim_next(worker)
        assert claimed
        self.claims.append((claimed.run, worker))

    async def kill_worker(self) -> None:
        await self.desk.connection.execute("UPDATE workers SET until = clock_timestamp()")
        self.worker_lives = False

    async def kill_owner(self) -> None:
        """The next one, as its coordinator and its scheduler do it."""
        desk = self.desk
        await desk.connection.execute("UPDATE owners SET until = clock_timestamp()")
        desk.leases = Leases(desk.database, "m2", Running(0, 0.0, 0.0, BOOT), 600.0)
        desk.lease = await desk.leases.take("opus", "home-1")
        self.begun = await run_rows.take_over(desk.connection, "opus", desk.lease.epoch)
        await desk.connection.execute("UPDATE runs SET outcome = 'interrupted' WHERE outcome IS NULL")
        self.owner_lives = False

    async def knock_twice(self) -> None:
        """Its knock was made again in the meantime: another worker hears it."""
        knock = "INSERT INTO procrastinate_jobs (queue_name, task_name, args) VALUES ('gpu', 'x', %s)"
        await self.desk.connection.execute(knock, (Jsonb({"run": self.run}),))
        other = await self.desk.enter()
        if claimed := await self.desk.claim_next(other):  # it was free
            self.claims.append((claimed.run, other))
            self.worker = other

    async def go_on(self) -> None:
        """Whoever is left ends the run; then the task starts once more, and ends well."""
        desk = self.desk
        assert self.run and self.worker
        if self.worker_lives and (self.run, self.worker) in self.claims:
            asked = await run_rows.asked(desk.connection, self.worker)
            await desk.finish(self.run, self.worker)  # it ends by itself, or because it is asked to
            assert self.owner_lives or asked.get(self.run, True)
        await desk.look(self.run, patience=0.0)
        await desk.writer.write(desk.lease, [Ended("render", 2.0, 1.0, "interrupted", "")])
        await desk.look(self.run, patience=0.0)
        again, worker = await desk.start(2), await desk.enter()
        assert again, "its row is still open"
        assert await self.claim(again, worker), "a dead run keeps it from starting"
        assert await desk.finish(again, worker)
        await desk.writer.write(desk.lease, [Ended("render", 2.0, 1.0, "ok", "")])
        assert len(self.claims) == len(dict(self.claims))  # no run has two
        assert await desk.ask("SELECT run FROM remote") == []
        left = await desk.ask("SELECT status FROM procrastinate_jobs WHERE status = 'todo'")
        assert len(left) <= 2  # knocks, for runs that are over: whoever hears one claims nothing


DEATHS: tuple[tuple[Callable[[Story], Awaitable[None]], ...], ...] = (
    (),
    (Story.kill_worker,),
    (Story.kill_owner,),
    (Story.kill_worker, Story.kill_owner),
    (Story.kill_owner, Story.kill_worker),
    (Story.knock_twice,),
    (Story.knock_twice, Story.kill_worker),
    (Story.knock_twice, Story.kill_owner),
)


@pytest.mark.parametrize("step", STEPS)
async def test_whoever_dies_after_this_step(desk: Desk, step: str) -> None:
    for deaths in DEATHS:
        await desk.connection.execute("TRUNCATE runs, remote, workers, procrastinate_jobs CASCADE")
        story = Story(desk)
        await story.come_to(step)
        for die in deaths:
            await die(story)
        await story.go_on()


RUNNING = {"pid": 1, "born": 1.0, "since": 10.0, "boot": "another"}
ENDED = {**OK, "seconds": 5.0, "machine": "g1", "printed": [[0, "half"], [0, " done"]]}
ENDED["reported"] = {"cost_usd": "0.25", "tokens_in": 7}
CHARGE = "render-1"


def account(home: Path) -> RunCosts:
    (home / ".experience").mkdir(parents=True)
    return RunCosts("opus", home, FakeClock(), AllCitizens(home.parent))


def charges(costs: RunCosts) -> list[tuple[str, Decimal | None, int | None]]:
    found = costs.account.ledger.charges(date.min, date.max)
    return [(each.run, each.cost, each.tokens_in) for each in found]


class Died(psycopg.OperationalError):
    """A process ends before this statement is sent."""


@pytest.mark.parametrize("saved", [False, True], ids=["nothing saved", "its state saved"])
async def test_the_end_of_a_run_that_a_dead_owner_had_not_recorded_is_recorded_by_the_next(
    desk: Desk, saved: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The next owner may die, too, before each of its statements; the one after it records the end.

    What the run cost is counted once, and what waited for a worker cost nothing.
    """
    execute, statements, last = psycopg.AsyncConnection.execute, count(), 0

    async def dying(connection: Connection, *arguments: Any) -> Any:
        if "experience" in str(arguments[0]) and next(statements) == last:
            await connection.close()
            raise Died
        return await execute(connection, *arguments)

    for last in range(20):
        await desk.connection.execute("TRUNCATE runs, states, remote, workers, procrastinate_jobs CASCADE")
        desk.lease = await desk.another()
        costs = account(tmp_path / str(last))
        for charge in (CHARGE, "waits-1"):
            assert costs.account.enter(charge, charge[:-2]) is None
        state = {"running": RUNNING, "last_run": 10.0}
        start = Started("render", 1, "1", 1, "schedule", 9.0, state, CHARGE, ORDER)
        waits = replace(start, task="waits", charge="waits-1")
        run, _ = await desk.writer.write(desk.lease, [start, waits])
        worker = await desk.enter()
        assert await desk.claim(run, worker) and await run_rows.finish(desk.connection, run, worker, ENDED)
        if saved:
            await desk.writer.write(desk.lease, [Saved("render", {"run_count": 1, "outcome": "ok"})])
        statements, owner = count(), await desk.another()
        with monkeypatch.context() as patch, suppress(DatabaseAway):
            patch.setattr(psycopg.AsyncConnection, "execute", dying)
            await RunSender(desk.database).take_over(owner, {}, 100.0, costs)
        died = next(statements) > last
        await RunSender(desk.database).take_over(await desk.another(), {}, 100.0, costs)
        assert charges(costs) == [("render-1", Decimal("0.25"), 7)]
        await desk.connection.execute("DELETE FROM runs WHERE task = 'waits'")
        await desk.connection.execute("DELETE FROM states WHERE task = 'waits'")
        (row,) = await desk.ask("SELECT row(finished, seconds, outcome, text, output)::text FROM runs")
        assert row == '(15,5,ok,done,"half done")' if not saved else row.startswith("(14,5,ok,done")
        assert await desk.ask("SELECT facts::jsonb->>'machine' FROM runs") == ["g1"]
        assert await desk.ask("SELECT facts::jsonb->'cost'->>'cost_usd' FROM runs") == ["0.25"]
        (state,) = await desk.ask("SELECT state FROM states")
        assert (state["run_count"], state["outcome"], "running" in state) == (1, "ok", False)
        assert await desk.ask("SELECT run FROM remote") == []
        if not died:
            break
    assert 2 < last < 19


async def test_an_end_is_not_recorded_by_who_is_no_owner_any_more(desk: Desk, tmp_path: Path) -> None:
    run, worker = await desk.start(), await desk.enter()
    assert await desk.claim(run, worker) and await desk.finish(run, worker)
    late = await desk.another()
    await desk.another()
    await RunSender(desk.database).take_over(late, {}, 100.0, account(tmp_path))
    assert await desk.ask("SELECT outcome FROM runs") == [None]
