"""A storm of sizes: nothing breaks, nothing is left over, the last looks as if it had been the first."""

import random

import pytest
from rich.cells import cell_len

from tests.each import each
from tests.fakes import until
from tests.screens.driving import settled, shown
from tests.screens.situations import Situation, demo

SIZES = 100
SMALLEST, LARGEST = (20, 4), (300, 100)
LAST = (97, 31)


def sizes() -> list[tuple[int, int]]:
    chance = random.Random(7)
    (left, top), (right, bottom) = SMALLEST, LARGEST
    some = [(chance.randint(left, right), chance.randint(top, bottom)) for _ in range(SIZES // 4 - 3)]
    return [SMALLEST, LARGEST, *some, LAST]


@pytest.mark.timeout(180)
@each("keys", [(), ("l",), ("t",), ("enter",)])
async def test_a_storm_of_sizes_leaves_the_screen_as_if_it_had_always_been_the_last_one(keys):
    situation = Situation(demo("opus", "mira", "clio", "zephyr", "dawn"), keys=keys)
    app = situation.app()
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press(*keys)
        for size in sizes():
            await pilot.resize_terminal(*size)
            await until(lambda size=size: widths(pilot) == {size[0]}, f"every line has the width of {size}")
        stormed = await looks(pilot)
    if keys == ("enter",):
        return  # a large screen has asked for more of the past, and keeps it
    fresh = situation.app()
    async with fresh.run_test(size=LAST) as pilot:
        await pilot.press(*keys)
        assert stormed == await looks(pilot)


def widths(pilot) -> set[int]:
    return {cell_len(strip.text) for strip in pilot.app.screen._compositor.render_strips()}


async def looks(pilot) -> str:
    """What is on screen once everything that was asked for has come."""
    for _ in range(2):
        await settled(pilot)
        pilot.app.tick()
    await settled(pilot)
    return shown(pilot)
