"""The saved state of a task.

All times are Unix seconds (UTC), all durations seconds. A state changes only through its named transitions.
"""

from dataclasses import replace
from typing import Any

from scheduler.core.task import Outcome
from scheduler.core.values import copier, value
from scheduler.process.process_info import Running
from scheduler.process.who import Who

# Members of an enumeration are slow to look up.
OK, SKIPPED, STOPPED = Outcome.OK, Outcome.SKIPPED, Outcome.STOPPED
RECENT = 10  # runs whose outcomes are kept
_SIGNS = {OK: "o", Outcome.WARNING: "w", STOPPED: "s", Outcome.REFUSED: "r"}  # any other: failed
ERROR_LIMIT = 2000  # characters of an error kept in the state file
CHANGED = 3 * 3600.0  # seconds: a clock set back by more was changed, by less corrected, as in Debian's cron
OFF = "off"  # stands for the schedule of a task that is disabled, not set up or removed
_MOMENTS = ("last_run", "last_success", "first_seen", "wanted_since", "paused_at", "declined")


@value
class Skips:
    """How many of a day's due times have been skipped, of all that have come."""

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
    """What survives a restart. `error` is set only if the last run failed."""

    last_run: float | None = None
    run_count: int = 0
    error: Failure | None = None
    failures_in_a_row: int = 0
    last_duration: float | None = None
    last_success: float | None = None
    first_seen: float | None = None
    paused: bool = False
    paused_at: float | None = None
    paused_until: float | None = None  # when it resumes by itself; None: never
    paused_why: str = ""
    paused_by: str = ""
    due_now: bool = False
    retry_at: float | None = None
    attempt: int = 0
    running: Running | None = None
    outcome: Outcome | None = None
    text: str = ""
    orphan: Running | None = None  # a run of a dead owner that is still alive; nothing starts before it ends
    slot: float | None = None  # the last served slot of a cron expression, or the one before jitter
    recent: str = ""  # the outcomes of the last runs, the newest last: ok, warning, failed, stopped, refused
    schedule: str | None = None  # as last seen, to notice a change
    wanted_since: float | None = None  # earlier slots are not missed: the schedule was changed or paused
    starting: bool = False  # the run has no process of its own yet: after a crash it has never begun
    forced: bool = False  # forced but not begun: neither a pause nor a crash keeps it from running
    asked_by: Who | None = None  # who asked for the run that is due now
    skips: Skips | None = None  # on the last day when it was due
    let_go: str = ""  # the reason for skipping its times that is already in the history
    declined: float | None = None  # slots up to this are not due: their run was taken out of the queue

    def changed(self, **fields: Any) -> "TaskState":
        """A copy with these fields changed."""
        new = _copied(self)
        for name, field in fields.items():
            setattr(new, name, field)
        return new  # type: ignore[no-any-return]  # a TaskState

    def started(self, running: Running, slot: float | None = None, starting: bool = False) -> "TaskState":
        """The state during a run; `starting` if its own process does not exist yet.

        `slot` is the slot that the run serves, if it is to be remembered.
        """
        new = _copied(self)
        new.last_run, new.running = running.since, running
        new.due_now, new.retry_at = False, None
        new.starting, new.forced = starting, starting and self.forced
        if not starting:
            new.asked_by = None
        if slot is not None:
            new.slot = slot
        if self.wanted_since is not None and self.wanted_since > running.since:  # the clock was set back
            new.wanted_since = running.since
        return new  # type: ignore[no-any-return]  # a TaskState

    def never_began(self) -> "TaskState":
        """The state if the owner died before the run had its own process: it did not run and is still due."""
        return self.changed(running=None, starting=False, due_now=True)

    def prepared(self, running: Running, slot: float | None) -> "TaskState":
        """The state while the run is prepared; after a crash now it has never begun."""
        served = self.slot if slot is None else slot
        return self.changed(running=running, starting=True, slot=served, let_go="")

    def opened(self, since: float) -> "TaskState":
        """The state when a prepared run starts; it counts from the moment of that decision."""
        running = replace(self.running, since=since) if self.running else None
        wanted = None if self.wanted_since is None else min(self.wanted_since, since)
        return self.changed(
            last_run=since, running=running, due_now=False, retry_at=None, wanted_since=wanted
        )

    def taken_back(self, before: "TaskState") -> "TaskState":
        """The state if the run waited for a worker and will not begin: as due as `before` its start."""
        due_now, last_run = before.due_now or self.due_now, before.last_run
        back = self.changed(running=None, starting=False, due_now=due_now, last_run=last_run)
        return back.changed(retry_at=before.retry_at, slot=before.slot)

    def finished(self, outcome: Outcome, text: str, at: float, duration: float) -> "TaskState":
        new, text = _copied(self), text[:ERROR_LIMIT]
        new.run_count += 1
        new.running = new.retry_at = None
        new.outcome, new.last_duration = outcome, duration
        if self.last_run is not None and self.last_run + duration > at:  # the clock was set back
            new.last_duration = max(0.0, at - self.last_run)
        if outcome is not SKIPPED:
            new.recent = (self.recent + _SIGNS.get(outcome, "x"))[-RECENT:]
        if self.starting:  # otherwise a force is for the next run
            new.starting = new.forced = False
            new.asked_by = None
        if outcome is not OK and outcome.bad:
            new.error, new.text = Failure(at, text), ""
            new.failures_in_a_row += 1
        elif outcome is STOPPED:  # how it would have ended is unknown, so the streak stays as it was
            new.error, new.text, new.attempt = None, text, 0
        else:
            new.error, new.text, new.last_success = None, text, at
            new.failures_in_a_row = new.attempt = 0
        return new  # type: ignore[no-any-return]  # a TaskState

    def refused(self) -> "TaskState":
        """The state if the provider was away: neither a run nor a failure, and due when it is back."""
        return self.changed(running=None, starting=False, due_now=True, recent=(self.recent + "r")[-RECENT:])

    def carried_by(self, running: Running) -> "TaskState":
        """The state with the process that carries out the run."""
        return self.changed(running=running, starting=False, forced=False, asked_by=None)

    def interrupted(self, reason: str, at: float, again: bool) -> "TaskState":
        """The state after a run that ended because its owner did; `again` makes it due at the next start."""
        since = self.running.since if self.running else at
        ended = self.finished(Outcome.INTERRUPTED, reason, at, max(0.0, at - since))
        return ended.changed(due_now=self.due_now or again)

    def orphaned(self, orphan: Running | None) -> "TaskState":
        """The state while the run of a dead owner continues without it; None: that run has ended."""
        return self.changed(orphan=orphan)

    def retrying(self, at: float) -> "TaskState":
        return self.changed(retry_at=at, attempt=self.attempt + 1)

    def gave_up(self) -> "TaskState":
        """The state without retries left: the next regular slot starts with a first attempt."""
        return self.changed(retry_at=None, attempt=0)

    def taken_out(self, at: float, slot: float | None) -> "TaskState":
        """Out of the queue: neither forced nor due until the slot after `slot`, which has already come."""
        passed = self.retry_at is not None and self.retry_at <= at
        served = self.slot if slot is None or slot > at else slot
        calm = self.gave_up() if passed else self
        return calm.changed(due_now=False, forced=False, asked_by=None, declined=at, slot=served)

    def passed_over(self, at: float) -> "TaskState":
        """The state if a due run did not begin: the next one is at the next time of its schedule."""
        return self.changed(running=None, starting=False).taken_out(at, self.slot).gave_up()

    def counted(self, day: str, *, skipped: bool) -> "TaskState":
        """Count a due time on this day, skipped or not."""
        before = self.skips if self.skips and self.skips.day == day else Skips(day, 0, 0)
        return self.changed(skips=Skips(day, before.skipped + skipped, before.of + 1))

    def wanted(self) -> "TaskState":
        """Due now, whatever the schedule says, also after a restart."""
        return self.changed(due_now=True)

    def asked_for(self, who: Who | None = None) -> "TaskState":
        """Forced: due now, even if paused or disabled."""
        return self.changed(due_now=True, forced=True, asked_by=self.asked_by or who)

    def reset(self, who: Who | None = None) -> "TaskState":
        """Without last run and last error: due at the next check."""
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
        """Paused; a second pause counts from the first: slots in between were not wanted."""
        since = self.paused_at if self.paused else at
        return self.changed(paused=True, paused_at=since, paused_until=until, paused_why=why, paused_by=by)

    def resumed(self) -> "TaskState":
        return self.changed(paused=False, paused_at=None, paused_until=None, paused_why="", paused_by="")

    def seen(self, at: float) -> "TaskState":
        return self if self.first_seen is not None else self.changed(first_seen=at)

    def removed(self) -> "TaskState":
        """The state of a task that is gone from the settings; if it comes back, it has missed nothing."""
        return self.changed(schedule=OFF, due_now=False, forced=False, asked_by=None)

    def wanted_from(self, now: float) -> "TaskState":
        """The state with no slot or retry before now counted as missed: they were not wanted."""
        passed = self.retry_at is not None and self.retry_at <= now
        return (self.gave_up() if passed else self).changed(wanted_since=now)

    def believed(self, now: float, *, clock_changed: bool = False) -> "TaskState":
        """The state with future moments moved to now: the clock that noted them was wrong.

        Only a slot that was served stays in the future, unless the clock was changed rather than corrected.
        """
        ahead: dict[str, Any] = {name: now for name in _MOMENTS if (getattr(self, name) or 0.0) > now}
        if "last_run" in ahead:
            ahead["last_duration"] = None  # the end of that run is no longer known
        elif self.last_run is not None and not self.running and not self.due_now:
            so_far = now - self.last_run
            if (self.last_duration or 0.0) > so_far:  # its end counts as now: it served no later slot
                ahead["last_duration"] = so_far
        if self.slot is not None and self.slot > now and (clock_changed or self.slot >= now + CHANGED):
            ahead["slot"] = None
        if "paused_at" in ahead and self.paused_at and self.paused_until:
            ahead["paused_until"] = now + max(0.0, self.paused_until - self.paused_at)  # as long as before
        if self.error and self.error.time > now:
            ahead["error"] = Failure(now, self.error.text)
        return self.changed(**ahead) if ahead else self


_copied = copier(TaskState)
