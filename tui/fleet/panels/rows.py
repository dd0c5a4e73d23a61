"""The rows of a panel as lines: a task, the tasks that need settings, and text below or between them."""

from typing import NamedTuple

from rich.segment import Segment

from scheduler.core.schedules.schedule import LONGEST
from scheduler.core.views import TaskStatus, TaskView
from tui.common import amounts
from tui.common import text as words
from tui.common.styles import CURSOR, HERE, MARKED, Styles, merged
from tui.fleet.notices import ATTEMPT
from tui.fleet.panels.contents import WAKE, Fold
from tui.fleet.panels.holding import Below, held_words
from tui.fleet.panels.layout import RECENT, Columns
from tui.glyphs import Glyphs

STYLES = {
    TaskStatus.OK: "ok",
    TaskStatus.WARNING: "warning",
    TaskStatus.FAILED: "failed",
    TaskStatus.NEVER: "faint",
    TaskStatus.NOT_SET_UP: "faint",
    TaskStatus.RUNNING: "running",
    TaskStatus.PAUSED: "faint",
    TaskStatus.STOPPED: "faint",
    TaskStatus.WAITS: "warning",
    TaskStatus.OVER_BUDGET: "warning",
}
RECENT_STYLES = {"o": "bar", "w": "warning", "x": "failed", "s": "faint", "r": "faint"}
INDENT = 2  # cells before the text below a row

AWAKE = (TaskStatus.NEVER, TaskStatus.STOPPED)  # shown by a faint sign, although it will run


class RowState(NamedTuple):
    """Everything in a line that may change from one second to the next, and the line itself."""

    line: "Line"
    time: str = ""
    fill: int = 0
    light: int = 0


class Line:
    """One line of a panel: `state` is cheap and compared each second, `paint` draws it."""

    bare = False  # a bare line is itself a frame, others get one
    name = ""  # of the row, if the cursor can be on it

    def __init__(self, glyphs: Glyphs) -> None:
        self.glyphs = glyphs

    def state(self, now: float, light: int) -> RowState:
        return RowState(self, light=light)

    def paint(self, state: RowState, styles: Styles) -> list[Segment]:
        raise NotImplementedError


class TextLine(Line):
    """Clean words below a row, or in place of rows, with `end` at the right."""

    def __init__(self, said: Below, inner: int, glyphs: Glyphs, indent: int = INDENT) -> None:
        super().__init__(glyphs)
        self._style, self._end = said.style, f" {said.end}" if said.end else ""
        room = inner - indent - words.cells(self._end)
        self._text = " " * (1 + indent) + words.fit(said.text, room, glyphs.ellipsis)

    def paint(self, state: RowState, styles: Styles) -> list[Segment]:
        return [
            Segment(self._text, styles.style(self._style, state.light)),
            Segment(self._end, styles.style("faint", state.light)),
        ]


class FoldLine(Line):
    """The number of built-in tasks that need settings, and the key that shows them."""

    def __init__(self, fold: Fold, inner: int, glyphs: Glyphs) -> None:
        super().__init__(glyphs)
        self.name = fold.name
        end = f" {glyphs.enter}"
        if words.cells(fold.words + end) > inner - 2:
            end = ""
        self._text = words.fit(fold.words, max(0, inner - 2 - words.cells(end)), glyphs.ellipsis) + end

    def paint(self, state: RowState, styles: Styles) -> list[Segment]:
        glyphs, light = self.glyphs, state.light
        sign = glyphs.kind[TaskStatus.NOT_SET_UP]
        return [mark(glyphs, styles, light), Segment(f"{sign} {self._text}", styles.style("faint", light))]


class TaskLine(Line):
    """State, name, countdown, elapsed share, schedule; where there is room, also the last runs."""

    def __init__(
        self,
        task: TaskView,
        columns: Columns,
        glyphs: Glyphs,
        live: bool = True,
        frozen: bool = False,
        brief: bool = False,
    ) -> None:
        """`brief`: no line below the row shows the reason of a hold, or the cost."""
        super().__init__(glyphs)
        self.task, self.name, self._columns, self.live = task, task.name, columns, live
        self.frozen = frozen
        self._reason = words.clean(state_words(task, brief=brief, frozen=frozen), glyphs.plain)
        self._over_schedule = task.held is not None and not (brief or columns.took)
        self._cost = amounts.brief(task.cost_today) if brief and task.is_wake else ""
        self._still: tuple[int, Styles, list[Segment], list[Segment]] | None = None
        self._running = task.running_since is not None

    def state(self, now: float, light: int) -> RowState:
        task, steps = self.task, self._columns.bar * 2
        if not self.live:  # nothing will run, so no countdown
            return RowState(self, self.glyphs.nothing, light=light)
        if task.running_since is not None:
            gone = now - task.running_since
            return RowState(self, words.elapsed(gone), round(max(0, steps - 2) * done(task, gone)), light)
        if self.frozen and not self._reason:  # frozen, so no countdown
            return RowState(self, self.glyphs.nothing, light=light)
        if self._reason or task.due is None:
            return RowState(self, light=light)
        return RowState(self, words.countdown(task.due - now), round(steps * _over(task, now)), light)

    def paint(self, state: RowState, styles: Styles) -> list[Segment]:
        light = state.light
        # The parts that stay the same are kept: an idle screen repaints only times and bars.
        if self._still is None or self._still[:2] != (light, styles):
            parts = self._head(light, styles), self._tail(light, styles)
            self._still = light, styles, [*merged(parts[0])], [*merged(parts[1])]
        _, _, head, tail = self._still
        if self._reason and (self.live or self.task.kind is TaskStatus.NOT_SET_UP):
            return [*head, *tail]
        style = "running" if self._running else "warning" if state.time == "now" else "ink"
        time = Segment(state.time.rjust(words.TIME), styles.style(style, light))
        return [*head, time, *self._bar(state, styles), *tail]

    def _head(self, light: int, styles: Styles) -> list[Segment]:
        task, glyphs = self.task, self.glyphs
        kind = STYLES[task.kind]
        name = "title" if task.name == WAKE else "running" if self._running else "ink"
        if (kind == "faint" and task.kind not in AWAKE) or (self.frozen and not self._running):
            name = "faint"
        return [
            mark(glyphs, styles, light),
            Segment(f"{glyphs.kind[task.kind]} ", styles.style(kind, light)),
            Segment(f"{self._fit(task.name, self._columns.name)} ", styles.style(name, light)),
        ]

    def _tail(self, light: int, styles: Styles) -> list[Segment]:
        columns, task = self._columns, self.task
        if task.kind is TaskStatus.NOT_SET_UP:
            return self._needs(light, styles)
        if not (self._reason and self.live):
            return self._facts(light, styles)
        style = "running" if task.queued else "warning" if task.held else "faint"
        said, room = self._reason, columns.bar_end - columns.name - 3  # cells of the countdown and the bar
        if words.cells(said) > room:
            said = said.removeprefix("paused ")
        over = self._over_schedule or (words.cells(said) > room and not self._cost)  # why, before how often
        if over and columns.schedule:
            room += columns.schedule + 1
        facts = self._facts(light, styles, schedule=not over)
        return [Segment(self._fit(said, room), styles.style(style, light)), *facts]

    def _needs(self, light: int, styles: Styles) -> list[Segment]:
        columns = self._columns
        room = columns.inner - columns.name - 3
        needs = self._fit(self._reason, room)
        if columns.text:
            before = columns.bar_end - columns.name - 3
            schedule = self._schedule().rjust(columns.schedule + 1)
            between = " " * (columns.took + 1 + (columns.recent + 2 if columns.recent else 0) + 2)
            needs = f"{' ' * before}{schedule}{between}{self._fit(self._reason, columns.text)}"
            needs += " " * columns.rest
        return [Segment(needs, styles.style("faint", light))]

    def _bar(self, state: RowState, styles: Styles) -> list[Segment]:
        columns, glyphs, light = self._columns, self.glyphs, state.light
        if not columns.bar:
            return []
        drawn = glyphs.bar(state.fill)
        cells = columns.bar - self._running  # a blank before `of 5m`, which is wider
        return [
            Segment(f" {drawn}", styles.style("running" if self._running else "bar", light)),
            Segment(glyphs.track * (cells - len(drawn)) + " " * self._running, styles.style("track", light)),
        ]

    def _facts(self, light: int, styles: Styles, *, schedule: bool = True) -> list[Segment]:
        """Schedule, last outcomes, duration of the last run, and its text."""
        task, columns = self.task, self._columns
        faint = styles.style("faint", light)
        facts = []
        if schedule and columns.schedule:
            said = self._cost or (self._of_timeout() if self._running else self._schedule())
            style = styles.style("running", light) if self._running and not self._cost else faint
            facts.append(Segment(said.rjust(columns.schedule + 1), style))
        if columns.recent:
            facts += [Segment("  ", faint), *recent_segments(task.recent, light, styles, self.glyphs)]
        if columns.took:
            took = words.took(task.last_duration) if task.last_duration is not None else ""
            facts.append(Segment(took.rjust(columns.took + 1), faint))
        if columns.text:
            text = "" if task.error or task.kind is TaskStatus.WARNING else task.text
            facts.append(Segment(f"  {self._fit(text, columns.text)}", faint))
        return [*facts, Segment(" " * columns.rest, faint)]

    def _schedule(self) -> str:
        text, cells = self.task.schedule, self._columns.schedule
        if len(text) <= cells:
            return words.clean(text, self.glyphs.plain)
        if " " in text:
            return "cron"
        return words.shorten(words.clean(text, self.glyphs.plain), cells, self.glyphs.ellipsis)

    def _of_timeout(self) -> str:
        if self.task.timeout >= LONGEST:
            return "runs on"
        timeout, room = words.limit(self.task.timeout), self._columns.schedule + 1
        said = f"of {timeout}"
        return said if len(said) <= room else words.shorten(timeout, room, self.glyphs.ellipsis)

    def _fit(self, text: str, cells: int) -> str:
        return words.fit(words.clean(text, self.glyphs.plain), cells, self.glyphs.ellipsis)


def mark(glyphs: Glyphs, styles: Styles, light: int) -> Segment:
    """The mark at the left of a row: marked, or with the cursor."""
    sign = glyphs.marked if light & MARKED else glyphs.cursor if light & CURSOR else " "
    edge = "marked" if light & MARKED else "here" if light & (CURSOR | HERE) else "frame"
    return Segment(sign, styles.style(edge, light))


def recent_segments(recent: str, light: int, styles: Styles, glyphs: Glyphs) -> list[Segment]:
    """The outcomes of the last runs, the newest at the right; blanks at the left if there are fewer."""
    known = [char for char in recent if char in RECENT_STYLES][-RECENT:]
    blank = Segment(" " * (RECENT - len(known)), styles.style("faint", light))
    return [
        blank,
        *(Segment(glyphs.recent[char], styles.style(RECENT_STYLES[char], light)) for char in known),
    ]


def state_words(task: TaskView, *, brief: bool = False, frozen: bool = False) -> str:
    """Why a task has no countdown, empty if it has one; a freeze is shown above the rows."""
    if task.running_since is not None:
        return ""
    if task.kind is TaskStatus.NOT_SET_UP:
        return f"needs: {task.missing}" if task.missing else "needs settings"
    if task.queued:
        return "queued"
    if task.kind is TaskStatus.PAUSED:
        return f"paused{_end(task)}" if task.enabled else "disabled"
    if task.held:
        return held_words(task.held, brief=brief)
    return "" if frozen or task.due is not None else "no next time"


def _end(task: TaskView) -> str:
    """The end of the pause, with the day unless it is the day on which the pause began."""
    until = task.paused_until
    return "" if until is None else f" until {words.moment(until, task.paused_at or until)}"


def done(task: TaskView, gone: float) -> float:
    """How much of a run is done, by its own progress or else by its timeout."""
    if task.progress and (share := task.progress.share) is not None:
        return share
    return min(1.0, max(0.0, gone / task.timeout)) if task.timeout > 0 else 0.0


def _over(task: TaskView, now: float) -> float:
    """How much of the wait is over; a wait for a retry begins with the failure."""
    if task.due is None or now >= task.due:
        return 1.0
    start = task.since if task.since is not None else now
    if task.error is not None and task.note.startswith(ATTEMPT):
        start = task.error.time
    return min(1.0, max(0.0, (now - start) / (task.due - start))) if start < task.due else 0.0
