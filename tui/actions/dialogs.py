"""Asks before something is requested, sends the requests at once, and shows what was refused."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from textual.app import App
from textual.screen import Screen

from scheduler.core.values import value
from scheduler.core.views import Receipt
from scheduler.errors import SchedulerError
from tui.common.questions.question import STAY, Choice, Confirm, Question, Words
from tui.common.text import clean
from tui.glyphs import Glyphs

T = TypeVar("T")
LINES_IN_TOAST = 3  # answers in one toast
Request = tuple[str, Awaitable[Receipt | None]]  # the citizen or task, and its pending answer


@value
class Answer:
    """The text about a request that was refused, or about a change that was not saved."""

    text: str
    refused: bool


class Dialogs:
    """Questions, requests and toasts over the screens of an app."""

    def __init__(self, app: App[Any], glyphs: Glyphs) -> None:
        self._app, self._glyphs, self._plain = app, glyphs, glyphs.plain

    def open_screen(self, screen: Screen[T], then: Callable[[T], object]) -> None:
        """Open a question or a form; call `then` with the answer, unless it is a no or there is none."""

        def answered(answer: T | None) -> None:
            if answer:
                then(answer)

        self._app.push_screen(screen, answered)

    def choose(
        self,
        title: str,
        facts: Iterable[Words],
        choices: Sequence[Choice],
        then: Mapping[str, Callable[[], object]],
        at: str = STAY,
    ) -> Question:
        """Ask, and do what belongs to the key of the answer; any other answer changes nothing."""
        question = Question(title, [*facts], choices, self._glyphs, at)
        self.open_screen(question, lambda key: then[key]() if key in then else None)
        return question

    def toast(self, text: str, severity: Any = "information") -> None:
        """Show a short, cleaned message in the corner."""
        lines = [clean(line, self._plain) for line in text.splitlines()]
        self._app.notify("\n".join(lines), severity=severity, markup=False)

    def ask(self, question: str, names: Sequence[str], then: Callable[[], Any]) -> None:
        """Ask a yes-or-no question; call `then` after a yes."""
        self.open_screen(Confirm(question, names, self._plain), lambda yes: then())

    def send(self, requests: Iterable[Request]) -> None:
        """Send these requests; what is refused comes as a toast."""
        self._app.run_worker(self.report(requests), group="verbs")

    async def report(self, requests: Iterable[Request]) -> bool:
        """Wait for these requests and show the problems; whether anything was refused."""
        refused = False
        if answers := await execute(requests):
            refused = any(answer.refused for answer in answers)
            self.toast(summarize(answers), "error" if refused else "warning")
        return refused


async def execute(requests: Iterable[Request]) -> list[Answer]:
    """Wait for all of these at once; return only the problems."""
    answers = await asyncio.gather(*(_answer(where, verb) for where, verb in requests))
    return [answer for answer in answers if answer]


def summarize(answers: list[Answer]) -> str:
    """The answers as the few lines of a toast, not yet cleaned."""
    lines = [answer.text for answer in answers[:LINES_IN_TOAST]]
    more = len(answers) - LINES_IN_TOAST
    return "\n".join([*lines, f"and {more:,} more"] if more > 0 else lines)


async def done(asked: Awaitable[None]) -> Receipt | None:
    """Wait for a request that has no receipt."""
    await asked
    return None


async def _answer(where: str, asked: Awaitable[Receipt | None]) -> Answer | None:
    try:
        receipt = await asked
    except SchedulerError as error:  # some errors already begin with the citizen's name
        text = str(error).removeprefix(f"{where.partition('/')[0]}: ")
        return Answer(f"{where}: {text}", refused=True)
    if receipt is None or receipt.saved:
        return None
    how = receipt.text.partition("; ")[2] or "done, not saved"
    return Answer(f"{where}: {how}", refused=False)
