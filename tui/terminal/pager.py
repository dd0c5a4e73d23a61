"""Shows a text in the person's own pager, while the screen steps aside."""

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from textual.app import App

from tui.terminal.external_program import chosen, run_in_terminal

USUAL = ("less", "more")


def pager(environment: Mapping[str, str]) -> list[str]:
    """The words of $PAGER, or an installed pager; raises CannotStepAside."""
    none = "no pager found: install less, or set PAGER"
    return chosen(("PAGER",), environment, USUAL, "one, such as less", none)


def show(app: App[Any], text: str) -> None:
    """Show the text in a pager until the person leaves it; raises CannotStepAside."""
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
