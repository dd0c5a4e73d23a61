"""What a citizen that no process runs has spent: as its owner would show it."""

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from scheduler.config.loader import load
from scheduler.control.offline import OfflineControl
from scheduler.core.views import Snapshot
from scheduler.errors import Disconnected
from scheduler.spending.budget import today_of
from scheduler.spending.ledger import NAME, SpendingLedger
from tests.fakes import FakeClock
from tui.serve.health import CitizenStatus, OwnerState
from tui.serve.metrics import EventCounts, page

SETTINGS = """
[wake]
command = ["true"]
[budget]
day = 2.0
[tasks.render]
every = "1h"
command = ["true"]
"""


class Unowned:
    """A citizen that no process runs, and the ledger in its home."""

    def __init__(self, folder: Path) -> None:
        self.home, config, self.clock = folder / "opus", folder / "experience.toml", FakeClock()
        self.home.mkdir()
        config.write_text("")
        (self.home / "experience.toml").write_text(SETTINGS)
        around = {"EXPERIENCE_ROOT": str(folder)}
        (self.settings,) = load(config=config, environ=around).citizens
        self.control = OfflineControl(self.settings, self.clock, Disconnected("not run here"))

    def spend(self, run: str, task: str, cost: str) -> None:
        ledger, now = SpendingLedger(self.home / ".experience"), self.clock.now()
        ledger.load()
        ledger.enter(run, task, today_of(self.settings.spending.budget, now), now)
        ledger.settle(run, Decimal(cost), None, None)

    async def seen(self) -> Snapshot:
        await self.control.refresh()
        return self.control.snapshot()


@pytest.fixture
def opus(tmp_path: Path) -> Unowned:
    return Unowned(tmp_path)


async def test_what_was_spent_is_shown_and_follows_the_ledger(opus: Unowned) -> None:
    opus.spend("a", "wake", "0.37")
    opus.spend("b", "render", "0.50")
    shown = await opus.seen()
    assert shown.money and (shown.money.today, shown.money.day_limit) == ("0.87", "2.0")
    costs = {row.name: (row.cost_today, row.cost_month) for row in shown.tasks if row.cost_today}
    assert costs == {"wake": ("0.37", "0.37"), "render": ("0.50", "0.50")}
    opus.spend("c", "wake", "0.13")
    again = await opus.seen()
    assert again.money and again.money.today == "1.00"


async def test_a_new_day_begins_with_nothing_spent(opus: Unowned) -> None:
    opus.spend("a", "wake", "0.37")
    await opus.seen()
    await opus.clock.advance(seconds=timedelta(days=1).total_seconds())
    shown = await opus.seen()
    assert shown.money and (shown.money.today, shown.money.month) == ("0", "0.37")


async def test_a_ledger_that_cannot_be_read_hides_nothing_else(opus: Unowned) -> None:
    (opus.home / ".experience" / NAME).mkdir(parents=True)
    shown = await opus.seen()
    assert shown.money is None and "render" in [row.name for row in shown.background]


async def test_prometheus_gets_it_without_an_owner(opus: Unowned) -> None:
    opus.spend("a", "wake", "0.37")
    status = CitizenStatus(await opus.seen(), OwnerState.FREE)
    text, _ = page([status], EventCounts(0.0), opus.clock.now(), 0, "text/plain")
    assert {
        'experience_spent_usd{citizen="opus",period="day"} 0.37',
        'experience_budget_left_usd{citizen="opus",period="day"} 1.63',
        'experience_task_cost_usd{citizen="opus",period="month",task="wake"} 0.37',
    } <= set(text.decode().splitlines())
