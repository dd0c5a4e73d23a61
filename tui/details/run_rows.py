"""One run as a row: when, why, how long, and the outcome, in as many cells as there are."""

from dataclasses import dataclass

from scheduler.core.records import RunRecord
from scheduler.core.state import first_line
from scheduler.core.task import WAKE, Outcome, Trigger
from scheduler.core.views import TaskStatus
from scheduler.core.wording.gates import NOTHING_NEW, opened_by
from scheduler.core.wording.spans import clock
from tui.common.pane import Row, StyledText, styled
from tui.common.text import cells, clean, day_and_time, elapsed, shorten, took
from tui.common.usual_duration import Usual
from tui.details.costs import CostColumn
from tui.details.output import STYLES
from tui.details.run_groups import Group, span_of
from tui.glyphs import Glyphs
from tui.log.events import OUTCOMES

WHEN, TRIGGER, TOOK = 14, 9, 6
BAR, TEXT = (4, 14), 12  # cells, at least and at most; the fewest cells worth using for text


@dataclass(frozen=True, slots=True)
class RunRows:
    """Draws runs in `inner` cells; `scale` is the seconds of a full bar."""

    glyphs: Glyphs
    inner: int
    now: float
    scale: float
    costs: CostColumn

    def finished(self, group: Group, begun_before: float | None) -> tuple[StyledText, ...]:
        """A finished run, or scheduled times without one; `begun_before` is the last start before it."""
        run = group[0]
        if run.outcome is Outcome.SKIPPED:
            return self._passed_over(group, begun_before)
        style = STYLES.get(run.outcome, "failed")
        head = StyledText(f"{self.glyphs.kind[OUTCOMES[run.outcome]]} ", style)
        when = StyledText(day_and_time(run.started, self.now).ljust(WHEN))
        lasted = StyledText(took(run.seconds).rjust(TOOK), "ink")
        bar = self._bar(run.seconds, style)
        cost = self.costs.pieces(run, self._cost_cells, self.glyphs)
        return (head, when, *self._trigger(_why(run)), lasted, *bar, *cost, *self._text(run, style))

    def _passed_over(self, group: Group, before: float | None) -> tuple[StyledText, ...]:
        """A scheduled time without a run, and why; or several with the same reason."""
        run, many = group[0], len(group)
        kind, said = skip_kind(run.text), clean(run.text.partition("\n")[0], self.glyphs.plain)
        sign = self.glyphs.kind[kind] if kind else self.glyphs.dot.strip()
        often = f" {many} times" if many > 1 else ""
        if run.text == NOTHING_NEW and before is not None:
            said = f"{said} since {clock(before, '%H:%M')}"
        words = said if kind else f"skipped{often}: {said}"
        when = (span_of(group) if many > 1 else day_and_time(run.started, self.now)).ljust(WHEN)
        room = max(0, self.inner - 2 - WHEN - 1)
        return tuple(
            StyledText(each, "faint")
            for each in (f"{sign} ", when, f" {shorten(words, room, self.glyphs.ellipsis)}")
        )

    def under_way(self, since: float, begun_by: str, usual: Usual | None) -> tuple[StyledText, ...]:
        """The current run, which began at `since`."""
        glyph, gone = self.glyphs.kind[TaskStatus.RUNNING], max(0.0, self.now - since)
        when = StyledText(day_and_time(since, self.now).ljust(WHEN), "running")
        bar = self._bar(gone, "running")
        slow = StyledText(" slow", "warning") if usual and usual.slow(gone) else StyledText("")
        head, time = StyledText(f"{glyph} ", "running"), StyledText(elapsed(gone).rjust(TOOK), "running")
        return (head, when, *self._trigger(begun_by, "running"), time, *bar, slow)

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

    def head(self, usual: Usual | None) -> Row | None:
        """The titles of the columns, with the usual durations above the bars; None without room."""
        if not self._trigger(""):
            return None
        names = f"  {'began':<{WHEN}} {'by':<{TRIGGER}}{'took':>{TOOK}}"
        bar, cost = self._bar_cells(), self._cost_cells
        axis = f" {self._axis(bar if cost else self.inner - cells(names) - 1, usual)}"
        if cost:
            axis = axis.ljust(bar + bool(bar)) + self.costs.head(cost)
        return styled((names, "faint"), (axis, "faint"))

    def _axis(self, room: int, known: Usual | None) -> str:
        """The labels p50 and p95 at their places along the bars, where there is room."""
        width, scale = self._bar_cells(), self.scale
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
        share = min(1.0, seconds / self.scale) if self.scale else 0.0
        done = glyphs.bar(max(1, round(2 * width * share)))
        ink = "bar" if style == "ok" else style
        return (StyledText(f" {done}", ink), StyledText(glyphs.track * (width - len(done)), "track"))

    def _text(self, run: RunRecord, style: str) -> tuple[StyledText, ...]:
        room = self._spare() - self._bar_cells() - 2
        if room < TEXT:
            return (StyledText(" timeout", style),) if run.outcome is Outcome.TIMED_OUT else ()
        shown = shorten(clean(first_line(run.text), self.glyphs.plain), room, self.glyphs.ellipsis)
        return (StyledText(f"  {shown}", "faint" if style == "ok" else style),)


def skip_kind(text: str) -> TaskStatus | None:
    """What held a run back; None if a gate or the active hours did."""
    begins = {
        **{"over budget": TaskStatus.OVER_BUDGET, "its cost cannot": TaskStatus.OVER_BUDGET},
        **{"waits": TaskStatus.WAITS, "frozen": TaskStatus.PAUSED},
    }
    return next((kind for words, kind in begins.items() if text.startswith(words)), None)


def _why(run: RunRecord) -> str:
    """What started the run, and who; or which attempt it is."""
    if run.attempt > 1:
        return f"attempt {run.attempt}"
    if run.trigger is Trigger.FORCE and run.who:
        return shorten(f"{'w' if run.task == WAKE else 'f'} by {clean(str(run.who))}", TRIGGER)
    if run.trigger is Trigger.URGENT:
        return "URGENT"
    begun = clean(opened_by(run.why)) or run.trigger
    return str(begun) if begun else "unknown"
