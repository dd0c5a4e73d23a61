"""Metrics of money and of the services that agents call."""

from collections.abc import Iterator, Sequence

from prometheus_client.core import GaugeMetricFamily, Metric

from scheduler.core.views import HoldKind, Snapshot, TaskView
from tui.common.amounts import amount
from tui.serve.health import CitizenStatus

DAY, MONTH = "day", "month"


def of_money(statuses: Sequence[CitizenStatus]) -> Iterator[Metric]:
    """What runs cost, per task and citizen, and their limits."""
    task = _family("task_cost_usd", "What its runs of this day or month cost.", "citizen", "task", "period")
    spent = _family("spent_usd", "What the citizen's runs of this day or month cost.", "citizen", "period")
    limit = _family("budget_usd", "The limit, with what was added for today.", "citizen", "period")
    left = _family("budget_left_usd", "What is left of it, below 0 when passed.", "citizen", "period")
    forecast = _family("forecast_month_usd", "What the month will have cost at its end.", "citizen")
    unknown = _family("unknown_cost_runs", "Runs of this month whose cost is unknown.", "citizen")
    for each in statuses:
        for row in each.snapshot.tasks:
            _add(task, (each.citizen, row.name, DAY), row.cost_today)
            _add(task, (each.citizen, row.name, MONTH), row.cost_month)
        _of_citizen(each.snapshot, spent, limit, left, forecast, unknown)
    yield from (task, spent, limit, left, forecast, unknown)


def _of_citizen(
    snapshot: Snapshot,
    spent: GaugeMetricFamily,
    limit: GaugeMetricFamily,
    left: GaugeMetricFamily,
    forecast: GaugeMetricFamily,
    unknown: GaugeMetricFamily,
) -> None:
    citizen, money = snapshot.citizen, snapshot.money
    if money is None:
        return
    for period, used, most in ((DAY, money.today, money.day_limit), (MONTH, money.month, money.month_limit)):
        _add(spent, (citizen, period), used)
        _add(limit, (citizen, period), most)
        if (limited := amount(most)) is not None:
            left.add_metric([citizen, period], float(limited - (amount(used) or 0)))
    _add(forecast, (citizen,), money.forecast)
    unknown.add_metric([citizen], money.unknown)


def of_holds(statuses: Sequence[CitizenStatus], seen: set[str]) -> Iterator[Metric]:
    """What keeps runs from starting; `seen` remembers providers, so that one that is back shows 0."""
    held = _family("task_held", "1 while the task is due and this keeps it.", "citizen", "task", "by")
    paused = _family("task_paused", "1 while a person has paused the task.", "citizen", "task")
    waits: dict[str, int] = dict.fromkeys(seen, 0)
    ends: dict[str, float] = {}
    for each in statuses:
        for row in each.snapshot.tasks:
            paused.add_metric([each.citizen, row.name], row.paused_at is not None)
            if row.held is None:
                continue
            held.add_metric([each.citizen, row.name, row.held.kind.value], 1)
            if provider := _provider(row):
                waits[provider] = waits.get(provider, 0) + 1
                ends[provider] = max(ends.get(provider, 0.0), row.held.until or 0.0)
    seen.update(waits)
    away = _family("provider_away", "1 while runs wait for this provider.", "provider")
    waiting = _family("provider_waiting_tasks", "Tasks that wait for it.", "provider")
    until = _family("provider_away_until_timestamp_seconds", "When it is tried again.", "provider")
    for provider, number in waits.items():
        away.add_metric([provider], number > 0)
        waiting.add_metric([provider], number)
        if end := ends.get(provider):
            until.add_metric([provider], end)
    yield from (held, paused, away, waiting, until)


def _provider(row: TaskView) -> str:
    return row.held.about if row.held and row.held.kind is HoldKind.PROVIDER else ""


def _family(name: str, help: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"experience_{name}", help, labels=labels)


def _add(family: GaugeMetricFamily, labels: Sequence[str], text: str) -> None:
    """Add the amount as a number; nothing if there is none."""
    if (found := amount(text)) is not None:
        family.add_metric(labels, float(found))
