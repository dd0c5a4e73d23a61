"""What the contract owes one task at any moment: its slots, as time passes and clocks are set.

A slot comes when the clock passes it. From then on the task `may` start, and mostly it `must`, until the
clock shows `until`. Where the contract leaves a choice, both are allowed.
"""

from collections import Counter, deque
from copy import copy
from dataclasses import dataclass

from tests.simulation.history import HOUR, History, Plan
from tests.simulation.rules.oracle import NEVER, last_slot, next_slot
from tests.simulation.trace import Fact

MINUTE = 60.0  # a shorter delay is late, not missed
LITTLE = 2.0  # seconds in which both readings are right
REMEMBERED = 3 * HOUR  # a smaller step back does not bring a slot again
SCHEDULED = frozenset({"schedule", "retry", "catch-up", "wake"})  # what starts a run unasked
ALLOWED = 2.0  # seconds that a start may be late
ON_TIME = 0.1  # seconds by which a start does not move the interval
HELD_LOOK = 3.0  # seconds until whoever waits has seen that it was thawed
DRIFT = 1.0  # a clock that is set by less is not noticed, and need not be


@dataclass(frozen=True, slots=True)
class Broken:
    """A rule of the contract that did not hold, when, and for which task."""

    rule: str
    at: float
    task: str
    text: str


@dataclass
class Owing:
    """What is owed to the task: what a scheduler that dies before it is saved has never known."""

    low: float = NEVER  # the next slot is between these two
    high: float = NEVER
    due: float = NEVER  # when it comes; NEVER if it has
    may: bool = False  # a slot has come, and nothing has started since
    must: bool = False
    slot: float = -NEVER  # the one that has come
    until: float = NEVER  # what the clock shows when the task has started at the latest
    served: float = -NEVER  # the last slot that ran,
    stepped_back: float = 0.0  # and by how much the clock was set back since
    largest_step_back: float = 0.0
    stepped_back_from_slot: float = 0.0  # the same, since `slot` came
    largest_step_from_slot: float = 0.0
    last: float = -NEVER  # when the last run started
    over: float = -NEVER  # and when it had ended
    wanted: bool = False  # due as soon as possible, whatever the slots
    attempts: frozenset[int] = frozenset({0})  # what the number of this one may be
    retry_from: float = NEVER  # a retry is due between these two (true time)
    retry_by: float = NEVER
    delay: float = 0.0
    lost: bool = False  # what was not saved: anything may be


class Owed:
    """One task on its clock; `broken` grows as the facts are read."""

    def __init__(self, history: History, name: str) -> None:
        self.name, self.workers, self.look = name, history.workers, history.look
        self.allowed = ALLOWED
        self.broken: list[Broken] = []
        self.plan: Plan
        self.up = self.stopping = self.stalled = self.full_disk = False
        self.paused = self.timed = self.frozen = False
        self.thawed_at = self.thawed_wall = -NEVER
        self.running = self.begun = False  # for its scheduler, from the decision to the record
        self.alive: set[int] = set()  # its processes
        self.occupied: set[str] = set()  # the tasks that have a worker
        self.at = self.wall = self.stalled_wall = self.down_at = self.down_wall = -NEVER
        self.started_at = self.ended_at = -NEVER
        self.free_since = self.worker_since = -NEVER  # nothing hinders it since, a worker is free since
        self.seen = -NEVER  # first, as its scheduler has saved it
        self.wanted_since = -NEVER  # slots until then were not wanted
        self.edited_at = -NEVER  # (true time)
        self.off_since = -NEVER  # when it was paused or disabled (true time)
        self.unnoticed, self.noticed_by = 0.0, NEVER  # by how much the clock was set, and when that is seen
        self.first_unseen = NEVER  # the first slot that waited then, or came meanwhile
        self.set_in_run = False  # the clock, since the last start
        self.set_back_at = -NEVER  # when that was noticed (true time)
        self.owing = Owing()
        self.earlier: deque[Owing] = deque(maxlen=4)  # before the last changes, which may not have been saved
        self.asked = 0  # forces that may bring a run
        self.asked_again = 0  # of these: one more run, and not answered yet
        self.unanswered = Counter[str]()  # how often each was asked of the owner that lives
        self.forced = False  # one was answered, too
        self.force_by = NEVER
        self.pause_saved = False  # it was answered, and it was not resumed
        self.reset_saved = False  # it was answered, and has not brought a run

    # ------------------------------------------------------------------ reading

    def read(self, fact: Fact) -> None:
        if fact.kind not in ("clock set", "awake"):
            self._time_passes(fact)
        self._watch(fact.at)
        self.at, self.wall = fact.at, fact.wall
        if self.up and not self.stalled and self.at > self.noticed_by:
            self._not_noticed(fact)
        handle = getattr(self, "_" + fact.kind.replace(" ", "_"), None)
        if handle and (fact.task in ("", self.name) or fact.kind == "urgent"):
            handle(fact)
        self._workers(fact)
        self._watch(fact.at)

    def _time_passes(self, fact: Fact) -> None:
        while self.up and self.owing.due <= fact.wall:
            at = self.at + max(0.0, self.owing.due - self.wall)
            self._judge(at)
            self._slot_comes()
        self._judge(fact.at)

    def _workers(self, fact: Fact) -> None:
        if fact.task in ("", "wake"):
            return
        if fact.kind == "starting":
            self.occupied.add(fact.task)
        elif fact.kind == "finished":
            self.occupied.discard(fact.task)

    def _watch(self, at: float) -> None:
        """Note since when nothing hinders it."""
        if self._no_worker:
            self.worker_since = at
        if self._hindered:
            self.free_since = at

    def _judge(self, at: float) -> None:
        """Is something overdue?"""
        if at > max(self.force_by, self.worker_since) + self.allowed and not self._no_worker:
            self._break("forgotten", "a force that was answered did not bring a run", self.force_by)
            self.forced, self.force_by = False, NEVER
        if self._hindered:
            return
        owing = self.owing
        until = self.at + max(0.0, owing.until - self.wall)
        if owing.must and at > max(until, self.free_since) + self.allowed:
            rule, what = ("lost", "a slot") if self.plan.cron else ("starved", "its interval")
            self._break(rule, f"{what} did not bring a run", until)
            owing.must = False
        if at > max(owing.retry_by, self.free_since) + self.allowed:
            self._break("starved", "its retry did not bring a run", owing.retry_by)
            owing.retry_by = NEVER

    def _break(self, rule: str, text: str, at: float | None = None) -> None:
        self.broken.append(Broken(rule, self.at if at is None else at, self.name, text))

    # ------------------------------------------------------------------ the state of things

    @property
    def _on(self) -> bool:
        return self.plan.enabled and not self.plan.removed and not self.paused

    @property
    def _busy(self) -> bool:
        return self.running or bool(self.alive)

    @property
    def _no_worker(self) -> bool:
        full = len(self.occupied) >= self.workers
        idle = not self.up or self.stopping or self.stalled or self._cold
        return idle or self._busy or full or self.at < self.ended_at + 1

    @property
    def _cold(self) -> bool:
        """Frozen, or thawed by another process so recently that its scheduler need not know yet."""
        return self.frozen or self.at < self.thawed_at + HELD_LOOK

    @property
    def _queued(self) -> bool:
        """A start that was due may have been decided already."""
        return self._no_worker

    @property
    def _hindered(self) -> bool:
        return self._no_worker or not self._on or self._blind

    @property
    def _blind(self) -> bool:
        """The clock was set, and its scheduler need not know yet."""
        return abs(self.unnoticed) > DRIFT

    def _was_served(self, slot: float) -> bool | None:
        """Whether the slot ran already and is remembered; None when both are right."""
        owing = self.owing
        if slot > owing.served or owing.largest_step_back > REMEMBERED + MINUTE:
            return False
        return True if owing.stepped_back < REMEMBERED - MINUTE else None

    def _serve(self, slot: float) -> None:
        if self._was_served(slot) is not False:  # if that is not known, neither is what is served now
            return
        owing, waited = self.owing, slot == self.owing.slot
        owing.served = slot
        owing.stepped_back = owing.stepped_back_from_slot if waited else 0.0
        owing.largest_step_back = owing.largest_step_from_slot if waited else 0.0
        if slot > self.wall:  # decided before the clock was set back, or not
            owing.stepped_back = max(owing.stepped_back, REMEMBERED)

    def _owe(self, slot: float, *, must: bool) -> None:
        owing = self.owing
        if owing.slot != slot:
            owing.stepped_back_from_slot = owing.largest_step_from_slot = 0.0
        owing.may, owing.slot = True, slot
        if must and not owing.must:
            owing.must, owing.until = True, slot + self.plan.jitter

    def _owe_nothing(self) -> None:
        self.owing.may = self.owing.must = self.owing.wanted = False

    # ------------------------------------------------------------------ slots

    def _next(self, after: float) -> None:
        """The next slot of a cron expression."""
        owing = self.owing
        owing.due = next_slot(self.plan.cron, self.plan.zone, after)
        while owing.due < NEVER and self._was_served(owing.due):
            owing.due = next_slot(self.plan.cron, self.plan.zone, owing.due)
        owing.low = owing.high = owing.due

    def _between(self, low: float, high: float) -> None:
        """The next slot of an interval."""
        self.owing.low, self.owing.high, self.owing.due = low, high, high

    def _slot_comes(self) -> None:
        """The clock passes it."""
        slot = self.owing.due
        if slot == self.owing.slot:  # once more, after the clock was set back
            self.owing.stepped_back_from_slot = self.owing.largest_step_from_slot = 0.0
        if self.plan.cron:
            self._next(slot)
        else:
            self.owing.due = NEVER
        if self._blind:
            self.first_unseen = min(self.first_unseen, self.owing.slot if self.owing.may else slot)
            self.owing.may, self.owing.slot = self.owing.may or self._on, slot
            return
        self._slot_came(slot)

    def _slot_came(self, slot: float, *, certain: bool = True) -> None:
        """The slot has passed: a moment ago, or while no process ran."""
        served = self._was_served(slot) if self.plan.cron else False
        if not self._on or served is True:
            return
        if self.frozen:  # it is not made up; what waited, and an interval that is over, runs after the thaw
            self.owing.may, self.owing.attempts = True, self.owing.attempts | {0}
            self.owing.retry_by = NEVER
            return
        if self._busy:  # its own run takes longer than its interval, or what a dead owner left does
            self.owing.may = self.owing.may or not self.running or self.set_in_run
            return
        if self.owing.retry_from < NEVER:  # left to this slot, or it comes first
            self.owing.attempts |= {0}
            self.owing.retry_by = NEVER
        early = slot if self.plan.cron else self.owing.low
        latest, soonest = self.wall - early, self.wall - slot - self.plan.jitter
        first_ever = not self.plan.cron and self.owing.last == -NEVER  # due, never missed
        if self.plan.catch_up or first_ever or latest < MINUTE - LITTLE:
            unwanted = slot <= max(self.wanted_since, self.thawed_wall)
            if unwanted and (self.plan.cron or not (self.plan.catch_up or first_ever)):
                certain = False
            self._owe(slot, must=served is False and certain)
        elif soonest < MINUTE + LITTLE:
            self._owe(slot, must=False)
        else:
            self._missed()

    def _missed(self) -> None:
        """Skipped, since it does not catch up; an interval keeps its rhythm."""
        owing = self.owing
        owing.may, owing.must = owing.may and self.set_in_run, False
        if not self.plan.cron:
            missed = self.wall - MINUTE
            self._beats_after(missed - self.plan.jitter - LITTLE, missed + LITTLE)

    def _beats_after(self, soonest: float, latest: float) -> None:
        """The next slot of an interval is the first after some moment between these two."""
        low, width = self.owing.low, self.owing.high - self.owing.low
        first = self._beat_after(low, soonest)
        if first - self.plan.every + width > soonest:
            self._between(soonest, first + width)
        else:
            self._between(first, max(first, self._beat_after(self.owing.high, latest)))

    def _beat_after(self, slot: float, after: float) -> float:
        every = self.plan.every
        return slot if slot > after else slot + every * ((after - slot) // every + 1)

    # ------------------------------------------------------------------ clocks

    def _clock_set(self, fact: Fact) -> None:
        self.unnoticed += fact.more
        self.noticed_by = self.at + self.look + ALLOWED
        self.set_in_run = True
        if fact.more > 0:
            self.owing.retry_from -= fact.more
        if fact.more < 0:
            self._clock_is_back(-fact.more)
        elif self.up and self.plan.cron and self.owing.due <= self.wall:
            self._skip_to_last_slot()

    _awake = _clock_set

    def _skip_to_last_slot(self) -> None:
        """However many were passed, the last one stands for all."""
        self.first_unseen = min(self.first_unseen, self.owing.due)
        self.owing.due = max(self.owing.due, last_slot(self.plan.cron, self.plan.zone, self.wall))

    def _clock_is_back(self, by: float) -> None:
        owing = self.owing
        owing.stepped_back += by
        owing.stepped_back_from_slot += by
        if owing.slot > self.wall:
            owing.must = False
            if self.plan.cron and self.first_unseen <= self.wall:  # an earlier one is still missed
                owing.slot = last_slot(self.plan.cron, self.plan.zone, self.wall)
            else:
                owing.may = owing.may and self._queued
        if not self.up:
            self.down_wall = min(self.down_wall, self.wall)
        if self.plan.cron:
            self._next(self.wall)
        elif owing.last > self.wall:  # the end of the run may say so, before anybody notices
            self._between(min(owing.low, self.wall + self.plan.every), owing.high)

    def _not_noticed(self, fact: Fact) -> None:
        """Small steps are absorbed by the looks between them; a large one must be seen."""
        if abs(self.unnoticed) > 5 * DRIFT:
            self._break("clock", f"it went unnoticed that the clock was set by {self.unnoticed:.0f} s")
        if self._blind:
            self._noticed(fact)
        self.unnoticed = 0.0

    def _noticed(self, fact: Fact) -> None:
        """Its scheduler knows that the clock was set."""
        by, self.unnoticed = self.unnoticed, 0.0
        if self.owing.retry_from <= self.at and not self._on:  # left to a slot that has passed
            self.owing.attempts |= {0}
        if by > 0:
            self._step_forward()
        else:
            self._step_back(-by)
        self.first_unseen = NEVER

    def _step_forward(self) -> None:
        owing = self.owing
        late = owing.must and not self.plan.catch_up and not owing.wanted
        if late or (self.first_unseen < NEVER and owing.may):
            owing.must = False
            self._slot_came(owing.slot)

    def _step_back(self, by: float) -> None:
        """Moments in the future count as now."""
        self._remember()
        owing, self.set_back_at = self.owing, self.at
        owing.largest_step_back = max(owing.largest_step_back, by)
        owing.largest_step_from_slot = max(owing.largest_step_from_slot, by)
        self.wanted_since = min(self.wanted_since, self.wall)
        self.thawed_wall = min(self.thawed_wall, self.wall)
        if owing.retry_by < NEVER:
            owing.retry_by = max(owing.retry_by, self.at + owing.delay)
        from_future, owing.last = owing.last > self.wall, min(owing.last, self.wall)
        if self.plan.cron:
            self._next(self.wall)
            self._late_again()
            return
        if owing.last == -NEVER:  # never ran: due since it was seen
            self._between(min(owing.low, self.wall), self.wall)
        elif from_future:
            latest = self.wall + self.plan.every
            self._between(min(owing.low, latest), latest)
        elif owing.low > self.wall:
            self._sooner_beat()

    def _late_again(self) -> None:
        """A slot that was missed by a wrong clock may be late by the right one."""
        slot = last_slot(self.plan.cron, self.plan.zone, self.wall)
        late = self.wall - slot < MINUTE + LITTLE and slot > self.wanted_since
        if late and self._on and self._was_served(slot) is not True:
            self.owing.may, self.owing.slot = True, slot

    def _sooner_beat(self) -> None:
        """Beats that were skipped are in the future again."""
        owing, every = self.owing, self.plan.every
        skipped = round((owing.high - owing.last) / every) - 1
        beats = min(skipped, (owing.low - self.wall + self.plan.jitter + MINUTE) // every)
        if beats > 0:
            self._between(owing.low - beats * every, owing.high - beats * every)
        if owing.high - owing.low >= every:  # the schedule was set: which of its beats comes is not known
            owing.low = min(owing.low, self.wall - self.plan.jitter)

    def _stalled(self, fact: Fact) -> None:
        self.stalled, self.stalled_wall = True, self.wall

    def _goes_on(self, fact: Fact) -> None:
        """After a stall everything gets its time again; what it made late may be missed."""
        self.stalled = False
        self.noticed_by = self.at + self.look + ALLOWED
        queued = len(self.occupied) >= self.workers and self.owing.until <= self.stalled_wall
        if self.owing.must and not self.plan.catch_up and not self.owing.wanted and not queued:
            self.owing.must = False
            self._slot_came(self.owing.slot)

    def _remember(self) -> None:
        """What is owed now is what a scheduler owes that dies before it saves what comes."""
        self.earlier.append(copy(self.owing))
