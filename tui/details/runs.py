"""The last runs of a task, the newest first: when, why, how long, and the outcome."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from textual.events import Click
from textual.message import Message

from scheduler.core.records import LISTED, RunRecord
from scheduler.core.task import Outcome
from scheduler.core.views import TaskView
from tui.common.pane import Pane, Row, StyledText, styled
from tui.common.styles import CURSOR
from tui.common.text import clean, wrapped
from tui.common.usual_duration import ENDED, Habits, Slowdown, Usual, slowdown, usual
from tui.details.costs import CostColumn
from tui.details.run_groups import Group, begun_before, grouped
from tui.details.run_rows import RunRows
from tui.glyphs import Glyphs
from tui.keys import key_of

NEAR = 0.8  # share of the timeout: after a run this long, the timeout is the scale of the bars
UNJUDGED = (Outcome.SKIPPED, Outcome.STOPPED, Outcome.REFUSED)  # neither ok nor failed
SAME = 1.0  # seconds by which an event and the history may differ about one moment
AHEAD = 15  # rows before the end at which more are requested


@dataclass(frozen=True, slots=True)
class Chosen:
    """The run under the cursor: a finished one, or the current one by its start; neither if there is none."""

    run: RunRecord | None = None
    since: float | None = None


class RunsPane(Pane):
    """The runs with a cursor; the current run comes first."""

    class Picked(Message):
        """The cursor moved to another run."""

    class MoreWanted(Message):
        """The cursor or the view is near the end of the list."""

    def __init__(self, glyphs: Glyphs) -> None:
        super().__init__(glyphs, "runs")
        self._runs: tuple[RunRecord, ...] = ()
        self._shown: list[Group] = []  # the runs as rows
        self._before: dict[int, float] = {}
        self.unfolded = self.by_cost = False
        self._opened: set[int] = set()  # ids of runs whose group is shown as single times
        self._view: TaskView | None = None
        self.begun_by = "running"  # what started the current run
        self.costs = CostColumn()
        self._cursor = 0
        self._chosen: int | None = None  # the id of a finished run; None follows the newest
        self._none: str | None = None  # why the list is empty
        self._all = False  # no older runs exist
        self._longest = 0.0
        self.seconds: list[float] = []  # of the last runs that ended by themselves, the newest first
        self.usual: Usual | None = None
        self.slowdown: Slowdown | None = None
        self._wanted: float | None = None  # the moment of the run to find

    def look_for(self, moment: float) -> None:
        """Put the cursor on the run that began or ended then, as soon as it is listed."""
        self._wanted = moment

    # -------------------------------------------------------------- values come down

    def show(self, task: TaskView) -> None:
        """Take the newest view of the task: a run may have begun or ended."""
        before, self._view = self.chosen, task
        self._settle(before)

    def add(
        self, runs: Iterable[RunRecord], *, older: bool, whole: bool, task: TaskView | None = None
    ) -> None:
        """Add these runs: the newest, or `older` ones; `whole` if no older ones exist."""
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
        """Set whether skipped times are folded, and whether the dearest or the newest runs come first."""
        chosen, before = self.chosen.run, self.chosen
        self.unfolded, self.by_cost = unfolded, by_cost
        self._group()
        self._chosen = chosen.id if chosen else None
        self._settle(before)

    def open_row(self) -> bool:
        """Unfold the row under the cursor, or fold it again; False if it is not a group."""
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
        """Show why there is nothing to list."""
        self._none = none
        self.sync()

    # -------------------------------------------------------------- the cursor

    @property
    def chosen(self) -> Chosen:
        """The run under the cursor."""
        since = self._since
        if since is not None and self._cursor == 0:
            return Chosen(since=since)
        index = self._cursor - (since is not None)
        return Chosen(self._shown[index][0]) if 0 <= index < len(self._shown) else Chosen()

    @property
    def oldest(self) -> int | None:
        """The id of the oldest listed run, to request older ones; None if there are none."""
        return None if self._all or not self._runs else self._runs[-1].id

    @property
    def _since(self) -> float | None:
        return self._view.running_since if self._view else None

    def _find(self) -> None:
        """Put the cursor on the run to find; if it is older than all listed ones, request more."""
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
        """Keep the cursor on its run; if it was on the newest, it follows the newest."""
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
        """Each run with its outcome and its whole text, even if the row shows less."""
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
        ran = [run for run in self._runs if run.outcome not in UNJUDGED]
        runs, ok = len(ran), sum(not run.outcome.bad for run in ran)
        self.entitle("runs", f"{ok:,} of {runs:,} ok ({int(100 * ok / runs)}%)" if runs else "")

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
        if index == 0:
            return Row(self._rows.under_way(self._since, self.begun_by, self.usual), light)
        return Row(self._finished(self._shown[index - 1]), light)

    def head(self) -> Row | None:
        return self._rows.head(self.usual) if self._total() else None

    def _finished(self, group: Group) -> tuple[StyledText, ...]:
        return self._rows.finished(group, self._before.get(group[0].id))

    @property
    def _rows(self) -> RunRows:
        return RunRows(self.glyphs, self.inner, self._now, self._scale, self.costs)

    def _lesson(self) -> list[str]:
        said = "reading its history" if self._none is None else self._none
        return wrapped(clean(said, self.glyphs.plain), self.inner)

    @property
    def folds(self) -> bool:
        """Whether rows are folded, or could be."""
        return self.unfolded or any(len(group) > 1 for group in self._shown)

    def foot(self) -> tuple[str, str]:
        """Which rows are in sight, and what other order there is."""
        total = self._total()
        seen = [f"{self.top + 1}-{min(total, self.top + self.inside)} of {total}"] if total else []
        ways = [f"{key_of(self, 'by-cost', 'c')} by {'time' if self.by_cost else 'cost'}"] * self.costs.shown
        ways += [f"{key_of(self, 'unfold', 'z')} {'fold' if self.unfolded else 'unfold'}"] * self.folds
        return self.glyphs.dot.join([*seen, *ways]), ""

    @property
    def last_paid(self) -> RunRecord | None:
        """The newest run with a known cost or token count."""
        return next((run for run in self._runs if run.cost), None)

    def habits(self) -> Habits:
        """What is usual for this task, and how long its current run has taken."""
        since = self._since
        return Habits(self.usual, self.slowdown, self.seconds, None if since is None else self._now - since)

    @property
    def _scale(self) -> float:
        """Seconds of a full bar: the timeout if a run came near it, else the longest run."""
        since, view = self._since, self._view
        longest = max(self._longest, self._now - since if since is not None else 0.0)
        return min(longest, view.timeout) if view and longest >= NEAR * view.timeout else longest


def _apart(run: RunRecord, moment: float) -> float:
    return min(abs(run.started - moment), abs(run.finished - moment))
