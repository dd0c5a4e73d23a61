"""Scheduler: the sole owner of one citizen's state. It starts, steers and shows; others get values."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from pathlib import Path

from scheduler.core.description import TaskDetails, explain
from scheduler.core.planning import Slots, TimeGrid, forecast
from scheduler.core.ports import Listener
from scheduler.core.records import LISTED, MOST_LISTED, Forgetful, Recorder, RunQuery, RunRecord
from scheduler.core.schedule import AtStart
from scheduler.core.state import TaskState
from scheduler.core.task import Call, Handler, Llm, Outcome, Retention, Task, Trigger, WakeConfig
from scheduler.core.views import Heartbeat, OutputChunk, Receipt, Snapshot, TaskView, WakeView
from scheduler.engine.dispatcher import Dispatcher
from scheduler.engine.event_bus import snapshots
from scheduler.engine.jobs import Job
from scheduler.engine.registry import TaskRegistry
from scheduler.engine.run import RunHandle
from scheduler.engine.runner import WAKE, Runner
from scheduler.engine.wake import TaskResult, WakeCycle
from scheduler.errors import AlreadyRunning, NotSetUp, SchedulerError, Stopping
from scheduler.executors import Executor, Result
from scheduler.executors.streams import Signal, pieces
from scheduler.storage.failure_journal import FailureJournal
from scheduler.storage.state_store import Store
from scheduler.system.clock import Clock
from scheduler.system.process_info import Running


@dataclass(frozen=True, slots=True)
class SchedulerOptions:
    """What a citizen's settings say beyond its tasks; seconds."""

    workers: int = 4
    grace: float = 10.0
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    wake: WakeConfig | None = None
    background: bool = True
    llm: Llm | None = None
    history: Retention = Retention()  # noqa: RUF009  # frozen
    journal: bool = True  # write runs that fail into the citizen's memory


class Scheduler:
    """One citizen's tasks on time; implements Control. Everything here happens on one event loop."""

    def __init__(
        self,
        citizen: str,
        home: Path,
        tasks: Iterable[Task],
        *,
        store: Store,
        clock: Clock,
        workers: Executor,
        rules: SchedulerOptions | None = None,
        recorder: Recorder | None = None,
    ) -> None:
        self.citizen, self.home = citizen, home
        self._tasks, self._rules, self._clock = tuple(tasks), rules or SchedulerOptions(), clock
        self._registered: dict[str, Handler] = {}
        self._leaving: dict[str, Job] = {}
        self._expected: dict[
            str, asyncio.Future[RunHandle | None]
        ] = {}  # runs of queued tasks that are followed
        self._problems: tuple[str, ...] = ()
        self._notices: tuple[str, ...] = ()
        self._started = self._stopping = False
        self._workers = workers
        self._registry = TaskRegistry(citizen, store, clock, self._ended)
        self._failure_journal = FailureJournal(citizen, home, clock)
        if self._rules.journal:
            self._registry.bus.trouble = self._failure_journal.trouble
        self._recorder = recorder or Forgetful()
        self._runner = Runner(
            citizen,
            home,
            self._registry,
            clock,
            workers,
            self._free,
            self._ended,
            self._urgent,
            self._recorder.record,
        )
        self._dispatch = Dispatcher(citizen, self._registry, clock, self._start, self._runner.runs)
        self._wake = self._wake_cycle()
        self._apply_options(self._rules)

    # -------------------------------------------------------------- life

    async def start(self, *, dispatch: bool = True) -> None:
        """Take up the saved state and run from now on what is due; raises Unreadable.

        Without `dispatch` nothing runs unless it is forced or drained.
        """
        await asyncio.to_thread(self._load)
        self._recorder.begin(lambda kind, text: self._registry.add_event(kind, text=text))
        self._registry.begin()
        for run in self._registry.unfinished_runs:
            self._recorder.record(run)
        self._failure_journal.begin()
        self._runner.begin()
        self._dispatch.begin(by_schedule=dispatch and self._rules.background)
        self.set_tasks(self._tasks)
        if listener := self._runner.listener:
            listener.began((job.task, job.state) for job in self._registry.rows())
        self._started = True
        if self._wake and dispatch:
            self._wake.start()

    async def stop(self, grace: float | None = None) -> None:
        """Start nothing new, give runs `grace` seconds, end the rest as interrupted, save."""
        self._stopping = True
        self._dispatch.stop()
        if self._wake:
            self._wake.stop()
        await self._runner.stop(self._rules.grace if grace is None else grace)
        if self._wake:
            await self._wake.ended()
        await self._failure_journal.close()
        await asyncio.gather(self._registry.close(), self._recorder.close())
        self._registry.add_event("stopped")
        for task in list(self._expected):
            self._expect_no_more(task, None)

    def stop_now(self) -> None:
        """Asked to stop a second time: what is still running ends at once."""
        self._stopping = self._runner.stopping = True
        self._dispatch.stop()
        self._workers.stop_now()
        self._runner.kill_all()

    def register_handler(self, name: str, handler: Handler) -> None:
        """Run `handler` for this task instead of what the settings say, in this process."""
        self._registry.job(name)
        self._registered[name] = handler
        self.set_tasks(self._tasks)

    def add_listener(self, listener: Listener) -> None:
        """Tell this listener of all runs; before `start`."""
        self._runner.listener = listener

    def set_tasks(self, tasks: Iterable[Task], rules: SchedulerOptions | None = None) -> None:
        """Go on with other settings: unchanged tasks keep their next time, removed ones are gone."""
        self._tasks, self._problems = tuple(tasks), ()
        self._apply_options(rules or self._rules)
        for name in self._registry.jobs.keys() - {task.name for task in self._tasks}:
            gone = self._registry.jobs.pop(name)
            self._dispatch.forget(gone)
            self._not_waiting(gone)
            if gone.busy:  # it may come back before its run has ended
                self._leaving[name] = gone
            if gone.run:
                gone.run.halt(Outcome.INTERRUPTED, "the task was removed from the settings")
        for task in self._tasks:
            self._apply_tasks(task)
        self._registry.order()
        self._dispatch.start_ready()

    def set_problems(self, problems: Iterable[str]) -> None:
        """Go on as before, and show what is wrong with the newest settings."""
        self._problems = tuple(problems)
        self._registry.bus.notify()

    def set_notices(self, notices: Iterable[str]) -> None:
        """Show, beside what is wrong with the settings, what cannot be done as they say."""
        if (wanted := tuple(notices)) != self._notices:
            self._notices = wanted
            for each in wanted:
                self._registry.add_event("notice", text=each)
            self._registry.bus.notify()

    def file_differs(self) -> bool:
        """Whether another hand changed the state file; blocks, for any thread."""
        return self._registry.differs()

    def reload_if_edited(self) -> None:
        """Take up what another hand wrote into the state file."""
        self._registry.reload()

    def _load(self) -> None:
        self._registry.load(self._clock.now())
        if self._wake:
            self._wake.load()

    def _wake_cycle(self) -> WakeCycle | None:
        if self._rules.wake is None:
            return None
        plan, first = self._rules.wake, self._rules.background
        return WakeCycle(self.citizen, self.home, plan, self, self._clock, tasks_first=first)

    def _apply_options(self, rules: SchedulerOptions) -> None:
        self._rules = rules
        self._dispatch.limit, self._runner.secrets = rules.workers, rules.secrets
        self._runner.llm, self._recorder.keep = rules.llm, rules.history
        if self._wake and rules.wake:
            self._wake.replan(rules.wake)

    def _apply_tasks(self, task: Task) -> None:
        """A task is there: new, changed, or as before."""
        if handler := self._registered.get(task.name):
            task = task.with_work(Call(handler))
        job = self._registry.jobs.get(task.name)
        if job is not None and job.task == task:
            return
        if job is None and (job := self._leaving.pop(task.name, None)):
            self._registry.jobs[task.name] = job
        known = self._registry.states.get(task.name)
        now = self._clock.now()
        state = (known or TaskState()).seen(now)
        if job is None:
            job = self._registry.jobs[task.name] = Job(task, state, floor=now)
            if isinstance(task.schedule, AtStart) and not self._started:
                state = state.wanted()
        job.task = task
        if state != known:
            self._registry.update(job, state)
        self._runner.reap_leaked(job)
        self._dispatch.drop_removed(job)
        self._not_waiting(job)
        self._dispatch.reschedule(job)

    # -------------------------------------------------------------- Control

    def watch(self) -> AsyncIterator[Snapshot]:
        return snapshots(self.subscribe, self.snapshot)

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back, on this loop, whenever there is a new snapshot; calling the result ends that."""
        return self._registry.bus.subscribe(callback)

    def snapshot(self) -> Snapshot:
        """All of the citizen at this moment."""
        return Snapshot(
            citizen=self.citizen,
            tasks=self._registry.views(self._rules.workers),
            wake=self._wake.view() if self._wake else WakeView(configured=False),
            events=self._registry.bus.events(),
            home=str(self.home),
            unsaved=self._registry.unsaved,
            problems=(*self._problems, *self._notices, *self._registry.notes),
        )

    def pulse(self) -> Heartbeat:
        return Heartbeat()  # whoever can ask on this loop sees it turn

    async def force(self, task: str, *, again: bool = False) -> Receipt:
        job = self._open(task)
        job.refuse_if_not_set_up()
        if job.busy and not again:
            raise AlreadyRunning(f"{task} is already running (force --again queues another run)")
        run = job.state.run_count + (2 if job.run else 1)
        if job.busy:
            job.again = True
        else:
            self._dispatch.enqueue(job, Trigger.FORCE)
            self._dispatch.start_ready()
        if job.again or job.run is None:  # it has to wait, maybe longer than this process lives
            self._registry.update(job, job.state.wanted())
        return replace(await self._registry.receipt(f"{task}: forced"), run=run)

    async def wait(self, task: str, run: int) -> TaskView:
        """The task once its run of this number has ended; raises SchedulerError if it will not start."""
        job = self._registry.job(task)
        while job.state.run_count < run:
            if not (job.run or job.waiting or job.again):
                job.refuse_if_not_set_up()
                self._refuse_if_stopping()
                raise SchedulerError(f"{task}: the run was taken out of the queue")
            await self._runner.finishes.wait_for([task], None)
        return job.row(self._rules.workers)

    async def reset(self, task: str) -> Receipt:
        return await self._turn(task, "reset", TaskState.reset)

    async def pause(self, task: str) -> Receipt:
        now, job = self._clock.now(), self._open(task)
        self._dispatch.unqueue(job)
        self._not_waiting(job)
        return await self._turn(task, "paused", lambda state: state.put_on_hold(now))

    async def resume(self, task: str) -> Receipt:
        return await self._turn(task, "resumed", TaskState.resumed)

    async def wake(self) -> Receipt:
        self._refuse_if_stopping()
        self._wakes().now()
        return Receipt(f"{self.citizen}: waking")

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
        return await forecast(self.citizen, asked, self._clock.now(), window)

    async def explain(self, task: str) -> TaskDetails:
        job, now, secrets = self._registry.job(task), self._clock.now(), self._rules.secrets.values()
        return explain(self.citizen, job.task, job.state, now, job.floor, secrets)

    async def follow(self, task: str) -> AsyncGenerator[OutputChunk, None]:
        job = self._registry.job(task)
        if run := job.run or await self._coming(job):
            bell = Signal()
            ended = asyncio.ensure_future(self._runner.finishes.wait_for([task], None))
            ended.add_done_callback(lambda _: bell.ring())
            await asyncio.sleep(0)  # it listens from here on
            try:
                async with aclosing(pieces(run.output, bell, lambda: job.run is not run)) as printed:
                    async for piece in printed:
                        yield piece
            finally:
                ended.cancel()

    async def _coming(self, job: Job) -> RunHandle | None:
        """The run that the task is queued for, once it has started; None if there is none, or no more."""
        if not job.waiting or self._stopping:
            return None
        coming = self._expected.setdefault(job.task.name, asyncio.get_running_loop().create_future())
        await asyncio.wait({coming})  # others may wait for it, too, and one that goes must not cancel it
        return coming.result()

    async def _turn(self, task: str, kind: str, change: Callable[[TaskState], TaskState]) -> Receipt:
        job = self._open(task)
        self._registry.add_event(kind, task)
        self._registry.update(job, change(job.state))
        self._dispatch.reschedule(job)
        return await self._registry.receipt(f"{task}: {kind}")

    def _open(self, task: str) -> Job:
        self._refuse_if_stopping()
        return self._registry.job(task)

    def _wakes(self) -> WakeCycle:
        if self._wake is None:
            raise NotSetUp(f"{self.citizen} has no wakes here: it was started without them")
        return self._wake

    def _refuse_if_stopping(self) -> None:
        if self._stopping:
            raise Stopping(f"{self.citizen} is shutting down")

    # -------------------------------------------------------------- for callers on the same loop

    async def wake_and_wait(self) -> Outcome:
        """What one whole wake cycle came to."""
        return await asyncio.shield(self._wakes().now())  # who waits less long does not end the wake

    async def run_due_once(self, patience: float | None) -> list[str]:
        """Run what is due and wait for it; the tasks still running after `patience` seconds."""
        self._dispatch.enqueue_due(Trigger.WAKE)
        self._dispatch.start_ready()
        names = [job.task.name for job in self._registry.rows() if job.run or job.waiting]
        return await self._runner.finishes.wait_for(names, patience)

    def drain_results(self) -> list[TaskResult]:
        """The runs since this was last asked, each told once."""
        return self._runner.drain_results()

    async def run_wake_command(self, task: Task, carried_by: Callable[[Running], Awaitable[None]]) -> Result:
        """The outcome of a piece of work that is no task of its own: the wake."""
        return await self._runner.run_wake_command(task, carried_by)

    def wake_changed(self, kind: str, text: str, outcome: Outcome | None) -> None:
        """The wake cycle has got this far."""
        if kind == "wake ended":
            self._runner.finishes.finished(WAKE)
        else:
            self._registry.add_event(kind, text=text, outcome=outcome)
        self._registry.bus.notify()

    # -------------------------------------------------------------- between dispatcher and runner

    def _start(self, job: Job, trigger: Trigger) -> None:
        self._runner.start(job, trigger)
        if self._expected:
            self._expect_no_more(job.task.name, job.run)

    def _expect_no_more(self, task: str, run: RunHandle | None) -> None:
        """Whoever follows a task that was queued is told of its run, or that it is queued no more."""
        if coming := self._expected.pop(task, None):
            coming.set_result(run)

    def _free(self) -> None:
        """A worker is free again."""
        self._dispatch.start_ready()

    def _ended(self, job: Job) -> None:
        """The task has a next time."""
        if self._leaving:
            self._leaving.pop(job.task.name, None)
        if job.again and not job.busy and job is self._registry.jobs.get(job.task.name):
            self._dispatch.enqueue(job, Trigger.FORCE)
        if job.waiting:
            self._dispatch.drop_removed(job)
        self._not_waiting(job)
        self._dispatch.reschedule(job)
        self._dispatch.start_ready()

    def _not_waiting(self, job: Job) -> None:
        """Whoever waits for a run that is queued no more is told that there is none."""
        if not job.run and not job.waiting:
            self._runner.finishes.finished(job.task.name)
            if self._expected:
                self._expect_no_more(job.task.name, None)

    def _urgent(self, text: str) -> None:
        if self._wake:
            self._wake.urgent(text)
