"""The states of a citizen in the database and, after each commit, also in its `background_tasks.json`."""

import asyncio
import os
from collections.abc import Awaitable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from scheduler.cluster.database import PER_SERVER, Database
from scheduler.cluster.fence import (
    Change,
    Ended,
    FencedWriter,
    Order,
    Saved,
    Started,
    Withdrawn,
    fencing_variables,
)
from scheduler.cluster.leases import Lease
from scheduler.core.state import TaskState
from scheduler.core.task import Task, Trigger
from scheduler.core.task_digest import digest
from scheduler.engine.paid.run_costs import RunCosts
from scheduler.process.process_info import NO_PROCESS, Running
from scheduler.schema.json_codec import from_json, to_json
from scheduler.storage.state_file import States
from scheduler.storage.state_store import DiskStore, RunStart
from scheduler.system.clock import Clock

FORCED = 10_000  # added for forced runs that wait for a worker: above every task's priority
GATHER = 0.005  # seconds in which changes without a waiting caller are gathered into one write


# Rows whose programs never got control: left open they would block the next run of the task.
_NEVER_BEGAN = """
UPDATE experience.runs SET outcome = 'skipped', finished = started, seconds = 0,
    text = 'its owner died before it began'
WHERE citizen = %s AND task = ANY(%s) AND outcome IS NULL RETURNING charge
"""


# Charges without a run. The task's last run must be older, and of a program that noted its charge; of a task
# without history the state must say that no run has ended yet.
_NOT_ON_RECORD = """
SELECT entered.charge
FROM unnest(%(tasks)s::text[], %(charges)s::text[], %(times)s::float8[]) AS entered (task, charge, at)
LEFT JOIN LATERAL (
    SELECT charge, started FROM experience.runs WHERE (citizen, task) = (%(citizen)s, entered.task)
    ORDER BY id DESC LIMIT 1) AS last ON true
WHERE CASE WHEN last.started IS NULL
    THEN NOT EXISTS (
        SELECT FROM experience.states s
        WHERE (s.citizen, s.task) = (%(citizen)s, entered.task) AND (s.state->>'run_count')::bigint > 0)
    ELSE last.charge IS NOT NULL AND last.started <= entered.at + 1 END
AND NOT EXISTS (
    SELECT FROM experience.runs r
    WHERE (r.citizen, r.task, r.charge) = (%(citizen)s, entered.task, entered.charge))
"""


@dataclass(frozen=True, slots=True)
class Committed:
    """What earlier owners committed: the states, and the number of each task's last run."""

    states: dict[str, TaskState]
    numbers: dict[str, int]
    never_began: tuple[str, ...] = ()  # the charges of runs that were on record and never began


async def read_committed(database: Database, citizen: str, begun: Collection[str] = ()) -> Committed:
    """Return where the next owner continues; raises DatabaseAway. Workers had begun runs of `begun`."""
    states = await database.rows("SELECT task, state FROM experience.states WHERE citizen = %s", (citizen,))
    numbers = await database.rows(
        "SELECT task, max(number) FROM experience.runs WHERE citizen = %s GROUP BY task", (citizen,)
    )
    found = {task: from_json(TaskState, state) for task, state in states}
    for task in found.keys() & set(begun):
        if running := found[task].running:  # its owner died before it could note that
            found[task] = found[task].carried_by(running)
    for task, state in found.items():  # runs under earlier leases of this process ended with them
        if state.running and state.running.pid == os.getpid():
            found[task] = state.changed(running=replace(state.running, pid=NO_PROCESS, born=0.0))
    never = [task for task, state in found.items() if state.starting]
    closed = await database.rows(_NEVER_BEGAN, (citizen, never))
    return Committed(found, dict(numbers), tuple(charge for (charge,) in closed if charge))


async def cancel_unbegun(
    database: Database, citizen: str, tasks: Iterable[Task], costs: RunCosts, never_began: Iterable[str]
) -> None:
    """Count no run that earlier owners entered in the ledger and that never began; raises DatabaseAway.

    `never_began` are the charges of those on record. A run for a worker is entered before it is on record.
    """
    with suppress(OSError):  # what is not cancelled counts as the highest of the last runs
        newest = await asyncio.to_thread(costs.account.newest)
        last = [each for task in tasks if task.queue and (each := newest.get(task.name))]
        entered = [each for each in last if each.cost is None and each.at is not None]
        values = {
            "citizen": citizen,
            "tasks": [each.task for each in entered],
            "charges": [each.run for each in entered],
            "times": [each.at for each in entered],
        }
        found = await database.rows(_NOT_ON_RECORD, values) if entered else []
        await asyncio.to_thread(costs.cancel, [*never_began, *(charge for (charge,) in found)])


@dataclass(slots=True)
class _Start:
    start: RunStart
    number: int
    answer: asyncio.Future[Mapping[str, str] | None]


class Guarded(Protocol):
    """The guard over the processes of this machine's runs."""

    async def guarded(self) -> None: ...

    def carried(self, process: Running) -> None: ...

    def begins_inside(self) -> None: ...


class ClusterStore(DiskStore):
    """Commits first, then writes the file, which v2's tools read and a person may edit.

    Only one write at a time, so that committed states never go back.
    """

    fenced = True

    def __init__(
        self, home: Path, clock: Clock, lease: Lease, writer: FencedWriter, guard: Guarded, before: Committed
    ) -> None:
        super().__init__(home, clock)
        self._lease, self._writer, self._guard = lease, writer, guard
        self._committed, self._numbers = dict(before.states), dict(before.numbers)
        self._last_ended: dict[str, int | None] = {}  # the number of the last run of each task that has ended
        self.open_rows: dict[str, int] = {}  # the row of the last run of each task
        # The end of each task's last run that is still being written for the history.
        self.packing: dict[str, asyncio.Task[None]] = {}
        self._home = home
        self._remote: set[str] = set()  # tasks whose last run was sent to a worker
        self._starts: list[_Start] = []
        self._ends: list[Ended | Withdrawn] = []
        self._committing: asyncio.Task[bool] | None = None
        writer.on_trouble.add(self._set_unsaved)

    def _set_unsaved(self, unsaved: str) -> None:
        super()._set_unsaved(self._writer.trouble or unsaved)

    def load(self) -> tuple[States, list[str]]:
        states, notes = super().load()  # the file keeps foreign keys; its states are older
        return self._committed or states, notes

    def changed(self) -> None:
        super().changed()
        self._commit_soon()

    def carried(self, process: Running) -> None:
        self._guard.carried(process)

    async def started(self, start: RunStart) -> Mapping[str, str] | None:
        await self._guard.guarded()
        if packing := self.packing.pop(start.task, None):
            await asyncio.wait({packing})  # no task overlaps itself, so its last run ends first
        lowest = self._lease.epoch // PER_SERVER * PER_SERVER  # lower ones may have been lost with a server
        number = self._numbers[start.task] = max(self._numbers.get(start.task, 0), lowest) + 1
        answer: asyncio.Future[Mapping[str, str] | None] = asyncio.get_running_loop().create_future()
        self._starts.append(_Start(start, number, answer))
        self._commit_soon()
        variables = await answer
        if start.in_process and variables is not None:
            self._guard.begins_inside()
        return variables

    def end(self, run: Ended) -> None:
        """Note the end of the open run of this task."""
        self._close(replace(run, number=self._numbers.get(run.task)))

    def is_remote(self, task: str) -> bool:
        """Whether the task's last run was sent to a worker."""
        return task in self._remote

    def withdrawn(self, task: str) -> None:
        self._close(Withdrawn(task, self._numbers.get(task)))

    def _close(self, end: Ended | Withdrawn) -> None:
        """Commit one end of each run: another one may be of a run that ended before its start was sent."""
        if end.number is None or self._last_ended.get(end.task) != end.number:
            self._last_ended[end.task] = end.number
            self._ends.append(end)
            self._commit_soon()

    def written(self) -> Awaitable[bool]:
        return asyncio.shield(self._commit_soon())

    async def saved(self) -> bool:
        committed = await asyncio.shield(self._commit_soon())
        await super().saved()
        return committed

    async def close(self) -> None:
        await self.saved()
        self._writer.on_trouble.discard(self._set_unsaved)
        await super().close()

    def _commit_soon(self) -> "asyncio.Task[bool]":
        if self._committing is None:
            self._committing = asyncio.create_task(self._commit_all(), name="commit")
        return self._committing

    async def _commit_all(self) -> bool:
        """Commit until nothing waits; return whether everything was accepted."""
        accepted = True
        try:
            await asyncio.sleep(0 if self._starts else GATHER)
            while self._starts or self._ends or self._dirty():
                accepted = await self._commit() and accepted
            return accepted
        finally:
            self._committing = None

    def _dirty(self) -> dict[str, TaskState]:
        return {n: s for n, s in self._states().items() if self._committed.get(n) is not s}

    async def _commit(self) -> bool:
        starts, self._starts = self._starts, []
        starting = {each.start.task: each.number for each in starts}
        ends = [end for end in self._ends if end.number != starting.get(end.task, -1)]
        self._ends = [end for end in self._ends if end.number == starting.get(end.task, -1)]  # start first
        saving = {name: state for name, state in self._dirty().items() if name not in starting}
        changes: list[Change] = [
            *ends,
            *(Saved(name, to_json(state)) for name, state in saving.items()),
            *map(self._row, starts),
        ]
        self._committed |= saving | {each.start.task: each.start.state for each in starts}
        answers: Sequence[int] = await self._writer.write(self._lease, changes)
        for each, begun in zip(starts, answers[len(changes) - len(starts) :], strict=True):
            self.open_rows[each.start.task] = begun
            if not each.answer.done():
                each.answer.set_result(self._variables(each) if begun else None)
        return all(answers)

    def _row(self, asked: _Start) -> Started:
        start, state = asked.start, to_json(asked.start.state)
        (self._remote.add if start.remote else self._remote.discard)(start.task)
        which = start.task, asked.number, self._slot(asked), start.attempt
        given = *which, start.trigger, start.started, state
        return Started(*given, start.charge, self._order(start) if start.remote else None)

    def _order(self, start: RunStart) -> Order:
        assert start.remote
        forced = FORCED if start.trigger == Trigger.FORCE else 0
        priority, known = forced - start.remote.priority, digest(start.remote, self._home)
        return Order(start.remote.queue, known, priority, start.state.last_success)

    def _slot(self, asked: _Start) -> str:
        """The id of the slot, the same for each attempt: its time, or the number of the first run."""
        return asked.start.slot or str(asked.number - asked.start.attempt + 1)

    def _variables(self, asked: _Start) -> Mapping[str, str]:
        return fencing_variables(self._lease.citizen, asked.start.task, self._slot(asked), self._lease.epoch)
