"""When tasks will run, asked of whichever Control: the owner's own schedule answers."""

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from scheduler.core.schedules.forecast import MOST_CELLS, TimeGrid
from tests.contract.test_control import ACTING, ONLOOKER, answering
from tests.crash.loops import Place

TASKS = """
[tasks.hourly]
cron = "@hourly"
timezone = "UTC"
command = ["true"]
[tasks.minutely]
cron = "* * * * *"
command = ["true"]
[tasks.never]
every = "5m"
enabled = false
command = ["true"]
"""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    (place.home / "experience.toml").write_text(TASKS)
    return place


@pytest.fixture(params=[*ACTING, ONLOOKER])
async def control(request: pytest.FixtureRequest, place: Place) -> AsyncIterator[Any]:
    async with answering(request.param, place) as control:
        yield control


async def test_every_control_answers_from_the_schedule(control):
    start = time.time() + 60  # the bench may be on a clock of its own: cron's slots are the same on all
    window = TimeGrid(start // 3600 * 3600 + 7200, 900.0, 96)
    slots = await control.slots(["hourly", "minutely", "never", "unknown"], window)
    assert slots["hourly"] == tuple(window.start + 3600 * n for n in range(24))
    assert slots["minutely"] == tuple(window.start + 900 * n for n in range(96))
    assert slots["never"] == () and "unknown" not in slots


async def test_an_answer_is_bounded(control):
    window = TimeGrid(time.time() + 60, 60.0, 10_000_000)
    slots = await control.slots(["minutely"], window)
    assert len(slots["minutely"]) <= MOST_CELLS + 1
