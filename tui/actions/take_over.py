"""Running a citizen in this process: the question, with what would start at once, and its end."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from textual.app import App

from scheduler.core.ports import Citizens, Control
from scheduler.core.records import RunRecord
from scheduler.core.task import WAKE
from scheduler.core.views import Snapshot
from scheduler.errors import SchedulerError
from tui.actions.dialogs import Dialogs, done
from tui.common.questions import take_over_question as over
from tui.common.questions.question import STAY, Question
from tui.common.typed_ahead import ASKING
from tui.glyphs import Glyphs

WAKES = 10  # the last wakes whose cost predicts that of the next


class TakeOver:
    """Asks whether to take a citizen over while it has no owner."""

    def __init__(
        self,
        app: App[Any],
        fleet: Citizens,
        controls: Mapping[str, Control],
        snapshot_of: Callable[[str], Snapshot | None],
        dialogs: Dialogs,
        glyphs: Glyphs,
    ) -> None:
        self._app, self._fleet, self._controls, self._glyphs = app, fleet, controls, glyphs
        self._snapshot_of, self._dialogs = snapshot_of, dialogs
        self._lost: dict[str, float] = {}  # since when a citizen has had no owner, as seen from here
        self._asked: tuple[str, Question] | None = None  # the last citizen asked about, and the question

    def ask(self, citizen: str) -> None:
        """Run the citizen in this process, after a confirmation; report what prevents it."""
        if reason := self._fleet.why_not_own(citizen):
            self._dialogs.toast(reason, "error")
            return
        self._app.run_worker(self._ask(citizen), group=ASKING)

    async def _ask(self, citizen: str) -> None:
        """Ask, with what would start at once and what waits."""
        shown = self._snapshot_of(citizen)
        wakes: tuple[RunRecord, ...] = ()
        try:
            found = await self._fleet.look(citizen)
            if citizen in self._controls:
                with suppress(SchedulerError):  # the question then leaves out what a wake costs
                    wakes = await self._controls[citizen].history(WAKE, limit=WAKES)
        except SchedulerError as error:
            self._dialogs.toast(str(error), "error")
            return

        def here() -> None:
            self._dialogs.send([(citizen, self._fleet.take_over(citizen))])

        def in_background() -> None:
            self._dialogs.send([(citizen, done(self._fleet.start_in_background(citizen)))])

        facts = over.facts(
            citizen,
            shown.stale if shown else "",
            self._lost.get(citizen),
            self._fleet.clock.now(),
            found,
            wakes,
        )
        then = {"o": here, "b": in_background}
        self._asked = citizen, self._dialogs.choose(over.title(citizen), facts, over.choices(citizen), then)

    def on_snapshot(self, snapshot: Snapshot) -> None:
        """Note when a citizen's owner died; close the question about it once the citizen has a new owner."""
        citizen = snapshot.citizen
        if snapshot.stale:
            self._lost.setdefault(citizen, self._fleet.clock.now())
            return
        self._lost.pop(citizen, None)
        asked, question = self._asked or ("", None)
        if question in self._app.screen_stack and asked == citizen:
            if question.is_current:
                question.dismiss(STAY)
            self._dialogs.toast(f"{citizen} runs again ({snapshot.owner.removeprefix('attached, ')})")
