"""A citizen as its files tell it, for those who may not or need not own it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path

from .board import Subscribers
from .errors import Owned, SchedulerError
from .files import read_json
from .model import Pulse, Receipt, Snapshot, Task, TaskState, TaskView, WakePlan, WakeView, view
from .ownership import owner_of
from .recovery import recovered, slot
from .schedule import Every, unix
from .store import StateFile
from .workers.facts import alive


def look_at(
    citizen: str, home: Path, tasks: Iterable[Task], plan: WakePlan, now: float, problems: Iterable[str] = ()
) -> Snapshot:
    """The citizen at this moment, from its files: takes no lock, changes nothing; raises Unreadable."""
    states, notes = StateFile(home).peek()
    owner = owner_of(home)
    rows = sorted(tasks, key=lambda task: (task.priority, task.name))
    return Snapshot(
        citizen=citizen,
        tasks=tuple(_row(citizen, task, states.get(task.name, TaskState()), now) for task in rows),
        wake=_wake(home, plan, now),
        home=str(home),
        owner=f"pid {owner.pid}" if owner else "",
        problems=(*problems, *notes),
    )


def _row(citizen: str, task: Task, state: TaskState, now: float) -> TaskView:
    if state.running is None or not alive(state.running):
        state = recovered(state, now, alive)
    state = state.seen(now)
    return view(task, state, slot(citizen, task, state, now, 0.0))


def _wake(home: Path, plan: WakePlan, now: float) -> WakeView:
    metadata = read_json(home / "metadata.json", {})
    last, count = unix(metadata.get("last_wake")), metadata.get("wake_count", 0)
    return WakeView(
        count=count if isinstance(count, int) else 0,
        due=None if last is None else Every(plan.every).after(min(last, now)),
        last=last,
        configured=plan.work is not None,
    )


class Onlooker:
    """A Control that only watches: whoever asks it for a verb is told who owns the citizen."""

    def __init__(self, citizen: str, look: Callable[[], Snapshot], refusal: SchedulerError) -> None:
        self.citizen = citizen
        self._look, self._refusal = look, refusal
        self._snapshot = Snapshot(citizen, stale=str(refusal))
        self._subscribers = Subscribers()

    @property
    def refusal(self) -> str:
        """Why the citizen is not ours, in a line."""
        return str(self._refusal)

    async def refresh(self) -> None:
        """Look again, and tell the watchers if anything is different."""
        try:
            snapshot = await asyncio.to_thread(self._look)
        except SchedulerError as error:
            snapshot = Snapshot(self.citizen, stale=str(error))
        if snapshot != self._snapshot:
            self._snapshot = snapshot
            self._subscribers.tell()

    def snapshot(self) -> Snapshot:
        return self._snapshot

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back, on this loop, whenever there is a new snapshot; calling the result ends that."""
        return self._subscribers.add(callback)

    async def watch(self) -> AsyncIterator[Snapshot]:
        changed = asyncio.Event()
        forget = self.subscribe(changed.set)
        try:
            while True:
                yield self._snapshot
                await changed.wait()
                changed.clear()
        finally:
            forget()

    def pulse(self) -> Pulse:
        return Pulse()

    async def force(self, task: str, *, again: bool = False) -> Receipt:
        raise self._refused()

    async def reset(self, task: str) -> Receipt:
        raise self._refused()

    async def pause(self, task: str) -> Receipt:
        raise self._refused()

    async def resume(self, task: str) -> Receipt:
        raise self._refused()

    async def wake(self) -> Receipt:
        raise self._refused()

    def _refused(self) -> SchedulerError:
        owner = self._snapshot.owner
        return Owned(f"{self.citizen} is owned by {owner}") if owner else self._refusal
