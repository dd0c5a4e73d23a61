"""Runs a function on its own daemon thread."""

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Generic, TypeVar

T = TypeVar("T")


async def in_thread(function: Callable[[], T], name: str, left: Callable[[threading.Thread], None]) -> T:
    """Return or raise whatever the function does; on cancel `left` gets the thread if it is still alive.

    Not a thread of a pool: Python joins those at exit, and a stuck one would hang it.
    """
    carrier: _Carrier[T] = _Carrier()
    work = contextvars.copy_context().run
    thread = threading.Thread(target=carrier.run, args=(work, function), name=name, daemon=True)
    thread.start()
    try:
        return await carrier.arrived()
    except asyncio.CancelledError:
        if thread.is_alive() and not carrier.brought:
            left(thread)
        raise


class _Carrier(Generic[T]):
    """Brings a thread's result or error back to the loop.

    As a context manager it receives everything raised inside, SystemExit included.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._back: asyncio.Future[None] = self._loop.create_future()
        self._value: T | None = None
        self._error: BaseException | None = None
        self.brought = False

    def run(self, work: Callable[..., T], function: Callable[[], T]) -> None:
        with self:
            self._value = work(function)

    async def arrived(self) -> T:
        await self._back
        if self._error is not None:
            error, self._error = self._error, None
            if isinstance(error, GeneratorExit):  # it would tell the awaiting coroutines that they are closed
                raise RuntimeError("the handler raised GeneratorExit") from error
            raise error
        return self._value  # type: ignore[return-value] # None only where T allows it

    def __enter__(self) -> None: ...

    def __exit__(self, kind: Any, error: BaseException | None, trace: TracebackType | None) -> bool:
        self._error = error
        self.brought = True
        with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
            self._loop.call_soon_threadsafe(self._wake)
        return True

    def _wake(self) -> None:
        if not self._back.done():
            self._back.set_result(None)
