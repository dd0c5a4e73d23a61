"""What a citizen's files say at this moment: takes no lock, changes nothing, waits for nobody."""

import asyncio
from collections.abc import Collection, Iterable
from pathlib import Path

from scheduler.core.details import TaskDetails
from scheduler.core.forecast import forecast
from scheduler.core.recovery import recovered, slot
from scheduler.core.schedule import unix
from scheduler.core.state import TaskState
from scheduler.core.task import Task, WakeConfig
from scheduler.core.views import Snapshot, TaskView, WakeView, view
from scheduler.core.window import Slots, TimeGrid
from scheduler.errors import UnknownTask
from scheduler.storage.lock import owner_of
from scheduler.storage.state_file import StateFile
from scheduler.system.files import read_json
from scheduler.system.process_info import Running, alive


def look_at(
    citizen: str,
    home: Path,
    tasks: Iterable[Task],
    plan: WakeConfig,
    now: float,
    problems: Iterable[str] = (),
) -> Snapshot:
    """The citizen at this moment, from its files: takes no lock, changes nothing; raises Unreadable."""
    states, notes = StateFile(home).peek()
    owner = owner_of(home)
    rows = sorted(tasks, key=lambda task: (task.priority, task.name))
    return Snapshot(
        citizen=citizen,
        tasks=tuple(_row(citizen, task, states.get(task.name, TaskState()), now, owner) for task in rows),
        wake=_wake(home, plan, now),
        home=str(home),
        owner=f"pid {owner.pid}" if owner else "",
        problems=(*problems, *notes),
    )


def explained(
    citizen: str, home: Path, tasks: Iterable[Task], secrets: Collection[str], name: str, now: float
) -> TaskDetails:
    """What the task is, by its settings and the state file; raises UnknownTask, Unreadable."""
    from scheduler.core.description import explain  # --status, which looks too, does without

    known = {task.name: task for task in tasks}
    if name not in known:
        raise UnknownTask(name, known)
    states, _ = StateFile(home).peek()
    return explain(citizen, known[name], states.get(name, TaskState()), now, 0.0, secrets)


async def foreseen(
    citizen: str, home: Path, tasks: Iterable[Task], names: Collection[str], now: float, window: TimeGrid
) -> Slots:
    """When the tasks would run, by their settings and the state file; raises Unreadable."""
    states, _ = await asyncio.to_thread(StateFile(home).peek)
    asked = [(task, states.get(task.name, TaskState()), 0.0) for task in tasks if task.name in names]
    return await forecast(citizen, asked, now, window)


def _row(citizen: str, task: Task, state: TaskState, now: float, owner: Running | None) -> TaskView:
    # A process that has just ended is no interrupted run while there is an owner to say how it went.
    if state.running is None or not (owner or alive(state.running)):
        state = recovered(state, now, alive)
    state = state.seen(now)
    note = f"waits for pid {state.orphan.pid}, started by an owner that died" if state.orphan else ""
    return view(task, state, slot(citizen, task, state, now, 0.0), note=note)


def _wake(home: Path, plan: WakeConfig, now: float) -> WakeView:
    metadata = read_json(home / "metadata.json", {})
    last, count = unix(metadata.get("last_wake")), metadata.get("wake_count", 0)
    return WakeView(
        count=count if isinstance(count, int) else 0,
        due=None if last is None else plan.schedule.after(min(last, now)),
        last=last,
        configured=plan.work is not None,
    )
