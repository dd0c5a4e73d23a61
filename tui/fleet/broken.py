"""Settings that are wrong: which lines say so, and what runs meanwhile."""

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
    """What is wrong with a citizen's settings; `since`: when those were read that run on, None if none do."""

    lines: tuple[str, ...]
    since: float | None = None

    @property
    def many(self) -> str:
        return plural(len(self.lines), "problem")


@value
class Problem:
    """One line about a file of settings, taken apart; `line` is 0 where it names none."""

    file: str
    line: int
    key: str
    words: str


def broken(snapshot: Snapshot) -> Broken | None:
    """What is wrong with the settings of this citizen, so that they do not apply; None if nothing is."""
    lines = tuple(line for line in snapshot.problems if _LINE.match(line))
    if snapshot.settings_from is not None:
        return Broken(lines, snapshot.settings_from) if lines else None
    if snapshot.stale and _LINE.match(snapshot.stale):
        return Broken(lines or tuple(snapshot.stale.splitlines()))
    return None


def parted(line: str) -> Problem:
    """The parts of such a line."""
    found = _LINE.match(line)
    if found is None:
        return Problem("", 0, "", line)
    return Problem(found["file"], int(found["line"] or 0), found["key"] or "", found["words"])


def meanwhile(wrong: Broken, now: float) -> str:
    """What runs while the settings are wrong."""
    if wrong.since is not None:
        return f"goes on with the settings of {moment(wrong.since, now)}"
    return f"it does not run until {'it is' if len(wrong.lines) == 1 else 'they are'} gone"


def near(text: str) -> str:
    """Shorten the path of a file of a home to its folder: the problem comes after it, and room is short."""
    return _FAR.sub("", text)


def files_of(lines: Sequence[str]) -> str:
    """The file that these problems are in, or the first of several."""
    return near(parted(lines[0]).file) if lines else ""
