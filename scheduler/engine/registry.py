"""One citizen's states: the one place where a state changes, is asked to be saved, and is shown."""

from collections.abc import Callable, Iterable

from scheduler.core.planning import recovered
from scheduler.core.records import FinishedRun
from scheduler.core.state import TaskState
from scheduler.core.task import Outcome
from scheduler.core.views import Receipt, TaskView
from scheduler.engine.event_bus import EventBus
from scheduler.engine.jobs import Job
from scheduler.errors import UnknownTask
from scheduler.storage.state_file import States
from scheduler.storage.state_store import Store
from scheduler.system.clock import Clock
from scheduler.system.process_info import alive


class TaskRegistry:
    """What is known of a citizen's tasks, saved by its store and shown on its board."""

    def __init__(self, citizen: str, store: Store, clock: Clock, on_edited: Callable[[Job], None]) -> None:
        self.bus = EventBus(citizen, clock)
        self.jobs: dict[str, Job] = {}
        self.states: dict[str, TaskState] = {}
        self.notes: tuple[str, ...] = ()
        self._rows: tuple[Job, ...] = ()
        self._store, self._on_edited = store, on_edited
        self._recovered = False
        self.unfinished_runs: list[FinishedRun] = []
        self.written = store.written
        self.add_event = self.bus.add_event

    def load(self, now: float) -> None:
        """Take up what was saved, closing the runs that a dead owner left open; blocks, raises Unreadable."""
        states, notes = self._store.load()
        self.notes = tuple(notes)
        self.states = {name: self._recover(name, state, now) for name, state in states.items()}
        self._recovered = self.states != states

    def begin(self) -> None:
        """From now on every change is saved."""
        self._store.begin(lambda: self.states, self._adopt, self.bus.notify)
        if self._recovered:  # now, so that the next one does not recover it once more
            self._store.changed()

    def job(self, name: str) -> Job:
        """The task of this name; raises UnknownTask."""
        if name not in self.jobs:
            raise UnknownTask(name, self.jobs)
        return self.jobs[name]

    def update(self, job: Job, state: TaskState) -> None:
        """The task has this state from now on."""
        job.state = self.states[job.task.name] = state
        job.view = None
        self._store.changed()
        self.bus.notify()

    def publish(self, job: Job) -> None:
        """Something about the task looks different."""
        job.view = None
        self.bus.notify()

    def order(self) -> None:
        """Put the rows in order again, after tasks came or went."""
        self._rows = tuple(sorted(self.jobs.values(), key=lambda job: (job.task.priority, job.task.name)))
        self.bus.notify()

    def rows(self) -> tuple[Job, ...]:
        return self._rows

    def views(self, workers: int) -> tuple[TaskView, ...]:
        return tuple(job.row(workers) for job in self._rows)

    @property
    def unsaved(self) -> str:
        return self._store.unsaved

    def differs(self) -> bool:
        """Whether another hand changed the state file; blocks, for any thread."""
        return self._store.differs()

    def reload(self) -> None:
        """Take up what another hand wrote into the state file."""
        self._store.changed()

    async def receipt(self, text: str) -> Receipt:
        """The answer to a verb, once its change is on disk, or cannot be."""
        if await self._store.saved():
            return Receipt(text)
        return Receipt(f"{text}; done, not saved: {self._store.unsaved}", saved=False)

    async def close(self) -> None:
        await self._store.close()

    def _recover(self, name: str, state: TaskState, now: float) -> TaskState:
        after = recovered(state, now, alive)
        if state.running:
            since, why = state.running.since, after.error.text if after.error else ""
            took = max(0.0, now - since)
            ended = FinishedRun(name, None, state.attempt + 1, since, now, took, Outcome.INTERRUPTED, why)
            self.unfinished_runs.append(ended)
            left = f"; pid {after.orphan.pid} is still running" if after.orphan else ""
            text = f"the scheduler died during this run{left}"
            self.bus.add_event("finished", name, outcome=Outcome.INTERRUPTED, text=text)
        return after

    def _adopt(self, states: States, notes: Iterable[str]) -> None:
        """Another hand changed these states in the file."""
        self.notes = tuple(notes)
        for name, state in states.items():
            self.states[name] = state
            if job := self.jobs.get(name):
                job.state = state
                self.publish(job)
                self.bus.add_event("changed by hand", name)
                self._on_edited(job)
        self.bus.notify()
