"""Every key and every sign, read from the bindings themselves."""

from collections.abc import Iterable, Mapping
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import ActiveBinding, Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from scheduler.core.views import TaskStatus
from tui.common.text import cells
from tui.glyphs import Glyphs

SIGNS = {
    TaskStatus.OK: "the last run was fine",
    TaskStatus.WARNING: "it ran, but wants attention",
    TaskStatus.FAILED: "the last run failed; the error is on the line below",
    TaskStatus.NEVER: "never ran",
    TaskStatus.NOT_SET_UP: "not set up: a setting is missing",
    TaskStatus.RUNNING: "running: time gone, and of how much",
    TaskStatus.PAUSED: "paused: not by schedule, force still works",
}
Entry = tuple[str, str]  # keys and what they do


class Help(ModalScreen[None]):
    """Shows the keys that were active on the screen below."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,enter", "dismiss", "close"),
        Binding("down,j", "scroll(1)", "down", show=False),
        Binding("up,k", "scroll(-1)", "up", show=False),
    ]

    def __init__(self, keys: Iterable[Entry], glyphs: Glyphs) -> None:
        super().__init__()
        self._keys, self._glyphs = list(keys), glyphs

    def compose(self) -> ComposeResult:
        signs = [(self._glyphs.kind[kind], words) for kind, words in SIGNS.items()]
        with VerticalScroll():
            yield Static(_table("Keys", self._keys))
            yield Static(_table("\nSigns", signs))
            yield Static(Content.assemble("\n", ("esc", "bold $run"), (" closes this", "$faint")))

    def action_scroll(self, step: int) -> None:
        self.query_one(VerticalScroll).scroll_relative(y=step, animate=False)


def entries(active: Mapping[str, ActiveBinding], shown: Mapping[str, str]) -> list[Entry]:
    """What each binding of ours does, all its keys together; `shown` names the keys."""
    ours = [(key, entry.binding) for key, entry in active.items() if entry.enabled and _ours(entry.binding)]
    together: dict[str, tuple[list[str], Binding]] = {}
    for key, binding in sorted(ours, key=lambda pair: not pair[1].show):
        together.setdefault(binding.action, ([], binding))[0].append(shown[key])
    return [
        (" ".join(sorted(keys, key=len)), binding.tooltip or binding.description)
        for keys, binding in together.values()
    ]


def _ours(binding: Binding) -> bool:
    return bool(binding.id)


def _table(title: str, entries: list[Entry]) -> Content:
    lines = [Content(title).stylize("bold $title")]
    for keys, words in entries:
        gap = " " * (12 - cells(keys))
        lines.append(Content.assemble((f"  {keys}{gap}", "bold $run"), (words, "$ink")))
    return Content("\n").join(lines)
