"""Opens a file at a line in the person's own editor, while the screen steps aside."""

import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from shutil import which
from typing import Any

from textual.app import App

from tui.terminal.external_program import CannotStepAside, run_in_terminal

USUAL = ("nano", "vim", "vi")
# How each gets the line; others get the file alone.
PLUS = ("vi", "vim", "nvim", "nano", "pico", "emacs", "emacsclient", "micro", "joe", "kak", "ne", "mg")
COLON = ("hx", "helix", "subl", "zed")
GOTO = ("code", "codium", "cursor")


def editor(environment: Mapping[str, str]) -> list[str]:
    """The words of $VISUAL or $EDITOR, or an editor that is there; raises CannotStepAside."""
    for name in ("VISUAL", "EDITOR"):
        chosen = environment.get(name, "").strip()
        try:
            words = shlex.split(chosen)
        except ValueError:
            raise CannotStepAside(f"{name}={chosen!r} has a quote that does not end; correct it") from None
        if words and which(words[0]) is None:
            raise CannotStepAside(f"no program {words[0]!r}; set {name} to an editor, such as nano")
        if words:
            return words
    found = [name for name in USUAL if which(name)][:1]
    if not found:
        raise CannotStepAside("no editor found: set EDITOR to one, such as nano")
    return found


def command(words: list[str], file: Path, line: int) -> list[str]:
    """The command that opens the file at this line, from 1."""
    name = Path(words[0]).name
    if name in PLUS:
        return [*words, f"+{line}", str(file)]
    if name in COLON:
        return [*words, f"{file}:{line}"]
    if name in GOTO:
        return [*words, "--wait", "--goto", f"{file}:{line}"]
    return [*words, str(file)]


def edit(app: App[Any], file: Path, line: int) -> None:
    """The file in the editor until the person leaves it; raises CannotStepAside."""
    run_in_terminal(app, command(editor(os.environ), file, line))
