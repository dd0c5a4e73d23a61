"""The note `.experience/wake.json`: what the next owner must know of the wakes besides their state."""

import json
from collections.abc import Mapping
from dataclasses import field, replace
from pathlib import Path

from scheduler.core.state import TaskState
from scheduler.core.values import value
from scheduler.process.process_info import Running, alive
from scheduler.schema.json_codec import InvalidJson, from_json, to_json
from scheduler.storage.state_codec import running_from_json
from scheduler.system.files import read_json_to_keep, replace_file, require_home

FILE = Path(".experience") / "wake.json"
SAME = 0.001  # seconds: files round times
NO_PROCESS = Running(-1, 0.0, 0.0)  # a process that never lives


@value
class LastDelivered:
    """The last result that a wake's letter contained."""

    task: str
    finished: float


@value
class WakeNote:
    """The note; `number` is the wake whose turn has begun and not ended, 0 between turns."""

    number: int = 0
    since: float = 0.0
    agents: tuple[Running, ...] = ()  # the processes of turns that may still be alive
    delivered: LastDelivered | None = None
    delivered_before: LastDelivered | None = None  # by the wake before this one
    seen: Mapping[str, str] = field(default_factory=dict)  # what the agent could see, for the gate
    seen_before: Mapping[str, str] = field(default_factory=dict)
    wanted: bool = False  # like `state`, from an older version's note; both are in the state file now
    state: TaskState = TaskState()

    def living(self) -> tuple[Running, ...]:
        """The agents that are alive; looks for their processes."""
        return tuple(agent for agent in self.agents if alive(agent))


def settled(note: WakeNote, saved: TaskState | None) -> WakeNote:
    """The note without a turn that never began: it is written before the state, which the agent waits for.

    A turn that began on a full disk is in the state alone, which is saved as soon as there is room.
    Times do not count: the clock may have been set in between.
    """
    if not note.number or saved is None or saved.running is None:
        return note
    if saved.run_count < note.number:
        never_began = replace(note, number=0, delivered=note.delivered_before, seen=note.seen_before)
        return never_began if saved.starting else note
    if saved.starting:  # a later turn
        return replace(note, number=0)
    turn, agent = saved.run_count + 1, saved.running
    return replace(note, number=turn, since=agent.since, agents=(*note.agents, agent))


def wake_state(
    saved: TaskState | None, note: WakeNote, last_wake: float | None, count: int, now: float
) -> TaskState:
    """The saved state of the wake, corrected by what its other files know.

    `last_wake` and `count` come from metadata.json, which other tools write, too. A turn that is in the note
    and not yet counted in metadata.json was under way when its owner died, or had just ended.
    """
    state = saved or (note.state.asked_for() if note.wanted else note.state)
    if note.number > count:
        return _of_turn(state, note)
    if last_wake is not None and _knows_more(last_wake, state.last_run, now):
        state = state.changed(last_run=last_wake, last_duration=None)
    recorded = state.running is not None and not state.starting  # counted once found interrupted
    return state.changed(run_count=max(state.run_count, count - recorded))


def _knows_more(last_wake: float, last_run: float | None, now: float) -> bool:
    """Whether metadata.json is right rather than the saved state, which may lack a later wake."""
    if last_run is None:
        return True
    return last_wake <= now and (last_wake > last_run + SAME or last_run > now)


def _of_turn(state: TaskState, note: WakeNote) -> TaskState:
    """The state of a wake whose turn has begun; the state file, saved after the note, may lack the turn."""
    ended = state.run_count >= note.number  # times do not count: the clock may have been set since
    if state.running is None and (ended or abs((state.last_run or 0.0) - note.since) <= SAME):
        return state.changed(run_count=max(state.run_count, note.number))
    if state.running and not state.starting and abs(state.running.since - note.since) <= SAME:
        return state  # it has the turn, so a request is for one more
    agent = note.agents[-1] if note.agents else state.running or NO_PROCESS
    running = replace(agent, since=note.since)
    begun = state.changed(run_count=max(state.run_count, note.number - 1), last_run=note.since)
    return begun.changed(running=running, starting=False, forced=False, due_now=False)


def read_note(home: Path) -> WakeNote:
    """The present note, empty if it is missing or invalid. Raises OSError."""
    content = read_json_to_keep(home / FILE)
    try:
        if "pid" in content:  # older notes held only the agent's process
            return WakeNote(agents=(running_from_json(content),))
        note = from_json(WakeNote, content)
        for agent in note.agents:
            running_from_json(to_json(agent))  # a plausible one
    except InvalidJson:
        return WakeNote()
    return note


def write_note(home: Path, note: WakeNote, durable: bool) -> None:
    """Replace the note; `durable` waits until a power cut cannot undo it."""
    require_home(home)
    replace_file(home / FILE, note_json(note), durable=durable, make=True)


def note_json(note: WakeNote) -> bytes:
    """The note as the content of its file."""
    return json.dumps(to_json(note)).encode()
