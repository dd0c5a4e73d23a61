"""Problems on standard error, one line each; signs that an old terminal lacks in ASCII."""

import codecs
import io
import sys
from collections.abc import Iterable, Sequence

import click

from scheduler.cli.exit_codes import OK, WRONG
from scheduler.core.views import Snapshot
from scheduler.core.wording.text import ASCII_GLYPHS, GLYPHS, clean


def print_to_stderr(problems: Iterable[str]) -> None:
    for problem in problems:  # most are one line; the advice on what to set up is the lines to add
        click.echo("experience: " + "\n".join(map(clean, problem.split("\n"))), err=True)


def print_errors(*problems: str) -> int:
    print_to_stderr(problems)
    return WRONG


def print_problems(found: Sequence[Snapshot]) -> int:
    """Say what is wrong with these citizens; the exit code, WRONG if the tasks of one are unknown for it."""
    print_to_stderr(problem for one in found for problem in one.problems)
    return WRONG if any(one.problems and not one.tasks for one in found) else OK


def replace_unprintable() -> None:
    """A terminal with an old encoding shows a sign that it lacks in ASCII, any other letter as `?`."""
    codecs.register_error("ascii_signs", _in_ascii)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="ascii_signs")


def _in_ascii(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    signs = {sign: ASCII_GLYPHS[kind] for kind, sign in GLYPHS.items()}
    return "".join(signs.get(each, "?") for each in error.object[error.start : error.end]), error.end
