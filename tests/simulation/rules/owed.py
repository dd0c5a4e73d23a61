"""What the contract owes one task at any moment: its slots, as time passes and clocks are set.

A slot comes when the clock passes it. From then on the task `may` start, and mostly it `must`, until the
clock shows `until`. Where the contract leaves a choice, both are allowed.

What is right is certain while one thing happens at a time: a step of the clock, a stall, the end of an owner,
a thaw, a pause, an edit, a start that was not saved. Of two without a quiet minute between them, it matters
what the scheduler knew of the first when the second came, and only its own code can say that: the slot or
start that comes is left open, and the next one is judged. So no rule has an exception for two things at once.
"""

from collections import Counter
from dataclasses import dataclass
from itertools import chain
from math import nan

from tests.simulation.history import HOUR, History, Plan
from tests.simulation.rules.oracle import NEVER, last_slot, slots
from tests.simulation.trace import Fact

MINUTE = 60.0  # a shorter delay is late, not missed
LITTLE = 2.0  # seconds in which both readings are right
REMEMBERED = 3 * HOUR  # a smaller step back does not bring a slot again
UNKNOWN = nan  # neither smaller nor larger than anything
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


class Owed:
    """One task on its clock; `broken` grows as the facts are read."""

    def __init__(self, history: History, name: str) -> None:
        self.name, self.workers, self.look = name, history.workers, history.look
        self.allowed = ALLOWED
        self.broken: list[Broken] = []
        self.plan: Plan
        self.up = self.stopping = self.stalled = self.full_disk = False
        self.paused = self.timed = self.frozen = False
        self.thawed_at = -NEVER
        self.running = self.begun = False  # for its scheduler, from the decision to the record
        self.alive: set[int] = set()  # its processes
        self.occupied: set[str] = set()  # the tasks that have a worker
        self.at = self.wall = self.latest = self.stalled_wall = self.down_wall = -NEVER
        self.started_at = self.ended_at = -NEVER
        self.trigger = ""  # of the last start
        self.free_since = self.worker_since = -NEVER  # nothing hinders it since, a worker is free since
        self.wanted_since = -NEVER  # slots until then were not wanted
        self.off_since = -NEVER  # when it was paused or disabled (true time)
        self.unnoticed, self.noticed_by = 0.0, NEVER  # by how much the clock was set, and when that is seen
        self.unseen = False  # a slot came meanwhile
        self.doubts = 0  # how many things happened without a quiet minute between them
        self.troubled = -NEVER  # when the last of them was over (true time)
        self.judged = Counter[bool]()  # slots and starts: decided, or left open
        self.low = self.high = NEVER  # the next slot is between these two
        self.due = NEVER  # when it comes; NEVER if it has
        self.may = self.must = False  # a slot has come, and nothing has started since
        self.slot = -NEVER  # the one that has come
        self.until = NEVER  # what the clock shows when the task has started at the latest
        self.served, self.back = -NEVER, 0.0  # the last slot that ran; how far the clock was set back since
        self.last = self.over = -NEVER  # when the last run started, and when it had ended
        self.wanted = False  # due as soon as possible, whatever the slots
        self.attempts = frozenset({0})  # what the number of this one may be
        self.retry_from = self.retry_by = NEVER  # a retry is due between these two (true time)
        self.delay = 0.0
        self.asked = 0  # forces that may bring a run
        self.asked_again = 0  # of these: one more run, and not answered yet
        self.unanswered = Counter[str]()  # how often each was asked of the owner that lives
        self.forced = False  # its scheduler knows of one,
        self.force_by = NEVER
        self.force_saved = False  # and it was answered; a power cut may take back what was only renamed
        self.pause_saved = False  # it was answered, and it was not resumed
        self.reset_saved = False  # it was answered, and has not brought a run

    # ------------------------------------------------------------------ reading

    def read(self, fact: Fact) -> None:
        if fact.kind not in ("clock set", "awake"):
            self._time_passes(fact)
        self._watch(fact.at)
        self.at, self.wall, self.latest = fact.at, fact.wall, max(self.latest, fact.wall)
        if self.up and not (self.stalled or self.stopping) and self.at > self.noticed_by:
            self._not_noticed(fact)
        handle = getattr(self, "_" + fact.kind.replace(" ", "_"), None)
        if handle and (fact.task in ("", self.name) or fact.kind == "urgent"):
            handle(fact)
        self._workers(fact)
        self._watch(fact.at)

    def _time_passes(self, fact: Fact) -> None:
        while self.up and self.due <= fact.wall:
            at = self.at + max(0.0, self.due - self.wall)
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
        if not self.up or self.stopping or self.stalled or self._cold or self._blind:
            self.troubled = at

    def _judge(self, at: float) -> None:
        """Is something overdue?"""
        if at > max(self.force_by, self.worker_since) + self.allowed and not self._no_worker:
            self._break("forgotten", "a force that was answered did not bring a run", self.force_by)
            self._forget_force()
        if self._hindered:
            return
        until = self.at + max(0.0, self.until - self.wall)
        if self.must and at > max(until, self.free_since) + self.allowed:
            rule, what = ("lost", "a slot") if self.plan.cron else ("starved", "its interval")
            self._break(rule, f"{what} did not bring a run", until)
            self.must = False
        if at > max(self.retry_by, self.free_since) + self.allowed:
            self._break("starved", "its retry did not bring a run", self.retry_by)
            self.retry_by = NEVER

    def _break(self, rule: str, text: str, at: float | None = None) -> None:
        self.broken.append(Broken(rule, self.at if at is None else at, self.name, text))

    def _forget_force(self) -> None:
        self.forced = self.force_saved = False
        self.force_by = NEVER

    # ------------------------------------------------------------------ the state of things

    def _doubt(self) -> None:
        """One more thing happened to what is owed."""
        if self._certain and self.at > self.troubled + MINUTE:
            self.doubts = 0
        self.doubts, self.troubled = self.doubts + 1, self.at
        if self._certain:
            return
        self.must, self.retry_by = False, NEVER
        self.attempts = frozenset(range(self.plan.retries + 1))
        self.served, self.back = max(self.served, min(self.latest, self.wall + REMEMBERED + MINUTE)), UNKNOWN
        if not self.plan.cron:
            self._between(self.low, max(self.high, self.wall + self.plan.every))

    @property
    def _certain(self) -> bool:
        """Whether the contract alone says what is right now."""
        return self.doubts < 2

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
        if slot > self.served or self.back > REMEMBERED + MINUTE:
            return False
        return True if self.back < REMEMBERED - MINUTE else None

    def _serve(self, slot: float) -> None:
        if self._was_served(slot) is False:  # if that is not known, neither is what is served now
            self.served = slot  # decided before the clock was set back, if it is ahead, or not
            self.back = 0.0 if self._certain and slot <= self.wall else UNKNOWN

    def _owe(self, slot: float, *, must: bool) -> None:
        self.may, self.slot = True, slot
        if must and self._certain and not self.must:
            self.must, self.until = True, slot + self.plan.jitter

    def _owe_nothing(self) -> None:
        self.may = self.must = self.wanted = False

    # ------------------------------------------------------------------ slots

    def _next(self, after: float) -> None:
        """The next slot of a cron expression."""
        coming = slots(self.plan.cron, self.plan.zone, after)
        self.low = self.due = next((slot for slot in coming if not self._was_served(slot)), NEVER)
        later = (slot for slot in chain([self.low], coming) if self._was_served(slot) is False)
        self.high = next(later, NEVER)

    def _between(self, low: float, high: float) -> None:
        """The next slot of an interval."""
        self.low, self.high, self.due = low, high, high

    def _slot_comes(self) -> None:
        """The clock passes it."""
        slot = self.due
        if self.plan.cron:
            self._next(slot)
        else:
            self.due = NEVER
        if self._blind and not self._busy:
            self.unseen = True
            self.may, self.slot = self.may or self._on, slot
            return
        self._slot_came(slot)

    def _slot_came(self, slot: float, *, certain: bool = True) -> None:
        """The slot has passed: a moment ago, or while no process ran."""
        served = self._was_served(slot) if self.plan.cron else False
        if not self._on or served is True:
            return
        if self.frozen:  # it is not made up; what waited, and an interval that is over, runs after the thaw
            self.may = True
            return
        if self.retry_from < NEVER:  # left to this slot, or it comes first
            self.attempts |= {0}
            self.retry_by = NEVER
        if self._busy:  # its own run takes longer than its interval, or what a dead owner left does
            self.may = self.may or not self.running or self.troubled >= self.started_at
            return
        if not self._certain:
            self._leave_open(slot)
            return
        early = slot if self.plan.cron else self.low
        latest, soonest = self.wall - early, self.wall - slot - self.plan.jitter
        first_ever = not self.plan.cron and self.last == -NEVER  # due, never missed
        if self.plan.catch_up or first_ever or latest < MINUTE - LITTLE:
            unwanted = slot <= self.wanted_since
            if unwanted and (self.plan.cron or not (self.plan.catch_up or first_ever)):
                certain = False
            self._owe(slot, must=served is False and certain)
        elif soonest < MINUTE + LITTLE:
            self._owe(slot, must=False)
        else:
            self._missed()
        self.judged[self.must or not self.may] += 1

    def _leave_open(self, slot: float) -> None:
        """It may bring a run; the next one is judged."""
        self.judged[False] += 1
        self.may, self.slot, self.doubts = True, slot, 1
        if not self.plan.cron:
            self._between(self.low, slot + self.plan.every)

    def _missed(self) -> None:
        """Skipped, since it does not catch up; an interval keeps its rhythm."""
        self.may, self.must = self.may and self.troubled >= self.started_at, False
        if not self.plan.cron:
            missed = self.wall - MINUTE
            self._beats_after(missed - self.plan.jitter - LITTLE, missed + LITTLE)

    def _beats_after(self, soonest: float, latest: float) -> None:
        """The next slot of an interval is the first after some moment between these two."""
        low, width = self.low, self.high - self.low
        first = self._beat_after(low, soonest)
        if first - self.plan.every + width > soonest:
            self._between(soonest, first + width)
        else:
            self._between(first, max(first, self._beat_after(self.high, latest)))

    def _beat_after(self, slot: float, after: float) -> float:
        every = self.plan.every
        return slot if slot > after else slot + every * ((after - slot) // every + 1)

    # ------------------------------------------------------------------ clocks

    def _clock_set(self, fact: Fact) -> None:
        self._doubt()
        self.unnoticed += fact.more
        self.noticed_by = self.at + self.look + ALLOWED
        if fact.more > 0:
            self.retry_from -= fact.more
        if fact.more < 0:
            self._clock_is_back(-fact.more)
        elif self.up and self.plan.cron and self.due <= self.wall:  # the last that was passed stands for all
            self.due = max(self.due, last_slot(self.plan.cron, self.plan.zone, self.wall))

    _awake = _clock_set

    def _clock_is_back(self, by: float) -> None:
        self.back += by
        if self.slot > self.wall:
            self.must, self.may = False, self.may and self._queued
        if self.plan.cron:
            self._next(self.wall)
        elif self.last > self.wall:  # the end of the run may say so, before anybody notices
            self._between(min(self.low, self.wall + self.plan.every), self.high)

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
        if by > 0:
            self._step_forward()
        else:
            self._step_back()
        self.unseen = False

    def _step_forward(self) -> None:
        late = self.must and not self.plan.catch_up and not self.wanted
        if late or (self.unseen and self.may):
            self.must = False
            self._slot_came(self.slot)

    def _step_back(self) -> None:
        """Moments in the future count as now."""
        self.wanted_since = min(self.wanted_since, self.wall)
        if self.retry_by < NEVER:
            self.retry_by = max(self.retry_by, self.at + self.delay)
        from_future, self.last = self.last > self.wall, min(self.last, self.wall)
        if self.plan.cron:
            self._next(self.wall)
            self._late_again()
        elif self.last == -NEVER:  # never ran: due since it was seen
            self._between(min(self.low, self.wall), self.wall)
        elif from_future:
            latest = self.wall + self.plan.every
            self._between(min(self.low, latest), latest)
        elif self.low > self.wall:
            self._sooner_beat()

    def _late_again(self) -> None:
        """A slot that has passed by the right clock, too, may be late or wait for its jitter."""
        slot = last_slot(self.plan.cron, self.plan.zone, self.wall)
        late = self.wall - slot < MINUTE + LITTLE + self.plan.jitter
        if late and self._on and self._was_served(slot) is not True:
            self.may, self.slot = True, slot

    def _sooner_beat(self) -> None:
        """Beats that were skipped are in the future again."""
        every = self.plan.every
        skipped = round((self.high - self.last) / every) - 1
        soonest = self.wall - self.plan.jitter - MINUTE
        beats = min(skipped, (self.low - soonest) // every)
        if beats > 0:
            low, high = self.low - beats * every, self.high - beats * every
            one_more = beats < skipped and high - every > soonest  # if it is late between these two
            self._between(soonest if one_more else low, high)

    def _stalled(self, fact: Fact) -> None:
        self.stalled, self.stalled_wall = True, self.wall

    def _goes_on(self, fact: Fact) -> None:
        """After a stall everything gets its time again; what it made late may be missed."""
        self._doubt()
        self.stalled = False
        self.noticed_by = self.at + self.look + ALLOWED
        queued = len(self.occupied) >= self.workers and self.until <= self.stalled_wall
        if self.must and not self.plan.catch_up and not self.wanted and not queued:
            self.must = False
            self._slot_came(self.slot)
