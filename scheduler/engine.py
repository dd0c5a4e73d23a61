"""Scheduler: the sole owner of one citizen's state. It decides what runs when, and answers its Control."""

import asyncio
import heapq
import logging
import os
import traceback
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from .board import Board
from .clock import Clock, Timer
from .deadlines import Deadlines
from .errors import AlreadyRunning, NotSetUp, SchedulerError, Stopping, TaskFailed, UnknownTask
from .finishes import Finishes
from .jobs import Job
from .model import (
    Call,
    Context,
    Handler,
    Outcome,
    Pulse,
    Receipt,
    Running,
    Snapshot,
    Task,
    TaskState,
    Trigger,
    WakePlan,
    WakeView,
)
from .recovery import recovered, retry_time, slot
from .runs import Run
from .schedule import NEVER, AtStart, in_words
from .store import States, Store
from .timetable import Timetable
from .wake import TaskResult, WakeCycle
from .workers import Result, Workers
from .workers.facts import alive, born

log = logging.getLogger("experience")

SLICE = 256  # dispatches before the loop may do something else
MISSED = 60.0  # a slot that passed this many seconds before anybody was there is a catch-up
WRITE_OFF = 10.0  # seconds that a run may take to end after it was told to
LEFT_LOOK = 1.0  # seconds between two looks whether what was left behind has ended
RESULTS_KEPT = 200


@dataclass(frozen=True, slots=True)
class Rules:
    """What a citizen's settings say beyond its tasks; seconds."""

    workers: int = 4
    grace: float = 10.0
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    wake: WakePlan | None = None
    background: bool = True


class Scheduler:
    """One citizen's tasks on time. Everything here happens on one event loop; others get values."""

    def __init__(
        self,
        citizen: str,
        home: Path,
        tasks: Iterable[Task],
        *,
        store: Store,
        clock: Clock,
        workers: Workers,
        rules: Rules | None = None,
    ) -> None:
        self.citizen, self.home = citizen, home
        self._problems: tuple[str, ...] = ()
        self._notes: tuple[str, ...] = ()
        self._store, self._clock, self._workers = store, clock, workers
        self._rules = rules or Rules()
        self._registered: dict[str, Handler] = {}
        self._states: dict[str, TaskState] = {}
        self._jobs: dict[str, Job] = {}
        self._rows: list[Job] = []
        self._tasks = tuple(tasks)
        self._timetable = Timetable()
        self._timer: Timer | None = None
        self._timer_at = NEVER
        self._ready: list[tuple[int, int, str]] = []
        self._order = count()
        self._runs: dict[str, Run] = {}
        self._abandoned: set[asyncio.Task[None]] = set()
        self._board = Board(citizen, clock)
        self._deadlines = Deadlines(clock, self._all_runs, self._took_too_long)
        self._finishes = Finishes(clock)
        self._results: deque[TaskResult] = deque(maxlen=RESULTS_KEPT)
        self._snapshot: Snapshot | None = None
        self._dispatching = self._stopping = False
        self._began = 0.0
        self._jump: Timer | None = None
        self._wake_run: Run | None = None
        self._wake: WakeCycle | None = None
        if self._rules.wake:
            self._wake = WakeCycle(citizen, home, self._rules.wake, self, clock, self._rules.background)

    # -------------------------------------------------------------- life

    async def start(self, *, dispatch: bool = True) -> None:
        """Take up the saved state and run from now on what is due; raises Unreadable.

        Without `dispatch` nothing runs unless it is forced or drained.
        """
        self._loop = asyncio.get_running_loop()
        self._process = (os.getpid(), born(os.getpid()) or 0.0)
        self._began = self._clock.now()
        self._dispatching = dispatch and self._rules.background
        states, notes = await asyncio.to_thread(self._store.load)
        if self._wake:
            await asyncio.to_thread(self._wake.load)
        self._notes = tuple(notes)
        self._states = {name: self._recover(name, state) for name, state in states.items()}
        self._store.begin(lambda: self._states, self._adopt, self._show)
        self.set_tasks(self._tasks)
        self._jump = self._clock.on_jump(self._clock_jumped)
        if self._wake and dispatch:
            self._wake.start()

    async def stop(self, grace: float | None = None) -> None:
        """Start nothing new, give runs `grace` seconds, end the rest as interrupted, save."""
        self._stopping = True
        for timer in (self._timer, self._jump):
            if timer:
                timer.cancel()
        if self._wake:
            self._wake.stop()
        await self._finishes.wait_for(self._under_way(), self._rules.grace if grace is None else grace)
        self._halt_all()
        await self._finishes.wait_for(self._under_way(), WRITE_OFF)
        for run in list(self._runs.values()):
            self._write_off(run)
        self._deadlines.stop()
        self._finishes.give_up()
        await self._store.close()
        self._board.note("stopped")

    def hurry(self) -> None:
        """Asked to stop a second time: what is still running ends at once."""
        self._workers.hurry()
        self._halt_all()

    def register_handler(self, name: str, handler: Handler) -> None:
        """Run `handler` for this task instead of what the settings say, in this process."""
        self._job(name)
        self._registered[name] = handler
        self.set_tasks(self._tasks)

    def set_tasks(self, tasks: Iterable[Task], rules: Rules | None = None) -> None:
        """Go on with other settings: unchanged tasks keep their next time, removed ones are gone."""
        self._tasks = tuple(tasks)
        self._problems = ()
        if rules:
            self._rules = rules
            if self._wake and rules.wake:
                self._wake.replan(rules.wake)
        for name in self._jobs.keys() - {task.name for task in self._tasks}:
            self._leave_out(name)
        for task in self._tasks:
            self._take_in(task)
        self._rows = sorted(self._jobs.values(), key=lambda job: (job.task.priority, job.task.name))
        self._start_ready()
        self._arm()
        self._show()

    def set_problems(self, problems: Iterable[str]) -> None:
        """Go on as before, and show what is wrong with the newest settings."""
        self._problems = tuple(problems)
        self._show()

    def file_differs(self) -> bool:
        """Whether another hand changed the state file; blocks, for any thread."""
        return self._store.differs()

    def look_at_file(self) -> None:
        """Take up what another hand wrote into the state file."""
        self._store.changed()

    # -------------------------------------------------------------- Control

    async def watch(self) -> AsyncIterator[Snapshot]:
        changed = asyncio.Event()
        forget = self.subscribe(changed.set)
        try:
            while True:
                yield self.snapshot()
                await changed.wait()
                changed.clear()
        finally:
            forget()

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back, on this loop, whenever there is a new snapshot; calling the result ends that."""
        return self._board.subscribe(callback)

    def snapshot(self) -> Snapshot:
        """All of the citizen at this moment."""
        if self._snapshot is None:
            limit = self._rules.workers
            self._snapshot = Snapshot(
                citizen=self.citizen,
                tasks=tuple(job.row(limit) for job in self._rows),
                wake=self._wake.view() if self._wake else WakeView(configured=False),
                events=self._board.events(),
                home=str(self.home),
                unsaved=self._store.unsaved,
                problems=(*self._problems, *self._notes),
            )
        return self._snapshot

    def pulse(self) -> Pulse:
        return Pulse()  # whoever can ask on this loop sees it turn

    async def force(self, task: str, *, again: bool = False) -> Receipt:
        job = self._job(task)
        self._refuse_if_stopping()
        job.refuse_if_not_set_up()
        if job.busy:
            if not again:
                raise AlreadyRunning(f"{task} is already running; it can be asked to run again after that")
            job.again = True
            self._change(job, job.state.wanted())
        else:
            self._queue(job, Trigger.FORCE)
            self._start_ready()
            if job.run is None:
                self._change(job, job.state.wanted())
        return await self._receipt(f"{task}: forced")

    async def reset(self, task: str) -> Receipt:
        job = self._verb(task, "reset")
        self._change(job, job.state.reset())
        self._reschedule(job)
        return await self._receipt(f"{task}: reset")

    async def pause(self, task: str) -> Receipt:
        job = self._verb(task, "paused")
        self._change(job, job.state.put_on_hold(self._clock.now()))
        if job.waiting is not Trigger.FORCE:
            job.waiting = None
        self._reschedule(job)
        return await self._receipt(f"{task}: paused")

    async def resume(self, task: str) -> Receipt:
        job = self._verb(task, "resumed")
        self._change(job, job.state.resumed())
        self._reschedule(job)
        return await self._receipt(f"{task}: resumed")

    async def wake(self) -> Receipt:
        self._refuse_if_stopping()
        self._wakes().now()
        return Receipt(f"{self.citizen}: waking")

    def _verb(self, task: str, kind: str) -> Job:
        job = self._job(task)
        self._refuse_if_stopping()
        self._board.note(kind, task)
        return job

    def _job(self, name: str) -> Job:
        if name not in self._jobs:
            raise UnknownTask(name, self._jobs)
        return self._jobs[name]

    def _wakes(self) -> WakeCycle:
        if self._wake is None:
            raise NotSetUp(f"{self.citizen} has no wakes here: it was started without them")
        return self._wake

    def _refuse_if_stopping(self) -> None:
        if self._stopping:
            raise Stopping(f"{self.citizen} is shutting down")

    async def _receipt(self, text: str) -> Receipt:
        if await self._store.saved():
            return Receipt(text)
        return Receipt(f"{text}; done, not saved: {self._store.unsaved}", saved=False)

    # -------------------------------------------------------------- for callers on the same loop

    async def wake_and_wait(self) -> Outcome:
        """What one whole wake cycle came to."""
        return await self._wakes().now()

    async def finish(self, task: str) -> TaskState:
        """The task's state once it neither runs nor waits for a worker."""
        job = self._job(task)
        while job.run or job.waiting:
            await self._finishes.wait_for([task], None)
        return job.state

    async def drain(self, patience: float) -> list[str]:
        """Run what is due and wait for it; the tasks still running after `patience` seconds."""
        now = self._clock.now()
        for job in self._rows:
            if not job.busy and job.waiting is None and self._slot(job, now) <= now:
                self._queue(job, Trigger.WAKE)
        self._start_ready()
        names = [name for name in self._under_way() if name != "wake"]
        return await self._finishes.wait_for(names, patience)

    def take_results(self) -> list[TaskResult]:
        """The runs since this was last asked, each told once."""
        results = list(self._results)
        self._results.clear()
        return results

    async def carry_out(self, task: Task, carried_by: Callable[[Running], Awaitable[None]]) -> Result:
        """The outcome of a piece of work that is no task of its own: the wake."""
        run = Run(
            task.name,
            Trigger.SCHEDULE,
            self._clock.now(),
            lambda _, process: carried_by(process),
            self._showing,
        )
        current = asyncio.current_task()
        assert current is not None
        run.task = current
        run.context = self._context(task, run, None)
        self._wake_run = run
        self._deadlines.watch(run, task.timeout)
        try:
            return await self._attempt(task, run)
        finally:
            self._wake_run = None

    def wake_changed(self, kind: str, text: str, outcome: Outcome | None) -> None:
        """The wake cycle has got this far."""
        if kind == "wake ended":
            self._finishes.finished("wake")
        else:
            self._board.note(kind, text=text, outcome=outcome)
        self._show()

    # -------------------------------------------------------------- state: change, save, show

    def _change(self, job: Job, state: TaskState) -> None:
        """The one place where a state changes: remembered, asked to be saved, shown."""
        job.state = self._states[job.task.name] = state
        self._store.changed()
        self._shown(job)

    def _shown(self, job: Job) -> None:
        job.view = self._snapshot = None
        self._board.changed()

    def _showing(self, run: Run) -> None:
        if job := self._jobs.get(run.name):
            job.view = None
        self._show()

    def _show(self) -> None:
        self._snapshot = None
        self._board.changed()

    def _adopt(self, states: States, notes: list[str]) -> None:
        """Another hand changed these states in the file."""
        self._notes = tuple(notes)
        for name, state in states.items():
            self._states[name] = state
            if job := self._jobs.get(name):
                job.state = state
                job.view = None
                self._board.note("changed by hand", name)
                self._reschedule(job)
        self._show()

    def _recover(self, name: str, state: TaskState) -> TaskState:
        after = recovered(state, self._began, alive)
        if state.running:
            left = f"; pid {after.orphan.pid} is still running" if after.orphan else ""
            text = f"the scheduler died during this run{left}"
            self._board.note("finished", name, outcome=Outcome.INTERRUPTED, text=text)
        return after

    def _take_in(self, task: Task) -> None:
        """A task is there, new, changed or as before."""
        if handler := self._registered.get(task.name):
            task = task.with_work(Call(handler))
        job = self._jobs.get(task.name)
        if job is not None and job.task == task:
            return
        before = self._states.get(task.name, TaskState())
        state = before.seen(self._began)
        if job is None:
            job = self._jobs[task.name] = Job(task, state, floor=self._began)
            if isinstance(task.schedule, AtStart) and self._dispatching:
                state = state.wanted()
        job.task = task
        if state != before or self._states.get(task.name) != state:
            self._change(job, state)
        if state.orphan:
            job.left = (f"pid {state.orphan.pid}, started by an owner that died", _lives(state.orphan))
            self._look_at_left(job)
        self._reschedule(job)

    def _leave_out(self, name: str) -> None:
        """A task is gone: what it has under way ends by itself, nothing else remains."""
        self._timetable.drop(name)
        job = self._jobs.pop(name)
        job.waiting = None

    # -------------------------------------------------------------- when: the due loop

    def _slot(self, job: Job, now: float) -> float:
        return slot(self.citizen, job.task, job.state, now, job.floor)

    def _reschedule(self, job: Job) -> None:
        """Find out when the task is due next; the next slot is set before the run that uses it starts."""
        if job.busy or job.waiting:
            self._timetable.drop(job.task.name)
            return
        now = self._clock.now()
        job.when = self._slot(job, now)
        job.view = None
        if self._dispatching and self._jobs.get(job.task.name) is job:
            self._timetable.put(job.task.name, job.when)
            if job.when < self._timer_at:
                self._arm()

    def _arm(self) -> None:
        """Set the timer for whatever is due first."""
        when = self._timetable.next()
        if self._stopping or (when == self._timer_at and self._timer):
            return
        if self._timer:
            self._timer.cancel()
        self._timer_at = when
        self._timer = self._clock.call_at(when, self._ring) if when < NEVER else None

    def _ring(self) -> None:
        """Something is due: queue it, start what there are workers for, and always go on."""
        self._timer, self._timer_at = None, NEVER
        if self._stopping:
            return
        try:
            now = self._clock.now()
            for _ in range(SLICE):
                taken = self._timetable.take(now)
                if taken is None:
                    break
                self._queue(self._jobs[taken[1]], self._trigger(self._jobs[taken[1]], taken[0]))
            self._start_ready()
        finally:
            self._arm()

    def _trigger(self, job: Job, when: float) -> Trigger:
        if job.state.retry_at is not None and when == job.state.retry_at:
            return Trigger.RETRY
        missed = 0 < when < self._began - MISSED and job.state.last_run is not None
        return Trigger.CATCH_UP if missed else Trigger.SCHEDULE

    def _clock_jumped(self) -> None:
        """The wall clock was set, or the machine slept: every due time is found anew, none is replayed."""
        now = self._clock.now()
        self._board.note("clock jumped")
        for job in self._rows:
            job.floor = now
            self._reschedule(job)
        if self._wake:
            self._wake.replan(self._rules.wake or WakePlan())
        self._arm()
        self._show()

    # -------------------------------------------------------------- runs

    def _queue(self, job: Job, trigger: Trigger) -> None:
        """The task may run as soon as a worker is free: forced ones first, then by priority."""
        if job.waiting is trigger or job.run:
            return
        job.waiting = trigger
        self._timetable.drop(job.task.name)
        rank = -1 if trigger is Trigger.FORCE else job.task.priority
        heapq.heappush(self._ready, (rank, next(self._order), job.task.name))
        job.view = None

    def _start_ready(self) -> None:
        ready, limit = self._ready, self._rules.workers
        while ready and len(self._runs) < limit and not self._stopping:
            job = self._jobs.get(heapq.heappop(ready)[2])
            if job is not None and job.waiting is not None and not job.busy:
                self._start(job, job.waiting)

    def _start(self, job: Job, trigger: Trigger) -> None:
        name, now = job.task.name, self._clock.now()
        late = max(0.0, now - job.when) if 0 < job.when < NEVER else 0.0
        run = Run(name, trigger, now, self._carried, self._showing)
        run.context = self._context(job.task, run, job.state.last_success)
        job.run, job.waiting, job.again = run, None, False
        self._runs[name] = run
        self._deadlines.watch(run, job.task.timeout)
        self._change(job, job.state.started(Running(*self._process, now)))
        self._board.note("started", name, trigger=trigger, late=late)
        run.task = self._loop.create_task(self._carry_out(job, run), name=f"{self.citizen}/{name}")

    def _context(self, task: Task, run: Run, last_success: float | None) -> Context:
        secrets, home = self._rules.secrets, self.home
        return Context(
            self.citizen, home, task.name, task.options, secrets, last_success, run.trigger, run.report
        )

    async def _carry_out(self, job: Job, run: Run) -> None:
        result = await self._attempt(job.task, run)
        if not run.abandoned:
            self._finished(job, run, result)

    async def _attempt(self, task: Task, run: Run) -> Result:
        """What the run came to, whatever its handler does."""
        run.began = True
        try:
            if run.reason:
                raise asyncio.CancelledError
            written = self._store.written()
            if written is not None:
                await written  # a task that kills the process must not be started by the next one at once
            result = await self._workers.run(task, run.context, run)
        except GeneratorExit:
            raise
        except BaseException as error:
            # SystemExit included, is the outcome of their run and must not end anybody else's.
            return _blame(task, run, error)
        return _halted(task, run.reason) if run.reason else result

    def _finished(self, job: Job, run: Run, result: Result) -> None:
        now, outcome = self._clock.now(), result.outcome
        took = max(0.0, self._clock.elapsed() - run.started_at)
        self._runs.pop(run.name, None)
        job.run, job.left = None, run.left
        if outcome is Outcome.INTERRUPTED:
            state = job.state.interrupted(result.text, now, again=self._stopping)
        else:
            state = job.state.finished(outcome, result.text, now, took)
        retry_at = retry_time(job.task, state, outcome, now)
        if retry_at is not None:
            state = state.retrying(retry_at)
        elif state.attempt:
            state = state.gave_up()
        self._change(job, state)
        self._report(run, result, took, now)
        self._go_on(job)

    def _report(self, run: Run, result: Result, took: float, now: float) -> None:
        self._board.note(
            "finished", run.name, outcome=result.outcome, text=result.text, trigger=run.trigger, duration=took
        )
        if result.traceback:
            log.error(
                "traceback", extra={"citizen": self.citizen, "task": run.name, "text": result.traceback}
            )
        self._results.append(TaskResult(run.name, result.outcome, result.text, now))
        self._finishes.finished(run.name)
        if result.urgent and self._wake and not self._stopping:
            self._wake.urgent(result.text)

    def _go_on(self, job: Job) -> None:
        """A worker is free again, and the task has a next time."""
        if job.left:
            self._look_at_left(job)
        elif job.again and not self._stopping:
            self._queue(job, Trigger.FORCE)
        self._reschedule(job)
        if self._ready:
            self._start_ready()

    async def _carried(self, run: Run, process: Running) -> None:
        """The run has a process of its own: that is the one to look for after a crash."""
        job = self._jobs.get(run.name)
        if job is not None and job.run is run:
            self._change(job, job.state.carried_by(Running(process.pid, process.born, run.since)))
            if (written := self._store.written()) is not None:
                await written

    # -------------------------------------------------------------- runs that do not end by themselves

    def _all_runs(self) -> list[Run]:
        return [*self._runs.values(), *([self._wake_run] if self._wake_run else [])]

    def _under_way(self) -> list[str]:
        wake = ["wake"] if self._wake and self._wake.under_way else []
        return [*self._runs, *wake]

    def _halt_all(self) -> None:
        for run in self._all_runs():
            run.halt(Outcome.INTERRUPTED)

    def _took_too_long(self, run: Run) -> None:
        if run.reason is None:
            run.halt(Outcome.TIMED_OUT)
            self._deadlines.watch(run, WRITE_OFF)
        elif run.name in self._runs and self._runs[run.name] is run:
            self._write_off(run)

    def _write_off(self, run: Run) -> None:
        """The run does not end although it was told to: it is over for us, its worker is replaced."""
        task, job = run.task, self._jobs.get(run.name)
        run.abandoned = True
        self._abandoned.add(task)
        task.add_done_callback(self._abandoned.discard)
        self._runs.pop(run.name, None)
        if job is not None and job.run is run:
            run.left = run.left or ("a coroutine that ignores being cancelled", lambda: not task.done())
            self._finished(job, run, _halted(job.task, run.reason or Outcome.INTERRUPTED))

    def _look_at_left(self, job: Job) -> None:
        """What was left behind keeps its task from starting: a task never overlaps itself."""
        if self._stopping or job.left is None:
            return
        if job.left[1]():
            self._clock.call_later(LEFT_LOOK, lambda: self._look_at_left(job))
            return
        job.left = None
        if job.state.orphan:
            self._change(job, job.state.orphaned(None))
        self._board.note("left-over ended", job.task.name)
        self._go_on(job)
        self._shown(job)


def _lives(process: Running) -> Callable[[], bool]:
    return lambda: alive(process)


def _halted(task: Task, reason: Outcome) -> Result:
    if reason is Outcome.TIMED_OUT:
        return Result(reason, f"timed out after {in_words(task.timeout)}")
    return Result(reason, "interrupted: the scheduler was shut down")


def _blame(task: Task, run: Run, error: BaseException) -> Result:
    """The outcome that an exception stands for."""
    if run.reason:
        return _halted(task, run.reason)
    if isinstance(error, TaskFailed | SchedulerError):
        return Result(Outcome.FAILED, str(error) or "failed without saying why")
    if isinstance(error, asyncio.CancelledError):
        return Result(Outcome.FAILED, "cancelled itself")
    text = "".join(traceback.format_exception_only(error)).strip()
    return Result(Outcome.FAILED, text, traceback="".join(traceback.format_exception(error)))
