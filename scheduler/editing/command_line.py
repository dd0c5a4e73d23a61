"""Turns the command that a person types into arguments: split as a shell would, or run by a shell."""

import re
import shlex

from scheduler.errors import SchedulerError

# What only a shell understands outside quotes: pipes, redirections, lists, variables, patterns.
_SHELL = re.compile(r"[|<>;&*?$`~(){}\n]")
_QUOTED = re.compile(r"'[^']*'|\"(?:[^\"\\$`]|\\.)*\"|\\.")


def command_of(text: str) -> list[str]:
    """The program and its arguments; `sh -c` if the text needs a shell. Raises SchedulerError."""
    if not text.strip():
        raise SchedulerError("the command is empty; write a program and its arguments")
    if _SHELL.search(_QUOTED.sub("", text)) or re.match(r"\s*\w+=", text):
        return ["sh", "-c", text.strip()]
    try:
        return shlex.split(text)
    except ValueError as error:
        raise SchedulerError(f"{text!r}: {error}; close the quotes") from error
