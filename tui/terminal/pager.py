"""Shows a text in the person's own pager, while the screen steps aside."""

import os
import shlex
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from shutil import which
from types import FrameType
from typing import Any

from textual.app import App, SuspendNotSupported

from scheduler.process.startup import give_back_limits

USUAL = ("less", "more")
ENDING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))


class NoPager(Exception):
    """Why nothing can be shown, in a line."""


def pager(environment: Mapping[str, str]) -> list[str]:
    """The words of $PAGER, or a pager that is there; raises NoPager."""
    chosen = environment.get("PAGER", "").strip()
    try:
        words = shlex.split(chosen)
    except ValueError:
        raise NoPager(f"PAGER={chosen!r} has a quote that does not end; correct it") from None
    if words and which(words[0]) is None:
        raise NoPager(f"no program {words[0]!r}; set PAGER to one, such as less")
    found = words or [name for name in USUAL if which(name)][:1]
    if not found:
        raise NoPager("no pager found: install less, or set PAGER")
    return found


def show(app: App[Any], text: str) -> None:
    """The text in a pager until the person leaves it; raises NoPager."""
    words = pager(os.environ)
    with _file(text) as path:
        try:
            with app.suspend():
                _run([*words, str(path)])
        except SuspendNotSupported:
            raise NoPager("this terminal cannot step aside for a pager") from None
        except OSError as error:
            raise NoPager(f"{words[0]}: {error.strerror or error}") from None


@contextmanager
def _file(text: str) -> Iterator[Path]:
    """The text in a private file, deleted afterwards."""
    descriptor, name = tempfile.mkstemp(prefix="experience-", suffix=".txt")  # 0600
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text + "\n")
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def _run(words: list[str]) -> None:
    """Ctrl+c goes to the pager while it runs; a signal that ends the monitor ends the pager first."""
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

    with suppress(ValueError):  # not the main thread, as under a test: only it may set signal handlers
        signal.signal(signal.SIGINT, ignored)
        for number in ENDING:
            signal.signal(number, ending)
    try:
        yield
    finally:
        with suppress(ValueError):
            for number, handler in before.items():
                signal.signal(number, handler)
