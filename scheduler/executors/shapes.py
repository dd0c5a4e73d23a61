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


class Takes(Enum):
    CONTEXT = auto()
    NAME = auto()
    NOTHING = auto()


@dataclass(frozen=True, slots=True)
class Shape:
    """Decided once per function; asking costs some 20 us, a run must not."""

    is_async: bool
    takes: Takes

    def call(self, function: Callable[..., Any], context: Context) -> Any:
        if self.takes is Takes.CONTEXT:
            return function(context)
        return function(context.citizen) if self.takes is Takes.NAME else function()


def shape(function: Callable[..., Any]) -> Shape:
    """The shape of a function, a method, a partial or an object that can be called."""
    if not callable(function):
        raise TaskFailed(f"the handler {function!r} is not a function")
    return Shape(_is_async(function), _takes(function))


def _is_async(function: Callable[..., Any]) -> bool:
    while isinstance(function, functools.partial):
        function = function.func
    if inspect.isclass(function):
        return False
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)


def _takes(function: Callable[..., Any]) -> Takes:
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:  # some built-in functions do not tell
        return Takes.CONTEXT
    accepts = (p for p in parameters if p.kind not in (p.KEYWORD_ONLY, p.VAR_KEYWORD))
    first = next(accepts, None)
    if first is None:
        return Takes.NOTHING
    unsaid = first.annotation is first.empty and first.name in _NAMES
    return Takes.NAME if unsaid or first.annotation in (str, "str") else Takes.CONTEXT
