"""One citizen's tasks: the one place where a state changes, is saved and is published."""

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Mapping

from scheduler.core.planning import recovered, taken_up
from scheduler.core.records import FinishedRun
from scheduler.core.schedules.freeze import Span
from scheduler.core.state import OFF, TaskState
from scheduler.core.task import WAKE, Outcome, Trigger
from scheduler.core.views import Hold, HoldKind, Receipt, TaskView
from scheduler.engine.event_bus import EventBus
from scheduler.engine.job import Job
from scheduler.errors import NotConfirmed, UnknownTask
from scheduler.process.process_info import alive
from scheduler.storage.state_file import States
from scheduler.storage.state_store import Store
from scheduler.system.clock import Clock

log = logging.getLogger("experience")

SAVED_WITHIN = 5.0  # seconds that a verb waits for the disk; its client waits ten seconds for the answer
RECEIPTS = (HoldKind.BUDGET, HoldKind.PROVIDER)  # the kinds of hold that get a row in the history


class TaskRegistry:
    """A citizen's tasks and their states; saved by its store, published on its event bus."""

    def __init__(self, citizen: str, store: Store, clock: Clock, on_edited: Callable[[Job], None]) -> None:
        self.bus = EventBus(citizen, clock)
        self.jobs: dict[str, Job] = {}
        self.states: dict[str, TaskState] = {}
        self.notes: tuple[str, ...] = ()
        self.frozen_spans: tuple[Span, ...] = ()
        self.stopping = False
        self._rows: tuple[Job, ...] = ()
        self._citizen, self._clock = citizen, clock
        self.store, self._on_edited = store, on_edited
        self._recovered = False
        self.unfinished_runs: list[FinishedRun] = []
        self._unbegun: list[str] = []  # tasks whose run was on record but had not begun when their owner died
        self.fenced = store.fenced

    def load(self, now: float, take_up: Callable[[States], States] = lambda states: states) -> None:
        """Read the saved states and close the runs that a dead owner left open; blocks, raises Unreadable.

        `take_up` adds what other files of the home say about the tasks.
        """
        saved, notes = self.store.load()
        self._note(notes)
        states = take_up(saved)
        self.states = {name: self._recover(name, state, now) for name, state in states.items()}
        self._recovered = self.states != saved

    def note_removed(self, known: Collection[str]) -> None:
        """Note which tasks the settings lost while nothing ran: if they come back, they missed nothing."""
        for name, state in self.states.items():
            if name not in known and state.schedule not in (None, OFF):
                self.states[name] = state.removed()
                self._recovered = True

    def begin(self) -> None:
        """Save every change from now on."""
        self.store.begin(lambda: self.states, self._adopt, self.bus.notify)
        for name in self._unbegun:
            self.store.withdrawn(name)
        if self._recovered:  # at once, so that the next owner does not recover the same runs again
            self.store.changed()

    def job(self, name: str) -> Job:
        """The task of this name; raises UnknownTask."""
        if name not in self.jobs:
            raise UnknownTask(name, self.jobs)
        return self.jobs[name]

    def update(self, job: Job, state: TaskState) -> None:
        """Set the task's state, save and publish it."""
        job.state = self.states[job.task.name] = state
        job.view = None
        self.store.changed()
        self.bus.notify()

    def take_up(self, job: Job, now: float, *, clock_changed: bool = False) -> None:
        """Continue with the task after the clock was set or its settings changed."""
        spans = self.frozen_spans
        state = taken_up(self._citizen, job.task, job.state, now, clock_changed=clock_changed, frozen=spans)
        if job.state.paused and not state.paused:
            self.bus.add_event("resumed", job.task.name, text="its pause is over")
        if state != self.states.get(job.task.name):
            self.update(job, state)

    def publish(self, job: Job) -> None:
        """Update the task's row on screens."""
        job.view = None
        self.bus.notify()

    # -------------------------------------------------------------- the table

    def hold(self, job: Job, hold: Hold | None) -> None:
        """Note why the task does not start although it is due; published once per cause."""
        if hold == job.held:
            return
        job.held = hold
        self.publish(job)
        if hold and (hold.kind, hold.about) != job.announced:
            job.announced = (hold.kind, hold.about)
            self.bus.add_event(_event_kind(hold), job.task.name, text=hold.why)
            if hold.kind in RECEIPTS:
                self.let_go(job, f"{hold.kind} {hold.about}", hold.why)
            for listener in self.bus.listeners:
                listener.held(job.task, hold)

    def let_go(self, job: Job, about: str, why: str) -> None:
        """Record once, in a row of the history, that the wake is skipped from now on because of `about`."""
        if not job.is_wake or job.state.let_go == about:
            return
        now = self._clock.now()
        self.update(job, job.state.changed(let_go=about))
        self.bus.record(FinishedRun(WAKE, Trigger.SCHEDULE, 1, now, now, 0.0, Outcome.SKIPPED, why))

    def show_costs(self, today: Mapping[str, str], month: Mapping[str, str]) -> None:
        """Show what each task's runs cost that began today, and this month."""
        for job in self._rows:
            costs = today.get(job.task.name, ""), month.get(job.task.name, "")
            if costs != job.costs:
                job.costs, job.view = costs, None

    def order(self) -> None:
        """Sort the rows after tasks were added or removed."""
        self._rows = tuple(sorted(self.jobs.values(), key=_place))
        self.bus.notify()

    def rows(self) -> tuple[Job, ...]:
        return self._rows

    def views(self, workers: int) -> tuple[TaskView, ...]:
        return tuple(job.row(workers) for job in self._rows)

    @property
    def unsaved(self) -> str:
        return self.store.unsaved

    def differs(self) -> bool:
        """Whether the state file was edited; blocks, for any thread."""
        return self.store.differs()

    def reload(self) -> None:
        """Read what was edited in the state file."""
        self.store.changed()

    async def receipt(self, text: str) -> Receipt:
        """Return the answer to a verb when its change is on disk or cannot be written.

        Raises NotConfirmed where another machine may own the citizen next, without the change.
        """
        try:
            async with asyncio.timeout(SAVED_WITHIN):
                saved = await self.store.saved()
        except TimeoutError:
            return Receipt(f"{text}; done, not saved yet: the disk is slow", saved=False)
        if saved:
            return Receipt(text)
        if self.fenced:
            why = self.store.unsaved or "another machine owns the citizen"
            raise NotConfirmed(f"{text}; not saved: {why}; the next owner does not know of it")
        return Receipt(f"{text}; done, not saved: {self.store.unsaved}", saved=False)

    async def close(self) -> None:
        await self.store.close()

    def _recover(self, name: str, state: TaskState, now: float) -> TaskState:
        after = recovered(state, now, alive)
        if state.starting:
            self._unbegun.append(name)
            self.bus.add_event("starts again", name, text="the scheduler died before this run began")
        elif state.running:
            since, why = state.running.since, after.error.text if after.error else ""
            took = max(0.0, now - since)
            ended = FinishedRun(name, None, state.attempt + 1, since, now, took, Outcome.INTERRUPTED, why)
            self.unfinished_runs.append(ended)
            left = f"; pid {after.orphan.pid} is still running" if after.orphan else ""
            text = f"the scheduler died during this run{left}"
            self.bus.add_event("finished", name, outcome=Outcome.INTERRUPTED, text=text)
        return after

    def _note(self, notes: Iterable[str]) -> None:
        """Show and log what was dropped when the state file was read."""
        self.notes = tuple(notes)
        for note in self.notes:
            log.warning(note, extra={"citizen": self._citizen})

    def _adopt(self, states: States, notes: Iterable[str]) -> None:
        """Take over states that were edited in the file."""
        self._note(notes)
        for name, state in states.items():
            before = self.states.get(name)
            if before and before.paused and not state.paused:  # resumed
                state = state.changed(paused_at=before.paused_at or self._clock.now())
            self.states[name] = state
            if job := self.jobs.get(name):
                job.state = state
                self.take_up(job, self._clock.now())
                self.publish(job)
                self.bus.add_event("changed by hand", name)
                self._on_edited(job)
        self.bus.notify()


def _place(job: Job) -> tuple[bool, int, str]:
    """The sort key of a row; the wake comes first."""
    return not job.is_wake, job.task.priority, job.task.name


def _event_kind(hold: Hold) -> str:
    return "over budget" if hold.why.startswith("over budget") else "waits"
