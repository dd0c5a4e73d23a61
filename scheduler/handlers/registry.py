"""The built-in handlers: a module each, named for its task, with its function and its `Options`.

A handler that cannot do without certain keys names them in `NEEDS` ("a|b" where one of them will do),
and the lines to add for them in `LINES`.
"""

from asyncio import to_thread
from collections.abc import Collection
from functools import cache
from importlib import import_module
from typing import NamedTuple

from scheduler.core.task import Context, Handler, Report
from scheduler.schema.table import Table

BUILT_IN = (
    "heartbeat",
    "price_monitor",
    "email_check",
    "news_scan",
    "dream_generate",
    "memory_summary",
    "offsite_backup",
)


class BuiltIn(NamedTuple):
    """A built-in handler, the shape of its options, and what it needs of them."""

    function: Handler
    options: type[Table]
    needs: tuple[str, ...] = ()
    lines: str = ""

    def lacks(self, given: Collection[str]) -> str:
        """The first key that has to be set and is not."""
        return next((need for need in self.needs if not {*need.split("|")} & {*given}), "")


@cache
def built_in(task: str) -> BuiltIn | None:
    """The handler of this task; None if there is none."""
    if task not in BUILT_IN:
        return None
    options = import_module(f"scheduler.handlers.{task}.options")
    needs, lines = getattr(options, "NEEDS", ()), getattr(options, "LINES", "")
    return BuiltIn(_imported_on_first_run(task), options.Options, needs, lines)


def _imported_on_first_run(task: str) -> Handler:
    """The handler; its module is imported by its first run: all seven take 45 ms of every `--status`."""
    module = f"scheduler.handlers.{task}.handler"

    async def run(context: Context) -> str | Report:
        found = await to_thread(import_module, module)
        answer: str | Report = await getattr(found, task)(context)
        return answer

    run.__name__ = run.__qualname__ = task
    run.__module__ = module
    return run
