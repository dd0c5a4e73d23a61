"""The floor of a screen: a Textual app with a clock, and a line that keys change."""

import time
from collections.abc import Iterable

from textual.app import App, ComposeResult
from textual.events import Key
from textual.widgets import Static


class EmptyApp(App[None]):
    """Forty lines of text, of which one changes."""

    def compose(self) -> ComposeResult:
        yield Static(id="clock")
        yield Static(id="keys")
        yield Static("\n".join(_lines()))

    def on_mount(self) -> None:
        self._keys = 0
        self._tick()
        self.set_timer(1 - time.time() % 1, self._start_ticking)

    def on_key(self, event: Key) -> None:
        self._keys += 1
        self.query_one("#keys", Static).update(f"{self._keys} keys, the last was {event.key}")

    def _start_ticking(self) -> None:
        self._tick()
        self.set_interval(1, self._tick)

    def _tick(self) -> None:
        self.query_one("#clock", Static).update(time.strftime("%H:%M:%S"))


def _lines() -> Iterable[str]:
    return (f"{number} " + "some words to fill a line with " * 3 for number in range(37))


if __name__ == "__main__":
    EmptyApp().run()
