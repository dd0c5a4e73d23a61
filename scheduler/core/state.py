"""What is remembered of a task.

All times are Unix seconds (UTC), all durations seconds. A state changes only through its named transitions.
"""

from dataclasses import replace
from typing import Any

from scheduler.core.schedules.schedule import DRIFT
from scheduler.core.task import Outcome
from scheduler.core.values import copier, value
from scheduler.process.process_info import Running
from scheduler.process.who import Who

OK, SKIPPED, STOPPED = (
    Outcome.OK,
    Outcome.SKIPPED,
    Outcome.STOPPED,
)  # members of an enumeration are slow to find
RECENT = 10  # runs whose outcomes are kept
_SIGNS = {OK: "o", Outcome.WARNING: "w", STOPPED: "s", Outcome.REFUSED: "r"}  # any other: failed
ERROR_LIMIT = 2000  # characters of an error kept in the state file
CHANGED = (
    3 * 3600.0
)  # a clock set back by so many seconds was changed, by fewer corrected: as in Debian's cron
OFF = "off"  # the schedule of a task that nothing wants
_MOMENTS = ("last_run", "last_success", "first_seen", "wanted_since", "paused_at", "declined")


@value
class Skips:
    """How many of the times of a day were let go, of those that had come."""

    day: str
    skipped: int
    of: int


def first_line(text: str) -> str:
    """The first line with words in it, empty if there is none."""
    return next((line.strip() for line in text.splitlines() if line.strip()), "")


@value
class Failure:
    time: float
    text: str

    @property
    def first_line(self) -> str:
        return first_line(self.text)


@value
class TaskState:
    """What survives a restart. `error` is there only while the last run failed."""

    last_run: float | None = None
    run_count: int = 0
    error: Failure | None = None
    failures_in_a_row: int = 0
    last_duration: float | None = None
    last_success: float | None = None
    first_seen: float | None = None
    paused: bool = False
    paused_at: float | None = None
    paused_until: float | None = None  # when it resumes by itself; None: not before it is resumed
    paused_why: str = ""
    paused_by: str = ""
    due_now: bool = False
    retry_at: float | None = None
    attempt: int = 0
    running: Running | None = None
    outcome: Outcome | None = None
    text: str = ""
    orphan: Running | None = None  # a run of a dead owner that is still alive; nothing starts before it ends
    slot: float | None = None  # the last slot that was served: of a cron expression, or before jitter
    recent: str = ""  # the outcomes of the last runs, the newest last: ok, warning, failed, stopped, refused
    schedule: str | None = None  # as last seen; another one was set since
    wanted_since: float | None = None  # slots before this are not missed: the schedule was changed, or paused
    starting: bool = False  # what is `running` has no process of its own yet: a crash now, and it never began
    forced: bool = False  # and not begun: neither a pause nor a crash keeps it from running
    asked_by: Who | None = None  # for the run that is due now
    skips: Skips | None = None  # of the last day on which it was due
    let_go: str = ""  # what keeps it from its times, as far as the history says so already
    declined: float | None = None  # no slot up to this is due: its run was taken out of the queue

    def changed(self, **fields: Any) -> "TaskState":
        """A copy with these fields changed."""
        new = _copied(self)
        for name, field in fields.items():
            setattr(new, name, field)
        return new  # type: ignore[no-any-return]  # a TaskState

    def started(self, running: Running, slot: float | None = None, starting: bool = False) -> "TaskState":
        """It runs, `starting` once it has a process of its own.

        `slot` is the one that this run serves, if that is to be remembered.
        """
        new = _copied(self)
        new.last_run, new.running = running.since, running
        new.due_now, new.retry_at = False, None
        new.starting, new.forced = starting, starting and self.forced
        if not starting:
            new.asked_by = None
        if slot is not None:
            new.slot = slot
        if self.wanted_since is not None and self.wanted_since > running.since:  # by a clock set back since
            new.wanted_since = running.since
        return new  # type: ignore[no-any-return]  # a TaskState

    def never_began(self) -> "TaskState":
        """The owner died before the run had a process of its own: no run, and due as it was."""
        return self.changed(running=None, starting=False, due_now=True)

    def prepared(self, running: Running, slot: float | None) -> "TaskState":
        """What must come before the run is under way; a crash, and it never began."""
        served = self.slot if slot is None else slot
        return self.changed(running=running, starting=True, slot=served, let_go="")

    def opened(self, since: float) -> "TaskState":
        """What had to come before the run is done: it starts, and counts from when it was decided."""
        running = replace(self.running, since=since) if self.running else None
        wanted = None if self.wanted_since is None else min(self.wanted_since, since)
        return self.changed(
            last_run=since, running=running, due_now=False, retry_at=None, wanted_since=wanted
        )

    def taken_back(self, before: "TaskState") -> "TaskState":
        """The run waited for a worker and will not begin: due, or not, as `before` it was started."""
        due_now, last_run = before.due_now or self.due_now, before.last_run
        back = self.changed(running=None, starting=False, due_now=due_now, last_run=last_run)
        return back.changed(retry_at=before.retry_at, slot=before.slot)

    def finished(self, outcome: Outcome, text: str, at: float, duration: float) -> "TaskState":
        new, text = _copied(self), text[:ERROR_LIMIT]
        new.run_count += 1
        new.running = new.retry_at = None
        new.outcome, new.last_duration = outcome, duration
        if self.last_run is not None and self.last_run + duration > at + DRIFT:  # the clock was set back
            new.last_duration = max(0.0, at - self.last_run)
        if outcome is not SKIPPED:
            new.recent = (self.recent + _SIGNS.get(outcome, "x"))[-RECENT:]
        if self.starting:  # else a force is for the run after this one
            new.starting = new.forced = False
            new.asked_by = None
        if outcome is not OK and outcome.bad:
            new.error, new.text = Failure(at, text), ""
            new.failures_in_a_row += 1
        elif outcome is STOPPED:  # says nothing of how it would have ended: the streak goes on as it was
            new.error, new.text, new.attempt = None, text, 0
        else:
            new.error, new.text, new.last_success = None, text, at
            new.failures_in_a_row = new.attempt = 0
        return new  # type: ignore[no-any-return]  # a TaskState

    def refused(self) -> "TaskState":
        """Its provider was away: no run and no failure, and due as soon as that is back."""
        return self.changed(running=None, starting=False, due_now=True, recent=(self.recent + "r")[-RECENT:])

    def carried_by(self, running: Running) -> "TaskState":
        """The run goes on in this process."""
        return self.changed(running=running, starting=False, forced=False, asked_by=None)

    def interrupted(self, reason: str, at: float, again: bool) -> "TaskState":
        """The run ended because the process around it did; `again` makes it due at the next start."""
        since = self.running.since if self.running else at
        ended = self.finished(Outcome.INTERRUPTED, reason, at, max(0.0, at - since))
        return ended.changed(due_now=self.due_now or again)

    def orphaned(self, orphan: Running | None) -> "TaskState":
        """The run of a dead owner goes on without it, or has ended at last (None)."""
        return self.changed(orphan=orphan)

    def retrying(self, at: float) -> "TaskState":
        return self.changed(retry_at=at, attempt=self.attempt + 1)

    def gave_up(self) -> "TaskState":
        """No retry is left: the next regular slot starts with a first attempt."""
        return self.changed(retry_at=None, attempt=0)

    def taken_out(self, at: float, slot: float | None) -> "TaskState":
        """Out of the queue: neither forced nor due any more, until the slot after `slot`, which had come."""
        passed = self.retry_at is not None and self.retry_at <= at
        served = self.slot if slot is None or slot > at else slot
        calm = self.gave_up() if passed else self
        return calm.changed(due_now=False, forced=False, asked_by=None, declined=at, slot=served)

    def passed_over(self, at: float) -> "TaskState":
        """It was due and did not come to its run: the next time is that of its schedule."""
        return self.changed(running=None, starting=False).taken_out(at, self.slot).gave_up()

    def counted(self, day: str, *, skipped: bool) -> "TaskState":
        """A time of its schedule came on this day, and was let go or not."""
        before = self.skips if self.skips and self.skips.day == day else Skips(day, 0, 0)
        return self.changed(skips=Skips(day, before.skipped + skipped, before.of + 1))

    def wanted(self) -> "TaskState":
        """Due now, whatever the schedule says, and kept so over a restart."""
        return self.changed(due_now=True)

    def asked_for(self, who: Who | None = None) -> "TaskState":
        """Forced: due now, also if it is paused or disabled."""
        return self.changed(due_now=True, forced=True, asked_by=self.asked_by or who)

    def reset(self, who: Who | None = None) -> "TaskState":
        """Last run and last error forgotten: due at the next check."""
        started = self.running.since if self.running else None
        return self.changed(
            last_run=started,
            error=None,
            failures_in_a_row=0,
            outcome=None,
            text="",
            retry_at=None,
            attempt=0,
            due_now=True,
            asked_by=who,
        )

    def with_pause(self, at: float, until: float | None = None, why: str = "", by: str = "") -> "TaskState":
        """Paused; a second pause begins with the first: slots in between were not wanted."""
        since = self.paused_at if self.paused else at
        return self.changed(paused=True, paused_at=since, paused_until=until, paused_why=why, paused_by=by)

    def resumed(self) -> "TaskState":
        return self.changed(paused=False, paused_at=None, paused_until=None, paused_why="", paused_by="")

    def seen(self, at: float) -> "TaskState":
        return self if self.first_seen is not None else self.changed(first_seen=at)

    def removed(self) -> "TaskState":
        """The task is gone from the settings; if it comes back, it has missed nothing."""
        return self.changed(schedule=OFF)

    def wanted_from(self, now: float) -> "TaskState":
        """No slot and no retry until now is missed: nothing wanted them."""
        passed = self.retry_at is not None and self.retry_at <= now
        return (self.gave_up() if passed else self).changed(wanted_since=now)

    def believed(self, now: float, *, clock_changed: bool = False) -> "TaskState":
        """Moments in the future count as now: the clock that noted them was wrong.

        Only a slot that has run stays in the future, unless the clock was changed, not corrected.
        """
        ahead: dict[str, Any] = {name: now for name in _MOMENTS if (getattr(self, name) or 0.0) > now}
        if "last_run" in ahead:
            ahead["last_duration"] = None  # when that run ended is not known any more
        if self.slot is not None and self.slot > now and (clock_changed or self.slot >= now + CHANGED):
            ahead["slot"] = None
        if "paused_at" in ahead and self.paused_at and self.paused_until:
            ahead["paused_until"] = now + max(0.0, self.paused_until - self.paused_at)  # as long as it was
        if self.error and self.error.time > now:
            ahead["error"] = Failure(now, self.error.text)
        return self.changed(**ahead) if ahead else self


_copied = copier(TaskState)
