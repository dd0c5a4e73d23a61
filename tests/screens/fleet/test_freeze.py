"""Z freezes citizens by a form and thaws them after one question; force and wake ask to thaw first."""

from dataclasses import replace

from scheduler.core.schedules.freeze import Freeze
from scheduler.core.views import Snapshot
from scheduler.errors import SchedulerError
from tests.each import each
from tests.fakes import NOON, FakeControl, FakeFleet
from tests.screens.driving import press, screen, settled, shown, toasts
from tests.screens.situations import failed, task
from tui.fleet.grid import FleetGrid

FROZEN = Freeze(NOON - 540, NOON + 3600, "ct", "invoices [/red]")
HOUR = 3600.0


def citizen(name: str, freeze: Freeze | None = None, **more) -> FakeControl:
    mail = task("mail", schedule="5 * * * *")
    rows = (task("digest", schedule="1h", last_run=NOON - 2 * HOUR), task("report"), mail)
    return FakeControl(Snapshot(name, rows, freeze=freeze, zone="Asia/Tokyo", **more))


async def type_in(pilot, *words: str) -> None:
    """Each in its field, beginning with the end; the last is followed by no tab."""
    for number, text in enumerate(words):
        await press(pilot, *(["tab"] if number else []), *text)


async def test_the_form_freezes_the_citizen_under_the_cursor():
    fleet = FakeFleet(citizen("aria"), citizen("mira"))
    async with screen(fleet) as pilot:
        await press(pilot, "tab", "Z")
        assert "❯ mira   " in shown(pilot)
        assert "until it is thawed" in shown(pilot)
        await type_in(pilot, "2h", "invoices")
        assert "in 2h00m" in shown(pilot)
        await press(pilot, "enter")
        assert fleet.asked == [("freeze", ("mira",), NOON + 2 * HOUR, "invoices", False)]


async def test_an_end_is_a_time_where_the_owner_is():
    fleet = FakeFleet(citizen("aria"))
    async with screen(fleet) as pilot:
        await press(pilot, "Z", *"08:00", "enter")
        ((_, _, until, _, _),) = fleet.asked
        assert until == NOON + 11 * HOUR  # it is 21:00 in Tokyo


async def test_what_is_no_time_is_said_and_nothing_is_asked():
    fleet = FakeFleet(citizen("aria"))
    async with screen(fleet) as pilot:
        await press(pilot, "Z", *"soon", "tab", *"why", "enter")
        assert "'soon' is not a time" in shown(pilot) and fleet.asked == []
        await press(pilot, "escape")
        assert fleet.asked == [] and "soon" not in shown(pilot)


async def test_all_citizens_and_what_runs_with_them():
    fleet = FakeFleet(citizen("aria"), citizen("mira"))
    async with screen(fleet) as pilot:
        await press(pilot, "Z", "shift+tab", "right", "tab", "tab", "tab", "space", "enter")
        assert fleet.asked == [("freeze", (), None, "", True)]


async def test_the_filter_of_the_fleet_does_not_see_what_is_typed():
    async with screen(FakeFleet(citizen("aria"), citizen("mira"))) as pilot:
        await press(pilot, "Z", *"08:00", "escape")
        assert "mira" in shown(pilot) and "aria" in shown(pilot)


async def test_marked_citizens_are_frozen_together():
    fleet = FakeFleet(citizen("aria"), citizen("mira"), citizen("opus"))
    async with screen(fleet) as pilot:
        await press(pilot, "space", "tab", "space", "Z", "enter")
        assert fleet.asked == [("freeze", ("aria", "mira"), None, "", False)]


async def test_on_a_frozen_citizen_it_asks_to_thaw_and_lists_what_is_due():
    fleet = FakeFleet(citizen("aria", FROZEN))
    async with screen(fleet) as pilot:
        await press(pilot, "Z")
        said = shown(pilot)
        assert "Thaw aria?" in said and "Frozen by ct at 11:51 until 13:00: invoices [/red]" in said
        assert "aria/digest" in said and "aria/report" not in said and "❯ esc  leave it frozen" in said
        await press(pilot, "enter")
        assert fleet.asked == []
        await press(pilot, "Z", "Z")
        assert fleet.asked == [("thaw", ("aria",))]


async def test_citizens_that_are_frozen_together_are_thawed_together():
    all_of_them = replace(FROZEN, together=True)
    fleet = FakeFleet(citizen("aria", all_of_them), citizen("mira", all_of_them))
    async with screen(fleet) as pilot:
        await press(pilot, "Z")
        assert "Thaw all citizens?" in shown(pilot)
        await press(pilot, "Z")
        assert fleet.asked == [("thaw", ())]


@each(("key", "asked"), [("f", ("force", "digest")), ("w", ("wake",))])
async def test_force_and_wake_ask_to_thaw_first(key, asked):
    control = citizen("aria", FROZEN)
    fleet = FakeFleet(control)
    async with screen(fleet) as pilot:
        await press(pilot, key)
        assert "Thaw aria?" in shown(pilot) and f"Z    thaw, then {asked[0]}" in shown(pilot)
        await press(pilot, "escape")
        assert (fleet.asked, control.asked) == ([], [])
        await press(pilot, key, "Z")
        await settled(pilot)
        assert (fleet.asked, control.asked) == ([("thaw", ("aria",))], [asked])


async def test_what_could_not_be_thawed_is_not_forced():
    control = citizen("aria", FROZEN)
    fleet = FakeFleet(control)
    fleet.refusal = SchedulerError("freeze.json: Permission denied; make it writable")
    async with screen(fleet) as pilot:
        await press(pilot, "f", "Z")
        await settled(pilot)
        assert control.asked == [] and "Permission denied" in toasts(pilot)[0]


async def test_force_in_the_details_asks_to_thaw_first():
    fleet = FakeFleet(citizen("aria", FROZEN))
    async with screen(fleet) as pilot:
        await press(pilot, "enter", "f")
        assert "Thaw aria?" in shown(pilot)


async def test_a_frozen_panel_says_who_until_when_and_why_and_nothing_ticks():
    rows = (task("digest"), failed("news", "no route"))
    async with screen(FakeFleet(FakeControl(Snapshot("aria", rows, freeze=FROZEN)))) as pilot:
        said = shown(pilot)
        assert "‖ frozen until 13:00 by ct" in said and "1h00m" in said and "invoices [/red]" in said
        assert "‖ 1 frozen" in said and "04:00" not in said and "next digest@aria" not in said
        await press(pilot, "down")
        assert "❯✗ news" in shown(pilot)
        await pilot.click(offset=(5, 4))
        assert "❯✓ digest" in shown(pilot)


async def test_a_freeze_is_a_problem_that_n_leads_to():
    fleet = FakeFleet(citizen("aria"), citizen("mira", FROZEN))
    async with screen(fleet) as pilot:
        assert "‖ mira: frozen until 13:00 by ct: invoices [/red]" in shown(pilot)
        await press(pilot, "n")
        assert pilot.app.query_one(FleetGrid).board.cursor.citizen == "mira"


async def test_a_read_only_screen_has_no_freeze():
    fleet = FakeFleet(citizen("aria"))
    async with screen(fleet, read_only=True) as pilot:
        await press(pilot, "Z")
        assert "who" not in shown(pilot) and fleet.asked == []


async def test_what_is_frozen_for_good_has_no_time_and_no_reason_in_its_row():
    rows = (task("digest", due=None), task("mail", due=None))
    people = FakeFleet(FakeControl(Snapshot("aria", rows, freeze=Freeze(NOON - 540, None, "ct"))))
    async with screen(people, size=(80, 24)) as pilot:
        row = next(line for line in shown(pilot).split("\n") if "digest" in line)
        assert " – ─" in row and "no next time" not in row
        await press(pilot, "v")
        assert "no next time" not in shown(pilot)
