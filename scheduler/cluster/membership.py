"""Joining and leaving: after a kill at any point a citizen is in exactly one place, its disk or the database.

Each side is complete before the other is given up: a join writes the mark in the home last, and a leave
removes it last.
"""

import asyncio
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import LiteralString
from uuid import UUID, uuid5

from scheduler.cluster.database import PER_SERVER, Connection, Database, one, require_schema
from scheduler.cluster.history import COLUMNS, read_output
from scheduler.cluster.presence import proven
from scheduler.cluster.shared_files import FOLDER, from_files, read_notes, write_files
from scheduler.core.records import FinishedRun, RunQuery, RunRecord
from scheduler.core.state import TaskState
from scheduler.core.task import Retention
from scheduler.errors import PROGRAM, Owned, SchedulerError
from scheduler.schema.json_codec import from_json, to_json
from scheduler.storage import history_reader
from scheduler.storage.history_writer import HistoryWriter
from scheduler.storage.lock import owning
from scheduler.storage.shared_home import SharedHome, mark_shared, new_home_id, shared_home, unmark_shared
from scheduler.storage.state_file import StateFile
from scheduler.system.clock import elapsed

NEVER_OWNED = UUID(int=0)
EVERY = 10**9  # runs: all of them

_JOIN = """
INSERT INTO experience.owners AS o (citizen, epoch, holder, machine, process, home_id, until)
VALUES (%(citizen)s, 0, %(holder)s, %(machine)s, '{}', %(home_id)s, clock_timestamp())
ON CONFLICT (citizen) DO UPDATE SET home_id = excluded.home_id, machine = excluded.machine
    WHERE o.epoch %% %(step)s = 0  -- never owned, on whichever server: see notice_server
RETURNING epoch
"""
_SETTLE = """
UPDATE experience.owners SET home_id = %(new)s, machine = %(machine)s
WHERE citizen = %(citizen)s AND home_id IN (%(old)s, %(new)s) AND until < clock_timestamp() RETURNING 1
"""
_OWNER = "SELECT machine FROM experience.owners WHERE citizen = %s AND home_id = %s"
_RUN = """
INSERT INTO experience.runs (citizen, task, number, slot, attempt, epoch, trigger, started, finished, seconds,
                             outcome, text, output, traceback, facts)
VALUES (%s, %s, %s, '', %s, 0, %s, %s, %s, %s, %s, %s, %s, '', %s)
"""
_NEW_RUNS: LiteralString = (
    f"SELECT {COLUMNS} FROM experience.runs"
    " WHERE citizen = %s AND epoch > 0 AND outcome IS NOT NULL ORDER BY id"
)
_TABLES = ("runs", "states", "notes", "spending", "owners")


@dataclass(frozen=True, slots=True)
class OwnerRow:
    """The owner of a shared citizen; its lease has `left` seconds, negative if it has ended."""

    citizen: str
    machine: str
    pid: int | None
    epoch: int
    left: float


async def owners(database: Database) -> list[OwnerRow]:
    """Return all shared citizens by name; raises DatabaseAway."""
    rows = await database.rows(
        "SELECT citizen, machine, (process->>'pid')::int, epoch,"
        " extract(epoch FROM until - clock_timestamp())::float8 FROM experience.owners ORDER BY citizen"
    )
    return [OwnerRow(*row) for row in rows]


async def clock_skew(database: Database, now: float) -> float:
    """Return the seconds by which this clock, which reads `now`, is ahead of the database's at least."""
    sent = elapsed()
    rows = await database.rows("SELECT extract(epoch FROM clock_timestamp())::float8")
    return proven(now - rows[0][0], elapsed() - sent)


# ------------------------------------------------------------------ join


async def join(database: Database, citizen: str, home: Path, machine: str, now: float) -> None:
    """Share a citizen that has no owner now; raises Owned, SchedulerError, DatabaseAway."""
    if mark := shared_home(home):
        if mark.copied and mark.home_id:
            return await _settle(database, citizen, home, machine, mark)
        raise SchedulerError(f"{citizen} is shared already; {PROGRAM} engine status shows who runs it")
    with owning(home, now):
        home_id = new_home_id()
        states, _ = await asyncio.to_thread(StateFile(home).load)
        runs = await asyncio.to_thread(history_reader.runs, home, RunQuery(limit=EVERY), ())
        notes, lines = await asyncio.to_thread(from_files, home / FOLDER)
        async with database.connection() as connection:
            await require_schema(connection, database)
            async with connection.transaction():
                await _give(connection, citizen, home_id, machine)
                await _copy_states(connection, citizen, states)
                await _copy_runs(connection, citizen, home, runs)
                await _copy_notes(connection, citizen, notes, lines)
        await asyncio.to_thread(mark_shared, home, home_id, database.name)


async def _settle(database: Database, citizen: str, home: Path, machine: str, mark: SharedHome) -> None:
    """Let a copy of the shared home take its place; its id is the same if this is repeated after a kill."""
    new = str(uuid5(UUID(mark.home_id), str(mark.inode)))
    values = {"citizen": citizen, "old": mark.home_id, "new": new, "machine": machine}
    if not await database.rows(_SETTLE, values):
        rows = await database.rows(_OWNER, (citizen, mark.home_id))
        why = (
            f"runs on {rows[0][0]}: stop it there first"
            if rows
            else "is shared by another home than the copied one"
        )
        raise Owned(f"{citizen} {why}")
    await asyncio.to_thread(mark_shared, home, new, database.name)


async def _give(connection: Connection, citizen: str, home_id: str, machine: str) -> None:
    """Write the citizen's row; one that an interrupted join left is replaced, with all its data."""
    values = {
        "citizen": citizen,
        "holder": NEVER_OWNED,
        "machine": machine,
        "home_id": home_id,
        "step": PER_SERVER,
    }
    if await (await connection.execute(_JOIN, values)).fetchone() is None:
        row = await one(connection, "SELECT machine FROM experience.owners WHERE citizen = %s", (citizen,))
        raise Owned(f"another {citizen} is shared already, by {row[0]}: give this one another name")
    await connection.execute("DELETE FROM experience.runs WHERE citizen = %s", (citizen,))
    for table in ("states", "notes", "spending"):
        await connection.execute(f"DELETE FROM experience.{table} WHERE citizen = %s", (citizen,))


async def _copy_states(connection: Connection, citizen: str, states: object) -> None:
    assert isinstance(states, dict)
    rows = [(citizen, task, json.dumps(to_json(state))) for task, state in states.items()]
    async with connection.cursor() as cursor:
        await cursor.executemany("INSERT INTO experience.states VALUES (%s, %s, 0, %s)", rows)


async def _copy_runs(connection: Connection, citizen: str, home: Path, runs: tuple[RunRecord, ...]) -> None:
    numbers: dict[str, int] = {}
    async with connection.cursor() as cursor:
        for run in sorted(runs, key=lambda run: run.id):
            number = numbers[run.task] = numbers.get(run.task, 0) + 1
            output = await asyncio.to_thread(history_reader.output, home, run.id) if run.printed else ""
            trigger = run.trigger.value if run.trigger else None
            facts = history_reader.facts_text(run)
            row = (citizen, run.task, number, run.attempt, trigger, run.started, run.finished, run.seconds)
            text, output = (each.replace("\0", "\ufffd") for each in (run.text, output))
            await cursor.execute(_RUN, (*row, run.outcome.value, text, output, facts))


async def _copy_notes(
    connection: Connection, citizen: str, notes: Mapping[str, str], lines: Iterable[str]
) -> None:
    async with connection.cursor() as cursor:
        rows = [(citizen, name, content) for name, content in notes.items()]
        await cursor.executemany("INSERT INTO experience.notes VALUES (%s, %s, %s)", rows)
        spent = [(citizen, line) for line in lines]
        await cursor.executemany("INSERT INTO experience.spending (citizen, line) VALUES (%s, %s)", spent)


# ------------------------------------------------------------------ leave


async def leave(database: Database, citizen: str, home: Path, now: float) -> None:
    """Give a citizen that has no owner now back to its home; raises Owned, DatabaseAway."""
    home_mark = shared_home(home)
    if home_mark is None:
        raise SchedulerError(f"{citizen} is not shared: it runs by its own home")
    with owning(home, now, shared=True):
        async with database.connection() as connection, connection.transaction():
            row = await (
                await connection.execute(
                    "SELECT home_id, machine, until > clock_timestamp() FROM experience.owners"
                    " WHERE citizen = %s FOR UPDATE",
                    (citizen,),
                )
            ).fetchone()
            if row is not None:
                home_id, machine, running = row
                if running:
                    raise Owned(f"{citizen} runs on {machine}: stop it there first")
                if home_id != home_mark.home_id or home_mark.copied:
                    raise Owned(f"{citizen}: this folder is not its home; leave it from {machine}")
                await _fetch(database, citizen, home)
                for table in _TABLES:
                    await connection.execute(f"DELETE FROM experience.{table} WHERE citizen = %s", (citizen,))
        await asyncio.to_thread(unmark_shared, home)


async def _fetch(database: Database, citizen: str, home: Path) -> None:
    """Write states and runs into the home, as if the citizen had always run there."""
    rows = await database.rows("SELECT task, state FROM experience.states WHERE citizen = %s", (citizen,))
    states = {task: from_json(TaskState, state) for task, state in rows}
    file = StateFile(home)
    await asyncio.to_thread(file.load)
    await asyncio.to_thread(file.save, states, 1, True)
    await asyncio.to_thread(write_files, home / FOLDER, *await read_notes(database, citizen), False)
    before = await asyncio.to_thread(history_reader.runs, home, RunQuery(limit=EVERY), ())
    there = {(run.task, run.started, run.finished) for run in before}  # written by an interrupted leave
    writer = HistoryWriter()
    recorder = writer.of(home, Retention())
    recorder.begin(lambda kind, text: None)
    for run in map(history_reader.record_of, await database.rows(_NEW_RUNS, (citizen,))):
        if (run.task, run.started, run.finished) in there:
            continue
        output = _Text(await read_output(database, citizen, run.id))
        recorder.record(
            FinishedRun(
                run.task,
                run.trigger,
                run.attempt,
                run.started,
                run.finished,
                run.seconds,
                run.outcome,
                run.text,
                output=output if output.size else None,
                cost=run.cost,
                who=run.who,
                stopped_by=run.stopped_by,
                why=run.why,
                machine=run.machine,
            )
        )
    await recorder.close()
    await writer.close()


class _Text:
    """The output of a run in the form that the history needs."""

    def __init__(self, text: str) -> None:
        self._text, self.size = text, len(text)

    def text(self) -> str:
        return self._text


# ------------------------------------------------------------------ move


async def move(database: Database, citizen: str, machine: str) -> str:
    """Ask the owner to release it for `machine`; return the present machine. Raises SchedulerError."""
    rows = await database.rows(
        "UPDATE experience.owners SET wanted = %(machine)s WHERE citizen = %(citizen)s"
        " RETURNING machine, until > clock_timestamp()",
        {"machine": machine, "citizen": citizen},
    )
    if not rows:
        raise SchedulerError(f"{citizen} is not shared; share it with: {PROGRAM} engine join {citizen}")
    before, running = rows[0]
    return str(before) if running else ""
