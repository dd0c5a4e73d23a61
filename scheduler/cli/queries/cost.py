"""`experience-tui cost`: what runs cost, and what the month will have cost at its end."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import click

from scheduler.cli.exit_codes import OK, WRONG
from scheduler.cli.options import as_document, config_file, some_citizens
from scheduler.cli.printing import table
from scheduler.cli.standard_error import print_to_stderr
from scheduler.config.loader import load
from scheduler.config.settings import CitizenSettings
from scheduler.core.schedules.schedule import Schedule
from scheduler.core.wording.text import clean
from scheduler.errors import Unreadable, file_error
from scheduler.spending.account import FOLDER, AllCitizens, has_limits, spent_of
from scheduler.spending.budget import Spending, Spent, spending, zone_of_days
from scheduler.spending.forecast import Forecast, forecast
from scheduler.spending.ledger import SpendingLedger
from scheduler.spending.money import EXACT, about, dollars
from scheduler.storage.state_file import StateFile
from scheduler.system.clock import SystemClock

TITLES = ("citizen", "today", "this month", "at its end", "runs", "unknown", "of day", "of month")
ALL = "all citizens"


@dataclass(frozen=True, slots=True)
class Cost:
    """What the runs of a citizen cost; amounts in US dollars."""

    citizen: str
    spent: Spent
    days: dict[date, Spending]
    shown: Spending  # within these days
    forecast: Forecast | None


@click.command("cost", epilog="Example: experience-tui cost opus --days 7")
@some_citizens
@click.option(
    "--days", default=30, show_default=True, type=click.IntRange(1, 400), help="How many days back."
)
@as_document
@config_file
def cost_command(names: tuple[str, ...], days: int, as_json: bool, config: Path | None) -> int:
    """Show what the runs of citizens cost, in US dollars. It only reads files.

    CITIZEN: one name or a comma-separated list; leave it out for all. An unknown cost counts as the highest
    of the task's last ten runs.
    """
    settings = load(config=config, only=names)
    chosen, costs = settings.chosen(names), []
    wrong = dict.fromkeys((*settings.problems, *(line for each in chosen for line in each.problems)))
    for each in chosen:
        try:
            costs.append(_cost(each, days))
            StateFile(each.home).peek()  # without it nothing of the citizen runs
        except Unreadable as error:
            wrong[str(error)] = None
        except OSError as error:  # one unreadable home must not hide the costs of the others
            if not each.problems:
                wrong[file_error(error, each.home)] = None
    print_to_stderr(wrong)
    together = spent_together(chosen)
    if as_json:
        documents = [{**_document(cost), "together": together and amounts(together)} for cost in costs]
        click.echo(json.dumps(documents, indent=2))
        return WRONG if wrong else OK
    rows = [TITLES, *map(_row, costs), *([_together(together)] if together else [])]
    click.echo("\n".join(table(rows, 200, right=TITLES[1:])))
    for each in chosen:
        if (zone := str(zone_of_days(each.spending.budget))) != str(zone_of_days()):
            click.echo(clean(f"experience: the days of {each.name} are those of {zone}"), err=True)
    if len(costs) == 1 and costs[0].days:
        click.echo("\n".join(_by_day(costs[0])))
    return WRONG if wrong else OK


def spent_by(citizen: CitizenSettings) -> Spent:
    """What the citizen has spent, with its limits."""
    return spent_of(loaded(citizen.home), citizen.spending.budget, SystemClock.now())


def spent_together(citizens: Sequence[CitizenSettings]) -> Spent | None:
    """What all citizens of the root have spent; None if they have no common limit."""
    limits = next((each.spending.together for each in citizens), None)
    if limits is None or not has_limits(limits):
        return None
    return AllCitizens(citizens[0].home.parent).spent(limits, SystemClock.now())


def loaded(home: Path) -> SpendingLedger:
    ledger = SpendingLedger(home / FOLDER)
    ledger.load()
    return ledger


def _cost(citizen: CitizenSettings, days: int) -> Cost:
    ledger, zone = loaded(citizen.home), zone_of_days(citizen.spending.budget)
    now = datetime.fromtimestamp(SystemClock.now(), zone)
    charges = ledger.charges(now.date() - timedelta(days=days - 1), now.date(), zone)
    by_day = {
        day: spending([each for each in charges if each.day == day], ledger.dearest())
        for day in sorted({each.day for each in charges})
    }
    every = ledger.charges(date.min, date.max, zone)
    expected = forecast(every, _schedules(citizen), now.timestamp(), zone)
    shown = spending(charges, ledger.dearest())
    return Cost(citizen.name, spent_by(citizen), by_day, shown, expected)


def _schedules(citizen: CitizenSettings) -> dict[str, Schedule]:
    return {task.name: task.schedule for task in (citizen.wake, *citizen.tasks)}


def _row(cost: Cost) -> tuple[str, ...]:
    spent = (dollars(cost.spent.today.total), dollars(cost.spent.month.total))
    expected = cost.forecast
    end = about(EXACT.add(cost.spent.month.total, expected.rest_of_month)) if expected else ""
    return (
        cost.citizen,
        *spent,
        end,
        f"{cost.shown.runs:,}",
        f"{cost.shown.unknown or ''}",
        *_most(cost.spent),
    )


def _together(spent: Spent) -> tuple[str, ...]:
    both = (dollars(spent.today.total), dollars(spent.month.total))
    return (ALL, *both, "", "", f"{spent.month.unknown or ''}", *_most(spent))


def _most(spent: Spent) -> tuple[str, str]:
    day, month = (
        "" if limit is None else dollars(EXACT.add(limit, spent.lift))
        for limit in (spent.budget.day, spent.budget.month)
    )
    return day, month


def _by_day(cost: Cost) -> list[str]:
    return ["", *(f"{day}  {dollars(spent.total):>10}" for day, spent in cost.days.items())]


def _document(cost: Cost) -> dict[str, Any]:
    """The JSON for scripts; amounts are text, so that no digit is lost."""
    expected = cost.forecast
    end = EXACT.add(cost.spent.month.total, expected.rest_of_month) if expected else None
    return {
        "citizen": cost.citizen,
        **amounts(cost.spent),
        "forecast_day_usd": _text(expected.day if expected else None),
        "forecast_month_usd": _text(end),
        "runs": cost.shown.runs,
        "unknown": cost.shown.unknown,
        "timezone": str(zone_of_days(cost.spent.budget)),
        "days": {day.isoformat(): str(spent.total) for day, spent in cost.days.items()},
    }


def amounts(spent: Spent) -> dict[str, Any]:
    """Amounts spent and limits, for scripts."""
    limits = {name: _text(getattr(spent.budget, name)) for name in ("run", "day", "month")}
    return {
        "today_usd": str(spent.today.total),
        "month_usd": str(spent.month.total),
        "budget": limits,
        "added_today_usd": str(spent.lift),
    }


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else str(amount)
