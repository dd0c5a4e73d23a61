"""The result of a run, from what its handler returned or how its process ended."""

import signal
from collections.abc import Callable
from typing import Protocol

from scheduler.core.state import ERROR_LIMIT
from scheduler.core.task import Outcome, Report
from scheduler.core.values import value
from scheduler.errors import TaskFailed
from scheduler.executors.output import OutputBuffer
from scheduler.process.process_info import Running


@value
class Result:
    """The result of a run; `text` is the sentence for its row, or the reason of a failure."""

    outcome: Outcome
    text: str = ""
    urgent: bool = False
    traceback: str = ""
    code: int | None = None  # the exit code, of a process


class RunListener(Protocol):
    """One run, to which its worker reports."""

    @property
    def output(self) -> OutputBuffer:
        """The buffer for everything that the run writes."""

    async def carried_by(self, running: Running) -> None:
        """Record the child process that waits at its gate; it starts when this returns."""

    def exited(self) -> None:
        """The run's process has exited: its result is known, and only the rest of its output is read."""

    def left_behind(self, what: str, alive: Callable[[], bool], process: Running | None = None) -> None:
        """Something could not be stopped and may still run, for as long as `alive` says so."""


URGENT = "URGENT"


_NOTHING_TO_SAY = Result(Outcome.OK)


def handler_result(value: object) -> Result:
    """The result of a handler that returned: text, a Report or nothing; anything else is a failure."""
    if value is None:
        return _NOTHING_TO_SAY
    if isinstance(value, str):
        return _said(value)
    if isinstance(value, Report) and isinstance(value.text, str):
        outcome = Outcome.WARNING if value.warning else Outcome.OK
        return _said(value.text, outcome, value.urgent)
    raise TaskFailed(f"returned {_a(type(value).__name__)}, not text")


def exit_result(code: int | None, output: OutputBuffer) -> Result:
    """The result of a process that ended, judged by its exit code and what it wrote."""
    if code != 0:
        last = output.tail_line()
        return Result(Outcome.FAILED, f"{exit_words(code)}: {last}" if last else exit_words(code), code=code)
    first = output.first_line()
    return _said(first if first.startswith(URGENT) else output.tail_line(), code=code)


def exit_words(code: int | None) -> str:
    """How a process ended, in words: an exit code, or the signal that killed it."""
    if code is None:
        return "exit code unknown, something else in this process took it"
    if code >= 0:
        return f"exit {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:  # real-time signals have no name
        return f"killed by signal {-code}"


def storable_text(text: str) -> str:
    """Text that can be stored and sent: bounded, and without lone surrogates (from odd file names)."""
    text = text[:ERROR_LIMIT]
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _said(text: str, outcome: Outcome = Outcome.OK, urgent: bool = False, code: int | None = None) -> Result:
    return Result(outcome, storable_text(text), urgent or text.startswith(URGENT), "", code)


def _a(noun: str) -> str:
    return f"an {noun}" if noun[:1].lower() in "aeiou" else f"a {noun}"
