"""The requests of people and programs to a citizen's scheduler: force, pause, history and the like."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection
from contextlib import aclosing
from dataclasses import replace

from scheduler.core.planning import resumed
from scheduler.core.records import LISTED, MOST_LISTED, Recorder, RunQuery, RunRecord
from scheduler.core.schedules.forecast import Slots, TimeGrid, forecast
from scheduler.core.schedules.freeze import Freeze
from scheduler.core.state import TaskState
from scheduler.core.task import Trigger
from scheduler.core.views import HoldKind, OutputChunk, Receipt, TaskView
from scheduler.core.wording.description import TaskDetails, explain
from scheduler.core.wording.spans import moment
from scheduler.core.wording.text import pause_words
from scheduler.engine.dispatcher import Dispatcher
from scheduler.engine.freezing import Freezing
from scheduler.engine.job import Job
from scheduler.engine.options import SchedulerOptions
from scheduler.engine.paid.holds import Held
from scheduler.engine.paid.paid_runs import PaidRuns
from scheduler.engine.runner import Runner
from scheduler.engine.task_registry import TaskRegistry
from scheduler.engine.verbs.stop import Stop
from scheduler.engine.wake.requests import WakeRequests
from scheduler.errors import AlreadyRunning, BadSchedule, NotSetUp, SchedulerError, Stopping
from scheduler.process.who import Who, this_process
from scheduler.spending.money import amount_from
from scheduler.system.clock import Clock

LONGEST_WHY = 300  # characters that are kept


class Verbs:
    """The part of a scheduler that answers requests; the state that it changes belongs to the scheduler."""

    citizen: str
    _clock: Clock
    _dispatch: Dispatcher
    _freezing: Freezing
    _paid: PaidRuns
    _recorder: Recorder
    _registry: TaskRegistry
    _rules: SchedulerOptions
    _runner: Runner
    _stopper: Stop
    _wake: WakeRequests | None

    @property
    def stopping(self) -> bool:
        """Whether the scheduler has stopped starting runs."""
        return self._registry.stopping

    def running(self) -> list[str]:
        """The tasks that run now; for any thread."""
        return [job.task.name for job in self._registry.rows() if job.run and not job.in_queue]

    async def force(self, task: str, *, again: bool = False, who: Who | None = None) -> Receipt:
        job, by = self._open(task), who or this_process()
        self._freezing.refuse()
        if job.is_wake:
            return await self._wakes().force(by, again=again)
        job.refuse_if_not_set_up()
        if job.paid and not job.busy and (hold := self._paid.hold(job.task)[0]):
            raise Held(f"{self.citizen}/{task}", hold)
        if job.busy and not again:
            raise AlreadyRunning(f"{task} is already running (force --again queues another run)")
        run = job.state.run_count + (2 if job.run else 1)
        self._registry.update(job, job.state.asked_for(by))  # the request may outlive this process
        if job.busy:
            job.again = True
        else:
            self._dispatch.enqueue(job, Trigger.FORCE)
            self._dispatch.start_ready()
        if job.again or job.waiting:  # otherwise the event of its start says so
            self._registry.bus.add_event("forced", task, who=by)
        return replace(await self._registry.receipt(f"{task}: forced"), run=run)

    async def wait(self, task: str, run: int) -> TaskView:
        """Return the task once this run has ended; raises SchedulerError if it will not start."""
        job = self._registry.job(task)
        while job.state.run_count < run:
            if not (job.run or job.waiting or job.again):
                job.refuse_if_not_set_up()
                self._refuse_if_stopping()
                self._freezing.refuse()
                raise SchedulerError(f"{task}: the run was taken out of the queue")
            await self._runner.waiters.wait_for([task], None)
        return job.row(self._rules.workers)

    async def reset(self, task: str, *, who: Who | None = None) -> Receipt:
        by = who or this_process()
        return await self._turn(task, "reset", by, lambda state: state.reset(by))

    async def pause(
        self, task: str, *, until: float | None = None, why: str = "", who: Who | None = None
    ) -> Receipt:
        now, job, why, by = self._clock.now(), self._open(task), why[:LONGEST_WHY], who or this_process()
        if until is not None and until <= now:
            raise BadSchedule(f"{task}: the pause would end before it begins: {moment(until, now)} is over")
        self._dispatch.unqueue(job)
        self._runner.waiters.check_queued(job)
        why = self._rules.masks.hide(why)
        text = pause_words(until, why, "", now)
        self._registry.bus.add_event("paused", task, text=text.lstrip(" :"), who=by)
        self._change(job, job.state.with_pause(now, until, why, str(by)))
        if job.run and not (job.rechecks_itself or self._dispatch.may_begin(job.run, job)):
            self._runner.take_back(job.run)
        return await self._registry.receipt(f"{task}: paused{text}")

    async def resume(self, task: str, *, who: Who | None = None) -> Receipt:
        now, job = self._clock.now(), self._open(task)
        return await self._turn(
            task, "resumed", who, lambda state: resumed(self.citizen, job.task, state, now)
        )

    async def freeze(self, *, until: float | None = None, why: str = "", who: Who | None = None) -> Receipt:
        return await self._freezing.freeze(until, why, who or this_process(), self._rules.masks)

    async def thaw(self, *, who: Who | None = None) -> Receipt:
        return await self._freezing.thaw(who or this_process())

    async def look_at_freeze(self) -> Freeze | None:
        """The freeze in force, read from the files now; None if there is none."""
        return self._freezing.look()

    async def stop_run(self, task: str, *, who: Who | None = None) -> Receipt:
        return await self._stopper.stop(self._open(task), who or this_process())

    async def add_to_budget(self, amount: str, *, together: bool = False, who: Who | None = None) -> Receipt:
        by = who or this_process()
        self._refuse_if_stopping()
        if by.run:
            raise SchedulerError(f"a run may not lift a limit ({by.run} asks): a person does, outside of it")
        try:
            dollars = amount_from(amount)
        except ValueError as error:
            raise SchedulerError(str(error)) from error
        text = await asyncio.to_thread(self._paid.lift, dollars, together=together)
        self._registry.bus.add_event("budget lifted", text=text, who=by)
        self._check_again(HoldKind.BUDGET)
        return Receipt(f"{self.citizen}: {text}")

    async def try_provider(self, provider: str, *, who: Who | None = None) -> Receipt:
        by = who or this_process()
        await asyncio.to_thread(self._paid.try_now, provider)
        text = "the next run that is due tries it"
        self._registry.bus.add_event("tried early", text=text, who=by, provider=provider)
        self._check_again(HoldKind.PROVIDER)
        return Receipt(f"{provider}: {text}")

    def _check_again(self, kind: HoldKind) -> None:
        """Check again all tasks that are held for this reason."""
        for job in self._registry.rows():
            if job.held and job.held.kind is kind:
                self._registry.hold(job, None)
                self._dispatch.reschedule(job)
        self._registry.bus.notify()

    async def wake(self, *, who: Who | None = None) -> Receipt:
        self._refuse_if_stopping()
        self._freezing.refuse()
        return await self._wakes().now(who or this_process())

    async def history(
        self, task: str | None = None, *, limit: int = LISTED, failed: bool = False, before: int | None = None
    ) -> tuple[RunRecord, ...]:
        asked = RunQuery(task, min(limit, MOST_LISTED), failed, before)
        return await self._recorder.runs(asked, self._registry.jobs)

    async def output(self, run: int) -> str:
        return await self._recorder.output(run)

    async def slots(self, tasks: Collection[str], window: TimeGrid) -> Slots:
        jobs = [job for job in self._registry.rows() if job.task.name in tasks]
        asked = [(job.task, job.state, job.floor) for job in jobs]
        return await forecast(self.citizen, asked, self._clock.now(), window, self._freezing.current)

    async def explain(self, task: str) -> TaskDetails:
        job, now = self._registry.job(task), self._clock.now()
        freeze, masks = self._freezing.current, self._rules.masks
        held = (job.held and job.held.until) or 0.0
        pings = (listener.last_ping(task) for listener in self._registry.bus.listeners)
        ping = next(filter(None, pings), None)
        return explain(self.citizen, job.task, job.state, now, job.floor, masks, freeze, held, ping)

    async def follow(self, task: str) -> AsyncGenerator[OutputChunk, None]:
        job = self._registry.job(task)
        run = job.run
        if run is None and job.waiting and not self.stopping:
            run = await self._runner.waiters.next_run(task)
        if run:
            async with aclosing(run.output.subscribe()) as chunks:
                async for chunk in chunks:
                    yield chunk

    async def _turn(
        self, task: str, kind: str, who: Who | None, change: Callable[[TaskState], TaskState]
    ) -> Receipt:
        job = self._open(task)
        self._registry.bus.add_event(kind, task, who=who or this_process())
        self._change(job, change(job.state))
        return await self._registry.receipt(f"{task}: {kind}")

    def _change(self, job: Job, state: TaskState) -> None:
        self._registry.update(job, state)
        self._dispatch.reschedule(job)

    def _open(self, task: str) -> Job:
        self._refuse_if_stopping()
        return self._registry.job(task)

    def _wakes(self) -> WakeRequests:
        if self._wake is None or not self._rules.wakes:
            raise NotSetUp(f"{self.citizen} has no wakes here: it was started without them")
        return self._wake

    def _refuse_if_stopping(self) -> None:
        if self._registry.stopping:
            raise Stopping(f"{self.citizen} is shutting down")
