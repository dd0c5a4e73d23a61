"""What a handler inside this process must leave as it found it: being one process, and the working folder."""

import asyncio
import contextlib
import os
from collections.abc import Coroutine, Generator
from typing import Any

MOMENT = 0.01  # seconds; asking for the folder costs as much as a tenth of a short run


class ProcessGuard:
    """The working folder, put back after each handler."""

    __slots__ = ("_folder", "_looked", "_soon")

    def __init__(self) -> None:
        self._folder = _folder()  # none if the folder we were started in is gone
        self._soon, self._looked = False, 0.0

    def put_back_soon(self) -> None:
        """Put it back now, or where one handler ends after the other a moment later, once for all of them."""
        if self._soon:
            return
        loop = asyncio.get_running_loop()
        if loop.time() - self._looked > MOMENT:
            self._looked = loop.time()
            self.put_back()
        else:
            self._soon = True
            loop.call_later(MOMENT, self._a_moment_later)

    def _a_moment_later(self) -> None:
        self._soon = False
        self.put_back()

    def put_back(self) -> None:
        if self._folder is not None and _folder() != self._folder:
            with contextlib.suppress(OSError):
                os.chdir(self._folder)


async def guarded(coroutine: Coroutine[Any, Any, Any], us: int) -> Any:
    """What the coroutine returns; a child that it forks ends before it gets to our loop.

    Most handlers come to their end in one step: that costs no more than a call.
    """
    try:
        waits_for = coroutine.send(None)
    except StopIteration as end:
        return end.value
    finally:
        exit_if_forked(us)
    return await _Steps(coroutine, waits_for, us)


class _Steps:
    """The further steps of a coroutine, each looked at; what the first one waits for goes to the loop."""

    __slots__ = ("_coroutine", "_first", "_us")

    def __init__(self, coroutine: Coroutine[Any, Any, Any], waits_for: Any, us: int) -> None:
        self._first: tuple[Any, ...]
        self._coroutine, self._first, self._us = coroutine, (waits_for,), us

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
        finally:
            exit_if_forked(self._us)

    def throw(self, *error: Any) -> Any:
        try:
            return self._coroutine.throw(*error)
        finally:
            exit_if_forked(self._us)

    def close(self) -> None:
        self._coroutine.close()


def exit_if_forked(pid: int) -> None:
    """End here and now if this is a forked copy: it must neither schedule nor run our exit handlers."""
    if os.getpid() != pid:
        os._exit(0)


def _folder() -> str | None:
    try:
        return os.getcwd()  # noqa: PTH109 # on the path of every run, and half the cost of Path.cwd()
    except OSError:
        return None
