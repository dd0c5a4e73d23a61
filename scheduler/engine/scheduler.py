"""The sole owner of one citizen's state: starts its tasks, answers verbs, publishes snapshots."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

from scheduler.core.ports import Listener
from scheduler.core.records import Forgetful, Recorder, RunQuery
from scheduler.core.schedules.freeze import Freeze
from scheduler.core.schedules.schedule import AtStart
from scheduler.core.state import TaskState
from scheduler.core.task import WAKE, Call, Command, Context, Handler, Outcome, Task, Trigger, WakeTask
from scheduler.core.views import Heartbeat, Snapshot, WakeView
from scheduler.core.wording.text import freeze_words, pause_words
from scheduler.engine.dispatcher import Dispatcher
from scheduler.engine.event_bus import snapshots
from scheduler.engine.freezing import FreezeFiles, Freezing
from scheduler.engine.job import Job
from scheduler.engine.options import SchedulerOptions
from scheduler.engine.paid.paid_runs import PaidRuns
from scheduler.engine.paid.shared_by_root import SharedByRoot, shared_by_root
from scheduler.engine.paid.summary import Summary
from scheduler.engine.remote_runs import Carrier, RemoteRuns
from scheduler.engine.run import RunHandle
from scheduler.engine.run_registry import RunRegistry
from scheduler.engine.runner import DEAF, WRITE_OFF, Execute, Runner
from scheduler.engine.task_registry import TaskRegistry
from scheduler.engine.verbs.stop import Stop
from scheduler.engine.verbs.verbs import Verbs
from scheduler.engine.wake.requests import WakeRequests
from scheduler.engine.wake.results import RESULTS_KEPT, TaskResult, results_since
from scheduler.engine.wake.wake import Wake
from scheduler.errors import SchedulerError
from scheduler.executors.executor import Executor
from scheduler.executors.in_process import THREAD
from scheduler.executors.result import Result
from scheduler.process.who import Who
from scheduler.storage.failure_journal import FailureJournal
from scheduler.storage.file_copies import NO_COPIES, FileCopies
from scheduler.storage.freeze_file import HomeFreezes
from scheduler.storage.state_store import Store
from scheduler.system.clock import Clock, Timer


class Scheduler(Verbs):
    """Runs one citizen's tasks on time; implements Control. Everything here happens on one event loop."""

    wake_type: ClassVar[type[Wake]] = Wake

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
        freezes: FreezeFiles | None = None,
        shared: SharedByRoot | None = None,
        carrier: Carrier | None = None,
        copies: FileCopies = NO_COPIES,
    ) -> None:
        self.citizen, self.home, self._copies = citizen, home, copies
        self._tasks, self._rules, self._clock = tuple(tasks), rules or SchedulerOptions(), clock
        self._registered: dict[str, Handler] = {}
        self._leaving: dict[str, Job] = {}
        self._problems: tuple[str, ...] = ()
        self._settings_from = clock.now()
        self._notices: tuple[str, ...] = ()
        self._started = False
        self._costs: Summary | None = None  # the costs that the rows show
        self._closing: set[asyncio.Task[None]] = set()  # runs that have ended but are not recorded yet
        self._workers = workers
        self._registry = TaskRegistry(citizen, store, clock, self._settled)
        self._runs = RunRegistry(citizen, self._registry, clock)
        self._failure_journal = FailureJournal(citizen, home, clock)
        if self._rules.journal:
            self._registry.bus.trouble = self._failure_journal.trouble
        self._recorder = recorder or Forgetful()
        self._registry.bus.record = self._recorder.record
        self._runner = Runner(self._runs, clock, workers, self._end)
        self._freezing = Freezing(citizen, freezes or HomeFreezes(home, copies), clock, self._freeze_changed)
        asks = self._start, self._held, self._runner.waiters.check_queued
        self._dispatch = Dispatcher(citizen, self._runs, clock, *asks, self._freezing)
        self._stopper = Stop(self._registry, self._runner, self._dispatch)
        shared = shared or shared_by_root(home.parent, clock)
        self._paid = PaidRuns(citizen, home, clock, shared, self._execute, self._announce_provider, copies)
        self._runs.recheck = self._recheck
        wanted, allowed = self._dispatch.wants, self._paid.may_still_begin
        self._remote = RemoteRuns(citizen, self._runs, self._runner, carrier, wanted, allowed)
        plan = self._rules.wake
        self._wake = self._wake_requests(plan) if plan else None
        self._jump: Timer | None = None
        self._apply_options(self._rules)

    def _wake_requests(self, plan: WakeTask) -> WakeRequests:
        parts = self._runs, self._clock, self._paid, self._runner
        asks = self._freezing.words, self._run_due_before_wake, self._recorded, self._dispatch.wants
        wake = self.wake_type(self.citizen, self.home, plan, *parts, *asks, self._copies)
        return WakeRequests(self.citizen, wake, self._runs, self._dispatch, self._clock)

    # -------------------------------------------------------------- life

    async def start(self, *, dispatch: bool = True) -> None:
        """Read the saved state and run what is due from now on; raises Unreadable.

        Without `dispatch` tasks run only when forced or by `run_due_once`.
        """
        wake = self._wake.wake if self._wake else None
        await asyncio.to_thread(self._load, wake)
        if wake:
            wake.record.retry_soon()
            await self._load_results(wake)
            self._jump = self._clock.on_jump(wake.record.correct_time)
        self._registry.frozen_spans = self._freezing.over
        self._recorder.begin(lambda kind, text: self._registry.bus.add_event(kind, text=text))
        self._registry.begin()
        for run in self._registry.unfinished_runs:
            self._recorder.record(run)
        self._failure_journal.begin()
        self._loop = asyncio.get_running_loop()
        self._freezing.begin()
        self._dispatch.begin(
            by_schedule=dispatch and self._rules.background, wakes=dispatch and self._rules.wakes
        )
        self.set_tasks(self._tasks)
        for listener in self._registry.bus.listeners:
            listener.began((job.task, job.state) for job in self._registry.rows())
        self._started = True

    def _load(self, wake: Wake | None) -> None:
        """Read every file of the citizen; blocks, raises Unreadable."""
        self._paid.take_over()
        if wake:
            self._registry.load(self._clock.now(), wake.record.take_up)
            wake.record.close_unfinished(self._registry.states[WAKE])
        else:
            self._registry.load(self._clock.now())
        self._registry.note_removed({WAKE, *(task.name for task in self._tasks)})
        self._freezing.load()

    async def _load_results(self, wake: Wake) -> None:
        try:
            rows = await self._recorder.runs(RunQuery(limit=RESULTS_KEPT), ())
        except SchedulerError as error:
            rows = ()
            self._registry.bus.add_event("results not read", text=str(error))
        delivered, states = wake.record.delivered, self._registry.states
        self._runs.results.extend(results_since(delivered, rows, states, self._clock.now()))

    async def _recorded(self) -> None:
        """Return when the history holds every run: by its rows the next owner knows what a wake was given."""
        with suppress(SchedulerError):
            await self._recorder.runs(RunQuery(limit=1), ())

    async def finish(self) -> None:
        """Return once only daemons are under way; from then on nothing starts until `stop`.

        The schedule continues while the current runs last, so that one long run does not hold up the others.
        """
        await self._runner.wait_for_endings()
        self._stop_starting()
        await self._runner.wait_for_endings()

    async def stop(self, grace: float | None = None) -> None:
        """Start nothing new, give runs `grace` seconds, end the rest as interrupted, save."""
        self._stop_starting()
        await self._runner.stop(self._rules.grace if grace is None else grace)
        if self._closing:
            await asyncio.wait(self._closing, timeout=WRITE_OFF)
        if self._wake:
            await self._wake.wake.record.close()
        await self._freezing.close()
        await self._failure_journal.close()
        await asyncio.gather(self._registry.close(), self._recorder.close())
        self._registry.bus.add_event("stopped")

    def _stop_starting(self) -> None:
        self._registry.stopping = True
        self._dispatch.stop()
        if self._jump:
            self._jump.cancel()
        if (job := self._registry.jobs.get(WAKE)) and job.run and not job.run.opened:
            job.run.halt(Outcome.INTERRUPTED)  # it still waits for tasks and gets no turn

    def handlers_in_process(self) -> int:
        """How many handlers of this citizen run in this process, including those that outlived their runs."""
        handles = [*self._runs.on_workers.values(), *self._runs.wakes.values()]
        running = [run for run in handles if run.job and run.job.in_process]
        left = [job.left for job in (*self._registry.jobs.values(), *self._leaving.values()) if job.left]
        return len(running) + sum(what in (THREAD, DEAF) and alive() for what, alive in left)

    def stop_now(self) -> None:
        """End all runs at once, after a second request to stop."""
        self._registry.stopping = True
        self._dispatch.stop()
        self._workers.stop_now()
        self._runner.kill_all()

    def register_handler(self, name: str, handler: Handler) -> None:
        """Run `handler` in this process for this task, instead of what the settings say."""
        self._registry.job(name)
        self._registered[name] = handler
        self.set_tasks(self._tasks)

    def add_listener(self, listener: Listener) -> None:
        """Call this listener for each run; must be added before `start`."""
        self._registry.bus.listeners += (listener,)

    def set_tasks(self, tasks: Iterable[Task], rules: SchedulerOptions | None = None) -> None:
        """Continue with other settings: unchanged tasks keep their next time, removed ones end."""
        self._tasks, self._problems = tuple(tasks), ()
        self._settings_from = self._clock.now()
        self._apply_options(rules or self._rules)
        wanted = (self._wake.wake.plan, *self._tasks) if self._wake else self._tasks
        for name in self._registry.jobs.keys() - {task.name for task in wanted}:
            gone = self._registry.jobs.pop(name)
            self._registry.update(gone, gone.state.removed())
            self._dispatch.forget(gone)
            self._runner.waiters.check_queued(gone)
            if gone.busy:  # the settings may bring the task back before its run has ended
                self._leaving[name] = gone
            if gone.run:
                gone.run.removed = True
                gone.run.halt(Outcome.INTERRUPTED, "the task was removed from the settings")
        for task in wanted:
            self._apply_tasks(task)
        self._registry.order()
        self._dispatch.start_ready()

    def set_problems(self, problems: Iterable[str]) -> None:
        """Show the problems of the newest settings; the tasks stay as they are."""
        self._problems = tuple(problems)
        self._registry.bus.notify()

    def set_notices(self, notices: Iterable[str]) -> None:
        """Show which settings cannot take effect on this machine."""
        if (wanted := tuple(map(self._rules.masks.hide, notices))) != self._notices:
            self._notices = wanted
            for each in wanted:
                self._registry.bus.add_event("notice", text=each)
            self._registry.bus.notify()

    def file_differs(self) -> bool:
        """Whether the state file or the citizen's freeze file was edited; blocks, for any thread."""
        return self._registry.differs() or self._freezing.own_differs()

    def reload_if_edited(self) -> None:
        """Read the edited state file and freeze files."""
        self._registry.reload()
        self._freezing.look()

    def _apply_options(self, rules: SchedulerOptions) -> None:
        self._rules = rules
        self._dispatch.limit, self._recorder.keep = rules.workers, rules.history
        self._runs.budget = rules.spending.budget
        tasks = (rules.wake, *self._tasks) if rules.wake else self._tasks
        self._paid.take_up(rules, {task.name: task.schedule for task in tasks})
        if self._wake and rules.wake:
            self._wake.wake.plan = rules.wake

    def _apply_tasks(self, task: Task) -> None:
        """Apply one task: new, changed, or as before."""
        if handler := self._registered.get(task.name):
            task = task.with_work(Call(handler))
        job = self._registry.jobs.get(task.name)
        if job is not None and job.task == task:
            job.paid = task.is_wake or self._paid.concerns(task)
            return
        if job is None and (job := self._leaving.pop(task.name, None)):
            self._registry.jobs[task.name] = job
        now = self._clock.now()
        if job is None:
            state = self._registry.states.get(task.name, TaskState())
            if isinstance(task.schedule, AtStart) and not self._started:
                state = state.wanted()
            job = self._registry.jobs[task.name] = Job(task, state, floor=now)
            if task.is_wake and self._wake:
                job.number = self._wake.wake.record.count
        job.take_up(task)
        job.paid = task.is_wake or self._paid.concerns(task)
        self._registry.take_up(job, now)
        self._runner.reap_leaked(job, self._settled)
        self._dispatch.drop_removed(job)
        self._runner.waiters.check_queued(job)
        self._dispatch.reschedule(job)

    # -------------------------------------------------------------- Control

    def watch(self) -> AsyncIterator[Snapshot]:
        return snapshots(self.subscribe, self.snapshot)

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back on this loop after changes; call the result to unsubscribe."""
        return self._registry.bus.subscribe(callback)

    def snapshot(self) -> Snapshot:
        """The whole citizen at this moment."""
        if (costs := self._paid.summary()) is not self._costs:
            self._costs = costs
            self._registry.show_costs(costs.today, costs.month)
        return Snapshot(
            citizen=self.citizen,
            tasks=self._registry.views(self._rules.workers),
            wake=self._wake.view() if self._wake and self._rules.wakes else WakeView(configured=False),
            events=self._registry.bus.events(),
            home=str(self.home),
            unsaved=self._registry.unsaved,
            problems=(*self._problems, *self._notices, *self._registry.notes, *self._freezing.problems),
            freeze=self._freezing.current,
            money=costs.money,
            settings_from=self._settings_from if self._problems else None,
        )

    def pulse(self) -> Heartbeat:
        return Heartbeat()  # the caller runs on this loop, so the loop turns

    def _freeze_changed(self, before: Freeze | None, who: Who | None) -> None:
        freeze, now = self._freezing.current, self._clock.now()
        if freeze:
            text = freeze.problem or pause_words(freeze.until, freeze.why, "", now).lstrip(" :")
            by = who or (Who(freeze.by) if freeze.by else None)
            self._registry.bus.add_event("frozen", text=text, who=by)
            if job := self._registry.jobs.get(WAKE):
                self._registry.let_go(job, f"freeze {freeze.since:.0f}", freeze_words(freeze, freeze.since))
        else:
            over = before is not None and not before.holds(now)
            self._registry.bus.add_event("thawed", text="its time is over" if over else "", who=who)
        self._registry.frozen_spans = self._freezing.over
        self._dispatch.freeze_changed()
        for job in self._registry.rows():
            self._runner.waiters.check_queued(job)
            if freeze and job.run and not job.rechecks_itself:
                self._runner.take_back(job.run)

    def _recheck(self, run: RunHandle) -> None:
        """Take the run back if it may not begin any more."""
        if (job := run.job) and not self._dispatch.may_begin(run, job):
            missed = self._dispatch.hours_ended(job) and not job.task.catch_up
            self._runner.take_back(run, "its hours ended before it began" if missed else "")

    # -------------------------------------------------------------- for callers on the same loop

    async def wake_and_wait(self) -> Outcome:
        """Return the outcome of one whole wake; skipped if the last has not ended or the budget is spent."""
        return await self._wakes().whole(self._runner.waiters.wait_for)

    def results(self) -> list[TaskResult]:
        """The runs since the last wake."""
        return list(self._runs.results)

    async def run_due_once(self, patience: float | None) -> list[str]:
        """Run what is due and wait for it; return the tasks that still run after `patience` seconds."""
        self._dispatch.enqueue_due(Trigger.WAKE)
        self._dispatch.start_ready()
        rows = (job for job in self._registry.rows() if not job.is_wake)
        names = [job.task.name for job in rows if (job.run or job.waiting) and job.task.ends]
        return await self._runner.waiters.wait_for(names, patience)

    async def _run_due_before_wake(self, patience: float) -> list[str]:
        return await self.run_due_once(patience) if self._rules.background else []

    def _announce_provider(self, provider: str, kind: str, text: str) -> None:
        self._registry.bus.add_event(kind, text=text, provider=provider)

    # -------------------------------------------------------------- a run

    def _start(self, job: Job, trigger: Trigger) -> None:
        """Start the task, which is due and has a free worker."""
        task, paid, rules = job.task, job.paid, self._rules
        run = self._runs.prepare(job, trigger) if paid else self._runs.start(job, trigger)
        run.masks = rules.masks
        if paid:
            run.charge = self._paid.costs.new_name(task.name)
        # A run that also knew its context would be a cycle: collecting it takes a third of the run's time.
        context = Context(
            self.citizen,
            self.home,
            task.name,
            task.options,
            rules.secrets,
            job.state.last_success,
            trigger,
            run.report,
            rules.llm,
            run.use,
        )
        if not (paid or task.queue):
            self._runner.watch(run, task.timeout)
        execute = None if job.in_process and not paid else self._carry_out(job)
        work = self._runner.run(task, run, context, execute)
        run.task = asyncio.Task(work, name=f"{self.citizen}/{task.name}")
        if self._runner.waiters.starts:
            self._runner.waiters.started(run.name, run)

    def _carry_out(self, job: Job) -> Execute | None:
        """What carries out the run; None: its worker alone. A wake runs the due tasks first."""
        if not job.paid:
            says = job.task.queue or isinstance(job.task.work, Command)
            return self._paid.carry_out_command if says else None
        if job.is_wake:
            return self._wakes().wake.turn
        return self._carry_out_paid

    async def _execute(self, task: Task, context: Context, run: RunHandle) -> Result:
        if task.queue:
            return await self._remote.carry_out(task, context, run)
        if run.job and run.job.in_process and not run.began_at:
            await self._runs.give_control(run)
        return await self._workers.run(task, context, run)

    async def _carry_out_paid(self, task: Task, context: Context, run: RunHandle) -> Result:
        def start() -> None:
            assert run.job
            self._runs.open_turn(run.job, run)
            if not task.queue:
                self._runner.watch(run, task.timeout)

        begun = await self._paid.begin(task, run, start)
        if isinstance(begun, Result):
            return begun
        return await self._paid.carry_out(task, context, run, begun)

    def _end(self, run: RunHandle, result: Result) -> None:
        """Free the worker at once; the bookkeeping waits until other runs have started."""
        if run.name == WAKE:
            self._close(self._end_wake(run, result))
            return
        now, took = self._clock.now(), self._clock.elapsed() - run.started_at
        self._runs.free_worker(run)
        if run.used and run.cost is None:
            self._close(self._end_used(run, result, now, took))
            return
        self._workers.deferred.call(self._finish, run.job, run, result, now, took)
        self._dispatch.start_ready()

    def _close(self, work: Coroutine[Any, Any, None]) -> None:
        closing = self._loop.create_task(work, name=f"{self.citizen}/close")
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    async def _end_used(self, run: RunHandle, result: Result, now: float, took: float) -> None:
        """Note which models the run used, then record it."""
        assert run.job
        await self._paid.settle_used(run.job.task, run)
        self._finish(run.job, run, result, now, took)

    def _finish(self, job: Job, run: RunHandle, result: Result, now: float, took: float) -> None:
        """Record the outcome, publish it, and find the task's next time."""
        end = self._runs.finish if run.opened else self._runs.pass_over
        end(job, run, result, now, took)
        if run.cost and not job.paid:  # from now on the task is known to cost money
            job.paid = self._paid.concerns(job.task)
        if result.urgent and self._wake and self._rules.wakes and not self._registry.stopping:
            self._wake.urgent(Who(run=run.title))
        self._ended(job, run)

    def _ended(self, job: Job, run: RunHandle) -> None:
        if self._runner.waiters.waits:
            self._runner.waiters.finished(run.name)
        if job.left:
            self._runner.reap_leaked(job, self._settled)
        self._settled(job)

    async def _end_wake(self, run: RunHandle, result: Result) -> None:
        """Record the wake, and find its next time."""
        assert self._wake and run.job
        await self._wake.end(run, result)
        self._ended(run.job, run)

    def _held(self, job: Job) -> float:
        """The seconds until the next check whether the task may start; 0 if it may start now."""
        if job.task.is_wake:
            return self._wake.held(job) if self._wake else 0.0
        hold, check_after = self._paid.hold(job.task)
        self._registry.hold(job, hold)
        return check_after

    def _settled(self, job: Job) -> None:
        """The task's state has changed or its run has ended: find its next time."""
        if self._leaving:
            self._leaving.pop(job.task.name, None)
        if job.again and not job.busy and job is self._registry.jobs.get(job.task.name):
            job.again = False
            self._dispatch.enqueue(job, Trigger.FORCE)
        if job.waiting:
            self._dispatch.drop_removed(job)
        self._runner.waiters.check_queued(job)
        self._dispatch.reschedule(job)
        self._dispatch.start_ready()
