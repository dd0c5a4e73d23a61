"""The costs of a citizen's runs: entered before they start, read from their reports, settled afterwards."""

import logging
import secrets
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from pathlib import Path

from scheduler.agents.readers import RUNNING_TOTALS, read_report
from scheduler.agents.report import AgentReport
from scheduler.agents.report_file import BadReport, read_report_file
from scheduler.core.costs import RunCost, Usage
from scheduler.spending.account import FOLDER, Account, AllCitizens
from scheduler.spending.budget import OverBudget, zone_of_days
from scheduler.spending.ledger import Add, Session
from scheduler.spending.money import believed
from scheduler.spending.prices import cost_of
from scheduler.system.clock import Clock
from scheduler.system.foreign_home import make_folder, names_in, place, remove
from scheduler.system.hanging_disks import on_disk

log = logging.getLogger("experience.cost")

REPORTS = Path(FOLDER) / "reports"
ON_WORKERS = Path(FOLDER) / "worker-reports"  # apart: the owner must not take these for left-over reports
WORDS = 200  # characters kept of a model, a session or a summary


@dataclass(frozen=True, slots=True)
class RunCharge:
    """A run whose cost is noted: its name in the ledger, and the file in which it may report its cost."""

    run: str
    task: str
    file: Path


class RunCosts:
    """A citizen's account, for its runs; every method may block and may be called from any thread."""

    def __init__(
        self,
        citizen: str,
        home: Path,
        clock: Clock,
        all_citizens: AllCitizens,
        add: Add = lambda line: None,
        reports: Path = REPORTS,
    ) -> None:
        self.account = Account(home, clock, all_citizens, add)
        self._citizen, self._home, self._clock, self._reports = citizen, home, clock, reports
        self._made = False  # whether the folder of the reports exists
        self._open: set[str] = set()  # runs of this owner that are not settled yet

    def take_over(self) -> None:
        """Take over the account, with what the previous owner left unsettled; raises OSError."""
        self.account.take_over()
        self.settle_left_over()

    def new_name(self, task: str) -> str:
        """The name in the ledger for a new run."""
        return f"{task}-{self._clock.now():.0f}-{secrets.token_hex(4)}"

    def new_charge(self, task: str) -> RunCharge:
        """A charge for a new run; unless it is entered, the run counts only if it reports its cost."""
        return self.opened(self.new_name(task), task)

    def opened(self, run: str, task: str) -> RunCharge:
        """The charge of a run that already has a name in the ledger."""
        if not self._made:
            for folder in (FOLDER, self._reports):
                on_disk(self._home, partial(make_folder, self._home / folder))
            self._made = True
        self._open.add(run)
        return RunCharge(run, task, self._home / self._reports / f"{run}.json")

    def enter(self, charge: RunCharge) -> OverBudget | None:
        """Count the run, or return the limit that forbids it; after an OSError it must not start, either."""
        self.settle_left_over()
        return self.account.enter(charge.run, charge.task)

    def is_reported(self, charge: RunCharge) -> bool:
        """Whether the run has written its report file."""
        with suppress(OSError):
            return on_disk(self._home, lambda: _exists(charge.file))
        return False

    def close(self, charge: RunCharge) -> None:
        """Note that the run is over or did not begin: a report written from now on is late."""
        self._open.discard(charge.run)

    def environment(self, charge: RunCharge) -> Mapping[str, str]:
        """The variables that tell the run where to report its cost and what it may cost."""
        most = self.account.rules.budget.run
        return {"EXPERIENCE_REPORT": str(charge.file), **({"EXPERIENCE_BUDGET": str(most)} if most else {})}

    def settle(
        self,
        charge: RunCharge,
        program: str,
        output: str,
        failed: bool,
        used: Sequence[Usage] = (),
        otherwise: Decimal | None = None,
        said: AgentReport | None = None,
    ) -> RunCost | None:
        """Note what the run cost, by its report file, else by its program's output or the tokens it counted.

        `otherwise` is the cost if none of these tells it; None: unknown. `said` is a worker's report.
        """
        report = said or self.read(charge, program, output, failed)
        session = _session(report, program)
        used = self._used_of(session) or used or _said(report)
        cost = self._amount(charge, report, program, used)
        cost = otherwise if cost is None else cost
        entered = self.account.knows(charge.run) is not None
        tokens = _tokens(used)
        if entered or cost is not None:
            self.account.settle(charge.run, charge.task, cost, tokens, session)
        self.close(charge)
        self.remove(charge)
        if not entered and cost is None and tokens == (None, None):
            return None
        return _run_cost(report, cost, entered, tokens, used)

    def _used_of(self, session: Session | None) -> Sequence[Usage]:
        """What the run used, if its program reports the total of a session; empty for any other program."""
        return _used_since(self.account.used_before(session.name), session.used) if session else ()

    def settle_once(
        self, run: str, task: str, program: str, said: AgentReport | None, used: Sequence[Usage]
    ) -> RunCost | None:
        """Note what a run cost whose owner died, unless the owner had noted it; raises OSError."""
        known = self.account.knows(run)
        if known is not None and known.cost is not None:
            return RunCost(str(known.cost), False, known.tokens_in, known.tokens_out)
        return self.settle(self.opened(run, task), program, "", failed=False, used=used, said=said)

    def cancel(self, runs: Iterable[str]) -> None:
        """Count these runs no more, as far as they are entered with an unknown cost: they never began."""
        for run in runs:
            if (charge := self.account.knows(run)) and charge.cost is None:
                self.account.cancel(run)

    def left_over(self) -> list[RunCharge]:
        """The runs with a report file that are not open."""
        names = [name.removesuffix(".json") for name in names_in(self._home / self._reports)]
        return [
            RunCharge(run, "", self._home / self._reports / f"{run}.json")
            for run in names
            if run not in self._open
        ]

    def settle_left_over(self) -> None:
        """Settle left-over reports: of runs whose owner died, or that wrote after their end."""
        for each in self.left_over():
            self._settle_late(each)

    def _settle_late(self, late: RunCharge) -> None:
        """Settle a late report: it may raise a known cost but not lower it."""
        if (charge := self.account.knows(late.run)) is not None:
            report = self.read(late, "", "", failed=False)
            cost = self.amount(late, report)
            if cost is not None and (charge.cost is None or cost > charge.cost):
                self.account.settle(late.run, charge.task, cost, (report.tokens_in, report.tokens_out))
        self.remove(late)

    def remove(self, charge: RunCharge) -> None:
        """Remove the report file. A run can put a folder there, which must not keep others from starting."""
        with suppress(IsADirectoryError, PermissionError):
            remove(charge.file)

    def amount(self, charge: RunCharge, report: AgentReport, program: str = "") -> Decimal | None:
        """The cost of the run by this report, as if it had used all tokens of its session."""
        return self._amount(charge, report, program, _said(report))

    def read(self, charge: RunCharge, program: str, output: str, failed: bool) -> AgentReport:
        """The report in the run's file, else the one in its program's output."""
        try:
            if report := read_report_file(charge.file):
                return report
        except BadReport as error:
            self._warn(charge, str(error))
        if not program:
            return AgentReport()
        return read_report(program, output, int(failed), self._clock.now(), zone_of_days())

    def _amount(
        self, charge: RunCharge, report: AgentReport, program: str, used: Sequence[Usage]
    ) -> Decimal | None:
        """The cost that the report gives, else the price of the tokens."""
        if report.cost is not None and not believed(report.cost):
            self._warn(charge, "a cost that no run can have is not counted; write cost_usd in US dollars")
            return None
        return report.cost if report.cost is not None else cost_of(used, self.account.rules.prices, program)

    def _warn(self, charge: RunCharge, text: str) -> None:
        log.warning(text, extra={"citizen": self._citizen, "task": charge.task})


def _exists(file: Path) -> bool:
    with place(file) as at:
        return at.status() is not None


def _session(report: AgentReport, program: str) -> Session | None:
    """The session's total, if the program reports totals instead of what the run used."""
    if program not in RUNNING_TOTALS or not report.session or report.tokens_in is None:
        return None
    return Session(report.session, _said(report))


def _said(report: AgentReport) -> tuple[Usage, ...]:
    """The tokens in the report, by model if it names them."""
    return report.used or (Usage("", report.tokens_in, report.tokens_out),)


def _used_since(before: Sequence[Usage], now: Sequence[Usage]) -> tuple[Usage, ...]:
    known = {each.model: each for each in before}
    return tuple(_difference(known.get(each.model, Usage()), each) for each in now)


def _difference(before: Usage, now: Usage) -> Usage:
    """What was used since `before`; all of `now` if a count is lower, since then a new session began."""
    counts = ((before.tokens_in or 0, now.tokens_in), (before.tokens_out or 0, now.tokens_out))
    if any(new is None or new < old for old, new in counts):
        return now
    return Usage(now.model, *(new - old for old, new in counts if new is not None))


def _tokens(used: Sequence[Usage]) -> tuple[int | None, int | None]:
    sent, made = ([count for count in each if count is not None] for each in _columns(used))
    return sum(sent) if sent else None, sum(made) if made else None


def _columns(used: Sequence[Usage]) -> tuple[list[int | None], list[int | None]]:
    return [each.tokens_in for each in used], [each.tokens_out for each in used]


def _run_cost(
    report: AgentReport,
    cost: Decimal | None,
    paid: bool,
    tokens: tuple[int | None, int | None],
    used: Sequence[Usage],
) -> RunCost:
    models = dict.fromkeys(each.model for each in used or report.used if each.model)
    return RunCost(
        "" if cost is None else str(cost),
        paid and cost is None,
        *tokens,
        report.turns,
        ", ".join(models)[:WORDS],
        report.session[:WORDS],
        report.summary[:WORDS],
    )
