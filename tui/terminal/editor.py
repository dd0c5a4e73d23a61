"""Opens a file at a line in the person's own editor, while the screen steps aside."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from textual.app import App

from tui.terminal.external_program import chosen, run_in_terminal

USUAL = ("nano", "vim", "vi")
# How each editor takes the line number; others get only the file.
PLUS = ("vi", "vim", "nvim", "nano", "pico", "emacs", "emacsclient", "micro", "joe", "kak", "ne", "mg")
COLON = ("hx", "helix", "subl", "zed")
GOTO = ("code", "codium", "cursor")


def editor(environment: Mapping[str, str]) -> list[str]:
    """The words of $VISUAL or $EDITOR, or an installed editor; raises CannotStepAside."""
    none = "no editor found: set EDITOR to one, such as nano"
    return chosen(("VISUAL", "EDITOR"), environment, USUAL, "an editor, such as nano", none)


def command(words: list[str], file: Path, line: int) -> list[str]:
    """The command that opens the file at this line, counted from 1."""
    name = Path(words[0]).name
    if name in PLUS:
        return [*words, f"+{line}", str(file)]
    if name in COLON:
        return [*words, f"{file}:{line}"]
    if name in GOTO:
        return [*words, "--wait", "--goto", f"{file}:{line}"]
    return [*words, str(file)]


def edit(app: App[Any], file: Path, line: int) -> None:
    """Edit the file until the person leaves the editor; raises CannotStepAside."""
    run_in_terminal(app, command(editor(os.environ), file, line))
