"""The keys that do something right now, in one line."""

from dataclasses import dataclass

from textual.app import RenderResult
from textual.binding import Binding
from textual.content import Content
from textual.events import Click
from textual.widget import Widget

from tui.common.text import cells
from tui.glyphs import Glyphs
from tui.keys import active_keys

LAST = ("help", "quit")  # kept when there is no room for all


@dataclass(frozen=True, slots=True)
class Key:
    """One key as the bar shows it."""

    key: str
    shown: str
    words: str
    stays: bool = False

    @property
    def width(self) -> int:
        return cells(self.shown) + cells(self.words) + 3


class KeyBar(Widget):
    """Draws the bindings that are shown and active; a click on one acts like its key."""

    def __init__(self, glyphs: Glyphs) -> None:
        super().__init__()
        self._glyphs = glyphs
        self._prefix = ""
        self._spots: list[tuple[int, Key]] = []

    def prefix(self, text: str) -> None:
        """Put a few clean words in front of the keys, such as the active filter."""
        if text != self._prefix:
            self._prefix = text
            self.refresh()

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, lambda _: self.refresh())

    def render(self) -> RenderResult:
        parts = [(f" {self._prefix} ", "bold $warn")] if self._prefix else []
        room = self.size.width - sum(cells(text) for text, _ in parts)
        self._spots, x = [], self.size.width - room
        for key in fitting(self._keys(), room):
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
            if entry.binding.show and entry.enabled:
                other = shown.setdefault(entry.binding.action, entry.binding)
                if len(self._shown(entry.binding)) < len(self._shown(other)):
                    shown[entry.binding.action] = entry.binding
        return [
            Key(binding.key, self._shown(binding), binding.description, binding.id in LAST)
            for binding in shown.values()
        ]

    def _shown(self, binding: Binding) -> str:
        return self.app.get_key_display(binding)


def fitting(keys: list[Key], room: int) -> list[Key]:
    """As many keys as fit into so many cells; help and quit stay, at the end."""
    ends = [key for key in keys if key.stays]
    kept, room = [], room - sum(key.width for key in ends)
    for key in keys:
        if key not in ends and key.width <= room:
            kept.append(key)
            room -= key.width
    return kept + ends
