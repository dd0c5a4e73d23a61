"""`experience-tui cost` and `budget`: what wakes cost, and a limit lifted for a day."""

import json
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scheduler.cli.options import as_document, config_file, some_citizens
from scheduler.cli.printing import table

if TYPE_CHECKING:
    from scheduler.config.settings import CitizenSettings
    from scheduler.spending.budget import Spending

TITLES = ("citizen", "today", "this month", "wakes", "unknown", "of day", "of month")
WAKE = "wake"


@dataclass(frozen=True, slots=True)
class Cost:
    """What a citizen's wakes cost; amounts in US dollars."""

    citizen: str
    today: "Spending"
    month: "Spending"
    days: dict[date, "Spending"]
    wakes: int  # in these days
    unknown: int
    lifted: Decimal


@click.command("cost", epilog="Example: experience-tui cost opus --days 7")
@some_citizens
@click.option(
    "--days", default=30, show_default=True, type=click.IntRange(1, 400), help="How many days back."
)
@as_document
@config_file
def cost_command(names: tuple[str, ...], days: int, as_json: bool, config: Path | None) -> int:
    """What the wakes of citizens cost, in US dollars. Reads files only.

    CITIZEN: one name or a comma-separated list; leave it out for all. A cost that no report gave counts as
    the dearest of the last ten.
    """
    chosen = _chosen(names, config)
    costs = [_cost(each, days) for each in chosen]
    if as_json:
        documents = [_document(cost, each) for cost, each in zip(costs, chosen, strict=True)]
        click.echo(json.dumps(documents, indent=2))
        return 0
    rows = [TITLES, *(_row(cost, each) for cost, each in zip(costs, chosen, strict=True))]
    click.echo("\n".join(table(rows, 200, right=TITLES[1:])))
    if len(costs) == 1:
        click.echo("\n".join(_by_day(costs[0])))
    return 0


@click.command("budget", epilog="Example: experience-tui budget opus --add 2 --today")
@click.argument("citizen")
@click.option("--add", "amount", metavar="USD", help="Lift today's limits by so many dollars.")
@click.option("--today", is_flag=True, help="Until midnight: required with --add.")
@config_file
def budget_command(citizen: str, amount: str | None, today: bool, config: Path | None) -> int:
    """Show what a citizen's wakes may cost and what they did, or lift the limits for today."""
    from scheduler.spending.ledger import SpendingLedger
    from scheduler.spending.money import dollars

    (chosen,) = _chosen((citizen,), config)
    if amount is not None:
        if not today:
            raise click.UsageError("--add lifts the limits of one day; add --today")
        SpendingLedger(chosen.home).add_to_budget(_today(), _dollars(amount))
    cost, limits = _cost(chosen, 1), chosen.wake.budget
    lifted = f", {dollars(cost.lifted)} of it added for today" if cost.lifted else ""
    for name, spent, limit in (("today", cost.today, limits.day), ("this month", cost.month, limits.month)):
        most = "no limit" if limit is None else f"of {dollars(limit + cost.lifted)}{lifted}"
        click.echo(f"{citizen}: {dollars(spent.total)} {name}, {most}")
    return 0


def _chosen(names: tuple[str, ...], config: Path | None) -> "list[CitizenSettings]":
    from scheduler.config.loader import load
    from scheduler.errors import UnknownCitizen

    settings = load(config=config, only=names)
    for name in names:
        if name not in settings.known:
            raise UnknownCitizen(name, settings.known)
    return [each for each in settings.citizens if not names or each.name in names]


def _dollars(text: str) -> Decimal:
    try:
        amount = Decimal(text.removeprefix("$"))
        if 0 < amount < 10**9:
            return amount
    except InvalidOperation:  # no number, or NaN
        pass
    raise click.UsageError(f"--add {text}: write an amount of dollars above 0, like 2 or 0.50")


def _cost(citizen: "CitizenSettings", days: int) -> Cost:
    from scheduler.spending.budget import RECENT, dearest, spending
    from scheduler.spending.ledger import SpendingLedger

    ledger, today = SpendingLedger(citizen.home), _today()
    ledger.load()
    most = dearest(ledger.last(WAKE, RECENT))
    since = today - timedelta(days=days - 1)
    charges = ledger.charges(since, today)
    by_day = {
        day: spending([each for each in charges if each.day == day], most)
        for day in sorted({each.day for each in charges})
    }
    return Cost(
        citizen.name,
        spending(ledger.charges(today, today), most),
        spending(ledger.charges(today.replace(day=1), today), most),
        by_day,
        len(charges),
        sum(each.cost is None for each in charges),
        ledger.lift(today),
    )


def _row(cost: Cost, citizen: "CitizenSettings") -> tuple[str, ...]:
    from scheduler.spending.money import dollars

    limits = citizen.wake.budget
    day = "" if limits.day is None else dollars(limits.day + cost.lifted)
    month = "" if limits.month is None else dollars(limits.month + cost.lifted)
    spent = (dollars(cost.today.total), dollars(cost.month.total))
    return (cost.citizen, *spent, f"{cost.wakes:,}", f"{cost.unknown:,}", day, month)


def _by_day(cost: Cost) -> list[str]:
    from scheduler.spending.money import dollars

    return ["", *(f"{day}  {dollars(spent.total):>10}" for day, spent in cost.days.items())]


def _document(cost: Cost, citizen: "CitizenSettings") -> dict[str, Any]:
    """Amounts as text, so that no digit is lost."""
    limits = citizen.wake.budget
    return {
        "citizen": cost.citizen,
        "today_usd": str(cost.today.total),
        "month_usd": str(cost.month.total),
        "wakes": cost.wakes,
        "unknown": cost.unknown,
        "days": {day.isoformat(): str(spent.total) for day, spent in cost.days.items()},
        "budget": {
            name: None if (limit := getattr(limits, name)) is None else str(limit)
            for name in ("run", "day", "month")
        },
        "added_today_usd": str(cost.lifted),
    }


def _today() -> date:
    from scheduler.spending.budget import zone_of_days

    return datetime.now(zone_of_days()).date()
