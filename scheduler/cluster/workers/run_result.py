"""The end of a run on a worker, as JSON: its result, and the output that its owner has not seen."""

import asyncio
import json
import logging
from collections.abc import Iterable, Mapping
from contextlib import suppress
from decimal import Decimal
from typing import Any

from psycopg.types.json import Jsonb

from scheduler.agents import FILE
from scheduler.agents.report import AgentReport, Ending
from scheduler.cluster.database import Connection
from scheduler.core.costs import RunCost, Usage
from scheduler.core.planning import followed_up
from scheduler.core.state import TaskState
from scheduler.core.task import Outcome, Task
from scheduler.core.views import OutputChunk
from scheduler.engine.paid.run_costs import RunCosts
from scheduler.executors.output import OutputBuffer
from scheduler.executors.result import Result
from scheduler.schema.json_codec import InvalidJson, from_json, to_json
from scheduler.storage.history_reader import RunFacts

log = logging.getLogger("experience.cost")

_UNRECORDED = """
SELECT q.run, q.task, q.charge, q.result, r.started, s.state
FROM experience.remote q JOIN experience.runs r ON r.id = q.run
LEFT JOIN experience.states s ON (s.citizen, s.task) = (q.citizen, q.task)
WHERE q.citizen = %(citizen)s AND q.epoch < %(epoch)s AND q.result IS NOT NULL AND r.outcome IS NULL
    AND q.result->>'began' IS DISTINCT FROM 'false'
"""
_NEVER_BEGAN = """
SELECT charge FROM experience.remote
WHERE citizen = %(citizen)s AND epoch < %(epoch)s AND charge <> ''
    AND (worker IS NULL OR result->>'began' = 'false')
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
    reported: AgentReport | None = None,
    *,
    began: bool = True,
) -> dict[str, Any]:
    """The JSON of a run that took so long there, with the pieces of output that its owner lacks.

    `reported` is the report of its cost; a run that never `began` counts as none.
    """
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
        "reported": _as_json(reported) if reported else None,
        "began": began,
    }


def result_of(raw: dict[str, Any]) -> Result:
    """The result; a failure that says so if the JSON is invalid."""
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
    """Add the pieces that came with the end to the output."""
    for each in raw.get("printed") or ():
        print_piece(each, output)


def print_piece(raw: Any, output: OutputBuffer) -> None:
    """Add a piece and count the bytes that were left out before it."""
    skipped, text = raw
    if skipped:
        output.skip(int(skipped))
    output.write(str(text).encode("utf-8", "replace"))


def machine_of(raw: dict[str, Any]) -> str:
    """The machine where it ran; empty if unknown."""
    return str(raw.get("machine") or "")


def usage_of(raw: dict[str, Any]) -> list[Usage]:
    """The tokens that the run used, by model."""
    try:
        return [from_json(Usage, each) for each in raw.get("used") or ()]
    except InvalidJson:
        return []


def _as_json(said: AgentReport) -> dict[str, Any]:
    cost = "" if said.cost is None else str(said.cost)
    text = to_json(
        RunCost(cost, False, said.tokens_in, said.tokens_out, said.turns, "", said.session, said.summary)
    )
    return {**text, "by_model": [to_json(each) for each in said.used]}


def reported_of(raw: dict[str, Any]) -> AgentReport | None:
    """The run's report of its cost; None if there is none or it is invalid."""
    try:
        if not (found := raw.get("reported")):
            return None
        said, used = from_json(RunCost, found), from_json(tuple[Usage, ...], found.get("by_model", []))
        cost = Decimal(said.cost_usd) if said.cost_usd else None
    except (InvalidJson, ArithmeticError):
        return None
    tokens = said.tokens_in, said.tokens_out, said.turns
    return AgentReport(Ending.OK, cost, *tokens, said.session, said.summary, used)


async def record_endings(
    connection: Connection, citizen: str, epoch: int, tasks: Mapping[str, Task], now: float, costs: RunCosts
) -> None:
    """Record the ends of runs whose owner died before it could, in the caller's transaction.

    A new owner calls this before it drops the rows of these runs. Their costs are counted once;
    runs that only waited for a worker cost nothing.
    """
    asked = {"citizen": citizen, "epoch": epoch}
    for (charge,) in await (await connection.execute(_NEVER_BEGAN, asked)).fetchall():
        await asyncio.to_thread(_count, costs, charge, "", None, {"began": False})
    ended = await (await connection.execute(_UNRECORDED, asked)).fetchall()
    for run, task, charge, raw, started, state in ended:
        result, output = result_of(raw), OutputBuffer()
        with suppress(TypeError, ValueError):  # not from a worker of this program
            print_rest(raw, output)
        cost = await asyncio.to_thread(_count, costs, charge, task, tasks.get(task), raw) if charge else None
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
            "facts": json.dumps(to_json(RunFacts(cost, machine=machine_of(raw)))),
        }
        await connection.execute(_RECORD, asked | values)


def _count(costs: RunCosts, charge: str, name: str, task: Task | None, raw: dict[str, Any]) -> RunCost | None:
    """Enter the cost of the run in the ledger and return it; blocks."""
    program = "" if task is None or task.report == FILE else task.report
    try:
        if raw.get("began") is not False:
            return costs.settle_once(charge, name, program, reported_of(raw), usage_of(raw))
        costs.account.cancel(charge)
    except OSError as error:  # it stays unknown and counts as the highest of the last runs
        log.warning("cost not noted", extra={"task": name, "error": str(error)})
    return None


def _seconds(raw: dict[str, Any], otherwise: float) -> float:
    found = raw.get("seconds")
    return float(found) if isinstance(found, int | float) and found >= 0 else otherwise


def _after(
    citizen: str, task: Task | None, before: TaskState, result: Result, finished: float
) -> TaskState | None:
    """The task's state after the run; None if its owner had saved that state already."""
    if (running := before.running) is None:
        return None
    state, took = before.carried_by(running), max(0.0, finished - running.since)
    if result.outcome is Outcome.INTERRUPTED:
        return state.interrupted(result.text, finished, again=False).gave_up()
    state = state.finished(result.outcome, result.text, finished, took)
    return followed_up(citizen, task, state, finished) if task else state.gave_up()
