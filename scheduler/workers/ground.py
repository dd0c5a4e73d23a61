"""What a handler inside this process must leave as it found it: being one process, and the working folder."""

import asyncio
import contextlib
import os
from collections.abc import Coroutine, Generator
from typing import Any


class Ground:
    """The working folder, put back after each handler."""

    __slots__ = ("_folder", "_soon")

    def __init__(self) -> None:
        self._folder = _folder()  # none if the folder we were started in is gone
        self._soon = False

    def put_back_soon(self) -> None:
        """Put it back in this turn of the loop, once for all handlers that end in it: asking costs 1 us."""
        if not self._soon:
            self._soon = True
            asyncio.get_running_loop().call_soon(self._put_back_now)

    def _put_back_now(self) -> None:
        self._soon = False
        self.put_back()

    def put_back(self) -> None:
        if self._folder is not None and _folder() != self._folder:
            with contextlib.suppress(OSError):
                os.chdir(self._folder)


class SameProcess:
    """A coroutine seen step by step, so that a child it forks ends before it gets to our loop."""

    __slots__ = ("_coroutine", "_us")

    def __init__(self, coroutine: Coroutine[Any, Any, Any], us: int) -> None:
        self._coroutine, self._us = coroutine, us

    def __await__(self) -> Generator[Any, Any, Any]:
        return self

    def __iter__(self) -> "SameProcess":
        return self

    def __next__(self) -> Any:
        try:
            return self._coroutine.send(None)
        finally:
            if os.getpid() != self._us:  # only_in, without another call: this is on the path of every run
                os._exit(0)

    def send(self, value: Any) -> Any:
        try:
            return self._coroutine.send(value)
        finally:
            only_in(self._us)

    def throw(self, *error: Any) -> Any:
        try:
            return self._coroutine.throw(*error)
        finally:
            only_in(self._us)

    def close(self) -> None:
        self._coroutine.close()


def only_in(pid: int) -> None:
    """End here and now if this is a forked copy: it must neither schedule nor run our exit handlers."""
    if os.getpid() != pid:
        os._exit(0)


def _folder() -> str | None:
    try:
        return os.getcwd()  # noqa: PTH109 # on the path of every run, and half the cost of Path.cwd()
    except OSError:
        return None
