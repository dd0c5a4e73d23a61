"""The screen of one task: what it is, the reason for its state, its next runs, its runs and their output."""

from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import ClassVar, TypeVar

from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.events import Resize

from scheduler.core.ports import Control
from scheduler.core.records import LISTED, RunRecord
from scheduler.core.views import Heartbeat, HoldKind, Snapshot, TaskStatus, TaskView
from scheduler.core.wording.gates import opened_by
from scheduler.errors import Disconnected, SchedulerError
from tui.common.line_view import STYLES
from tui.common.pane import Pane
from tui.common.task_ref import Place
from tui.common.text import clean
from tui.details.definition import FactsPane, TimesPane, no_times
from tui.details.header import Headline
from tui.details.money_fields import money_fields
from tui.details.output import PrintedPane
from tui.details.runs import RunsPane
from tui.details.why import Evidence, Stall, started, why
from tui.fleet.page import Page
from tui.fleet.row_keys import CitizenAsked, Copied, FleetRows, SettingsAsked
from tui.fleet.summary import FleetStatus
from tui.glyphs import Glyphs
from tui.keys import DETAILS_FIRST, DETAILS_KEYS, DETAILS_VERBS, key_of
from tui.terminal import pager
from tui.terminal.external_program import CannotStepAside

SINGLE = (72, 18)  # columns and lines below which only one panel is shown
LOW = 8  # lines below which only the name and the chosen panel are shown
ABOUT = (7, 14)  # lines of the definition, at least and at most
TIMES = 32  # cells of the next times
RUNS = (41, 76)  # cells of the runs, at least and at most

T = TypeVar("T")
Find = Callable[[str], Control | None]  # the citizen of this name; None while it is gone


class Details(Page, inherit_bindings=False):
    """Shows one task; asks its citizen for what snapshots lack, one request of each kind at a time."""

    COMPONENT_CLASSES: ClassVar[set[str]] = STYLES  # for all panes
    AUTO_FOCUS = ""  # otherwise the first pane would get the focus instead of the runs
    BINDINGS: ClassVar[list[BindingType]] = [*DETAILS_KEYS]

    def __init__(
        self, place: Place, find: Find, glyphs: Glyphs, label: str = "", read_only: bool = False
    ) -> None:
        self.headline = Headline(glyphs, place.citizen, place.task, label)
        self.facts, self.times = FactsPane(glyphs), TimesPane(glyphs)
        self.runs, self.printed = RunsPane(glyphs), PrintedPane(glyphs)
        super().__init__(self.runs, glyphs, label)
        self.key_bar.prefer(*DETAILS_FIRST)
        self.place, self._find, self._read_only = place, find, read_only
        self._about, self._past = Horizontal(self.facts, self.times), Horizontal(self.runs, self.printed)
        self._panes: tuple[Pane, ...] = (self.runs, self.printed, self.facts)
        self._active: Pane = self.runs
        self._snapshot: Snapshot | None = None
        self._view: TaskView | None = None
        self._pulse = Heartbeat()
        self._stall: Stall | None = None
        self._gone_since: float | None = None
        self._now = 0.0
        self._more = self._reading = False

    def compose(self) -> ComposeResult:
        self._arrange()
        yield from (self.headline, self._about, self._past, self.key_bar)

    def on_mount(self) -> None:
        self._ask_definition()
        self._ask_runs()
        if self._view is None or self._view.running_since is None:
            self._hint()

    # -------------------------------------------------------------- values go down

    def on_snapshot(self, snapshot: Snapshot, now: float) -> None:
        """Take the newest snapshot of the citizen."""
        before, task = self._view, snapshot.task(self.place.task)
        gone, back, self._now = bool(snapshot.stale), self._gone_since is not None, now
        self._gone_since = (self._gone_since or now) if gone else None
        self._snapshot, self._view = snapshot, task
        if not self.is_mounted or task is None:
            self._show_now()
            return
        if before is None or _ended(before, task):
            self._ask_runs()
        else:
            self.runs.show(task)
        if before is None or _planned(before) != _planned(task):
            self._ask_definition()
        self._show_times()
        self._show_now()
        if back and not gone:
            self._ask_again()

    def beat(self, pulse: Heartbeat, stall: Stall | None) -> None:
        """Take the pulse of the citizen's scheduler, and its last stall."""
        self._pulse, self._stall = pulse, stall

    def tick(self, status: FleetStatus, now: float) -> None:
        self._now = now
        self._show_now()

    _upcoming: tuple[float, ...] = ()

    def _show_times(self) -> None:
        if self._gone_since is not None:
            self.times.show((), "none: no process runs this citizen")
        elif self._view is not None:
            held = self._view.held
            alone = held is not None and held.kind is HoldKind.PROVIDER
            self.times.show(self._upcoming, no_times(self._view), alone=alone)

    def _show_now(self) -> None:
        now, snapshot, task = self._now, self._snapshot, self._view
        for pane in (self.facts, self.times, self.runs):
            pane.tick(now)
        said = "asking its scheduler"
        if snapshot is not None and task is None:
            said = "removed from the settings: the screen shows what was known last"
        elif snapshot is not None and task is not None:
            start = started(task, snapshot)
            begun = (opened_by(start.text) or start.trigger) if start else None
            self.runs.begun_by = clean(str(begun)) if begun else "running"
            habits = self.runs.habits()
            self.facts.show(habits=habits, money=tuple(money_fields(task, snapshot, self.runs.last_paid)))
            said = why(
                task, snapshot, now, Evidence(self._pulse, self._stall, self._gone_since, habits.usual)
            )
        self.headline.show(task, said, now, live=self._gone_since is None)

    # -------------------------------------------------------------- questions and answers

    async def _ask(self, question: Callable[[Control], Awaitable[T]]) -> T:
        control = self._find(self.place.citizen)
        if control is None:
            raise Disconnected(f"{self.place.citizen} is gone")
        return await question(control)

    @work(exclusive=True, group="definition")
    async def _ask_definition(self) -> None:
        try:
            details = await self._ask(lambda control: control.explain(self.place.task))
        except SchedulerError as error:
            self.facts.show(details=None, problem=str(error))
            return
        self._upcoming = details.upcoming
        self.facts.show(details=details, problem="")
        self._show_times()
        self.printed.sync()

    @work(exclusive=True, group="runs")
    async def _ask_runs(self) -> None:
        """List the newest runs; a run shows as ended only once its record can be read."""
        name = self.place.task
        try:
            runs = await self._ask(lambda control: control.history(name, limit=LISTED))
        except SchedulerError as error:
            self.runs.explain(str(error))
            runs = ()
        else:
            if not runs:
                self.runs.explain(self._nothing())
            paid = self.runs.costs.shown
            self.runs.add(runs, older=False, whole=len(runs) < LISTED, task=self._view)
            if paid != self.runs.costs.shown:
                self._arrange()
            self._show_now()
            return
        if self._view:
            self.runs.show(self._view)

    def on_runs_pane_more_wanted(self) -> None:
        if not self._more and self.runs.oldest is not None:
            self._more = True
            self._list_older(self.runs.oldest)

    @work(exclusive=True, group="older")
    async def _list_older(self, before: int) -> None:
        name = self.place.task
        try:
            runs = await self._ask(lambda control: control.history(name, limit=LISTED, before=before))
            self.runs.add(runs, older=True, whole=len(runs) < LISTED)
        except SchedulerError as error:
            self.notify(str(error), markup=False, severity="error")
        finally:
            self._more = False

    def on_runs_pane_picked(self) -> None:
        chosen = self.runs.chosen
        if chosen.since is not None:
            self.printed.start_following(chosen.since, self._now)
            self._follow()
        elif chosen.run is not None:
            self.printed.show_run(chosen.run, None, self._now)
            self._read(chosen.run)
        else:
            self._hint()

    @work(exclusive=True, group="reading")
    async def _read(self, run: RunRecord) -> None:
        try:
            text = await self._ask(lambda control: control.output(run.id)) if run.printed else ""
        except SchedulerError as error:
            self.printed.show_run(run, None, self._now, str(error))
        else:
            self.printed.show_run(run, text, self._now)

    @work(exclusive=True, group="reading")
    async def _follow(self) -> None:
        control = self._find(self.place.citizen)
        if control is None:
            return
        try:
            async with aclosing(control.follow(self.place.task)) as pieces:
                async for piece in pieces:
                    self.printed.add(piece)
        except SchedulerError as error:
            self.printed.stop(f"its output cannot be followed: {error}")

    def _ask_again(self) -> None:
        """Repeat the unanswered requests, since the owner is back."""
        self._ask_definition()
        self._ask_runs()
        if self.runs.chosen.since is not None:
            self.on_runs_pane_picked()

    # -------------------------------------------------------------- empty states

    def _nothing(self) -> str:
        """Why there is no run to list."""
        task = self._view
        if task is None or task.kind is TaskStatus.NOT_SET_UP:
            return "never ran: it is not set up"
        if task.run_count:
            return f"no history yet: its {task.run_count} runs are older than the history"
        return (
            "never ran yet" if self._read_only else f"never ran yet; {key_of(self, 'force', 'f')} runs it now"
        )

    def _hint(self) -> None:
        task = self._view
        if task is None or task.kind is not TaskStatus.NOT_SET_UP:
            self.printed.hint("output", "the output of the chosen run appears here")
            return
        advice = task.advice or f"[tasks.{task.name}]\n{task.missing or 'command'} = ..."
        add, copy = key_of(self, "add", "a"), key_of(self, "copy", "y")
        writes = "" if self._read_only else f"{add} writes them, "
        said = f"add these lines, no restart needed; {writes}{copy} copies them:"
        self.printed.hint("to set it up", said, advice)

    # -------------------------------------------------------------- room

    def on_resize(self, event: Resize) -> None:
        self._arrange()

    def _arrange(self) -> None:
        width, height = self.app.size
        single = self._reading or width < SINGLE[0] or height < SINGLE[1]
        least, most = ABOUT
        self.headline.styles.height = 3 if height >= LOW else 1
        self._about.styles.height = "1fr" if single else min(most, max(least, height * 3 // 10))
        self.times.styles.width = TIMES
        self.runs.styles.width = "1fr" if single else self._runs_width(width)
        self.facts.show(times=single)
        self.times.display = not single
        self._about.display = not single or self._active is self.facts
        self._past.display = not single or self._active is not self.facts
        for pane in self._panes:
            pane.display = not single or pane is self._active

    def _runs_width(self, width: int) -> int:
        """The width of the runs; a column of costs needs more."""
        least, most = RUNS
        share = width * 5 // 9 if self.runs.costs.shown else width * 29 // 60
        return min(most, max(least, share))

    def _go_to(self, pane: Pane) -> None:
        self._active = pane
        self._arrange()
        pane.focus()

    def on_descendant_focus(self) -> None:
        if isinstance(self.focused, Pane) and self.focused is not self._active:
            self._active = self.focused

    # -------------------------------------------------------------- keys

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return not (self._read_only and action in DETAILS_VERBS)

    def action_ask(self, verb: str) -> None:
        self.post_message(FleetRows.Asked(verb, (self.place,)))

    def action_pause(self) -> None:
        self.action_ask("resume" if self._view and self._view.paused else "pause")

    def action_stop(self) -> None:
        self.post_message(FleetRows.StopAsked((self.place,)))

    def action_by_cost(self) -> None:
        if self.runs.costs.shown:
            self.runs.order(unfolded=self.runs.unfolded, by_cost=not self.runs.by_cost)
        else:
            self.notify("nothing here has cost anything", markup=False)

    def action_unfold(self) -> None:
        if self.runs.folds:
            self.runs.order(unfolded=not self.runs.unfolded, by_cost=False)
        else:
            self.notify("no skipped times to fold here", markup=False)

    def action_wrap(self) -> None:
        self.printed.wrap_lines(not self.printed.wraps)
        self.notify(f"long lines are {'wrapped' if self.printed.wraps else 'cut'}", markup=False)

    def action_settings(self, what: str) -> None:
        self.post_message(SettingsAsked(what, self.place))

    def action_budget(self) -> None:
        self.post_message(CitizenAsked("budget", self.place.citizen))

    def action_pane(self, step: int) -> None:
        self._go_to(self._panes[(self._panes.index(self._active) + step) % len(self._panes)])

    def action_enter(self) -> None:
        if not (self._active is self.runs and self.runs.open_row()):
            self.action_read()

    def action_read(self) -> None:
        self._reading = not self._reading
        self._go_to(self.printed if self._reading else self.runs)

    def action_back(self) -> None:
        if self._active.clear_search():
            return
        if self._reading:
            self.action_read()
        else:
            super().action_back()

    def _text(self) -> str:
        return self.facts.text() if self._active is self.facts else self.printed.plain_text()

    def action_copy(self) -> None:
        self.post_message(Copied(self._text()))

    def action_open(self) -> None:
        try:
            pager.show(self.app, self._text())
        except CannotStepAside as reason:
            self.notify(clean(str(reason), self.glyphs.plain), markup=False, severity="warning")


def _ended(before: TaskView, task: TaskView) -> bool:
    """Whether a run ended between these two views."""
    return before.run_count != task.run_count or (
        before.running_since is not None and before.running_since != task.running_since
    )


def _planned(task: TaskView) -> tuple[object, ...]:
    """What the definition and the next times depend on."""
    return task.due, task.running_since, task.paused_at, task.enabled, task.schedule, task.kind, task.missing
