"""The scheduler: runs the tasks of citizens on time, one owner each. Nothing here knows of a screen.

The names below load when they are asked for, so that `import scheduler` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scheduler.background import get_scheduler
    from scheduler.core.schedules.schedule import Cron, Every
    from scheduler.core.task import Context, Report
    from scheduler.engine.scheduler import Scheduler
    from scheduler.errors import TaskFailed

__all__ = ["Context", "Cron", "Every", "Report", "Scheduler", "TaskFailed", "get_scheduler"]

_HOMES = {
    "Context": "core.task",
    "Cron": "core.schedules.schedule",
    "Every": "core.schedules.schedule",
    "Report": "core.task",
    "Scheduler": "engine.scheduler",
    "TaskFailed": "errors",
    "get_scheduler": "background",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'scheduler' has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
