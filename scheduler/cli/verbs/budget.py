"""`experience-tui budget`: what runs may cost, and lifting a limit for a day."""

import json
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import click

from scheduler.cli.completion import citizens
from scheduler.cli.options import as_document, config_file
from scheduler.cli.queries.cost import ALL, amounts, spent_by, spent_together
from scheduler.config.loader import CitizenSettings, Settings, load
from scheduler.errors import NO_CITIZENS, BadSettings, SchedulerError
from scheduler.spending.account import FOLDER
from scheduler.spending.budget import Spent, today_of
from scheduler.spending.ledger import SpendingLedger
from scheduler.spending.money import EXACT, amount_from, dollars
from scheduler.storage.state_file import StateFile
from scheduler.system.clock import SystemClock
from scheduler.system.root_folder import root_folder


@click.command(
    "budget",
    short_help="Show what a citizen's runs may cost, or raise its limits.",
    epilog="Example: experience-tui budget opus --add 2 --today",
)
@click.argument("citizen", required=False, shell_complete=citizens)
@click.option("--all", "every", is_flag=True, help="The limits of all citizens together.")
@click.option("--add", "amount", metavar="USD", help="Raise today's limits by this many dollars.")
@click.option("--today", "for_today", is_flag=True, help="For this day only: required with --add.")
@as_document
@config_file
def budget_command(
    citizen: str | None, every: bool, amount: str | None, for_today: bool, as_json: bool, config: Path | None
) -> int:
    """Show what a citizen's runs may cost and have cost, or raise its limits for today.

    With --all: the limits of all citizens together, which the main file sets.
    """
    if every == bool(citizen):
        raise click.UsageError("name one citizen, or write --all")
    names = (citizen,) if citizen else ()
    settings = load(config=config, only=names)
    chosen = settings.chosen(names)
    if problems := settings.problems or (chosen[0].problems if citizen else ()):
        raise BadSettings(problems)  # the limits are unknown
    if not chosen:
        raise SchedulerError(NO_CITIZENS)
    spent = _spent(chosen, every)
    if amount is not None:
        if not for_today:
            raise click.UsageError("--add lifts the limits of one day; add --today")
        _lift(settings, chosen[0], every, _dollars(amount))
        spent = _spent(chosen, every)
    if as_json:
        click.echo(json.dumps({"citizen": citizen or ALL, **amounts(spent)}, indent=2))
    else:
        click.echo("\n".join(_lines(citizen or ALL, spent)))
    if citizen and amount is None:
        StateFile(chosen[0].home).peek()  # unreadable is an error: without it nothing of the citizen runs
    return 0


def _spent(citizens: Sequence[CitizenSettings], every: bool) -> Spent:
    spent = spent_together(citizens) if every else spent_by(citizens[0])
    if spent is None:
        raise SchedulerError("no limit is set for all citizens; add [budget] to the main file")
    return spent


def _lift(settings: Settings, citizen: CitizenSettings, every: bool, amount: Decimal) -> None:
    from scheduler.control.coordinator import coordinator_of_a_command
    from scheduler.control.wire.asker import this_asker

    if run := this_asker().run:
        raise SchedulerError(f"a run may not lift a limit ({run} asks): a person does, outside of it")
    folder = root_folder(citizen.home.parent) if every else citizen.home / FOLDER
    copies = coordinator_of_a_command(settings).copies(None if every else citizen)
    budget = citizen.spending.together if every else citizen.spending.budget
    today = today_of(budget, SystemClock.now())
    SpendingLedger(folder, copies.add).add_to_budget(today, amount)


def _lines(name: str, spent: Spent) -> list[str]:
    lifted = f", {dollars(spent.lift)} of it added for today" if spent.lift else ""
    limits = (("today", spent.today, spent.budget.day), ("this month", spent.month, spent.budget.month))
    return [
        f"{name}: {dollars(amount.total)} {when}, "
        + ("no limit" if limit is None else f"of {dollars(EXACT.add(limit, spent.lift))}{lifted}")
        for when, amount, limit in limits
    ]


def _dollars(text: str) -> Decimal:
    try:
        return amount_from(text)
    except ValueError:
        raise click.UsageError(f"--add {text}: write an amount of dollars above 0, like 2 or 0.50") from None
