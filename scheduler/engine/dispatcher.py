"""The due loop: queues what is due and starts it as soon as a worker is free."""

import heapq
from collections.abc import Callable
from itertools import count

from scheduler.core.planning import LATE, due_since_seen, made_up, next_slot, next_start, pause_is_over
from scheduler.core.schedules.freeze import Freeze
from scheduler.core.schedules.schedule import NEVER
from scheduler.core.state import CHANGED
from scheduler.core.task import Task, Trigger
from scheduler.core.wording.spans import moment
from scheduler.engine.freezing import Freezing
from scheduler.engine.job import Job
from scheduler.engine.run import RunHandle
from scheduler.engine.run_registry import RunRegistry
from scheduler.system.clock import Clock, ClockSteps, Timer

SLICE = 256  # dispatches before other work on the loop gets its turn
# Members of an enumeration are slow to look up.
SCHEDULE, FORCE, CATCH_UP = Trigger.SCHEDULE, Trigger.FORCE, Trigger.CATCH_UP
ASKED = (FORCE, Trigger.URGENT)
AGAIN = 1.0  # seconds until a dispatch that failed is tried again


class Dispatcher:
    """Decides when each task of a citizen starts; `start` starts it."""

    def __init__(
        self,
        citizen: str,
        runs: RunRegistry,
        clock: Clock,
        start: Callable[[Job, Trigger], None],
        held: Callable[[Job], float],
        dropped: Callable[[Job], None],
        freezing: Freezing,
    ) -> None:
        """`held` returns the seconds until the next check whether a paid run may start; 0 if it may.

        `dropped` is called with a task that leaves the queue because its hours are over.
        """
        self.limit, self._on_workers = 1, runs.on_workers
        self._held, self._dropped = held, dropped
        self._citizen, self._registry, self._clock, self._start = citizen, runs.tasks, clock, start
        self._freezing = freezing
        self._due_queue = DueQueue()
        self._ready: list[tuple[int, int, Job]] = []
        self._order = count()
        self._timer: Timer | None = None
        self._timer_at = NEVER
        self._by_schedule = self._wakes = self._stopped = False
        self._steps = ClockSteps(clock)
        self._jump: Timer | None = None

    def begin(self, *, by_schedule: bool, wakes: bool) -> None:
        """Start due tasks from now on; without `by_schedule` only those that are forced or run by a wake."""
        self._by_schedule, self._wakes = by_schedule, wakes
        self._jump = self._clock.on_jump(self._clock_jumped)

    def stop(self) -> None:
        """Start nothing from now on."""
        self._stopped = True
        for timer in (self._timer, self._jump):
            if timer:
                timer.cancel()

    # -------------------------------------------------------------- when

    def reschedule(self, job: Job) -> None:
        """Compute when the task is due next; a run updates the state first, so that no slot runs twice."""
        if job.run or job.left or job.waiting:
            self._due_queue.drop(job)
            return
        now, freeze = self._clock.now(), self._freezing.current
        when = self._find_next(job, now, freeze)
        job.view = None
        if job.held and when > now:
            self._registry.hold(job, None)
        if freeze:
            self._due_queue.drop(job)
            return
        if job.is_wake and job.task.active and when > now:
            self._outside_hours(job, when, now)
        state = job.state
        if state.paused and not state.forced and state.paused_until is not None:
            when = state.paused_until  # the task resumes then, whatever is due
        wanted = self._wakes if job.is_wake else self._by_schedule
        if wanted and self._registry.jobs.get(job.task.name) is job:
            self._due_queue.put(job, when)
            if when < self._timer_at:
                self._arm()

    def _find_next(self, job: Job, now: float, freeze: Freeze | None = None) -> float:
        """Find when the task is due next, and which slot it then serves."""
        job.when, job.slot = next_start(self._citizen, job.task, job.state, now, job.floor, freeze)
        return job.when

    def _outside_hours(self, job: Job, when: float, now: float) -> None:
        """Note that the wake waits for its active hours: its schedule asked for a time outside them."""
        active, state = job.task.active, job.state
        if active is None or state.paused or when == NEVER:
            return
        slot = next_slot(self._citizen, job.task, state, now)
        if slot < when and not active.contains(slot):
            until = moment(when, now)
            self._registry.let_go(job, f"hours {when:.0f}", f"outside its hours ({active}) until {until}")

    def forget(self, job: Job) -> None:
        """Drop a task that was removed."""
        self._due_queue.drop(job)
        job.waiting, job.again = None, False

    def _arm(self) -> None:
        """Set the timer for the earliest due time."""
        when = self._due_queue.next()
        if self._ready and len(self._on_workers) < self.limit:  # a dispatch failed half-way
            when = min(when, self._clock.now() + AGAIN)
        if self._stopped or (when == self._timer_at and self._timer):
            return
        if self._timer:
            self._timer.cancel()
        self._timer_at = when
        self._timer = self._clock.call_at(when, self._on_timer) if when < NEVER else None

    def _on_timer(self) -> None:
        """Queue what is due, start as many as there are free workers, and set the timer again in any case."""
        self._timer, self._timer_at = None, NEVER
        try:
            if self._freezing.frozen():
                return
            now, due_queue = self._clock.now(), self._due_queue
            taken = due_queue.take(now)
            if taken and self._free() and due_queue.next() > now:  # no other task could start before this one
                when, job = taken
                if trigger := self._trigger(job, when, now):
                    self._start(job, trigger)
                return
            for _ in range(SLICE):
                if taken is None:
                    break
                when, job = taken
                if trigger := self._trigger(job, when, now):
                    if job.is_wake:
                        self._start(job, trigger)
                    else:
                        self._wait_for_worker(job, trigger)
                taken = due_queue.take(now)
            self._registry.bus.notify()  # once for all queued tasks
            self.start_ready()
        finally:
            self._arm()

    def _free(self) -> bool:
        """Whether a worker is free and no task waits for one."""
        return len(self._on_workers) < self.limit and not self._ready and not self._stopped

    def _trigger(self, job: Job, when: float, now: float) -> Trigger | None:
        """Why the task starts now; None if it does not after all: missed, held, or its pause has ended."""
        if job.state.paused and not job.state.forced:
            if pause_is_over(job.state, now):
                self._end_pause(job, now)
            return None
        if job.paid and (check_after := self._held(job)):
            self._due_queue.put(job, now + check_after)
            return None
        if job.state.forced:
            return FORCE
        if job.paid and not job.is_wake:
            when = job.when  # not the time at which it was checked again: it was held until now
        if now - when >= LATE and when > job.floor:  # the loop has stalled
            job.floor = now
            self._registry.take_up(job, now)
            when = self._find_next(job, now)
        if when > now or not _in_hours(job, now):
            self.reschedule(job)
            return None
        if job.state.retry_at is not None and job.when == job.state.retry_at:
            return Trigger.RETRY
        if now - when < LATE or not when or due_since_seen(job.task, job.state):
            made = job.slot is not None and made_up(job.task, when, job.slot)
            return CATCH_UP if made else SCHEDULE
        return CATCH_UP

    def freeze_changed(self) -> None:
        """Empty the queue if the citizen was frozen; schedule its tasks again if it was thawed."""
        now, frozen = self._clock.now(), self._freezing.current
        self._ready.clear()
        for job in self._registry.rows():
            job.waiting = None
            if not frozen:
                self._registry.take_up(job, now)
            self.reschedule(job)
            self._registry.publish(job)
        self._arm()

    def _end_pause(self, job: Job, now: float) -> None:
        self._registry.take_up(job, now)
        self.reschedule(job)

    def _clock_jumped(self) -> None:
        """Compute all due times again after the wall clock was set or the machine slept; replay none."""
        self._freezing.look()
        now, changed = self._clock.now(), self._steps.look() <= -CHANGED
        self._registry.bus.add_event("clock jumped")
        for job in self._registry.rows():
            job.floor = now
            self._registry.take_up(job, now, clock_changed=changed)
            self.reschedule(job)
        self._arm()

    # -------------------------------------------------------------- which

    def enqueue(self, job: Job, trigger: Trigger) -> None:
        """Run the task as soon as a worker is free: forced tasks first, then by priority."""
        if not self._freezing.frozen():
            self._enqueue(job, trigger)
            self._registry.bus.notify()

    def _enqueue(self, job: Job, trigger: Trigger) -> None:
        if job.run or job.left or job.waiting is trigger:
            return
        if job.paid and (check_after := self._held(job)):
            self._check_again(job, check_after)
            return
        if job.is_wake:  # a wake needs no worker
            if not self._stopped:
                self._due_queue.drop(job)
                self._start(job, trigger)
            return
        self._due_queue.drop(job)
        self._wait_for_worker(job, trigger)

    def _wait_for_worker(self, job: Job, trigger: Trigger) -> None:
        job.waiting = trigger
        rank = -1 if trigger is FORCE else job.task.priority
        heapq.heappush(self._ready, (rank, next(self._order), job))
        job.view = None

    def enqueue_due(self, trigger: Trigger) -> None:
        """Queue every task that is due now."""
        now = self._clock.now()
        if self._freezing.frozen():
            return
        for job in self._registry.rows():
            if job.busy or job.is_wake:
                continue
            if pause_is_over(job.state, now):  # there is no schedule that would notice it
                self._end_pause(job, now)
            when = self._find_next(job, now)
            if when <= now and (why := self._trigger(job, when, now)):
                self.enqueue(job, FORCE if why is FORCE else job.waiting or trigger)

    def _check_again(self, job: Job, after: float) -> None:
        """Check the held task again after this many seconds."""
        if self._wakes if job.is_wake else self._by_schedule:
            self._due_queue.put(job, self._clock.now() + after)
            self._arm()

    def unqueue(self, job: Job) -> None:
        """Take the task out of the queue unless it was forced."""
        if job.waiting is not Trigger.FORCE:
            job.waiting = None

    def take_out(self, job: Job) -> None:
        """Take the task out of the queue until its next slot, even if it was forced."""
        job.waiting, job.again = None, False
        self._registry.update(job, job.state.taken_out(self._clock.now(), job.slot))
        self.reschedule(job)

    def drop_removed(self, job: Job) -> None:
        """Take the task out of the queue if it has been paused, disabled or is no longer set up."""
        if job.state.paused or not job.task.enabled:
            self.unqueue(job)
        if not job.task.set_up:
            job.waiting = None

    def wants(self, run: RunHandle, task: Task) -> bool:
        """Whether a run that waits before it begins may still do so, by the rules of this queue."""
        job = run.job
        if job is None or self._stopped or job.task != task:
            return False
        return (task.enabled or _asked_for(run, job)) and self.may_begin(run, job)

    def may_begin(self, run: RunHandle, job: Job) -> bool:
        """Whether a run that was started may still begin: a disk may have been slow since then."""
        if self._freezing.frozen():
            return False
        return _asked_for(run, job) or not (job.state.paused or self.hours_ended(job))

    def hours_ended(self, job: Job) -> bool:
        """Whether the schedule may not start the task now: it would be outside its hours."""
        return not _in_hours(job, self._clock.now())

    def start_ready(self) -> None:
        """Start queued tasks while workers are free."""
        ready, on_workers = self._ready, self._on_workers
        if not ready or len(on_workers) >= self.limit or self._freezing.frozen():
            return
        while ready and len(on_workers) < self.limit and not self._stopped:
            job = heapq.heappop(ready)[2]
            if job.waiting is None or job.run is not None or job.left is not None:
                continue
            if job.waiting is not FORCE and self.hours_ended(job):
                job.waiting = None
                self.reschedule(job)
                self._registry.publish(job)
                self._dropped(job)
                continue
            self._start(job, job.waiting)


class DueQueue:
    """Tasks by the time they are due; a task has one time or none."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Job]] = []
        self._order = count(1)
        self._prune_at = 64

    def put(self, job: Job, when: float) -> None:
        """Set the one time at which the task is due."""
        if when == NEVER:
            job.entry = 0
            return
        job.entry = entry = next(self._order)
        heap = self._heap
        heapq.heappush(heap, (when, entry, job))
        if len(heap) > self._prune_at:  # each force of a task leaves an outdated entry behind
            heap[:] = [each for each in heap if each[2].entry == each[1]]
            heapq.heapify(heap)
            self._prune_at = 2 * len(heap) + 64

    def drop(self, job: Job) -> None:
        job.entry = 0

    def take(self, now: float) -> tuple[float, Job] | None:
        """Remove and return the earliest task that is due at `now`."""
        heap = self._heap
        while heap and heap[0][0] <= now:
            when, entry, job = heapq.heappop(heap)
            if job.entry == entry:
                job.entry = 0
                return when, job
        return None

    def next(self) -> float:
        """The earliest due time, NEVER if there is none."""
        heap = self._heap
        while heap and heap[0][2].entry != heap[0][1]:
            heapq.heappop(heap)
        return heap[0][0] if heap else NEVER


def _asked_for(run: RunHandle, job: Job) -> bool:
    """Whether somebody or something urgent asked for the run, so that no schedule, pause or hours matter."""
    return run.trigger in ASKED or run.asked or job.state.forced


def _in_hours(job: Job, now: float) -> bool:
    """Whether the task may start by its hours: they last, or ended less than a minute after it was due."""
    hours = job.task.active
    return hours is None or hours.contains(now) or (now - job.when < LATE and hours.contains(job.when))
