"""The last runs of a task, the newest first: when, why, how long, and how it went."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from textual.events import Click
from textual.message import Message

from scheduler.core.records import LISTED, RunRecord
from scheduler.core.state import first_line
from scheduler.core.task import WAKE, Outcome, Trigger
from scheduler.core.views import TaskStatus, TaskView
from scheduler.core.wording.gates import NOTHING_NEW, opened_by
from scheduler.core.wording.spans import clock
from tui.common.pane import Pane, Row, StyledText, styled
from tui.common.styles import CURSOR
from tui.common.text import cells, clean, day_and_time, elapsed, shorten, took, wrapped
from tui.common.usual_duration import ENDED, Habits, Slowdown, Usual, slowdown, usual
from tui.details.costs import CostColumn
from tui.details.output import STYLES
from tui.details.run_groups import Group, begun_before, grouped, span_of
from tui.glyphs import Glyphs
from tui.keys import key_of
from tui.log.events import OUTCOMES

WHEN, TRIGGER, TOOK = 14, 9, 6
BAR, TEXT = (4, 14), 12  # cells, at least and at most; cells of text that are worth showing
NEAR = 0.8  # of its timeout: a run that took so long makes the timeout the scale of the bars
SAME = 1.0  # seconds between what an event and what the history say of one moment
AHEAD = 15  # rows before the end at which more are asked for


@dataclass(frozen=True, slots=True)
class Chosen:
    """A run to read: a finished one, or the one under way since then; neither where there is none."""

    run: RunRecord | None = None
    since: float | None = None


class RunsPane(Pane):
    """Runs and a cursor on one of them; the run under way comes first."""

    class Picked(Message):
        """The cursor is on another run."""

    class MoreWanted(Message):
        """The end of what is there comes near."""

    def __init__(self, glyphs: Glyphs) -> None:
        super().__init__(glyphs, "runs")
        self._runs: tuple[RunRecord, ...] = ()
        self._shown: list[Group] = []  # the rows of them
        self._before: dict[int, float] = {}
        self.unfolded = self.by_cost = False
        self._opened: set[int] = set()  # runs whose row is shown as each of its times
        self._view: TaskView | None = None
        self.begun_by = "running"  # what started the run under way
        self.costs = CostColumn()
        self._cursor = 0
        self._chosen: int | None = None  # the id of a finished run; None stays with the newest
        self._none: str | None = None  # why there is nothing to list
        self._all = False  # there are no older ones
        self._longest = 0.0
        self.seconds: list[float] = []  # of the last runs that ended by themselves, the newest first
        self.usual: Usual | None = None
        self.slowdown: Slowdown | None = None
        self._wanted: float | None = None  # the moment of a run that is still looked for

    def look_for(self, moment: float) -> None:
        """Put the cursor on the run that began or ended then, as soon as it is listed."""
        self._wanted = moment

    # -------------------------------------------------------------- values come down

    def show(self, task: TaskView) -> None:
        """Take the newest of the task: a run may have begun or ended."""
        before, self._view = self.chosen, task
        self._settle(before)

    def add(
        self, runs: Iterable[RunRecord], *, older: bool, whole: bool, task: TaskView | None = None
    ) -> None:
        """Take these runs: the newest, or `older` ones; `whole` when none is left beyond them."""
        before, given, self._view = self.chosen, tuple(runs), task or self._view
        have = {run.id for run in self._runs}
        fresh = tuple(run for run in given if run.id not in have)
        if older:
            self._runs += fresh
            self._all = whole
        else:
            gap = bool(have) and len(fresh) == len(given) and bool(given) and not whole
            self._runs = given if gap or not have else fresh + self._runs
            self._all = whole if gap or not have else self._all
        self._longest = max((run.seconds for run in self._runs), default=0.0)
        self.costs = CostColumn(self._runs)
        self._group()
        ended = [run for run in self._runs if run.outcome in ENDED][:LISTED]
        self.seconds, self.slowdown = [run.seconds for run in ended], slowdown(ended)
        self.usual = usual(self.seconds)
        self._find()
        self._settle(before)

    def order(self, *, unfolded: bool, by_cost: bool) -> None:
        """Show each time that was let go, or equal ones as one; the dearest first, or the newest."""
        chosen, before = self.chosen.run, self.chosen
        self.unfolded, self.by_cost = unfolded, by_cost
        self._group()
        self._chosen = chosen.id if chosen else None
        self._settle(before)

    def open_row(self) -> bool:
        """Show each time of the row under the cursor, or fold them again; False if it is no such row."""
        run = self.chosen.run
        whole = grouped(self._runs, unfolded=self.unfolded, by_cost=self.by_cost)
        row = {each.id for group in whole if run in group and len(group) > 1 for each in group}
        if row:
            self._opened = self._opened - row if self._opened & row else self._opened | row
            self.order(unfolded=self.unfolded, by_cost=self.by_cost)
        return bool(row)

    def _group(self) -> None:
        self._before = begun_before(self._runs)
        how = {"unfolded": self.unfolded, "by_cost": self.by_cost}
        self._shown = grouped(self._runs, **how, opened=self._opened)

    def explain(self, none: str) -> None:
        """There is nothing to list, for this reason."""
        self._none = none
        self.sync()

    # -------------------------------------------------------------- the cursor

    @property
    def chosen(self) -> Chosen:
        """What the cursor is on."""
        since = self._since
        if since is not None and self._cursor == 0:
            return Chosen(since=since)
        index = self._cursor - (since is not None)
        return Chosen(self._shown[index][0]) if 0 <= index < len(self._shown) else Chosen()

    @property
    def oldest(self) -> int | None:
        """The run below which more may be asked for."""
        return None if self._all or not self._runs else self._runs[-1].id

    @property
    def _since(self) -> float | None:
        return self._view.running_since if self._view else None

    def _find(self) -> None:
        """The run that is looked for is chosen; if it must be older than all of these, more are asked for."""
        if (moment := self._wanted) is None or not self._runs:
            return
        near = min(self._runs, key=lambda run: _apart(run, moment))
        if _apart(near, moment) <= SAME:
            self._chosen, self._wanted = near.id, None
        elif not self._all and self._runs[-1].started > moment:
            self.post_message(self.MoreWanted())
        else:
            self._wanted = None

    def move(self, step: int) -> None:
        before, self._wanted = self.chosen, None
        self._cursor = min(max(0, self._cursor + step), max(0, self._total() - 1))
        newest = self._cursor == 0
        self._chosen = None if newest or self.chosen.run is None else self.chosen.run.id
        self._reveal()
        self._tell(before)

    def on_click(self, event: Click) -> None:
        y = event.y - 1 - self.above
        if 0 <= y < min(self.inside, self._total() - self.top):
            self.move(self.top + y - self._cursor)

    def _settle(self, before: Chosen) -> None:
        """The cursor stays on its run; one that was on the newest goes on with the newest."""
        index = self._index(self._chosen)
        self._cursor = 0 if index is None else index + (self._since is not None)
        self._title()
        self.search_again()
        self._reveal()
        self._tell(before)

    def _index(self, identity: int | None) -> int | None:
        if identity is None:
            return None
        rows = enumerate(self._shown)
        return next((n for n, group in rows if any(run.id == identity for run in group)), None)

    def _reveal(self) -> None:
        top = self.top
        if self._cursor < top:
            top = self._cursor
        elif self.inside and self._cursor >= top + self.inside:
            top = self._cursor - self.inside + 1
        self.scroll_rows(top)

    def _tell(self, before: Chosen) -> None:
        if self.chosen != before:
            self.post_message(self.Picked())
        if not self._all and self._cursor >= self._total() - AHEAD and self._runs:
            self.post_message(self.MoreWanted())

    def scroll_rows(self, top: int) -> None:
        super().scroll_rows(top)
        if not self._all and self._runs and self.top + self.inside >= self._total() - AHEAD:
            self.post_message(self.MoreWanted())

    def searched(self) -> Iterator[tuple[int, str]]:
        """Each run with its outcome and all of its text, however much of that its row shows."""
        first = self._since is not None
        for number, words in super().searched():
            run = self._shown[number - first][0] if 0 <= number - first < len(self._shown) else None
            yield number, f"{words} {run.outcome} {run.text}" if run else words

    def see(self, row: int) -> None:
        self.move(row - self._cursor)
        self.sync()

    def first_seen(self) -> int:
        return self._cursor

    # -------------------------------------------------------------- drawing

    def _title(self) -> None:
        ran = [run for run in self._runs if run.outcome is not Outcome.SKIPPED]
        runs, ok = len(ran), sum(not run.outcome.bad for run in ran)
        self.entitle("runs", f"{ok} of {runs} ok ({int(100 * ok / runs)}%)" if runs else "")

    def _total(self) -> int:
        return len(self._shown) + (self._since is not None)

    def count(self) -> int:
        return self._total() or len(self._lesson())

    def resized(self) -> None:
        self._reveal()

    def row(self, index: int) -> Row:
        if not self._total():
            return styled((self._lesson()[index], "faint"))
        light = CURSOR if index == self._cursor else 0
        if self._since is None:
            return Row(self._finished(self._shown[index]), light)
        pieces = self._under_way(self._since) if index == 0 else self._finished(self._shown[index - 1])
        return Row(pieces, light)

    def _lesson(self) -> list[str]:
        said = "reading its history" if self._none is None else self._none
        return wrapped(clean(said, self.glyphs.plain), self.inner)

    @property
    def folds(self) -> bool:
        """Whether rows are, or would be, folded."""
        return self.unfolded or any(len(group) > 1 for group in self._shown)

    def foot(self) -> tuple[str, str]:
        """Which rows are in sight, and which other order there is."""
        total = self._total()
        seen = [f"{self.top + 1}-{min(total, self.top + self.inside)} of {total}"] if total else []
        ways = [f"{key_of(self, 'by-cost', 'c')} by {'time' if self.by_cost else 'cost'}"] * self.costs.shown
        ways += [f"{key_of(self, 'unfold', 'z')} {'fold' if self.unfolded else 'unfold'}"] * self.folds
        return self.glyphs.dot.join([*seen, *ways]), ""

    def _finished(self, group: Group) -> tuple[StyledText, ...]:
        run = group[0]
        if run.outcome is Outcome.SKIPPED:
            return self._passed_over(group)
        style = STYLES.get(run.outcome, "failed")
        head = StyledText(f"{self.glyphs.kind[OUTCOMES[run.outcome]]} ", style)
        when = StyledText(day_and_time(run.started, self._now).ljust(WHEN))
        lasted = StyledText(took(run.seconds).rjust(TOOK), "ink")
        bar = self._bar(run.seconds, style)
        cost = self.costs.pieces(run, self._cost_cells, self.glyphs)
        return (head, when, *self._trigger(_why(run)), lasted, *bar, *cost, *self._text(run, style))

    def _passed_over(self, group: Group) -> tuple[StyledText, ...]:
        """A time that came to no run, and why: it took and cost nothing; or several for the same reason."""
        run, many = group[0], len(group)
        kind, said = skip_kind(run.text), clean(run.text.partition("\n")[0], self.glyphs.plain)
        sign = self.glyphs.kind[kind] if kind else self.glyphs.dot.strip()
        often = f" {many} times" if many > 1 else ""
        if run.text == NOTHING_NEW and (last := self._before.get(run.id)) is not None:
            said = f"{said} since {clock(last, '%H:%M')}"
        words = said if kind else f"skipped{often}: {said}"
        when = (span_of(group) if many > 1 else day_and_time(run.started, self._now)).ljust(WHEN)
        room = max(0, self.inner - 2 - WHEN - 1)
        return tuple(
            StyledText(each, "faint")
            for each in (f"{sign} ", when, f" {shorten(words, room, self.glyphs.ellipsis)}")
        )

    @property
    def last_paid(self) -> RunRecord | None:
        """The newest run of which a cost or tokens are known."""
        return next((run for run in self._runs if run.cost), None)

    def _under_way(self, since: float) -> tuple[StyledText, ...]:
        glyph, gone = self.glyphs.kind[TaskStatus.RUNNING], max(0.0, self._now - since)
        when = StyledText(day_and_time(since, self._now).ljust(WHEN), "running")
        bar = self._bar(gone, "running")
        slow = StyledText(" slow", "warning") if self.usual and self.usual.slow(gone) else StyledText("")
        head, time = StyledText(f"{glyph} ", "running"), StyledText(elapsed(gone).rjust(TOOK), "running")
        return (head, when, *self._trigger(self.begun_by, "running"), time, *bar, slow)

    def habits(self) -> Habits:
        """What is usual of this task, and how the run under way stands beside it."""
        since = self._since
        return Habits(self.usual, self.slowdown, self.seconds, None if since is None else self._now - since)

    def _trigger(self, words: str, style: str = "faint") -> tuple[StyledText, ...]:
        return (
            (StyledText(f" {words:<{TRIGGER}}", style),)
            if self.inner >= 2 + WHEN + 1 + TRIGGER + TOOK
            else ()
        )

    def _spare(self) -> int:
        return self._beside_times() - self._cost_cells

    def _beside_times(self) -> int:
        return self.inner - 2 - WHEN - 1 - TRIGGER - TOOK - 1

    @property
    def _cost_cells(self) -> int:
        return self.costs.cells(self._beside_times())

    def _bar_cells(self) -> int:
        spare, (least, most) = self._spare(), BAR
        return min(most, spare if spare < TEXT * 2 else spare // 2) if spare >= least else 0

    @property
    def _scale(self) -> float:
        """Seconds of a whole bar: the timeout when a run came near it, else those of the longest run."""
        since, view = self._since, self._view
        longest = max(self._longest, self._now - since if since is not None else 0.0)
        return min(longest, view.timeout) if view and longest >= NEAR * view.timeout else longest

    def head(self) -> Row | None:
        if not self._total() or not self._trigger(""):
            return None
        names = f"  {'began':<{WHEN}} {'by':<{TRIGGER}}{'took':>{TOOK}}"
        bar, cost = self._bar_cells(), self._cost_cells
        axis = f" {self._axis(bar if cost else self.inner - cells(names) - 1)}"
        if cost:
            axis = axis.ljust(bar + bool(bar)) + self.costs.head(cost)
        return styled((names, "faint"), (axis, "faint"))

    def _axis(self, room: int) -> str:
        """Where in the bars the usual times are, as far as their names have room."""
        width, known, scale = self._bar_cells(), self.usual, self._scale
        if not width or known is None or not scale:
            return ""
        axis = "0"
        for name, seconds in (("p50", known.p50), ("p95", known.p95)):
            at = max(len(axis) + 1, int(width * seconds / scale) - 1)
            axis = axis.ljust(at) + name if at + len(name) <= room else axis
        return axis

    def _bar(self, seconds: float, style: str) -> tuple[StyledText, ...]:
        width, glyphs = self._bar_cells(), self.glyphs
        if not width:
            return ()
        share = min(1.0, seconds / self._scale) if self._scale else 0.0
        done = glyphs.bar(max(1, round(2 * width * share)))
        ink = "bar" if style == "ok" else style
        return (StyledText(f" {done}", ink), StyledText(glyphs.track * (width - len(done)), "track"))

    def _text(self, run: RunRecord, style: str) -> tuple[StyledText, ...]:
        room = self._spare() - self._bar_cells() - 2
        if room < TEXT:
            return (StyledText(" timeout", style),) if run.outcome is Outcome.TIMED_OUT else ()
        shown = shorten(clean(first_line(run.text), self.glyphs.plain), room, self.glyphs.ellipsis)
        return (StyledText(f"  {shown}", "faint" if style == "ok" else style),)


def _apart(run: RunRecord, moment: float) -> float:
    return min(abs(run.started - moment), abs(run.finished - moment))


def skip_kind(text: str) -> TaskStatus | None:
    """What held a run that did not begin; None for a gate, and for hours."""
    begins = {
        **{"over budget": TaskStatus.OVER_BUDGET, "its cost cannot": TaskStatus.OVER_BUDGET},
        **{"waits": TaskStatus.WAITS, "frozen": TaskStatus.PAUSED},
    }
    return next((kind for words, kind in begins.items() if text.startswith(words)), None)


def _why(run: RunRecord) -> str:
    """What started it and who, or which attempt it is."""
    if run.attempt > 1:
        return f"attempt {run.attempt}"
    if run.trigger is Trigger.FORCE and run.who:
        return shorten(f"{'w' if run.task == WAKE else 'f'} by {clean(str(run.who))}", TRIGGER)
    if run.trigger is Trigger.URGENT:
        return "URGENT"
    begun = clean(opened_by(run.why)) or run.trigger
    return str(begun) if begun else "unknown"
