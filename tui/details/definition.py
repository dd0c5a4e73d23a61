"""What a task is: its definition, its options and its next times."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from scheduler.core.values import value
from scheduler.core.views import TaskView
from scheduler.core.wording.description import DefinitionField, TaskDetails
from tui.common.pane import EMPTY, Pane, Row, StyledText, styled
from tui.common.text import cells, clean, countdown, day_and_time, elapsed, moment, took, wrapped
from tui.common.usual_duration import Habits
from tui.details.money_fields import MoneyField
from tui.glyphs import Glyphs

LABEL = 12  # cells of a label at most, or two fifths of the column if that is more
TWO_COLUMNS = 84  # cells from which options stand next to the definition
GAP, SPLIT = 3, 6  # cells between two columns; steps in which their widths are tried
HABITS = ("usual", "now", "since")


@value
class About:
    """Everything shown about a task; without `details`, `problem` says why."""

    details: TaskDetails | None = None
    problem: str = ""
    habits: Habits = Habits()
    money: tuple[DefinitionField, ...] = ()  # what it costs and may cost
    times: bool = False  # whether the next times stand here, without room for their own pane


class FactsPane(Pane):
    """The definition in words; in a wide pane the options are a second column."""

    def __init__(self, glyphs: Glyphs) -> None:
        super().__init__(glyphs, "definition")
        self._about = About()
        self._rows: list[Row] = []

    def show(self, **known: Any) -> None:
        """Add these fields of About to what is shown."""
        before, self._about = self._about, replace(self._about, **known)
        if self._about != before:
            self._lay_out()

    def tick(self, now: float) -> None:
        self._now = now
        if self._about.times:
            self._lay_out()

    def text(self) -> str:
        """The whole definition, for the clipboard."""
        details = self._about.details or TaskDetails("")
        both = (*details.facts, *details.options, *self._about.money)
        return "\n".join(f"{fact.label}: {clean(fact.words)}" for fact in both)

    def resized(self) -> None:
        self._lay_out()

    def count(self) -> int:
        return len(self._rows)

    def row(self, index: int) -> Row:
        return self._rows[index]

    def _lay_out(self) -> None:
        self._rows = self._made()
        self.search_again()
        self.scroll_rows(self.top)

    def _made(self) -> list[Row]:
        details, wide = self._about.details, self.inner
        if details is None:
            said = self._about.problem or "asking its scheduler"
            return [styled((row, "faint")) for row in wrapped(clean(said, self.glyphs.plain), wide)]
        more = (*habit_fields(self._about.habits, self._now), *self._about.money, *details.options)
        if wide >= TWO_COLUMNS and more:
            return self._two_columns(details.facts, more, wide)
        rows = self._column(details.facts, wide)
        times = self._next_times(details, wide) if self._about.times else []
        options = self._column(more, wide)
        return [*rows, *times, *([EMPTY] if options else []), *options]

    def _two_columns(
        self, facts: tuple[DefinitionField, ...], more: tuple[DefinitionField, ...], wide: int
    ) -> list[Row]:
        """Definition and options side by side, split so that both take the fewest lines."""
        most = min(self._natural(facts), wide * 3 // 5)
        splits = sorted({most, *range(wide * 2 // 5, most, SPLIT)}, reverse=True)
        made = [
            _beside(self._column(facts, left), self._column(more, wide - GAP - left), left) for left in splits
        ]
        return min(made, key=len)

    def _column(self, facts: tuple[DefinitionField, ...], width: int) -> list[Row]:
        longest = max((cells(clean(fact.label, self.glyphs.plain)) for fact in facts), default=0)
        label = min(max(LABEL, width * 2 // 5), longest)
        return [row for fact in facts for row in self._fact(fact, label, width)]

    def _natural(self, facts: tuple[DefinitionField, ...]) -> int:
        """The cells that these facts take without wrapping."""
        labels = max((len(fact.label) for fact in facts), default=0)
        return min(LABEL, labels) + 2 + max((cells(clean(fact.words)) for fact in facts), default=0)

    def _fact(self, fact: DefinitionField, label: int, width: int) -> list[Row]:
        plain = self.glyphs.plain
        name = clean(fact.label, plain)
        style, room = "faint" if fact.usual else "ink", max(8, width - label - 2)
        style = fact.style if isinstance(fact, MoneyField) else style
        style = "warning" if self._about.habits.slow and fact.label in HABITS else style
        first = StyledText(f"{name:<{label}}  ", "faint")
        if cells(name) > label:  # the words begin on the next line
            return [styled((name, "faint")), *self._words(fact, StyledText(" " * (label + 2)), room, style)]
        return self._words(fact, first, room, style)

    def _words(self, fact: DefinitionField, first: StyledText, room: int, style: str) -> list[Row]:
        lines = (clean(line, self.glyphs.plain) for line in fact.words.splitlines())
        rows = [row for line in lines for row in wrapped(line, room)]
        rest = StyledText(" " * cells(first.text))
        return [Row((rest if n else first, StyledText(row, style))) for n, row in enumerate(rows)]

    def _next_times(self, details: TaskDetails, width: int) -> list[Row]:
        times = [time_row(when, self._now, self.glyphs, width) for when in details.upcoming]
        return [EMPTY, styled(("next times", "faint")), *times] if times else []


def habit_fields(habits: Habits, now: float) -> Iterator[DefinitionField]:
    """How long runs usually take, how the current one compares, and since when they take longer."""
    known, count = habits.usual, len(habits.seconds)
    if known is None:
        return
    yield DefinitionField(HABITS[0], f"p50 {took(known.p50)}, p95 {took(known.p95)} (last {count} runs)")
    if habits.gone is not None:
        beside = f", slower than {habits.passed} of {count}" if habits.slow else ""
        yield DefinitionField(HABITS[1], f"{elapsed(habits.gone)}{beside}")
    if step := habits.slowdown:
        yield DefinitionField(HABITS[2], f"slower since {moment(step.since, now)}, then +{step.more:.0%}")


class TimesPane(Pane, can_focus=False):
    """The next times of the task: the time of day, and the time until then."""

    def __init__(self, glyphs: Glyphs) -> None:
        super().__init__(glyphs, "next")
        self._times: tuple[float, ...] = ()
        self._none = ""
        self._alone = False

    def show(self, times: tuple[float, ...], none: str, *, alone: bool = False) -> None:
        """Show these times, or `none` if there are none. `alone`: the first run tries a provider for all."""
        self._times, self._none, self._alone = times, none, alone
        self.sync()

    def count(self) -> int:
        return len(self._times) or len(self._why())

    def row(self, index: int) -> Row:
        if self._times:
            first = index == 0
            says = " alone" if first and self._alone else ""
            return time_row(self._times[index], self._now, self.glyphs, self.inner - 1, first, says)
        return styled((self._why()[index], "faint"))

    def _why(self) -> list[str]:
        return wrapped(self._none, self.inner)


def time_row(when: float, now: float, glyphs: Glyphs, width: int, first: bool = False, says: str = "") -> Row:
    """A time of day at the left, with a note; the time until then at the right."""
    day, left = day_and_time(when, now) + says, countdown(when - now)
    gap = max(1, min(width, 40) - cells(day) - cells(left))
    style = "title" if first else "ink"
    return styled((day, style), (" " * gap, "ink"), (left, "warning" if left == "now" else "faint"))


def no_times(task: TaskView) -> str:
    """Why a task has no next time."""
    if task.missing:
        return "none: it is not set up"
    if not task.enabled:
        return "none: it is turned off"
    if task.paused_at is not None:
        return "none: it is paused"
    if task.schedule == "@reboot":
        return "none: it runs each time the scheduler starts"
    return "none by its schedule"


def _beside(left: list[Row], right: list[Row], width: int) -> list[Row]:
    """Two columns, the right one after a gap."""
    rows = []
    for n in range(max(len(left), len(right))):
        pieces = left[n].pieces if n < len(left) else ()
        used = sum(cells(piece.text) for piece in pieces)
        gap = StyledText(" " * (width + GAP - used))
        rows.append(Row((*pieces, gap, *(right[n].pieces if n < len(right) else ()))))
    return rows
