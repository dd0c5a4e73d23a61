"""Chooses how to execute a run: on the loop, on a thread, in a process of its own, as a command."""

from collections.abc import Awaitable
from functools import partial
from pathlib import Path

from scheduler.core.task import Call, Command, Context, Imported, Isolated, Task
from scheduler.errors import NotSetUp
from scheduler.executors.child import SpawnRequest
from scheduler.executors.deferred import Deferred
from scheduler.executors.environment import check_program, environment, new_mark
from scheduler.executors.in_process import InProcessExecutor
from scheduler.executors.isolated import run_isolated
from scheduler.executors.process_tree import Origin
from scheduler.executors.result import Result, RunListener, exit_result
from scheduler.executors.subprocesses import SubprocessPool
from scheduler.process.adopted import Makers
from scheduler.process.startup import as_utf8

IN_PROCESS = (Call, Imported)  # `Call | Imported` would be a new object for each run


class Executor:
    """Executes runs for all schedulers of one event loop."""

    def __init__(self, *, starts: int = 16, kill_grace: float = 5.0) -> None:
        self.deferred = Deferred()
        self._makers = makers = Makers()
        self._calls = InProcessExecutor(makers)
        self._processes = SubprocessPool(starts, kill_grace, makers)

    def calls(self) -> int:
        """The number of handlers that run inside this process."""
        return len(self._makers.calls())

    def run(self, task: Task, context: Context, listener: RunListener) -> Awaitable[Result]:
        """Return the result of the run; raises whatever a handler in this process raises.

        Cancelling ends the run at once, except that a process gets `kill_grace` seconds to exit by itself.
        """
        work = task.work
        if isinstance(work, IN_PROCESS):
            return self._calls.run(task, work, context, listener)
        if isinstance(work, Command):
            return run_command(self._processes, work, context, listener)
        if isinstance(work, Isolated):
            return run_isolated(self._processes, work, context, listener)
        raise NotSetUp(work.advice or f"{task.name} needs {work.setting}")

    def begin(self) -> None:
        """From now on collect the child processes that runs leave to this process."""
        self._processes.collect_adopted()

    def spare(self, pid: int) -> None:
        """Ignore this child of the process: it is neither a run nor left behind by one."""
        self._processes.spared.add(pid)

    async def origin(self, pid: int) -> Origin:
        """The run of this scheduler that the process came from, if any."""
        return await self._processes.origin(pid)

    def stop_now(self) -> None:
        """Kill without grace whatever is being stopped now or later."""
        self._processes.stop_now()

    async def close(self) -> None:
        """Return when no child process is left."""
        await self._processes.close()


async def run_command(
    processes: SubprocessPool, work: Command, context: Context, listener: RunListener
) -> Result:
    """The result of the command; its text is the last line, or the first if that is urgent."""
    code = await processes.run(partial(_spawn_request, work, context), listener)
    return exit_result(code, listener.output)


def _spawn_request(work: Command, context: Context) -> SpawnRequest:
    mark, argv = new_mark(), tuple(map(as_utf8, work.argv))
    folder = Path(as_utf8(str(work.folder))) if work.folder else context.home
    around = environment(context, mark, work.environment, folder, work.inherit)
    check_program(argv, folder, around.get("PATH"))
    return SpawnRequest(argv, around, folder, mark, work.input)
