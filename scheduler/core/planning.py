"""Decide when a task is due: pure functions of their arguments."""

import random
import zlib
from collections.abc import Callable, Iterable

from scheduler.core.schedules.freeze import Freeze, Span
from scheduler.core.schedules.schedule import NEVER, ON_TIME, Cron, Every
from scheduler.core.state import CHANGED, OFF, TaskState
from scheduler.core.task import NotSetUp, Outcome, Task
from scheduler.process.process_info import Running

OK, INTERRUPTED = Outcome.OK, Outcome.INTERRUPTED  # members of an enumeration are slow to look up
A_LITTLE = 0.001  # seconds: a slot at the very start of a cell belongs to it
LATE = 60.0  # seconds: a start delayed by less, because no process was there, is late, not missed
HOPS = 60  # windows of active hours that are searched for a slot

Start = tuple[float, float | None]  # when a task is due, and the slot to remember of that run


def next_start(
    citizen: str, task: Task, state: TaskState, now: float, floor: float, freeze: Freeze | None = None
) -> Start:
    """When the task is due, and the slot that this run serves; a time in the past means now.

    `floor` is when the scheduler started: a task with `catch_up = false` skips slots that were
    missed before it. For a frozen task the result assumes that the freeze ends by itself.
    """
    if state.running or state.orphan or isinstance(task.work, NotSetUp):
        return NEVER, None
    if freeze:
        return _after_freeze(citizen, task, state, freeze, now, floor)
    if not task.enabled and not state.forced:
        return NEVER, None
    if state.paused and not state.forced:
        return _after_pause(citizen, task, state, now, floor)
    slot = next_slot(citizen, task, state, now)
    if state.due_now:
        when = 0.0 if state.forced else _active_from(task, 0.0, now)
        return when, _slot_that_came(task, state, slot, now)
    if state.retry_at is not None and state.retry_at < slot:
        retry = _active_from(task, state.retry_at, now)
        if task.catch_up or retry == state.retry_at:
            return retry, None
    if not task.catch_up:
        slot = _not_missed(citizen, task, state, slot, floor)
        if state.last_run is not None or not isinstance(task.schedule, Every):
            slot = active_slot(task, slot)
    return start_of(citizen, task, slot, now)


def _slot_that_came(task: Task, state: TaskState, slot: float, now: float) -> float | None:
    """The last slot up to now, unless it was served; a run now for another reason also serves it."""
    if slot > now or not isinstance(task.schedule, Cron):
        return None
    latest = task.schedule.latest(slot, now)
    return latest if state.slot is None or latest > state.slot else None


def _after_pause(citizen: str, task: Task, state: TaskState, now: float, floor: float) -> Start:
    """When the task is due after its pause."""
    if (until := state.paused_until) is None:
        return NEVER, None
    when, slot = next_start(citizen, task, resumed(citizen, task, state, until), max(now, until), floor)
    return max(when, until), slot


def _after_freeze(
    citizen: str, task: Task, state: TaskState, freeze: Freeze, now: float, floor: float
) -> Start:
    if (until := freeze.until) is None:
        return NEVER, None
    then = _after_rests(citizen, task, state, until, [Span(freeze.since, until)])
    when, slot = next_start(citizen, task, then, max(now, until), floor)
    return max(when, until), slot


def start_of(citizen: str, task: Task, slot: float, now: float) -> Start:
    """When the run of this slot starts: with its jitter, and not before the task's hours begin."""
    begins = slot if task.active is None else _active_from(task, slot, now)
    if task.jitter or begins != slot:
        return begins + spread(citizen, task, slot, begins), slot
    return slot, (None if isinstance(task.schedule, Every) else slot)  # an interval counts from its run


def made_up(task: Task, when: float, slot: float | None) -> bool:
    """Whether this start makes up for a slot that came outside the hours of the task."""
    return slot is not None and when - slot > task.jitter


def _active_from(task: Task, when: float, now: float) -> float:
    """This time, or when the task's hours begin next; a time in the past means now."""
    if task.active is None or when == NEVER:
        return when
    begins = task.active.next_start(when) if when else when
    late = begins <= now - LATE and not task.active.contains(now)
    return task.active.next_start(now) if late else begins


def active_slot(task: Task, slot: float) -> float:
    """The first slot, from this one on, within the task's hours.

    An interval whose slots all fall outside starts when the hours begin; otherwise it would never run.
    """
    if task.active is None:
        return slot
    for _ in range(HOPS):
        begins = task.active.next_start(slot)
        if begins in (slot, NEVER):
            return begins
        slot = task.schedule.skip(slot, begins - A_LITTLE)
    return task.active.next_start(slot) if isinstance(task.schedule, Every) else NEVER


def next_slot(citizen: str, task: Task, state: TaskState, now: float) -> float:
    """The first slot that no run has served, missed or not; a run also serves slots that pass during it."""
    schedule, last = task.schedule, state.last_run
    if last is None:
        first_seen = now if state.first_seen is None else state.first_seen
        slot = schedule.first(min(now, max(first_seen, state.wanted_since or 0.0)))
    else:
        last = min(last, now)
        ended = last if state.outcome is INTERRUPTED else last + (state.last_duration or 0.0)
        if isinstance(schedule, Every):
            beat = _beat(citizen, task, state.slot, last) if task.jitter else last
            slot = beat + schedule.seconds
            if slot < ended:
                slot = schedule.skip(beat, ended - A_LITTLE)
        else:
            slot = schedule.after(_served(state, last, ended))
    if state.declined is None or slot > state.declined:
        return slot
    return schedule.skip(slot, state.declined)


def _served(state: TaskState, last: float, ended: float) -> float:
    """The time up to which the slots of a cron expression are served or were not wanted."""
    served = max(ended, state.wanted_since or 0.0)
    if state.slot is not None and state.slot < last + CHANGED:  # otherwise the last run was edited by hand
        served = max(served, state.slot)
    return served


def _beat(citizen: str, task: Task, slot: float | None, last: float) -> float:
    """The time from which an interval counts: the last run, without its jitter."""
    jittered = slot is not None and abs(slot + spread(citizen, task, slot) - last) < ON_TIME
    return slot if slot is not None and jittered else last


def _not_missed(citizen: str, task: Task, state: TaskState, slot: float, floor: float) -> float:
    """This slot, or the first after it that was wanted and is not missed, at most late."""
    missed = max(floor - LATE, state.wanted_since or 0.0)
    if due_since_seen(task, state) or slot + spread(citizen, task, slot) > missed:
        return slot
    if task.jitter:
        latest = task.schedule.latest(slot, missed)
        if latest + spread(citizen, task, latest) > missed:
            return latest
    return task.schedule.skip(slot, missed)


def due_since_seen(task: Task, state: TaskState) -> bool:
    """Whether this is the first run of an interval: due since the task was first seen, never missed."""
    return state.last_run is None and isinstance(task.schedule, Every)


def spread(citizen: str, task: Task, slot: float, begins: float | None = None) -> float:
    """The jitter of this slot, shorter than the time to the next slot and to the end of the task's hours.

    It is computed from the names, to be the same after a restart. `begins` is when a slot is made up.
    """
    begins = slot if begins is None else begins
    if not task.jitter or NEVER in (slot, begins):
        return 0.0
    most = min(task.jitter, task.schedule.after(slot) - slot)
    if task.active:
        most = task.active.left(begins, most)
    return zlib.crc32(f"{citizen}/{task.name}/{slot:.0f}".encode()) / 2**32 * most


def retry_time(citizen: str, task: Task, state: TaskState, now: float) -> float | None:
    """When a failed run is retried; None if no retry is left or the next slot comes first."""
    outcome = state.outcome
    if outcome is None or not outcome.bad or outcome is INTERRUPTED or state.attempt >= task.retries:
        return None
    when = now + _delay(task, state.attempt) * random.uniform(0.9, 1.0)
    return when if when < next_slot(citizen, task, state, now) else None


def followed_up(citizen: str, task: Task, state: TaskState, now: float, *, pauses: bool = True) -> TaskState:
    """The state after a run has just ended: after a failure the task is retried or paused."""
    outcome = state.outcome
    if outcome is OK or outcome is None or not outcome.bad:
        return state
    if (most := task.pause_after) and not state.failures_in_a_row % most and pauses:
        return state.gave_up().with_pause(now, None, f"{state.failures_in_a_row} failures in a row")
    retry_at = retry_time(citizen, task, state, now)
    if retry_at is not None:
        return state.retrying(retry_at)
    return state.gave_up() if state.attempt else state


def _delay(task: Task, attempt: int) -> float:
    return task.retry_delay * 2.0 ** min(attempt, 99)


def taken_up(
    citizen: str,
    task: Task,
    state: TaskState,
    now: float,
    *,
    clock_changed: bool = False,
    frozen: Iterable[Span] = (),
) -> TaskState:
    """The state with which the task continues: times from a wrong clock are corrected, edits noticed.

    Called at the start of a scheduler, after its clock was set, and when a setting or the state was edited.
    `frozen` is the list of past freezes.
    """
    if state.schedule is None and isinstance(task.schedule, Cron):  # new, or from an older version
        state = state.changed(slot=state.last_run)
    state = state.seen(now).believed(now, clock_changed=clock_changed)
    state = _scheduled(task, state, now)
    if state.paused_at is not None and not state.paused:  # the state file was edited
        state = resumed(citizen, task, state, now)
    state = _after_rests(citizen, task, state, now, frozen)
    return state if state.retry_at is None else _retry(citizen, task, state, state.retry_at, now)


def _scheduled(task: Task, state: TaskState, now: float) -> TaskState:
    """The state with the task's current schedule; slots of another schedule do not count as missed."""
    schedule = _schedule(task)
    if state.schedule == schedule:
        return state
    known = state.schedule is not None  # otherwise it is from an older version, or new
    return (state.wanted_from(now) if known else state).changed(schedule=schedule)


def _schedule(task: Task) -> str:
    """A text that changes with the schedule, and only then; the same after a restart."""
    if not task.enabled or not task.set_up:
        return OFF
    zone = f" {task.schedule.zone}" if isinstance(task.schedule, Cron) else ""
    hours = f", active {task.active} {task.active.zone}" if task.active else ""
    return f"{task.schedule}{zone}{hours}{'' if task.catch_up else ', missed ones skipped'}"


def pause_is_over(state: TaskState, now: float) -> bool:
    """Whether the task was paused until a time that has come."""
    return state.paused and state.paused_until is not None and state.paused_until <= now


def resumed(citizen: str, task: Task, state: TaskState, now: float) -> TaskState:
    """The state after the pause: slots during it are not missed; one due before it is still due."""
    if state.paused_at is None:
        return state.wanted_from(now).resumed() if state.paused else state
    return _not_wanted(citizen, task, state, Span(state.paused_at, now)).resumed()


def _after_rests(citizen: str, task: Task, state: TaskState, now: float, frozen: Iterable[Span]) -> TaskState:
    """The state after past freezes and a past pause, applied in the order in which they ended."""
    over = pause_is_over(state, now)
    ran = state.last_run or 0.0
    # The clock may have been set back since: a freeze that lies ahead, or a run in it, says so.
    rests = [span for span in frozen if span.until <= now and not span.since + LATE < ran < span.until]
    if over and state.paused_until is not None:
        rests.append(Span(state.paused_at or 0.0, state.paused_until))
    for rest in sorted(rests, key=lambda span: span.until):
        if rest.until > max(state.wanted_since or 0.0, ran):
            state = _not_wanted(citizen, task, state, rest)
    return state.resumed() if over else state


def _not_wanted(citizen: str, task: Task, state: TaskState, span: Span) -> TaskState:
    """The state with nothing in this span missed; a slot due before the span is still due."""
    waited = next_slot(citizen, task, state, span.until) <= span.since
    return state if waited else state.wanted_from(span.until)


def _retry(citizen: str, task: Task, state: TaskState, at: float, now: float) -> TaskState:
    """The state with its retry dropped if a slot is already due, else no later than its delay."""
    if next_slot(citizen, task, state, now) <= now:
        return state.gave_up()
    latest = now + _delay(task, max(0, state.attempt - 1))
    return state if at <= latest else state.changed(retry_at=latest)


def recovered(state: TaskState, now: float, alive: Callable[[Running], bool]) -> TaskState:
    """The state with which a new owner starts: a run that a dead owner left open counts as interrupted.

    While the process of that run lives, the task does not start again. A run that had no process yet
    never began: it is still due and does not count as a run.
    """
    if state.running is None:
        return state if state.orphan is None or alive(state.orphan) else state.orphaned(None)
    if state.starting:
        return state.never_began()
    orphan = state.running if alive(state.running) else None
    reason = "interrupted: the scheduler died during this run"
    return state.interrupted(reason, now, again=False).gave_up().orphaned(orphan)
