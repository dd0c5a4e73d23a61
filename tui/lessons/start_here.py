"""The panel of the first minutes: what to do next, until the person's first own task has run."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.widget import Widget

from scheduler.core.views import Snapshot
from tui.common.pane import EMPTY, Pane, Row
from tui.common.styles import CURSOR
from tui.fleet.row_keys import Copied, SettingsAsked
from tui.glyphs import Glyphs
from tui.keys import LESSON_KEYS, key_of
from tui.lessons.steps import Facts, Line, long_steps, other_ways, short_steps

WIDE = 100  # cells of a screen from which there are two columns
OTHERS = 42  # cells of the second column
EVENTS = 7  # lines below the panel that suffice for events
FEW = 3  # citizens, at most, for a beginner


@dataclass(frozen=True)
class Beginning:
    """How many lines cron runs for this person, and the file that notes that the panel was hidden."""

    jobs: Callable[[], int]
    mark: Path

    @property
    def hidden(self) -> bool:
        """Whether the person chose not to see it again."""
        return self.mark.exists()

    def hide(self) -> None:
        """Never show it unasked again; raises OSError."""
        self.mark.parent.mkdir(parents=True, exist_ok=True)
        self.mark.touch()


def is_beginning(snapshots: Sequence[Snapshot]) -> bool:
    """Whether none of the person's own tasks has run yet; someone with many citizens is no beginner."""
    rows = [task for one in snapshots for task in one.tasks]
    own = [task for task in rows if not (task.builtin or task.is_wake)]
    woken = any(one.wake.configured and one.wake.count for one in snapshots)
    return len(snapshots) <= FEW and not woken and not any(task.run_count for task in own)


class Lesson(Pane):
    """Lines of text; the cursor moves between those that can be copied."""

    BINDINGS: ClassVar[list[BindingType]] = [*LESSON_KEYS]

    class Left(Message):
        """The person returns to the rows."""

    class Hidden(Message):
        """The person does not want to see this again."""

    def __init__(self, glyphs: Glyphs, title: str) -> None:
        super().__init__(glyphs, title)
        self.lines: list[Line] = []
        self.at = -1  # the line of the cursor

    def teach(self, lines: Sequence[Line]) -> None:
        """Show these lines."""
        if self.lines != list(lines):
            self.lines, self.at = list(lines), -1
            self.scroll_rows(0)

    def count(self) -> int:
        return len(self.lines)

    def row(self, index: int) -> Row:
        row = self.lines[index].row if index < len(self.lines) else EMPTY
        same = self.has_focus and self.at >= 0 and self.lines[index].copied == self.lines[self.at].copied
        return row._replace(light=CURSOR) if same and self.lines[index].copied else row

    def move(self, step: int) -> None:
        """Move to the next or previous lines that can be copied."""
        here = self.lines[self.at].copied if self.at >= 0 else ""
        places = [n for n, line in enumerate(self.lines) if line.copied and line.copied != here]
        beyond = [n for n in places if (n - self.at) * step > 0]
        if beyond:
            self.at = min(beyond, key=lambda n: abs(n - self.at))
        self.sync()

    @property
    def copied(self) -> str:
        """The text to copy of the line under the cursor."""
        return self.lines[self.at].copied if self.at >= 0 else ""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return action not in ("search", "hit")  # a few lines need no search

    def watch_has_focus(self, has_focus: bool) -> None:
        super().watch_has_focus(has_focus)
        self.focused_or_left()

    def focused_or_left(self) -> None:
        """The lesson gained or lost the focus."""
        if self.has_focus and self.at < 0:
            self.move(1)
        self.sync()

    def action_copy(self) -> None:
        self.post_message(Copied(self.copied))

    def action_settings(self, what: str) -> None:
        self.post_message(SettingsAsked(what))

    def action_leave(self) -> None:
        self.post_message(self.Left())

    def action_hide(self) -> None:
        self.post_message(self.Hidden())


class FirstSteps(Lesson):
    """The first panel: what a citizen is, and what to do."""

    def foot(self) -> tuple[str, str]:
        return f"{key_of(self, 'clear', 'esc')} hides this for good", ""


class OtherWays(Lesson):
    """The panel next to it: other ways to start."""

    def foot(self) -> tuple[str, str]:
        return "", f"{key_of(self, 'help', '?')} all keys"


class StartHere(Horizontal):
    """Both panels, as far as there is room."""

    def __init__(self, glyphs: Glyphs, like: Widget) -> None:
        super().__init__()
        self.first, self.other = FirstSteps(glyphs, "start here"), OtherWays(glyphs, "or")
        self.first.painted_like = self.other.painted_like = like
        self.facts = Facts("", "")

    def compose(self) -> ComposeResult:
        yield from (self.first, self.other)

    def wishes(self, width: int) -> tuple[int, ...]:
        """The numbers of lines it asks for, the largest first; the largest includes room for events."""
        short = [2 + len(lines) for lines in short_steps(self.facts, width)]
        long = 2 + len(long_steps(self.facts, width))
        return (long + EVENTS, long, *short) if width >= WIDE else tuple(short)

    def fit(self, width: int, free: int) -> int:
        """Take some of the free lines; return how many."""
        long = long_steps(self.facts, width - OTHERS - 3)
        two = width >= WIDE and len(long) + 2 <= free
        ways = [long] if two else short_steps(self.facts, width - 3)
        lines = next((each for each in ways if len(each) + 2 <= free), [])
        self.display = bool(lines)
        if lines:
            self.styles.height = len(lines) + 2
            self._fill(lines, two)
        return len(lines) + 2 if lines else 0

    def _fill(self, lines: Sequence[Line], two: bool) -> None:
        self.other.display = two
        self.other.styles.width = OTHERS
        self.first.entitle("start here", "" if two else f"{key_of(self, 'help', '?')} all keys")
        self.first.teach(lines)
        self.other.teach(other_ways(self.facts))
