"""Reads a crontab line by line, as cron does: keeps every line, decides nothing yet."""

import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from scheduler.errors import SchedulerError
from scheduler.migration.names import AROUND, BEFORE

BOM = b"\xef\xbb\xbf"
_ASSIGNED = re.compile(
    r"""(?:"(?P<double>[^"]*)"|'(?P<single>[^']*)'|(?P<plain>[^\s="']+))[ \t]*=[ \t]*"""
    r"""(?:"(?P<double_value>[^"]*)"|'(?P<single_value>[^']*)'|(?P<plain_value>[^"' \t].*|))""",
    re.DOTALL,
)
_MACRO = re.compile(r"(@[^ \t]*)(?:[ \t]+(.*))?", re.DOTALL)
_FIELDS = re.compile(r"((?:[^ \t]+[ \t]+){4}[^ \t]+)(?:[ \t]+(.*))?", re.DOTALL)
_BLANKS = re.compile(r"[ \t]+")  # cron knows no other, such as the space that pages keep unbroken
_LOGIN = re.compile(r"[a-z_][a-z0-9_-]{0,31}\$?")
_UP_TO_INPUT = re.compile(r"((?:\\[%\\]|[^%])*+)(?:%(.*))?", re.DOTALL)
_USER = re.compile(r"([^ \t]+)(?:[ \t]+(.*))?", re.DOTALL)


class LineKind(StrEnum):
    BLANK = "blank"
    COMMENT = "comment"
    SETTING = "setting"
    JOB = "job"
    NONSENSE = "nonsense"


class Line(NamedTuple):
    """One line: its bytes in the file, with the line end, and their meaning."""

    number: int
    raw: bytes
    kind: LineKind
    text: str  # stripped; bytes that are not UTF-8 are surrogates
    name: str = ""  # a setting's
    value: str = ""
    when: str = ""  # a job's: a macro or five fields, single-spaced
    rest: str = ""  # the command, after the user if the file has a column of users


def read(content: bytes) -> tuple[Line, ...]:
    """The lines of a crontab; their raw bytes joined are the content again."""
    return tuple(_line(number, raw) for number, raw in enumerate(_split(content), 1))


def _split(content: bytes) -> Iterator[bytes]:
    """Split at line feeds only, as cron does: a carriage return or a form feed is part of a line."""
    lines = content.split(b"\n")
    yield from (line + b"\n" for line in lines[:-1])
    if lines[-1]:
        yield lines[-1]


def _line(number: int, raw: bytes) -> Line:
    bare = raw.removeprefix(BOM) if number == 1 else raw
    text = bare.decode("utf-8", "surrogateescape").strip(" \t\r\n")
    if not text:
        return Line(number, raw, LineKind.BLANK, text)
    if text[0] == "#":
        return Line(number, raw, LineKind.COMMENT, text)
    if found := _ASSIGNED.fullmatch(text):  # cron looks for a setting first, too
        name = found["plain"] or found["double"] or found["single"] or ""
        value = found["plain_value"] or found["double_value"] or found["single_value"] or ""
        return Line(number, raw, LineKind.SETTING, text, name=name, value=value)
    job = _MACRO.fullmatch(text) if text[0] == "@" else _FIELDS.fullmatch(text)
    if job is None:
        return Line(number, raw, LineKind.NONSENSE, text)
    return Line(number, raw, LineKind.JOB, text, when=_BLANKS.sub(" ", job[1]), rest=job[2] or "")


def has_users(path: Path | None, lines: Iterable[Line], user: str) -> bool:
    """Whether the jobs of a crontab name users: known by its place, or guessed from how the jobs begin.

    A copy of /etc/crontab that is read as a user's own would run `root cd / && ...`. If a line is taken to
    name a user by mistake, it stays in the crontab, with that as the reason.
    """
    if path is None or path.parent.name in ("crontabs", "tabs"):
        return False
    if path == Path("/etc/crontab") or path.parent.name == "cron.d":
        return True
    jobs = [line.rest.split(None, 2) for line in lines if line.kind is LineKind.JOB]
    named = [len(words) > 1 and bool(_LOGIN.fullmatch(words[0])) for words in jobs]
    if any(words[0] in ("root", user) for words, sure in zip(jobs, named, strict=True) if sure):
        return True
    return (
        bool(jobs) and all(named) and all(not _is_program(each[0]) and _is_program(each[1]) for each in jobs)
    )


@lru_cache(maxsize=4096)
def _is_program(word: str) -> bool:
    return word in BEFORE | AROUND or word[0] in "/($~." or shutil.which(word) is not None


def split_user(rest: str) -> tuple[str, str]:
    """The user and the command, in a file with a column of users."""
    found = _USER.fullmatch(rest)
    return (found[1], found[2] or "") if found else ("", "")


def split_input(command: str) -> tuple[str, str | None]:
    """The shell's command, and its standard input, None if there is no `%`.

    As observed with Debian's cron: before the first bare `%`, a backslash escapes `%` and a backslash;
    after it only `%`. Further bare ones become line ends, and one is added at the end.
    """
    head, given = _UP_TO_INPUT.fullmatch(command).groups()  # type: ignore[union-attr]  # it matches any text
    return re.sub(r"\\([%\\])", r"\1", head), None if given is None else _input(given)


def _input(text: str) -> str:
    meanings = {"%": "\n", "\\%": "%"}
    lines = re.sub(r"\\.|%", lambda found: meanings.get(found[0], found[0]), text, flags=re.DOTALL)
    return lines if not lines or lines.endswith("\n") else f"{lines}\n"


# ------------------------------------------------------------------ the program that keeps it


@dataclass(frozen=True, slots=True)
class Crontab:
    """A user's crontab, which the program `crontab` keeps; "" is the current user."""

    user: str = ""

    def read(self) -> bytes | None:
        """The content, None if there is no crontab; raises SchedulerError if it cannot be read."""
        done = self._run("-l")
        if done.returncode == 0:
            return done.stdout
        if b"no crontab" in done.stderr or b"No such file" in done.stderr:
            return None
        raise SchedulerError(
            f"crontab -l: {_error_of(done) or done.returncode}; name the crontab's file instead"
        )

    def write(self, content: bytes | None) -> None:
        done = self._run("-r") if content is None else self._run("-", content)
        if done.returncode != 0 or self.read() != content:
            raise SchedulerError(
                f"crontab rejected the new table: {_error_of(done) or 'it reads back as something else'}"
            )

    def _run(self, verb: str, content: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
        command = ["crontab", *(["-u", self.user] if self.user else []), verb]
        try:
            return subprocess.run(command, input=content, capture_output=True, timeout=30, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            missing = isinstance(error, FileNotFoundError)
            reason = "there is no program crontab" if missing else str(error)
            raise SchedulerError(f"{reason}; name the crontab's file instead") from error

    def __str__(self) -> str:
        return f"crontab of {self.user}" if self.user else "your crontab"


def _error_of(done: "subprocess.CompletedProcess[bytes]") -> str:
    return " ".join(done.stderr.decode(errors="replace").split())[:200]


def jobs_of_this_user() -> int:
    """How many lines of the user's crontab cron runs; 0 without a crontab or without cron."""
    try:
        content = Crontab("").read()
    except SchedulerError:
        return 0
    return sum(line.kind is LineKind.JOB for line in read(content or b""))
