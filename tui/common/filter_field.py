"""The line in which a filter is typed."""

from dataclasses import dataclass
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import Input


class FilterField(Input):
    """Posts `Input.Changed` for each change, and `Left` when the person is done."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "drop", "clear", id="filter-clear")]

    @dataclass
    class Left(Message):
        """The person is done; `keep` says whether the filter stays."""

        keep: bool

    def __init__(self, searched: str = "citizen, task or error; ! in front inverts; esc clears") -> None:
        super().__init__(placeholder=searched, compact=True)

    def open(self, text: str) -> None:
        """Start typing with the text of the current filter."""
        self.add_class("-open")
        self.value = text
        self.focus()

    def action_drop(self) -> None:
        self.value = ""
        self._leave(keep=False)

    async def action_submit(self) -> None:
        self._leave(keep=True)

    def _leave(self, keep: bool) -> None:
        self.remove_class("-open")
        self.post_message(self.Left(keep))
