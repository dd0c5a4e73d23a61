"""The wakes of the made-up fleet: no agent runs, their cost is made up, and two citizens may not wake."""

import asyncio
import random
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from scheduler.core.costs import Money, RunCost
from scheduler.core.records import RunRecord
from scheduler.core.state import RECENT, Skips, TaskState
from scheduler.core.task import WAKE, Command, Context, Gate, Outcome, Task, Trigger, WakeTask
from scheduler.core.views import Hold, HoldKind
from scheduler.core.wording.spans import moment
from scheduler.engine.paid.holds import AWAY_CHECK
from scheduler.engine.paid.paid_runs import Execute, PaidRuns
from scheduler.engine.paid.shared_by_root import shared_by_root
from scheduler.engine.paid.summary import Summary
from scheduler.engine.run import RunHandle
from scheduler.engine.wake.record import WakeRecord
from scheduler.engine.wake.wake import Wake
from scheduler.executors.result import Result
from scheduler.spending.money import dollars
from scheduler.storage.state_file import States
from scheduler.system.clock import Clock
from tui.demo.scripts import script

EVERY, DAY = 600.0, 86400.0
PAST = 40  # made-up wakes before the demo began
SPENT, AWAY, FREE = "cedar", ("basil", "dawn"), ("fern",)
LIMIT, RUN_LIMIT, MONTH_LIMIT = Decimal("5.00"), Decimal("2.00"), Decimal("60.00")
TEXTS = ("nothing to answer", "two invoices answered", "read its queue and slept again", "one mail answered")
AGENT = Command(("claude", "-p", "Read your queue and act."))


def plan(citizen: str) -> WakeTask:
    """The wake as this citizen's settings would define it."""
    return WakeTask(
        work=AGENT,
        priority=0,
        gate=Gate(at_most=6 * 3600.0),
        report="claude",
        provider="anthropic",
        source=f"/srv/citizens/{citizen}/experience.toml",
    )


async def sleep(clock: Clock, seconds: float) -> None:
    """Return after so many seconds of this clock."""
    over = asyncio.Event()
    timer = clock.call_later(seconds, over.set)
    try:
        await over.wait()
    finally:
        timer.cancel()


class DemoMoney(PaidRuns):
    """What one citizen's wakes have cost, and what keeps it from waking: in memory, without a ledger."""

    def __init__(self, citizen: str, home: Path, clock: Clock, execute: Execute) -> None:
        super().__init__(citizen, home, clock, shared_by_root(home.parent, clock), execute, _announce)
        now, chance = clock.now(), random.Random(f"wakes of {citizen}")
        self._chance, count = chance, chance.randint(40, 2000)
        self._mean = Decimal(0) if citizen in FREE else Decimal(chance.randint(5, 45)) / 100
        skipped, self._lift = chance.randint(0, 60), Decimal(0)
        self._today = LIMIT + Decimal("0.02") if citizen == SPENT else self._mean * chance.randint(1, 6)
        self._month = self._today + self._mean * 12
        self._back = (now // 3600 + 2) * 3600 if citizen in AWAY else 0.0  # when the provider is back
        due = now + count % EVERY
        self.past = [self.made_up(due - number * EVERY) for number in range(PAST, 0, -1)]
        last = self.past[-1]
        self.state = TaskState(
            last.started,
            run_count=count,
            last_duration=last.seconds,
            last_success=last.started,
            recent="o" * RECENT,
            outcome=last.outcome,
            text=last.text,
            skips=Skips("today", skipped, 85) if skipped > 30 else None,
        )

    def made_up(self, began: float) -> RunRecord:
        """A wake that begins then, with its duration, text and cost."""
        took = self._chance.uniform(40, 280)
        cost = (self._mean * Decimal(self._chance.randint(6, 15)) / 10).quantize(Decimal("0.01"))
        tokens = int(cost * 140_000)
        paid = RunCost(str(cost), tokens_in=tokens, tokens_out=tokens // 30, turns=4) if cost else None
        text, outcome = self._chance.choice(TEXTS), Outcome.OK
        return RunRecord(0, WAKE, began, began + took, took, outcome, Trigger.SCHEDULE, 1, text, True, paid)

    def spend(self, cost: RunCost | None) -> None:
        """Count what a wake has cost."""
        paid = Decimal(cost.cost_usd) if cost else Decimal(0)
        self._today, self._month, self._summary = self._today + paid, self._month + paid, None

    # -------------------------------------------------------------- what a scheduler asks

    def take_over(self) -> None:
        """Read nothing: all is made up."""

    def hold(self, task: Task) -> tuple[Hold | None, float]:
        now, limit = self._clock.now(), LIMIT + self._lift
        if now < self._back:
            why = f"waits for anthropic until {moment(self._back, now)} (usage limit)"
            return Hold(HoldKind.PROVIDER, why, self._back, "anthropic"), min(AWAY_CHECK, self._back - now)
        if self._citizen == SPENT and self._today + self._mean > limit:
            here = datetime.fromtimestamp(now)  # noqa: DTZ006  # midnight of this machine
            midnight = here.replace(hour=0, minute=0, second=0, microsecond=0).timestamp() + DAY
            why = f"over budget until 00:00 ({dollars(self._today)} of {dollars(limit)})"
            return Hold(HoldKind.BUDGET, why, midnight, "own"), AWAY_CHECK
        return None, 0.0

    def lift(self, amount: Decimal, *, together: bool) -> str:
        self._lift, self._summary = self._lift + amount, None
        return f"{dollars(amount)} more for today"

    def try_now(self, provider: str) -> None:
        self._back = 0.0

    def summary(self) -> Summary:
        if self._summary is None:
            self._summary = self._made_up_summary()
        return self._summary

    def _made_up_summary(self) -> Summary:
        today, month = str(self._today), str(self._month)
        day = datetime.fromtimestamp(self._clock.now()).date()  # noqa: DTZ006  # of this machine
        if not self._mean:
            return Summary(day)
        limits, end = (str(LIMIT + self._lift), str(MONTH_LIMIT + self._lift)), str(self._month * 2)
        money = Money(today, month, *limits, end, 0, str(self._mean * 6), str(RUN_LIMIT))
        return Summary(day, money, {WAKE: today}, {WAKE: month})


class DemoRecord(WakeRecord):
    """Counts wakes, and reads and writes no file."""

    def take_up(self, states: States) -> States:
        self.count = states[WAKE].run_count
        return states

    def close_unfinished(self, state: TaskState) -> None: ...
    def correct_time(self) -> None: ...


class DemoWake(Wake):
    """A wake that prints a script in place of an agent; neither its gate nor other tasks delay it."""

    async def noted(self) -> None:
        """Return at once: no file of a made-up citizen has to survive a crash."""

    async def turn(self, task: Task, context: Context, run: RunHandle) -> Result:
        money = self._paid
        assert run.job and isinstance(money, DemoMoney)
        made, skips = money.made_up(run.since), run.job.state.skips
        run.number = self.record.count + 1
        self._runs.open_turn(run.job, run)
        self._runs.tasks.update(run.job, run.job.state.changed(skips=skips))  # they are made up, too
        self._runner.watch(run, task.timeout)
        await self._runs.began(run)
        run.output.write(script(WAKE, Outcome.OK).encode())
        try:
            await sleep(self._clock, made.seconds)
        finally:
            run.cost = made.cost
            money.spend(made.cost)
        return Result(made.outcome, made.text)

    async def close(self, run: RunHandle, result: Result) -> None:
        self.record.count += 1


def _announce(provider: str, kind: str, text: str) -> None:
    """No provider of the demo has news."""
