"""How a handler wants to be called: with a Context, the citizen's name or nothing; async or not."""

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from scheduler.core.task import Context
from scheduler.errors import TaskFailed

_NAMES = ("citizen", "citizen_name", "name")


class Accepts(Enum):
    CONTEXT = auto()
    NAME = auto()
    NOTHING = auto()


@dataclass(frozen=True, slots=True)
class Signature:
    """Decided once per function; asking costs some 20 us, a run must not."""

    is_async: bool
    takes: Accepts

    def call(self, function: Callable[..., Any], context: Context) -> Any:
        if self.takes is Accepts.CONTEXT:
            return function(context)
        return function(context.citizen) if self.takes is Accepts.NAME else function()


def shape(function: Callable[..., Any]) -> Signature:
    """The shape of a function, a method, a partial or an object that can be called."""
    if not callable(function):
        raise TaskFailed(f"the handler {function!r} is not a function")
    return Signature(_is_async(function), _takes(function))


def _is_async(function: Callable[..., Any]) -> bool:
    while isinstance(function, functools.partial):
        function = function.func
    if inspect.isclass(function):
        return False
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)


def _takes(function: Callable[..., Any]) -> Accepts:
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:  # some built-in functions do not tell
        return Accepts.CONTEXT
    accepts = (p for p in parameters if p.kind not in (p.KEYWORD_ONLY, p.VAR_KEYWORD))
    first = next(accepts, None)
    if first is None:
        return Accepts.NOTHING
    unsaid = first.annotation is first.empty and first.name in _NAMES
    return Accepts.NAME if unsaid or first.annotation in (str, "str") else Accepts.CONTEXT
