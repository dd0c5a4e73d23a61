"""The question before citizens are thawed: who froze them and why, and what is due at once afterwards."""

from collections.abc import Iterator, Sequence

from scheduler.core.schedules.freeze import Freeze
from scheduler.core.schedules.schedule import Every, parse
from scheduler.core.views import Snapshot, TaskStatus, TaskView
from scheduler.core.wording.text import first_few
from scheduler.errors import BadSchedule
from tui.common.questions.question import STAY, Choice, Words
from tui.common.text import moment, plural

LISTED = 6  # citizens, and tasks, named in one question
VERBS = {"": "thaw", "force": "thaw, then force", "wake": "thaw, then wake"}


def names_to_thaw(frozen: Sequence[Snapshot]) -> tuple[str, ...]:
    """The citizens to thaw so that these can run; empty means all: a freeze of all ends for all."""
    if any(one.freeze and one.freeze.together for one in frozen):
        return ()
    return tuple(one.citizen for one in frozen)


def whose(names: Sequence[str]) -> str:
    return ", ".join(names) if names else "all citizens"


def thaw_title(frozen: Sequence[Snapshot]) -> str:
    names = names_to_thaw(frozen)
    return f"Thaw {whose(names) if len(names) < 2 else plural(len(names), 'citizen')}?"


def thaw_facts(frozen: Sequence[Snapshot], now: float) -> list[Words]:
    """Who froze each of them and why, and what starts when it is thawed."""
    names = not (len(frozen) == 1 and names_to_thaw(frozen))
    lines = [(_frozen(one, now, names), "$warn") for one in frozen[:LISTED]]
    if len(frozen) > LISTED:
        lines.append((f"and {len(frozen) - LISTED:,} more", "$faint"))
    due = [f"{one.citizen}/{task.name}" for one in frozen for task in one.tasks if is_due(task, now)]
    return [*lines, ("", "$ink"), *_due(due)]


def choices(verb: str) -> tuple[Choice, ...]:
    """The answers; `verb` is what was requested before."""
    return Choice("Z", VERBS[verb]), Choice(STAY, "leave it frozen")


def _frozen(one: Snapshot, now: float, named: bool) -> str:
    freeze = one.freeze or Freeze(now)
    if freeze.problem:
        return f"{one.citizen}: {freeze.problem}"
    who = f"{one.citizen}: frozen" if named else "Frozen"
    by = f" by {freeze.by}" if freeze.by else ""
    end = f" until {moment(freeze.until, now)}" if freeze.until is not None else ""
    return f"{who}{by} at {moment(freeze.since, now)}{end}{f': {freeze.why}' if freeze.why else ''}"


def _due(names: Sequence[str]) -> Iterator[Words]:
    if not names:
        yield "Nothing is due at once.", "$ink"
        return
    yield "Due at once:", "$ink"
    yield f"  {first_few(names, LISTED, ', ')}", "$run"


def is_due(task: TaskView, now: float) -> bool:
    """Whether its interval is over; False for cron schedules, whose due times a row does not show."""
    if task.running_since is not None or task.kind in (TaskStatus.PAUSED, TaskStatus.NOT_SET_UP):
        return False
    try:
        schedule = parse(task.schedule)
    except BadSchedule:
        return False
    return isinstance(schedule, Every) and (task.last_run is None or task.last_run + schedule.seconds <= now)
