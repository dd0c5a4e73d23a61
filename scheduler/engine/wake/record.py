"""The records of wakes: metadata.json, wake_log.json, memory/raw, and the note for the next owner."""

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from scheduler.core.schedules.schedule import iso, unix
from scheduler.core.state import TaskState
from scheduler.core.task import WAKE, Outcome
from scheduler.errors import Unreadable
from scheduler.executors.result import Result
from scheduler.process.process_info import Running
from scheduler.storage.failure_journal import append_event
from scheduler.storage.file_copies import METADATA, NO_COPIES, WAKE_NOTE, FileCopies
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
from scheduler.system.clock import Clock
from scheduler.system.files import (
    read_json,
    read_json_for_update,
    read_json_to_keep,
    replace_file,
    require_home,
    write_json,
)

log = logging.getLogger("experience.wake")

WAKES_KEPT = 1000


class WakeRecord:
    """The files of one citizen's wakes; `error` says why one could not be written, empty if none failed."""

    def __init__(self, citizen: str, home: Path, clock: Clock, copies: FileCopies = NO_COPIES) -> None:
        self._citizen, self._home, self._clock, self._copies = citizen, home, clock, copies
        self.count = 0
        self.error = ""
        self._whole, self._missing = True, 0  # last record complete; incomplete ones before it
        self._kept = self._written = WakeNote()
        self._saving = asyncio.Lock()
        self._correcting: set[asyncio.Task[None]] = set()

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
        if self._kept.number > self.count:
            text = state.error.text if state.error else state.text
            result = Result(state.outcome or Outcome.INTERRUPTED, text)
            self.count = self._kept.number
            at = self._kept.since if state.last_run is None else state.last_run  # the clock was set since
            self._write(self.count, at, result, {})
        self.count = max(self.count, state.run_count)  # includes wakes that a full disk left unrecorded
        self._kept = replace(self._kept, number=0, wanted=False, state=TaskState())
        if self._written.number:  # states saved from now on no longer tell the next owner of that turn
            self._write_note()
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
        self._whole = True
        async with self._saving:
            await asyncio.to_thread(self._write, self.count, since, result, more)
        self._kept = replace(self._kept, number=0, agents=self._kept.living())
        await self._save(durable=True)
        self._tally()

    async def withdraw(self) -> None:
        """Undo a refused turn: it does not count as a wake, and its results are delivered again."""
        kept = self._kept
        delivered, seen = kept.delivered_before or kept.delivered, kept.seen_before
        self._kept = replace(kept, number=0, agents=kept.living(), delivered=delivered, seen=seen)
        await self._save(durable=True)

    def correct_time(self) -> None:
        """After the clock was set, move a last wake in the future to now, also in the file."""
        correcting = asyncio.get_running_loop().create_task(self._corrected(self._clock.now()))
        self._correcting.add(correcting)
        correcting.add_done_callback(self._correcting.discard)

    async def close(self) -> None:
        """Return when nothing is being written."""
        if self._correcting:
            await asyncio.wait(self._correcting)

    async def _corrected(self, last: float) -> None:
        async with self._saving:
            await asyncio.to_thread(self._correct_time, last)

    def _correct_time(self, last: float) -> None:
        """Write `last` as the time of the last wake if the file has one in the future."""
        path = self._home / "metadata.json"
        try:
            if (unix(read_json(path, {}).get("last_wake")) or 0.0) > self._clock.now():
                _update(path, {"last_wake": iso(last)})
        except OSError as error:
            log.warning("wake not corrected", extra={"citizen": self._citizen, "error": str(error)})

    async def _save(self, durable: bool) -> None:
        """Write the note; an error such as a full disk does not prevent the wake."""
        async with self._saving:
            if self._kept != self._written:
                await asyncio.to_thread(self._write_note, durable)

    def _write_note(self, durable: bool = True) -> None:
        note = self._kept
        try:
            write_note(self._home, note, durable)
            self._copies.keep(WAKE_NOTE, note_json(note))
            self._written = note
        except OSError as error:
            self._failed(error)

    def _write(self, number: int, at: float, result: Result, more: Mapping[str, Any]) -> None:
        moment = iso(at)
        entry = {"wake": number, "time": moment, "outcome": result.outcome, "text": result.text[:500]}
        entry |= {key: value for key, value in more.items() if key != "tasks"}
        event = {"type": "wake_complete", **entry, "tasks": more.get("tasks", 0)}
        steps: list[Callable[[], object]] = [
            lambda: self._count(moment, number),
            lambda: _log_wake(self._home / "wake_log.json", entry),
            lambda: append_event(self._home, event, at),
        ]
        for step in steps:
            try:
                step()
            except OSError as error:
                self._failed(error)

    def _count(self, moment: str, number: int) -> None:
        counted = {"last_wake": moment, "wake_count": number}
        _update(self._home / "metadata.json", counted)
        self._copies.keep(METADATA, json.dumps(counted).encode())

    def _failed(self, error: OSError) -> None:
        if not self.error:  # logged once, then counted until a wake is recorded
            log.warning("wake not recorded", extra={"citizen": self._citizen, "error": str(error)})
        self.error, self._whole = f"wake not recorded: {error.strerror or error}", False

    def _tally(self) -> None:
        if not self._whole:
            self._missing += 1
            return
        if self._missing:
            more = {"citizen": self._citizen, "missing": self._missing}
            log.warning("wakes recorded again", extra=more)
        self.error, self._missing = "", 0


def _update(path: Path, values: Mapping[str, Any]) -> None:
    require_home(path.parent)
    write_json(path, {**read_json_for_update(path), **values})


def _log_wake(path: Path, entry: Mapping[str, Any]) -> None:
    require_home(path.parent)
    document = read_json_for_update(path)
    wakes = document.get("wakes")
    kept = (wakes if isinstance(wakes, list) else [])[-WAKES_KEPT + 1 :]
    replace_file(path, _lines({**document, "wakes": [*kept, entry]}).encode(), make=True)


def _lines(document: Mapping[str, Any]) -> str:
    """One line for each wake and each other key: indenting a thousand wakes takes three times as long."""
    others = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in document.items() if key != "wakes"]
    wakes = ",\n  ".join(map(json.dumps, document["wakes"]))
    return "{" + ",\n".join([*others, f'"wakes": [\n  {wakes}\n]']) + "}\n"
