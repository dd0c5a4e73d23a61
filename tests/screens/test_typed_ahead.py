"""Keys that are typed in one burst go where a slow typist's would go."""

import pytest
from textual.events import Key, Paste
from textual.keys import _character_to_key

from tests.fakes import FakeFleet, until
from tui.app import ExperienceApp
from tui.dialogs.filter import FilterField
from tui.panels.fleet import FleetGrid
from tui.screens.help import Help
from tui.screens.log import Log

from .driving import cursor, screen, settled, shown
from .test_keys import citizen, fleet_of_three

NAMED = {"\r": "enter", "\x1b": "escape", "\t": "tab"}


def burst(app: ExperienceApp, text: str) -> None:
    """All of these keys at once, before the first is answered."""
    for char in text:
        app.post_message(Key(NAMED.get(char) or _character_to_key(char), char))


def asked(fleet: FakeFleet) -> list[tuple[str, ...]]:
    return [ask for control in fleet.view.controls for ask in control.asked]


async def test_letters_behind_a_slash_are_searched_for_and_nothing_else():
    fleet = fleet_of_three()
    async with screen(fleet) as pilot:
        burst(pilot.app, "/news w")
        await until(lambda: pilot.app.query(FilterField), "a field")
        field = pilot.app.query_one(FilterField)
        await until(lambda: field.value == "news w", "all letters are in the field")
        await settled(pilot)
        assert asked(fleet) == [] and "failing first" not in shown(pilot)


async def test_a_filter_is_typed_kept_and_its_first_task_forced_in_one_burst():
    fleet = FakeFleet(citizen("opus"))
    async with screen(fleet) as pilot:
        burst(pilot.app, "/news\rf")
        await until(lambda: asked(fleet), "something is asked for")
        await settled(pilot)
        assert asked(fleet) == [("force", "news_scan")]


async def test_a_filter_is_opened_again_and_typed_anew():
    async with screen(fleet_of_three()) as pilot:
        burst(pilot.app, "/ne\r/news\r")
        await until(lambda: pilot.app.query_one(FleetGrid).board.filter.text == "news", "what was typed last")


async def test_text_pasted_right_behind_a_slash_is_searched_for():
    async with screen(fleet_of_three()) as pilot:
        burst(pilot.app, "/")
        pilot.app.post_message(Paste("news"))
        await until(lambda: pilot.app.query_one(FleetGrid).board.filter.text == "news", "the paste")


async def test_a_place_is_gone_to_by_the_palette_in_one_burst():
    fleet = fleet_of_three()
    async with screen(fleet) as pilot:
        burst(pilot.app, ":opus/news\rf")
        await until(lambda: asked(fleet), "something is asked for")
        await settled(pilot)
        assert cursor(pilot) == "opus/news_scan"
        assert asked(fleet) == [("force", "news_scan")]


async def test_what_the_palette_opens_takes_the_keys_behind_it():
    fleet = fleet_of_three()
    async with screen(fleet) as pilot:
        burst(pilot.app, ":filter\rnews")
        await until(lambda: pilot.app.query_one(FleetGrid).board.filter.text == "news", "the filter")
        assert asked(fleet) == []


@pytest.mark.parametrize("key", ["\r", "l", "t", "?", ":\x1b:"])
async def test_keys_behind_one_that_opens_a_screen_go_to_that_screen(key):
    fleet, back = fleet_of_three(), "\x1b" if key.startswith(":") else "q"
    async with screen(fleet) as pilot:
        burst(pilot.app, f"{key}{back}" * 5 + "/opus")
        await until(lambda: pilot.app.query_one(FleetGrid).board.filter.text == "opus", "the fleet is back")
        assert asked(fleet) == [] and len(pilot.app.screen_stack) == 1


async def test_the_filter_of_the_log_is_typed_in_the_burst_that_opens_it():
    async with screen(fleet_of_three()) as pilot:
        burst(pilot.app, "l/quick")
        await until(lambda: isinstance(pilot.app.screen, Log), "the log")
        log = pilot.app.screen
        await until(lambda: log.view.filter == "quick", "all letters")


async def test_a_question_gets_the_answer_that_was_typed_right_behind_it():
    fleet = fleet_of_three()
    async with screen(fleet) as pilot:
        burst(pilot.app, "Fn")
        await settled(pilot)
        assert asked(fleet) == []
        burst(pilot.app, "Fy")
        await until(lambda: len(asked(fleet)) == 3, "all are forced")


async def test_keys_of_an_empty_fleet_are_answered():
    fleet = FakeFleet()
    async with screen(fleet) as pilot:
        burst(pilot.app, "?q?q?")
        await until(lambda: isinstance(pilot.app.screen, Help), "the help")
