"""A Python callable inside this process: a coroutine on the loop, anything else on a thread."""

import inspect
import os
from collections.abc import Awaitable
from functools import partial
from threading import Thread
from typing import Any

from scheduler.core.task import Call, Context, Task
from scheduler.executors.answers import answer
from scheduler.executors.ground import ProcessGuard, exit_if_forked, guarded
from scheduler.executors.result import Result, RunListener
from scheduler.executors.shapes import Signature, shape
from scheduler.executors.stdout_capture import current
from scheduler.system.threads import in_thread

REMEMBERED = 20_000  # shapes; more distinct handlers than that are only slower


class InProcessExecutor:
    """Runs handlers of this process; what they raise is raised."""

    def __init__(self) -> None:
        self._guard, self._us = ProcessGuard(), os.getpid()
        # By identity, for callables need not be hashable; the function is kept so that its id stays its own.
        self._shapes: dict[int, tuple[object, Signature]] = {}

    async def run(self, task: Task, work: Call, context: Context, watcher: RunListener) -> Result:
        function = work.function
        how = (self._shapes.get(id(function)) or self._remember(function))[1]
        token = current.set(watcher)
        try:
            if how.is_async:
                return answer(await guarded(how.call(function, context), self._us))
            return answer(await self._threaded(task, partial(how.call, function, context), watcher))
        finally:
            current.reset(token)
            self._guard.put_back_soon()

    def _remember(self, function: Any) -> tuple[object, Signature]:
        if len(self._shapes) >= REMEMBERED:
            self._shapes.clear()
        known = self._shapes[id(function)] = (function, shape(function))
        return known

    async def _threaded(self, task: Task, call: partial[Any], watcher: RunListener) -> Any:
        def left(thread: Thread) -> None:
            watcher.left_behind("thread", thread.is_alive)

        value = await in_thread(partial(self._alone, call), task.name, left)
        return await guarded(_outcome_of(value), self._us) if inspect.isawaitable(value) else value

    def _alone(self, call: partial[Any]) -> Any:
        try:
            return call()
        finally:
            exit_if_forked(self._us)
            self._guard.put_back()


async def _outcome_of(awaitable: Awaitable[Any]) -> Any:
    return await awaitable
