"""The timeline: what ran in the past hour and what will run, asked of owners for the rows in sight only."""

from contextlib import suppress
from dataclasses import replace

from textual.worker import WorkerCancelled

from scheduler.core.records import RunRecord
from scheduler.core.task import Outcome, Trigger
from scheduler.core.views import Snapshot, TaskStatus
from scheduler.errors import Disconnected
from tests.each import each
from tests.fakes import NOON, FakeControl, FakeFleet, until
from tests.screens.driving import cursor, press, screen, shown
from tests.screens.situations import demo, task
from tui.details.screen import Details
from tui.palette.help import Help
from tui.timeline.screen import Timeline

HOUR = 3600.0


def citizen(name: str = "opus", *names: str) -> FakeControl:
    names = names or ("tick", "tock")
    control = FakeControl(Snapshot(name, tuple(task(each) for each in names)))
    control.times = {each: tuple(NOON + 2 * HOUR * n + 60 for n in range(12)) for each in names}
    return control


def row(pilot, name: str) -> str:
    return next(line for line in shown(pilot).splitlines()[3:] if f"/{name} " in line)


async def opened(pilot, *keys: str) -> None:
    await press(pilot, "t", *keys)
    await asked(pilot)


async def asked(pilot) -> None:
    """Wait until the owners have answered, and that is painted."""
    for worker in [worker for worker in pilot.app.workers if worker.group == "forecast"]:
        with suppress(WorkerCancelled):  # another question has taken its place
            await worker.wait()
    await pilot.pause()


async def test_marks_are_where_the_owner_says_that_a_task_will_run():
    control = citizen()
    control.times["tock"] = (NOON + 6 * HOUR,)
    async with screen(FakeFleet(control)) as pilot:
        await opened(pilot)
        assert row(pilot, "tick").count("●") == 12
        assert row(pilot, "tock").count("●") == 1
        axis = next(line for line in shown(pilot).splitlines() if "18:00" in line)
        assert row(pilot, "tock").index("●") == axis.index("18:00")


async def test_the_past_hour_is_what_the_history_says():
    control = citizen()
    runs = [("tick", 50, 49, Outcome.OK), ("tick", 20, 19, Outcome.FAILED), ("tock", 55, 10, Outcome.WARNING)]
    control.runs = tuple(
        RunRecord(n, name, NOON - 60 * start, NOON - 60 * end, 60.0, outcome, Trigger.SCHEDULE)
        for n, (name, start, end, outcome) in enumerate(runs, 1)
    )
    running = task("busy", kind=TaskStatus.RUNNING, running_since=NOON - 1500)
    control.snapshot = replace(control.snapshot, tasks=(*control.snapshot.tasks, running))
    async with screen(FakeFleet(control)) as pilot:
        await opened(pilot, "plus", "plus", "plus", "plus")
        await asked(pilot)
        assert row(pilot, "tick")[4:].count("✓") == 1 and "✗" in row(pilot, "tick")
        assert "▲━━━━" in row(pilot, "tock")
        assert "►━━━" in row(pilot, "busy")[4:]


async def test_what_will_not_run_says_why():
    paused = task("tick", kind=TaskStatus.PAUSED, due=None, paused_at=NOON)
    control = FakeControl(
        Snapshot("opus", (paused, task("tock", kind=TaskStatus.NOT_SET_UP, missing="feeds")))
    )
    async with screen(FakeFleet(control)) as pilot:
        await opened(pilot)
        assert "paused" in row(pilot, "tick") and "needs: feeds" in row(pilot, "tock")


async def test_zoom_in_and_out():
    async with screen(FakeFleet(citizen())) as pilot:
        await opened(pilot)
        assert "15m a cell · 24h ahead" in shown(pilot)
        for keys, words in ((("plus",), "12h"), (("equals_sign",), "6h"), (("minus",) * 4, "7d")):
            await press(pilot, *keys)
            if words == "7d":
                await press(pilot, "minus", "minus")
            await asked(pilot)
            assert f"{words} ahead" in shown(pilot)


async def test_the_time_cursor_moves_and_says_what_runs_then():
    async with screen(FakeFleet(citizen())) as pilot:
        await opened(pilot)
        assert "Mon 12:00 now  2 tasks in sight run then: opus/tick, opus/tock" in shown(pilot)
        await press(pilot, "right", "right")
        assert "Mon 12:30 in 30m  nothing runs then" in shown(pilot)
        await press(pilot, *["right"] * 6)
        assert "Mon 14:00 in 2h  2 tasks" in shown(pilot)
        await press(pilot, *["left"] * 11)
        assert "Mon 11:15 45m ago" in shown(pilot)


async def test_one_task_runs_then():
    async with screen(FakeFleet(citizen("opus", "tick"))) as pilot:
        await opened(pilot)
        assert "now  1 task in sight runs then: opus/tick" in shown(pilot)


async def test_beyond_the_edge_the_window_moves_and_0_leads_back():
    async with screen(FakeFleet(citizen())) as pilot:
        await opened(pilot, *["minus"] * 2)
        view = pilot.app.screen.view
        view.time_cell = view.cells - 1
        before = pilot.app.screen.data.window
        await press(pilot, "right")
        await asked(pilot)
        after = pilot.app.screen.data.window
        assert after.start > before.end - before.cell * before.cells
        assert after.start + view.time_cell * after.cell == before.end
        await press(pilot, "0")
        await asked(pilot)
        assert pilot.app.screen.data.window == before and "now" in shown(pilot).splitlines()[1]


async def test_where_many_fall_together_it_shows():
    fleet = FakeFleet(*(citizen(f"c{n}", "tick") for n in range(6)))
    fleet.view.controls[0].times["tick"] += (NOON + 5 * HOUR,)
    async with screen(fleet) as pilot:
        await opened(pilot)
        crowd = next(line for line in shown(pilot).splitlines() if "load" in line)
        assert crowd.count("▆") == 12 and crowd.count("▁") == 1


async def test_only_the_rows_in_sight_are_asked_about():
    fleet = FakeFleet(*(citizen(f"c{n:04}", *(f"t{each}" for each in range(7))) for n in range(1000)))
    async with screen(fleet, size=(80, 24)) as pilot:
        await opened(pilot)
        assert sum(len(names) for control in fleet.view.controls for names, _ in control.looked) <= 24
        await press(pilot, "G")
        await asked(pilot)
        assert "c0999/t6" in shown(pilot) and "●" in row(pilot, "t6")
        assert sum(bool(control.looked) for control in fleet.view.controls) <= 12


async def test_it_is_asked_again_when_something_has_changed_and_not_before():
    control = citizen()
    fleet = FakeFleet(control)
    async with screen(fleet) as pilot:
        await opened(pilot)
        before = len(control.looked)
        for _ in range(3):
            await fleet.clock.advance(1)
            pilot.app.tick()
            await asked(pilot)
        assert len(control.looked) == before
        control.times = {"tick": (NOON + HOUR,)}
        control.show(replace(control.snapshot, tasks=(task("tick", due=NOON + HOUR), task("tock"))))
        await pilot.pause()
        pilot.app.tick()
        await asked(pilot)
        await until(lambda: len(control.looked) > before, "it is asked again")
        await asked(pilot)
        assert row(pilot, "tick").count("●") == 1


async def test_an_owner_that_does_not_answer_leaves_its_rows_empty():
    control, other = citizen("aria"), citizen("opus")

    async def refused(tasks, window):
        raise Disconnected("gone")

    control.slots = refused
    async with screen(FakeFleet(control, other)) as pilot:
        await opened(pilot)
        lines = shown(pilot).splitlines()[3:]
        assert "●" not in next(line for line in lines if "aria/tick" in line)
        assert "●" in next(line for line in lines if "opus/tick" in line)


async def test_the_filter_and_the_order_of_the_fleet_hold_here_too():
    async with screen(FakeFleet(citizen("aria"), citizen("mira"))) as pilot:
        await press(pilot, "slash", *"mira/tock", "enter")
        await opened(pilot)
        assert "mira/tock" in shown(pilot) and "aria" not in shown(pilot).replace("tick@aria", "")


async def test_moving_and_choosing_a_task():
    async with screen(FakeFleet(citizen("aria"), citizen("mira"))) as pilot:
        await opened(pilot, "down", "j", "k", "G", "up", "g", "end", "home", "down")
        line = next(line for line in shown(pilot).splitlines() if line.startswith("❯"))
        assert "aria/tock" in line
        await press(pilot, "pagedown")
        assert next(line for line in shown(pilot).splitlines() if line.startswith("❯"))[4:13] == "ira/tock "
        await press(pilot, "enter")
        assert isinstance(pilot.app.screen, Details) and "mira/tock" in shown(pilot)
        await press(pilot, "escape", "escape")
        assert cursor(pilot) == "mira/tock"


async def test_the_cursor_stays_with_its_task_when_rows_come_and_go():
    control = citizen("aria", "tick", "tock")
    async with screen(FakeFleet(control)) as pilot:
        await opened(pilot, "down")
        view = pilot.app.screen.view
        for names in (("news", "tick", "tock"), ("tock",)):
            control.show(replace(control.snapshot, tasks=tuple(map(task, names))))
            await pilot.pause()
            pilot.app.tick()
            assert view.under_cursor.row == ("aria", "tock"), names


async def test_a_click_moves_both_cursors():
    async with screen(FakeFleet(citizen("aria"), citizen("mira"))) as pilot:
        await opened(pilot)
        view = pilot.app.screen.view
        await pilot.click("TimelineView", offset=(view.axis_left + 10, 2))
        assert view.time_cell == 10 and view.under_cursor.row == ("mira", "tick")


@each("key", ["q", "t", "escape"])
async def test_the_way_back(key):
    async with screen(FakeFleet(citizen())) as pilot:
        await opened(pilot, key)
        assert not isinstance(pilot.app.screen, Timeline) and not pilot.app._exit


async def test_help_is_about_the_timeline():
    async with screen(FakeFleet(citizen()), size=(100, 60)) as pilot:
        await opened(pilot, "question_mark")
        assert isinstance(pilot.app.screen, Help) and "zoom in: a shorter time" in shown(pilot)


async def test_the_demo_has_one():
    fleet = demo("opus", "mira")()
    async with screen(fleet) as pilot:
        await opened(pilot)
        assert "••••" in row(pilot, "heartbeat") and "●" in row(pilot, "news_scan")
