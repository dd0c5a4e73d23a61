"""Runs that cost money or call a provider: whether they may begin, and what they cost in the end."""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from scheduler.agents import FILE
from scheduler.agents.refusals.find_refusal import Refusal
from scheduler.core.schedules.schedule import Schedule
from scheduler.core.task import NO_COMMAND, Command, Context, Outcome, Task
from scheduler.core.views import Hold
from scheduler.engine.options import SchedulerOptions
from scheduler.engine.paid.as_reported import as_reported
from scheduler.engine.paid.ended import Ended, has_run
from scheduler.engine.paid.holds import CheckedHold, away, over_budget, uncounted
from scheduler.engine.paid.provider_answers import ProviderAnswers
from scheduler.engine.paid.run_costs import RunCharge, RunCosts
from scheduler.engine.paid.shared_by_root import SharedByRoot
from scheduler.engine.paid.summary import Summary, summarise
from scheduler.engine.run import RunHandle
from scheduler.errors import SchedulerError, TaskFailed
from scheduler.executors.result import Result
from scheduler.process.process_info import BOOT, Running, born
from scheduler.providers.outage import Outage, Probe, is_probe, may_try
from scheduler.spending.account import has_limits
from scheduler.spending.budget import today_of
from scheduler.spending.money import dollars
from scheduler.spending.prices import price_of
from scheduler.storage.file_copies import NO_COPIES, FileCopies
from scheduler.system.clock import Clock
from scheduler.system.hanging_disks import on_disk

log = logging.getLogger("experience.cost")

AT_ONCE = 60.0  # a run that is refused within so many seconds and reports no cost was free
Execute = Callable[[Task, Context, Any], Awaitable[Result]]


@dataclass(frozen=True, slots=True)
class Admission:
    """A run that may begin: its entry in the ledger, and its name as a probe of the provider."""

    charge: RunCharge
    run: Probe


class PaidRuns:
    """The money and the providers of one citizen's runs."""

    def __init__(
        self,
        citizen: str,
        home: Path,
        clock: Clock,
        shared: SharedByRoot,
        execute: Execute,
        announce: Callable[[str, str, str], None],
        copies: FileCopies = NO_COPIES,
    ) -> None:
        """`announce` is called with news of a provider: its name, `away` or `back`, and the text."""
        self.costs = RunCosts(citizen, home, clock, shared.citizens, copies.add)
        self._outages, self._execute = shared.outages, execute
        self._citizen, self._home, self._clock = citizen, home, clock
        self._answers = ProviderAnswers(citizen, clock, shared.outages, announce)
        self._options = SchedulerOptions()
        self._schedules: Mapping[str, Schedule] = {}
        self._summary: Summary | None = None

    def take_up(self, options: SchedulerOptions, schedules: Mapping[str, Schedule]) -> None:
        """Use these settings from now on."""
        self._options, self.costs.account.rules = options, options.spending
        self._schedules, self._summary = schedules, None

    def take_over(self) -> None:
        """Read what was spent and what the previous owner left unsettled; blocks."""
        try:
            self.costs.take_over()
        except OSError as error:
            self._warn("costs not read", error)

    def summary(self) -> Summary:
        """What was spent, as far as known; the same object until something changes."""
        now, found = self._clock.now(), self._summary
        today = today_of(self.costs.account.rules.budget, now)
        if found is None or found.day != today or found.lift != self.costs.account.ledger.lift(today):
            found = self._summary = self._summarise(now)
        return found

    def _summarise(self, now: float) -> Summary:
        account = self.costs.account
        return account.summed_up(lambda ledger: summarise(ledger, account.rules.budget, self._schedules, now))

    # -------------------------------------------------------------- whether it may begin

    def concerns(self, task: Task) -> bool:
        """Whether the task's runs are counted before they begin, or wait for a provider."""
        return bool(task.provider) or self._pays(task)

    def _pays(self, task: Task) -> bool:
        """Whether a run of the task costs money, as far as that is known beforehand."""
        if task.is_wake and task.work is NO_COMMAND:
            return False
        account = self.costs.account
        known = task.report or (task.is_wake and account.limited()) or account.ledger.has_charged(task.name)
        return bool(known) or self._asks_for_money(task)

    def _asks_for_money(self, task: Task) -> bool:
        """Whether the task runs a built-in handler that asks a model, and the model has a price."""
        llm = self._options.llm
        asks = llm is not None and getattr(task.options, "llm", False)
        return bool(asks and llm and price_of(llm.model, self._options.spending.prices))

    def hold(self, task: Task) -> tuple[Hold | None, float]:
        """Why the task may not start now, and the seconds until the next check; reads small files."""
        try:
            found = on_disk(self._home, lambda: self._waits(task) or self._over_budget(task))
        except OSError as error:
            found = uncounted(error)
        return found or (None, 0.0)

    def _waits(self, task: Task) -> CheckedHold | None:
        if not task.provider or (outage := self._outages.of(task.provider)) is None:
            return None
        now = self._clock.now()
        return None if may_try(outage, now) else away(outage, f"{self._citizen}/{task.name}", now)

    def _over_budget(self, task: Task) -> CheckedHold | None:
        if not self._pays(task):
            return None
        limit = self.costs.account.limit(task.name)
        return over_budget(limit) if limit else None

    async def begin(self, task: Task, run: RunHandle, start: Callable[[], None]) -> Admission | Result:
        """Enter the run and `start` it; return its result if it does not begin."""
        admitting = asyncio.ensure_future(asyncio.to_thread(self._admit, task, run.charge))
        try:
            admitted = await asyncio.shield(admitting)
        except asyncio.CancelledError:
            with suppress(OSError):
                if isinstance(entered := await admitting, Admission):
                    await self.give_back(task, entered)
            raise
        except OSError as error:
            start()
            return Result(Outcome.FAILED, f"not started: {uncounted(error)[0].why}")
        if isinstance(admitted, Hold):
            run.put_back = True
            return Result(Outcome.SKIPPED, admitted.why)
        start()
        return admitted

    def _admit(self, task: Task, name: str) -> Admission | Hold:
        charge = self.costs.opened(name, task.name)
        now, pid = self._clock.now(), os.getpid()
        probe = Probe(charge.run, self._citizen, Running(pid, born(pid) or 0.0, now, BOOT))
        if outage := self._awaited(task, probe):
            self.costs.close(charge)
            return away(outage, f"{self._citizen}/{task.name}", now)[0]
        try:
            limit = self.costs.enter(charge) if self._pays(task) else None
        except OSError:
            self._give_back(task, charge)
            raise
        if limit:
            self._give_back(task, charge)
            return over_budget(limit)[0]
        return Admission(charge, probe)

    def _awaited(self, task: Task, run: Probe) -> Outage | None:
        """The outage for which the run waits; a worker claims the probe itself, when it begins the run."""
        if not task.provider:
            return None
        if task.queue:
            return self._outages.before_handover(task.provider)
        return self._outages.begin(task.provider, run)

    def _give_back(self, task: Task, charge: RunCharge) -> None:
        """Note that the run, perhaps the probe of its provider, does not begin."""
        self.costs.close(charge)
        if task.provider:
            self._outages.ended(task.provider, charge.run, tried=False)

    def _withdraw(self, task: Task, run: RunHandle, admitted: Admission, ended: Ended) -> Result:
        """Cancel the entry of a run that never began. Blocks."""
        self._cancel(task, admitted)
        if task.provider:
            with suppress(SchedulerError):  # its worker may know more
                self._outages.refresh()
        return ended.result

    async def give_back(self, task: Task, admitted: Admission) -> None:
        """Cancel the entry of an admitted run that does not begin."""
        await asyncio.to_thread(self._cancel, task, admitted)

    def _cancel(self, task: Task, admitted: Admission) -> None:
        try:
            self.costs.cancel([admitted.charge.run])
            self._summary = self._summarise(self._clock.now())
            self._give_back(task, admitted.charge)
        except OSError as error:  # its cost stays unknown, counted as the highest of the last runs
            self._warn("cost not noted", error)

    def may_still_begin(self, run: RunHandle, task: Task) -> bool:
        """Whether provider and budget still allow a run that waits for a worker; reads small files."""
        if run.job is None or not run.job.paid:
            return True
        outage = self._outages.of(task.provider) if task.provider else None
        if outage and not (may_try(outage, self._clock.now()) or is_probe(outage, run.charge)):
            return False
        if not self._pays(task):
            return True
        try:
            return on_disk(self._home, lambda: self.costs.account.still_fits(run.charge, task.name))
        except OSError:
            return False

    def lift(self, amount: Decimal, *, together: bool) -> str:
        """Add this to today's limits; return the text of the answer. Blocks, raises SchedulerError."""
        account = self.costs.account
        budget = account.rules.together if together else account.rules.budget
        if not has_limits(budget):
            whose = "all citizens together" if together else self._citizen
            raise SchedulerError(f"nothing limits {whose} in a day or a month; there is nothing to lift")
        try:
            account.lift(amount, together=together)
        except OSError as error:
            raise SchedulerError(f"the budget was not lifted: {error.strerror or error}") from error
        return f"{dollars(amount)} more for today{', all citizens' if together else ''}"

    def try_now(self, provider: str) -> None:
        """Let the next due run try the provider. Blocks, raises SchedulerError."""
        try:
            outage = self._outages.retry(provider)
        except OSError as error:
            raise SchedulerError(f"{provider}: {error.strerror or error}; nothing was changed") from error
        if outage and outage.probe:
            raise SchedulerError(f"{provider}: {outage.probe.citizen} tries it now")

    # -------------------------------------------------------------- what came of it

    async def carry_out(
        self, task: Task, context: Context, run: RunHandle, admitted: Admission | None
    ) -> Result:
        """Carry out the run, note its cost, and return its result; refused if its provider was away."""
        if admitted is not None:
            return await self._carry_out_admitted(task, context, run, admitted)
        if isinstance(task.work, Command):
            return await self.carry_out_command(task, context, run)
        return await self._execute(task, context, run)

    async def _carry_out_admitted(
        self, task: Task, context: Context, run: RunHandle, admitted: Admission
    ) -> Result:
        context = self._with_variables(context, run, admitted.charge)
        begun, ended = self._clock.elapsed(), Ended(Result(Outcome.FAILED))
        failure = None
        try:
            result = await self._execute(task, context, run)
            ended = Ended(result, self._clock.elapsed() - begun, asked=has_run(task, result))
        except TaskFailed as error:
            took, never_began = self._clock.elapsed() - begun, isinstance(task.work, Command)
            failure, ended = error, Ended(Result(Outcome.FAILED, str(error)), took, asked=not never_began)
        finally:
            run.exited()  # its cost is settled, however it ends
            if run.reason:
                ended = replace(ended, result=replace(ended.result, outcome=run.reason))
            conclude = self._withdraw if run.never_began else self._settle
            settled = await asyncio.to_thread(conclude, task, run, admitted, ended)
            self._answers.publish()
        if failure is not None and settled.outcome is not Outcome.REFUSED:
            raise failure
        return settled

    async def carry_out_command(self, task: Task, context: Context, run: RunHandle) -> Result:
        """Return the result of a command that may report a cost although none was expected."""
        try:
            charge = self.costs.new_charge(task.name)
        except OSError as error:
            raise TaskFailed(f"not started: {uncounted(error)[0].why}") from error
        try:
            return await self._execute(task, self._with_variables(context, run, charge), run)
        finally:
            said = (run.reported or run.used) if task.queue else self.costs.is_reported(charge)
            if said:
                run.exited()
                await asyncio.to_thread(self._settle_unasked, task, run, charge)
            self.costs.close(charge)

    def _with_variables(self, context: Context, run: RunHandle, charge: RunCharge) -> Context:
        """The context with the variables that say where the run reports its cost and what it may cost."""
        run.charge = charge.run
        return replace(context, variables={**(context.variables or {}), **self.costs.environment(charge)})

    async def settle_used(self, task: Task, run: RunHandle) -> None:
        """Note what a handler used, although no cost was expected."""
        await asyncio.to_thread(self._settle_unasked, task, run, self.costs.new_charge(task.name))

    def _settle_unasked(self, task: Task, run: RunHandle, charge: RunCharge) -> None:
        try:
            self._note_cost(task, run, charge, "", Ended(Result(Outcome.OK)), None)
        except OSError as error:
            self._warn("cost not noted", error)

    def _settle(self, task: Task, run: RunHandle, admitted: Admission, ended: Ended) -> Result:
        """Note what the run cost and how its provider answered; return its result. Blocks."""
        output = run.printed.text() if run.printed else ""
        now, rules = self._clock.now(), self._options.refusals
        report = ended.report(task, output, now, rules)
        ended = replace(ended, result=as_reported(ended.result, report)) if report else ended
        refusal = ended.refusal(task, output, report, now, rules)
        run.refusal = refusal.kind if refusal else ""
        try:
            self._note_cost(task, run, admitted.charge, output, ended, refusal)
        except OSError as error:  # the cost stays unknown and counts as the highest of the last runs
            self._warn("cost not noted", error)
        if not task.provider:
            return ended.result
        try:
            return self._answers.note(task, admitted.run, ended, refusal) or ended.result
        except OSError as error:
            self._warn("provider not noted", error)
            return ended.result

    def _note_cost(
        self,
        task: Task,
        run: RunHandle,
        charge: RunCharge,
        output: str,
        ended: Ended,
        refusal: Refusal | None,
    ) -> None:
        at_once = refusal is not None and refusal.wait and ended.took < AT_ONCE
        program = "" if task.report == FILE else task.report
        run.cost = self.costs.settle(
            charge,
            program,
            output,
            ended.outcome.bad,
            run.used or (),
            otherwise=Decimal(0) if at_once else None,
            said=run.reported,
        )
        self._summary = self._summarise(self._clock.now())

    def _warn(self, text: str, error: OSError) -> None:
        log.warning(text, extra={"citizen": self._citizen, "error": str(error)})
