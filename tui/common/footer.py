"""The keys that do something right now, in one line."""

from collections.abc import Sequence
from dataclasses import dataclass

from textual.app import RenderResult
from textual.binding import Binding
from textual.content import Content
from textual.events import Click
from textual.timer import Timer
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
    """Draws the bindings that are shown and active; clicking one acts like pressing its key."""

    def __init__(self, glyphs: Glyphs) -> None:
        super().__init__()
        self._glyphs = glyphs
        self._prefix, self._hint, self._hint_style = "", "", ""
        self._until: Timer | None = None  # shows the keys again
        self._leading: tuple[str, ...] = ()
        self._preferred: tuple[str, ...] = ()
        self._alone: tuple[str, ...] = ()
        self._spots: list[tuple[int, Key]] = []

    def prefix(self, text: str) -> None:
        """Put a few clean words in front of the keys, such as the active filter."""
        if text != self._prefix:
            self._prefix = text
            self.refresh()

    def lead(self, *names: str, alone: tuple[str, ...] = ()) -> None:
        """Put the keys of these names first, in this order; of the others show only `alone`, if given."""
        if (names, alone) != (self._leading, self._alone):
            self._leading, self._alone = names, alone
            self.refresh()

    def prefer(self, *names: str) -> None:
        """Put the keys of these names right after the places, in this order."""
        if names != self._preferred:
            self._preferred = names
            self.refresh()

    def hint(self, text: str, style: str, seconds: float) -> None:
        """Show clean words in place of the keys, for a moment."""
        self.forget_hint()
        self._hint, self._hint_style = text, style
        self._until = self.set_timer(seconds, self.forget_hint)
        self.refresh()

    def forget_hint(self) -> None:
        """Show the keys again."""
        if self._until:
            self._until.stop()
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
        order = Order(self._leading, self._preferred)
        for key in fitting(keys, self.size.width - x, order):
            if before is not None and (bar := order.bar(before, key)):
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


@dataclass(frozen=True, slots=True)
class Order:
    """The order of the keys: first those that lead, then group by group."""

    leading: Sequence[str] = ()
    preferred: Sequence[str] = ()  # of the keys that act

    def group(self, key: Key) -> int:
        if key.name in self.leading:
            return -1
        if key.name in LAST:
            return 3
        if key.name in PLACES:
            return 0
        return 2 if key.name in VIEWS and key.name not in self.preferred else 1

    def rank(self, key: Key) -> tuple[int, int]:
        if key.name in self.leading:
            return -1, self.leading.index(key.name)
        preferred = key.name in self.preferred
        return self.group(key), self.preferred.index(key.name) if preferred else len(self.preferred)

    def bar(self, before: Key, key: Key) -> int:
        """Cells of the bar between these two keys, if any: one before the actions, one before the views."""
        return 1 if self.group(key) in (1, 2) and self.group(key) != self.group(before) else 0


def fitting(keys: list[Key], room: int, order: Order = Order()) -> list[Key]:
    """As many keys as fit into `room` cells, group by group: places first, help and quit at the end."""
    ends = [key for key in keys if key.name in LAST]
    others = sorted((key for key in keys if key not in ends), key=order.rank)
    kept: list[Key] = []
    room -= sum(key.width for key in ends)
    for key in others:
        bar = order.bar(kept[-1], key) if kept else 0
        if key.width + bar <= room:
            kept.append(key)
            room -= key.width + bar
    return kept + ends
