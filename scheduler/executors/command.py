"""A command: a program and its arguments, never a shell, in the citizen's home or a folder of its own."""

from functools import partial

from scheduler.core.task import Command, Context
from scheduler.executors.child import SpawnRequest
from scheduler.executors.environment import check_program, environment, new_mark
from scheduler.executors.result import Result, RunListener, ended
from scheduler.executors.subprocesses import SubprocessPool


async def run_command(
    processes: SubprocessPool, work: Command, context: Context, watcher: RunListener
) -> Result:
    """The result of the command; its text is the last line, or the first if that is urgent."""
    code = await processes.run(partial(_order, work, context), watcher)
    return ended(code, watcher.output)


def _order(work: Command, context: Context) -> SpawnRequest:
    mark, folder = new_mark(), work.folder or context.home
    around = environment(context, mark, work.environment, folder, work.inherit)
    check_program(work.argv, folder, around.get("PATH"))
    return SpawnRequest(work.argv, around, folder, mark, work.input)
