"""Finds built-in handlers: each is a module named after its task, with a function and its `Options`.

A handler that requires certain keys names them in `NEEDS` ("a|b" if either will do), and the lines to add for
them in `LINES`.
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
    """A built-in handler, the type of its options, and the options that it requires."""

    function: Handler
    options: type[Table]
    needs: tuple[str, ...] = ()
    lines: str = ""

    def lacks(self, given: Collection[str]) -> str:
        """The first required key that is not set, "" if all are."""
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
    """The handler, imported at its first run: importing all seven takes 45 ms, too long for `--status`."""
    module = f"scheduler.handlers.{task}.handler"

    async def run(context: Context) -> str | Report:
        found = await to_thread(import_module, module)
        answer: str | Report = await getattr(found, task)(context)
        return answer

    run.__name__ = run.__qualname__ = task
    run.__module__ = module
    return run
