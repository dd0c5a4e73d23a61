"""A storm of sizes: nothing breaks, nothing is left over, the last looks as if it had been the first."""

import random
from contextlib import suppress

import pytest
from rich.cells import cell_len
from textual.worker import WorkerCancelled

from .driving import shown
from .situations import Situation, demo

ENDLESS = ("follow", "reading")  # what goes on as long as the screen does
SIZES = 100
SMALLEST, LARGEST = (20, 4), (300, 100)
LAST = (97, 31)


def sizes() -> list[tuple[int, int]]:
    chance = random.Random(7)
    (left, top), (right, bottom) = SMALLEST, LARGEST
    some = [(chance.randint(left, right), chance.randint(top, bottom)) for _ in range(SIZES // 4 - 3)]
    return [SMALLEST, LARGEST, *some, LAST]


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    "keys", [(), ("l",), ("t",), ("enter",)], ids=["fleet", "log", "timeline", "details"]
)
async def test_a_storm_of_sizes_leaves_the_screen_as_if_it_had_always_been_the_last_one(keys):
    situation = Situation(demo("opus", "mira", "clio", "zephyr", "dawn"), keys=keys)
    app = situation.app()
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press(*keys)
        for size in sizes():
            await pilot.resize_terminal(*size)
            for strip in app.screen._compositor.render_strips():
                assert cell_len(strip.text) == size[0], size
        stormed = await settled(pilot)
    if keys == ("enter",):
        return  # a large screen has asked for more of the past, and keeps it
    fresh = situation.app()
    async with fresh.run_test(size=LAST) as pilot:
        await pilot.press(*keys)
        assert stormed == await settled(pilot)


async def settled(pilot) -> str:
    """What is on screen once everything that was asked for has come."""
    for _ in range(3):
        for worker in [each for each in pilot.app.workers if each.group not in ENDLESS]:
            with suppress(WorkerCancelled):  # another question has taken its place
                await worker.wait()
        pilot.app.tick()
        await pilot.pause()
    return shown(pilot)
