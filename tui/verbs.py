"""Carries out what a key asked for, and gathers what there is to say about it."""

import asyncio
from collections.abc import Awaitable, Iterable, Mapping
from dataclasses import dataclass

from scheduler.core.ports import Citizens, Control
from scheduler.core.views import Receipt
from scheduler.errors import SchedulerError

TOLD = 3  # answers in one toast


@dataclass(frozen=True, slots=True)
class Answer:
    """Something to tell the person: refused, or done but not saved."""

    text: str
    refused: bool


async def carry_out(
    controls: Mapping[str, Control], verb: str, rows: Iterable[tuple[str, str]]
) -> list[Answer]:
    """Do `verb` to each (citizen, task) at once; nothing to tell means all went well."""
    asked = [
        _told(f"{citizen}/{task}", _do(controls[citizen], verb, task))
        for citizen, task in rows
        if citizen in controls
    ]
    return [answer for answer in await asyncio.gather(*asked) if answer]


async def wake(control: Control) -> list[Answer]:
    """Wake the citizen; nothing to tell means it went well."""
    answer = await _told(control.citizen, control.wake())
    return [answer] if answer else []


async def take_over(fleet: Citizens, citizen: str) -> list[Answer]:
    """Own the citizen here; nothing to tell means it went well."""
    try:
        await fleet.take_over(citizen)
    except SchedulerError as error:
        return [_refused(citizen, error)]
    return []


def summed_up(answers: list[Answer]) -> str:
    """The answers as the few lines of a toast, not yet cleaned."""
    lines = [answer.text for answer in answers[:TOLD]]
    more = len(answers) - TOLD
    return "\n".join([*lines, f"and {more} more"] if more > 0 else lines)


def _do(control: Control, verb: str, task: str) -> Awaitable[Receipt]:
    match verb:
        case "force":
            return control.force(task)
        case "reset":
            return control.reset(task)
        case "pause":
            return control.pause(task)
        case _:
            return control.resume(task)


async def _told(where: str, asked: Awaitable[Receipt]) -> Answer | None:
    try:
        receipt = await asked
    except SchedulerError as error:
        return _refused(where, error)
    return None if receipt.saved else Answer(f"{where}: done, not saved", refused=False)


def _refused(where: str, error: SchedulerError) -> Answer:
    """Some errors name the citizen themselves: once is enough."""
    citizen = where.partition("/")[0]
    return Answer(f"{where}: {str(error).removeprefix(f'{citizen}: ')}", refused=True)
