"""Errors in settings: the lines that report them, and what runs meanwhile."""

import re
from collections.abc import Sequence

from scheduler.core.values import value
from scheduler.core.views import Snapshot
from scheduler.core.wording.spans import moment
from scheduler.core.wording.text import plural

_FAR = re.compile(r"(?<!\S)(?:/[^/\s:]+)*/(?=[^/\s:]+/(?:experience\.toml|\.env|background_tasks\.json)\b)")
_FILE, _KEY = r"(?P<file>.+?(?:\.toml|/\.env))(?::(?P<line>\d+))?", r"(?P<key>[\w.-]+)"
_LINE = re.compile(rf"{_FILE}: (?:{_KEY}: )?(?P<words>.*)", re.DOTALL)


@value
class Broken:
    """A citizen's settings errors; `since`: when the settings still in use were read, None if none are."""

    lines: tuple[str, ...]
    since: float | None = None

    @property
    def many(self) -> str:
        return plural(len(self.lines), "problem")


@value
class Problem:
    """One line about a settings file, split into parts; `line` is 0 if it names none."""

    file: str
    line: int
    key: str
    words: str


def broken(snapshot: Snapshot) -> Broken | None:
    """The errors that keep this citizen's settings from applying; None if there are none."""
    lines = tuple(line for line in snapshot.problems if _LINE.match(line))
    if snapshot.settings_from is not None:
        return Broken(lines, snapshot.settings_from) if lines else None
    if snapshot.stale and _LINE.match(snapshot.stale):
        return Broken(lines or tuple(snapshot.stale.splitlines()))
    return None


def parted(line: str) -> Problem:
    """The parts of a problem line."""
    found = _LINE.match(line)
    if found is None:
        return Problem("", 0, "", line)
    return Problem(found["file"], int(found["line"] or 0), found["key"] or "", found["words"])


def meanwhile(wrong: Broken, now: float) -> str:
    """What runs while the settings have errors."""
    if wrong.since is not None:
        return f"goes on with the settings of {moment(wrong.since, now)}"
    return f"it does not run until {'it is' if len(wrong.lines) == 1 else 'they are'} gone"


def near(text: str) -> str:
    """Shorten the path of a file in a home, to leave room for the problem that follows."""
    return _FAR.sub("", text)


def files_of(lines: Sequence[str]) -> str:
    """The file with these problems, or the first of several."""
    return near(parted(lines[0]).file) if lines else ""
