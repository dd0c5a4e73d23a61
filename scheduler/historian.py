"""The one thread of a process that writes the history of all its citizens."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Awaitable, Callable, Collection, Iterator
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from queue import SimpleQueue

from .history import output, runs
from .history_file import HistoryFiles, NotRecorded
from .history_process import HistoryProcess, NoProcess
from .model import Keep
from .records import Asked, Ended, RunRecord, Told

ROOM = 64 << 20  # bytes of runs that may wait for the disk
ROW = 1024  # bytes that a run without output counts for
GATHER = 0.5  # seconds in which runs come together in one transaction
SHARE, LONGEST = 4, 10.0  # after a slow write that many times as long, but at most so many seconds
MANY = 32  # runs in that time, from which on they are written by a process of its own
KEPT, AGAIN = 60.0, 60.0  # seconds that it stays after that, and until another try if it cannot begin
PARCEL = 4 << 20  # bytes of runs that are written at once
PATIENCE = 5.0  # seconds in which the disk takes nothing, where somebody waits

BEHIND = "more runs end than the disk can take"

Action = Callable[[], None]
Item = tuple["HomeHistory", Ended] | Action | None


class Historian:
    """Takes what is to be recorded from one loop and writes it in a thread of its own.

    Nothing waits for it; what there is no room for is left out and counted.
    """

    def __init__(self, room: int = ROOM) -> None:
        self._room = room
        self._items: SimpleQueue[Item] = SimpleQueue()
        # Bytes, in two counters that one thread each writes to: no lock on the path of a run.
        self._given = self._taken = 0
        self._somebody_waits = threading.Event()
        self._thread: threading.Thread | None = None
        self._files = HistoryFiles()
        self._process: HistoryProcess | None = None
        self._many_at = self._failed_at = float("-inf")
        self._pause = GATHER

    def of(self, home: Path, keep: Keep) -> "HomeHistory":
        """The history of this home."""
        return HomeHistory(self, home, keep)

    def put(self, home: "HomeHistory", run: Ended) -> bool:
        """Whether there was room for the run."""
        size = _size(run)
        if self._given - self._taken + size > self._room:
            return False
        self._given += size
        self._items.put((home, run))
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._work, name="history", daemon=True)
            self._thread.start()
        return True

    def relieved(self) -> bool:
        """Whether there is room again, and not only for one more run."""
        return self._given - self._taken < self._room // 2

    async def settled(self, also: Action = lambda: None) -> None:
        """What was put until now is written, or cannot be; a disk that hangs keeps nobody here.

        Then `also` is called, in the thread.
        """
        if self._thread is None or not self._thread.is_alive():
            return
        done: Future[None] = Future()
        for action in (also, lambda: done.set_result(None)):
            self._items.put(action)
        self._somebody_waits.set()
        waiting = {asyncio.wrap_future(done)}
        await self._while_it_goes_on(lambda: asyncio.wait(waiting, timeout=PATIENCE), done.done)

    async def close(self) -> None:
        """Write what waits, and end."""
        if (thread := self._thread) is None:
            return
        self._items.put(None)
        self._somebody_waits.set()
        join = partial(asyncio.to_thread, thread.join, PATIENCE)
        await self._while_it_goes_on(join, lambda: not thread.is_alive())

    async def _while_it_goes_on(
        self, wait: Callable[[], Awaitable[object]], over: Callable[[], bool]
    ) -> None:
        """Wait again and again, as long as something is written meanwhile."""
        before = -1
        while not over() and before != self._taken:
            before = self._taken
            await wait()

    # -------------------------------------------------------------- in the thread

    def _work(self) -> None:
        try:
            while self._write_some():
                pass
        finally:
            self._files.close()
            self._end_process()

    def _write_some(self) -> bool:
        """Wait for something, and a little longer for more; whether to go on."""
        items = [self._items.get()]
        self._somebody_waits.wait(self._pause)
        self._somebody_waits.clear()
        began = time.monotonic()
        items += [self._items.get() for _ in range(self._items.qsize())]
        by_home: dict[HomeHistory, list[Ended]] = {}
        actions: list[Action | None] = []
        for item in items:
            if isinstance(item, tuple):
                by_home.setdefault(item[0], []).append(item[1])
            else:
                actions.append(item)
        self._choose(sum(map(len, by_home.values())), began)
        for home, some in by_home.items():
            for parcel in _parcels(some):
                self._write(home, parcel)
        self._pause = max(GATHER, min(LONGEST, SHARE * (time.monotonic() - began)))
        for action in actions:
            if action:
                action()
        return None not in actions

    def _choose(self, runs: int, now: float) -> None:
        """Many runs at a time are worth a process, and it stays for a while; without one, it goes on here."""
        if runs > MANY * self._pause / GATHER:
            self._many_at = now
            if self._process is None and now - self._failed_at > AGAIN:
                try:
                    self._process = HistoryProcess()
                    self._files.close()
                except NoProcess:
                    self._failed_at = now
        elif now - self._many_at > KEPT:
            self._end_process()

    def _end_process(self) -> None:
        if self._process:
            self._process.close()
        self._process = None

    def _write(self, home: "HomeHistory", some: list[Ended]) -> None:
        try:
            home.write(some)
        finally:
            self._taken += sum(map(_size, some))

    def add(self, home: Path, runs: list[Ended], keep: Keep) -> Path | None:
        """In the thread: write the runs of this home; as `HistoryFile.add`."""
        if self._process:
            try:
                return self._process.add(home, runs, keep)
            except NoProcess:  # it was killed in a quiet moment
                self._end_process()
        return self._files.add(home, runs, keep)

    def shut(self, home: Path) -> None:
        """In the thread: nothing of this home is open any more."""
        self._files.shut(home)
        if self._process:
            self._process.shut(home)


class HomeHistory:
    """The history of one citizen as its scheduler knows it: a Recorder."""

    def __init__(self, historian: Historian, home: Path, keep: Keep) -> None:
        self.keep = keep
        self._historian, self._home = historian, home
        self._lost = 0

    def begin(self, told: Told) -> None:
        self._loop, self._told = asyncio.get_running_loop(), told

    def record(self, run: Ended) -> None:
        if not self._historian.put(self, run):
            self._missed(1, BEHIND)

    async def runs(self, asked: Asked, known: Collection[str]) -> tuple[RunRecord, ...]:
        await self._historian.settled()
        return await asyncio.to_thread(runs, self._home, asked, known)

    async def output(self, run: int) -> str:
        await self._historian.settled()
        return await asyncio.to_thread(output, self._home, run)

    async def close(self) -> None:
        await self._historian.settled(partial(self._historian.shut, self._home))

    def write(self, some: list[Ended]) -> None:
        """In the thread: the runs are on disk, or counted as missing."""
        try:
            aside = self._historian.add(self._home, some, self.keep)
        except NotRecorded as reason:
            self._soon(self._missed, len(some), str(reason))
            return
        if aside:
            self._soon(self._told, "history set aside", f"it was damaged; it is {aside} now")
        if self._lost and self._historian.relieved():
            self._soon(self._well)

    def _soon(self, action: Callable[..., None], *given: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended: nobody is there to be told
            self._loop.call_soon_threadsafe(action, *given)

    def _missed(self, runs: int, reason: str) -> None:
        """Said once, until it is well again."""
        if not self._lost:
            self._told("history not recorded", reason)
        self._lost += runs

    def _well(self) -> None:
        if self._lost:
            self._told("history recorded again", f"{self._lost} runs are missing")
        self._lost = 0


def _parcels(runs: list[Ended]) -> Iterator[list[Ended]]:
    """All of them, in few lists that are not large."""
    parcel, room = list[Ended](), PARCEL
    for run in runs:
        room -= _size(run)
        if parcel and room < 0:
            yield parcel
            parcel, room = [], PARCEL - _size(run)
        parcel.append(run)
    yield parcel


def _size(run: Ended) -> int:
    return ROW + len(run.text) + len(run.traceback) + (min(run.output.size, ROOM) if run.output else 0)
