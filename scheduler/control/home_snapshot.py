"""A citizen's snapshot from its files.

`--status` reads it, so nothing here imports asyncio: that takes as long as the rest of the command.
"""

from dataclasses import replace
from pathlib import Path

from scheduler.config.settings import CitizenSettings
from scheduler.core.planning import next_start, recovered, taken_up
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
    """Return the citizen's snapshot from its files; takes no lock, changes nothing, raises Unreadable."""
    states, notes = StateFile(settings.home).peek()
    owner = owner_of(settings.home)
    freezes = HomeFreezes(settings.home).read(now)
    tasks = sorted(settings.tasks, key=lambda task: (task.priority, task.name))
    woken, awake = _woken(settings.home), wake_state_of(settings, states.get(WAKE), now)
    every = [(settings.wake, awake), *((task, states.get(task.name, TaskState())) for task in tasks)]
    wake, *rows = (_row(settings.name, *each, now, owner, freezes) for each in every)
    wake = replace(wake, number=woken)
    return Snapshot(
        citizen=settings.name,
        tasks=(wake, *rows) if rows or not settings.problems else (),
        wake=_wake(settings, wake),
        home=str(settings.home),
        owner=f"pid {owner.pid}" if owner else "",
        problems=(*settings.problems, *settings.refused, *notes, *freezes.problems),
        freeze=freezes.now(now),
    )


def watched_since(home: Path, now: float) -> float:
    """The time since which this home has had a scheduler; `now` if it has none."""
    owner = owner_of(home)
    return owner.since if owner else now


def _row(
    citizen: str, task: Task, state: TaskState, now: float, owner: Running | None, freezes: Freezes
) -> TaskView:
    # An owner reports how its run has ended; without an owner the run was interrupted.
    if state.running is None or not (owner or alive(state.running)):
        state = recovered(state, now, alive)
    state = taken_up(citizen, task, state, now, frozen=freezes.over(now))
    note = f"waits for pid {state.orphan.pid}, started by an owner that died" if state.orphan else ""
    when, _ = next_start(citizen, task, state, now, owner.since if owner else now, freezes.now(now))
    return view(task, state, when, note=note)


def _wake(settings: CitizenSettings, row: TaskView) -> WakeView:
    return WakeView(
        count=row.number,
        due=row.due,
        last=row.last_run,
        running_since=row.running_since,
        configured=settings.wake.configured,
        error=row.error.text if row.error else "",
    )


def wake_state_of(settings: CitizenSettings, saved: TaskState | None, now: float) -> TaskState:
    """The state of the wake, from all its files."""
    last = unix(read_json(settings.home / "metadata.json", {}).get("last_wake"))
    note = settled(_wake_note(settings.home), saved)
    return wake_state(saved, note, last, _woken(settings.home), now)


def _woken(home: Path) -> int:
    count = read_json(home / "metadata.json", {}).get("wake_count", 0)
    return count if isinstance(count, int) and not isinstance(count, bool) else 0


def _wake_note(home: Path) -> WakeNote:
    try:
        return read_note(home)
    except OSError:  # it belongs to another user and is not readable
        return WakeNote()
