"""The question before closing a monitor that runs citizens: whether they go on without it."""

from collections.abc import Iterator, Sequence

from scheduler.core.ui_options import KEEP, STOP
from scheduler.core.values import value
from scheduler.core.views import Snapshot, TaskView
from tui.common.questions.question import STAY, Choice, Question, Words
from tui.common.text import elapsed, of_limit, plural
from tui.glyphs import Glyphs

NAMED, LISTED = 4, 4  # citizens named, runs listed
TITLE = "Quit?"
ANSWERS = {"b": KEEP, "q": STOP}

Run = tuple[str, TaskView]  # the citizen and its running task


@value
class Owned:
    """The citizens that this monitor runs, their runs under way, and those that go on either way."""

    citizens: tuple[str, ...] = ()
    runs: tuple[Run, ...] = ()
    others: tuple[str, ...] = ()


def owned(snapshots: Sequence[Snapshot]) -> Owned:
    """The citizens and runs that closing affects."""
    here = [one for one in snapshots if one.owner == "here" and not one.stale]
    runs = [(one.citizen, task) for one in here for task in one.tasks if task.running_since is not None]
    others = [one.citizen for one in snapshots if one.owner not in ("", "here") and not one.stale]
    return Owned(tuple(one.citizen for one in here), tuple(runs), tuple(others))


def question(leaving: Owned, now: float, glyphs: Glyphs) -> Question:
    """The question before the citizens stop."""
    return Question(TITLE, [*facts(leaving, now, glyphs)], choices(leaving), glyphs, at="b")


def facts(leaving: Owned, now: float, glyphs: Glyphs) -> Iterator[Words]:
    """The lines of the question."""
    them = "It stops" if len(leaving.citizens) == 1 else "They stop"
    it = "it" if len(leaving.citizens) == 1 else "them"
    here = f"This monitor runs {_names(leaving.citizens)}."
    yield f"{here} {them} when it closes, unless you keep {it} running.", "$ink"
    if leaving.runs:
        yield "", "$ink"
    for citizen, task in leaving.runs[:LISTED]:
        yield f"  {glyphs.kind[task.kind]} {citizen}/{task.name}   {_how_far(task, now)}", "$run"
    if (more := len(leaving.runs) - LISTED) > 0:
        yield f"    and {more:,} more", "$faint"
    if leaving.others:
        goes = "is attached: it goes" if len(leaving.others) == 1 else "are attached: they go"
        yield "", "$ink"
        yield f"{_names(leaving.others)} {goes} on either way.", "$faint"


def choices(leaving: Owned) -> list[Choice]:
    """The possible answers; the first keeps the citizens running."""
    them = "it" if len(leaving.citizens) == 1 else "them"
    running = f": {_runs(leaving.runs)} interrupted" if leaving.runs else ""
    return [
        Choice("b", f"keep {them} running in the background"),
        Choice("q", f"stop {them}{running}"),
        Choice(STAY, "stay"),
    ]


def _runs(runs: Sequence[Run]) -> str:
    (_, first), *more = runs
    return f"{plural(len(runs), 'run')} get 10s, then are" if more else f"{first.name} gets 10s, then is"


def _names(names: Sequence[str]) -> str:
    named = list(names[:NAMED])
    if len(names) > NAMED:
        named = [*names[: NAMED - 1], f"{len(names) - NAMED + 1:,} more"]
    return ", ".join(named[:-1]) + (" and " if len(named) > 1 else "") + named[-1]


def _how_far(task: TaskView, now: float) -> str:
    gone, share = now - (task.running_since or now), task.progress and task.progress.share
    left = f", about {elapsed(gone / share - gone)} to go" if share else ""
    return f"{of_limit(gone, task.timeout)}{left}"
