"""How a run on a worker ended, as JSON: its result, and what its owner has not seen of its output."""

import asyncio
import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from psycopg.types.json import Jsonb

from scheduler.cluster.database import Connection
from scheduler.core.costs import Usage
from scheduler.core.planning import followed_up
from scheduler.core.state import TaskState
from scheduler.core.task import Outcome, Task
from scheduler.core.views import OutputChunk
from scheduler.executors.output import OutputBuffer
from scheduler.executors.result import Result
from scheduler.schema.json_codec import InvalidJson, from_json, to_json

_UNRECORDED = """
SELECT q.run, q.task, q.result, r.started, s.state
FROM experience.remote q JOIN experience.runs r ON r.id = q.run
LEFT JOIN experience.states s ON (s.citizen, s.task) = (q.citizen, q.task)
WHERE q.citizen = %(citizen)s AND q.epoch < %(epoch)s AND q.result IS NOT NULL AND r.outcome IS NULL
"""
_RECORD = """
WITH saved AS (
    UPDATE experience.states SET state = %(state)s, epoch = %(epoch)s
    WHERE (citizen, task) = (%(citizen)s, %(task)s) AND %(state)s::jsonb IS NOT NULL)
UPDATE experience.runs SET finished = %(finished)s, seconds = %(seconds)s, outcome = %(outcome)s,
    text = %(text)s, output = %(output)s, traceback = %(traceback)s, facts = %(facts)s
WHERE id = %(run)s
"""


def ending(
    result: Result,
    printed: Iterable[OutputChunk] = (),
    used: Iterable[Usage] = (),
    seconds: float = 0.0,
    machine: str = "",
) -> dict[str, Any]:
    """The ending of a run that took so long there, and whose owner lacks these pieces of its output."""
    return {
        "seconds": seconds,
        "outcome": result.outcome.value,
        "text": result.text,
        "urgent": result.urgent,
        "traceback": result.traceback,
        "machine": machine,
        "code": result.code,
        "printed": [[each.skipped, each.text] for each in printed],
        "used": [to_json(each) for each in used],
    }


def result_of(raw: dict[str, Any]) -> Result:
    """The result; a failure that says so if a worker wrote something else."""
    try:
        return Result(
            Outcome(raw["outcome"]),
            str(raw["text"]),
            raw["urgent"] is True,
            str(raw["traceback"]),
            raw["code"] if isinstance(raw["code"], int) else None,
        )
    except (KeyError, ValueError) as error:
        return Result(Outcome.FAILED, f"its worker wrote an ending that cannot be read: {error!r}")


def print_rest(raw: dict[str, Any], output: OutputBuffer) -> None:
    """Add to the output what came with the ending."""
    for each in raw.get("printed") or ():
        print_piece(each, output)


def print_piece(raw: Any, output: OutputBuffer) -> None:
    """Add a piece, and count the bytes that were left out before it."""
    skipped, text = raw
    if skipped:
        output.skip(int(skipped))
    output.write(str(text).encode("utf-8", "replace"))


def machine_of(raw: dict[str, Any]) -> str:
    """Where it ran; empty if that is not said."""
    return str(raw.get("machine") or "")


def usage_of(raw: dict[str, Any]) -> list[Usage]:
    """What the run used of models."""
    try:
        return [from_json(Usage, each) for each in raw.get("used") or ()]
    except InvalidJson:
        return []


async def record_endings(
    connection: Connection, citizen: str, epoch: int, tasks: Mapping[str, Task], now: float
) -> None:
    """Put on record how runs ended whose owner died before it had: in a transaction of the caller's.

    Who takes over does so before it drops the rows of these runs.
    """
    asked = {"citizen": citizen, "epoch": epoch}
    for run, task, raw, started, state in await (await connection.execute(_UNRECORDED, asked)).fetchall():
        result, output = result_of(raw), OutputBuffer()
        with suppress(TypeError, ValueError):  # not written by a worker of ours
            print_rest(raw, output)
        before = from_json(TaskState, state or {})
        began = before.running.since if before.running else started
        finished = min(now, began + _seconds(raw, now - began))
        after = _after(citizen, tasks.get(task), before, result, finished)
        values = {
            "run": run,
            "task": task,
            "state": Jsonb(to_json(after)) if after else None,
            "finished": finished,
            "seconds": max(0.0, finished - began),
            "outcome": result.outcome.value,
            "text": result.text,
            "output": await asyncio.to_thread(output.text),
            "traceback": result.traceback,
            "facts": json.dumps({"machine": machine_of(raw)}),
        }
        await connection.execute(_RECORD, asked | values)


def _seconds(raw: dict[str, Any], otherwise: float) -> float:
    found = raw.get("seconds")
    return float(found) if isinstance(found, int | float) and found >= 0 else otherwise


def _after(
    citizen: str, task: Task | None, before: TaskState, result: Result, finished: float
) -> TaskState | None:
    """The state of its task; None if its owner had saved that, and only not the end of the run."""
    if (running := before.running) is None:
        return None
    state, took = before.carried_by(running), max(0.0, finished - running.since)
    if result.outcome is Outcome.INTERRUPTED:
        return state.interrupted(result.text, finished, again=False).gave_up()
    state = state.finished(result.outcome, result.text, finished, took)
    return followed_up(citizen, task, state, finished) if task else state.gave_up()
