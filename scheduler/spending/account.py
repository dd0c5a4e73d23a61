"""What the runs of a citizen cost, and whether one more may start, under its own budget and that of all."""

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
from scheduler.system.homes import homes
from scheduler.system.root_folder import root_folder

T = TypeVar("T")

FOLDER = ".experience"
Tokens = tuple[int | None, int | None]  # in and out


class Account:
    """The ledger of one citizen as its owner uses it; every method may block, for any thread."""

    def __init__(
        self, home: Path, clock: Clock, all_citizens: "AllCitizens", add: Add = lambda line: None
    ) -> None:
        self.rules = SpendingRules()
        self.ledger = SpendingLedger(home / FOLDER, add)
        self._clock, self._all, self._lock = clock, all_citizens, threading.Lock()
        self._all.runs(home)

    def take_over(self) -> None:
        """Read the ledger, and drop what is old; raises OSError."""
        with self._lock:
            self.ledger.compact(self.today())

    def limited(self) -> bool:
        """Whether there is any limit."""
        return has_limits(self.rules.budget) or has_limits(self.rules.together)

    def limit(self, task: str) -> OverBudget | None:
        """The limit that one more run of this task could pass; raises OSError."""
        if not self.limited():
            return None
        with self._all.one_at_a_time(self.rules.together), self._lock:
            self.ledger.load()
            return self._limit(task)

    def enter(self, run: str, task: str) -> OverBudget | None:
        """Enter the run before it starts, unless it could pass a limit; raises OSError: it must not start.

        It is entered first and looked at again then: of two processes that do so at once, at least one sees
        the other's.
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
        """Whether a run that was entered, and has not begun, may: it counts today. Raises OSError."""
        with self._all.one_at_a_time(self.rules.together), self._lock:
            self.ledger.load()
            known = self.ledger.knows(run)
            if known is not None and known.day != self.today():
                self.ledger.enter(run, task, self.today(), self._clock.now())
            return self._limit(task, run) is None

    def lift(self, amount: Decimal, *, together: bool) -> None:
        """Add this to the limits of today, the citizen's or those of all; raises OSError."""
        with self._lock:
            ledger = self._all.ledger() if together else self.ledger
            budget = self.rules.together if together else self.rules.budget
            ledger.add_to_budget(today_of(budget, self._clock.now()), amount)

    def cancel(self, run: str) -> None:
        """The run was entered, and did not start."""
        with self._lock:
            self.ledger.cancel(run)

    def settle(
        self, run: str, task: str, cost: Decimal | None, tokens: Tokens, session: Session | None = None
    ) -> None:
        """What the run cost, also one that was not entered; None if unknown. Raises OSError."""
        with self._lock:
            self.ledger.load()
            if self.ledger.knows(run) is None:
                self.ledger.enter(run, task, self.today(), self._clock.now())
            self.ledger.settle(run, cost, *tokens, session)

    def summed_up(self, how: Callable[[SpendingLedger], T]) -> T:
        """What `how` makes of the ledger as it was read last; no other thread changes it meanwhile."""
        with self._lock:
            return how(self.ledger)

    def used_before(self, session: str) -> tuple[Usage, ...]:
        """What this session of an agent had used in all when its last run ended; raises OSError."""
        with self._lock:
            self.ledger.load()
            return self.ledger.used_before(session)

    def knows(self, run: str) -> Charge | None:
        """The charge of this run, if it was entered; raises OSError."""
        with self._lock:
            self.ledger.load()
            return self.ledger.knows(run)

    def _limit(self, task: str, entered: str = "") -> OverBudget | None:
        """The limit that one more run could pass; `entered` is that run itself, if the ledger has it."""
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
        """The day on which a run counts that starts now."""
        return today_of(self.rules.budget, self._clock.now())


class AllCitizens:
    """The ledgers of all homes of this user in a root, whichever process adds to them; for any thread.

    For root that runs another user's home (--own-as-root) those of all users.
    """

    def __init__(self, root: Path) -> None:
        self._root, self._lock = root, threading.Lock()
        self._of_all_users = False
        self._ledgers: dict[Path, SpendingLedger] = {}

    def runs(self, home: Path) -> None:
        """This process runs that home."""
        self._of_all_users |= os.geteuid() == 0 and not is_ours(home)

    @contextmanager
    def one_at_a_time(self, together: Budget) -> Iterator[None]:
        """Runs of this process that share a limit are entered one after the other."""
        with self._lock if has_limits(together) else nullcontext():
            yield

    def spent(self, together: Budget, now: float, apart_from: str = "") -> Spent:
        """What all citizens have spent; the caller has the lock. Raises OSError if any of it is unknown.

        A home of another user is not counted otherwise: what lies there is not believed.
        """
        today, zone = today_of(together, now), zone_of_days(together)
        day, month = Spending(), Spending()
        for name in homes(self._root):
            home = self._root / name
            if self._of_all_users or is_ours(home):
                each = _spent_in(self._loaded(home / FOLDER), today, zone, apart_from)
                day, month = day + each[0], month + each[1]
        return Spent(together, day, month, self.ledger().lift(today), together=True)

    def ledger(self) -> SpendingLedger:
        """What was added to the limits of all by hand."""
        return self._loaded(root_folder(self._root))

    def _loaded(self, folder: Path) -> SpendingLedger:
        ledger = self._ledgers.setdefault(folder, SpendingLedger(folder))
        ledger.load()
        return ledger


def spent_of(ledger: SpendingLedger, budget: Budget, now: float, apart_from: str = "") -> Spent:
    """What a citizen has spent, and its limits."""
    today, zone = today_of(budget, now), zone_of_days(budget)
    return Spent(budget, *_spent_in(ledger, today, zone, apart_from), ledger.lift(today))


def _spent_in(
    ledger: SpendingLedger, today: date, zone: tzinfo, apart_from: str
) -> tuple[Spending, Spending]:
    """What was spent today, and this month."""
    month = [each for each in ledger.charges(today.replace(day=1), today, zone) if each.run != apart_from]
    known = ledger.dearest()
    return spending((each for each in month if each.day == today), known), spending(month, known)


def has_limits(budget: Budget) -> bool:
    """Whether anything is limited over a time."""
    return budget.day is not None or budget.month is not None
