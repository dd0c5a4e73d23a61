"""Accounts: no run starts that could pass a limit, and nothing is counted twice or lost."""

import os
import random
import threading
from collections import Counter
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from scheduler.core.costs import Budget, SpendingRules
from scheduler.spending.account import FOLDER, Account, AllCitizens, spent_of
from scheduler.spending.budget import today_of
from scheduler.spending.ledger import NAME, SpendingLedger
from scheduler.system.root_folder import root_folder
from tests.fakes import NOON, FakeClock

BERLIN = ZoneInfo("Europe/Berlin")
TODAY = datetime.fromtimestamp(NOON, UTC).date()
HISTORIES = int(os.environ.get("BUDGET_HISTORIES", "15"))
FIVE = Budget(day=Decimal(5))


@pytest.fixture(autouse=True)
def _in_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")


class Citizens:
    """The accounts of a root's citizens; each `process` has its own view of the others."""

    def __init__(self, root: Path, clock: FakeClock) -> None:
        self.root, self.clock = root, clock

    def account(self, name: str, rules: SpendingRules, process: AllCitizens | None = None) -> Account:
        home = self.root / name
        home.mkdir(exist_ok=True)
        (home / "background_tasks.json").touch()
        account = Account(home, self.clock, process or AllCitizens(self.root))
        account.rules = rules
        account.take_over()
        return account

    def true_cost(self) -> dict[date, Decimal]:
        """What the ledgers say each day cost, the unknown left out."""
        sums: dict[date, Decimal] = {}
        for home in self.root.iterdir():
            ledger = SpendingLedger(home / FOLDER)
            ledger.load()
            for each in ledger.charges(date.min, date.max):
                sums[each.day] = sums.get(each.day, Decimal(0)) + (each.cost or 0)
        return sums


@pytest.fixture
def citizens(tmp_path: Path, clock: FakeClock) -> Citizens:
    root = tmp_path / "root"
    root.mkdir()
    return Citizens(root, clock)


def ran(account: Account, run: str, cost: str | None, task: str = "wake") -> bool:
    """Whether the run was allowed; then it cost so much."""
    if account.enter(run, task):
        return False
    account.settle(run, task, None if cost is None else Decimal(cost), (1, 2))
    return True


def test_a_run_that_could_pass_the_limit_is_not_entered(citizens: Citizens) -> None:
    opus = citizens.account("opus", SpendingRules(FIVE))
    assert [ran(opus, run, "2") for run in "abc"] == [True, True, False]
    assert opus.knows("c") is None
    assert str(opus.limit("wake")) == "over budget until 00:00 ($4.00 of $5.00)"


def test_a_run_that_is_under_way_counts_as_the_dearest_of_its_task(citizens: Citizens) -> None:
    opus = citizens.account("opus", SpendingRules(FIVE))
    ran(opus, "a", "2")
    assert opus.enter("b", "wake") is None
    assert str(opus.enter("c", "wake")) == "over budget until 00:00 ($4.00 of $5.00)"
    assert opus.enter("d", "report") is None  # of which nothing is known


def test_the_limit_of_all_counts_every_citizen_of_the_root_in_whichever_process(citizens: Citizens) -> None:
    rules = SpendingRules(together=FIVE)
    opus, mira = (citizens.account(name, rules) for name in ("opus", "mira"))
    assert ran(opus, "a", "2") and ran(mira, "b", "2.5")
    assert str(opus.enter("c", "wake")) == "over budget until 00:00 ($4.50 of $5.00, all citizens)"
    assert mira.enter("d", "report") is None


def test_a_lift_of_the_limit_of_all_lies_with_the_root_and_does_not_lift_a_citizens_own(citizens) -> None:
    opus = citizens.account("opus", SpendingRules(FIVE, together=FIVE))
    mira = citizens.account("mira", SpendingRules(together=FIVE))
    ran(opus, "a", "4.5")
    assert mira.enter("b", "wake") is None
    mira.settle("b", "wake", Decimal(1), (None, None))
    SpendingLedger(root_folder(citizens.root)).add_to_budget(TODAY, Decimal(3))
    assert mira.enter("c", "wake") is None
    assert str(opus.enter("d", "wake")) == "over budget until 00:00 ($4.50 of $5.00)"


def test_a_home_of_another_user_is_not_counted(citizens: Citizens, monkeypatch: pytest.MonkeyPatch) -> None:
    opus, mira = (citizens.account(name, SpendingRules(together=FIVE)) for name in ("opus", "mira"))
    ran(mira, "a", "9")
    monkeypatch.setattr("scheduler.spending.account.is_ours", lambda home: home.name == "opus")
    assert ran(opus, "b", "1")


def test_a_ledger_that_cannot_be_read_lets_nothing_start_that_shares_its_limit(citizens: Citizens) -> None:
    opus = citizens.account("opus", SpendingRules(together=FIVE))
    citizens.account("mira", SpendingRules())
    (citizens.root / "mira" / FOLDER / NAME).mkdir(parents=True)
    with pytest.raises(OSError):
        opus.enter("a", "wake")
    assert opus.knows("a") is None


def test_a_budget_that_is_changed_while_a_run_is_under_way_counts_that_run(citizens: Citizens) -> None:
    opus = citizens.account("opus", SpendingRules())
    ran(opus, "a", "3")
    assert opus.enter("b", "wake") is None
    opus.rules = SpendingRules(FIVE)
    assert opus.enter("c", "wake") is not None
    opus.settle("b", "wake", Decimal(1), (None, None))
    assert str(opus.enter("d", "wake")) == "over budget until 00:00 ($4.00 of $5.00)"


async def test_a_clock_set_over_midnight_and_back_counts_each_run_on_the_day_it_started(citizens) -> None:
    opus = citizens.account("opus", SpendingRules(FIVE))
    assert ran(opus, "a", "4")
    await citizens.clock.jump(86_400)
    assert ran(opus, "b", "4")
    await citizens.clock.jump(-86_400)
    assert not ran(opus, "c", "4")
    await citizens.clock.jump(86_400)
    assert not ran(opus, "d", "4")


def test_a_month_ends_at_midnight_in_the_zone_of_the_citizen(citizens) -> None:
    """Where it is already December, November's money does not count; where it is not yet, it does."""
    noon, evening = (datetime(2026, 11, 30, hour, tzinfo=UTC).timestamp() for hour in (12, 18))
    until = {"America/New_York": "1 Dec 05:00", "UTC": "1 Dec", "Europe/Berlin": "30 Nov 23:00"}
    for number, name in enumerate(("Pacific/Auckland", *until)):
        budget = Budget(month=Decimal(5), zone=ZoneInfo(name))
        opus = citizens.account(f"c{number}", SpendingRules(budget))
        citizens.clock.wall = noon - 3 * 3600  # at 22:00 in Auckland
        assert ran(opus, "old", "5")
        citizens.clock.wall = evening
        limit = opus.enter("new", "wake")
        assert (limit is None) is (name not in until), name
        assert limit is None or str(limit) == f"over budget until {until[name]} ($5.00 of $5.00)"


def test_a_day_of_a_budget_is_as_long_as_the_clocks_of_its_zone_say(citizens) -> None:
    """Of 24 hours, of 23 and of 25, on a machine whose clock is another."""
    days = (("11-29T23:00", "11-30T23:00"), ("03-28T23:00", "03-29T22:00"), ("10-24T22:00", "10-25T23:00"))
    for number, day in enumerate(days):
        begins, ends = (datetime.fromisoformat(f"2026-{each}Z").timestamp() for each in day)
        opus = citizens.account(f"c{number}", SpendingRules(Budget(day=Decimal(5), zone=BERLIN)))
        citizens.clock.wall = begins - 1
        assert ran(opus, "the day before", "5")
        citizens.clock.wall = begins
        assert ran(opus, "today", "5")
        citizens.clock.wall = ends - 1
        limit = opus.enter("too much", "wake")
        assert limit is not None and limit.until.timestamp() == ends, day
        assert str(limit) == f"over budget until {day[1][-5:]} ($5.00 of $5.00)"
        citizens.clock.wall = ends
        assert ran(opus, "tomorrow", "5")


def test_a_zone_that_is_set_anew_doubles_and_loses_no_run(citizens) -> None:
    """Whichever zone it was entered in, a run counts on its day in the zone that there is now."""
    chance = random.Random(4)
    zones = [None, BERLIN, *map(ZoneInfo, ("Pacific/Kiritimati", "Pacific/Niue", "America/New_York"))]
    opus, began = citizens.account("opus", SpendingRules()), list[float]()
    citizens.clock.wall = datetime(2026, 3, 27, tzinfo=UTC).timestamp()
    for number in range(200):
        citizens.clock.wall += chance.randrange(600, 7200)
        opus.rules = SpendingRules(Budget(zone=chance.choice(zones)))
        assert ran(opus, str(number), "1")
        began.append(int(citizens.clock.wall))
    for zone in zones:
        true = Counter(datetime.fromtimestamp(at, zone or UTC).date() for at in began)
        budget, now = Budget(day=Decimal(5), zone=zone), citizens.clock.wall
        charges = opus.ledger.charges(date.min, date.max, zone or UTC)
        assert Counter(each.day for each in charges) == true
        spent, today = spent_of(opus.ledger, budget, now), today_of(budget, now)
        assert spent.today.total == true[today]
        assert spent.month.total == sum(n for day, n in true.items() if day.month == today.month)


def test_the_limit_of_all_has_a_zone_of_its_own(citizens) -> None:
    """A run of this evening counts today for all, though it is tomorrow already where its citizen is."""
    citizens.clock.wall = datetime(2026, 11, 30, 20, tzinfo=UTC).timestamp()
    rules = SpendingRules(Budget(day=Decimal(5), zone=ZoneInfo("Asia/Tokyo")), together=FIVE)
    assert ran(citizens.account("opus", rules), "a", "5")
    mira = citizens.account("mira", SpendingRules(together=FIVE))
    assert str(mira.enter("b", "wake")) == "over budget until 00:00 ($5.00 of $5.00, all citizens)"


def test_runs_in_the_files_of_older_versions_keep_their_day(citizens) -> None:
    opus = citizens.account("opus", SpendingRules(Budget(day=Decimal(5), zone=BERLIN)))
    opus.ledger.enter("old", "wake", TODAY)
    opus.ledger.settle("old", Decimal(5), None, None)
    assert opus.enter("new", "wake") is not None


def test_of_runs_that_start_at_once_in_two_processes_none_passes_the_limit(citizens: Citizens) -> None:
    rules = SpendingRules(together=FIVE)
    accounts = [citizens.account(name, rules) for name in ("opus", "mira", "aria", "nova")]
    for number, each in enumerate(accounts):
        ran(each, f"first {number}", "1")
    allowed: list[str] = []

    def start(account: Account, name: str) -> None:
        if account.enter(name, "wake") is None:
            allowed.append(name)

    threads = [threading.Thread(target=start, args=(each, f"{n}")) for n, each in enumerate(accounts)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(allowed) <= 1


def test_no_history_passes_a_limit_by_more_than_one_run_or_counts_one_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # what is killed here is no machine
    monkeypatch.setattr("scheduler.system.homes.hanging", lambda homes: frozenset())  # it forks each time
    for seed in range(HISTORIES):
        (tmp_path / str(seed)).mkdir()
        History(seed, tmp_path / str(seed)).play()


class History:
    """Runs of random costs; owners die between any two steps, limits change, the clock steps by days."""

    def __init__(self, seed: int, root: Path) -> None:
        self.chance, self.clock = random.Random(seed), FakeClock()
        self.citizens = Citizens(root, self.clock)
        self.rules = SpendingRules(FIVE, together=Budget(day=Decimal(8)))
        self.accounts = {name: self.citizens.account(name, self.rules) for name in ("opus", "mira")}
        self.under_way: dict[str, tuple[str, date]] = {}
        self.true: dict[str, dict[date, Decimal]] = {name: {} for name in self.accounts}
        self.settled: dict[date, Decimal] = {}
        self.lost: dict[date, int] = {}
        self.entered = 0

    def play(self) -> None:
        for number in range(150):
            self.clock.wall += self.chance.choice((600, 600, 3600, -3600, 86_400, -86_400, 172_800))
            name = self.chance.choice(("opus", "mira"))
            if self.chance.random() < 0.15:
                self.die(name)
            elif name in self.under_way:
                self.end(name)
            else:
                self.start(name, str(number))
        self.check()

    def start(self, name: str, run: str) -> None:
        day = datetime.fromtimestamp(self.clock.wall, UTC).date()
        if self.accounts[name].enter(run, "wake") is None:
            self.entered += 1
            self.under_way[name] = (run, day)

    def end(self, name: str) -> None:
        run, day = self.under_way.pop(name)
        cost = self.cost_of(name, day)
        self.settled[day] = self.settled.get(day, Decimal(0)) + cost
        self.accounts[name].settle(run, "wake", cost, (None, None))

    def cost_of(self, name: str, day: date) -> Decimal:
        cost = Decimal(self.chance.randrange(1, 90)) / 100
        self.true[name][day] = self.true[name].get(day, Decimal(0)) + cost
        return cost

    def die(self, name: str) -> None:
        """The owner is killed; what was under way cost an amount that stays unknown."""
        if lost := self.under_way.pop(name, None):
            self.cost_of(name, lost[1])
            self.lost[lost[1]] = self.lost.get(lost[1], 0) + 1
        self.accounts[name] = self.citizens.account(name, self.rules)

    def check(self) -> None:
        ledgers = [account.ledger for account in self.accounts.values()]
        for ledger in ledgers:
            ledger.load()
        assert sum(len(ledger.charges(date.min, date.max)) for ledger in ledgers) == self.entered
        costs = self.citizens.true_cost()
        assert {day: cost for day, cost in costs.items() if cost} == self.settled
        for day in {day for true in self.true.values() for day in true}:
            own = [true.get(day, Decimal(0)) for true in self.true.values()]
            slack = Decimal("0.9") * (1 + self.lost.get(day, 0))
            assert all(each <= 5 + slack for each in own) and sum(own) <= 8 + slack + Decimal("0.9")
