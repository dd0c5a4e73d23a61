"""Ways to execute a run: a coroutine, a thread, a process of its own, a command.

The names below load when they are asked for: an isolated run and `--status` need next to nothing of this.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scheduler.executors.executor import Executor
    from scheduler.executors.output import OutputBuffer
    from scheduler.executors.result import Result, RunListener
    from scheduler.executors.stdout_capture import capture_prints

__all__ = ["Executor", "OutputBuffer", "Result", "RunListener", "capture_prints"]

_HOMES = {
    "OutputBuffer": "output",
    "Result": "result",
    "RunListener": "result",
    "Executor": "executor",
    "capture_prints": "stdout_capture",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'scheduler.executors' has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
