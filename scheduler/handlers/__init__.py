"""The built-in handlers: a module each, named for its task, with its function and its `Options`."""

from importlib import import_module
from typing import Any

from ..model import Handler

BUILT_IN = ("heartbeat", "memory_summary")


def built_in(task: str) -> tuple[Handler, type[Any]] | None:
    """The handler of this task and the shape of its options; None if there is none yet."""
    if task not in BUILT_IN:
        return None
    module = import_module(f".{task}", __name__)
    return getattr(module, task), module.Options
