"""A Python callable inside this process: a coroutine on the loop, anything else on a thread."""

import asyncio
import contextlib
import functools
import inspect
import os
from collections.abc import Awaitable, Callable, Coroutine, Generator
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from importlib import import_module
from threading import Thread
from typing import Any

from scheduler.core.task import Call, Context, Handler, Imported, Task
from scheduler.errors import TaskFailed
from scheduler.executors.result import Result, RunListener, handler_result
from scheduler.executors.stdout_capture import current
from scheduler.process import standard_streams
from scheduler.process.adopted import Makers
from scheduler.process.threads import in_thread

THREAD = "thread"  # the name of a thread that a run left behind
REMEMBERED = 20_000  # signatures; with more distinct handlers each call only takes longer


# Python closes coroutines with this exception, so a handler that raises it would seem closed, not failed.
RAISED = "the handler raised GeneratorExit"
_NAMES = ("citizen", "citizen_name", "name")


class Accepts(Enum):
    CONTEXT = auto()
    NAME = auto()
    NOTHING = auto()


CONTEXT = Accepts.CONTEXT  # members of an enumeration are slow to find


@dataclass(frozen=True, slots=True)
class Signature:
    """How to call a function; determined once per function, since that takes 20 us."""

    is_async: bool
    takes: Accepts

    def call(self, function: Callable[..., Any], context: Context) -> Any:
        if self.takes is Accepts.CONTEXT:
            return function(context)
        return function(context.citizen) if self.takes is Accepts.NAME else function()


def shape(function: Callable[..., Any]) -> Signature:
    """The signature of a function, a method, a partial or a callable object."""
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
    except ValueError:  # some built-in functions have no signature
        return Accepts.CONTEXT
    accepts = (p for p in parameters if p.kind not in (p.KEYWORD_ONLY, p.VAR_KEYWORD))
    first = next(accepts, None)
    if first is None:
        return Accepts.NOTHING
    unsaid = first.annotation is first.empty and first.name in _NAMES
    return Accepts.NAME if unsaid or first.annotation in (str, "str") else Accepts.CONTEXT


MOMENT = 0.01  # seconds; asking for the folder takes a tenth of a short run


class ProcessGuard:
    """Restores the working folder and the standard streams after each handler."""

    __slots__ = ("_folder", "_looked", "soon")

    def __init__(self) -> None:
        self._folder = _folder()  # None if the start folder is gone
        standard_streams.keep()
        self.soon, self._looked = False, 0.0  # soon: put_back is scheduled

    def put_back_soon(self) -> None:
        """Restore both now, or once a moment later when many handlers end in a row."""
        if self.soon:
            return
        loop = asyncio.get_running_loop()
        if loop.time() - self._looked > MOMENT:
            self._looked = loop.time()
            self.put_back()
        else:
            self.soon = True
            loop.call_later(MOMENT, self._a_moment_later)

    def _a_moment_later(self) -> None:
        self.soon = False
        self.put_back()

    def put_back(self) -> None:
        standard_streams.put_back()
        if self._folder is not None and _folder() != self._folder:
            with contextlib.suppress(OSError):
                os.chdir(self._folder)


_copied = False  # whether this process is a forked copy; asking for its pid takes a fiftieth of a short run


def _note_fork(copied: bool) -> None:
    global _copied
    _copied = copied


os.register_at_fork(after_in_child=partial(_note_fork, True))


async def guarded(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Return what the coroutine returns; a child that it forks exits before it reaches the event loop."""
    rest = first_step(coroutine)
    return await rest if isinstance(rest, _Steps) else rest


def first_step(coroutine: Coroutine[Any, Any, Any]) -> "Any | _Steps":
    """What the coroutine returns, or its further steps; most handlers take one, which costs only a call."""
    try:
        waits_for = coroutine.send(None)
    except StopIteration as end:
        return end.value
    except GeneratorExit as error:
        raise RuntimeError(RAISED) from error
    finally:
        exit_if_forked()
    return _Steps(coroutine, waits_for)


class _Steps:
    """Checks after each further step of a coroutine whether it forked."""

    __slots__ = ("_coroutine", "_first")

    def __init__(self, coroutine: Coroutine[Any, Any, Any], waits_for: Any) -> None:
        self._first: tuple[Any, ...]
        self._coroutine, self._first = coroutine, (waits_for,)

    def __await__(self) -> Generator[Any, Any, Any]:
        return self

    def __iter__(self) -> "_Steps":
        return self

    def __next__(self) -> Any:
        if self._first:
            (waits_for,), self._first = self._first, ()
            return waits_for
        return self.send(None)

    def send(self, value: Any) -> Any:
        try:
            return self._coroutine.send(value)
        except GeneratorExit as error:
            raise RuntimeError(RAISED) from error
        finally:
            exit_if_forked()

    def throw(self, *error: Any) -> Any:
        try:
            return self._coroutine.throw(*error)
        except GeneratorExit as raised:
            if raised in error or GeneratorExit in error:  # thrown in to close the run
                raise
            raise RuntimeError(RAISED) from raised
        finally:
            exit_if_forked()

    def close(self) -> None:
        self._coroutine.close()


def exit_if_forked() -> None:
    """Exit at once if this is a forked copy, which must not schedule or run exit handlers."""
    if _copied:
        os._exit(0)


def _folder() -> str | None:
    try:
        return os.getcwd()  # noqa: PTH109 # on the path of every run, and half the cost of Path.cwd()
    except OSError:
        return None


class InProcessExecutor:
    """Runs handlers of this process; what they raise is raised."""

    def __init__(self, makers: Makers) -> None:
        self._guard, self._makers = ProcessGuard(), makers
        _note_fork(False)  # a copy that makes an executor is a scheduler of its own
        # By id, since callables need not be hashable; holding the function keeps its id from being reused.
        self._shapes: dict[int, tuple[object, Signature]] = {}
        self._imported: dict[Imported, Handler] = {}

    async def run(self, task: Task, work: Call | Imported, context: Context, listener: RunListener) -> Result:
        token = current.set(listener)
        self._makers.begin(listener, True)
        try:
            function = work.function if isinstance(work, Call) else await self._import(task, work, listener)
            how = (self._shapes.get(id(function)) or self._remember(function))[1]
            if how.is_async:
                made = function(context) if how.takes is CONTEXT else how.call(function, context)
                done = first_step(made)
                return handler_result(await done if isinstance(done, _Steps) else done)
            return handler_result(await self._threaded(task, partial(how.call, function, context), listener))
        finally:
            current.reset(token)
            self._makers.end(listener)
            if not self._guard.soon:
                self._guard.put_back_soon()

    def _remember(self, function: Any) -> tuple[object, Signature]:
        if len(self._shapes) >= REMEMBERED:
            self._shapes.clear()
        known = self._shapes[id(function)] = (function, shape(function))
        return known

    async def _import(self, task: Task, work: Imported, listener: RunListener) -> Handler:
        """The function; its module is imported at the first run, by the process and user of the run."""
        if work not in self._imported:
            self._imported[work] = await self._in_thread(task, partial(_function, work), listener)
        return self._imported[work]

    async def _threaded(self, task: Task, call: partial[Any], listener: RunListener) -> Any:
        value = await self._in_thread(task, call, listener)
        return await guarded(_outcome_of(value)) if inspect.isawaitable(value) else value

    async def _in_thread(self, task: Task, call: partial[Any], listener: RunListener) -> Any:
        def left(thread: Thread) -> None:
            listener.left_behind(THREAD, thread.is_alive)

        return await in_thread(partial(self._alone, call), task.name, left)

    def _alone(self, call: partial[Any]) -> Any:
        try:
            return call()
        finally:
            exit_if_forked()
            self._guard.put_back()


def _function(work: Imported) -> Handler:
    found: Any = getattr(import_module(work.source), work.function, None)
    if not callable(found):
        raise TaskFailed(f"{work.source} has no function {work.function!r}; correct the name in handler")
    return found  # type: ignore[no-any-return]  # callable is all that can be known


async def _outcome_of(awaitable: Awaitable[Any]) -> Any:
    return await awaitable
