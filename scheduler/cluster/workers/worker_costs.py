"""Costs that runs on this worker report: read here, and counted by their owners.

If an owner missed a report because it or this worker died, the worker later adds a line to the ledger.
"""

import asyncio
import logging
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

log = logging.getLogger("experience.cost")

NOTHING = AgentReport()


@dataclass(frozen=True, slots=True)
class WorkerCharge:
    """The charge of a run that may report its cost."""

    costs: RunCosts
    charge: RunCharge
    program: str = ""

    @property
    def variables(self) -> Mapping[str, str]:
        """The variables that tell the run where to report its cost and what it may cost."""
        return self.costs.environment(self.charge)

    def read(self, printed: OutputBuffer | None, *, failed: bool = False) -> AgentReport | None:
        """Return the run's report, None if it made none; blocks."""
        output = printed.text() if self.program and printed else ""
        report = self.costs.read(self.charge, self.program, output, failed)
        return None if report == NOTHING else report

    def late(self, report: AgentReport) -> str:
        """The ledger line for a run that was written off; empty if it cost nothing."""
        run, cost = self.charge.run, self.costs.amount(self.charge, report, self.program)
        task, day = run.rsplit("-", 2)[0], self.costs.account.today()
        charge = Charge(run, task, day, cost, report.tokens_in, report.tokens_out)
        return late_line(charge) if cost else ""

    def remove_report(self) -> None:
        """Remove the report, which its owner now has; blocks."""
        self.costs.close(self.charge)
        self.costs.remove(self.charge)


def charge_of(citizen: CitizenSettings, task: Task, name: str, clock: Clock) -> WorkerCharge | None:
    """The charge with this name; None if the run's owner does not count its cost."""
    if not name.startswith(f"{task.name}-") or "/" in name:  # never name a file by what the database says
        return None
    program = "" if task.report == FILE else task.report
    costs = _costs(citizen, clock)
    return WorkerCharge(costs, costs.opened(name, task.name), program)


async def tell_left_over(connection: Connection, citizens: Iterable[CitizenSettings], clock: Clock) -> None:
    """Report costs that no owner has read, because it or the worker died."""
    for citizen in citizens:
        try:
            await _tell_left_over(connection, citizen, clock)
        except OSError as error:  # of this home alone; tried again when a worker starts
            log.warning("costs not reported", extra={"citizen": citizen.name, "error": str(error)})


async def _tell_left_over(connection: Connection, citizen: CitizenSettings, clock: Clock) -> None:
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
    """Add the run's report to the ledger if its owner has not read it, and remove its file."""
    if report and (line := charge.late(report)):
        await run_rows.tell_cost(connection, citizen, line)
    await asyncio.to_thread(charge.remove_report)


def _costs(citizen: CitizenSettings, clock: Clock) -> RunCosts:
    home = citizen.home
    costs = RunCosts(citizen.name, home, clock, AllCitizens(home.parent), reports=ON_WORKERS)
    costs.account.rules = citizen.spending
    return costs
