"""A digest of what a task runs: machines with the same digest run the same thing."""

import hashlib
import json
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any

from scheduler.core.secrets import MASK, Sensitive, SensitiveBytes
from scheduler.core.task import Call, Task

LENGTH = 16  # hexadecimal digits


def digest(task: Task, home: Path) -> str:
    """The digest of a definition; it depends neither on the home's path nor on secrets."""
    spelt = [task.name, task.timeout, type(task.work).__name__, _work(task, str(home))]
    spelt.append(_options(task, str(home)))
    return hashlib.sha256(json.dumps(spelt, sort_keys=True).encode()).hexdigest()[:LENGTH]


def _work(task: Task, home: str) -> Any:
    work = task.work
    if isinstance(work, Call):
        function = work.function
        return [
            getattr(function, "__module__", ""),
            getattr(function, "__qualname__", type(function).__name__),
        ]
    return {name: _plain(getattr(work, name), home) for name in work.__dataclass_fields__}


def _options(task: Task, home: str) -> Any:
    """The handler's own settings."""
    names = type(task.options).model_fields if task.options is not None else ()
    return {
        name: MASK if name in task.hidden else _plain(getattr(task.options, name), home) for name in names
    }


def _plain(value: Any, home: str) -> Any:
    """The value as JSON, secrets replaced by a mask and paths in the home made relative to it."""
    if isinstance(value, Sensitive | SensitiveBytes):
        return MASK
    if isinstance(value, Mapping):
        return {str(name): _plain(each, home) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each, home) for each in value]
    if isinstance(value, set | frozenset):
        return sorted(str(_plain(each, home)) for each in value)
    if isinstance(value, bytes):
        return value.hex()
    if value is None or isinstance(value, bool | int | float):
        return value
    text = str(value.value if isinstance(value, Enum) else value)
    return text.replace(home, "~", 1) if text == home or text.startswith(f"{home}/") else text
