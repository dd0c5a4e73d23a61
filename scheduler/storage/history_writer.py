"""Writes finished runs to the `runs.db` of each home, in batches, from one background thread."""

import asyncio
import threading
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import NamedTuple

from scheduler.core.records import FinishedRun, Notify, RunQuery, RunRecord
from scheduler.core.task import Retention
from scheduler.storage.history_file import HistoryFile, NotRecorded
from scheduler.storage.history_reader import output, runs
from scheduler.system.hanging_disks import require_disk

ROOM = 64 << 20  # bytes of runs that may wait to be written
ROW = 1024  # bytes counted for a run, in addition to its texts
KEPT = 96 << 10  # bytes that are in memory of a run's output, however much it printed
GATHER = 0.5  # seconds for which finished runs are gathered into one transaction
SHARE = 4  # after a slow write the pause is this many times as long as the write
LONGEST = 10.0  # seconds: the longest pause
PATIENCE = 5.0  # seconds without progress after which a caller stops waiting for the disk
OPEN = 64  # databases open at the same time: each takes three descriptors

RETRY = 30.0  # seconds between two attempts while no other run ends
WAITING = 8 << 20  # bytes of a citizen's runs that wait for a disk that takes none

BEHIND = "more runs end than the disk can take"


class HistoryWriter:
    """A queue of finished runs and the thread that writes them; drops and counts runs when it is full."""

    def __init__(self, room: int = ROOM) -> None:
        self._room = room
        self._queue: SimpleQueue[Item] = SimpleQueue()
        # In bytes. Only one thread changes each counter, so a finished run needs no lock.
        self._queued = self._written = 0
        self._urgent = threading.Event()
        self._thread: threading.Thread | None = None
        self._open: dict[HistoryFile, None] = {}  # in order of their last use
        self._failing: dict[HistoryRecorder, None] = {}  # with runs that a disk did not take
        self._pause = GATHER

    def of(self, home: Path, keep: Retention) -> "HistoryRecorder":
        """The history of this home."""
        return HistoryRecorder(self, home, keep)

    def enqueue(self, recorder: "HistoryRecorder", run: FinishedRun) -> bool:
        """Queue the run; False if there is no room for it."""
        size = _size(run)
        if self._queued - self._written + size > self._room:
            return False
        self._queued += size
        self._queue.put(Row(recorder, run, size))
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._work, name="history", daemon=True)
            self._thread.start()
        return True

    def has_room(self) -> bool:
        """Whether at least half of the room is free."""
        return self._queued - self._written < self._room // 2

    async def flush(self, close: "HistoryFile | None" = None) -> None:
        """Wait until all queued runs are written, or the disk hangs; then close this file."""
        await self._wait_for(Mark(Future(), close))

    async def close(self) -> None:
        """Write all queued runs and end the thread."""
        await self._wait_for(Mark(Future(), end=True))

    async def _wait_for(self, mark: "Mark") -> None:
        if self._thread is None or not self._thread.is_alive():
            return
        self._queue.put(mark)
        self._urgent.set()
        reached, before = asyncio.wrap_future(mark.reached), -1
        while not reached.done() and before != self._written:
            before = self._written
            await asyncio.wait({reached}, timeout=PATIENCE)

    # -------------------------------------------------------------- in the thread

    def _work(self) -> None:
        ended = False
        while not ended:
            batch = self._get_batch()
            began = time.monotonic()
            self._write([item for item in batch if isinstance(item, Row)])
            self._pause = max(GATHER, min(LONGEST, SHARE * (time.monotonic() - began)))
            ended = self._resolve([item for item in batch if isinstance(item, Mark)])

    def _get_batch(self) -> "list[Item]":
        """Wait for an item, and a little longer for more; empty when failed writes are to be tried again."""
        try:
            first = self._queue.get(timeout=RETRY if self._failing else None)
        except Empty:
            return []
        self._urgent.wait(self._pause)
        self._urgent.clear()
        return [first, *(self._queue.get() for _ in range(self._queue.qsize()))]

    def _write(self, rows: "Iterable[Row]") -> None:
        """Write the rows and those that wait for a disk, one transaction for each home."""
        by_home: dict[HistoryRecorder, list[Row]] = {recorder: [] for recorder in self._failing}
        for row in rows:
            by_home.setdefault(row.recorder, []).append(row)
        for recorder, batch in by_home.items():
            self._open.pop(recorder.file, None)
            self._open[recorder.file] = None
            self._written += recorder.write(batch)
            if recorder.waiting:
                self._failing[recorder] = None
            else:
                self._failing.pop(recorder, None)
            if len(self._open) > OPEN:
                self._close_file(next(iter(self._open)))

    def _resolve(self, marks: "Iterable[Mark]") -> bool:
        """Close the files of these marks and set their futures; True if one of the marks ends the thread."""
        for mark in marks:
            for file in list(self._open) if mark.end else filter(None, [mark.close]):
                self._close_file(file)
            for recorder in [each for each in self._failing if mark.end or each.file is mark.close]:
                del self._failing[recorder]
                self._written += recorder.give_up()
            mark.reached.set_result(None)
        return any(mark.end for mark in marks)

    def _close_file(self, file: "HistoryFile") -> None:
        self._open.pop(file, None)
        file.close()


class HistoryRecorder:
    """The Recorder of one citizen."""

    def __init__(self, writer: HistoryWriter, home: Path, keep: Retention) -> None:
        self.keep = keep
        self.file = HistoryFile(home)
        self._writer, self._home = writer, home
        self.waiting: list[Row] = []  # for a disk that did not take them; only the thread changes it
        self.lost = 0
        self._failing = False
        self._loop: asyncio.AbstractEventLoop | None = None

    def begin(self, notify: Notify) -> None:
        self._loop, self._notify = asyncio.get_running_loop(), notify

    def record(self, run: FinishedRun) -> None:
        if not self._writer.enqueue(self, run):
            self._count_lost(1, BEHIND)

    async def runs(self, asked: RunQuery, known: Collection[str]) -> tuple[RunRecord, ...]:
        await self._writer.flush()
        return await asyncio.to_thread(runs, self._home, asked, known)

    async def output(self, run: int) -> str:
        await self._writer.flush()
        return await asyncio.to_thread(output, self._home, run)

    async def close(self) -> None:
        await self._writer.flush(close=self.file)
        self._loop = None

    def write(self, rows: "Sequence[Row]") -> int:
        """Write these runs and those that wait; returns the bytes that wait no longer. For the thread."""
        rows = [*self.waiting, *rows]
        try:
            require_disk(self._home)  # the thread serves all citizens
            aside = self.file.add([row.run for row in rows], self.keep)
        except (NotRecorded, OSError) as reason:
            return self._keep_waiting(rows, str(reason))
        self.waiting = []
        if aside:
            self._call_on_loop(self._notify, "history set aside", f"it was damaged; it is {aside} now")
        if self._failing and self._writer.has_room():
            self._call_on_loop(self._recovered)
        return sum(row.size for row in rows)

    def _keep_waiting(self, rows: "Sequence[Row]", reason: str) -> int:
        """Keep the newest of these for another attempt, none after `close`; returns the bytes of the rest."""
        room, first = WAITING if self._loop else 0, len(rows)
        while first and (room := room - rows[first - 1].size) >= 0:
            first -= 1
        self.waiting = list(rows[first:])
        self._call_on_loop(self._count_lost, first, reason)
        return sum(row.size for row in rows[:first])

    def give_up(self) -> int:
        """Keep nothing: it is closed. Returns the bytes that wait no longer; for the thread."""
        freed, self.waiting = sum(row.size for row in self.waiting), []
        return freed

    def _call_on_loop(self, action: Callable[..., None], *arguments: object) -> None:
        if loop := self._loop:  # `close` sets it to None on another thread
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(action, *arguments)

    def _count_lost(self, runs: int, reason: str) -> None:
        """Report the first failure; then only count what is lost, until runs are recorded again."""
        if not self._failing:
            self._notify("history not recorded", reason)
        self._failing = True
        self.lost += runs

    def _recovered(self) -> None:
        if self._failing:
            missing = f"{self.lost} runs are missing" if self.lost else "no run is missing"
            self._notify("history recorded again", missing)
        self.lost, self._failing = 0, False


class Row(NamedTuple):
    """A queued run."""

    recorder: HistoryRecorder
    run: FinishedRun
    size: int


class Mark(NamedTuple):
    """A place in the queue: `reached` is set when everything before it is written."""

    reached: "Future[None]"
    close: "HistoryFile | None" = None
    end: bool = False


Item = Row | Mark


def _size(run: FinishedRun) -> int:
    output = min(run.output.size, KEPT) if run.output else 0
    return ROW + len(run.text) + len(run.traceback) + output
