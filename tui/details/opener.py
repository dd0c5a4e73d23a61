"""Opens the details of a task, and passes new snapshots and pulses on to them."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from textual.app import App

from scheduler.core.ports import Control
from scheduler.core.views import Heartbeat, Snapshot
from tui.common.task_ref import Place
from tui.details.why import Stalls
from tui.glyphs import Glyphs

if TYPE_CHECKING:
    from tui.details.screen import Details


class DetailsOpener:
    """Keeps the one details screen that can be open, and what it needs to know when it opens."""

    def __init__(self, app: App[Any], controls: Mapping[str, Control], glyphs: Glyphs, label: str) -> None:
        self._app, self._controls, self._glyphs, self._label = app, controls, glyphs, label
        self._stalls = Stalls()
        self._open: Details | None = None

    def open(
        self, place: Place, snapshot: Snapshot | None, now: float, read_only: bool, at: float | None = None
    ) -> None:
        """Show the details of this task, with the run at `at`; `snapshot` is the newest of its citizen."""
        from tui.details.screen import Details  # 10 ms that the first frame does not wait for

        details = self._open = Details(place, self._controls.get, self._glyphs, self._label, read_only)
        if at is not None:
            details.runs.look_for(at)
        self._beat()
        if snapshot is not None:
            details.on_snapshot(snapshot, now)
        self._app.push_screen(details, self._left)

    def on_snapshot(self, snapshot: Snapshot, now: float) -> None:
        """Pass on the newest snapshot of a citizen."""
        if self._open is not None and self._open.place.citizen == snapshot.citizen:
            self._open.on_snapshot(snapshot, now)

    def beat(self, pulses: Mapping[str, Heartbeat], now: float) -> None:
        """Pass on the pulses of the visible schedulers."""
        for citizen, pulse in pulses.items():
            self._stalls.beat(citizen, pulse, now)
        if self._open is not None:
            self._beat()

    def _beat(self) -> None:
        if self._open is None:
            return
        citizen = self._open.place.citizen
        control = self._controls.get(citizen)
        self._open.beat(control.pulse() if control else Heartbeat(), self._stalls.last(citizen))

    def _left(self, _: object) -> None:
        self._open = None
