"""A question with facts and answers, each with a key; the cursor starts on the harmless one."""

from collections.abc import Sequence
from typing import ClassVar, TypeVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.events import Click, Key
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from scheduler.core.values import value
from tui.common.text import cells, clean, wrapped
from tui.glyphs import Glyphs

T = TypeVar("T")
Words = tuple[str, str]  # a line, not yet cleaned, and its style


@value
class Choice:
    """One answer: the key that gives it, and what it means."""

    key: str
    words: str


INSIDE, KEYS = 60, 7  # cells of a line, and of the cursor and a key before the words
STAY = "escape"  # the key of the answer that does nothing
SHOWN = 8  # names that a yes-or-no question lists


class Choices(Static):
    """The answers, one below the other, with a cursor on one of them."""

    def __init__(self, choices: Sequence[Choice], cursor: int, glyphs: Glyphs) -> None:
        super().__init__(classes="choices")
        self.choices, self.cursor, self._glyphs = choices, cursor, glyphs
        self.move(0)

    def move(self, step: int) -> None:
        self.cursor = (self.cursor + step) % len(self.choices)
        self.update(Content("\n").join(map(self._line, range(len(self.choices)))))

    @property
    def lines(self) -> list[Choice]:
        """The choice that each line belongs to: one with many words takes several lines."""
        return [each for n, each in enumerate(self.choices) for _ in self._line(n).plain.split("\n")]

    def _line(self, index: int) -> Content:
        choice = self.choices[index]
        mark = self._glyphs.cursor if index == self.cursor else " "
        key = "esc" if choice.key == STAY else choice.key
        gap = " " * (5 - cells(key))
        words = f"\n{' ' * KEYS}".join(wrapped(choice.words, INSIDE - KEYS))
        return Content.assemble((f"{mark} ", "$run"), (key, "bold $run"), (f"{gap}{words}", "$ink"))


class Question(ModalScreen[str]):
    """Gives back the key of the answer, or STAY if there was none."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "move(1)", "down", show=False),
        Binding("up,k", "move(-1)", "up", show=False),
        Binding("enter", "choose", "choose"),
        Binding("escape", "leave", "leave", show=False),
        Binding("ctrl+c", "app.help_quit", "quit at once", show=False),
    ]

    def __init__(
        self, title: str, facts: Sequence[Words], choices: Sequence[Choice], glyphs: Glyphs, at: str = STAY
    ) -> None:
        super().__init__()
        self._title, self._facts, self._glyphs = title, facts, glyphs
        self._plain = glyphs.plain
        first = next(index for index, choice in enumerate(choices) if choice.key == at)
        self._choices = Choices(choices, first, glyphs)

    def compose(self) -> ComposeResult:
        lines = [Content(self._wrapped(words)).stylize(style) for words, style in self._facts]
        with Vertical() as box:
            yield Static(Content("\n").join(lines))
            yield self._choices
        box.border_title = Content(clean(self._title, self._plain)).stylize("bold").markup
        self._box = box
        self._say_what_enter_does()

    def _wrapped(self, words: str) -> str:
        """Clean and wrap `words`; further lines are indented to the start of the first."""
        said = clean(words, self._plain)
        indent = " " * (len(said) - len(said.lstrip()))
        room = min(INSIDE, self.app.size.width - 6) - len(indent)
        return indent + f"\n{indent}".join(wrapped(said.lstrip(), room))

    def _say_what_enter_does(self) -> None:
        choice = self._choices.choices[self._choices.cursor]
        self._box.border_subtitle = Content(f"{self._glyphs.enter} {choice.words.partition(':')[0]}").markup

    def on_key(self, event: Key) -> None:
        known = [choice.key for choice in self._choices.choices]
        answer = event.character or event.key
        if answer in known:
            event.stop()
            self.dismiss(answer)

    def on_click(self, event: Click) -> None:
        lines = self._choices.lines
        if event.widget is self._choices and event.y < len(lines):
            self.dismiss(lines[event.y].key)

    def action_move(self, step: int) -> None:
        self._choices.move(step)
        self._say_what_enter_does()

    def action_choose(self) -> None:
        self.dismiss(self._choices.choices[self._choices.cursor].key)

    def action_leave(self) -> None:
        self.dismiss(STAY)


class Confirm(ModalScreen[bool]):
    """Asks a question; gives back whether the answer was yes."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y,enter", "answer(True)", "yes"),
        Binding("n,escape,q", "answer(False)", "no"),
    ]

    def __init__(self, question: str, names: Sequence[str] = (), plain: bool = False) -> None:
        super().__init__()
        self._question, self._names, self._plain = question, names, plain

    def compose(self) -> ComposeResult:
        lines = [f"  {clean(name, self._plain)}" for name in self._names[:SHOWN]]
        if len(self._names) > SHOWN:
            lines.append(f"  and {len(self._names) - SHOWN:,} more")
        with Vertical():
            yield Static(Content(clean(self._question, self._plain)).stylize("bold"))
            if lines:
                yield Static(Content("\n".join(lines)), classes="names")
            keys = (("y", "bold $run"), " yes     ", ("n", "bold $run"), " no")
            yield Static(Content.assemble(*keys), classes="answers")

    def action_answer(self, yes: bool) -> None:
        self.dismiss(yes)


class Form(ModalScreen[T]):
    """Fields in a frame; gives back nothing if the form was closed."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "cancel", show=False)]

    def changed(self, field: Input) -> None:
        """The text of this field has changed."""

    def submitted(self) -> None:
        """The person is done with the fields."""

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()  # otherwise the filter of the fleet would react, too
        self.changed(event.input)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.submitted()

    def action_leave(self) -> None:
        self.dismiss(None)
