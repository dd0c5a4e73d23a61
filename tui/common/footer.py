"""The keys that do something right now, in one line."""

from collections.abc import Sequence
from dataclasses import dataclass

from textual.app import RenderResult
from textual.binding import Binding
from textual.content import Content
from textual.events import Click
from textual.widget import Widget

from tui.common.text import cells
from tui.glyphs import Glyphs
from tui.keys import ALWAYS, LAST, NARROW, PLACES, VIEWS, active_keys

HINT = 2.0  # seconds


@dataclass(frozen=True, slots=True)
class Key:
    """One key as the bar shows it."""

    key: str
    shown: str
    words: str
    name: str = ""

    @property
    def width(self) -> int:
        return cells(self.shown) + cells(self.words) + 3


class KeyBar(Widget):
    """Draws the bindings that are shown and active; a click on one acts like its key."""

    def __init__(self, glyphs: Glyphs) -> None:
        super().__init__()
        self._glyphs = glyphs
        self._prefix, self._hint, self._hint_style = "", "", ""
        self._leading: tuple[str, ...] = ()
        self._alone: tuple[str, ...] = ()
        self._spots: list[tuple[int, Key]] = []

    def prefix(self, text: str) -> None:
        """Put a few clean words in front of the keys, such as the active filter."""
        if text != self._prefix:
            self._prefix = text
            self.refresh()

    def lead(self, *names: str, alone: tuple[str, ...] = ()) -> None:
        """The keys of these names come first, in this order; of others only those `alone`, if any."""
        if (names, alone) != (self._leading, self._alone):
            self._leading, self._alone = names, alone
            self.refresh()

    def hint(self, text: str, style: str = "$warn", seconds: float = HINT) -> None:
        """Show clean words in place of the keys, for a moment."""
        self._hint, self._hint_style = text, style
        self.refresh()
        self.set_timer(seconds, self.forget_hint)

    def forget_hint(self) -> None:
        """Show the keys again."""
        if self._hint:
            self._hint = ""
            self.refresh()

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, lambda _: self.refresh())

    def render(self) -> RenderResult:
        self._spots = []
        if self._hint:
            return Content.assemble((f" {self._hint}", self._hint_style))
        parts = [(f" {self._prefix} ", "bold $warn")] if self._prefix else []
        x = sum(cells(text) for text, _ in parts)
        keys = self._keys()
        if self.size.width < NARROW:
            keys = [key for key in keys if key.name in ALWAYS]
        elif self._alone:
            keys = [key for key in keys if key.name in (*self._leading, *self._alone, *LAST)]
        before: Key | None = None
        for key in fitting(keys, self.size.width - x, self._leading):
            if before is not None and (bar := _bar(before, key, self._leading)):
                parts.append((self._glyphs.down, "$frame"))
                x += bar
            before = key
            self._spots.append((x, key))
            parts += [(f" {key.shown}", "bold $run"), (f" {key.words} ", "$faint")]
            x += key.width
        return Content.assemble(*parts)

    def on_click(self, event: Click) -> None:
        hit = [key for x, key in self._spots if x <= event.x < x + key.width]
        if hit:
            self.app.simulate_key(hit[0].key)

    def _keys(self) -> list[Key]:
        active = [entry for _, entry in active_keys(self.screen)]
        shown: dict[str, Binding] = {}
        for entry in active:
            if entry.enabled and (entry.binding.show or entry.binding.id in self._leading):
                other = shown.setdefault(entry.binding.action, entry.binding)
                if len(self._shown(entry.binding)) < len(self._shown(other)):
                    shown[entry.binding.action] = entry.binding
        return [
            Key(binding.key, self._shown(binding), binding.description, binding.id or "")
            for binding in shown.values()
        ]

    def _shown(self, binding: Binding) -> str:
        return self.app.get_key_display(binding)


def fitting(keys: list[Key], room: int, leading: Sequence[str] = ()) -> list[Key]:
    """As many keys as fit into so many cells, group by group: places first, help and quit at the end."""
    ends = [key for key in keys if key.name in LAST]
    rank = {name: place for place, name in enumerate(leading)}
    others = [key for key in keys if key not in ends]
    others.sort(key=lambda key: (_group(key, leading), rank.get(key.name, 0)))
    kept: list[Key] = []
    room -= sum(key.width for key in ends)
    for key in others:
        bar = _bar(kept[-1], key, leading) if kept else 0
        if key.width + bar <= room:
            kept.append(key)
            room -= key.width + bar
    return kept + ends


def _group(key: Key, leading: Sequence[str]) -> int:
    if key.name in leading:
        return -1
    if key.name in LAST:
        return 3
    return 0 if key.name in PLACES else 2 if key.name in VIEWS else 1


def _bar(before: Key, key: Key, leading: Sequence[str]) -> int:
    """The cells of the bar between these two, if there is one: before what to do, and before what to see."""
    group = _group(key, leading)
    return 1 if group in (1, 2) and group != _group(before, leading) else 0
