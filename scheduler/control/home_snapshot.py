"""A citizen's snapshot from its files.

`--status` reads it, so nothing here imports asyncio: that takes as long as the rest of the command.
"""

from pathlib import Path

from scheduler.config.settings import CitizenSettings
from scheduler.core.planning import next_start, recovered, taken_up, unfrozen
from scheduler.core.schedules.freeze import Freezes
from scheduler.core.schedules.schedule import unix
from scheduler.core.state import TaskState
from scheduler.core.task import WAKE, Task
from scheduler.core.views import Snapshot, TaskView, WakeView, view
from scheduler.process.process_info import Running, alive
from scheduler.storage.freeze_file import HomeFreezes
from scheduler.storage.lock import owner_of
from scheduler.storage.state_file import StateFile
from scheduler.storage.wake_note import WakeNote, read_note, settled, wake_state
from scheduler.system.files import read_json


def read_snapshot(settings: CitizenSettings, now: float) -> Snapshot:
    """The citizen at this moment, from its files; takes no lock, changes nothing, raises Unreadable."""
    states, notes = StateFile(settings.home).peek()
    owner = owner_of(settings.home)
    freezes = HomeFreezes(settings.home).read(now)
    tasks = sorted(settings.tasks, key=lambda task: (task.priority, task.name))
    return Snapshot(
        citizen=settings.name,
        tasks=tuple(
            _row(settings.name, task, states.get(task.name, TaskState()), now, owner, freezes)
            for task in tasks
        ),
        wake=_wake(settings, states.get(WAKE), now, freezes),
        home=str(settings.home),
        owner=f"pid {owner.pid}" if owner else "",
        problems=(*settings.problems, *settings.refused, *notes, *freezes.problems),
        freeze=freezes.now(now),
    )


def watched_since(home: Path, now: float) -> float:
    """Since when a scheduler is there for this home; now, if one would have to start."""
    owner = owner_of(home)
    return owner.since if owner else now


def _row(
    citizen: str, task: Task, state: TaskState, now: float, owner: Running | None, freezes: Freezes
) -> TaskView:
    # While there is an owner it reports how a run has ended; without one the run was interrupted.
    if state.running is None or not (owner or alive(state.running)):
        state = recovered(state, now, alive)
    state = unfrozen(citizen, task, taken_up(citizen, task, state, now), freezes.over(now))
    note = f"waits for pid {state.orphan.pid}, started by an owner that died" if state.orphan else ""
    when, _ = next_start(citizen, task, state, now, owner.since if owner else now, freezes.now(now))
    return view(task, state, when, note=note)


def _wake(settings: CitizenSettings, saved: TaskState | None, now: float, freezes: Freezes) -> WakeView:
    metadata = read_json(settings.home / "metadata.json", {})
    last, known = unix(metadata.get("last_wake")), metadata.get("wake_count", 0)
    count = known if isinstance(known, int) else 0
    task, note = settings.wake.task, settled(_wake_note(settings.home), saved)
    state = taken_up(settings.name, task, wake_state(saved, note, last, count, now), now)
    state = unfrozen(settings.name, task, state.changed(running=None, orphan=None), freezes.over(now))
    when, _ = next_start(settings.name, task, state, now, now, freezes.now(now))
    return WakeView(
        count=count,
        due=None if last is None else when,
        last=last,
        configured=settings.wake.work is not None,
    )


def _wake_note(home: Path) -> WakeNote:
    try:
        return read_note(home)
    except OSError:  # another user's, who keeps it closed
        return WakeNote()
