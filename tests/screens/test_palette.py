"""The palette: every action, every citizen and every task, by a few letters."""

from scheduler.core.views import Snapshot
from tests.each import each
from tests.fakes import FakeControl, FakeFleet
from tests.screens.driving import cursor, press, screen, shown
from tests.screens.situations import task
from tui.keys import FLEET_KEYS
from tui.log.screen import Log
from tui.palette.screen import Palette


def fleet() -> FakeFleet:
    return FakeFleet(
        *(
            FakeControl(Snapshot(name, (task("heartbeat"), task("news_scan"))))
            for name in ("aria", "mira", "opus")
        )
    )


@each("key", ["colon", "ctrl+p"])
async def test_a_task_is_gone_to(key):
    async with screen(fleet()) as pilot:
        await press(pilot, key, *"opnews", "enter")
        assert cursor(pilot) == "opus/news_scan" and not isinstance(pilot.app.screen, Palette)


async def test_a_citizen_is_gone_to():
    async with screen(fleet()) as pilot:
        await press(pilot, "colon", *"mira", "enter")
        assert cursor(pilot) == "mira/heartbeat"


async def test_an_action_is_done():
    controls = fleet()
    async with screen(controls) as pilot:
        await press(pilot, "colon", *"force: run", "enter")
        await pilot.pause()
        assert controls.view.controls[0].asked == [("force", "heartbeat")]
        await press(pilot, "colon", *"log", "enter")
        await pilot.pause()
        assert isinstance(pilot.app.screen, Log)


async def test_every_action_is_in_it_under_the_key_it_has_now():
    async with screen(fleet(), size=(120, 40)) as pilot:
        await press(pilot, "colon")
        entries = pilot.app.screen.entries
        labels = "\n".join(entry.label for entry in entries)
        alone = ("move",)  # with one machine there is nowhere to move to
        assert [k.id for k in FLEET_KEYS if k.description not in labels and k.id not in alone] == []
        assert (
            next(entry.beside for entry in entries if entry.label.startswith("force aria/heartbeat: ")) == "f"
        )
        assert [entry.label for entry in entries if entry.beside == "citizen"] == ["aria", "mira", "opus"]


async def test_on_another_screen_it_has_the_actions_of_that_screen_and_leads_away_from_it():
    async with screen(fleet()) as pilot:
        await press(pilot, "l", "colon")
        assert any("newest" in entry.label for entry in pilot.app.screen.entries)
        await press(pilot, *"mira/news", "enter")
        assert cursor(pilot) == "mira/news_scan" and not isinstance(pilot.app.screen, Log)


async def test_moving_in_it_and_leaving_it():
    async with screen(fleet()) as pilot:
        await press(pilot, "colon", *"news", "down", "down", "up", "pagedown", "pageup", "down", "enter")
        assert cursor(pilot) == "mira/news_scan"
        await press(pilot, "colon", *"opus", "escape")
        assert cursor(pilot) == "mira/news_scan" and not isinstance(pilot.app.screen, Palette)


async def test_nothing_found_is_said_and_nothing_happens():
    async with screen(fleet()) as pilot:
        await press(pilot, "colon", *"zzzz", "enter")
        assert "nothing is called that" in shown(pilot) and isinstance(pilot.app.screen, Palette)


async def test_a_click_chooses():
    async with screen(fleet()) as pilot:
        await press(pilot, "colon", *"news")
        await pilot.click("Found", offset=(10, 2))
        await pilot.pause()
        assert cursor(pilot) == "opus/news_scan"


async def test_no_key_acts_while_it_is_open():
    controls = fleet()
    async with screen(controls) as pilot:
        await press(pilot, "colon", *"frpwTSq?:")
        assert pilot.app.screen.query_one("Input").value == "frpwTSq?:"
        assert [control.asked for control in controls.view.controls] == [[], [], []]
        assert pilot.app.theme == "experience-dark"


async def test_read_only_offers_no_verbs():
    async with screen(fleet(), read_only=True) as pilot:
        await press(pilot, "colon")
        assert not any(entry.label.startswith("force") for entry in pilot.app.screen.entries)


async def test_what_is_done_to_the_row_under_the_cursor_names_it():
    async with screen(fleet(), size=(120, 40)) as pilot:
        await press(pilot, "down", "colon", *"stop aria")
        assert "stop aria/news_scan: it is not running" in shown(pilot)
        labels = [entry.label for entry in pilot.app.screen.entries]
        assert "sort: name, failing, next" in labels  # nothing is said twice
        assert f"1 of {len(labels)}" in shown(pilot)
