"""What the next owner must know of this one's wakes: `.experience/wake.json`."""

import json
from pathlib import Path

from scheduler.core.state import TaskState
from scheduler.core.values import value
from scheduler.process.process_info import Running, alive
from scheduler.schema.json_codec import InvalidJson, from_json, to_json
from scheduler.storage.state_codec import running_from_json
from scheduler.system.files import read_json_to_keep, replace_file, require_home

FILE = Path(".experience") / "wake.json"


@value
class HandedOver:
    """The last result that was in the letter of a wake."""

    task: str
    finished: float


@value
class WakeNote:
    """`number` is that of the wake whose turn has begun and not ended, 0 between two turns."""

    number: int = 0
    since: float = 0.0
    agents: tuple[Running, ...] = ()  # of turns: those that may still be alive
    told: HandedOver | None = None
    wanted: bool = False  # by a person or something urgent; its turn has not begun
    state: TaskState = TaskState()  # what decides when the next one is due

    def living(self) -> tuple[Running, ...]:
        """The agents that are alive; looks for their processes."""
        return tuple(agent for agent in self.agents if alive(agent))


def wake_state(note: WakeNote, last_wake: float | None, now: float) -> TaskState:
    """The state of the wake; `last_wake` is that of metadata.json, which other tools write, too."""
    ahead = last_wake is not None and last_wake > now and note.state.last_run is not None
    return note.state if ahead else note.state.changed(last_run=last_wake)


def read_note(home: Path) -> WakeNote:
    """The note as it is now; an empty one if there is none, or an invalid one. Raises OSError."""
    content = read_json_to_keep(home / FILE)
    try:
        if "pid" in content:  # it was once the agent's process alone
            return WakeNote(agents=(running_from_json(content),))
        note = from_json(WakeNote, content)
        for agent in note.agents:
            running_from_json(to_json(agent))  # a plausible one
    except InvalidJson:
        return WakeNote()
    return note


def write_note(home: Path, note: WakeNote, durable: bool) -> None:
    """Replace the note; `durable` waits until a power cut could not undo it."""
    require_home(home)
    replace_file(home / FILE, json.dumps(to_json(note)).encode(), durable=durable, make=True)
