"""Shows a text in the person's own pager, while the screen steps aside."""

import os
import shlex
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from shutil import which
from typing import Any

from textual.app import App

from tui.terminal.external_program import CannotStepAside, run_in_terminal

USUAL = ("less", "more")


def pager(environment: Mapping[str, str]) -> list[str]:
    """The words of $PAGER, or a pager that is there; raises CannotStepAside."""
    chosen = environment.get("PAGER", "").strip()
    try:
        words = shlex.split(chosen)
    except ValueError:
        raise CannotStepAside(f"PAGER={chosen!r} has a quote that does not end; correct it") from None
    if words and which(words[0]) is None:
        raise CannotStepAside(f"no program {words[0]!r}; set PAGER to one, such as less")
    found = words or [name for name in USUAL if which(name)][:1]
    if not found:
        raise CannotStepAside("no pager found: install less, or set PAGER")
    return found


def show(app: App[Any], text: str) -> None:
    """The text in a pager until the person leaves it; raises CannotStepAside."""
    words = pager(os.environ)
    with _file(text) as path:
        run_in_terminal(app, [*words, str(path)])


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
