"""The verb that ends a run, as a timeout would, or keeps a queued one from starting."""

from dataclasses import replace

from scheduler.core.task import Call, Imported
from scheduler.core.views import STOPPING, Receipt
from scheduler.engine.dispatcher import Dispatcher
from scheduler.engine.job import Job
from scheduler.engine.run import RunHandle
from scheduler.engine.runner import Runner
from scheduler.engine.task_registry import TaskRegistry
from scheduler.errors import NotRunning
from scheduler.process.who import Who

AT_ONCE = 0.1  # seconds in which most runs end, so that the answer can say that the run has ended
ABANDONED = "its thread cannot be killed: it was written off, and nothing of the task starts before it ends"
WAITED = "was waiting; will not run"
BEHIND = "the run that was forced behind it starts next"


class Stop:
    """Ends runs on request."""

    def __init__(self, registry: TaskRegistry, runner: Runner, dispatch: Dispatcher) -> None:
        self._registry, self._runner, self._dispatch = registry, runner, dispatch

    async def stop(self, job: Job, who: Who) -> Receipt:
        """End the run of this task or take it out of the queue; raises NotRunning."""
        if run := job.run:
            return await self._end(job, run, who)
        if job.waiting or job.again or job.state.forced:
            return await self._take_out(job, who)
        raise NotRunning(f"{job.task.name} is not running{_instead(job)}")

    async def _end(self, job: Job, run: RunHandle, who: Who) -> Receipt:
        name, again = job.task.name, run.reason is not None
        number = job.state.run_count + 1 if run.opened else 0  # a wake that waits for tasks has none yet
        behind = [BEHIND] if job.again else []
        if not self._runner.end(run, who):
            raise NotRunning(f"{name} has just ended by itself")
        self._registry.bus.add_event("killing" if again else STOPPING, name, who=who)
        self._registry.publish(job)
        ended = await self._runner.ended_within(run, AT_ONCE)
        abandoned = [ABANDONED] if ended and run.left and isinstance(job.task.work, Call | Imported) else []
        how = WAITED if not run.opened else "stopped" if ended else STOPPING
        text = "; ".join([f"{name}: {how}", *abandoned, *behind])
        return replace(await self._registry.receipt(text), run=number)

    async def _take_out(self, job: Job, who: Who) -> Receipt:
        name = job.task.name
        self._dispatch.take_out(job)
        self._registry.bus.add_event("taken out", name, text="it was waiting and will not run", who=who)
        self._runner.waiters.check_queued(job)
        return await self._registry.receipt(f"{name}: {WAITED}")


def _instead(job: Job) -> str:
    """What there is instead of a run: a process that outlived its owner or its run; empty if nothing."""
    orphan = job.state.orphan
    if orphan:
        return f": pid {orphan.pid} is of an owner that died; end it with: kill {orphan.pid}"
    return f": what its last run left still runs ({job.left[0]})" if job.left else ""
