"""What a run printed, in its own colours, below the result; live while the run is under way."""

from collections.abc import Iterator

from scheduler.core.records import RunRecord
from scheduler.core.task import Outcome
from scheduler.core.views import OutputChunk, TaskStatus
from tui.common import ansi
from tui.common.pane import Pane, Row, styled
from tui.common.text import clean, day_and_time, took, wrapped
from tui.glyphs import Glyphs
from tui.keys import key_of
from tui.log.events import OUTCOMES, asked_words

KEPT = 64 * 1024  # characters kept of a run under way; earlier ones are dropped
ENOUGH = 8 * 1024  # characters parsed at the end of live output
OFTEN = 0.1  # seconds between two updates; more often would be unreadable
STYLES = {Outcome.OK: "ok", Outcome.WARNING: "warning"} | dict.fromkeys(
    (Outcome.STOPPED, Outcome.SKIPPED, Outcome.REFUSED), "faint"
)


class PrintedPane(Pane):
    """The wrapped output of one run; while it runs, the view follows the end until the person scrolls up."""

    def __init__(self, glyphs: Glyphs) -> None:
        super().__init__(glyphs, "output")
        self._head: tuple[tuple[str, str], ...] = ()  # lines above the output, and their style
        self._title, self._text, self._advice = "output", "", ""
        self._lines: list[ansi.Line] | None = None
        self._above: list[Row] = []
        self._rows: list[ansi.Line] = []
        self._live = self._waits = self._news = self._partly = False
        self._seen = ""  # the text as of the last layout
        self.following = self.wraps = True

    # -------------------------------------------------------------- values come down

    def hint(self, title: str, said: str, advice: str = "") -> None:
        """Show words in place of a run; the advice is the part that can be copied."""
        lines = ("", *advice.splitlines()) if advice else ()
        self._set(title, "", ((said, "faint"), *((line, "running") for line in lines)), "")
        self._advice = advice

    def show_run(self, run: RunRecord, text: str | None, now: float, problem: str = "") -> None:
        """Show a finished run and what it printed; `text` is None while it is being read."""
        style, glyphs = STYLES.get(run.outcome, "failed"), self.glyphs
        at_end = self._live and self.following
        said = f"{glyphs.kind[OUTCOMES[run.outcome]]} {run.outcome}, {took(run.seconds)}"
        asked = [(f"{asked_words(run.trigger)} by {run.who.in_full}", "faint")] if run.who else []
        asked += [(line, "faint") for line in run.why.splitlines()[:1]]
        asked += [(f"ran on {run.machine}", "faint")] if run.machine else []
        message, at_its_end = message_above(run, text or "")
        head = [*asked, *((line, "ink" if run.outcome is Outcome.OK else style) for line in message)]
        if problem:
            head.append((problem, "warning"))
        elif text == "":
            head.append(("no output", "faint"))
        head += [("", "ink")] if head and text else []
        self._set(f"output {_when(run.started, now)}", said, tuple(head), text or "")
        self.scroll_rows(self.last if at_end or (at_its_end and run.outcome.bad) else 0)

    def start_following(self, since: float, now: float) -> None:
        """Start on a run under way, whose output follows."""
        self._set(f"output {_when(since, now)}", "", (), "")
        self._live = self.following = True
        self._head = (("no output so far", "faint"),)
        self._lay_out()

    def add(self, printed: OutputChunk) -> None:
        """Append what the run printed."""
        gap = f"\n{self.glyphs.ellipsis} {printed.skipped:,} bytes left out {self.glyphs.ellipsis}\n"
        self._text += (gap if printed.skipped else "") + printed.text
        if len(self._text) > 2 * KEPT:
            self._text = _shortened(self._text)
        self._news = True
        if not self._waits:
            self._look_again()

    def stop(self, problem: str = "") -> None:
        """Stop following: nothing more comes from this run."""
        if self._live and problem:
            self._head = ((problem, "warning"),)
            self._lay_out()

    def _in_rows(self, lines: list[ansi.Line]) -> list[ansi.Line]:
        """The rows of these lines; without wrapping, long rows are cut when drawn."""
        return [row for line in lines for row in ansi.chopped(line, self.inner)] if self.wraps else lines

    def wrap_lines(self, wraps: bool) -> None:
        """Set whether long lines are wrapped or cut."""
        self.wraps = wraps
        self._lay_out()
        self.sync()

    def plain_text(self) -> str:
        """The whole output, for a clipboard or a pager."""
        if self._advice:
            return "\n".join(map(clean, self._advice.splitlines()))
        head = [clean(line) for line, _ in self._head]
        return "\n".join([*head, ansi.without_colours(self._text)])

    # -------------------------------------------------------------- drawing

    def named(self, title: str, aside: str = "") -> None:
        """Set another title, clean, for the same output."""
        self._title = title
        if self._live:
            self._say_how()
        else:
            self.entitle(title, aside)
        self.sync()

    def _set(self, title: str, said: str, head: tuple[tuple[str, str], ...], text: str) -> None:
        self._title, self._head, self._text = title, head, text
        self.entitle(title, said)
        self._live, self._lines, self._advice = False, None, ""
        self._lay_out()
        self.scroll_rows(0)

    def _look_again(self) -> None:
        """Show what arrived, then pause; nothing moves while the person reads further up."""
        if self._live and self.following and self._news:
            self._waits, self._news = True, False
            self._text, self._lines = _shortened(self._text), None
            self._head = () if self._text else self._head
            self._lay_out()
            self.set_timer(OFTEN, self._rested)

    def _rested(self) -> None:
        self._waits = False
        self._look_again()

    def _lay_out(self) -> None:
        plain, width = self.glyphs.plain, self.inner
        self._above = [
            styled((row, style)) for line, style in self._head for row in wrapped(clean(line, plain), width)
        ]
        if self._lines is None:
            whole = not self._live or self.search.text
            self._seen, end = self._text, self._text if whole else self._end()
            self._read(end)
            if self._live and self.count() <= self.inside:  # too little to fill the screen
                self._read(end := self._text)
            self._partly = len(end) < len(self._text)
        else:
            self._rows = self._in_rows(self._lines)
        self.search_again()
        if self._live:
            self._say_how()
            self.scroll_rows(self.last if self.following else self.top)
        else:
            self.sync()

    def _end(self) -> str:
        """As much of the end as a screen can show: parsing all of it ten times a second takes too long."""
        start = len(self._text) - max(ENOUGH, 4 * self.inside * self.inner)
        return self._text[self._text.find("\n", start) + 1 :] if start > 0 else self._text

    def _read(self, text: str) -> None:
        self._lines = ansi.lines(text, self.glyphs.plain)
        self._rows = self._in_rows(self._lines)

    def _say_how(self) -> None:
        paused = f"paused, {key_of(self, 'last', 'G')} follows"
        running = self.glyphs.kind[TaskStatus.RUNNING]
        self.entitle(self._title, f"{running} {'following' if self.following else paused}")

    def foot(self) -> tuple[str, str]:
        find = "" if self.searching else f"{key_of(self, 'search', '/')} search"
        seen = min(self.count(), self.top + self.inside)
        whole = (
            f"{self.count():,} {'line' if self.count() == 1 else 'lines'}"
            if self._live
            else f"{seen:,} of {self.count():,}"
        )
        return find if self.can_focus else "", whole if self._rows else ""

    def count(self) -> int:
        return len(self._above) + len(self._rows)

    def searched(self) -> Iterator[tuple[int, str]]:
        """Whole lines, all that are kept; a wrapped line counts by its first row."""
        if self._partly:
            self._read_all()
        yield from ((n, "".join(piece.text for piece in row.pieces)) for n, row in enumerate(self._above))
        number = len(self._above)
        for line in self._lines or ():
            yield number, "".join(part.text for part in line)
            number += len(ansi.chopped(line, self.inner)) if self.wraps else 1

    def to_hit(self, row: int) -> None:
        if self._live:
            self._follow(False)
        super().to_hit(row)

    def _show_hits(self) -> None:
        if self._live and self.following:  # searching does not end following
            self._say_hits()
            self.sync()
        else:
            super()._show_hits()

    def row(self, index: int) -> Row:
        above = len(self._above)
        if index < above:
            return self._above[index]
        return styled(*self._rows[index - above])

    def resized(self) -> None:
        if self._live and self.following:
            self._lines = None
        self._lay_out()

    def move(self, step: int) -> None:
        if self._live:
            self._follow(self.top + step >= self.last)
            if self._partly and not self.following and self.top + step < 0:
                first = step <= -self.count()
                self._read_all()
                step = -self.count() if first else step
        super().move(step)

    def roll(self, step: int) -> None:
        self.move(step)

    def _follow(self, on: bool) -> None:
        if on == self.following or not (on or self.last):
            return
        self.following = on
        if on:
            self._lines = None
            self._lay_out()
        else:  # keep the rows: the rest is parsed once the person scrolls up
            self._say_how()
            self.sync()

    def _read_all(self) -> None:
        """Parse all that was kept when following ended; the same lines stay in sight."""
        below = self.count() - self.top
        self._read(self._seen)
        self._partly = False
        self.scroll_rows(self.count() - below)


def message_above(run: RunRecord, text: str) -> tuple[list[str], bool]:
    """The run's message without what its output ends with anyway, and whether the output ends with it."""
    message, end = run.text.strip(), ansi.without_colours(text[-2000:]).rstrip()
    how, _, said = message.partition(": ")  # `exit 1: what it printed last`
    if message and end.endswith(message):
        return [], True
    if run.outcome.bad and said and end.endswith(said):
        return [how], True
    return message.splitlines(), False


def _when(when: float, now: float) -> str:
    return day_and_time(when, now).removeprefix("today ")


def _shortened(text: str) -> str:
    """The end of the text, from the start of a line if one is near."""
    if len(text) <= KEPT:
        return text
    start = len(text) - KEPT
    line = text.find("\n", start, start + 2000)
    return text[line + 1 if line >= 0 else start :]
