"""One question before something that cannot be taken back lightly."""

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from tui.common.text import clean

SHOWN = 8  # names in the list


class Confirm(ModalScreen[bool]):
    """Asks, and gives back whether the answer was yes."""

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
            lines.append(f"  and {len(self._names) - SHOWN} more")
        with Vertical():
            yield Static(Content(clean(self._question, self._plain)).stylize("bold"))
            if lines:
                yield Static(Content("\n".join(lines)), classes="names")
            keys = (("y", "bold $run"), " yes     ", ("n", "bold $run"), " no")
            yield Static(Content.assemble(*keys), classes="answers")

    def action_answer(self, yes: bool) -> None:
        self.dismiss(yes)
