"""Drives the monitor in tests: opens it on a fleet, presses keys, reads what is on screen."""

from contextlib import asynccontextmanager, suppress

from textual.worker import WorkerCancelled

from tests.fakes import FakeFleet
from tui.app import ExperienceApp
from tui.common.typed_ahead import ASKING
from tui.fleet.grid import PAINTED, FleetGrid


@asynccontextmanager
async def screen(fleet: FakeFleet, size=(120, 40), **options):
    app = ExperienceApp(fleet, **options)
    async with app.run_test(size=size, notifications=True) as pilot:
        await pilot.pause()
        await pilot.pause()
        yield pilot


def shown(pilot) -> str:
    """All that the terminal shows, as text."""
    strips = pilot.app.screen._compositor.render_strips()
    return "\n".join(strip.text for strip in strips)


def cursor(pilot) -> str:
    place = pilot.app.query_one(FleetGrid).board.cursor
    return f"{place.citizen}/{place.task}"


async def press(pilot, *keys: str) -> None:
    await pilot.press(*keys)
    await answered(pilot)


async def answered(pilot) -> None:
    """Wait until what was asked of citizens has come back, and is painted."""
    for worker in [worker for worker in pilot.app.workers if worker.group in ("verbs", ASKING)]:
        await worker.wait()
    await pilot.pause()


def toasts(pilot) -> list[str]:
    return [note.message for note in pilot.app._notifications]


ENDLESS = ("follow", "keys", "reading")  # workers that go on as long as their screen does


async def settled(pilot) -> None:
    """Wait until everything that was asked for has come, and is painted."""
    for _ in range(2):
        for worker in [each for each in pilot.app.workers if each.group not in ENDLESS]:
            with suppress(WorkerCancelled):  # another question has taken its place
                await worker.wait()
        await pilot.pause(PAINTED)  # by then the lower part has heard of the cursor
        await pilot.pause()


def arrive(*keys: str):
    """What a picture needs before it is taken: the keys pressed, and all that they ask for."""

    async def run(pilot) -> None:
        await pilot.pause()
        await pilot.press(*keys)
        await settled(pilot)

    return run
