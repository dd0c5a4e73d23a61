"""Does what a key asked for: confirms first where more is at stake, then reports what was refused."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from textual.app import App

from scheduler.core.ports import Citizens, Control
from scheduler.core.views import Receipt
from scheduler.errors import SchedulerError
from tui.common.confirm import Confirm
from tui.common.text import clean, plural

Row = tuple[str, str]  # citizen and task


LINES_IN_TOAST = 3  # answers in one toast


@dataclass(frozen=True, slots=True)
class Answer:
    """Something to tell the person: refused, or done but not saved."""

    text: str
    refused: bool


class Actions:
    """Carries wishes from the screen to the citizens; refusals come back as toasts."""

    def __init__(self, app: App[Any], fleet: Citizens, controls: Mapping[str, Control], plain: bool) -> None:
        self._app, self._fleet, self._controls, self._plain = app, fleet, controls, plain

    def do(self, verb: str, rows: Sequence[Row], *, sure: bool, then: Callable[[], None]) -> None:
        """Do `verb` to these tasks, after one question if nobody is `sure`; `then` before it begins."""

        async def carry_out() -> None:
            then()
            self._tell(await execute(self._controls, verb, rows))

        if not rows:
            self.say("no task to do that to", "warning")
        elif sure:
            self._work(carry_out())
        else:
            names = [f"{citizen}/{task}" for citizen, task in rows]
            question = f"{verb.capitalize()} {plural(len(rows), 'task')}?"
            self.ask(question, names, lambda: self._work(carry_out()))

    def wake(self, citizen: str) -> None:
        if control := self._controls.get(citizen):
            self._work(self._wake(control))

    def take_over(self, citizen: str) -> None:
        """Own the citizen here, after one question; what cannot be is said instead of asked."""
        if reason := self._fleet.why_not_own(citizen):
            self.say(reason, "error")
            return
        question = f"Own {citizen} here? Closing this screen will stop its tasks."
        self.ask(question, [], lambda: self._work(self._take_over(citizen)))

    def say(self, text: str, severity: Any = "information") -> None:
        """A toast, cleaned."""
        lines = [clean(line, self._plain) for line in text.splitlines()]
        self._app.notify("\n".join(lines), severity=severity, markup=False)

    def ask(self, question: str, names: Sequence[str], then: Callable[[], Any]) -> None:
        """One question; `then` is done after a yes."""

        def answered(yes: bool | None) -> None:
            if yes:
                then()

        self._app.push_screen(Confirm(question, names, self._plain), answered)

    async def _wake(self, control: Control) -> None:
        self._tell(await _wake(control))

    async def _take_over(self, citizen: str) -> None:
        self._tell(await _take_over(self._fleet, citizen))

    def _tell(self, answers: list[Answer]) -> None:
        if answers:
            refused = any(answer.refused for answer in answers)
            self.say(summarize(answers), "error" if refused else "warning")

    def _work(self, work: Coroutine[Any, Any, None]) -> None:
        self._app.run_worker(work, group="verbs")


async def execute(
    controls: Mapping[str, Control], verb: str, rows: Iterable[tuple[str, str]]
) -> list[Answer]:
    """Do `verb` to each (citizen, task) at once; nothing to tell means all went well."""
    asked = [
        _told(f"{citizen}/{task}", _do(controls[citizen], verb, task))
        for citizen, task in rows
        if citizen in controls
    ]
    return [answer for answer in await asyncio.gather(*asked) if answer]


async def _wake(control: Control) -> list[Answer]:
    """Wake the citizen; nothing to tell means it went well."""
    answer = await _told(control.citizen, control.wake())
    return [answer] if answer else []


async def _take_over(fleet: Citizens, citizen: str) -> list[Answer]:
    """Own the citizen here; nothing to tell means it went well."""
    try:
        await fleet.take_over(citizen)
    except SchedulerError as error:
        return [_refused(citizen, error)]
    return []


def summarize(answers: list[Answer]) -> str:
    """The answers as the few lines of a toast, not yet cleaned."""
    lines = [answer.text for answer in answers[:LINES_IN_TOAST]]
    more = len(answers) - LINES_IN_TOAST
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
