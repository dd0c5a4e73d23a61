"""The question before a run is stopped: what is lost, what the run counts as, and what comes next."""

from collections.abc import Iterator, Sequence
from decimal import Decimal

from scheduler.core.views import TaskView
from scheduler.core.wording.description import TaskDetails
from scheduler.core.wording.spans import clock
from scheduler.spending.money import dollars
from tui.common.questions.question import STAY, Choice, Words
from tui.common.text import elapsed, moment, of_limit, plural

LISTED = 8  # runs named in one question
COUNTS_AS = "counts as stopped: no failure, no retry."
CHOICES = (Choice("x", "stop it"), Choice(STAY, "let it run"))
ALL = (Choice("x", "stop them"), Choice(STAY, "let them run"))

Row = tuple[str, TaskView]  # the citizen, and the task that runs or is queued


def stoppable(task: TaskView) -> bool:
    """Whether there is a run to end or to take out of the queue."""
    return task.running_since is not None or task.queued


def title(rows: Sequence[Row]) -> str:
    if len(rows) > 1:
        return f"Stop {plural(len(rows), 'run')}?"
    (citizen, task), *_ = rows
    return f"Stop {citizen}/{task.name}?"


def facts(
    rows: Sequence[Row], details: TaskDetails | None, now: float, known: Sequence[Decimal] = ()
) -> list[Words]:
    """The lines of the question; `details` and `known` (what runs cost) are given for a single task."""
    if len(rows) > 1:
        return [*_list(rows, now), ("", "$ink"), (f"Each {COUNTS_AS}", "$ink")]
    return [*_single(rows[0][1], details, now, known)]


def _list(rows: Sequence[Row], now: float) -> Iterator[Words]:
    for citizen, task in rows[:LISTED]:
        yield f"  {citizen}/{task.name}   {_how_far(task, now)}", "$run"
    if len(rows) > LISTED:
        yield f"  and {len(rows) - LISTED:,} more", "$faint"


def _single(
    task: TaskView, details: TaskDetails | None, now: float, known: Sequence[Decimal]
) -> Iterator[Words]:
    if task.running_since is None:
        yield "It is waiting for a worker, and will not run.", "$ink"
    else:
        yield f"Running for {_how_far(task, now)}.", "$ink"
        ends = ""
        if details and details.in_process:
            yield "It runs in the scheduler itself. A thread cannot be killed:", "$warn"
            yield "it is written off, and its worker is replaced.", "$warn"
        else:
            ends = "Its process gets 5s to end, then is killed with all its children. "
        yield f"{ends}The run {COUNTS_AS}", "$ink"
        if known:
            yield f"spent so far: unknown, counts as {dollars(max(known))} unless it says so itself", "$ink"
    if details and details.upcoming:
        yield "", "$ink"
        when = details.upcoming[0]
        yield f"next  {moment(when, now)}{clock(when, ':%S')}, as planned", "$ink"


def _how_far(task: TaskView, now: float) -> str:
    if task.running_since is None:
        return "waiting"
    gone, share = now - task.running_since, task.progress and task.progress.share
    if not share:
        return of_limit(gone, task.timeout)
    return f"{elapsed(gone)} ({int(100 * share)}%); {elapsed(gone / share - gone)} to go"
