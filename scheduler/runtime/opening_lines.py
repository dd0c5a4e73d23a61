"""The first lines of a loop: what it is, what it runs, what comes next, and how to end it."""

import os
import sys
from collections.abc import Iterable, Iterator

from scheduler.core.views import Snapshot
from scheduler.core.wording.text import clean, first_few, plural, until
from scheduler.errors import PROGRAM
from scheduler.system.version import VERSION

LISTED = 10  # citizens listed by name


def opening(root: str, citizens: Iterable[Snapshot], now: float) -> Iterator[str]:
    """The first lines of a process that is about to run these citizens, by their files."""
    found = list(citizens)
    running = [one for one in found if not one.owner]
    yield clean(f"Experience {VERSION}, root {root}")
    if running:
        yield clean(f"running {_names(running)}{_next(running, now)}")
    for one in found:
        if one.owner:
            yield clean(f"{one.citizen} runs elsewhere already: {one.owner}")
    yield _how_to_leave([one.citizen for one in running])


def _names(running: list[Snapshot]) -> str:
    counts = [f"{one.citizen} ({len(one.background)})" for one in running]
    counts[0] = f"{running[0].citizen} ({plural(len(running[0].background), 'task')})"
    return first_few(counts, LISTED, ", ")


def _next(running: list[Snapshot], now: float) -> str:
    due = [
        (task.due, task.name, one.citizen) for one in running for task in one.tasks if task.due is not None
    ]
    if not due:
        return ""
    when, task, citizen = min(due)
    return f": next {task}@{citizen} {f'in {until(when - now)}' if when > now else 'now'}"


def _how_to_leave(names: list[str]) -> str:
    if not (sys.stdin and sys.stdin.isatty()):
        return f"to end it: {PROGRAM} down {' '.join(names)}".rstrip()
    if "STY" in os.environ:
        return "ctrl+c stops it; ctrl+a d leaves it running"
    return "ctrl+c stops it"
