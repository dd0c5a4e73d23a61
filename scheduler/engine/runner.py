"""Runs from start to outcome: whatever a handler does, its run ends and does not end other runs."""

import asyncio
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from scheduler.core.schedules.schedule import NEVER, short_duration
from scheduler.core.secrets import Masks
from scheduler.core.task import Context, Outcome, Task
from scheduler.engine.job import Job
from scheduler.engine.run import RunHandle
from scheduler.engine.run_registry import RunRegistry
from scheduler.engine.run_waiters import RunWaiters
from scheduler.errors import SchedulerError, TaskFailed
from scheduler.executors.executor import Executor
from scheduler.executors.result import Result
from scheduler.process.process_info import alive
from scheduler.process.who import UNKNOWN_USER, Who
from scheduler.system.clock import Clock, Timer

Execute = Callable[[Task, Context, RunHandle], Awaitable[Result]]

TURNS = 10  # turns of the loop within which the result of an ended run arrives
WRITE_OFF = 10.0  # seconds that a run may take to end after it was cancelled
LEFT_CHECK = 1.0  # seconds between two checks whether left-overs of a run have ended
DEAF = "a coroutine that ignores being cancelled"


class Runner:
    """Carries out a citizen's runs and ends those that last too long.

    `ended` is called with the result of each run of a task, even of one that does not end although it was
    cancelled.
    """

    def __init__(
        self,
        runs: RunRegistry,
        clock: Clock,
        workers: Executor,
        ended: Callable[[RunHandle, Result], None],
    ) -> None:
        self.waiters, self.execute = RunWaiters(clock), workers.run
        self._runs, self._registry, self._clock, self._workers = runs, runs.tasks, clock, workers
        self._ended = ended
        self._timer: Timer | None = None
        self._timer_at = NEVER  # one timer for the earliest deadline, however many runs there are
        self._abandoned: set[asyncio.Task[Any]] = set()

    def under_way(self) -> list[str]:
        """The names of the tasks that run at this moment, and of the wake."""
        self._workers.deferred.flush()
        return [*self._runs.on_workers, *self._runs.wakes]

    # -------------------------------------------------------------- a run

    def watch(self, run: RunHandle, timeout: float) -> None:
        """End the run if it lasts longer than this from now on."""
        run.limit = timeout
        self._set_deadline(run, timeout)

    async def run(self, task: Task, run: RunHandle, context: Context, execute: Execute | None = None) -> None:
        """Carry out the run, by its worker or by `execute`, and end it, whatever its handler does."""
        run.began = True
        try:
            if run.reason:
                raise asyncio.CancelledError
            registry, on_record = self._registry, None
            if not task.queue:  # else recorded with its cost: a worker may begin it from then on
                on_record = self._runs.put_on_record(run) if registry.fenced else registry.store.written()
            if on_record is not None:
                await on_record  # a run that kills this process must not be the next owner's first one
                if run.variables:
                    context = replace(context, variables=run.variables)
            if execute is None and run.job and run.job.in_process:
                await self._runs.give_control(run)
            result = await (execute or self.execute)(task, context, run)
        except GeneratorExit:
            raise
        except BaseException as error:
            # Handlers are foreign code: whatever they raise, SystemExit included, is the outcome of
            # their own run and must not end another one. This is the only broad except in the code base.
            result = _blame(error)
        if run.reason:
            result = _halted(task, run)
        if result.text or result.traceback:
            result = _masked(result, run.masks)
        if not run.abandoned:
            run.task = None  # with ten thousand runs waiting to be recorded this is a third of their memory
            self._ended(run, result)

    # -------------------------------------------------------------- runs that do not end by themselves

    async def wait_for_endings(self) -> None:
        """Return when the runs that are under way now have ended; those of daemons are not waited for."""
        jobs = {name: run.job for name, run in self._runs.on_workers.items()}
        daemons = {name for name, job in jobs.items() if job and not job.task.ends}
        await self.waiters.wait_for(set(self.under_way()) - daemons, None)

    async def stop(self, grace: float) -> None:
        """Give runs `grace` seconds, then end them as interrupted; nothing runs afterwards."""
        await self.waiters.wait_for(self.under_way(), grace)
        self.kill_all()
        await self.waiters.wait_for(self.under_way(), WRITE_OFF)
        for run in self._all():
            self._abandon(run)
        self._workers.deferred.flush()
        self._stop_timer()
        self.waiters.give_up()

    def end(self, run: RunHandle, who: Who) -> bool:
        """End the run as stopped, the second time without grace; False if it has exited by itself."""
        first = run.reason is None
        run.halt(Outcome.STOPPED)
        if first and run.reason:
            run.stopped_by = who
            self._set_deadline(run, WRITE_OFF)
        return run.reason is not None

    async def ended_within(self, run: RunHandle, seconds: float) -> bool:
        """Whether the run ends and is recorded within this many seconds."""
        if run.task:
            await asyncio.wait({run.task}, timeout=seconds)
        self._workers.deferred.flush()
        return run.task is None or run.task.done()

    def take_back(self, run: RunHandle, missed: str = "") -> None:
        """End a run whose program has not got control: it does not begin, and stays due unless `missed`.

        The record of a start may take seconds, on a slow disk or with the database away.
        """
        if not (run.began_at or run.reason):
            run.put_back, run.never_began, run.opened = not missed, True, False
            run.halt(Outcome.SKIPPED, missed)

    def kill_all(self) -> None:
        """Cancel everything that runs."""
        for run in self._all():
            run.halt(Outcome.INTERRUPTED)

    def _all(self) -> list[RunHandle]:
        return [*self._runs.on_workers.values(), *self._runs.wakes.values()]

    # -------------------------------------------------------------- timeouts

    def _set_deadline(self, run: RunHandle, seconds: float) -> None:
        """Time the run out unless its result arrives within this many seconds."""
        now = self._clock.elapsed()
        run.started_at = run.started_at or now
        run.deadline = now + seconds
        if run.deadline < self._timer_at:
            self._arm(run.deadline)

    def _arm(self, at: float) -> None:
        self._stop_timer()
        self._timer_at = at
        self._timer = self._clock.call_later(max(0.0, at - self._clock.elapsed()), self._check_deadlines)

    def _stop_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer, self._timer_at = None, NEVER

    def _check_deadlines(self, turns: int = TURNS) -> None:
        """Judge after some turns: after a stall deadlines have passed, but many runs have ended in time."""
        self._stop_timer()
        if turns:
            self._timer_at = -NEVER  # a new deadline must not postpone this
            self._timer = asyncio.get_running_loop().call_soon(self._check_deadlines, turns - 1)
            return
        now = self._clock.elapsed()
        for run in [run for run in self._all() if run.deadline <= now]:
            run.deadline = NEVER
            self._time_out(run)
        nearest = min((run.deadline for run in self._all()), default=NEVER)
        if nearest < NEVER:
            self._arm(nearest)

    def _time_out(self, run: RunHandle) -> None:
        if run.reason is None and (left := self._left(run)) > 0:
            self._set_deadline(run, left)
        elif run.reason is None:
            run.halt(Outcome.TIMED_OUT)
            self._set_deadline(run, WRITE_OFF)
        else:
            self._abandon(run)

    def _left(self, run: RunHandle) -> float:
        """The seconds left, counted from when its program got control; the limit once more if it has not."""
        if run.began_at:
            return run.began_at + run.limit - self._clock.elapsed()
        first, run.held_up = not run.held_up, True
        return run.limit if first else 0.0

    def _abandon(self, run: RunHandle) -> None:
        """Count a run that does not end after its cancellation as over, and replace its worker."""
        task, job = run.task, run.job
        run.abandoned = True
        if task is not None:
            self._abandoned.add(task)  # the loop itself holds only weak references to tasks
            task.add_done_callback(self._abandoned.discard)
        if job is not None and task is not None and job.run is run:
            run.left = run.left or (DEAF, lambda: not task.done())
            run.halt(Outcome.INTERRUPTED)
            self._ended(run, _halted(job.task, run))
        else:
            self._runs.free_worker(run)

    def reap_leaked(self, job: Job, ended: Callable[[Job], None]) -> None:
        """Keep a task from starting until what its last run left has ended: no task overlaps itself."""
        if job.left is None and job.state.orphan:
            orphan = job.state.orphan
            job.left = (f"pid {orphan.pid}, started by an owner that died", lambda: alive(orphan))
        if self._registry.stopping or job.left is None:
            return
        if job.left[1]():
            self._clock.call_later(LEFT_CHECK, lambda: self.reap_leaked(job, ended))
            return
        job.left = None
        if job.state.orphan:
            self._registry.update(job, job.state.orphaned(None))
        self._registry.bus.add_event("left-over ended", job.task.name)
        ended(job)


def _masked(result: Result, masks: Masks) -> Result:
    """The result with secrets hidden; every result passes through here."""
    text, traceback = masks.hide(result.text), masks.hide(result.traceback)
    if text == result.text and traceback == result.traceback:
        return result
    return Result(result.outcome, text, result.urgent, traceback)


def _halted(task: Task, run: RunHandle) -> Result:
    alive = f"; still running: {run.left[0]}" if run.left and run.survivor else ""
    if run.reason is Outcome.TIMED_OUT:
        return Result(Outcome.TIMED_OUT, f"timed out after {short_duration(task.timeout)}{alive}")
    if run.reason is Outcome.STOPPED:
        return Result(Outcome.STOPPED, f"stopped by {run.stopped_by or UNKNOWN_USER}{alive}")
    if run.reason is Outcome.SKIPPED:
        return Result(Outcome.SKIPPED, run.why)
    return Result(Outcome.INTERRUPTED, f"interrupted: {run.why}{alive}")


def _blame(error: BaseException) -> Result:
    """The result for an exception."""
    if isinstance(error, TaskFailed | SchedulerError):
        return Result(Outcome.FAILED, str(error) or "failed without saying why")
    if isinstance(error, asyncio.CancelledError):
        return Result(Outcome.FAILED, "cancelled itself")
    text = "".join(traceback.format_exception_only(error)).strip()
    return Result(Outcome.FAILED, text, traceback="".join(traceback.format_exception(error)))
