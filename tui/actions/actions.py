"""Sends what a key requests to the citizens, after a confirmation where needed; reports refusals."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from functools import partial
from typing import Any

from textual.app import App

from scheduler.core.machines import Host
from scheduler.core.ports import Citizens, Control
from scheduler.core.records import RunRecord
from scheduler.core.task import WAKE
from scheduler.core.views import Hold, HoldKind, Receipt, Snapshot, TaskView, WakeView
from scheduler.core.wording.description import TaskDetails
from scheduler.errors import SchedulerError
from scheduler.spending.money import ZERO, dollars
from tui.actions.dialogs import Dialogs, done
from tui.actions.take_over import WAKES, TakeOver
from tui.common.questions import budget_question as money
from tui.common.questions import run_questions as asks
from tui.common.questions.freeze_form import FreezeForm, Wish, offer_of
from tui.common.questions.move_question import machines, move_choices, move_facts
from tui.common.questions.question import STAY, Choice, Words
from tui.common.questions.stop_question import ALL, CHOICES, Row, facts, stoppable, title
from tui.common.questions.thaw_question import choices, is_due, names_to_thaw, thaw_facts, thaw_title, whose
from tui.common.text import elapsed, plural
from tui.common.typed_ahead import ASKING
from tui.glyphs import Glyphs

LIFTED = (HoldKind.BUDGET, HoldKind.PROVIDER)  # what a person may lift to wake a citizen


class Actions(Dialogs):
    """Carries requests from the screen to the citizens; refusals come back as toasts."""

    def __init__(
        self,
        app: App[Any],
        fleet: Citizens,
        controls: Mapping[str, Control],
        snapshot_of: Callable[[str], Snapshot | None],
        glyphs: Glyphs,
    ) -> None:
        super().__init__(app, glyphs)
        self._fleet, self._controls, self._snapshot_of = fleet, controls, snapshot_of
        self.take_over = TakeOver(app, fleet, controls, snapshot_of, self, glyphs)

    def request(
        self, verb: str, rows: Sequence[tuple[str, str]], *, sure: bool, then: Callable[[], None]
    ) -> None:
        """Do `verb` to these tasks, after a confirmation unless `sure`; calls `then` first."""

        def start() -> None:
            then()
            known = [row for row in rows if row[0] in self._controls]
            self.send([("/".join(row), _do(self._controls[row[0]], verb, row[1])) for row in known])

        frozen = self._frozen(citizen for citizen, _ in rows) if verb == "force" else []
        alone = self._task(*rows[0]) if len(rows) == 1 else None
        if not rows:
            self.toast(f"no task to {verb}", "warning")
        elif frozen:
            self._thaw_first(frozen, verb, start)
        elif verb == "force" and rows[0][1] == WAKE and len(rows) == 1:
            self.wake(rows[0][0])
        elif verb == "force" and alone and alone.running_since is not None:
            self._ask_again(rows[0], alone)
        elif verb == "reset" and alone and not asks.only_looks(alone):
            title = f"Reset {'/'.join(rows[0])}?"
            self.choose(title, asks.reset_facts(alone), asks.RESET, {"r": start})
        elif sure:
            start()
        else:
            names = [f"{citizen}/{task}" for citizen, task in rows]
            self.ask(f"{verb.capitalize()} {plural(len(rows), 'task')}?", names, start)

    def _task(self, citizen: str, task: str) -> TaskView | None:
        snapshot = self._snapshot_of(citizen)
        return snapshot.task(task) if snapshot else None

    def _ask_again(self, row: tuple[str, str], task: TaskView) -> None:
        """The task is already running and never overlaps itself: offer to queue one more run."""
        name, control = "/".join(row), self._controls.get(row[0])
        if control is not None:
            facts = asks.again_facts(task, self._fleet.clock.now())
            then = {"f": lambda: self.send([(name, control.force(task.name, again=True))])}
            self.choose(f"Run {name} once more?", facts, asks.AGAIN, then)

    def wake(self, citizen: str) -> None:
        """Wake the citizen; ask first if the wake runs a command."""
        control, snapshot = self._controls.get(citizen), self._snapshot_of(citizen)
        if control is None:
            return

        def start() -> None:
            self.send([(citizen, control.wake())])

        wake = snapshot.wake if snapshot else WakeView(configured=False)
        if frozen := self._frozen([citizen]):
            self._thaw_first(frozen, "wake", start)
        elif wake.running_since is not None:
            self.toast(f"{citizen} is awake for {elapsed(self._fleet.clock.now() - wake.running_since)}")
        elif snapshot and wake.configured:
            self._app.run_worker(self._ask_to_wake(control, snapshot, start), group=ASKING)
        else:
            start()

    async def _ask_to_wake(self, control: Control, snapshot: Snapshot, start: Callable[[], None]) -> None:
        """Ask only if a wake costs money or something stands in its way."""
        details, known = await _known(control, WAKE)
        row, now = snapshot.task(WAKE), self._fleet.clock.now()
        held = row.held if row and row.held and row.held.kind in LIFTED else None
        if not (held or known):
            start()
            return
        due = sum(is_due(task, now) for task in snapshot.background)
        facts = [*asks.wake_facts(control.citizen, held, details, known, due)]
        title = f"Wake {control.citizen} now?"
        if held is None:
            self.choose(title, facts, asks.WAKE, {"w": start}, at="w")
        elif held.kind is HoldKind.PROVIDER:
            self.choose(title, facts, asks.TRY, {"w": lambda: self._try_and_wake(control, held)})
        else:
            self._lift_and_wake(control, snapshot, title, facts, max(known, default=ZERO))

    def _try_and_wake(self, control: Control, held: Hold) -> None:
        async def both() -> Receipt:
            await control.try_provider(held.about)
            return await control.wake()

        self.send([(control.citizen, both())])

    # -------------------------------------------------------------- money

    def budget(self, citizen: str) -> None:
        """Show what the citizen has spent, and allow more for today on request."""
        control, snapshot = self._controls.get(citizen), self._snapshot_of(citizen)
        if control is None or snapshot is None:
            return
        facts, together = [*money.facts(snapshot)], money.is_of_all(money.over_budget(snapshot))
        lift = partial(self._lift, control, together=together)
        lifts = {amount: partial(lift, amount) for amount in money.OFFERED}
        then = {**lifts, money.OTHER: partial(self._ask_amount, control, facts, lift)}
        title = f"Budget of {'all citizens' if together else citizen}"
        self.choose(title, facts, money.choices(snapshot), then)

    def _lift_and_wake(
        self, control: Control, snapshot: Snapshot, title: str, facts: Sequence[Words], next_run: Decimal
    ) -> None:
        held = money.over_budget(snapshot)
        enough = money.enough(snapshot.money, held, next_run)
        wake = partial(self._lift, control, together=money.is_of_all(held), wake=True)
        choices = [
            Choice("w", f"allow {dollars(enough)} more today, and wake"),
            Choice(money.OTHER, "allow another amount ..."),
            Choice(STAY, "no"),
        ]
        ask = partial(self._ask_amount, control, facts, wake)
        self.choose(title, facts, choices, {"w": partial(wake, str(enough)), money.OTHER: ask})

    def _ask_amount(self, control: Control, facts: Sequence[Words], then: Callable[[str], None]) -> None:
        self.open_screen(money.AmountForm(f"Allow {control.citizen} more today", facts, self._glyphs), then)

    def _lift(self, control: Control, amount: str, *, together: bool, wake: bool = False) -> None:
        async def lifted() -> Receipt:
            receipt = await control.add_to_budget(amount, together=together)
            return await control.wake() if wake else receipt

        self.send([(control.citizen, lifted())])

    def stop(self, tasks: Sequence[Row], then: Callable[[], None]) -> None:
        """End the runs of these tasks after a confirmation; calls `then` first."""
        rows = [row for row in tasks if stoppable(row[1]) and row[0] in self._controls]
        if rows:
            self._app.run_worker(self._ask_to_stop(rows, then), group=ASKING)
        else:
            what = f"{tasks[0][0]}/{tasks[0][1].name}: it is" if len(tasks) == 1 else "no task is"
            self.toast(f"{what} not running" if len(tasks) == 1 else f"{what} running", "warning")

    async def _ask_to_stop(self, rows: Sequence[Row], then: Callable[[], None]) -> None:
        (citizen, task), *more = rows
        details, known = (None, []) if more else await _known(self._controls[citizen], task.name)

        def start() -> None:
            then()
            asked = [(citizen, task.name) for citizen, task in rows]
            self.send(
                [(f"{citizen}/{task}", self._controls[citizen].stop_run(task)) for citizen, task in asked]
            )

        said = facts(rows, details, self._fleet.clock.now(), known)
        self.choose(title(rows), said, ALL if more else CHOICES, {"x": start})

    # -------------------------------------------------------------- freeze and thaw

    def freeze(self, citizens: Sequence[str], then: Callable[[], None]) -> None:
        """Freeze these citizens by a form; if they are frozen, thaw them after a confirmation."""
        if frozen := self._frozen(citizens):
            self._thaw_first(frozen, "", then)
            return

        def start(wish: Wish) -> None:
            then()
            asked = self._fleet.freeze(wish.names, until=wish.until, why=wish.why, stop_runs=wish.stop_runs)
            self.send([(whose(wish.names), done(asked))])

        offer = offer_of(citizens, map(self._snapshot_of, citizens), self._fleet.clock.now)
        self.open_screen(FreezeForm(offer, self._glyphs), start)

    def _frozen(self, citizens: Iterable[str]) -> list[Snapshot]:
        shown = map(self._snapshot_of, dict.fromkeys(citizens))
        return [one for one in shown if one and one.freeze]

    def _thaw_first(self, frozen: Sequence[Snapshot], verb: str, then: Callable[[], None]) -> None:
        """Ask whether to thaw these citizens; call `then` once they are thawed."""
        names = names_to_thaw(frozen)

        async def thaw() -> None:
            if not await self.report([(whose(names), done(self._fleet.thaw(names)))]):
                then()

        said = thaw_facts(frozen, self._fleet.clock.now())
        start = {"Z": lambda: self._app.run_worker(thaw(), group="verbs")}
        self.choose(thaw_title(frozen), said, choices(verb), start)

    def move(self, citizen: str, host: Host | None) -> None:
        """Let another machine run the citizen, after asking which one."""
        if host is None:
            self.toast(f"{citizen} is not shared: experience-tui engine join {citizen}", "warning")
            return
        if not host.others:
            self.toast(f"{citizen} stays: its home is only on {host.machine}", "warning")
            return

        def start(machine: str) -> None:
            self.send([(citizen, done(self._fleet.move(citizen, machine)))])

        facts = move_facts(host, self._snapshot_of(citizen), self._fleet.clock.now())
        then = {choice.key: partial(start, choice.words) for choice in machines(host)}
        self.choose(f"Move {citizen}?", facts, move_choices(host), then)


async def _known(control: Control, task: str) -> tuple[TaskDetails | None, list[Decimal]]:
    """The task's definition, and what its last runs cost, as far as they are known."""
    details: TaskDetails | None = None
    runs: tuple[RunRecord, ...] = ()
    with suppress(SchedulerError):  # the question leaves out what is unknown
        details = await control.explain(task)
        runs = await control.history(task, limit=WAKES)
    return details, [*asks.costs(runs)]


def _do(control: Control, verb: str, task: str) -> Awaitable[Receipt]:
    verbs = {"force": control.force, "reset": control.reset, "pause": control.pause, "resume": control.resume}
    return verbs[verb](task)
