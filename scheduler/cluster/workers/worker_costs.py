"""What runs on this worker cost, as they say it: read here, and counted by their owners.

A report that its owner did not hear of, since it or this worker died, is told later as a line of the ledger.
"""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from scheduler.agents import FILE
from scheduler.agents.report import AgentReport
from scheduler.cluster.database import Connection
from scheduler.cluster.workers import run_rows
from scheduler.config.settings import CitizenSettings
from scheduler.core.task import Task
from scheduler.engine.paid.run_costs import ON_WORKERS, RunCharge, RunCosts
from scheduler.executors.output import OutputBuffer
from scheduler.spending.account import AllCitizens
from scheduler.spending.budget import Charge
from scheduler.spending.ledger import late_line
from scheduler.system.clock import Clock

NOTHING = AgentReport()


@dataclass(frozen=True, slots=True)
class WorkerCharge:
    """A run that may say what it costs."""

    costs: RunCosts
    charge: RunCharge
    program: str = ""

    @property
    def variables(self) -> Mapping[str, str]:
        """Where it may say so, and what it may cost."""
        return self.costs.environment(self.charge)

    def read(self, printed: OutputBuffer | None, *, failed: bool = False) -> AgentReport | None:
        """What it said; blocks."""
        output = printed.text() if self.program and printed else ""
        report = self.costs.read(self.charge, self.program, output, failed)
        return None if report == NOTHING else report

    def late(self, report: AgentReport) -> str:
        """The line of the ledger for a run that was written off; empty if it cost nothing."""
        run, cost = self.charge.run, self.costs.amount(self.charge, report, self.program)
        task, day = run.rsplit("-", 2)[0], self.costs.account.today()
        charge = Charge(run, task, day, cost, report.tokens_in, report.tokens_out)
        return late_line(charge) if cost else ""

    def told(self) -> None:
        """It is known; blocks."""
        self.costs.close(self.charge)
        self.costs.remove(self.charge)


def charge_of(citizen: CitizenSettings, task: Task, name: str, clock: Clock) -> WorkerCharge | None:
    """The charge of this name; None for a run whose owner does not count what it costs."""
    if not name.startswith(f"{task.name}-") or "/" in name:  # the database is no place to name files from
        return None
    program = "" if task.report == FILE else task.report
    costs = _costs(citizen, clock)
    return WorkerCharge(costs, costs.opened(name, task.name), program)


async def tell_left_over(connection: Connection, citizens: Iterable[CitizenSettings], clock: Clock) -> None:
    """Tell what runs said and no owner has heard: it, or the worker that had them, died."""
    for citizen in citizens:
        costs = _costs(citizen, clock)
        charges = await asyncio.to_thread(costs.left_over)
        known = await run_rows.open_charges(connection, [each.run for each in charges]) if charges else ()
        for each in charges:
            if each.run not in known:
                charge = WorkerCharge(costs, each)
                await tell(connection, citizen.name, charge, await asyncio.to_thread(charge.read, None))


async def tell(
    connection: Connection, citizen: str, charge: WorkerCharge, report: AgentReport | None
) -> None:
    """Add what the run said, if its owner has not heard it, to the ledger; its file goes."""
    if report and (line := charge.late(report)):
        await run_rows.tell_cost(connection, citizen, line)
    await asyncio.to_thread(charge.told)


def _costs(citizen: CitizenSettings, clock: Clock) -> RunCosts:
    home = citizen.home
    costs = RunCosts(citizen.name, home, clock, AllCitizens(home.parent), reports=ON_WORKERS)
    costs.account.rules = citizen.spending
    return costs
