"""When the contract wants a task to start: worked out from what happened, without the code under test.

It walks over the trace; what lives, runs and people do to the task changes what it is owed.
"""

from collections.abc import Iterator

from tests.simulation.history import History, Plan
from tests.simulation.oracle import NEVER, last_slot, next_slot
from tests.simulation.owed import LITTLE, REMEMBERED, SCHEDULED, Broken, Owed
from tests.simulation.trace import Fact

PATIENCE = 300.0  # seconds that a wake waits for its tasks


class Wanted(Owed):
    """One task."""

    # ------------------------------------------------------------------ the owner

    def _up(self, fact: Fact) -> None:
        down, self.up, self.stopping = self.wall - self.down_wall, True, False
        self.unsure = self.unsure or self.retry_from < NEVER
        edited = self.off_since > self.at - 1e-9 or self.off_wall > self.down_wall
        if self.plan.cron:
            self._up_cron(down, edited)
        else:
            self._up_every(down, edited)
        if self.retry_by < NEVER:
            self.retry_by = max(self.retry_by, self.at + self.allow)
        if self.reset_owed and self._on:
            self._owe(self.slot, self.at, must=True)
        self.may = self.may or (self.waited and self._perhaps_on)
        if self.forced:
            self.force_by = self.at + self.allow

    def _up_cron(self, down: float, edited: bool) -> None:
        first = self.down_wall == -NEVER
        slot = last_slot(self.plan.cron, self.plan.zone, self.wall)
        self._next(self.wall)
        if slot > self.down_wall and not first and slot > self.off_wall:
            self._slot_came(slot, down, must=not edited)
        elif self.must:
            self.by = NEVER
            self._slot_came(self.slot, down)

    def _up_every(self, down: float, edited: bool) -> None:
        if self.last_began == -NEVER:  # never ran: due at once
            self._owe(self.wall, self.at, must=not self.perhaps_began)
        elif self.last_began > self.wall:  # from a wrong clock: it counts as now
            self.due = self.wall + self.plan.every
            self.earliest = min(self.earliest, self.due - self.plan.jitter - self._slack)
        elif self.due <= self.wall:
            slot, self.due = self.due, NEVER
            self._slot_came(slot, down, must=not edited)
        elif self.must:
            self._slot_came(self.slot, down)

    def _stopping(self, fact: Fact) -> None:
        self.up, self.stopping, self.down_wall = False, True, self.wall
        self._down()

    def _killed(self, fact: Fact) -> None:
        under_way = bool(self.busy)
        self.excuse = self.excuse or self.may  # it was due, maybe starting: then it is still due
        self.up, self.stopping, self.down_wall = False, False, self.wall
        if under_way or self.at - max(self.recorded_at, self.ended_at) < self._slack:
            self.attempt, self.retry_by, self.unsure = 0, NEVER, True  # it is found as interrupted: no retry
        if not self.plan.command:
            self._perhaps_began()
        if self.full_disk:
            self._know_nothing()
        self._down()

    def _down(self) -> None:
        self.by = self.force_by = NEVER

    def _never_began(self, fact: Fact) -> None:
        """A process that waited at its gate died with its owner; if its number was saved nobody can know."""
        if fact.more:
            self._perhaps_began()

    def _perhaps_began(self) -> None:
        self.perhaps_began = True
        self.must = self.forced = False
        if self.plan.every and (self.due < self.wall + 1 or self.excuse):
            self.excuse, self.due = True, self.wall + self.plan.every

    def _know_nothing(self) -> None:
        """What the process knew was not saved."""
        self.excuse, self.must, self.by, self.retry_by = True, False, NEVER, NEVER
        self.forced = self.reset_owed = False
        self.paused = None if self.paused else self.paused

    def _disk_full(self, fact: Fact) -> None:
        self.full_disk = True

    def _disk_free(self, fact: Fact) -> None:
        self.full_disk = False

    def _slow_disk(self, fact: Fact) -> None:
        self.slow, self.allow = True, self.allow + 30

    def _fast_disk(self, fact: Fact) -> None:
        self.slow, self.allow = False, self.allow - 30

    # ------------------------------------------------------------------ runs

    def _began(self, fact: Fact) -> None:
        pid, trigger, _ = fact.more
        self.trigger = "asked" if self.excuse or self.reset_owed else trigger
        if trigger in SCHEDULED:
            self._check_start(trigger)
        under_way = self.at <= self.soft and self.slot < self.wall + REMEMBERED
        starting = self.slot if under_way else -NEVER  # since before the clock was set
        self.busy.add(pid)
        self._owe_nothing()
        self.excuse = self.reset_owed = self.reset_asked = self.force_asked = self.forced = False
        self.soft, self.force_by, self.waited = -NEVER, NEVER, False
        self.retry_from = self.retry_by = NEVER
        self.last_began, self.began_at = self.wall, self.at
        if self.plan.cron:
            self._serve(max(starting, last_slot(self.plan.cron, self.plan.zone, self.wall + 0.01)))
            return
        rhythm = (
            self.due if trigger == "schedule" and self.plan.jitter and self.due <= self.wall else self.wall
        )
        self.due = min(self.wall, rhythm) + self.plan.every
        stepped = self.stepped_by if self.at - self.stepped_at < self._slack else 0.0  # while it was starting
        self.earliest = self.wall + self.plan.every - self.plan.jitter - self._slack - stepped

    def _check_start(self, trigger: str) -> None:
        if not self._on and self.paused is not None and self.at > self.off_since + self._slack:
            what = "paused" if self.paused else "disabled or removed"
            self._break("unwanted", f"it runs by its schedule ({trigger}) although it is {what}")
        elif trigger == "retry" and self.at < self.retry_from and not self.excuse:
            self._break("unwanted", "a retry comes sooner than its delay")
        elif not self._allowed():
            if self.plan.cron and self._was_served(
                last_slot(self.plan.cron, self.plan.zone, self.wall + 0.01)
            ):
                self._break("twice", "it runs its slot a second time")
            else:
                self._break("unwanted", f"it runs by its schedule ({trigger}) and no slot wanted it")

    def _allowed(self) -> bool:
        return (
            self.may
            or self.excuse
            or self.reset_owed
            or self.at <= self.soft
            or self.at >= self.retry_from
            or (self.plan.every > 0 and self.wall >= self.earliest)
        )

    def _ended(self, fact: Fact) -> None:
        self.busy.discard(fact.more[0])
        self.ended_at = self.at
        if self.busy or self.plan.cron:
            return
        if (
            self.due < NEVER and self.due <= self.wall
        ) or self.may:  # an overrun: the next may wait for its time
            self.may, self.must, self.by = True, False, NEVER
            self.due = self.wall + self.plan.every

    def _recorded(self, fact: Fact) -> None:
        outcome = fact.more[0]
        self.recorded_at = self.at
        if outcome == "interrupted":
            self.attempt = 0
            if self.stopping and self._on:
                self.excuse = self.must = True
            elif self.stopping:
                self.excuse = True
        elif outcome in ("failed", "timed out") and self.plan.retries and self.unsure:
            self.retry_from = self.at
        elif outcome in ("failed", "timed out") and self.attempt < self.plan.retries:
            self._retry()
        else:
            self.attempt, self.unsure = 0, self.unsure and outcome != "ok"

    def _retry(self) -> None:
        self.delay = self.plan.retry_delay * 2.0**self.attempt
        self.attempt += 1
        shortest = min(self.delay, self._distance())
        self.retry_from = self.at + 0.9 * shortest - LITTLE
        if self.may:
            self.unsure = True
        if self.due < self.wall + 0.9 * self.delay:  # left to the slot
            self.attempt = 0
        elif self.due < self.wall + self.delay + LITTLE:
            self.unsure = True
        elif self._on and not self.unsure:
            self.retry_by = self.at + self.delay + self.allow

    def _distance(self) -> float:
        """The shortest distance of two slots around now."""
        if self.plan.every:
            return self.plan.every
        before = last_slot(self.plan.cron, self.plan.zone, self.wall)
        next_ = next_slot(self.plan.cron, self.plan.zone, self.wall)
        after = next_slot(self.plan.cron, self.plan.zone, next_)
        return min(next_ - before, after - next_)

    # ------------------------------------------------------------------ people

    def _asked(self, fact: Fact) -> None:
        verb = fact.more
        if verb in ("force", "force again", "reset"):
            self.excuse = True
            self.force_asked = self.force_asked or verb != "reset"
            self.reset_asked = self.reset_asked or verb == "reset"
            if verb == "reset":
                self.attempt, self.retry_from, self.retry_by = 0, NEVER, NEVER
        elif verb in ("pause", "resume"):
            self.was_paused = self.paused is not False
            if verb == "pause":
                self._turn_off()
            if verb == "pause" or self.was_paused:
                self.paused = None
            self.may = self.may or (verb == "resume" and self.waited)

    def _answered(self, fact: Fact) -> None:
        verb, saved, _ = fact.more
        if verb in ("force", "force again"):
            self.forced = self.forced or (self.force_asked and saved)
            self.force_by = self.at + self.allow if self.forced else NEVER
        elif verb == "reset" and saved:
            self._reset()

        elif verb == "pause":
            self.paused = True if saved else None
            self._turn_off()
        elif verb == "resume" and self.was_paused:
            self.paused = False if saved else None
            self._turn_on()

    def _reset(self) -> None:
        if not self.reset_asked:  # it began while that was saved
            return
        self.reset_owed = self.excuse = True
        if self._on and not self.busy:
            self._owe(self.wall, self.at, must=True)

    def _turn_off(self) -> None:
        """Not by its schedule from now on."""
        self.unsure = self.unsure or self.retry_from < NEVER
        self.waited = self.waited or self.may or self.due < self.wall + LITTLE  # it is still due afterwards
        self.off_since, self.off_wall = self.at, self.wall
        self.soft = self.at + self._slack
        self.must, self.by, self.retry_by = False, NEVER, NEVER
        self.may = False

    def _turn_on(self) -> None:
        """By its schedule again: slots of the meantime were not wanted, an interval may wait for its next."""
        self.off_since, self.off_wall = self.at, self.wall
        self.unsure = self.unsure or self.retry_from < NEVER
        if not self._on:
            return
        if self.reset_owed:
            self._owe(self.wall, self.at, must=self.up and not self.busy)
        self.may = self.may or self.waited or self.reset_owed or self.excuse
        if self.plan.cron:
            self._next(self.wall)
        elif self.last_began == -NEVER:
            self._owe(self.wall, self.at, must=False)
            self.due = self.wall + self.plan.every
        else:
            self.due = max(self.wall + self.plan.every, self.due if self.due < NEVER else 0.0)

    def _refused(self, fact: Fact) -> None:
        self.force_asked = False

    def _planned(self, fact: Fact) -> None:
        self.plan = fact.more

    def _edited(self, fact: Fact) -> None:
        before, self.plan = self.plan, fact.more
        self.excuse = self.excuse or not self.up  # who reads the settings later knows only what they say then
        same = _schedule(before) == _schedule(self.plan)
        was_on = before.enabled and not before.removed
        is_on = self.plan.enabled and not self.plan.removed
        if self.plan.removed:
            self.force_asked, self.forced, self.force_by = False, False, NEVER
        if was_on and not is_on:
            self._turn_off()
        elif is_on and not was_on:
            self._turn_on()
        if not same:
            self._other_schedule()

    def _other_schedule(self) -> None:
        self.soft = self.at + self._slack + self.allow if self.may else self.soft
        self.unsure = self.unsure or self.retry_from < NEVER
        self.off_since, self.off_wall = self.at, self.wall
        self.must, self.by, self.retry_by = False, NEVER, NEVER
        self.may = False
        self._next(self.wall)
        if self.plan.every:
            self.due = self.wall + self.plan.every
            self.earliest = -NEVER


def _schedule(plan: Plan) -> tuple[float, str, str, bool]:
    return plan.every, plan.cron, plan.zone, plan.catch_up


class WantedWake(Wanted):
    """The wake: it needs no worker, waits for the tasks that are due, and comes when something is urgent."""

    def __init__(self, history: History, name: str) -> None:
        super().__init__(history, name)
        self.allow += PATIENCE

    @property
    def _occupied(self) -> bool:
        return not self.up or self.stalled or bool(self.busy)

    @property
    def _slack(self) -> float:
        return PATIENCE + 15.0

    def _asked(self, fact: Fact) -> None:
        self.excuse = True

    def _answered(self, fact: Fact) -> None: ...

    def _urgent(self, fact: Fact) -> None:
        self.excuse = True

    def _ended(self, fact: Fact) -> None:
        super()._ended(fact)
        self.excuse = self.excuse or self.full_disk  # it could not be recorded

    def _down(self) -> None:
        super()._down()
        self.must = False
        self.excuse = self.excuse or bool(self.busy) or self.at - self.ended_at < self._slack  # not recorded


def wanted(history: History, trace: list[Fact]) -> Iterator[Broken]:
    """What broke for each task and the wake: `lost`, `starved`, `twice`, `unwanted`, `forgotten`."""
    for name in {fact.task: None for fact in trace if fact.kind == "planned"}:
        task = (WantedWake if name == "wake" else Wanted)(history, name)
        for fact in trace:
            task.read(fact)
        yield from task.broken
