"""One citizen's runs: what each changes in its task's state, from its start to its end."""

import asyncio
import logging
import os
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

from scheduler.core.costs import Budget
from scheduler.core.planning import LATE, followed_up
from scheduler.core.records import FinishedRun
from scheduler.core.schedules.schedule import DRIFT, Cron
from scheduler.core.state import TaskState
from scheduler.core.task import WAKE, Outcome, Trigger
from scheduler.engine.job import Job
from scheduler.engine.run import RunHandle, RunObserver
from scheduler.engine.task_registry import TaskRegistry
from scheduler.engine.wake.results import Results, TaskResult
from scheduler.errors import PROGRAM
from scheduler.executors.result import Result
from scheduler.process.process_info import BOOT, NO_PROCESS, Running
from scheduler.process.process_info import born as start_ticks
from scheduler.spending.budget import today_of
from scheduler.storage.state_store import RunStart
from scheduler.system.clock import Clock

log = logging.getLogger("experience")

A_MOMENT = 0.25  # seconds from a start to its program; after a longer wait the run is asked for again
# Members of an enumeration are slow to look up, and `A | B` makes a new object for each run.
INTERRUPTED, REFUSED, SKIPPED = Outcome.INTERRUPTED, Outcome.REFUSED, Outcome.SKIPPED
SCHEDULE, FORCE, RETRY, URGENT = Trigger.SCHEDULE, Trigger.FORCE, Trigger.RETRY, Trigger.URGENT
BY_SCHEDULE = frozenset({SCHEDULE, Trigger.CATCH_UP, RETRY})


@lru_cache(1)
def _this_process(pid: int) -> tuple[int, float]:
    """The id and start time of this process, for runs that it carries itself; read once for all citizens."""
    return pid, start_ticks(pid) or 0.0


class RunRegistry(RunObserver):
    """The runs of a citizen that are under way, and the results that its next wake gets."""

    def __init__(self, citizen: str, tasks: TaskRegistry, clock: Clock) -> None:
        self.tasks = tasks
        self.on_workers: dict[str, RunHandle] = {}  # the runs that occupy a worker
        self.wakes: dict[str, RunHandle] = {}  # the wake under way, which needs no worker
        self.budget = Budget()  # its days are in the citizen's time zone
        self.results = Results()
        self._citizen, self._clock = citizen, clock
        self.recheck: Callable[[RunHandle], None] = lambda run: None  # takes back a run that may not begin

    def start(self, job: Job, trigger: Trigger) -> RunHandle:
        """Note that the task runs, in its state, before its handler gets control."""
        task, state = job.task, job.state
        run, running = self._new_run(job, trigger)
        self.on_workers[task.name] = run
        served = self._served(job, trigger, run.since)
        starting = not job.in_process  # its own process will carry it, or a worker
        if task.queue:
            run.started_at = self._clock.elapsed()  # used until a worker begins the run
        self.tasks.update(job, state.started(running, served, starting))
        text = job.attempt() if trigger is RETRY else ""
        self.tasks.bus.add_event("started", task.name, text=text, trigger=trigger, late=run.late, who=run.who)
        for listener in self.tasks.bus.listeners:
            listener.started(task)
        return run

    async def put_on_record(self, run: RunHandle) -> None:
        """Return when the run is on record; it does not begin if another process owns the citizen by then."""
        job = run.job
        assert job is not None
        start = RunStart(
            task=run.name,
            slot="" if job.state.slot is None or run.trigger is FORCE else repr(job.state.slot),
            attempt=job.state.attempt + 1,
            trigger=run.trigger.value,
            started=run.since,
            state=job.state,
            remote=job.task if job.task.queue else None,
            in_process=job.in_process,
            charge=run.charge,
        )
        run.variables = {}  # if it ends while it waits, its record may be there
        run.variables = await self.tasks.store.started(start)
        if run.variables is None:
            run.never_began = True
            run.reason, run.why = Outcome.INTERRUPTED, "it did not begin: another process owns this citizen"
            raise asyncio.CancelledError

    def prepare(self, job: Job, trigger: Trigger) -> RunHandle:
        """Make a run that is under way but has not begun: `open_turn` begins it.

        First a wake runs the tasks that are due, and a run that costs money is entered in the ledger.
        """
        run, running = self._new_run(job, trigger)
        run.opened, run.started_at = False, self._clock.elapsed()
        (self.wakes if job.is_wake else self.on_workers)[run.name] = run
        job.held, job.announced = None, ("", "")
        self.tasks.update(job, job.state.prepared(running, self._served(job, trigger, run.since)))
        return run

    def _new_run(self, job: Job, trigger: Trigger) -> tuple[RunHandle, Running]:
        """A run, which counts from its slot if it is hardly late, and what its task's state says of it."""
        now, when, state, (pid, ticks) = self._clock.now(), job.when, job.state, _this_process(os.getpid())
        since = job.task.schedule.counted(when, now) if trigger is SCHEDULE else now
        run = RunHandle(job.task.name, trigger, since, self, job, self._citizen, state.asked_by)
        if 0.0 < when < now and trigger is not FORCE and trigger is not URGENT:  # they wait for no time
            run.late = now - when
        job.run, job.waiting, job.again = run, None, False
        if job.task.queue:
            run.before, pid, ticks = state, NO_PROCESS, 0.0
        return run, Running(pid, ticks, since, BOOT)

    def open_turn(self, job: Job, run: RunHandle, why: str = "") -> None:
        """Begin a prepared run."""
        run.opened, run.who, run.begun_for = True, run.who or job.state.asked_by, why
        run.asked = job.state.forced
        now = self._clock.now()
        since = now - (self._clock.elapsed() - run.started_at)
        if abs(since - run.since) > DRIFT:  # the clock was set while it waited
            run.since = since
        state = job.state.opened(run.since)
        known = job.slot if state.slot is None else state.slot
        if known is not None and known <= now:  # slots that came while it waited are served, too
            state = state.changed(slot=job.task.schedule.latest(known, now))
        if job.is_wake and run.trigger in BY_SCHEDULE:
            state = state.counted(self._day(now), skipped=False)
        self.tasks.update(job, state)
        self.tasks.bus.add_event(
            "started",
            run.name,
            text=job.attempt() if run.trigger is RETRY else why,
            trigger=run.trigger,
            late=run.late,
            who=run.who,
            number=run.number,
        )
        for listener in self.tasks.bus.listeners:
            listener.started(job.task)

    async def began_elsewhere(self, run: RunHandle, machine: str) -> None:
        """Note that a worker on that machine begins the waiting run: its time counts from now on."""
        run.where, run.since, run.started_at = machine, self._clock.now(), self._clock.elapsed()
        if run.job is not None and (running := run.job.state.running):
            self._update_carried(run.job, replace(running, since=run.since))
        run.began_at = run.started_at
        if (written := self.tasks.store.written()) is not None:
            await written

    async def began(self, run: RunHandle) -> None:
        """Note that this process carries out the run."""
        if run.job is not None and (running := run.job.state.running):
            self._update_carried(run.job, running)
            if (written := self.tasks.store.written()) is not None:
                await written
        await self.give_control(run)

    async def give_control(self, run: RunHandle) -> None:
        """Give the run's program control, unless the run may not begin any more: it is cancelled here."""
        if self._clock.elapsed() - run.started_at > A_MOMENT:
            self.recheck(run)
            if run.reason:
                await asyncio.sleep(0)  # here it is cancelled
        run.began_at = self._clock.elapsed()

    def _served(self, job: Job, trigger: Trigger, now: float) -> float | None:
        """The slot that a run starting now serves; a forced run serves only a slot that has already come."""
        slot = job.slot
        if trigger is RETRY and isinstance(job.task.schedule, Cron):
            slot = job.state.slot  # it may have waited past the next one
        if slot is None or (slot > now and (trigger is FORCE or trigger is URGENT)):
            return None
        if now - slot < LATE:
            return slot
        latest = job.task.schedule.latest(slot, now)  # it serves all missed slots
        return latest if latest <= now else None  # a retry may know the slot of another schedule

    def free_worker(self, run: RunHandle) -> None:
        """Free the run's worker."""
        if self.on_workers.get(run.name) is run:
            del self.on_workers[run.name]

    def pass_over(self, job: Job, run: RunHandle, result: Result, now: float, took: float) -> None:
        """Note that the run did not begin after all: its slot is skipped, or it stays due."""
        state, job.run, run.result = job.state, None, result
        asked = state.forced and result.outcome is Outcome.SKIPPED  # forced while it waited
        put_back = run.put_back or asked or result.outcome is INTERRUPTED
        passed = state.passed_over(now)
        if run.removed:  # what was asked for since it came back stays
            passed = state.taken_back((run.before or state).removed())
        elif put_back:
            passed = state.taken_back(run.before) if run.before else state.never_began()
            if run.trigger is FORCE:
                passed = passed.asked_for(run.who)
        elif job.is_wake and result.outcome is Outcome.SKIPPED:
            passed = passed.counted(self._day(now), skipped=True)
        self.tasks.update(job, passed)
        if run.variables is not None:
            self.tasks.store.withdrawn(run.name)
        held = run.put_back and result.outcome is Outcome.SKIPPED  # the hold says so
        if result.outcome is not INTERRUPTED and not held:
            self._log_end(run, result, state.attempt, now, took)

    def finish(self, job: Job, run: RunHandle, result: Result, now: float, took: float) -> None:
        """Record that the run ended with this result `now`, after `took` seconds."""
        outcome, before = result.outcome, job.state
        job.run, job.left = None, run.left if run.left and run.left[1]() else None
        run.result = result
        state = self._after(job, run, result, now, took)
        if job.again:  # asked for while it ran: the next owner begins it, if this one stops
            state = state.asked_for(before.asked_by)
        if job.left and run.survivor:  # on disk, so that the next owner knows it
            state = state.orphaned(run.survivor)
        self.tasks.update(job, state)
        if not (self.tasks.stopping and outcome is INTERRUPTED) and outcome is not REFUSED:
            for listener in self.tasks.bus.listeners:
                listener.finished(job.task, before, state)
        if result.traceback:
            log.error(result.traceback, extra={"citizen": self._citizen, "task": run.name})
        if run.name != WAKE and outcome is not REFUSED:
            self.results.append(TaskResult(run.name, outcome, result.text, now))
        self._log_end(run, result, before.attempt, now, took)
        if state.paused and not before.paused:
            fix = f"{PROGRAM} resume {self._citizen} {run.name}"
            self.tasks.bus.add_event("paused", run.name, text=f"{state.paused_why}; continue with: {fix}")

    def _log_end(self, run: RunHandle, result: Result, attempt: int, now: float, took: float) -> None:
        """Log the end of the run as an event and in the history."""
        self.tasks.bus.add_event(
            "finished",
            run.name,
            result.outcome,
            result.text,
            run.trigger,
            duration=None if result.outcome is SKIPPED else took,
            who=run.who,
            cost=run.cost,
            number=run.number,
        )
        if run.printed is not None:
            run.printed.close()
        self.tasks.bus.record(
            FinishedRun(
                task=run.name,
                trigger=run.trigger,
                attempt=attempt + 1,
                started=run.since,
                finished=now,
                seconds=took,
                outcome=result.outcome,
                text=result.text,
                traceback=result.traceback,
                output=run.printed,
                cost=run.cost,
                who=run.who,
                stopped_by=run.stopped_by,
                why=run.begun_for,
                machine=run.where,
            )
        )

    def _after(self, job: Job, run: RunHandle, result: Result, now: float, took: float) -> TaskState:
        """The task's state after a run with this result."""
        outcome, before = result.outcome, job.state
        if outcome is REFUSED:
            return before.refused()
        if outcome is INTERRUPTED:
            state = before.interrupted(result.text, now, again=self.tasks.stopping and not run.removed)
        else:
            state = before.finished(outcome, result.text, now, took)
        return followed_up(self._citizen, job.task, state, now, pauses=not self.tasks.stopping)

    async def carried_by(self, run: RunHandle, process: Running) -> None:
        """Note the run's own process, the one to look for after a crash."""
        job = run.job
        if job is not None and job.run is run:
            if self.tasks.store.fenced:
                self.tasks.store.carried(process)
            self._update_carried(job, replace(process, since=run.since))
            if (written := self.tasks.store.written()) is not None:
                await written
        await self.give_control(run)

    def _update_carried(self, job: Job, running: Running) -> None:
        state = job.state.carried_by(running)
        asked = job.again  # the request is for the next run
        self.tasks.update(job, state.asked_for(job.state.asked_by) if asked else state)

    def show(self, run: RunHandle) -> None:
        if job := self.tasks.jobs.get(run.name):
            self.tasks.publish(job)

    def _day(self, now: float) -> str:
        return today_of(self.budget, now).isoformat()
