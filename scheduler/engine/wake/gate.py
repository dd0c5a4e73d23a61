"""The gate: whether a due wake is worth its cost, by what is new or by a command from the settings."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from scheduler.core.schedules.schedule import short_duration
from scheduler.core.task import Command, Context, Gate, Task
from scheduler.core.values import value
from scheduler.core.wording.gates import NEWS, NOTHING_NEW, anyway
from scheduler.core.wording.text import first_few
from scheduler.engine.run import RunHandle
from scheduler.engine.runner import Execute
from scheduler.engine.wake import news
from scheduler.engine.wake.results import TaskResult
from scheduler.errors import SchedulerError, TaskFailed
from scheduler.executors.result import Result

LIMIT = 60.0  # seconds that a gate may take
SHOWN = 200  # characters of a reason that are shown


@value
class Verdict:
    """Whether to wake, and why; `problem` is what is wrong with the gate, which then lets the wake begin."""

    wake: bool
    why: str = ""
    problem: str = ""


def due_anyway(gate: Gate, last_wake: float | None, failed: bool, now: float) -> str:
    """Why the wake begins without asking the gate; empty if the gate must be asked."""
    if last_wake is None:
        return "the first wake"
    if failed:
        return "the wake before did not end well"
    if gate.at_most is not None and now - last_wake >= gate.at_most:
        return anyway(gate.at_most)
    return ""


async def ask_news(
    gate: Gate, home: Path, before: news.Seen, results: list[TaskResult], tasks: Mapping[str, Task]
) -> Verdict:
    """Whether anything is new since the last wake."""
    words = news.words_of(results, tasks, before)
    try:
        async with asyncio.timeout(LIMIT):
            now = await asyncio.to_thread(news.seen, home, gate.paths, words)
    except TimeoutError:
        return Verdict(True, problem=f"gate: its paths could not be read within {short_duration(LIMIT)}")
    if found := news.news(before, now, results, tasks):
        return Verdict(True, f"{NEWS}{first_few(found, joint=', ')}")
    return Verdict(False, NOTHING_NEW)


async def ask_command(
    command: Command,
    letter: Mapping[str, Any],
    task: Task,
    context: Context,
    run: RunHandle,
    execute: Execute,
) -> Verdict:
    """Return the verdict of the gate's command, which reads the letter that the wake would read."""
    given = json.dumps(letter).encode() + b"\n"
    work = replace(command, input=given, environment={**command.environment, "EXPERIENCE_GATE": "1"})
    asked = RunHandle(run.name, run.trigger, run.since, citizen=run.citizen, masks=run.masks)
    asked.number = run.number
    try:
        async with asyncio.timeout(LIMIT):
            result = await execute(task.with_work(work), context, asked)
    except TimeoutError:
        return Verdict(True, problem=f"gate: no answer within {short_duration(LIMIT)}")
    except (TaskFailed, SchedulerError, OSError) as error:  # the program does not exist or cannot be started
        return Verdict(True, problem=f"gate: {run.masks.hide(str(error))}")
    return _judged(result, run.masks.hide(asked.output.tail_line()))


def _judged(result: Result, last: str) -> Verdict:
    """The verdict: exit code 0 wakes and 1 does not, but a last line of JSON overrides both."""
    if result.code not in (0, 1):
        return Verdict(True, problem=f"gate: {result.text[:SHOWN]}")
    said, why = _said(last)
    return Verdict(result.code == 0 if said is None else said, why[:SHOWN] or "the gate's command said so")


def _said(last: str) -> tuple[bool | None, str]:
    """Answer and reason of a line like `{"wakeAgent": false, "reason": "..."}`; None for any other line."""
    try:
        answer = json.loads(last)
    except (ValueError, RecursionError):
        return None, last
    if not isinstance(answer, dict) or not isinstance(wake := answer.get("wakeAgent"), bool):
        return None, last
    reason = answer.get("reason")
    return wake, reason if isinstance(reason, str) else ""
