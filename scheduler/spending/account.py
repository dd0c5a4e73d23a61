"""Accounts for the cost of a citizen's runs, and decides whether its budget and that of all allow another."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import date, tzinfo
from decimal import Decimal
from pathlib import Path
from typing import TypeVar

from scheduler.core.costs import Budget, SpendingRules, Usage
from scheduler.spending.budget import (
    Charge,
    OverBudget,
    Spending,
    Spent,
    over_budget,
    spending,
    today_of,
    zone_of_days,
)
from scheduler.spending.ledger import Add, Session, SpendingLedger
from scheduler.spending.money import ZERO
from scheduler.system.clock import Clock
from scheduler.system.foreign_home import is_ours
from scheduler.system.hanging_disks import on_disk
from scheduler.system.homes import homes
from scheduler.system.root_folder import root_folder

T = TypeVar("T")

FOLDER = ".experience"
Tokens = tuple[int | None, int | None]  # input and output


class Account:
    """The ledger of one citizen as its owner uses it; every method may block and may run on any thread."""

    def __init__(
        self, home: Path, clock: Clock, all_citizens: "AllCitizens", add: Add = lambda line: None
    ) -> None:
        self.rules = SpendingRules()
        self.ledger = SpendingLedger(home / FOLDER, add)
        self._clock, self._all, self._lock = clock, all_citizens, threading.Lock()
        self._all.runs(home)

    def take_over(self) -> None:
        """Read the ledger and drop old charges; raises OSError."""
        with self._lock:
            self.ledger.compact(self.today())

    def limited(self) -> bool:
        """Whether any limit is set."""
        return has_limits(self.rules.budget) or has_limits(self.rules.together)

    def limit(self, task: str) -> OverBudget | None:
        """The limit that another run of this task could exceed, if any; raises OSError."""
        if not self.limited():
            return None
        with self._all.one_at_a_time(self.rules.together), self._lock:
            self.ledger.load()
            return self._limit(task)

    def enter(self, run: str, task: str) -> OverBudget | None:
        """Enter the run before it starts, unless it could exceed a limit; on OSError it must not start.

        It is entered first and checked again afterwards: of two processes that do so at once, at least one
        sees the other's entry.
        """
        with self._all.one_at_a_time(self.rules.together), self._lock:
            self.ledger.load()
            if limit := self._limit(task):
                return limit
            self.ledger.enter(run, task, self.today(), self._clock.now())
            if limit := self._limit(task, run):
                self.ledger.cancel(run)
            return limit

    def still_fits(self, run: str, task: str) -> bool:
        """Whether an entered run that has not begun may still begin; it counts today. Raises OSError."""
        with self._all.one_at_a_time(self.rules.together), self._lock:
            self.ledger.load()
            known = self.ledger.knows(run)
            if known is not None and known.day != self.today():
                self.ledger.enter(run, task, self.today(), self._clock.now())
            return self._limit(task, run) is None

    def lift(self, amount: Decimal, *, together: bool) -> None:
        """Raise today's limits by `amount`, the citizen's own or those of all together; raises OSError."""
        with self._lock:
            ledger = self._all.ledger() if together else self.ledger
            budget = self.rules.together if together else self.rules.budget
            ledger.add_to_budget(today_of(budget, self._clock.now()), amount)

    def cancel(self, run: str) -> None:
        """Take back the entry of a run that did not start."""
        with self._lock:
            self.ledger.cancel(run)

    def settle(
        self, run: str, task: str, cost: Decimal | None, tokens: Tokens, session: Session | None = None
    ) -> None:
        """Record the cost of the run, None if unknown, even if the run was not entered. Raises OSError."""
        with self._lock:
            self.ledger.load()
            if self.ledger.knows(run) is None:
                self.ledger.enter(run, task, self.today(), self._clock.now())
            self.ledger.settle(run, cost, *tokens, session)

    def summed_up(self, how: Callable[[SpendingLedger], T]) -> T:
        """Return `how(ledger)` for the ledger as last read; other threads cannot change it meanwhile."""
        with self._lock:
            return how(self.ledger)

    def used_before(self, session: str) -> tuple[Usage, ...]:
        """The total usage of this agent session when its last run ended; raises OSError."""
        with self._lock:
            self.ledger.load()
            return self.ledger.used_before(session)

    def knows(self, run: str) -> Charge | None:
        """The charge of this run, if it was entered; raises OSError."""
        with self._lock:
            self.ledger.load()
            return self.ledger.knows(run)

    def newest(self) -> dict[str, Charge]:
        """The newest charge of each task; raises OSError."""
        with self._lock:
            self.ledger.load()
            return {each.task: each for each in self.ledger.charges(date.min, date.max)}

    def _limit(self, task: str, entered: str = "") -> OverBudget | None:
        """The limit that another run could exceed; `entered` is that run, if the ledger has it already."""
        now, next_run = self._clock.now(), self.ledger.dearest().get(task, ZERO)
        for spent in self._spent(now, entered):
            if limit := over_budget(spent, next_run, now):
                return limit
        return None

    def _spent(self, now: float, apart_from: str) -> Iterator[Spent]:
        own, together = self.rules.budget, self.rules.together
        if has_limits(own):
            yield spent_of(self.ledger, own, now, apart_from)
        if has_limits(together):
            yield self._all.spent(together, now, apart_from)

    def today(self) -> date:
        """The day to which a run that starts now is charged."""
        return today_of(self.rules.budget, self._clock.now())


class AllCitizens:
    """The ledgers of all this user's homes in a root, whichever process writes them; for any thread.

    If root runs another user's home (--own-as-root), the ledgers of all users.
    """

    def __init__(self, root: Path) -> None:
        self._root, self._lock = root, threading.Lock()
        self._of_all_users = False
        self._ledgers: dict[Path, SpendingLedger] = {}

    def runs(self, home: Path) -> None:
        """Note that this process runs that home."""
        self._of_all_users |= os.geteuid() == 0 and not is_ours(home)

    @contextmanager
    def one_at_a_time(self, together: Budget) -> Iterator[None]:
        """Let runs of this process that share a limit be entered one after the other."""
        with self._lock if has_limits(together) else nullcontext():
            yield

    def spent(self, together: Budget, now: float, apart_from: str = "") -> Spent:
        """The spending of all citizens; the caller has the lock. Raises OSError if any of it cannot be read.

        Otherwise another user's home is not counted, since its files are not trusted.
        """
        today, zone = today_of(together, now), zone_of_days(together)
        day, month = Spending(), Spending()
        for name in homes(self._root):
            if ledger := self._ledger_in(self._root / name):
                each = _spent_in(ledger, today, zone, apart_from)
                day, month = day + each[0], month + each[1]
        return Spent(together, day, month, self.ledger().lift(today), together=True)

    def _ledger_in(self, home: Path) -> SpendingLedger | None:
        """The ledger of this home, None if it does not count; raises OSError, also if its disk hangs."""

        def read() -> SpendingLedger | None:
            return self._loaded(home / FOLDER) if self._of_all_users or is_ours(home) else None

        try:
            return on_disk(home, read)
        except OSError:
            self._ledgers.pop(home / FOLDER, None)  # a thread that hangs may still be about to change it
            raise

    def ledger(self) -> SpendingLedger:
        """The ledger of what was added by hand to the limits of all."""
        return self._loaded(root_folder(self._root))

    def _loaded(self, folder: Path) -> SpendingLedger:
        ledger = self._ledgers.setdefault(folder, SpendingLedger(folder))
        ledger.load()
        return ledger


def spent_of(ledger: SpendingLedger, budget: Budget, now: float, apart_from: str = "") -> Spent:
    """The spending of a citizen, with its limits."""
    today, zone = today_of(budget, now), zone_of_days(budget)
    return Spent(budget, *_spent_in(ledger, today, zone, apart_from), ledger.lift(today))


def _spent_in(
    ledger: SpendingLedger, today: date, zone: tzinfo, apart_from: str
) -> tuple[Spending, Spending]:
    """The spending of today, and of this month."""
    month = [each for each in ledger.charges(today.replace(day=1), today, zone) if each.run != apart_from]
    known = ledger.dearest()
    return spending((each for each in month if each.day == today), known), spending(month, known)


def has_limits(budget: Budget) -> bool:
    """Whether the budget limits a day or a month."""
    return budget.day is not None or budget.month is not None
