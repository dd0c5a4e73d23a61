"""`B` shows what was spent and allows more; `w` asks where a wake costs money or something is in its way."""

from dataclasses import replace

from scheduler.core.costs import Money
from scheduler.core.views import Hold, HoldKind, WakeView
from tests.fakes import FakeClock, FakeFleet, until
from tests.screens.driving import press, screen, shown
from tests.screens.money_situations import ARIA, MIDNIGHT, MIRA, NOW, OPUS, control

ALL_OVER = Hold(
    HoldKind.BUDGET, "over budget until 00:00 ($9.02 of $9.00, all citizens)", MIDNIGHT, "all 2026-11-24"
)


def opus(**changes) -> FakeFleet:
    return FakeFleet(control(replace(OPUS, **changes)), clock=FakeClock(NOW))


async def test_B_shows_what_was_spent_and_allows_more_for_today():
    fleet = opus()
    (citizen,) = fleet.view.controls
    async with screen(fleet) as pilot:
        await press(pilot, "B")
        text = shown(pilot)
        assert "$5.02 of $5.00" in text and "$31.16 of $60.00, $28.84 left" in text
        await press(pilot, "escape")
        assert citizen.asked == []
        await press(pilot, "B", "2")
        assert citizen.asked == [("add_to_budget", "2")]


async def test_another_amount_is_typed_and_what_is_none_is_not_taken():
    fleet = opus()
    (citizen,) = fleet.view.controls
    async with screen(fleet) as pilot:
        await press(pilot, "B", "d", *"abc", "enter")
        assert "not an amount above 0" in shown(pilot) and citizen.asked == []
        await press(pilot, "backspace", "backspace", "backspace", *"0.50", "enter")
        await until(lambda: citizen.asked == [("add_to_budget", "0.50")], "it was allowed")
        await press(pilot, "B", "d", *"3", "escape", "escape")
        assert len(citizen.asked) == 1


async def test_where_nothing_is_limited_B_only_shows():
    fleet = FakeFleet(
        control(replace(ARIA, freeze=None, money=Money("1.92", "9.08", unknown=2))), clock=FakeClock(NOW)
    )
    async with screen(fleet) as pilot:
        await press(pilot, "B")
        text = shown(pilot)
        assert "No limit is set" in text and "the cost of 2 runs" in text and "allow" not in text
        await press(pilot, "1", "enter")
    assert fleet.view.controls[0].asked == []


async def test_the_limit_of_all_is_lifted_for_all():
    rows = (replace(OPUS.tasks[0], held=ALL_OVER), *OPUS.tasks[1:])
    fleet = opus(tasks=rows, money=Money("1.00", "1.00"))
    async with screen(fleet) as pilot:
        await press(pilot, "B")
        assert "Budget of all citizens" in shown(pilot)
        await press(pilot, "5")
    assert fleet.view.controls[0].asked == [("add_to_budget", "5", "together")]


async def test_a_wake_over_the_budget_is_allowed_first_and_then_comes():
    fleet = opus()
    (citizen,) = fleet.view.controls
    async with screen(fleet) as pilot:
        await press(pilot, "w")
        text = shown(pilot)
        assert "over budget until 00:00" in text and "allow $1.00 more today, and wake" in text
        await press(pilot, "escape")
        assert citizen.asked == []
        await press(pilot, "w", "w")
        assert citizen.asked == [("add_to_budget", "1"), ("wake",)]
        await press(pilot, "w", "d", *"7", "enter")
        both = [("add_to_budget", "7"), ("wake",)]
        await until(lambda: citizen.asked[2:] == both, "it was allowed and woke")


async def test_a_wake_of_who_waits_for_a_provider_tries_it():
    fleet = FakeFleet(control(MIRA), clock=FakeClock(NOW))
    async with screen(fleet) as pilot:
        await press(pilot, "w")
        assert "This wake would be the one that tries it" in shown(pilot)
        await press(pilot, "w")
    assert fleet.view.controls[0].asked == [("try_provider", "anthropic"), ("wake",)]


async def test_a_wake_that_never_cost_anything_comes_at_once():
    citizen = control(replace(ARIA, freeze=None, wake=WakeView(3, NOW + 60), money=None))
    citizen.runs = ()
    async with screen(FakeFleet(citizen, clock=FakeClock(NOW))) as pilot:
        await press(pilot, "w")
    assert citizen.asked == [("wake",)]


async def test_a_read_only_screen_has_no_budget_key():
    fleet = opus()
    async with screen(fleet, read_only=True) as pilot:
        await press(pilot, "B")
        assert "Budget of" not in shown(pilot)
