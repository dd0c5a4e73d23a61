"""Gives the terminal to another program, while the screen steps aside."""

import shlex
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from shutil import which
from types import FrameType
from typing import Any

from textual.app import App, SuspendNotSupported

from scheduler.process.startup import give_back_limits

ENDING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))


class CannotStepAside(Exception):
    """Why another program cannot get the terminal, in one line."""


def chosen(
    names: Sequence[str], environment: Mapping[str, str], usual: Sequence[str], such: str, none: str
) -> list[str]:
    """The words of the first of these variables that is set, or the first usual program that is installed.

    Raises CannotStepAside for an unusable value (`such` says what to set instead), and with `none` if none
    is installed.
    """
    for name in names:
        typed = environment.get(name, "").strip()
        try:
            words = shlex.split(typed)
        except ValueError:
            raise CannotStepAside(f"{name}={typed!r} has a quote that does not end; correct it") from None
        if words and which(words[0]) is None:
            raise CannotStepAside(f"no program {words[0]!r}; set {name} to {such}")
        if words:
            return words
    if found := next(filter(which, usual), None):
        return [found]
    raise CannotStepAside(none)


def run_in_terminal(app: App[Any], words: list[str]) -> None:
    """Give the terminal to this program until it ends; raises CannotStepAside."""
    try:
        with app.suspend():
            _run(words)
    except SuspendNotSupported:
        raise CannotStepAside("this terminal cannot step aside for another program") from None
    except OSError as error:
        raise CannotStepAside(f"{words[0]}: {error.strerror or error}") from None


def _run(words: list[str]) -> None:
    """Run it: ctrl+c goes to the program, and a signal that ends the monitor ends the program first."""
    ends: list[Callable[[], None]] = []
    with _signals(ends), subprocess.Popen(words) as process:
        give_back_limits(process.pid)
        ends.append(process.terminate)
        process.wait()


@contextmanager
def _signals(ends: Sequence[Callable[[], None]]) -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, *ENDING)}

    def ending(number: int, frame: FrameType | None) -> None:
        for end in ends:
            end()
        handler = before[number]
        if callable(handler):
            handler(number, frame)

    def ignored(number: int, frame: FrameType | None) -> None: ...

    with suppress(ValueError):  # not the main thread, as in a test: only that one may set signal handlers
        signal.signal(signal.SIGINT, ignored)
        for number in ENDING:
            signal.signal(number, ending)
    try:
        yield
    finally:
        with suppress(ValueError):
            for number, handler in before.items():
                signal.signal(number, handler)
