"""When the contract wants a task to start: worked out from what happened, without the code under test.

It walks over the trace; what lives, runs and people do to the task changes what it is owed. A start is judged
at the moment at which its scheduler decides it ("starting"), the program begins a little later ("began").
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from scheduler.core.state import TaskState
from tests.simulation.history import History, Plan
from tests.simulation.rules.oracle import NEVER, last_slot
from tests.simulation.rules.owed import LITTLE, ON_TIME, SCHEDULED, Broken, Owed
from tests.simulation.trace import Fact

A_MOMENT = 0.01  # seconds between what a person does and what the scheduler knows
PATIENCE = 300.0  # seconds that a wake waits for its tasks
UNSURE = 15.0  # and what the disk and the processes need besides


class Wanted(Owed):
    """One task."""

    # ------------------------------------------------------------------ the owner

    def _up(self, fact: Fact) -> None:
        self.up, self.stopping, self.unnoticed = True, False, 0.0
        self.occupied.clear()
        if self.down_wall == -NEVER:
            self.down_wall = self.wall
            self._first_seen()
        elif self.plan.cron:
            self._up_cron()
        else:
            self._up_every()
        if self.forced:
            self.force_by = self.at
        if self.wanted and self._on and not self._busy:  # the last owner died before it began
            self._owe(self.wall, must=True)
            self.until = self.wall

    def _first_seen(self) -> None:
        if self.plan.cron:
            self._next(self.wall)
        else:
            self._between(self.wall, self.wall)

    def _up_cron(self) -> None:
        slot = last_slot(self.plan.cron, self.plan.zone, self.wall)
        self.last = min(self.last, self.wall)  # moments in the future count as now
        self._next(self.wall)
        must, self.must = self.must, False
        if slot > max(self.down_wall, self.wanted_since):
            self._slot_came(slot)
        elif self.may and not self.wanted:
            self._slot_came(self.slot, certain=must)

    def _up_every(self) -> None:
        if self.last == -NEVER:  # never ran: due since it was seen
            self.low, self.high = min(self.low, self.wall), self.wall
        if self.last > self.wall:  # from a wrong clock: it counts as now
            self.last = self.wall
            self._between(min(self.low, self.wall + self.plan.every), self.wall + self.plan.every)
        elif self.low <= self.wall and not self.wanted:
            certain = self.high <= self.wall
            self.may, self.must = self.may or not certain, False
            self.due = NEVER if certain else self.due
            self._slot_came(min(self.high, self.wall), certain=certain)

    def _stopping(self, fact: Fact) -> None:
        self.stopping = True

    def _stopped(self, fact: Fact) -> None:
        self._end_of_owner(fact.more)

    def _killed(self, fact: Fact) -> None:
        self._end_of_owner(fact.more)

    def _end_of_owner(self, saved: dict[str, Any]) -> None:
        """What the next one knows is what was saved."""
        self._doubt()
        if self.up:
            self.down_wall = self.wall
        self.up, self.force_by, self.asked_again = False, NEVER, 0
        self.unanswered.clear()
        self._adopt(saved.get(self.name))
        self.running = False

    def _adopt(self, saved: Any) -> None:
        if saved is None:  # the next owner sees it for the first time
            saved, self.down_wall = TaskState(), -NEVER
            self._owe_nothing()
        last = -NEVER if saved.last_run is None else saved.last_run
        if not self._same(self.last, last) or self.wanted > saved.due_now:
            self._doubt()  # what happened last was not saved
            self.last, self.wanted = last, saved.due_now
        self.attempts = frozenset({saved.attempt})
        if saved.retry_at is None:
            self.retry_from = self.retry_by = NEVER
        else:  # the next owner may find that it has passed, and give it up
            self.attempts |= {0}
            if self.retry_from == NEVER:  # its start was not saved
                self.retry_from = self.at
        if saved.running:
            self._interrupted(saved)
        self._adopt_wishes(saved)

    def _same(self, began: float, saved: float) -> bool:
        return began == saved or abs(began - saved) <= ON_TIME

    def _interrupted(self, saved: Any) -> None:
        """Its run was under way, and is over for whoever comes next; slots since its start may be due."""
        self.over = self.last
        if saved.starting:  # no process of its own: it never began
            self.wanted = True
            return
        self.attempts = frozenset({0})
        self._slots_of_the_run()

    def _slots_of_the_run(self) -> None:
        """What was due during a run that did not end by itself may be made up."""
        if self.plan.every:
            low = self.last + self.plan.every - ON_TIME
            self._between(min(self.low, low), self.high)
        elif (slot := last_slot(self.plan.cron, self.plan.zone, self.wall)) > self.last:
            self.may, self.slot = True, slot

    def _adopt_wishes(self, saved: Any) -> None:
        kept = saved.forced or (saved.due_now and not saved.paused)
        if self.force_saved and not kept and not self.full_disk:
            self._break("forgotten", "a force that was answered is not saved")
        self.forced, self.asked = saved.forced, int(saved.forced)
        self.force_saved = self.force_saved and saved.forced
        if self.reset_saved and not saved.due_now and not self.full_disk:
            self._break("forgotten", "a reset that was answered is not saved")
        if self.pause_saved and not saved.paused and not self.full_disk:
            self._break("forgotten", "a pause that was answered is not saved")
        self.reset_saved, self.pause_saved = False, self.pause_saved and saved.paused
        self.wanted = self.wanted or saved.due_now
        self.paused = saved.paused

    def _disk_full(self, fact: Fact) -> None:
        self.full_disk = True

    def _disk_free(self, fact: Fact) -> None:
        self.full_disk = False

    # ------------------------------------------------------------------ runs

    def _starting(self, fact: Fact) -> None:
        trigger = str(fact.more)
        if trigger in SCHEDULED:
            self._check_start(trigger)
        elif not self.asked and self._certain:
            self._break("unwanted", "it is forced, and that was not asked for")
        if self.plan.cron:
            if self.may or not self._certain:
                self._serve(max(self.slot, last_slot(self.plan.cron, self.plan.zone, self.wall)))
            self._next(self.wall)
        else:
            self._interval_from()
        self._owe_nothing()
        self.doubts = min(self.doubts, 1)
        self.retry_from = self.retry_by = NEVER
        self.last, self.over = self.wall, NEVER
        self.running, self.begun, self.started_at, self.trigger = True, False, self.at, trigger
        self._forget_force()
        if trigger not in SCHEDULED:  # it serves all that was asked until now
            self.asked_again = 0
        self.asked = self.asked_again
        self.reset_saved = False

    def _interval_from(self) -> None:
        """The next slot; jitter does not move it, and neither does a little delay."""
        low = self.wall - self.plan.jitter - ON_TIME
        self._between(low + self.plan.every, self.wall + self.plan.every)

    def _check_start(self, trigger: str) -> None:
        self.judged[self._certain] += 1
        if not self._on and self.at > self.off_since + A_MOMENT:
            what = "paused" if self.paused else "disabled or removed"
            self._break("unwanted", f"it runs by its schedule ({trigger}) although it is {what}")
        elif not self._certain:
            return
        elif trigger == "retry" and self.at < self.retry_from:
            self._break("unwanted", "a retry comes sooner than its delay")
        elif not self._allowed():
            slot = last_slot(self.plan.cron, self.plan.zone, self.wall) if self.plan.cron else 0.0
            if self.plan.cron and self._was_served(slot):
                self._break("twice", "it runs its slot a second time")
            else:
                self._break("unwanted", f"it runs by its schedule ({trigger}) and no slot wanted it")

    def _allowed(self) -> bool:
        return (
            self.may
            or self.wanted
            or self.at >= self.retry_from
            or (self.plan.every > 0 and self.wall >= self.low - ON_TIME)
        )

    def _began(self, fact: Fact) -> None:
        self.alive.add(fact.more[0])
        if not self.running:
            self._stands()
        self.begun = True

    def _stands(self) -> None:
        """A freeze that was over before its scheduler looked took no start back: it serves slots since."""
        self.running, self.wanted, self.must, self.reset_saved = True, False, False, False
        if self.paused and self.trigger in SCHEDULED:
            self._break("unwanted", f"its program begins ({self.trigger}) although it was paused before")

    def _ended(self, fact: Fact) -> None:
        self.alive.discard(fact.more[0])
        self.ended_at = self.at

    def _finished(self, fact: Fact) -> None:
        if not self.running:  # of a dead owner's run
            return
        outcome, took, text = fact.more
        self.running, self.ended_at = False, self.at
        self.over = min(self.last + took, self.wall)  # no later, if the clock was set back meanwhile
        if not self.begun and outcome != "interrupted":
            self._break("unbegun", f"it {outcome}, and had not begun")
        if not self.plan.cron:
            self._overran()
        if outcome == "interrupted":
            self.attempts = frozenset({0})
            self.wanted = self.wanted or (self.stopping and "removed" not in text)
            self._slots_of_the_run()
        elif outcome in ("failed", "timed out"):
            self._retry()
        else:
            self.attempts = frozenset({0})
        if self.wanted and self._on:
            self._owe(self.wall, must=True)
            self.until = self.wall

    def _overran(self) -> None:
        """Slots during the run are not missed: the next start waits for its time."""
        if self.low < self.over:
            self._beats_after(self.over - A_MOMENT, self.over)
        else:
            self._between(self.low, self.high)

    def _retry(self) -> None:
        left = [number for number in self.attempts if number < self.plan.retries]
        delays = [self.plan.retry_delay * 2.0**number for number in left]
        if not left or self.must:
            self.attempts = frozenset({0})
            return
        dropped = len(left) < len(self.attempts) or self.may
        soonest, self.delay = 0.9 * min(delays), max(delays)
        if self.high < self.wall + soonest:  # left to the slot
            self.attempts = frozenset({0})
            return
        dropped = dropped or self.low < self.wall + self.delay + LITTLE
        self.attempts = frozenset(number + 1 for number in left) | ({0} if dropped else set())
        self.retry_from = self.at + soonest - A_MOMENT
        if self._on and not dropped:
            self.retry_by = self.at + self.delay

    # ------------------------------------------------------------------ people

    def _asked(self, fact: Fact) -> None:
        if fact.more in ("force", "force again"):
            self.asked += 1
        elif fact.more == "pause for":
            self.timed = True
        self.asked_again += fact.more == "force again"
        self.unanswered[fact.more.split()[0]] += 1

    def _answered(self, fact: Fact) -> None:
        verb, saved, _ = fact.more
        self.asked_again = max(self.asked_again - (verb == "force again"), 0)
        verb = verb.split()[0]
        self.unanswered[verb] -= 1
        if not saved or self.unanswered[verb]:  # what is wanted now may be of a later one, which is not saved
            return
        if verb in ("force", "wake") and self.asked and not self.plan.removed:
            self.forced, self.force_saved, self.force_by = True, True, self.at
        elif verb == "pause":
            self.pause_saved = self.paused
        elif verb == "reset":
            self.reset_saved = self.wanted

    def _refused(self, fact: Fact) -> None:
        self.asked = max(self.asked - 1, 0)
        self.asked_again = max(self.asked_again - (fact.more[0] == "force again"), 0)
        self.unanswered[fact.more[0].split()[0]] -= 1

    def _reset(self, fact: Fact) -> None:
        self._doubt()
        self.attempts, self.retry_from, self.retry_by = frozenset({0}), NEVER, NEVER
        self.wanted = True
        if not self.running:
            self.last = -NEVER
        if self._on and not self._busy:
            self._owe(self.wall, must=True)
            self.until = self.wall

    def _pause(self, fact: Fact) -> None:
        if not self.paused:
            self._turn_off()
        self.paused = True
        if self.name != "wake" and self.trigger in SCHEDULED:
            self._taken_back()

    def _taken_back(self) -> None:
        """A start whose program has not got control does not begin, and stays due."""
        if self.running and not self.begun:
            self.running, self.wanted = False, True

    def _resume(self, fact: Fact) -> None:
        self.pause_saved = False
        if self.paused:
            self.paused = False
            self._turn_on()
        if self.timed:  # it ended by the clock, maybe before anybody noticed: slots since then may be made up
            self.timed = False
            self._doubt()

    def _turn_off(self) -> None:
        """Not by its schedule from now on."""
        self._doubt()
        self.off_since = self.at
        self.must, self.retry_by = False, NEVER

    def _turn_on(self) -> None:
        """By its schedule again: slots of the meantime were not wanted, an interval may wait for its next."""
        self.wanted_since, self.unseen = self.wall, False
        if self.retry_from <= self.at:  # nor was the retry
            self.attempts |= {0}
        if not self._on:
            return
        if self.wanted and not self._busy:
            self._owe(self.wall, must=self.up)
        if self.plan.cron:
            self._next(self.wall)
        elif self.due == NEVER:
            self.may = True
            self._between(self.wall - self.plan.jitter, self.wall + self.plan.every)

    def _frozen(self, fact: Fact) -> None:
        self.frozen = True

    def _thawed(self, fact: Fact) -> None:
        """What was due before it and intervals that are over run now; of slots in it both are right."""
        self._doubt()
        self._taken_back()
        self.frozen, self.thawed_at, self.unseen, self.may = False, self.at, False, True
        self.must = self.must and (self.plan.catch_up or self.wanted)
        if self.retry_from <= self.at:  # a retry in it is not made up
            self.attempts, self.retry_by = self.attempts | {0}, NEVER
        if self.plan.cron:
            self._next(self.wall)
        elif self.due == NEVER and self._on and self.plan.catch_up and not self._busy:
            self._owe(self.wall, must=self.up)

    def _planned(self, fact: Fact) -> None:
        self.plan = fact.more

    def _edited(self, fact: Fact) -> None:
        before, self.plan = self.plan, fact.more
        if not self.up:  # who reads it later knows only what it says then
            self._doubt()
        was_on = before.enabled and not before.removed
        is_on = self.plan.enabled and not self.plan.removed
        if self.plan.removed:
            self._forget_wishes()
        if was_on and not is_on:
            self._turn_off()
        elif is_on and not was_on:
            self._turn_on()
        if _schedule(before) != _schedule(self.plan):
            self._other_schedule()

    def _forget_wishes(self) -> None:
        """Whatever was asked of it is over, unless no owner sees that it is gone."""
        self._forget_force()
        if self.up:
            self.wanted = self.reset_saved = False
            self.asked = self.asked_again = 0

    def _other_schedule(self) -> None:
        self._doubt()
        self.wanted_since = self.wall
        self.must, self.retry_by = False, NEVER
        if self.retry_from <= self.at:  # a retry that had passed is given up
            self.attempts |= {0}
        self.may = self.may and self._queued
        if self.plan.cron:
            self._next(self.wall)
        else:  # a slot may have come, and wait for its jitter
            self._between(self.wall - self.plan.jitter, self.wall + self.plan.every)
        if self.wanted and self._on and not self._busy:
            self._owe(self.wall, must=True)


def _schedule(plan: Plan) -> tuple[float, str, str, bool]:
    return plan.every, plan.cron, plan.zone, plan.catch_up


class WantedWake(Wanted):
    """The wake: it needs no worker, waits for the tasks that are due, and comes when something is urgent.

    It is decided before the tasks are waited for, and seen only when its turn begins.
    """

    def __init__(self, history: History, name: str) -> None:
        super().__init__(history, name)
        self.allowed += PATIENCE + UNSURE
        self.soft = -NEVER  # a wake that was decided may begin until then
        self.urgent = False

    def read(self, fact: Fact) -> None:
        super().read(fact)
        if fact.kind == "planned":
            return
        beat = self.plan.every and self.wall >= self.low - ON_TIME
        if self.may or self.wanted or self.asked or beat:
            self.soft = self.at + PATIENCE + UNSURE

    @property
    def _no_worker(self) -> bool:
        return not self.up or self.stopping or self.stalled or self._busy or self._cold

    @property
    def _queued(self) -> bool:
        return True

    def _allowed(self) -> bool:
        return super()._allowed() or self.urgent or self.at <= self.soft

    def _urgent(self, fact: Fact) -> None:
        self.urgent = True

    def _asked(self, fact: Fact) -> None:
        super()._asked(fact)
        if fact.more == "wake":
            self.urgent = True
            self.asked += not self.running  # else it joins that one

    def _starting(self, fact: Fact) -> None:
        self.asked += self.urgent or self.at <= self.soft
        super()._starting(fact)
        self.urgent, self.soft = False, -NEVER

    def _interval_from(self) -> None:
        waited = self.plan.every if self.troubled > self.at - PATIENCE - UNSURE else PATIENCE + UNSURE
        self._between(self.wall - waited + self.plan.every, self.wall + self.plan.every)

    def _same(self, began: float, saved: float) -> bool:
        return began == saved or -ON_TIME <= began - saved <= PATIENCE + UNSURE

    def _finished(self, fact: Fact) -> None:
        outcome, _, text = fact.more
        self.begun = self.begun or outcome == "failed"  # its cost could not be noted
        took = self.at - self.started_at
        super()._finished(Fact(fact.at, fact.wall, fact.kind, fact.task, (outcome, took, text)))


def wanted(history: History, trace: list[Fact], judged: Counter[bool]) -> Iterator[Broken]:
    """What broke for each task and the wake: `lost`, `starved`, `twice`, `unwanted`, `forgotten`.

    `judged` counts the slots and starts that were decided, and those that were left open.
    """
    for name in {fact.task: None for fact in trace if fact.kind == "planned" and not fact.more.active}:
        task = (WantedWake if name == "wake" else Wanted)(history, name)
        for fact in trace:
            task.read(fact)
        judged += task.judged
        yield from task.broken
