"""The wakes of the made-up fleet: their rows and costs, and what keeps two citizens from waking."""

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from scheduler.core.costs import Money, RunCost
from scheduler.core.records import RunRecord
from scheduler.core.state import RECENT, Skips, TaskState
from scheduler.core.task import WAKE, Outcome, Trigger
from scheduler.core.views import Hold, HoldKind, TaskStatus, TaskView, WakeView
from scheduler.core.wording.description import DefinitionField, TaskDetails
from scheduler.core.wording.spans import moment
from scheduler.spending.money import dollars
from scheduler.system.clock import Clock, Timer

EVERY, TIMEOUT, DAY = 600.0, 3600.0, 86400.0
PAST = 40  # made-up wakes before the demo began
SPENT, AWAY, FREE = "cedar", ("basil", "dawn"), ("fern",)
LIMIT, RUN_LIMIT, MONTH_LIMIT = Decimal("5.00"), Decimal("2.00"), Decimal("60.00")
TEXTS = ("nothing to answer", "two invoices answered", "read its queue and slept again", "one mail answered")
COMMAND = 'claude -p "Read your queue and act."'

Ended = Callable[[RunRecord], None]
Began = Callable[[], None]


class DemoWakes:
    """One citizen's wakes: they are counted, and run nothing."""

    def __init__(
        self, citizen: str, clock: Clock, frozen: Callable[[], bool], began: Began, ended: Ended
    ) -> None:
        self._citizen, self._clock, self._frozen = citizen, clock, frozen
        self._began, self._ended = began, ended
        chance = self._chance = random.Random(f"wakes of {citizen}")
        self.count = chance.randint(40, 2000)
        self.next = clock.now() + self.count % EVERY
        self.running_since: float | None = None
        self._rest = TaskState()  # used only for the pause
        self._mean = Decimal(0) if citizen in FREE else Decimal(chance.randint(5, 45)) / 100
        self._skipped, self._lift = chance.randint(0, 60), Decimal(0)
        self._today = LIMIT + Decimal("0.02") if citizen == SPENT else self._mean * chance.randint(1, 6)
        self._month = self._today + self._mean * 12
        self._back = (clock.now() // 3600 + 2) * 3600  # when the provider is back
        self.past = [*self._made_up()]
        self._alarm: Timer = clock.call_at(self.next, self.begin)

    def _made_up(self) -> Iterator[RunRecord]:
        for number in range(PAST, 0, -1):
            began = self.next - number * EVERY
            yield self._record(began, self._chance.uniform(40, 280), Outcome.OK, Trigger.SCHEDULE)

    def _record(self, began: float, took: float, outcome: Outcome, trigger: Trigger) -> RunRecord:
        cost = (self._mean * Decimal(self._chance.randint(6, 15)) / 10).quantize(Decimal("0.01"))
        tokens = int(cost * 140_000)
        paid = RunCost(str(cost), tokens_in=tokens, tokens_out=tokens // 30, turns=4) if cost else None
        text = self._chance.choice(TEXTS)
        return RunRecord(0, WAKE, began, began + took, took, outcome, trigger, 1, text, True, paid)

    # -------------------------------------------------------------- what happens

    def begin(self, trigger: Trigger = Trigger.SCHEDULE) -> None:
        """Start a wake, unless something prevents it."""
        self._alarm.cancel()
        now, hold = self._clock.now(), self.hold
        rests = self._rest.paused and trigger is Trigger.SCHEDULE
        if rests and self._rest.paused_until is not None and self._rest.paused_until <= now:
            self.resume()
            return
        if hold or rests or self._frozen():
            until = self._rest.paused_until if rests else hold.until if hold else None
            self._alarm = self._clock.call_at(until or now + EVERY, self.begin)
            return
        self.running_since = now
        self._run = self._record(now, self._chance.uniform(40, 280), Outcome.OK, trigger)
        self._alarm = self._clock.call_later(self._run.seconds, self.end)
        self._began()

    def end(self, outcome: Outcome = Outcome.OK) -> None:
        """End the wake."""
        self._alarm.cancel()
        now, run = self._clock.now(), self._run
        self.count, self.running_since, self.next = self.count + 1, None, run.started + EVERY
        cost = Decimal(run.cost.cost_usd) if run.cost else Decimal(0)
        self._today, self._month = self._today + cost, self._month + cost
        run = replace(run, finished=now, seconds=now - run.started, outcome=outcome)
        self.past.append(run)
        self._alarm = self._clock.call_at(self.next, self.begin)
        self._ended(run)

    def pause(self, until: float | None, why: str, by: str) -> None:
        """Pause scheduled wakes, until then or until resumed."""
        self._rest = self._rest.with_pause(self._clock.now(), until, why, by)
        if until is not None and self.running_since is None:
            self._alarm.cancel()
            self._alarm = self._clock.call_at(until, self.begin)

    def resume(self) -> None:
        """Wake at the next scheduled time again."""
        self._rest, now = self._rest.resumed(), self._clock.now()
        if self.next < now:
            self.next += ((now - self.next) // EVERY + 1) * EVERY
        if self.running_since is None:
            self._alarm.cancel()
            self._alarm = self._clock.call_at(self.next, self.begin)

    def allow(self, amount: Decimal) -> None:
        """Lift today's limit by this amount."""
        self._lift += amount
        self._alarm.cancel()
        self._alarm = self._clock.call_at(self.next, self.begin)

    def try_provider(self) -> None:
        """Mark the provider as back."""
        self._back = 0.0

    # -------------------------------------------------------------- what is shown

    @property
    def hold(self) -> Hold | None:
        """What keeps it from waking."""
        now, limit = self._clock.now(), LIMIT + self._lift
        if self._citizen in AWAY and now < self._back:
            why = f"waits for anthropic until {moment(self._back, now)} (usage limit)"
            return Hold(HoldKind.PROVIDER, why, self._back, "anthropic")
        if self._citizen == SPENT and self._today + self._mean > limit:
            here = datetime.fromtimestamp(now)  # noqa: DTZ006  # midnight of this machine
            midnight = here.replace(hour=0, minute=0, second=0, microsecond=0).timestamp() + DAY
            why = f"over budget until 00:00 ({dollars(self._today)} of {dollars(limit)})"
            return Hold(HoldKind.BUDGET, why, midnight, "own")
        return None

    def row(self) -> TaskView:
        """The wake's row, the first of the panel."""
        hold, last = self.hold, self.past[-1]
        kind = TaskStatus.OK
        if hold:
            kind = TaskStatus.OVER_BUDGET if hold.kind is HoldKind.BUDGET else TaskStatus.WAITS
        rest, due = self._rest, hold.until if hold else self.next
        if rest.paused:
            kind, hold, due = TaskStatus.PAUSED, None, rest.paused_until
        return TaskView(
            WAKE,
            TaskStatus.RUNNING if self.running_since is not None else kind,
            "10m",
            due=due if self.running_since is None else None,
            since=last.started,
            last_run=last.started if self.running_since is None else self.running_since,
            run_count=self.count,
            last_duration=last.seconds,
            timeout=TIMEOUT,
            running_since=self.running_since,
            paused_at=rest.paused_at,
            paused_until=rest.paused_until,
            paused_why=rest.paused_why,
            paused_by=rest.paused_by,
            text=last.text,
            priority=0,
            outcome=last.outcome,
            last_success=last.started,
            recent="o" * RECENT,
            cost_today=str(self._today) if self._mean else "",
            cost_month=str(self._month) if self._mean else "",
            held=hold if self.running_since is None else None,
            note=hold.why if hold and self.running_since is None else "",
            number=self.count,
            skips=Skips("today", self._skipped, 85) if self._skipped > 30 else None,
        )

    def view(self) -> WakeView:
        """The wake as the title of a panel shows it."""
        return WakeView(self.count, self.next, self.past[-1].started, self.running_since)

    def money(self) -> Money | None:
        """What the citizen has spent."""
        if not self._mean:
            return None
        end, limits = self._month * 2, (str(LIMIT + self._lift), str(MONTH_LIMIT + self._lift))
        spent = str(self._today), str(self._month)
        return Money(*spent, *limits, str(end), 0, str(self._mean * 6), str(RUN_LIMIT))

    def times(self, start: float, end: float) -> tuple[float, ...]:
        """When it will wake between these moments."""
        if self._rest.paused and self._rest.paused_until is None:
            return ()
        first = self._rest.paused_until or (hold.until if (hold := self.hold) else None) or self.next
        return tuple(first + n * EVERY for n in range(int(DAY // EVERY)) if start <= first + n * EVERY < end)

    def details(self, now: float) -> TaskDetails:
        """The definition of the wake."""
        facts = (
            DefinitionField("schedule", "every 10 minutes"),
            DefinitionField("runs", COMMAND),
            DefinitionField("set in", f"/srv/citizens/{self._citizen}/experience.toml"),
            DefinitionField("timeout", "1h"),
            DefinitionField("retries", "none", True),
        )
        special = (
            DefinitionField("gate", "news: queue, task results; wakes anyway after 6h"),
            DefinitionField("report", "its cost, from what claude prints"),
            DefinitionField("provider", "anthropic"),
        )
        return TaskDetails(WAKE, facts, special, self.times(now, now + DAY)[:5])
