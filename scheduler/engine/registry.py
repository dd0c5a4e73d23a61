"""One citizen's tasks: the one place where a state changes, is saved and is published."""

import asyncio
import logging
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import lru_cache

from scheduler.core.costs import Budget
from scheduler.core.planning import LATE, followed_up, recovered, taken_up
from scheduler.core.records import FinishedRun
from scheduler.core.schedules.freeze import Span
from scheduler.core.schedules.schedule import DRIFT, Cron
from scheduler.core.state import TaskState
from scheduler.core.task import WAKE, Outcome, Trigger
from scheduler.core.views import Hold, HoldKind, Receipt, TaskView
from scheduler.engine.event_bus import EventBus
from scheduler.engine.job import Job
from scheduler.engine.run import RunHandle, RunObserver
from scheduler.engine.wake.results import Results, TaskResult
from scheduler.errors import PROGRAM, NotConfirmed, UnknownTask
from scheduler.executors.result import Result
from scheduler.process.process_info import BOOT, NO_PROCESS, Running, alive
from scheduler.process.process_info import born as start_ticks
from scheduler.spending.budget import today_of
from scheduler.storage.state_file import States
from scheduler.storage.state_store import RunStart, Store
from scheduler.system.clock import Clock

log = logging.getLogger("experience")

SAVED_WITHIN = 5.0  # seconds that a verb waits for the disk; its client waits ten seconds for the answer
# Members of an enumeration are slow to look up, and `A | B` makes a new object for each run.
OK, INTERRUPTED, REFUSED, SKIPPED = Outcome.OK, Outcome.INTERRUPTED, Outcome.REFUSED, Outcome.SKIPPED
SCHEDULE, FORCE, RETRY, URGENT = Trigger.SCHEDULE, Trigger.FORCE, Trigger.RETRY, Trigger.URGENT
RECEIPTS = (HoldKind.BUDGET, HoldKind.PROVIDER)  # the kinds of hold that get a row in the history
BY_SCHEDULE = frozenset({SCHEDULE, Trigger.CATCH_UP, RETRY})


@lru_cache(1)
def _this_process(pid: int) -> tuple[int, float]:
    """The id and start time of this process, for runs that it carries itself; read once for all citizens."""
    return pid, start_ticks(pid) or 0.0


class TaskRegistry(RunObserver):
    """A citizen's tasks, their states and their runs; saved by its store, published on its event bus."""

    def __init__(self, citizen: str, store: Store, clock: Clock, on_edited: Callable[[Job], None]) -> None:
        self.bus = EventBus(citizen, clock)
        self.jobs: dict[str, Job] = {}
        self.runs: dict[str, RunHandle] = {}  # the runs that occupy a worker
        self.wakes: dict[str, RunHandle] = {}  # the wake under way, which needs no worker
        self.states: dict[str, TaskState] = {}
        self.notes: tuple[str, ...] = ()
        self.frozen_spans: tuple[Span, ...] = ()
        self.stopping = False
        self.budget = Budget()  # its days are in the citizen's time zone
        self.results = Results()
        self._rows: tuple[Job, ...] = ()
        self._citizen, self._clock, self._process = citizen, clock, (0, 0.0)
        self.store, self._on_edited = store, on_edited
        self._recovered = False
        self.unfinished_runs: list[FinishedRun] = []
        self._unbegun: list[str] = []  # tasks whose run was on record but had not begun when their owner died
        self.fenced = store.fenced

    def load(self, now: float, take_up: Callable[[States], States] = lambda states: states) -> None:
        """Read the saved states and close the runs that a dead owner left open; blocks, raises Unreadable.

        `take_up` adds what other files of the home say about the tasks.
        """
        saved, notes = self.store.load()
        self._note(notes)
        states = take_up(saved)
        self.states = {name: self._recover(name, state, now) for name, state in states.items()}
        self._recovered = self.states != saved

    def begin(self) -> None:
        """Save every change from now on; runs belong to this process."""
        self._process = _this_process(os.getpid())
        self.store.begin(lambda: self.states, self._adopt, self.bus.notify)
        for name in self._unbegun:
            self.store.withdrawn(name)
        if self._recovered:  # at once, so that the next owner does not recover the same runs again
            self.store.changed()

    def job(self, name: str) -> Job:
        """The task of this name; raises UnknownTask."""
        if name not in self.jobs:
            raise UnknownTask(name, self.jobs)
        return self.jobs[name]

    def update(self, job: Job, state: TaskState) -> None:
        """Set the task's state, save and publish it."""
        job.state = self.states[job.task.name] = state
        job.view = None
        self.store.changed()
        self.bus.notify()

    def take_up(self, job: Job, now: float, *, clock_changed: bool = False) -> None:
        """Continue with the task after the clock was set or its settings changed."""
        spans = self.frozen_spans
        state = taken_up(self._citizen, job.task, job.state, now, clock_changed=clock_changed, frozen=spans)
        if job.state.paused and not state.paused:
            self.bus.add_event("resumed", job.task.name, text="its pause is over")
        if state != self.states.get(job.task.name):
            self.update(job, state)

    def publish(self, job: Job) -> None:
        """Update the task's row on screens."""
        job.view = None
        self.bus.notify()

    # -------------------------------------------------------------- runs

    def start(self, job: Job, trigger: Trigger) -> RunHandle:
        """Note that the task runs, in its state, before its handler gets control."""
        task, state = job.task, job.state
        run, running = self._new_run(job, trigger)
        self.runs[task.name] = run
        served = self._served(job, trigger, run.since)
        starting = not job.in_process  # its own process will carry it, or a worker
        if task.queue:
            run.started_at = self._clock.elapsed()  # used until a worker begins the run
        self.update(job, state.started(running, served, starting))
        text = job.attempt() if trigger is RETRY else ""
        self.bus.add_event("started", task.name, text=text, trigger=trigger, late=run.late, who=run.who)
        for listener in self.bus.listeners:
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
        run.variables = await self.store.started(start)
        if run.variables is None:
            run.never_began = True
            run.reason, run.why = Outcome.INTERRUPTED, "it did not begin: another process owns this citizen"
            raise asyncio.CancelledError

    def hold(self, job: Job, hold: Hold | None) -> None:
        """Note why the task does not start although it is due; published once per cause."""
        if hold == job.held:
            return
        job.held = hold
        self.publish(job)
        if hold and (hold.kind, hold.about) != job.announced:
            job.announced = (hold.kind, hold.about)
            self.bus.add_event(_event_kind(hold), job.task.name, text=hold.why)
            if hold.kind in RECEIPTS:
                self.let_go(job, f"{hold.kind} {hold.about}", hold.why)
            for listener in self.bus.listeners:
                listener.held(job.task, hold)

    def let_go(self, job: Job, about: str, why: str) -> None:
        """Record once, in a row of the history, that the wake is skipped from now on because of `about`."""
        if not job.is_wake or job.state.let_go == about:
            return
        now = self._clock.now()
        self.update(job, job.state.changed(let_go=about))
        self.bus.record(FinishedRun(WAKE, SCHEDULE, 1, now, now, 0.0, Outcome.SKIPPED, why))

    def prepare(self, job: Job, trigger: Trigger) -> RunHandle:
        """Make a run that is under way but has not begun: `open_turn` begins it.

        First a wake runs the tasks that are due, and a run that costs money is entered in the ledger.
        """
        run, running = self._new_run(job, trigger)
        run.opened, run.started_at = False, self._clock.elapsed()
        (self.wakes if job.is_wake else self.runs)[run.name] = run
        job.held, job.announced = None, ("", "")
        self.update(job, job.state.prepared(running, self._served(job, trigger, run.since)))
        return run

    def _new_run(self, job: Job, trigger: Trigger) -> tuple[RunHandle, Running]:
        """A run, which counts from its slot if it is hardly late, and what its task's state says of it."""
        now, when, state, (pid, ticks) = self._clock.now(), job.when, job.state, self._process
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
        self.update(job, state)
        self.bus.add_event(
            "started",
            run.name,
            text=job.attempt() if run.trigger is RETRY else why,
            trigger=run.trigger,
            late=run.late,
            who=run.who,
            number=run.number,
        )
        for listener in self.bus.listeners:
            listener.started(job.task)

    async def began_elsewhere(self, run: RunHandle, machine: str) -> None:
        """Note that a worker on that machine begins the waiting run: its time counts from now on."""
        run.where, run.since, run.started_at = machine, self._clock.now(), self._clock.elapsed()
        if run.job is not None and (running := run.job.state.running):
            self._update_carried(run.job, replace(running, since=run.since))
        run.began_at = run.started_at
        if (written := self.store.written()) is not None:
            await written

    async def began(self, run: RunHandle) -> None:
        """Note that this process carries out the run."""
        if run.job is not None and (running := run.job.state.running):
            self._update_carried(run.job, running)
            if (written := self.store.written()) is not None:
                await written
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
        if self.runs.get(run.name) is run:
            del self.runs[run.name]

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
        self.update(job, passed)
        if run.variables is not None:
            self.store.withdrawn(run.name)
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
        self.update(job, state)
        if not (self.stopping and outcome is INTERRUPTED) and outcome is not REFUSED:
            for listener in self.bus.listeners:
                listener.finished(job.task, before, state)
        if result.traceback:
            log.error(result.traceback, extra={"citizen": self._citizen, "task": run.name})
        if run.name != WAKE and outcome is not REFUSED:
            self.results.append(TaskResult(run.name, outcome, result.text, now))
        self._log_end(run, result, before.attempt, now, took)
        if state.paused and not before.paused:
            fix = f"{PROGRAM} resume {self._citizen} {run.name}"
            self.bus.add_event("paused", run.name, text=f"{state.paused_why}; continue with: {fix}")

    def _log_end(self, run: RunHandle, result: Result, attempt: int, now: float, took: float) -> None:
        """Log the end of the run as an event and in the history."""
        self.bus.add_event(
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
        self.bus.record(
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
            state = before.interrupted(result.text, now, again=self.stopping and not run.removed)
        else:
            state = before.finished(outcome, result.text, now, took)
        return followed_up(self._citizen, job.task, state, now, pauses=not self.stopping)

    async def carried_by(self, run: RunHandle, process: Running) -> None:
        """Note the run's own process, the one to look for after a crash."""
        job = run.job
        if job is not None and job.run is run:
            if self.store.fenced:
                self.store.carried(process)
            self._update_carried(job, replace(process, since=run.since))
            if (written := self.store.written()) is not None:
                await written
        run.began_at = self._clock.elapsed()

    def _update_carried(self, job: Job, running: Running) -> None:
        state = job.state.carried_by(running)
        asked = job.again  # the request is for the next run
        self.update(job, state.asked_for(job.state.asked_by) if asked else state)

    def show(self, run: RunHandle) -> None:
        if job := self.jobs.get(run.name):
            self.publish(job)

    # -------------------------------------------------------------- the table

    def show_costs(self, today: Mapping[str, str], month: Mapping[str, str]) -> None:
        """Show what each task's runs cost that began today, and this month."""
        for job in self._rows:
            costs = today.get(job.task.name, ""), month.get(job.task.name, "")
            if costs != job.costs:
                job.costs, job.view = costs, None

    def order(self) -> None:
        """Sort the rows after tasks were added or removed."""
        self._rows = tuple(sorted(self.jobs.values(), key=_place))
        self.bus.notify()

    def rows(self) -> tuple[Job, ...]:
        return self._rows

    def views(self, workers: int) -> tuple[TaskView, ...]:
        return tuple(job.row(workers) for job in self._rows)

    @property
    def unsaved(self) -> str:
        return self.store.unsaved

    def differs(self) -> bool:
        """Whether the state file was edited; blocks, for any thread."""
        return self.store.differs()

    def reload(self) -> None:
        """Read what was edited in the state file."""
        self.store.changed()

    async def receipt(self, text: str) -> Receipt:
        """Return the answer to a verb when its change is on disk or cannot be written.

        Raises NotConfirmed where another machine may own the citizen next, without the change.
        """
        try:
            async with asyncio.timeout(SAVED_WITHIN):
                saved = await self.store.saved()
        except TimeoutError:
            return Receipt(f"{text}; done, not saved yet: the disk is slow", saved=False)
        if saved:
            return Receipt(text)
        if self.fenced:
            why = self.store.unsaved or "another machine owns the citizen"
            raise NotConfirmed(f"{text}; not saved: {why}; the next owner does not know of it")
        return Receipt(f"{text}; done, not saved: {self.store.unsaved}", saved=False)

    async def close(self) -> None:
        await self.store.close()

    def _recover(self, name: str, state: TaskState, now: float) -> TaskState:
        after = recovered(state, now, alive)
        if state.starting:
            self._unbegun.append(name)
            self.bus.add_event("starts again", name, text="the scheduler died before this run began")
        elif state.running:
            since, why = state.running.since, after.error.text if after.error else ""
            took = max(0.0, now - since)
            ended = FinishedRun(name, None, state.attempt + 1, since, now, took, Outcome.INTERRUPTED, why)
            self.unfinished_runs.append(ended)
            left = f"; pid {after.orphan.pid} is still running" if after.orphan else ""
            text = f"the scheduler died during this run{left}"
            self.bus.add_event("finished", name, outcome=Outcome.INTERRUPTED, text=text)
        return after

    def _note(self, notes: Iterable[str]) -> None:
        """Show and log what was dropped when the state file was read."""
        self.notes = tuple(notes)
        for note in self.notes:
            log.warning(note, extra={"citizen": self._citizen})

    def _adopt(self, states: States, notes: Iterable[str]) -> None:
        """Take over states that were edited in the file."""
        self._note(notes)
        for name, state in states.items():
            before = self.states.get(name)
            if before and before.paused and not state.paused:  # resumed
                state = state.changed(paused_at=before.paused_at or self._clock.now())
            self.states[name] = state
            if job := self.jobs.get(name):
                job.state = state
                self.take_up(job, self._clock.now())
                self.publish(job)
                self.bus.add_event("changed by hand", name)
                self._on_edited(job)
        self.bus.notify()

    def _day(self, now: float) -> str:
        return today_of(self.budget, now).isoformat()


def _place(job: Job) -> tuple[bool, int, str]:
    """The sort key of a row; the wake comes first."""
    return not job.is_wake, job.task.priority, job.task.name


def _event_kind(hold: Hold) -> str:
    return "over budget" if hold.why.startswith("over budget") else "waits"
