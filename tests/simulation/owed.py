"""What the contract owes one task at any moment: its slots, as time passes and clocks are set.

`by` is the true time until which the task must have begun, `may` whether its schedule allows it to begin.
Where the contract leaves a choice, both are allowed.
"""

from dataclasses import dataclass

from tests.simulation.history import HOUR, History, Plan
from tests.simulation.oracle import NEVER, last_slot, next_slot
from tests.simulation.trace import Fact

MINUTE = 60.0  # a shorter delay is late, not missed
LITTLE = 2.0  # seconds in which both readings are right
REMEMBERED = 3 * HOUR  # a smaller step back does not bring a slot again
SCHEDULED = frozenset({"schedule", "retry", "catch-up", "wake"})  # what starts a run unasked
LATEST = 12.0  # seconds that a start may need for itself


@dataclass(frozen=True, slots=True)
class Broken:
    """A rule of the contract that did not hold, when, and for which task."""

    rule: str
    at: float
    task: str
    text: str


class Owed:
    """One task on its clock; `broken` grows as the facts are read."""

    def __init__(self, history: History, name: str) -> None:
        self.name, self.workers = name, history.workers
        self.allow = history.look + LATEST
        self.broken: list[Broken] = []
        self.plan: Plan
        self.up = self.stopping = self.slow = self.full_disk = self.stalled = False
        self.paused: bool | None = False  # None: asked for, and not known whether it was saved
        self.busy: set[int] = set()  # processes of this task
        self.trigger = ""  # of the last one
        self.others: set[int] = set()  # and of all tasks
        self.at = self.wall = self.down_wall = self.ended_at = -NEVER
        self.off_since = self.off_wall = -NEVER  # since when the schedule does not count
        # what is owed
        self.due = NEVER  # the next slot; of an interval the latest moment that may be it
        self.earliest = -NEVER  # an interval's next start is not before this
        self.may = self.must = self.excuse = False
        self.soft = -NEVER  # a start that was under way until then is all right
        self.by = NEVER
        self.slot = -NEVER
        self.served, self.back, self.served_back = -NEVER, 0.0, 0.0
        self.last_began = self.began_at = -NEVER
        self.perhaps_began = False  # a run of which nobody can know
        # retries
        self.attempt, self.retry_from, self.retry_by, self.delay = 0, NEVER, NEVER, 0.0
        self.recorded_at = -NEVER
        self.reset_owed = self.was_paused = False
        self.force_asked = self.reset_asked = self.forced = (
            False  # and not begun since; `forced`: it was answered, too
        )
        self.force_by = NEVER
        self.stepped_at, self.stepped_by = -NEVER, 0.0
        self.waited = False  # a slot had come when it was paused
        self.unsure = False  # how many attempts the next owner knows of

    # ------------------------------------------------------------------ reading

    def read(self, fact: Fact) -> None:
        if fact.kind not in ("clock set", "awake"):
            self._time_passes(fact)
        self.at, self.wall = fact.at, fact.wall
        handle = getattr(self, "_" + fact.kind.replace(" ", "_"), None)
        if handle and (fact.task in ("", self.name) or fact.kind == "urgent"):
            handle(fact)
        if fact.kind == "began" and fact.task != "wake":
            self.others.add(fact.more[0])
        elif fact.kind == "ended":
            self.others.discard(fact.more[0])

    def _time_passes(self, fact: Fact) -> None:
        while self.up and self.due <= fact.wall:
            at = self.at + max(0.0, self.due - self.wall)
            self._judge(at)
            self._slot_comes(self.due, at)
        self._judge(fact.at)

    def _judge(self, at: float) -> None:
        """Is something overdue?"""
        if self.force_by < NEVER and self._occupied:
            self.force_by = max(self.force_by, at + self.allow)
        elif at > self.force_by:
            self._break("forgotten", "a force that was answered did not bring a run", self.force_by)
            self.forced, self.force_by = False, NEVER
        if self._hindered:
            self.by = max(self.by, at + self.allow) if self.by < NEVER else NEVER
            self.retry_by = max(self.retry_by, at + self.allow) if self.retry_by < NEVER else NEVER
            return
        if at > min(self.by, self.retry_by):
            late = "its retry" if self.retry_by < self.by else "a slot" if self.plan.cron else "its interval"
            rule = "lost" if late == "a slot" else "starved"
            self._break(rule, f"{late} did not bring a run", min(self.by, self.retry_by))
            self.by = self.retry_by = NEVER

    def _break(self, rule: str, text: str, at: float | None = None) -> None:
        self.broken.append(Broken(rule, self.at if at is None else at, self.name, text))

    # ------------------------------------------------------------------ the state of things

    @property
    def _on(self) -> bool:
        return self.plan.enabled and not self.plan.removed and self.paused is False

    @property
    def _perhaps_on(self) -> bool:
        return self.plan.enabled and not self.plan.removed and self.paused is None

    @property
    def _occupied(self) -> bool:
        return not self.up or self.stalled or bool(self.busy) or len(self.others) >= self.workers

    @property
    def _hindered(self) -> bool:
        return self._occupied or not self._on

    @property
    def _slack(self) -> float:
        return 15.0 if self.slow or self.full_disk else 1.0

    def _was_served(self, slot: float) -> bool | None:
        """Whether the slot ran already and is remembered; None when both are right."""
        back = self.back - self.served_back
        if slot > self.served or back > REMEMBERED + MINUTE:
            return False
        return True if back < REMEMBERED - MINUTE else None

    def _serve(self, slot: float) -> None:
        if self._was_served(slot) is not True:
            self.served, self.served_back = slot, self.back

    def _owe(self, slot: float, at: float, *, must: bool) -> None:
        self.may, self.slot = True, slot
        if must:
            self.must = True
            self.by = min(self.by, at + self.plan.jitter + self.allow)

    def _owe_nothing(self) -> None:
        self.may = self.must = False
        self.by = NEVER

    # ------------------------------------------------------------------ slots

    def _next(self, after: float) -> None:
        self.due = next_slot(self.plan.cron, self.plan.zone, after) if self.plan.cron else NEVER
        while self.due < NEVER and self._was_served(self.due):
            self.due = next_slot(self.plan.cron, self.plan.zone, self.due)

    def _slot_comes(self, slot: float, at: float) -> None:
        self._next(slot)
        if not self._on:
            self.may = self.may or self._perhaps_on
            return
        if self.plan.cron and self.busy:  # its own run takes longer than its interval
            over = self.recorded_at >= self.began_at  # for its scheduler; what is left of it lives on
            self.may = self.may or over or self.trigger not in SCHEDULED
            return
        served = self._was_served(slot) if self.plan.cron else False
        if served is True:
            return
        settled = not self.busy and at > self.ended_at + self._slack
        self._owe(slot, at, must=served is False and settled)

    def _slot_came(self, slot: float, passage: float, *, must: bool = True) -> None:
        """The slot was passed by a step, a sleep or a restart of this length."""
        if not self._on:
            self.may = self.may or self._perhaps_on
            return
        served = self._was_served(slot) if self.plan.cron else False
        if served is True:
            return
        if self.busy:
            self.may = True
            return
        late = self.wall - slot
        certain = must and served is False and self.at > self.ended_at + self._slack
        if self.plan.catch_up:
            self._owe(slot, self.at, must=certain)
        elif late < MINUTE - LITTLE:
            self._owe(slot, self.at, must=certain and passage < MINUTE - LITTLE)
        elif late < MINUTE + LITTLE:
            self._owe(slot, self.at, must=False)
        else:
            self._missed(slot)

    def _missed(self, slot: float) -> None:
        """Skipped, since it does not catch up; an interval keeps its rhythm."""
        self.must, self.by = False, NEVER
        if self.plan.cron:
            self.may = self.busy != set()
            return
        last = min(self.last_began, self.wall)
        rhythm = last + self.plan.every * ((self.wall - last) // self.plan.every + 1)
        self.earliest = rhythm - self.plan.jitter - LITTLE - self._slack
        self.due = self.wall + self.plan.every + LITTLE
        self.may = rhythm - self.plan.every + self.plan.jitter > self.wall - MINUTE - LITTLE  # only late

    # ------------------------------------------------------------------ clocks

    def _clock_set(self, fact: Fact) -> None:
        self.unsure = self.unsure or self.retry_from < NEVER
        if fact.more > 0:
            self._forward(fact.more)
        else:
            self._backward(-fact.more)

    def _awake(self, fact: Fact) -> None:
        self._forward(fact.more)

    def _forward(self, by: float) -> None:
        self.stepped_at, self.stepped_by = self.at, by
        self.retry_from = min(self.retry_from, self.at) if self.retry_from < NEVER else NEVER
        if not self.up:
            return
        if self.must and not self.plan.catch_up and self.wall - self.slot > MINUTE - LITTLE:
            self.must, self.by = False, NEVER
        if self.plan.cron:
            slot = last_slot(self.plan.cron, self.plan.zone, self.wall)
            self._next(self.wall)
            if slot > self.wall - by:
                self._slot_came(slot, by)
        elif self.due <= self.wall:
            slot, self.due = self.due, NEVER
            self._slot_came(slot, by)

    def _backward(self, by: float) -> None:
        self.back += by
        if self.retry_by < NEVER:
            self.retry_by = max(self.retry_by, self.at + self.delay + self.allow)
        self.waited = self.waited and self.slot <= self.wall
        if self.slot > self.wall and self.may:
            self.soft = self.at + self._slack
            self._owe_nothing()
        if self.plan.every and self.wall + by >= self.earliest:  # it may be starting
            self.soft = self.at + self._slack
        if self.plan.cron:
            self._next(self.wall)
        elif self.up:
            self.due = min(self.due, self.wall + self.plan.every)
            self.earliest = min(self.earliest, self.wall + self.plan.every - self.plan.jitter - self._slack)

    def _stalled(self, fact: Fact) -> None:
        self.stalled = True

    def _goes_on(self, fact: Fact) -> None:
        """After a stall everything gets its time again; what it made late may be missed."""
        self.stalled = False
        if (
            self.ended_at > self.at - fact.more and self.plan.every
        ):  # for the scheduler its run took that long
            self.may, self.must, self.by, self.due = True, False, NEVER, self.wall + self.plan.every
        for name in ("by", "retry_by"):
            if getattr(self, name) < NEVER:
                setattr(self, name, max(getattr(self, name), self.at + self.allow))
        if fact.more > MINUTE - LITTLE and not self.plan.catch_up:
            self.must, self.by = False, NEVER
            if self.plan.every:
                self.due = min(self.due, self.wall + self.plan.every)
