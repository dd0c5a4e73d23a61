"""Prints the manual page `experience-tui(1)`, from the same words as `--help`."""

import re
from collections.abc import Iterator
from importlib import import_module

import click

from scheduler.system.version import VERSION
from tui.__main__ import COMMANDS, monitor

FILES = (
    (
        "~/.config/experience/experience.toml",
        "The main settings; --config and EXPERIENCE_CONFIG name another.",
    ),
    ("~/.local/share/experience", "The root: a folder per citizen. EXPERIENCE_ROOT names another."),
    ("ROOT/NAME/experience.toml", "What a citizen runs."),
    ("ROOT/NAME/.env", "Its secrets."),
    ("ROOT/NAME/logs/experience.log", "What happened."),
)
CODES = (
    ("0", "Done; for commands that only read: no task's last run failed."),
    ("1", "What was asked for failed, or, for status and history, some task's last run."),
    ("2", "An error, in one line on standard error."),
    ("3", "Asked, but not confirmed by the process that runs the citizen."),
    ("130", "Interrupted."),
)


def page() -> str:
    """The whole page in the macros of man(7)."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield f'.TH EXPERIENCE\\-TUI 1 "" "Experience {VERSION}" "User Commands"'
    yield from (
        ".SH NAME",
        r"experience\-tui \- runs the background tasks of long\-lived agents, and shows them",
    )
    yield from (".SH SYNOPSIS", r".B experience\-tui", r"[\fIOPTION\fR]... [\fICOMMAND\fR | \fICITIZEN\fR]")
    yield from (".SH DESCRIPTION", _text(monitor.help or ""))
    yield "Without a command it opens the monitor; with the name of a citizen it runs that citizen's loop."
    yield ".SH OPTIONS"
    yield from _options(monitor)
    yield ".SH COMMANDS"
    for name, where in sorted(COMMANDS.items()):
        module, _, found = where.partition(":")
        yield from _command(name, getattr(import_module(module), found))
    yield ".SH FILES"
    yield from _table(FILES)
    yield ".SH EXIT STATUS"
    yield from _table(CODES)


def _command(name: str, command: click.Command) -> Iterator[str]:
    yield f".SS {_text(' '.join((name, *_usage(command))))}"
    yield from (_text(part) for part in re.split(r"\n\s*\n", command.help or ""))
    yield from _options(command)
    if command.epilog:
        yield from (".PP", _text(command.epilog))
    if isinstance(command, click.Group):
        for inner, each in sorted(command.commands.items()):
            yield from _command(f"{name} {inner}", each)


def _usage(command: click.Command) -> list[str]:
    with click.Context(command) as context:
        return command.collect_usage_pieces(context)


def _options(command: click.Command) -> Iterator[str]:
    with click.Context(command) as context:
        for parameter in command.params:
            record = parameter.get_help_record(context)
            if record and record[1]:  # an argument without words is in the heading already
                yield from _table([record])


def _table(rows: "tuple[tuple[str, str], ...] | list[tuple[str, str]]") -> Iterator[str]:
    for term, meaning in rows:
        yield from (".TP", rf"\fB{_text(term)}\fR", _text(meaning))


def _text(words: str) -> str:
    """One line that no macro begins, and whose dashes are dashes."""
    line = " ".join(words.replace("\b", "").split()).replace("\\", r"\e").replace("-", r"\-")
    return rf"\&{line}" if line.startswith((".", "'")) else line


if __name__ == "__main__":
    print(page(), end="")
