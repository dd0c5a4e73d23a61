"""Format a snapshot as text, as `--status` prints it; the time is an argument."""

import math
import re
from collections.abc import Callable, Sequence

from scheduler.core.schedules.freeze import Freeze
from scheduler.core.views import Snapshot, TaskStatus, TaskView
from scheduler.core.wording.spans import moment

GLYPHS = {
    TaskStatus.OK: "✓",
    TaskStatus.WARNING: "▲",
    TaskStatus.FAILED: "✗",
    TaskStatus.NEVER: "○",
    TaskStatus.NOT_SET_UP: "◌",
    TaskStatus.RUNNING: "►",
    TaskStatus.PAUSED: "‖",
    TaskStatus.STOPPED: "■",
    TaskStatus.WAITS: "◷",
    TaskStatus.OVER_BUDGET: "$",
}
ASCII_GLYPHS = {
    TaskStatus.OK: "+",
    TaskStatus.WARNING: "!",
    TaskStatus.FAILED: "x",
    TaskStatus.NEVER: "o",
    TaskStatus.NOT_SET_UP: "?",
    TaskStatus.RUNNING: ">",
    TaskStatus.PAUSED: "=",
    TaskStatus.STOPPED: "s",
    TaskStatus.WAITS: "z",
    TaskStatus.OVER_BUDGET: "$",
}
ERROR_WIDTH = 60
# C0 and C1 control a terminal, bidi controls reorder text, a lone surrogate cannot be printed.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


def lines(snapshot: Snapshot, now: float, citizen: str = "") -> list[str]:
    """The status of one citizen, named if it is one of several: its tasks, then a wake that runs a command.

    Each is one line, followed by a line for its last error.
    """
    named, frozen = f": {citizen}" if citizen else "", snapshot.freeze is not None
    tasks = [row for task in snapshot.background for row in _rows(task, now, frozen)]
    found = [f"=== BACKGROUND TASKS{named} ===", "", *_banner(snapshot, now), *tasks]
    if snapshot.wake.configured:
        wake = [row for task in snapshot.tasks if task.is_wake for row in _rows(task, now, frozen)]
        found += ["", f"=== WAKE{named} ===", "", *wake] if wake else []
    return found


def _banner(snapshot: Snapshot, now: float) -> list[str]:
    if snapshot.freeze is None:
        return []
    return [f"  {GLYPHS[TaskStatus.PAUSED]} {clean(freeze_words(snapshot.freeze, now))}", ""]


def failing(snapshot: Snapshot) -> bool:
    """Whether the last run of any task failed, so that the exit code is 1."""
    return any(_failed(task) for task in snapshot.tasks)


def ago(seconds: float) -> str:
    """An elapsed time, rounded down: `59.9` is `59s`."""
    return _span(seconds, math.floor)


def until(seconds: float) -> str:
    """A remaining time, rounded up, so that nothing happens too early: `59.9` is `1m`."""
    return _span(seconds, math.ceil) if seconds > 0 else "now"


def pause_words(until: float | None, why: str, by: str, now: float) -> str:
    """What follows `paused`: ` until 16:00: table changes (by ct)`; not cleaned."""
    end = f" until {moment(until, now)}" if until is not None else ""
    return f"{end}{f': {why}' if why else ''}{f' (by {by})' if by else ''}"


def ordinal(number: int) -> str:
    """2nd, 3rd, 4th, 11th."""
    suffix = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}th" if number % 100 in (11, 12, 13) else f"{number}{suffix}"


def plural(number: int, word: str) -> str:
    """`1 task`, `2 tasks`, `7,000 tasks`."""
    return f"{number} {word}" if number == 1 else f"{number:,} {word}s"


def first_few(texts: Sequence[str], most: int = 3, joint: str = "; ") -> str:
    """The first `most` texts, and the number of further ones."""
    more = f" and {len(texts) - most} more" if len(texts) > most else ""
    return joint.join(texts[:most]) + more


def with_problems(line: str, problems: Sequence[str]) -> str:
    """`line; 2 with problems: the first; the second`."""
    return f"{line}; {len(problems)} with problems: {first_few(problems)}" if problems else line


def size(count: float) -> str:
    """Bytes in words: `18.2 MB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 999.5:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 100 else f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def freeze_words(freeze: Freeze, now: float) -> str:
    """`frozen until 08:00 by ct: invoices are under review`; not cleaned."""
    if freeze.problem:
        return f"frozen: {freeze.problem}"
    end = f" until {moment(freeze.until, now)}" if freeze.until is not None else ""
    by = f" by {freeze.by}" if freeze.by else ""
    all_of_them = " with all citizens" if freeze.together else ""
    return f"frozen{all_of_them}{end}{by}{f': {freeze.why}' if freeze.why else ''}"


def clean(text: str) -> str:
    """Untrusted text, safe for a terminal: control characters are escaped."""
    return _UNSAFE.sub(_spelled, text)


def _rows(task: TaskView, now: float, frozen: bool) -> list[str]:
    row = f"  {GLYPHS[task.kind]} {clean(task.name)}: {_sentence(task, now, frozen)}"
    if not _failed(task):
        return [row]
    error = clean(task.error.first_line) if task.error else ""
    return [row, f"      Last error: {error[:ERROR_WIDTH]}..."]


def _failed(task: TaskView) -> bool:
    # An old error from v2 does not count for a task that is not set up.
    return task.kind is TaskStatus.FAILED or (
        task.error is not None and task.kind is not TaskStatus.NOT_SET_UP
    )


def _sentence(task: TaskView, now: float, frozen: bool) -> str:
    runs = f"({task.run_count} runs)"
    if task.kind is TaskStatus.NOT_SET_UP:
        return f"not set up ({clean(task.missing)})" if task.missing else "not set up"
    if task.kind is TaskStatus.RUNNING:
        since = now if task.running_since is None else task.running_since
        return f"running for {ago(now - since)} {runs}"
    never = "reset" if task.run_count else "never ran"
    ran = never if task.last_run is None else f"ran {ago(now - task.last_run)} ago"
    if task.kind is TaskStatus.PAUSED:
        return f"{f'paused{_pause(task, now)}' if task.paused else 'disabled'}, {ran} {runs}"
    if task.held:
        return f"{clean(task.held.why)}, {ran} {runs}"
    stopped = "stopped, " if task.kind is TaskStatus.STOPPED else ""
    after = "frozen" if frozen else _next(task, now)
    return f"{stopped}{ran}, {after} {runs}"


def _pause(task: TaskView, now: float) -> str:
    return clean(pause_words(task.paused_until, task.paused_why, task.paused_by, now))


def _next(task: TaskView, now: float) -> str:
    if task.due is not None:
        return f"next in {until(task.due - now)}"
    if task.schedule == "@reboot":
        return "next at start"
    return clean(task.note) or "no next run"


def _span(seconds: float, whole: Callable[[float], int]) -> str:
    # Unix times as floats are exact to about 1e-6 s: without rounding, 180 s left may show as 181.
    seconds = round(max(0.0, seconds), 5)
    if (count := whole(seconds)) < 60:
        return f"{count}s"
    if (count := whole(seconds / 60)) < 60:
        return f"{count}m"
    if (count := whole(seconds / 3600)) < 48:
        return f"{count}h"
    return f"{whole(seconds / 86400)}d"


def _spelled(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
