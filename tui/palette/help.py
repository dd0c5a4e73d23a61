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
    TaskStatus.OK: "ok: the last run succeeded",
    TaskStatus.WARNING: "warning: it ran, but needs attention",
    TaskStatus.FAILED: "failed: the error is on the line below",
    TaskStatus.NEVER: "never ran",
    TaskStatus.NOT_SET_UP: "not set up: a setting is missing",
    TaskStatus.RUNNING: "running: elapsed time and time limit",
    TaskStatus.PAUSED: "paused or disabled: only force runs it",
    TaskStatus.STOPPED: "stopped: somebody ended the last run",
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
    """What each binding with a name does, all its keys together; `shown` names the keys."""
    named = [(key, entry.binding) for key, entry in active.items() if entry.enabled and entry.binding.id]
    together: dict[str, tuple[list[str], Binding]] = {}
    for key, binding in sorted(named, key=lambda pair: not pair[1].show):
        together.setdefault(binding.action, ([], binding))[0].append(shown[key])
    return [
        (" ".join(sorted(keys, key=len)), binding.tooltip or binding.description)
        for keys, binding in together.values()
    ]


def _table(title: str, entries: list[Entry]) -> Content:
    lines = [Content(title).stylize("bold $title")]
    for keys, words in entries:
        gap = " " * (12 - cells(keys))
        lines.append(Content.assemble((f"  {keys}{gap}", "bold $run"), (words, "$ink")))
    return Content("\n").join(lines)
