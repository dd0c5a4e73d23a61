"""Runs from start to outcome: whatever a handler does, its run ends, is recorded, and ends nobody else's."""

import asyncio
import logging
import os
import traceback
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from scheduler.core.planning import retry_time
from scheduler.core.ports import Listener
from scheduler.core.records import FinishedRun
from scheduler.core.schedule import in_words
from scheduler.core.state import TaskState
from scheduler.core.task import Context, Llm, Outcome, Task, Trigger
from scheduler.engine.finishes import CompletionWaiters
from scheduler.engine.jobs import Job
from scheduler.engine.registry import TaskRegistry
from scheduler.engine.run import RunHandle
from scheduler.engine.timeouts import RunTimeouts
from scheduler.engine.wake import TaskResult
from scheduler.errors import SchedulerError, TaskFailed
from scheduler.executors import Executor, Result
from scheduler.system.clock import Clock
from scheduler.system.process_info import Running, alive
from scheduler.system.process_info import born as born_at

log = logging.getLogger("experience")

WRITE_OFF = 10.0  # seconds that a run may take to end after it was told to
LEFT_LOOK = 1.0  # seconds between two looks whether what was left behind has ended
RESULTS_KEPT = 200
OK, SCHEDULE = Outcome.OK, Trigger.SCHEDULE  # members of an enumeration are slow to find
WAKE = "wake"  # the one run that is no task's


class Runner:
    """Carries out a citizen's runs.

    `free` is told that a worker is free, `ended` of each task that may have a next time.
    """

    def __init__(
        self,
        citizen: str,
        home: Path,
        registry: TaskRegistry,
        clock: Clock,
        workers: Executor,
        free: Callable[[], None],
        ended: Callable[[Job], None],
        urgent: Callable[[str], None],
        record: Callable[[FinishedRun], None],
    ) -> None:
        self.secrets: Mapping[str, str] = {}
        self.llm: Llm | None = None
        self.listener: Listener | None = None
        self.runs: dict[str, RunHandle] = {}
        self._results: deque[tuple[str, Outcome, str, float]] = deque(maxlen=RESULTS_KEPT)
        self.finishes = CompletionWaiters(clock)
        self.stopping = False
        self._citizen, self._home, self._registry, self._clock = citizen, home, registry, clock
        self._workers, self._afterwards = workers, workers.afterwards
        self._free, self._ended, self._urgent, self._record = free, ended, urgent, record
        self._timeouts = RunTimeouts(clock, self._all, self._time_out)
        self._jobs: dict[str, Job] = {}  # of the runs: the settings may have lost the task meanwhile
        self._wake: RunHandle | None = None
        self._wake_given_up: asyncio.Future[None]
        self._wake_left: tuple[str, Callable[[], bool]] | None = None
        self._abandoned: set[asyncio.Task[Any]] = set()
        self._process = (0, 0.0)
        # Methods that each run needs bound: once is enough.
        self._carried_by, self._shown, self._told = self._carried, self._showing, self._finished

    def begin(self) -> None:
        """Runs happen on this loop, in this process."""
        self._loop = asyncio.get_running_loop()
        self._process = (os.getpid(), born_at(os.getpid()) or 0.0)

    def under_way(self) -> list[str]:
        """The tasks that run at this moment, and the wake."""
        self._afterwards.flush()
        return [*self.runs, *([WAKE] if self._wake else [])]

    def drain_results(self) -> list[TaskResult]:
        """The runs since this was last asked, each told once."""
        results = [TaskResult(*each) for each in self._results]
        self._results.clear()
        return results

    # -------------------------------------------------------------- a run

    def start(self, job: Job, trigger: Trigger) -> None:
        """The task runs from now on: recorded before its handler gets control."""
        name, now = job.task.name, self._clock.now()
        late = now - job.when if 0 < job.when < now else 0.0
        if trigger is SCHEDULE:
            now = job.task.schedule.counted(job.when, now)
        run = RunHandle(name, trigger, now, self._carried_by, self._shown)
        self.runs[name] = job.run = run
        self._jobs[name] = job
        job.waiting, job.again = None, False
        self._timeouts.watch(run, job.task.timeout)
        registry, (pid, born) = self._registry, self._process
        registry.update(job, job.state.started(Running(pid, born, now)))
        registry.add_event("started", name, None, "", trigger, None, late)
        if self.listener:
            self.listener.started(job.task)
        # Not by way of the loop's create_task, which costs as much again as the task.
        work = self._attempt(job.task, run, job)
        run.task = asyncio.Task(work, loop=self._loop, name=f"{self._citizen}/{name}")

    async def run_wake_command(self, task: Task, carried_by: Callable[[Running], Awaitable[None]]) -> Result:
        """The outcome of a piece of work that is no task of its own: the wake."""

        async def carried(_: RunHandle, process: Running) -> None:
            await carried_by(process)

        run = self._wake = RunHandle(task.name, Trigger.WAKE, self._clock.now(), carried, self._showing)
        if self._wake_left and self._wake_left[1]():
            self._wake = None
            return Result(Outcome.SKIPPED, f"the wake before has not ended: {self._wake_left[0]}")
        if self.stopping:
            run.halt(Outcome.INTERRUPTED)
        attempt: asyncio.Task[Result] = self._loop.create_task(self._attempt(task, run))
        run.task = attempt
        exit_code_for = self._wake_given_up = self._loop.create_future()
        self._timeouts.watch(run, task.timeout)
        try:
            await asyncio.wait({attempt, exit_code_for}, return_when=asyncio.FIRST_COMPLETED)
            if attempt.done():
                self._wake_left = run.left
                return attempt.result()
            self._wake_left = ("a coroutine that ignores being cancelled", lambda: not attempt.done())
            run.halt(Outcome.INTERRUPTED)
            return _halted(task, run)
        finally:
            self._wake = None

    def _context(self, task: Task, run: RunHandle, last_success: float | None) -> Context:
        return Context(
            self._citizen,
            self._home,
            task.name,
            task.options,
            self.secrets,
            last_success,
            run.trigger,
            run.report,
            self.llm,
        )

    async def _attempt(self, task: Task, run: RunHandle, job: Job | None = None) -> Result:
        """What the run came to, whatever its handler does; the run of a job is finished with it."""
        run.began = True
        try:
            if run.reason:
                raise asyncio.CancelledError
            if (written := self._registry.written()) is not None:
                await written  # so that what kills this process is not the first that the next one starts
            # The context knows its run; a run that knew its context, too, would be left to the garbage
            # collector, which took a third of the time of a run.
            context = self._context(task, run, job.state.last_success if job else None)
            result = await self._workers.run(task, context, run)
        except GeneratorExit:
            raise
        except BaseException as error:
            # Handlers are strangers' code: whatever they raise, SystemExit included, is the outcome of
            # their own run and must not end anybody else's. The one broad except there is.
            result = _blame(task, run, error)
        if run.reason:
            result = _halted(task, run)
        if job and not run.abandoned:
            self._over(job, run, result)
        return result

    def _over(self, job: Job, run: RunHandle, result: Result) -> None:
        """The worker is free at once; what became of the run is told after other starts."""
        took = self._clock.elapsed() - run.started_at
        self.runs.pop(run.name, None)
        self._afterwards.put(self._told, job, run, result, self._clock.now(), took)
        self._free()

    def _finished(self, job: Job, run: RunHandle, result: Result, now: float, took: float) -> None:
        outcome, before = result.outcome, job.state
        job.run, job.left = None, run.left
        state = self._after(job, result, now, took)
        self._registry.update(job, state)
        self._report(run, result, took, now)
        if self.listener and not (self.stopping and outcome is Outcome.INTERRUPTED):
            self.listener.finished(job.task, before, state)
        if job.left:
            self.reap_leaked(job)
        self._ended(job)
        text, trace, printed = result.text, result.traceback, run.printed
        attempt = before.attempt + 1
        self._record(
            FinishedRun(run.name, run.trigger, attempt, run.since, now, took, outcome, text, trace, printed)
        )

    def _after(self, job: Job, result: Result, now: float, took: float) -> TaskState:
        """The state of a task whose run came to this."""
        outcome, before = result.outcome, job.state
        if outcome is Outcome.INTERRUPTED:
            state = before.interrupted(result.text, now, again=self.stopping)
        else:
            state = before.finished(outcome, result.text, now, took)
        if outcome is OK or not outcome.bad:
            return state
        retry_at = retry_time(job.task, state, outcome, now)
        if retry_at is not None:
            return state.retrying(retry_at)
        return state.gave_up() if state.attempt else state

    def _report(self, run: RunHandle, result: Result, took: float, now: float) -> None:
        name, outcome, text = run.name, result.outcome, result.text
        self._registry.add_event("finished", name, outcome, text, run.trigger, took)
        if result.traceback:
            log.error(result.traceback, extra={"citizen": self._citizen, "task": name})
        self._results.append((name, outcome, text, now))
        self.finishes.finished(name)
        if result.urgent and not self.stopping:
            self._urgent(text)

    def _showing(self, run: RunHandle) -> None:
        if job := self._registry.jobs.get(run.name):
            self._registry.publish(job)

    async def _carried(self, run: RunHandle, process: Running) -> None:
        """The run has a process of its own: that is the one to look for after a crash."""
        job = self._jobs.get(run.name)
        if job is not None and job.run is run:
            self._registry.update(job, job.state.carried_by(Running(process.pid, process.born, run.since)))
            if (written := self._registry.written()) is not None:
                await written

    # -------------------------------------------------------------- runs that do not end by themselves

    async def stop(self, grace: float) -> None:
        """Give runs `grace` seconds, then end them as interrupted; nothing runs afterwards."""
        self.stopping = True
        await self.finishes.wait_for(self.under_way(), grace)
        self.kill_all()
        await self.finishes.wait_for(self.under_way(), WRITE_OFF)
        for run in self._all():
            self._abandon(run)
        self._afterwards.flush()
        self._timeouts.stop()
        self.finishes.give_up()

    def kill_all(self) -> None:
        """Everything that runs is told to end."""
        for run in self._all():
            run.halt(Outcome.INTERRUPTED)

    def _all(self) -> list[RunHandle]:
        return [*self.runs.values(), *([self._wake] if self._wake else [])]

    def _time_out(self, run: RunHandle) -> None:
        if run.reason is None:
            run.halt(Outcome.TIMED_OUT)
            self._timeouts.watch(run, WRITE_OFF)
        else:
            self._abandon(run)

    def _abandon(self, run: RunHandle) -> None:
        """The run does not end although it was told to: it is over for us, its worker is replaced."""
        task, job = run.task, self._jobs.get(run.name)
        run.abandoned = True
        if run is self._wake:
            if not self._wake_given_up.done():
                self._wake_given_up.set_result(None)
        elif self.runs.get(run.name) is run:
            del self.runs[run.name]
        else:
            return
        if task is None:
            return
        self._abandoned.add(task)  # the loop itself holds tasks weakly
        task.add_done_callback(self._abandoned.discard)
        if job is not None and job.run is run:
            run.left = run.left or ("a coroutine that ignores being cancelled", lambda: not task.done())
            run.halt(Outcome.INTERRUPTED)
            self._over(job, run, _halted(job.task, run))

    def reap_leaked(self, job: Job) -> None:
        """What was left behind keeps its task from starting: a task never overlaps itself."""
        if job.left is None and job.state.orphan:
            orphan = job.state.orphan
            job.left = (f"pid {orphan.pid}, started by an owner that died", lambda: alive(orphan))
        if self.stopping or job.left is None:
            return
        if job.left[1]():
            self._clock.call_later(LEFT_LOOK, lambda: self.reap_leaked(job))
            return
        job.left = None
        if job.state.orphan:
            self._registry.update(job, job.state.orphaned(None))
        self._registry.add_event("left-over ended", job.task.name)
        self._ended(job)


def _halted(task: Task, run: RunHandle) -> Result:
    if run.reason is Outcome.TIMED_OUT:
        return Result(Outcome.TIMED_OUT, f"timed out after {in_words(task.timeout)}")
    return Result(Outcome.INTERRUPTED, f"interrupted: {run.why}")


def _blame(task: Task, run: RunHandle, error: BaseException) -> Result:
    """The outcome that an exception stands for."""
    if isinstance(error, TaskFailed | SchedulerError):
        return Result(Outcome.FAILED, str(error) or "failed without saying why")
    if isinstance(error, asyncio.CancelledError):
        return Result(Outcome.FAILED, "cancelled itself")
    text = "".join(traceback.format_exception_only(error)).strip()
    return Result(Outcome.FAILED, text, traceback="".join(traceback.format_exception(error)))
