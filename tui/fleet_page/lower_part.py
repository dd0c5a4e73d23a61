"""The lower part of the fleet: the newest events, or the output of the task under the cursor, or both."""

import asyncio
from collections.abc import Callable, Container, Iterable, Mapping
from contextlib import aclosing
from enum import Enum

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widget import Widget

from scheduler.core.machines import Cluster
from scheduler.core.ports import Control
from scheduler.core.records import LISTED, last_begun
from scheduler.core.views import TaskView
from scheduler.errors import SchedulerError
from tui.common.task_ref import Place
from tui.common.text import clean, took
from tui.details.output import PrintedPane
from tui.fleet_page.machines_pane import MachinesPane
from tui.glyphs import Glyphs
from tui.keys import key_of
from tui.log.events import OUTCOMES, EventLog
from tui.log.recent import RecentEvents

LEAST = 8  # lines below which it is not shown
BOTH = 160  # cells from which both fit
FEW = 50  # citizens whose past is read; more fill the lines by themselves
REST = 0.15  # seconds that the cursor rests before output is requested


class Shown(Enum):
    EVENTS = "events"
    OUTPUT = "output"
    MACHINES = "machines"
    NOTHING = "nothing"

    def next(self, machines: bool) -> "Shown":
        """What to show after this; `machines`: there are several machines."""
        after = self.MACHINES if machines else self.NOTHING
        follows = {self.EVENTS: self.OUTPUT, self.OUTPUT: after, self.MACHINES: self.NOTHING}
        return follows.get(self, self.EVENTS)


class OutputBelow(PrintedPane, can_focus=False):
    """The output of a task's last run, followed while the run is under way."""

    def __init__(
        self, glyphs: Glyphs, find: Callable[[str], Control | None], now: Callable[[], float]
    ) -> None:
        super().__init__(glyphs)
        self._find, self._clock = find, now
        self._at: tuple[object, ...] = ()

    def show(self, place: Place, task: TaskView | None) -> None:
        """Show this task from now on; nothing is requested again until a run begins or ends."""
        at = (place, task.run_count, task.running_since) if task else ()
        if at == self._at:
            return
        self._at = at
        name = clean(f"{place.citizen}/{place.task}", self.glyphs.plain)
        self.hint(f"output of {name}" if task else "output", "")
        if task is not None:
            self.run_worker(self._look_up(place, task), group="beside", exclusive=True)

    async def _look_up(self, place: Place, task: TaskView) -> None:
        await asyncio.sleep(REST)
        title = self.title
        try:
            control = self._find(place.citizen)
            if control is None:
                return
            if task.running_since is not None:
                await self._follow_run(control, place, task.running_since, title)
            else:
                await self._read_last(control, place, title)
        except SchedulerError as error:
            self.hint(title, str(error))

    async def _follow_run(self, control: Control, place: Place, since: float, title: str) -> None:
        self.start_following(since, self._clock())
        self.named(title)
        async with aclosing(control.follow(place.task)) as chunks:
            async for chunk in chunks:
                self.add(chunk)

    async def _read_last(self, control: Control, place: Place, title: str) -> None:
        run = last_begun(await control.history(place.task, limit=LISTED))
        if run is None:
            self.hint(title, "it has not run yet")
            return
        text = await control.output(run.id) if run.printed else ""
        self.show_run(run, text, self._clock())
        sign = self.glyphs.kind[OUTCOMES[run.outcome]]
        self.named(title, f"{sign} {run.outcome} in {took(run.seconds)}")
        self.scroll_rows(self.last)


class Lower(Horizontal):
    """The lower part: fills the lines that the panels leave free."""

    BLANK = True  # covered by its children, as the body is

    def __init__(
        self,
        log: EventLog,
        glyphs: Glyphs,
        citizens: Mapping[str, Control],
        now: Callable[[], float],
        like: Widget,
    ) -> None:
        super().__init__()
        self.events, self.output = RecentEvents(log, glyphs), OutputBelow(glyphs, citizens.get, now)
        self._log, self._citizens, self._clock = log, citizens, now
        self._read = set[str]()  # citizens whose history was requested
        self._busy: Container[tuple[str, str]] = ()
        self.machines = MachinesPane(log, glyphs, now)
        for pane in (self.events, self.output, self.machines):
            pane.painted_like = like
        self.shown = Shown.EVENTS
        self._troubled = False

    def compose(self) -> ComposeResult:
        yield from (self.events, self.output, self.machines)

    def fit(self, free: int, least: int | None = None) -> None:
        """Take so many free lines, if that is enough."""
        lines = free if free >= (least or LEAST) and self.shown is not Shown.NOTHING else 0
        self.display = lines > 0
        if lines:
            self.styles.height = lines

    def switch(self) -> None:
        """Show the next thing."""
        wide = self.app.size.width >= BOTH
        several = self.machines.cluster is not None
        self.shown = self.shown.next(several)
        if wide and self.shown is Shown.OUTPUT:  # both are visible already
            self.shown = self.shown.next(several)

    @property
    def has_room(self) -> bool:
        """Whether there is room for what should be shown."""
        return self.display or self.shown is Shown.NOTHING

    def set_cluster(self, cluster: Cluster | None) -> bool:
        """Set the machines; True if this changes what is shown: trouble is shown unasked, once."""
        self.machines.set_cluster(cluster)
        before, self._troubled = self._troubled, cluster is not None and cluster.troubled
        if self._troubled and not before and self.shown is Shown.EVENTS:
            self.shown = Shown.MACHINES
        elif not self._troubled and (before or cluster is None) and self.shown is Shown.MACHINES:
            self.shown = Shown.EVENTS
        else:
            return False
        return True

    def catch_up(self, running: Container[tuple[str, str]]) -> None:
        """Show new events; `running` is what runs."""
        self._busy = running
        if self.events.display:
            self.events.catch_up(running)
            new = self._citizens.keys() - self._read if len(self._citizens) <= FEW else ()
            if new:
                self._read |= new
                self.run_worker(self._read_past(new))
        if self.machines.display:
            self.machines.sync()

    async def _read_past(self, citizens: Iterable[str]) -> None:
        """Read events from before this start from the histories."""
        for name in sorted(citizens):  # events of one moment have one order
            asked = self._clock()
            try:
                self._log.add_past(name, await self._citizens[name].history(limit=LISTED), asked)
            except (SchedulerError, KeyError):  # its owner is not reached yet, or it is gone
                self._read.discard(name)
        self.events.catch_up(self._busy)

    def look_at(self, place: Place, task: TaskView | None) -> None:
        """Show this task, which is under the cursor, or none."""
        wide = self.app.size.width >= BOTH
        self.machines.display = self.shown is Shown.MACHINES
        wide = wide and not self.machines.display
        self.events.display = wide or self.shown is Shown.EVENTS
        self.output.display = wide or self.shown is Shown.OUTPUT
        key = key_of(self, "lower", "o")
        name = clean(f"{place.citizen}/{place.task}", self.events.glyphs.plain)
        self.events.entitle("events", f"{key} output of {name}" if task and not wide else "")
        self.events.sync({0})  # its title: the rows do not follow the cursor
        self.machines.entitle("machines", f"{key} events")
        if self.output.display:
            self.output.show(place, task)
