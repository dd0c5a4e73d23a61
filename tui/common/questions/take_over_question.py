"""The question before running a citizen here whose owner has died: what starts at once, what waits."""

from collections.abc import Iterator, Sequence

from scheduler.core.records import RunRecord
from scheduler.core.views import LEFT_BEHIND, Snapshot, TaskView
from scheduler.core.wording.spans import clock
from scheduler.spending.money import dollars, total
from tui.common.questions.question import INSIDE, STAY, Choice, Words
from tui.common.questions.run_questions import costs
from tui.common.text import elapsed, wrapped

LISTED = 6  # tasks by name
NAME = 9  # cells of a name, at least


def title(citizen: str) -> str:
    return f"Run {citizen} in this monitor?"


def facts(
    citizen: str, reason: str, ended: float | None, now: float, found: Snapshot, wakes: Sequence[RunRecord]
) -> Iterator[Words]:
    """The lines of the question; `found` is the citizen as read from its files, `wakes` its last wakes."""
    process = reason.partition(": ")[2] or "its owner ended"
    when = f" at {clock(ended, '%H:%M:%S')}" if ended is not None else ""
    yield f"Nobody runs {citizen}: {process}{when}.", "$ink"
    rows = [*_left(found, now), *_due(found, now, wakes)]
    if rows:
        yield "", "$ink"
    wide = max([NAME, *(len(name) + 1 for name, _ in rows[:LISTED])])
    for name, words in rows[:LISTED]:
        for number, line in enumerate(wrapped(words, INSIDE - 2 - wide)):
            yield f"  {'' if number else name:<{wide}}{line}", "$ink"
    if (more := len(rows) - LISTED) > 0:
        yield f"  and {more:,} more", "$faint"


def choices(citizen: str) -> list[Choice]:
    """The possible answers; the cursor starts on the harmless one."""
    return [
        Choice("o", f"run {citizen} here"),
        Choice("b", "start it in the background"),
        Choice(STAY, "leave it"),
    ]


def _left(found: Snapshot, now: float) -> Iterator[tuple[str, str]]:
    """Runs whose process outlived the owner: nothing starts until they end."""
    for task in found.tasks:
        if task.note.startswith(LEFT_BEHIND):
            yield task.name, f"its process still lives, so {task.name} waits for its end"
        elif task.running_since is not None:
            gone = elapsed(now - task.running_since)
            yield task.name, f"was running for {gone}; it is recorded as interrupted"


def _due(found: Snapshot, now: float, wakes: Sequence[RunRecord]) -> Iterator[tuple[str, str]]:
    """What starts at once, including a wake, which may cost something."""
    for task in found.tasks:
        if _starts(task, now):
            due = f"due {clock(task.due or now, '%H:%M:%S')}, missed: runs once, now"
            yield task.name, due + (_cost(wakes) if task.is_wake else "")


def _starts(task: TaskView, now: float) -> bool:
    held = task.note.startswith(LEFT_BEHIND) or task.running_since is not None or task.paused
    return task.due is not None and task.due <= now and not held


def _cost(wakes: Sequence[RunRecord]) -> str:
    known = [*costs(wakes)]
    return f", about {dollars(total(known) / len(known))}" if known else ""
