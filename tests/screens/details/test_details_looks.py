"""How the details screen looks in every situation, as pictures; and that it stays within its cells."""

import pytest
from rich.cells import cell_len

from tests.each import each
from tests.screens.details.details_situations import DETAILS


@pytest.mark.timeout(240)  # twenty screens
def test_it_looks_as_it_should(changed_looks):
    assert changed_looks(DETAILS) == []


@each("size", [(200, 60), (80, 24), (60, 12), (20, 4), (1, 1)])
@each("name", ["details_hostile", "details_running"])
async def test_every_line_has_exactly_the_width_of_the_terminal_and_nothing_that_obeys(name, size):
    situation = DETAILS[name]
    async with situation.app().run_test(size=size) as pilot:
        await pilot.press(*situation.keys)
        for keys in ((), ("tab",), ("tab",), ("down", "down", "enter"), ("pagedown",)):
            await pilot.press(*keys)
            await pilot.pause()
            for strip in pilot.app.screen._compositor.render_strips():
                assert all(char.isprintable() for char in strip.text), strip.text
                assert cell_len(strip.text) == size[0], strip.text


@pytest.mark.timeout(240)  # twenty screens
@each("name", DETAILS)
async def test_ascii_draws_nothing_else(name):
    situation = DETAILS[name]
    app = situation.app().__class__(situation.fleet(), ascii=True)
    async with app.run_test(size=situation.size) as pilot:
        await pilot.press(*situation.keys)
        await pilot.pause()
        for strip in app.screen._compositor.render_strips():
            assert strip.text.isascii(), strip.text
