"""Why a task is in its present state, in one sentence; a function of values, not yet cleaned."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

from scheduler.core.schedules.freeze import Freeze
from scheduler.core.schedules.schedule import short_duration
from scheduler.core.state import first_line
from scheduler.core.task import Outcome, Trigger
from scheduler.core.views import (
    LEFT_BEHIND,
    STOPPING,
    Event,
    Heartbeat,
    Hold,
    HoldKind,
    Snapshot,
    TaskStatus,
    TaskView,
)
from scheduler.core.wording.text import first_few, freeze_words, ordinal, until
from tui.common.text import ago, elapsed, moment, took
from tui.common.usual_duration import Usual
from tui.fleet.notices import ATTEMPT, stalled

FELT = 1.0  # seconds of a stalled loop from which a late run needs an explanation
LATE = 1.0  # seconds after its time from which a start is called late
NEAR = 0.8  # share of the timeout from which the sentence says when the run is stopped
NAMED = 3  # tasks named among those that keep the workers busy
AT_START = "@reboot"

TRIGGERS = {
    Trigger.SCHEDULE: "by schedule",
    Trigger.FORCE: "forced",
    Trigger.WAKE: "for a wake",
    Trigger.RETRY: "as a retry",
    Trigger.CATCH_UP: "catching up on a missed time",
    Trigger.URGENT: "for something urgent",
}


@dataclass(frozen=True, slots=True)
class Stall:
    """A stall of the scheduler's loop, from `since` to `until` (Unix seconds)."""

    culprit: str
    since: float
    until: float

    def covers(self, start: float, end: float) -> bool:
        """Whether the stall overlaps this time."""
        return self.since <= end and start <= self.until


class Stalls:
    """The last stall of each citizen's scheduler, as far as this screen has seen it."""

    def __init__(self) -> None:
        self._last: dict[str, Stall] = {}

    def beat(self, citizen: str, pulse: Heartbeat, now: float) -> None:
        """Take a citizen's newest pulse."""
        if pulse.age < FELT:
            return
        before, since = self._last.get(citizen), now - pulse.age
        goes_on = before is not None and since - before.since < FELT
        culprit = pulse.culprit or (before.culprit if before and goes_on else "")
        self._last[citizen] = Stall(culprit, since, now)

    def last(self, citizen: str) -> Stall | None:
        return self._last.get(citizen)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known besides the snapshot: the scheduler's pulse and last stall, when it went away."""

    pulse: Heartbeat = Heartbeat()  # noqa: RUF009  # frozen
    stall: Stall | None = None
    gone_since: float | None = None
    usual: Usual | None = None


def why(task: TaskView, snapshot: Snapshot, now: float, seen: Evidence = Evidence()) -> str:  # frozen
    """The sentence for this task."""
    said = _gone(task, snapshot, now, seen) or _state(task, snapshot, now, seen)
    return f"{said}; not saved: {snapshot.unsaved}" if snapshot.unsaved else said


def _state(task: TaskView, snapshot: Snapshot, now: float, seen: Evidence) -> str:
    if task.running_since is not None:
        return _running(task, snapshot, now, seen)
    if task.kind is TaskStatus.NOT_SET_UP:
        return _not_set_up(task)
    if snapshot.freeze:
        return _frozen(task, snapshot.freeze, now)
    if task.held and task.kind is not TaskStatus.PAUSED and not task.queued:
        return f"{task.held.why}{_what_lifts(task.held)}"
    if task.note.startswith(LEFT_BEHIND):
        return _waits(task.note.removeprefix(LEFT_BEHIND))
    if task.queued:
        return _queued(task, snapshot, now, seen)
    if task.kind is TaskStatus.PAUSED:
        return _paused(task, now)
    if late := _held_up(task, now, seen):
        return late
    if task.error is not None or task.kind is TaskStatus.FAILED:
        return _failed(task, now)
    return _never(task, now) if task.kind is TaskStatus.NEVER else _waiting(task, snapshot, now, seen)


# ------------------------------------------------------------------ no owner, or a busy one


def _gone(task: TaskView, snapshot: Snapshot, now: float, seen: Evidence) -> str:
    """That no process runs the citizen: the screen shows the last known state."""
    if not snapshot.stale or task.kind is TaskStatus.NOT_SET_UP or not task.enabled:
        return ""
    since = f" since {moment(seen.gone_since, now)}" if seen.gone_since is not None else ""
    was = f"; it was running since {moment(task.running_since, now)}" if task.running_since else ""
    return f"not live{since}: {snapshot.stale.removeprefix(f'{snapshot.citizen}: ')}{was}"


def _held_up(task: TaskView, now: float, seen: Evidence) -> str:
    """That the task is due while the scheduler is stalled."""
    if task.due is None or task.due > now or not stalled(seen.pulse):
        return ""
    late = min(now - task.due, seen.pulse.age) if task.due else seen.pulse.age
    return f"{late:.0f}s late: the scheduler is stalled{_by(seen.pulse.culprit)}"


def _what_lifts(held: Hold) -> str:
    """What lifts the hold, or what happens next."""
    if held.kind is HoldKind.BUDGET:
        return "; B allows more"
    tried = held.kind is HoldKind.PROVIDER and held.until is not None
    return "; until then no run calls it, then one tries it first" if tried else ""


def _by(culprit: str) -> str:
    return f" by {culprit}" if culprit else ""


def _queued(task: TaskView, snapshot: Snapshot, now: float, seen: Evidence) -> str:
    if stalled(seen.pulse):
        return f"queued: the scheduler is stalled{_by(seen.pulse.culprit)} for {seen.pulse.age:.0f}s"
    busy = sorted((other.running_since, other.name) for other in snapshot.tasks if other.running_since)
    if not busy:
        return "queued: it starts as soon as a worker is free"
    named = [f"{name} for {short_duration(max(0, int(now - since)))}" for since, name in busy]
    workers = "the only worker is" if len(busy) == 1 else f"all {len(busy)} workers are"
    return f"queued: {workers} busy with {first_few(named, NAMED, ', ')}"


def _waits(what: str) -> str:
    if what == "thread":
        what = "the thread of its last run, which cannot be killed,"
    elif "," in what:
        what += ","
    return f"waits for {what} to end: a task never overlaps itself"


# ------------------------------------------------------------------ at work


def _running(task: TaskView, snapshot: Snapshot, now: float, seen: Evidence) -> str:
    start = started(task, snapshot)
    since = task.running_since or now
    clock = time.strftime("%H:%M:%S", time.localtime(since))
    by = f" by {start.who.in_full}" if start and start.who else ""
    trigger = f"{TRIGGERS[start.trigger]}{by}" if start and start.trigger else ""
    late = _late(start, seen) if start else ""
    where = f" on {task.where}" if task.where else ""
    facts = ", ".join(filter(None, [trigger, late, _limit(task, now - since)]))
    said = f"running{where} since {clock}{f' ({facts})' if facts else ''}"
    said += _slow(now - since, seen.usual)
    if seen.pulse.culprit == f"{snapshot.citizen}/{task.name}" and stalled(seen.pulse):
        return f"{said}: it holds up the scheduler for {seen.pulse.age:.0f}s"
    paused = (
        f"; paused at {moment(task.paused_at, now)}: no further runs by schedule" if task.paused_at else ""
    )
    ending = "; it is being stopped" if task.note == STOPPING else ""
    return f"{said}{_pace(task, now - since)}{paused}{ending}"


def _limit(task: TaskView, gone: float) -> str:
    whole = short_duration(task.timeout)
    left = task.timeout - gone
    if left < 0:
        return f"beyond its timeout of {whole}: it is being stopped"
    near = gone >= NEAR * task.timeout
    if task.progress and task.progress.share and not near:  # the pace says it
        return ""
    return f"stopped in {until(left)} by its timeout of {whole}" if near else f"timeout {whole}"


def _slow(gone: float, known: Usual | None) -> str:
    if known is None or not known.slow(gone):
        return ""
    half, most = took(known.p50), took(known.p95)
    return f", slower than usual: half of its runs take {half}, 19 of 20 end within {most}"


def _pace(task: TaskView, gone: float) -> str:
    """When the run ends at its present pace, or what it reports if not how far it is."""
    progress = task.progress
    if progress is None:
        return ""
    if not (share := progress.share):
        words = progress.text or f"{progress.done:g} done"
        return f": {words}"
    left = gone / share - gone
    when = "after" if gone + left > task.timeout else "before"
    pace = f". At this pace it ends in {elapsed(left)}, {when} its timeout of {short_duration(task.timeout)}"
    return pace if left else ""


def started(task: TaskView, snapshot: Snapshot) -> Event | None:
    """The start of the last run, if it is still among the events."""
    own = (event for event in reversed(snapshot.events) if event.task == task.name)
    return next((event for event in own if event.kind == "started"), None)


def _late(start: Event, seen: Evidence) -> str:
    """How late the run started, and which stall caused it, if one was seen."""
    if start.late is None or start.late < LATE or start.trigger in (Trigger.CATCH_UP, Trigger.FORCE):
        return ""
    stall = seen.stall
    held = stall is not None and stall.covers(start.time - start.late, start.time)
    cause = f": the scheduler was stalled{_by(stall.culprit)}" if stall and held else ""
    return f"{took(start.late)} late{cause}"


# ------------------------------------------------------------------ at rest


def _not_set_up(task: TaskView) -> str:
    missing = f"{task.missing} is missing" if task.missing else "settings are missing"
    first = first_line(task.advice)
    where = first.removeprefix("# in ") if first.startswith("# in ") else "the settings"
    what = "the lines below" if task.advice else "it"
    return f"not set up: {missing}; add {what} to {where}"


def _frozen(task: TaskView, freeze: Freeze, now: float) -> str:
    held = f"{_paused(task, now)}; " if task.kind is TaskStatus.PAUSED else ""
    after = f"; next run {_in(task, now)}" if task.due is not None and not held else ""
    wrong = f"; {_went_wrong(task, now)}{_reason(task)}" if task.error and not held else ""
    return f"{held}{freeze_words(freeze, now)}{after}{wrong}"


def _paused(task: TaskView, now: float) -> str:
    if not task.enabled:
        said = "disabled in the settings (enabled = false): only force runs it"
    else:
        at = f" at {moment(task.paused_at, now)}" if task.paused_at is not None else ""
        who = f" by {task.paused_by}" if task.paused_by else ""
        end = f" until {moment(task.paused_until, now)}" if task.paused_until is not None else ""
        why = f": {task.paused_why}" if task.paused_why else ""
        said = f"paused{who}{at}{end}{why}; only force runs it"
    return f"{said}; {_went_wrong(task, now)}{_reason(task)}" if task.error else said


def _failed(task: TaskView, now: float) -> str:
    row = [f"{ordinal(task.failures_in_a_row)} failure in a row"] if task.failures_in_a_row > 1 else []
    fine = [f"last ok {moment(task.last_success, now)}"] if task.last_success is not None else []
    return ", ".join([_went_wrong(task, now), *row, *fine]) + f"; {_again(task, now)}{_reason(task)}"


def _went_wrong(task: TaskView, now: float) -> str:
    outcome = task.outcome if task.outcome and task.outcome.bad else Outcome.FAILED
    if task.error is None or not task.error.time:  # very old files have no time
        return str(outcome)
    return f"{outcome} {ago(now - task.error.time)} ago ({moment(task.error.time, now)})"


def _reason(task: TaskView) -> str:
    text = task.error.first_line if task.error else ""
    return f": {text.removeprefix('interrupted: ') or 'no reason given'}"


def _again(task: TaskView, now: float) -> str:
    if task.note.startswith(ATTEMPT):
        return f"{task.note} {_in(task, now)}"
    if task.due is None:
        return "next try when the scheduler starts" if task.schedule == AT_START else "no next try"
    return f"next try {_in(task, now)}"


def _in(task: TaskView, now: float) -> str:
    if task.due is None or task.due <= now:
        return "now"
    hours = f", active {task.active}" if task.active else ""
    return f"in {until(task.due - now)} ({moment(task.due, now)}{hours})"


def _never(task: TaskView, now: float) -> str:
    if task.run_count:  # a reset forgets the last run, but not the count
        return f"reset: next run {_in(task, now)}"
    if task.due is None:
        start = task.schedule == AT_START
        return f"never ran: {'first run when the scheduler starts' if start else 'no next time'}"
    return f"never ran: {'due now' if task.due <= now else f'first run {_in(task, now)}'}"


def _waiting(task: TaskView, snapshot: Snapshot, now: float, seen: Evidence) -> str:
    parts = [_due(task, now), *_last(task, snapshot, now, seen)]
    if stalled(seen.pulse):
        parts.append(f"the scheduler is stalled{_by(seen.pulse.culprit)} for {seen.pulse.age:.0f}s")
    said = first_line(task.text)
    return "; ".join(parts) + (f": {said}" if task.kind is TaskStatus.WARNING and said else "")


def _due(task: TaskView, now: float) -> str:
    if task.due is None:
        return "next run when the scheduler starts" if task.schedule == AT_START else "no next time"
    if task.due <= 0:
        return "due now, on request"
    return "due now" if task.due <= now else f"next run {_in(task, now)}"


def _last(task: TaskView, snapshot: Snapshot, now: float, seen: Evidence) -> Iterator[str]:
    """How the last run ended, and whether it started late."""
    if task.last_run is None:
        return
    how = {TaskStatus.WARNING: "with a warning", TaskStatus.OK: "ok"}.get(task.kind, "")
    how = str(task.outcome) if task.outcome in (Outcome.SKIPPED, Outcome.STOPPED) else how
    yield f"last run{how and f' {how},'} {ago(now - task.last_run)} ago"
    start = started(task, snapshot)
    if start and abs(start.time - task.last_run) < 1 and (late := _late(start, seen)):
        yield late
