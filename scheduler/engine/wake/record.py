"""The records of wakes, in files for people and tools and in the note for the next owner."""

import asyncio
import logging
from collections.abc import Coroutine, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from scheduler.core.schedules.schedule import iso, unix
from scheduler.core.state import TaskState
from scheduler.core.task import WAKE, Outcome
from scheduler.engine.wake.record_files import RecordFiles, update_metadata
from scheduler.errors import Unreadable
from scheduler.executors.result import Result
from scheduler.process.process_info import Running
from scheduler.storage.file_copies import NO_COPIES, WAKE_NOTE, FileCopies
from scheduler.storage.state_file import States
from scheduler.storage.wake_note import (
    LastDelivered,
    WakeNote,
    note_json,
    read_note,
    settled,
    wake_state,
    write_note,
)
from scheduler.system.clock import Clock, Timer
from scheduler.system.files import read_json, read_json_to_keep

log = logging.getLogger("experience.wake")

RETRY = 30.0  # seconds between two attempts while a disk takes no record


class WakeRecord:
    """The files of one citizen's wakes; `error` says why one could not be written, empty if none failed."""

    def __init__(self, citizen: str, home: Path, clock: Clock, copies: FileCopies = NO_COPIES) -> None:
        self._citizen, self._home, self._clock, self._copies = citizen, home, clock, copies
        self.count = 0
        self.error = ""
        self._files = RecordFiles(home, copies)
        self._kept = self._written = WakeNote()
        self._saving = asyncio.Lock()
        self._writing: set[asyncio.Task[None]] = set()
        self._retry: Timer | None = None
        self._closed = False

    # -------------------------------------------------------------- from one owner to the next

    def take_up(self, states: States) -> States:
        """Return the saved states with the wake's state as its files show it; blocks. Raises Unreadable."""
        try:
            metadata = read_json_to_keep(self._home / "metadata.json")
            note = read_note(self._home)
        except OSError as error:  # treated as empty, wakes would restart at #1 and run beside a living agent
            fix = "make it readable, nothing was changed"
            raise Unreadable(f"{error.filename}: {error.strerror}; {fix}") from error
        count = metadata.get("wake_count", 0)
        self.count = count if isinstance(count, int) and not isinstance(count, bool) else 0
        last, self._written = unix(metadata.get("last_wake")), note
        note = settled(note, states.get(WAKE))
        self._kept = note if note.delivered else replace(note, delivered=LastDelivered("", last or 0.0))
        state = wake_state(states.get(WAKE), note, last, self.count, self._clock.now())
        return {**states, WAKE: state}

    def close_unfinished(self, state: TaskState) -> None:
        """Record the wake during which the previous owner died, with its number and time; blocks."""
        open_turn = self._kept.number > self.count
        if open_turn:
            text = state.error.text if state.error else state.text
            result = Result(state.outcome or Outcome.INTERRUPTED, text)
            self.count = self._kept.number
            at = self._kept.since if state.last_run is None else state.last_run  # the clock was set since
            self._files.add(self.count, at, result, {})
        self.count = max(self.count, state.run_count)  # includes wakes that a full disk left unrecorded
        self._kept = replace(self._kept, number=0, wanted=False, state=TaskState())
        if open_turn or self._written.number:  # states saved from now on lack that turn
            self._write()
        now = self._clock.now()
        self._correct_time(min(state.last_run or now, now))

    @property
    def delivered(self) -> LastDelivered:
        """The last result that was delivered to a wake."""
        return self._kept.delivered or LastDelivered("", 0.0)

    def agents(self) -> tuple[Running, ...]:
        """The agents of turns that have not ended, including those of a dead owner."""
        return self._kept.living()

    # -------------------------------------------------------------- a wake

    @property
    def seen(self) -> Mapping[str, str]:
        """What the agent of the last wake could see when it began."""
        return self._kept.seen

    @property
    def begun(self) -> bool:
        """Whether a turn is noted that has not ended."""
        return self._kept.number > self.count

    async def begin(
        self, since: float, last: LastDelivered | None, agents: tuple[Running, ...], seen: Mapping[str, str]
    ) -> None:
        """Note the turn, so that the next owner neither wakes a second agent nor delivers results twice."""
        kept, living = self._kept, self._kept.living()
        last = last or self.delivered
        self._kept = WakeNote(
            self.count + 1, since, (*living, *agents), last, self.delivered, seen, kept.seen
        )
        await self._save(durable=False)  # fast: the agent waits, and would not survive a power cut

    async def end(self, since: float, result: Result, more: Mapping[str, Any]) -> None:
        """Record the result of the turn, which has ended."""
        self.count += 1
        async with self._saving:
            self._files.add(self.count, since, result, more)
            self._kept = replace(self._kept, number=0, agents=self._kept.living())
            await asyncio.to_thread(self._write)
        self.retry_soon()

    async def withdraw(self) -> None:
        """Undo a refused turn: it does not count as a wake, and its results are delivered again."""
        kept = self._kept
        delivered, seen = kept.delivered_before or kept.delivered, kept.seen_before
        self._kept = replace(kept, number=0, agents=kept.living(), delivered=delivered, seen=seen)
        await self._save(durable=True)

    def correct_time(self) -> None:
        """After the clock was set, move a last wake in the future to now, also in the file."""
        self._begin(self._corrected(self._clock.now()))

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        writing = asyncio.get_running_loop().create_task(work)
        self._writing.add(writing)
        writing.add_done_callback(self._writing.discard)

    async def close(self) -> None:
        """Return when nothing is being written; what a disk did not take is tried once more."""
        self._closed = True
        if self._retry:
            self._retry.cancel()
            self._try_again()
        if self._writing:
            await asyncio.wait(self._writing)

    async def _corrected(self, last: float) -> None:
        async with self._saving:
            await asyncio.to_thread(self._correct_time, last)

    def _correct_time(self, last: float) -> None:
        """Write `last` as the time of the last wake if the file has one in the future."""
        path = self._home / "metadata.json"
        try:
            if (unix(read_json(path, {}).get("last_wake")) or 0.0) > self._clock.now():
                update_metadata(self._home, {"last_wake": iso(last)})
        except OSError as error:
            log.warning("wake not corrected", extra={"citizen": self._citizen, "error": str(error)})

    def retry_soon(self) -> None:
        """Write what the disk did not take as soon as it takes it."""
        if self.error and self._retry is None and not self._closed:
            self._retry = self._clock.call_later(RETRY, self._try_again)

    def _try_again(self) -> None:
        self._retry = None
        self._begin(self._save(durable=True))

    async def _save(self, durable: bool) -> None:
        """Write the note, and what waits; an error such as a full disk does not prevent the wake."""
        async with self._saving:
            if self._kept != self._written or self.error:
                await asyncio.to_thread(self._write, durable)
        self.retry_soon()

    def _write(self, durable: bool = True) -> None:
        """Write all that is not on disk; the note last, since it ends the turn that the files name."""
        errors = [*self._files.write(), *self._write_note(durable)]
        if bool(errors) != bool(self.error):  # logged once, however often it is tried
            more = {"citizen": self._citizen, **({"error": str(errors[0])} if errors else {})}
            log.warning("wake not recorded" if errors else "wakes recorded again", extra=more)
        self.error = f"wake not recorded: {errors[0].strerror or errors[0]}" if errors else ""

    def _write_note(self, durable: bool) -> Iterator[OSError]:
        note = self._kept
        if note == self._written:
            return
        try:
            write_note(self._home, note, durable)
            self._copies.keep(WAKE_NOTE, note_json(note))
            self._written = note
        except OSError as error:
            yield error
