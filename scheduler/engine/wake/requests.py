"""Requests for a wake: which are held, forced, urgent, or served by the wake under way."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

from scheduler.core.schedules.schedule import NEVER
from scheduler.core.task import WAKE, Outcome, Trigger
from scheduler.core.views import HoldKind, Receipt, WakeView
from scheduler.engine.dispatcher import Dispatcher
from scheduler.engine.job import Job
from scheduler.engine.paid.holds import Held
from scheduler.engine.run import RunHandle
from scheduler.engine.run_registry import RunRegistry
from scheduler.engine.wake.wake import Wake
from scheduler.errors import AlreadyRunning
from scheduler.executors.result import Result
from scheduler.process.who import Who, this_process
from scheduler.system.clock import Clock

Wait = Callable[[list[str], float | None], Awaitable[list[str]]]


class WakeRequests:
    """The requests for one citizen's wake, apart from its schedule."""

    def __init__(
        self, citizen: str, wake: Wake, runs: RunRegistry, dispatch: Dispatcher, clock: Clock
    ) -> None:
        self.wake = wake
        self._runs, self._registry = runs, runs.tasks
        self._citizen, self._dispatch, self._clock = citizen, dispatch, clock

    @property
    def _job(self) -> Job:
        return self._registry.jobs[WAKE]

    def held(self, job: Job) -> float:
        """The seconds until the next check whether the wake may begin; 0 if it may begin now."""
        hold, check_after = self.wake.hold()
        self._registry.hold(job, hold)
        return check_after

    def view(self) -> WakeView:
        """The wake as the title of a panel shows it."""
        job, record = self._job, self.wake.record
        error = job.state.error.text if job.state.error else ""
        return WakeView(
            count=record.count,
            due=None if job.busy or job.when == NEVER else max(job.when, 0.0),
            last=job.state.last_run,
            running_since=job.run.since if job.run else None,
            configured=self.wake.plan.configured,
            error=record.error or error,
            note=self._why_asleep(),
        )

    def _why_asleep(self) -> str:
        """What keeps a due wake from its turn; empty if nothing."""
        job = self._job
        if job.left and not job.run:
            return f"the wake before has not ended ({job.left[0]})"
        return job.held.why if job.held and not job.run and job.when <= self._clock.now() else ""

    # -------------------------------------------------------------- asked for

    async def force(self, who: Who, *, again: bool) -> Receipt:
        """Wake the citizen now; raises AlreadyRunning if it is awake, unless `again` asks for one more."""
        if self._job.run and not again:
            raise AlreadyRunning(f"{self._citizen} is awake (force --again queues another wake)")
        return await self.now(who, again=again)

    async def now(self, who: Who, *, again: bool = False) -> Receipt:
        """Wake the citizen now, or join the wake under way; with `again` queue another one after it."""
        job, text = self._job, f"{self._citizen}: waking"
        run = job.run
        if run and run.opened and not (run.over or again):
            await self.wake.noted()
            return Receipt(text, run=job.state.run_count + 1)
        if run is None:
            self._refuse_if_held()
        number = job.state.run_count + (2 if run and run.opened else 1)
        self._ask(Trigger.FORCE, who)
        return replace(await self._registry.receipt(text), run=number)

    def urgent(self, who: Who) -> None:
        """Wake the citizen at once, but not more often than the cooldown allows; `who` is the asking run."""
        if self.wake.cools_down():
            return
        job = self._job
        if job.state.paused or not job.task.enabled:
            self._registry.update(job, job.state.wanted())
        else:
            self._ask(Trigger.URGENT, who)

    async def whole(self, wait: Wait) -> Outcome:
        """Return the outcome of one whole wake; skipped if it may not begin now."""
        job = self._job
        if job.run is None and (job.left or self.held(job)):
            why = job.held.why if job.held else self._why_asleep()
            self._registry.bus.add_event("finished", WAKE, Outcome.SKIPPED, why)
            return Outcome.SKIPPED
        if job.run is None:
            self._ask(Trigger.FORCE, this_process())
        if (run := job.run) is None:  # nothing begins while the scheduler stops
            return Outcome.SKIPPED
        await wait([WAKE], None)
        return run.result.outcome if run.result else Outcome.INTERRUPTED

    def _ask(self, trigger: Trigger, who: Who | None = None) -> None:
        """Ask for a wake now; the request survives a crash until the wake begins."""
        job = self._job
        self._registry.update(job, job.state.asked_for(who))
        if job.run is None:
            self._dispatch.enqueue(job, trigger)
            if job.run is None:  # the wake is held: check again until it may begin
                self._dispatch.reschedule(job)
        elif job.run.opened:
            job.again = True

    def _refuse_if_held(self) -> None:
        if self._job.left:
            raise AlreadyRunning(f"{self._citizen} is already awake: {self._why_asleep()}")
        hold, _ = self.wake.hold()
        if hold and hold.kind is HoldKind.AWAKE:
            raise AlreadyRunning(f"{self._citizen} is already awake: {hold.why}")
        if hold:
            raise Held(self._citizen, hold)

    async def end(self, run: RunHandle, result: Result) -> None:
        """Record the wake, then end it like any other run; slots that came while it ran are served by it."""
        job = run.job
        assert job
        if run.opened or run.number:
            await self.wake.close(run, result)
        self._runs.wakes.pop(WAKE, None)
        end = self._runs.finish if run.opened else self._runs.pass_over
        job.number = self.wake.record.count
        end(job, run, result, self._clock.now(), self._clock.elapsed() - run.started_at)
