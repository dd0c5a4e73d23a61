"""Prints problems on standard error, one line each; signs that an old terminal lacks become ASCII."""

import codecs
import io
import sys
from collections.abc import Iterable, Sequence

import click

from scheduler.cli.exit_codes import OK, WRONG
from scheduler.core.views import Snapshot
from scheduler.core.wording.text import ASCII_GLYPHS, GLYPHS, clean


def print_to_stderr(problems: Iterable[str]) -> None:
    for problem in problems:  # usually one line; advice on what to set up has several
        click.echo("experience: " + "\n".join(map(clean, problem.split("\n"))), err=True)


def print_errors(*problems: str) -> int:
    print_to_stderr(problems)
    return WRONG


def print_problems(found: Sequence[Snapshot]) -> int:
    """Print the problems of these citizens; WRONG if they leave the tasks of any citizen unknown, else OK."""
    print_to_stderr(problem for one in found for problem in one.problems)
    return WRONG if any(one.problems and not one.tasks for one in found) else OK


def replace_unprintable() -> None:
    """Print signs that the terminal's encoding lacks in ASCII, and any other such letter as `?`."""
    codecs.register_error("ascii_signs", _in_ascii)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="ascii_signs")


def _in_ascii(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    signs = {sign: ASCII_GLYPHS[kind] for kind, sign in GLYPHS.items()}
    return "".join(signs.get(each, "?") for each in error.object[error.start : error.end]), error.end
