"""Threads for blocking calls, such as those to a disk: calls that hang hold up no others."""

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from time import monotonic, sleep
from types import TracebackType
from typing import Any, NamedTuple, TypeVar

from scheduler.system.hanging_disks import PATIENCE

T = TypeVar("T")

WAITING = 0.05  # seconds between two looks at whether the last calls are done


class _Call(NamedTuple):
    """A function to call; as a context manager it passes what is raised inside to whoever waits for it."""

    done: "Future[Any]"
    function: Callable[[], Any]

    def carry_out(self) -> None:
        if self.done.set_running_or_notify_cancel():
            with self:
                self.done.set_result(self.function())

    def __enter__(self) -> None: ...

    def __exit__(self, kind: Any, error: BaseException | None, trace: TracebackType | None) -> bool:
        if error:
            self.done.set_exception(error)
        return True


class UnblockedPool(ThreadPoolExecutor):
    """Runs calls on up to `size` threads, besides those whose call has hung for PATIENCE.

    Unlike those of its base class, its threads do not keep the process from exiting: a disk may never answer.
    """

    def __init__(self, size: int, name: str) -> None:
        super().__init__(size, name)
        self._size, self._name = size, name
        self._changed = threading.Condition()
        self._calls: deque[_Call] = deque()
        self._began: dict[int, float] = {}  # when the call of each busy thread began
        self._idle = 0
        self._relieving = self._closed = False

    def submit(self, function: Callable[..., T], /, *given: Any, **named: Any) -> "Future[T]":
        done: Future[T] = Future()
        with self._changed:
            if self._closed:
                raise RuntimeError("cannot schedule new futures after shutdown")
            self._calls.append(_Call(done, partial(function, *given, **named)))
            self._staff()
        return done

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no further calls; `wait` for those that were taken, except for calls that hang."""
        with self._changed:
            self._closed = True
            while cancel_futures and self._calls:
                self._calls.popleft().done.cancel()
            self._changed.notify_all()
            while wait and (self._calls or self._working()):
                self._changed.wait(WAITING)

    def _staff(self) -> None:
        """Have a thread for the calls that wait: an idle one, a further one, or later one that relieves."""
        if self._idle >= len(self._calls):
            self._changed.notify()
        elif self._idle + self._working() < self._size:
            self._idle += 1
            self._start(self._work)
        elif not self._relieving:
            self._relieving = True
            self._start(self._relieve)

    def _start(self, work: Callable[[], None]) -> None:
        threading.Thread(target=work, name=self._name, daemon=True).start()

    def _working(self) -> int:
        """How many threads are busy with a call that does not hang yet."""
        now = monotonic()
        return sum(now - began < PATIENCE for began in self._began.values())

    def _work(self) -> None:
        while call := self._next():
            call.carry_out()
            with self._changed:
                del self._began[threading.get_ident()]
                self._idle += 1

    def _next(self) -> _Call | None:
        """The next call; None once this thread is not needed any more."""
        with self._changed:
            while not self._calls:
                if self._closed or self._idle + self._working() > self._size:
                    self._idle -= 1
                    return None
                self._changed.wait()
            self._idle -= 1
            self._began[threading.get_ident()] = monotonic()
            call = self._calls.popleft()
            if self._calls:
                self._staff()
            return call

    def _relieve(self) -> None:
        """Take the place of a thread that hangs, if there is one while calls wait."""
        while True:
            sleep(PATIENCE / 4)
            with self._changed:
                if not self._calls or self._idle + self._working() < self._size:
                    self._relieving = False
                    if not self._calls:
                        return
                    self._idle += 1
                    break
        self._work()
