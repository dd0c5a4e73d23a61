"""Keys that are typed in one burst go where a slow typist's would go."""

import asyncio
from contextlib import asynccontextmanager
from types import SimpleNamespace

from textual.app import ScreenStackError
from textual.events import Key, MouseDown, MouseUp, Paste
from textual.keys import _character_to_key

from tests.each import each
from tests.fakes import FakeFleet, until
from tests.screens.driving import cursor, screen, settled, shown
from tests.screens.fleet.test_keys import citizen, fleet_of_three
from tui.app import ExperienceApp
from tui.common.filter_field import FilterField
from tui.common.typed_ahead import LOOK, TypedAhead
from tui.fleet.grid import FleetGrid
from tui.log.screen import Log
from tui.palette.help import Help

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


@each("key", ["\r", "l", "t", "?", ":\x1b:"])
async def test_keys_behind_one_that_opens_a_screen_go_to_that_screen(key):
    fleet, back = fleet_of_three(), {":": "\x1b", "?": "?"}.get(key[0], "q")
    async with screen(fleet) as pilot:
        burst(pilot.app, f"{key}{back}" * 5 + "/opus")
        await until(lambda: pilot.app.query_one(FleetGrid).board.filter.text == "opus", "the fleet is back")
        assert asked(fleet) == [] and len(pilot.app.screen_stack) == 1


async def test_the_filter_of_the_log_is_typed_in_the_burst_that_opens_it():
    async with screen(fleet_of_three()) as pilot:
        burst(pilot.app, "l&quick")
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
        burst(pilot.app, "?????")
        await until(lambda: isinstance(pilot.app.screen, Help), "the help")


async def test_a_click_comes_after_the_keys_that_were_before_it():
    async with screen(fleet_of_three()) as pilot:
        order = []
        let_in = pilot.app._typed._let_in

        async def noting(event):
            order.append(type(event).__name__)
            await let_in(event)

        pilot.app._typed._let_in = noting
        burst(pilot.app, "jj")
        for kind in (MouseDown, MouseUp):
            pilot.app.post_message(kind(None, 3, 3, 0, 0, 1, False, False, False))
        burst(pilot.app, "j")
        await until(lambda: len(order) == 5, "all have come")
        assert order == ["Key", "Key", "MouseDown", "MouseUp", "Key"]


@each("key", ["ctrl+q", "ctrl+c"])
async def test_who_wants_to_get_out_waits_for_no_other_key(key):
    fleet = fleet_of_three()
    fleet.can_hand_over = False
    async with screen(fleet) as pilot:
        pilot.app._typed._typed = asyncio.Queue()  # what waits there never comes in
        burst(pilot.app, "jjj")
        pilot.app.post_message(Key(key, None))
        await until(lambda: pilot.app._exit, "it ends")


class Node:
    """Something on a screen that learns of a call, and makes it or not."""

    def __init__(self, answers: bool = True, takes: bool = True) -> None:
        self.is_attached, self._answers, self._takes = True, answers, takes

    @property
    def ancestors_with_self(self) -> list["Node"]:
        return [self]

    def call_later(self, callback, *given) -> bool:
        if self._takes and self._answers:
            callback(*given)
        return self._takes

    def check_consume_key(self, key: str, character: str | None) -> bool:
        return False


@asynccontextmanager
async def typed_on(node: Node):
    """Keys that go to this node, and what was let in."""
    let_in = []

    async def note(event: Key) -> None:
        let_in.append(event.key)

    typed = TypedAhead(SimpleNamespace(focused=node, screen=node, workers=()), note)
    work = asyncio.create_task(typed.run())
    yield typed, let_in
    work.cancel()
    await asyncio.wait({work})
    assert len(asyncio.all_tasks()) == 1  # nothing of it is left


async def test_a_node_that_has_gone_with_its_call_keeps_no_key():
    node = Node(answers=False)
    async with typed_on(node) as (typed, let_in):
        await typed.put(Key("a", "a"))
        await typed.put(Key("b", "b"))
        await asyncio.sleep(2 * LOOK)
        assert let_in == ["a"]
        node.is_attached = False
        await until(lambda: let_in == ["a", "b"], "the next key")


async def test_a_node_that_takes_no_calls_any_more_keeps_no_key():
    async with typed_on(Node(takes=False)) as (typed, let_in):
        await typed.put(Key("a", "a"))
        await typed.put(Key("b", "b"))
        await until(lambda: let_in == ["a", "b"], "the next key")


async def test_a_node_that_hangs_keeps_keys_for_a_while_only(monkeypatch):
    monkeypatch.setattr("tui.common.typed_ahead.LOOK", 0.001)
    async with typed_on(Node(answers=False)) as (typed, let_in):
        await typed.put(Key("a", "a"))
        await typed.put(Key("b", "b"))
        await until(lambda: let_in == ["a", "b"], "the next key")


async def test_an_app_that_ends_has_no_screen_to_let_a_key_in():
    class Ended:
        @property
        def focused(self) -> None:
            raise ScreenStackError("No screens on stack")

    typed = TypedAhead(Ended(), print)
    await typed.put(Key("a", "a"))
    await typed.run()
