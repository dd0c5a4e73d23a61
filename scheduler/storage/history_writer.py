"""The one thread of a process that writes the history of all its citizens."""

import asyncio
import contextlib
import os
import threading
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from queue import SimpleQueue

from scheduler.core.records import FinishedRun, RunQuery, RunRecord, Told
from scheduler.core.task import Retention
from scheduler.storage.history_file import Answer, HistoryFiles, Row
from scheduler.storage.history_process import HistoryProcess, NoProcess, Packed, pack, unpack
from scheduler.storage.history_reader import output, runs

ROOM = 64 << 20  # bytes of runs that may wait for the disk
ROW = 1024  # bytes that a run counts for before it is packed, besides its texts
GATHER = 0.5  # seconds in which runs come together in one transaction
SHARE, LONGEST = 4, 10.0  # after a slow write that many times as long, but at most so many seconds
MANY = 32  # runs in that time, from which on they are written by a process of its own
KEPT, AGAIN = 60.0, 60.0  # seconds that it stays after that, and until another try if it cannot begin
PARCEL = 4 << 20  # bytes of runs that are written at once
PATIENCE = 5.0  # seconds in which the disk takes nothing, where somebody waits

BEHIND = "more runs end than the disk can take"

Action = Callable[[], None]


class HistoryWriter:
    """Takes what is to be recorded from one loop and writes it in a thread of its own.

    Nothing waits for it; what there is no room for is left out and counted.
    """

    def __init__(self, room: int = ROOM) -> None:
        self._room = room
        self._items: SimpleQueue[Row | Packed | Action] = SimpleQueue()
        # Bytes, in two counters that one thread each writes to: no lock on the path of a run.
        self._given = self._taken = 0
        self._answered = 0  # times
        self._closed = False
        self._homes: dict[bytes, HistoryRecorder] = {}
        self._somebody_waits = threading.Event()
        self._thread: threading.Thread | None = None
        self._files = HistoryFiles()
        self._process: HistoryProcess | None = None
        self._many_at = self._failed_at = float("-inf")
        self._pause = GATHER

    def of(self, home: Path, keep: Retention) -> "HistoryRecorder":
        """The history of this home."""
        return HistoryRecorder(self, home, keep)

    def tell(self, home: "HistoryRecorder") -> None:
        """Of the runs of its place it hears what came of them, and nobody else does."""
        self._homes[home.place] = home

    def forget(self, home: "HistoryRecorder") -> None:
        """It hears nothing more; another one of the same place does."""
        if self._homes.get(home.place) is home:
            del self._homes[home.place]

    def put(self, home: "HistoryRecorder", run: FinishedRun) -> bool:
        """Whether there was room for the run."""
        row = Row(home.place, home.keep, run)
        # Packed here: the thread would hold up whatever is due meanwhile, for many of them at once.
        item = pack(*row) if self._process and not _printed(run) else row
        size = _size(item)
        if self._given - self._taken + size > self._room:
            return False
        self._given += size
        self._items.put(item)
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
        self._items.put(self._end)
        self._somebody_waits.set()
        join = partial(asyncio.to_thread, thread.join, PATIENCE)
        await self._while_it_goes_on(join, lambda: not thread.is_alive())

    async def _while_it_goes_on(
        self, wait: Callable[[], Awaitable[object]], over: Callable[[], bool]
    ) -> None:
        """Wait again and again, as long as something is written meanwhile."""
        before = -1
        while not over() and before != self._answered:
            before = self._answered
            await wait()

    # -------------------------------------------------------------- in the thread

    def _end(self) -> None:
        self._closed = True

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
        rows = [item for item in items if not callable(item)]
        self._choose(len(rows), began)
        for size, parcel in _parcels(rows):
            self._write(size, parcel)
        self._pause = max(GATHER, min(LONGEST, SHARE * (time.monotonic() - began)))
        for item in items:
            if callable(item):
                item()
        return not self._closed

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

    def _write(self, size: int, rows: list[Row | Packed]) -> None:
        try:
            for answers in self._answers(rows):
                self._answered += 1
                for answer in answers:
                    if home := self._homes.get(answer.home):
                        home.written(answer)
        finally:
            self._taken += size

    def _answers(self, rows: list[Row | Packed]) -> Iterator[list[Answer]]:
        if self._process:
            try:
                yield from self._process.add(rows)
                return
            except NoProcess:  # it was killed in a quiet moment
                self._end_process()
        yield from self._files.add(unpack(row) if isinstance(row, Packed) else row for row in rows)

    def shut(self, home: bytes) -> None:
        """In the thread: nothing of this home is open any more."""
        self._files.shut(home)
        if self._process:
            self._process.shut(home)


class HistoryRecorder:
    """The history of one citizen as its scheduler knows it: a Recorder."""

    def __init__(self, historian: HistoryWriter, home: Path, keep: Retention) -> None:
        self.keep = keep
        self.place = os.fsencode(home.absolute())
        self._history_writer, self._home = historian, home
        self._lost = 0

    def begin(self, told: Told) -> None:
        self._loop, self._told = asyncio.get_running_loop(), told
        self._history_writer.tell(self)

    def record(self, run: FinishedRun) -> None:
        if not self._history_writer.put(self, run):
            self._missed(1, BEHIND)

    async def runs(self, asked: RunQuery, known: Collection[str]) -> tuple[RunRecord, ...]:
        await self._history_writer.settled()
        return await asyncio.to_thread(runs, self._home, asked, known)

    async def output(self, run: int) -> str:
        await self._history_writer.settled()
        return await asyncio.to_thread(output, self._home, run)

    async def close(self) -> None:
        await self._history_writer.settled(partial(self._history_writer.shut, self.place))
        self._history_writer.forget(self)

    def written(self, answer: Answer) -> None:
        """In the thread: what came of some of its runs."""
        if answer.refused:
            self._soon(self._missed, answer.runs, answer.refused)
            return
        if answer.aside:
            aside = os.fsdecode(answer.aside)
            self._soon(self._told, "history set aside", f"it was damaged; it is {aside} now")
        if self._lost and self._history_writer.relieved():
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


def _parcels(rows: Iterable[Row | Packed]) -> Iterator[tuple[int, list[Row | Packed]]]:
    """All of them, in few lists that are not large, and the bytes of each."""
    parcel, size = list[Row | Packed](), 0
    for row in rows:
        more = _size(row)
        if parcel and size + more > PARCEL:
            yield size, parcel
            parcel, size = [], 0
        parcel.append(row)
        size += more
    if parcel:
        yield size, parcel


def _size(row: Row | Packed) -> int:
    if isinstance(row, Packed):
        return len(row)
    run = row.run
    return ROW + len(run.text) + len(run.traceback) + _printed(run)


def _printed(run: FinishedRun) -> int:
    return min(run.output.size, ROOM) if run.output else 0
