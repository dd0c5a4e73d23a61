"""Money, budgets and providers on the page for Prometheus."""

from dataclasses import replace

from scheduler.core.costs import Money
from tests.screens.money_situations import ARIA, MIRA, NOW, OPUS
from tui.serve.health import CitizenStatus, OwnerState
from tui.serve.metrics import EventCounts, page


def lines(*snapshots, counts: EventCounts | None = None) -> set[str]:
    statuses = [CitizenStatus(each, OwnerState.ALIVE) for each in snapshots]
    text, _ = page(statuses, counts or EventCounts(NOW), NOW, 0, "text/plain")
    return set(text.decode().splitlines())


def test_what_was_spent_of_which_limit_and_what_is_left():
    shown = lines(OPUS, ARIA)
    assert {
        'experience_task_cost_usd{citizen="opus",period="day",task="wake"} 5.02',
        'experience_task_cost_usd{citizen="opus",period="month",task="wake"} 31.16',
        'experience_spent_usd{citizen="opus",period="day"} 5.02',
        'experience_budget_usd{citizen="opus",period="month"} 60.0',
        'experience_budget_left_usd{citizen="opus",period="month"} 28.84',
        'experience_forecast_month_usd{citizen="opus"} 48.2',
        'experience_budget_usd{citizen="aria",period="day"} 8.0',
    } <= shown
    assert not any('budget_usd{citizen="aria",period="month"' in line for line in shown)


def test_what_is_no_amount_is_no_number():
    odd = replace(OPUS, money=Money("NaN", "much", "1e999"), tasks=())
    assert not any(line.startswith(("experience_spent_usd{", "experience_budget")) for line in lines(odd))


def test_who_is_kept_from_running_and_by_what():
    shown = lines(OPUS, MIRA, ARIA)
    assert {
        'experience_task_held{by="budget",citizen="opus",task="wake"} 1.0',
        'experience_task_held{by="provider",citizen="mira",task="wake"} 1.0',
        'experience_frozen{citizen="aria"} 1.0',
        'experience_provider_away{provider="anthropic"} 1.0',
        'experience_provider_waiting_tasks{provider="anthropic"} 1.0',
        'experience_task_paused{citizen="opus",task="report"} 0.0',
    } <= shown


def test_a_provider_that_is_back_is_0_and_does_not_vanish():
    counts = EventCounts(NOW)
    lines(MIRA, counts=counts)
    assert 'experience_provider_away{provider="anthropic"} 0.0' in lines(ARIA, counts=counts)
