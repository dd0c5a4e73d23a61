"""How one run is carried out: a coroutine, a thread, a process of its own, a command.

The names below load when they are asked for: an isolated run and `--status` need next to nothing of this.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scheduler.workers.dispatch import Workers
    from scheduler.workers.output import Output
    from scheduler.workers.prints import capture_prints
    from scheduler.workers.result import Result, Watcher

__all__ = ["Output", "Result", "Watcher", "Workers", "capture_prints"]

_HOMES = {
    "Output": "output",
    "Result": "result",
    "Watcher": "result",
    "Workers": "dispatch",
    "capture_prints": "prints",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'scheduler.workers' has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
