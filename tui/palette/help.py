"""Every key by purpose, with all signs and numbers; a few letters find a key, and `enter` runs it."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.events import Resize
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from scheduler.core.views import TaskStatus
from tui.common.text import cells
from tui.glyphs import Glyphs
from tui.keys import active_keys

OTHER = "What is shown"
# By purpose, each group with the most used first; keys in no group are about what is shown.
GROUPS: Mapping[str, tuple[str, ...]] = {
    "Where to go": (
        *("table", "timeline", "log", "details", "open", "read", "pane", "pane-after", "pane-before"),
        *("palette", "problem", "problem-before", "leave", "back", "leave-too", "clear", "quit", "help"),
    ),
    "What to run": (
        *("force", "reset", "wake", "stop", "pause", "freeze", "budget", "force-failing", "mark"),
    ),
    "What is set up": ("add", "edit", "new-citizen", "undo", "take-over"),
    OTHER: (
        *("filter", "search", "next-hit", "hit-before", "only", "sort", "reverse", "lower"),
        *("by-cost", "unfold", "wrap", "copy", "theme", "screenshot"),
    ),
    "Moving": (*("up", "down", "left", "right", "next", "before", "first", "last", "page-up", "page-down"),),
}
SIGNS = {
    (TaskStatus.OK, TaskStatus.WARNING, TaskStatus.FAILED): "ok, warning, failed",
    (TaskStatus.RUNNING, TaskStatus.PAUSED): "running; paused, frozen, disabled",
    (TaskStatus.NEVER, TaskStatus.NOT_SET_UP): "never ran, needs settings",
    (TaskStatus.STOPPED,): "stopped on request",
    (TaskStatus.WAITS, TaskStatus.OVER_BUDGET): "waits for a provider, over budget",
}
TWO_COLUMNS = 110  # cells of the screen from which there are two columns
KEYS = 11  # cells for the keys


@dataclass(frozen=True, slots=True)
class HelpKey:
    """All keys of one action, what they do, and the action itself."""

    name: str
    keys: str
    words: str
    choose: Callable[[], object]

    def has(self, text: str) -> bool:
        """Whether every typed word occurs in it."""
        return all(word in f"{self.keys} {self.words}".casefold() for word in text.casefold().split())


@dataclass(frozen=True, slots=True)
class Line:
    """One line: a group's title, a key, or a fact."""

    keys: str = ""
    words: str = ""
    key: HelpKey | None = None


class Help(ModalScreen[HelpKey]):
    """Shows the keys that are active on the screen below; gives back the one to run."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", "close"),
        Binding("down", "move(1)", "down", show=False),
        Binding("up", "move(-1)", "up", show=False),
        Binding("pagedown", "page(1)", "down", show=False),
        Binding("pageup", "page(-1)", "up", show=False),
    ]

    def __init__(self, where: str, keys: Iterable[HelpKey], glyphs: Glyphs) -> None:
        super().__init__()
        self._where, self._keys, self._glyphs = where, list(keys), glyphs
        self._found: list[HelpKey] = []
        self._cursor = 0
        self._field = Input(placeholder="search the help; enter does what is found", compact=True)
        self._columns = (Static(), Static())

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            yield self._field
            with VerticalScroll(can_focus=False):
                yield from self._columns
        box.border_title = f"help: {self._where}"
        dot = self._glyphs.dot
        box.border_subtitle = f"esc closes{dot}experience-tui --help for the command line"

    def on_resize(self, event: Resize) -> None:
        self.set_class(self._two, "-two")
        self._show()

    @property
    def _two(self) -> bool:
        return self.app.size.width >= TWO_COLUMNS

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        if event.value == "?":  # the key that opened it
            self.dismiss()
            return
        self._cursor = 0
        self._show()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        if event.value and self._found:
            self.dismiss(self._found[self._cursor])

    def action_move(self, step: int) -> None:
        if not self._field.value:
            self.query_one(VerticalScroll).scroll_relative(y=step, animate=False)
        elif self._found:
            self._cursor = (self._cursor + step) % len(self._found)
            self._show()

    def action_page(self, step: int) -> None:
        view = self.query_one(VerticalScroll)
        view.scroll_relative(y=step * max(1, view.size.height - 1), animate=False)

    def _show(self) -> None:
        left, right = groups(self._keys, self._field.value, self._glyphs)
        self._found = [line.key for line in (*left, *right) if line.key]
        first, second = self._columns
        first.update(self._drawn(left if self._two else [*left, *right]))
        second.update(self._drawn(right if self._two else []))

    def _drawn(self, lines: Sequence[Line]) -> Content:
        chosen = self._found[self._cursor] if self._found and self._field.value else None
        drawn = (self._line(line, line.key is not None and line.key is chosen) for line in lines)
        return Content("\n").join(drawn)

    def _line(self, line: Line, chosen: bool) -> Content:
        if not line.keys:
            return Content.styled(f"  {line.words}", "bold $title")
        mark = self._glyphs.cursor if chosen else " "
        gap = " " * max(1, KEYS - cells(line.keys))
        look = "bold $run" if line.key else "$ink"
        return Content.assemble((f"  {mark} ", "$run"), (line.keys + gap, look), (line.words, "$ink"))


def entries(app: App[Any]) -> Iterator[HelpKey]:
    """Each named binding on this screen, with all its keys."""
    together: dict[str, tuple[list[str], Binding, Any]] = {}
    named = [active for _, active in active_keys(app.screen) if active.enabled and active.binding.id]
    for active in sorted(named, key=lambda active: not active.binding.show):
        binding = active.binding
        keys, *_ = together.setdefault(binding.action, ([], binding, active.node))
        if (shown := app.get_key_display(binding)) not in keys:
            keys.append(shown)
    for keys, binding, node in together.values():
        act = partial(app.call_later, app.run_action, binding.action, node)
        words = binding.tooltip or binding.description
        yield HelpKey(binding.id or "", " ".join(sorted(keys, key=len)), words, act)


def groups(keys: Sequence[HelpKey], text: str, glyphs: Glyphs) -> tuple[list[Line], list[Line]]:
    """The lines of the two columns: the matches, under the titles of their groups."""
    place = {name: (title, n) for title, names in GROUPS.items() for n, name in enumerate(names)}
    at = {key.name: place.get(key.name, (OTHER, len(keys))) for key in keys}
    found = sorted((key for key in keys if key.has(text)), key=lambda key: at[key.name][1])
    by_title: dict[str, list[Line]] = {title: [] for title in GROUPS}
    for key in found:
        by_title[at[key.name][0]].append(Line(key.keys, key.words, key))
    by_title["Signs"] = [line for line in _signs(glyphs) if text.casefold() in line.words]
    by_title["Numbers"] = [line for line in _numbers(glyphs) if text.casefold() in line.words]
    titles = [title for title, lines in by_title.items() if lines]
    left = [title for title in titles if title in [*GROUPS][:3]]
    return _column(by_title, left), _column(by_title, [title for title in titles if title not in left])


def _column(by_title: Mapping[str, list[Line]], titles: Sequence[str]) -> list[Line]:
    lines: list[Line] = []
    for title in titles:
        lines += [Line(words=title), *by_title[title], Line()]
    return lines


def _signs(glyphs: Glyphs) -> Iterator[Line]:
    for kinds, words in SIGNS.items():
        yield Line(" ".join(glyphs.kind[kind] for kind in kinds), words)


def _numbers(glyphs: Glyphs) -> Iterator[Line]:
    yield Line("02:11", "minutes and seconds to go")
    yield Line(f"{glyphs.times}2", "failures in a row")
    yield Line("".join(glyphs.recent[sign] for sign in "ooxo"), "last runs: ok, ok, failed, ok")
