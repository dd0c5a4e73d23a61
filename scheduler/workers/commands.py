"""A command: a program and its arguments, never a shell, in the citizen's home or a folder of its own."""

from functools import partial

from scheduler.core.model import Command, Context
from scheduler.workers.answers import ended
from scheduler.workers.child import Order
from scheduler.workers.environment import check_program, environment, new_mark
from scheduler.workers.processes import Processes
from scheduler.workers.result import Result, Watcher


async def run_command(processes: Processes, work: Command, context: Context, watcher: Watcher) -> Result:
    """What the command came to; its last line is the text, or its first if that is urgent."""
    code = await processes.run(partial(_order, work, context), watcher)
    return ended(code, watcher.output)


def _order(work: Command, context: Context) -> Order:
    mark, folder = new_mark(), work.folder or context.home
    around = environment(context, mark, work.environment, folder, work.inherit)
    check_program(work.argv, folder, around.get("PATH"))
    return Order(work.argv, around, folder, mark, work.input)
