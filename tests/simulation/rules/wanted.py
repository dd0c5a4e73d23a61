"""When the contract wants a task to start: worked out from what happened, without the code under test.

It walks over the trace; what lives, runs and people do to the task changes what it is owed. A start is judged
at the moment at which its scheduler decides it ("starting"), the program begins a little later ("began").
"""

from collections.abc import Iterator
from copy import copy
from typing import Any

from tests.simulation.history import History, Plan
from tests.simulation.rules.oracle import NEVER, last_slot
from tests.simulation.rules.owed import LITTLE, ON_TIME, REMEMBERED, SCHEDULED, Broken, Owed
from tests.simulation.trace import Fact

A_MOMENT = 0.01  # seconds between what a person does and what the scheduler knows
PATIENCE = 300.0  # seconds that a wake waits for its tasks
UNSURE = 15.0  # and what the disk and the processes need besides


class Wanted(Owed):
    """One task."""

    # ------------------------------------------------------------------ the owner

    def _up(self, fact: Fact) -> None:
        self._remember()
        unsaved = self.down_at < self.set_back_at + UNSURE  # the last owner saw it, and died
        if (self.unnoticed < 0 or unsaved) and self.owing.retry_by < NEVER:
            self.owing.retry_by = max(self.owing.retry_by, self.at + self.owing.delay)
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
        if self.owing.wanted and self._on and not self._busy:  # the last owner died before it began
            self._owe(self.wall, must=True)
            self.owing.until = self.wall

    def _first_seen(self) -> None:
        if self.plan.cron:
            self._next(self.wall)
        else:
            self._between(self.wall, self.wall)

    def _up_cron(self) -> None:
        owing = self.owing
        certain = max(self.wanted_since, owing.last) <= self.down_wall and not owing.lost
        slot = last_slot(self.plan.cron, self.plan.zone, self.wall)
        certain = certain and (self.seen < slot or owing.last > -NEVER)  # else it is seen only now
        since = self.wanted_since if self.wanted_since <= self.wall else -NEVER
        owing.last = min(owing.last, self.wall)  # moments in the future count as now
        self._next(self.wall)
        must, owing.must = owing.must, False
        if slot > max(self.down_wall, since):
            self._slot_came(slot, certain=certain)
        elif owing.may and not owing.wanted:
            self._slot_came(owing.slot, certain=must)

    def _up_every(self) -> None:
        owing = self.owing
        if owing.last == -NEVER:  # never ran: due since it was seen
            owing.low, owing.high = min(owing.low, self.wall), self.wall
        if owing.last > self.wall:  # from a wrong clock: it counts as now
            owing.last = self.wall
            low = min(owing.low, self.wall + self.plan.every, self.down_wall + self.plan.every)
            self._between(low, self.wall + self.plan.every)
        elif owing.low <= self.wall and not owing.wanted:
            certain = owing.high <= self.wall and not self.owing.lost and self.wanted_since <= self.down_wall
            owing.may, owing.must = owing.may or owing.high > self.wall, False
            owing.due = NEVER if owing.high <= self.wall else owing.due
            self._slot_came(min(owing.high, self.wall), certain=certain)
        elif owing.low > self.wall:
            self._sooner_beat()

    def _stopping(self, fact: Fact) -> None:
        self.stopping = True

    def _stopped(self, fact: Fact) -> None:
        self._end_of_owner(fact.more)

    def _cut(self, fact: Fact) -> None:
        """What was answered is on disk; the rest may be."""
        self.edited_at = self.at

    def _killed(self, fact: Fact) -> None:
        self._end_of_owner(fact.more)

    def _end_of_owner(self, saved: dict[str, Any]) -> None:
        """What the next one knows is what was saved: something that was true since the last answer."""
        if self.up:
            self.down_at, self.down_wall = self.at, self.wall
        self.up, self.force_by = False, NEVER
        self.unanswered.clear()
        self._adopt(saved.get(self.name))
        if self.at < self.edited_at + UNSURE:  # it may not be on disk that the schedule is another
            self.owing.lost, self.owing.must = True, False
            if self.plan.every:  # what is adopted may be from before the edit
                self._between(self.owing.low, max(self.owing.high, self.wall + self.plan.every))
        if self.at < self.set_back_at + UNSURE:  # nor that the clock was changed, not corrected
            self.owing.largest_step_back = min(self.owing.largest_step_back, REMEMBERED)
            self.owing.largest_step_from_slot = min(self.owing.largest_step_from_slot, REMEMBERED)
            self.owing.lost = self.owing.lost or self.owing.last == -NEVER
        self.running = False

    def _adopt(self, saved: Any) -> None:
        if saved is None:  # it was never seen
            self.down_wall = -NEVER if self.owing.last == -NEVER else self.down_wall
            return
        last = -NEVER if saved.last_run is None else saved.last_run
        for owing in (self.owing, *reversed(self.earlier)):
            if self._same(owing.last, last) and owing.wanted <= saved.due_now:
                self.owing = copy(owing)
                self._slot_came_meanwhile()
                break
        else:
            self.owing.lost, self.owing.must, self.owing.retry_by = True, False, NEVER
            self.owing.wanted = False  # the end of a run that was to come again is not known
        if saved.running:
            self._interrupted(saved)
        self.seen = saved.first_seen or -NEVER
        if saved.retry_at is None:
            if self.owing.retry_from <= self.at:  # it was due while the task was off, and left to a slot
                self.owing.attempts |= {0}
            self.owing.retry_from = self.owing.retry_by = NEVER
        if saved.attempt in self.owing.attempts:
            self.owing.attempts = frozenset({saved.attempt})
        self._adopt_wishes(saved)

    def _slot_came_meanwhile(self) -> None:
        """During the start that was not saved: there was no such run, and its slots are missed."""
        owing = self.owing
        if self.plan.cron and self.wanted_since < owing.due <= self.wall:
            owing.may, owing.slot = owing.may or self._on, owing.due

    def _same(self, began: float, saved: float) -> bool:
        return began == saved or abs(began - saved) <= ON_TIME

    def _interrupted(self, saved: Any) -> None:
        """Its run was under way, and is over for whoever comes next; slots since its start may be due."""
        owing = self.owing
        owing.over = owing.last
        if saved.starting:  # no process of its own: it never began
            owing.wanted = True
            return
        owing.attempts = frozenset({0})
        self._slots_of_the_run()

    def _slots_of_the_run(self) -> None:
        """What was due during a run that did not end by itself may be made up."""
        owing = self.owing
        if self.plan.every:
            low = owing.last + self.plan.every - ON_TIME
            self._between(min(owing.low, low), owing.high)
        elif (slot := last_slot(self.plan.cron, self.plan.zone, self.wall)) > owing.last:
            owing.may, owing.slot = True, slot

    def _adopt_wishes(self, saved: Any) -> None:
        if self.forced and not (saved.forced or saved.due_now) and not self.full_disk:
            self._break("forgotten", "a force that was answered is not saved")
        self.forced, self.asked = saved.forced, int(saved.forced)
        if self.reset_saved and not saved.due_now and not self.full_disk:
            self._break("forgotten", "a reset that was answered is not saved")
        if self.pause_saved and not saved.paused and not self.full_disk:
            self._break("forgotten", "a pause that was answered is not saved")
        self.reset_saved, self.pause_saved = False, saved.paused
        self.owing.wanted = self.owing.wanted or saved.due_now
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
        elif not (self.asked or self.owing.lost):
            self._break("unwanted", "it is forced, and that was not asked for")
        self._remember()
        owing = self.owing
        if self.plan.cron:
            passed = max(owing.slot, last_slot(self.plan.cron, self.plan.zone, self.wall))
            if owing.lost and passed > owing.served:  # perhaps it serves that one
                owing.served, owing.stepped_back, owing.largest_step_back = passed, REMEMBERED, 0.0
            elif owing.may and not owing.lost:
                self._serve(passed)
            self._next(self.wall)
        else:
            self._interval_from(trigger)
        self._owe_nothing()
        owing.retry_from = owing.retry_by = NEVER
        owing.last, owing.over = self.wall, NEVER
        self.running, self.begun, self.owing.lost, self.started_at = True, False, False, self.at
        self.forced, self.force_by = False, NEVER
        self.asked = self.asked_again if trigger in SCHEDULED else 0
        self.reset_saved = self.set_in_run = False

    def _interval_from(self, trigger: str) -> None:
        """The next slot; jitter does not move it, and neither does a little delay."""
        every, owing = self.plan.every, self.owing
        low = self.wall - ON_TIME
        if self.plan.jitter and owing.low <= self.wall:
            low = max(owing.low, self.wall - self.plan.jitter - ON_TIME)
        elif self.plan.jitter and owing.wanted:  # for the slot of a run that had not begun
            low = min(low, owing.low - every)
        self._between(low + every, self.wall + every)

    def _check_start(self, trigger: str) -> None:
        if not self._on and self.at > self.off_since + A_MOMENT:
            what = "paused" if self.paused else "disabled or removed"
            self._break("unwanted", f"it runs by its schedule ({trigger}) although it is {what}")
        elif trigger == "retry" and self.at < self.owing.retry_from and not self.owing.lost:
            self._break("unwanted", "a retry comes sooner than its delay")
        elif not self._allowed():
            slot = last_slot(self.plan.cron, self.plan.zone, self.wall) if self.plan.cron else 0.0
            if self.plan.cron and self._was_served(slot):
                self._break("twice", "it runs its slot a second time")
            else:
                self._break("unwanted", f"it runs by its schedule ({trigger}) and no slot wanted it")

    def _allowed(self) -> bool:
        owing = self.owing
        return (
            owing.may
            or owing.wanted
            or self.owing.lost
            or self.at >= owing.retry_from
            or (self.plan.every > 0 and self.wall >= owing.low - ON_TIME)
        )

    def _began(self, fact: Fact) -> None:
        self.alive.add(fact.more[0])
        self.begun = True

    def _ended(self, fact: Fact) -> None:
        self.alive.discard(fact.more[0])
        self.ended_at = self.at

    def _finished(self, fact: Fact) -> None:
        if not self.running:  # of a dead owner's run
            return
        outcome, took, text = fact.more
        owing = self.owing
        self.running, self.ended_at = False, self.at
        owing.over = min(owing.last + took, self.wall)  # no later, if the clock was set back meanwhile
        if not self.begun and outcome != "interrupted":
            self._break("unbegun", f"it {outcome}, and had not begun")
        if not self.plan.cron:
            self._overran()
        if outcome == "interrupted":
            owing.attempts = frozenset({0})
            owing.wanted = owing.wanted or (self.stopping and "removed" not in text)
            self._slots_of_the_run()
        elif outcome in ("failed", "timed out"):
            self._retry()
        else:
            owing.attempts = frozenset({0})
        if owing.wanted and self._on:
            self._owe(self.wall, must=True)
            owing.until = self.wall

    def _overran(self) -> None:
        """Slots during the run are not missed: the next start waits for its time."""
        if self.owing.low < self.owing.over:
            self._beats_after(self.owing.over - A_MOMENT, self.owing.over)
        else:
            self._between(self.owing.low, self.owing.high)

    def _retry(self) -> None:
        owing = self.owing
        left = [number for number in owing.attempts if number < self.plan.retries]
        delays = [self.plan.retry_delay * 2.0**number for number in left]
        if not left or owing.must:
            owing.attempts = frozenset({0})
            return
        dropped = len(left) < len(owing.attempts) or owing.may
        soonest, owing.delay = 0.9 * min(delays), max(delays)
        if owing.high < self.wall + soonest:  # left to the slot
            owing.attempts = frozenset({0})
            return
        dropped = dropped or owing.low < self.wall + owing.delay + LITTLE
        owing.attempts = frozenset(number + 1 for number in left) | ({0} if dropped else set())
        owing.retry_from = self.at + soonest - A_MOMENT
        if self._on and not dropped:
            owing.retry_by = self.at + owing.delay

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
        self.asked_again -= verb == "force again"
        verb = verb.split()[0]
        self.unanswered[verb] -= 1
        if not saved or self.unanswered[verb]:  # what is wanted now may be of a later one, which is not saved
            return
        if verb in ("force", "wake") and self.asked and not self.plan.removed:
            self.forced, self.force_by = True, self.at
        elif verb == "pause":
            self.pause_saved = self.paused
        elif verb == "reset":
            self.reset_saved = self.owing.wanted

    def _refused(self, fact: Fact) -> None:
        self.asked = max(self.asked - 1, 0)
        self.asked_again -= fact.more[0] == "force again"
        self.unanswered[fact.more[0].split()[0]] -= 1

    def _reset(self, fact: Fact) -> None:
        self._remember()
        owing = self.owing
        owing.attempts, owing.retry_from, owing.retry_by = frozenset({0}), NEVER, NEVER
        owing.wanted = True
        if not self.running:
            owing.last = -NEVER
        if self._on and not self._busy:
            self._owe(self.wall, must=True)
            owing.until = self.wall

    def _pause(self, fact: Fact) -> None:
        if not self.paused:
            self._turn_off()
        self.paused = True

    def _resume(self, fact: Fact) -> None:
        self.pause_saved = False
        if self.paused:
            self.paused = False
            self._turn_on()
        if self.timed:  # it ended by the clock, maybe before anybody noticed: slots since then may be made up
            self.timed, self.owing.lost = False, True

    def _turn_off(self) -> None:
        """Not by its schedule from now on."""
        self.off_since = self.at
        self.owing.must, self.owing.retry_by = False, NEVER

    def _turn_on(self) -> None:
        """By its schedule again: slots of the meantime were not wanted, an interval may wait for its next."""
        self.wanted_since, self.first_unseen = self.wall, NEVER
        owing = self.owing
        if owing.retry_from <= self.at:  # nor was the retry
            owing.attempts |= {0}
        if not self._on:
            return
        if owing.wanted and not self._busy:
            self._owe(self.wall, must=self.up)
        if self.plan.cron:
            self._next(self.wall)
        elif owing.due == NEVER:
            owing.may = True
            self._between(self.wall - self.plan.jitter, self.wall + self.plan.every)

    def _frozen(self, fact: Fact) -> None:
        self.frozen = True

    def _thawed(self, fact: Fact) -> None:
        """What was due before it and intervals that are over run now; of slots in it both are right."""
        owing = self.owing
        self.frozen, owing.lost = False, True
        self.thawed_at, self.thawed_wall = self.at, self.wall
        self.first_unseen = NEVER
        owing.must = owing.must and (self.plan.catch_up or owing.wanted)
        if owing.retry_from <= self.at:  # a retry in it is not made up
            owing.attempts, owing.retry_by = owing.attempts | {0}, NEVER
        if self.plan.cron:
            self._next(self.wall)
        elif owing.due == NEVER and owing.high > self.wall:  # it came, and the clock was set back before it
            owing.due = owing.high
        elif owing.due == NEVER and self._on and self.plan.catch_up and not self._busy:
            self._owe(self.wall, must=self.up)

    def _planned(self, fact: Fact) -> None:
        self.plan = fact.more

    def _edited(self, fact: Fact) -> None:
        before, self.plan, self.edited_at = self.plan, fact.more, self.at
        self.owing.lost = (
            self.owing.lost or not self.up
        )  # who reads the settings later knows only what they say then
        was_on = before.enabled and not before.removed
        is_on = self.plan.enabled and not self.plan.removed
        if self.plan.removed:
            self.forced, self.force_by = False, NEVER
        if was_on and not is_on:
            self._turn_off()
        elif is_on and not was_on:
            self._turn_on()
        if _schedule(before) != _schedule(self.plan):
            self._other_schedule()

    def _other_schedule(self) -> None:
        owing = self.owing
        self.wanted_since = self.wall
        owing.lost = owing.lost or self._blind  # whoever notices the clock may have decided a start by now
        owing.must, owing.retry_by = False, NEVER
        if owing.retry_from <= self.at:  # a retry that had passed is given up
            owing.attempts |= {0}
        owing.may = owing.may and self._queued
        if self.plan.cron:
            self._next(self.wall)
        else:  # a slot may have come, and wait for its jitter
            self._between(self.wall - self.plan.jitter, self.wall + self.plan.every)
        if owing.wanted and self._on and not self._busy:
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
        self.steps: list[tuple[float, float]] = []  # when the clock was set, and by how much
        self.stalls: list[tuple[float, float]] = []  # when its process went on, and after how long

    def read(self, fact: Fact) -> None:
        super().read(fact)
        if fact.kind == "planned":
            return
        beat = self.plan.every and self.wall >= self.owing.low - ON_TIME
        if self.owing.may or self.owing.wanted or self.asked or beat:
            self.soft = self.at + PATIENCE + UNSURE

    @property
    def _no_worker(self) -> bool:
        return not self.up or self.stopping or self.stalled or self._busy or self._cold

    @property
    def _queued(self) -> bool:
        return True

    def _up(self, fact: Fact) -> None:
        slot = self.owing.slot
        super()._up(fact)
        if self.owing.wanted and slot > self.wall:  # the last owner decided it, then the clock was set back
            self.owing.slot = slot

    def _clock_set(self, fact: Fact) -> None:
        super()._clock_set(fact)
        self.steps.append((self.at, fact.more))

    _awake = _clock_set

    def _late_again(self) -> None:
        owing, slot = self.owing, self.owing.slot
        super()._late_again()
        if owing.may and slot > self.wall:  # its turn may have been decided for that one, and waits
            owing.slot = slot

    def _goes_on(self, fact: Fact) -> None:
        super()._goes_on(fact)
        self.stalls.append((self.at, fact.more))

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

    def _interval_from(self, trigger: str) -> None:
        every, waited = self.plan.every, PATIENCE + UNSURE
        waited += sum(by for at, by in self.stalls if at > self.at - waited)  # it waits as much longer
        forward = sum(max(0.0, by) for at, by in self.steps if at > self.at - waited)
        self._between(self.wall - waited - forward + every, self.wall + every)

    def _same(self, began: float, saved: float) -> bool:
        return began == saved or -ON_TIME <= began - saved <= PATIENCE + UNSURE

    def _finished(self, fact: Fact) -> None:
        outcome, _, text = fact.more
        self.begun = self.begun or outcome == "failed"  # its cost could not be noted
        took = self.at - self.started_at
        super()._finished(Fact(fact.at, fact.wall, fact.kind, fact.task, (outcome, took, text)))


def wanted(history: History, trace: list[Fact]) -> Iterator[Broken]:
    """What broke for each task and the wake: `lost`, `starved`, `twice`, `unwanted`, `forgotten`."""
    for name in {fact.task: None for fact in trace if fact.kind == "planned" and not fact.more.active}:
        task = (WantedWake if name == "wake" else Wanted)(history, name)
        for fact in trace:
            task.read(fact)
        yield from task.broken
