"""What a key asked for: asked about first where it weighs more, carried out, and its answer told."""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from textual.app import App

from scheduler.core.ports import Citizens, Control
from tui import verbs
from tui.common.confirm import Confirm
from tui.common.text import clean, plural

Row = tuple[str, str]  # citizen and task


class Wishes:
    """Carries wishes from the screen to the citizens; refusals come back as toasts."""

    def __init__(self, app: App[Any], fleet: Citizens, controls: Mapping[str, Control], plain: bool) -> None:
        self._app, self._fleet, self._controls, self._plain = app, fleet, controls, plain

    def do(self, verb: str, rows: Sequence[Row], *, sure: bool, then: Callable[[], None]) -> None:
        """Do `verb` to these tasks, after one question if nobody is `sure`; `then` before it begins."""

        async def carry_out() -> None:
            then()
            self._tell(await verbs.carry_out(self._controls, verb, rows))

        if not rows:
            self.say("no task to do that to", "warning")
        elif sure:
            self._work(carry_out())
        else:
            names = [f"{citizen}/{task}" for citizen, task in rows]
            question = f"{verb.capitalize()} {plural(len(rows), 'task')}?"
            self.ask(question, names, lambda: self._work(carry_out()))

    def wake(self, citizen: str) -> None:
        if control := self._controls.get(citizen):
            self._work(self._wake(control))

    def take_over(self, citizen: str) -> None:
        """Own the citizen here, after one question; what cannot be is said instead of asked."""
        if reason := self._fleet.why_not_own(citizen):
            self.say(reason, "error")
            return
        question = f"Own {citizen} here? Closing this screen will stop its tasks."
        self.ask(question, [], lambda: self._work(self._take_over(citizen)))

    def say(self, text: str, severity: Any = "information") -> None:
        """A toast, cleaned."""
        lines = [clean(line, self._plain) for line in text.splitlines()]
        self._app.notify("\n".join(lines), severity=severity, markup=False)

    def ask(self, question: str, names: Sequence[str], then: Callable[[], Any]) -> None:
        """One question; `then` is done after a yes."""

        def answered(yes: bool | None) -> None:
            if yes:
                then()

        self._app.push_screen(Confirm(question, names, self._plain), answered)

    async def _wake(self, control: Control) -> None:
        self._tell(await verbs.wake(control))

    async def _take_over(self, citizen: str) -> None:
        self._tell(await verbs.take_over(self._fleet, citizen))

    def _tell(self, answers: list[verbs.Answer]) -> None:
        if answers:
            refused = any(answer.refused for answer in answers)
            self.say(verbs.summed_up(answers), "error" if refused else "warning")

    def _work(self, work: Coroutine[Any, Any, None]) -> None:
        self._app.run_worker(work, group="verbs")
