"""What a panel says of a row that is held, and of what a wake costs."""

from scheduler.core.costs import Money
from scheduler.core.state import Skips
from scheduler.core.task import WAKE
from scheduler.core.views import Hold, HoldKind, Snapshot, TaskStatus, TaskView
from tests.fakes import NOON
from tui.fleet.panels.contents import Density, below
from tui.fleet.panels.holding import held_in_full, held_words
from tui.fleet.summary import FleetSummary
from tui.glyphs import UNICODE

OVER = Hold(HoldKind.BUDGET, "over budget until 00:00 ($5.02 of $5.00)", NOON + 3600, "own")
AWAY = Hold(HoldKind.PROVIDER, "waits for anthropic until 15:00 (usage limit)", NOON + 3600, "anthropic")
TRIED = Hold(HoldKind.PROVIDER, "waits for anthropic, which mira tries now", None, "anthropic")
UNNOTED = Hold(HoldKind.BUDGET, "its cost cannot be noted (No space left on device)", None, "uncounted")


def wake(held: Hold | None = None, **more) -> TaskView:
    kind = TaskStatus.OVER_BUDGET if held is OVER else TaskStatus.WAITS if held else TaskStatus.OK
    return TaskView(WAKE, kind, "10m", held=held, note=held.why if held else "", **more)


def lines(
    task: TaskView, width: int = 34, density: Density = Density.ROOMY
) -> list[tuple[str, float | None]]:
    money = Money("5.02", "31.16", "5.00", "60.00")
    return [(line.text, line.until) for line in below(task, width, density, UNICODE, money)]


def test_the_row_says_what_it_waits_for_and_in_little_room_until_when():
    assert [held_words(each) for each in (OVER, AWAY, TRIED, UNNOTED)] == [
        *("over budget", "waits for anthropic", "waits for anthropic", "waits"),
    ]
    assert held_words(AWAY, brief=True) == "until 15:00"
    assert held_words(OVER, brief=True) == "over budget"
    assert held_in_full(OVER) == "over budget until 00:00" and held_in_full(TRIED) == TRIED.why


def test_the_lines_below_say_until_when_and_what_lifts_it():
    spent = wake(OVER, cost_today="5.02", skips=Skips("2026-03-02", 12, 85))
    assert lines(spent) == [
        ("until 00:00 · B allows more", None),
        ("$5.02 of $5.00 · skipped 12 of 85", None),
    ]
    assert lines(wake(AWAY, cost_today="0.37")) == [
        ("until 15:00 (usage limit)", NOON + 3600),
        ("$0.37 today", None),
    ]
    assert lines(wake(TRIED)) == [("which mira tries now", None)]
    assert lines(wake(UNNOTED))[0][0].startswith("its cost cannot be noted")
    assert lines(spent, density=Density.NO_REASONS) == []


def test_a_wide_panel_says_the_limits_and_the_month():
    assert lines(wake(cost_today="0.37"), 60) == [("$0.37 today of $5.00", None)]
    assert lines(wake(OVER, cost_today="5.02"), 60) == [
        ("until 00:00: $5.02 of $5.00 spent · B allows more", None),
        ("$31.16 of $60.00 this month", None),
    ]


def test_a_wake_that_never_cost_anything_says_nothing_of_money():
    assert lines(wake()) == []
    assert lines(wake(skips=Skips("2026-03-02", 1, 2))) == [("skipped 1 of 2 today", None)]


def test_a_provider_that_is_away_is_one_problem_for_all_who_wait_and_a_budget_one_for_each():
    fleet = FleetSummary()
    fleet.set_citizens({"opus", "mira", "aria"})
    for name, held in (("opus", OVER), ("mira", AWAY), ("aria", AWAY)):
        fleet.update_snapshot(Snapshot(name, (wake(held),), money=Money("1.10", "2", "5")))
    status = fleet.status()
    assert (status.problem_count, status.waiting, status.over) == (2, 2, 1)
    assert status.worst and status.worst.row == ("opus", WAKE)
    assert [problem.row for problem in fleet.all_problems()] == [("opus", WAKE), ("aria", WAKE)]
    assert str(status.money.today) == "3.30" and not status.money.near


def test_money_stands_out_when_somebody_has_nearly_spent_a_budget():
    fleet = FleetSummary()
    fleet.set_citizens({"opus"})
    fleet.update_snapshot(Snapshot("opus", (wake(),), money=Money("4.00", "4.00", "5.00")))
    assert fleet.status().money.near
