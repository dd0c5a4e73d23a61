"""What stands below the panels: the newest events, or what the task under the cursor printed."""

from dataclasses import replace

from scheduler.core.records import RunRecord
from scheduler.core.task import Outcome, Trigger
from scheduler.core.views import Snapshot, TaskStatus
from scheduler.errors import Disconnected
from tests.fakes import NOON, FakeControl, FakeFleet, until
from tests.screens.driving import press, screen, settled, shown
from tests.screens.situations import events, task
from tui.fleet.summary import FleetSummary


def citizen(name: str = "opus") -> FakeControl:
    happened = ((n, "finished", "news", Outcome.OK, f"{n} new") for n in range(3))
    return FakeControl(Snapshot(name, (task("news"), task("mail")), events=events(name, *happened)))


def with_output(control: FakeControl) -> FakeControl:
    times = NOON - 60, NOON - 48, 12.0
    control.runs = (RunRecord(1, "news", *times, Outcome.OK, Trigger.SCHEDULE, 1, "3 new", True),)
    control.outputs = {1: "reading feeds\n3 new in 4 feeds"}
    return control


async def test_the_newest_events_fill_what_the_panels_leave_free():
    control = citizen()
    async with screen(FakeFleet(control), size=(120, 30)) as pilot:
        text = shown(pilot)
        assert "╭─ events ─" in text and "o output of opus/news" in text
        assert "✓ opus/news     ok 3 times since" in text
        await press(pilot, "down")
        await until(lambda: "o output of opus/mail" in shown(pilot), "it follows the cursor")
        more = (*control.snapshot.events, *events("opus", (9, "finished", "mail", Outcome.FAILED, "no")))
        control.show(replace(control.snapshot, events=more))
        await pilot.pause()
        assert "✗ opus/mail" in shown(pilot)


async def test_a_monitor_that_has_just_started_shows_what_the_history_has(monkeypatch):
    """Also where a run begins at that moment, and where the history cannot be read at first."""
    for seen in ((), events("opus", (0, "started", "mail", None, ""))):
        control = with_output(FakeControl(Snapshot("opus", (task("news"),), events=seen)))
        history, refusals = control.history, [Disconnected("not yet")] if seen else []

        async def late(*given, history=history, refusals=refusals, **named):
            if refusals:
                raise refusals.pop()
            return await history(*given, **named)

        monkeypatch.setattr(control, "history", late)
        async with screen(FakeFleet(control), size=(120, 30)) as pilot:
            await settled(pilot)
            pilot.app.tick()
            await until(lambda: "✓ opus/news     ok in 12s: 3 new" in shown(pilot), "the run before")
            assert "nothing has happened" not in shown(pilot)


async def test_o_shows_the_output_of_the_row_under_the_cursor_then_nothing_then_events_again():
    async with screen(FakeFleet(with_output(citizen())), size=(120, 30)) as pilot:
        await press(pilot, "o")
        await until(lambda: "3 new in 4 feeds" in shown(pilot), "the output")
        assert "output of opus/news ─" in shown(pilot) and "✓ ok in 12s" in shown(pilot)
        assert "─ events ─" not in shown(pilot)
        await press(pilot, "down")
        await until(lambda: "it has not run yet" in shown(pilot), "another task has none")
        await press(pilot, "o")
        assert "output of" not in shown(pilot) and "─ events ─" not in shown(pilot)
        await press(pilot, "o")
        assert "─ events ─" in shown(pilot)


async def test_times_that_were_let_go_do_not_hide_what_the_last_run_printed():
    control = with_output(citizen())
    skipped = replace(control.runs[0], id=2, outcome=Outcome.SKIPPED, text="nothing new", printed=False)
    control.runs = (skipped, *control.runs)
    async with screen(FakeFleet(control), size=(120, 30)) as pilot:
        await press(pilot, "o")
        await until(lambda: "3 new in 4 feeds" in shown(pilot), "the output")


async def test_a_wide_screen_has_room_for_both():
    async with screen(FakeFleet(with_output(citizen())), size=(170, 30)) as pilot:
        await until(lambda: "3 new in 4 feeds" in shown(pilot), "the output")
        assert "─ events ─" in shown(pilot)
        await press(pilot, "o")
        assert "─ events ─" not in shown(pilot) and "3 new in 4 feeds" not in shown(pilot)


async def test_a_run_under_way_is_followed():
    running = task("news", kind=TaskStatus.RUNNING, running_since=NOON - 5)
    control = FakeControl(Snapshot("opus", (running,)))
    control.prints("news", "page 1\n")
    async with screen(FakeFleet(control), size=(120, 30)) as pilot:
        await press(pilot, "o")
        await until(lambda: "following" in shown(pilot), "it is followed")
        await until(lambda: "page 1" in shown(pilot), "what it printed so far")
        control.prints("news", "page 2\n")
        await until(lambda: "page 2" in shown(pilot), "it is there at once")


async def test_where_panels_need_all_lines_there_is_nothing_below_them():
    rows = tuple(task(f"t{n:02}") for n in range(20))
    control = FakeControl(Snapshot("opus", rows[:8]))
    async with screen(FakeFleet(control), size=(80, 24)) as pilot:
        assert "─ events ─" in shown(pilot)
        control.show(Snapshot("opus", rows))
        await pilot.pause()
        await settled(pilot)
        assert "─ events ─" not in shown(pilot)
        await press(pilot, "o")
        assert "the panels leave no room below them" in shown(pilot)
        await press(pilot, "o", "o")
        await pilot.resize_terminal(80, 40)
        await pilot.pause()
        await until(lambda: "─ events ─" in shown(pilot), "there is room again")
        assert "t19" in shown(pilot)


def test_what_runs_is_known_as_soon_as_the_snapshot_is_there():
    """The first picture would otherwise lack the start of what runs, and the second have it."""
    summary = FleetSummary()
    summary.set_citizens({"opus"})
    summary.update_snapshot(Snapshot("opus", (task("news", running_since=NOON),)))
    assert summary.running == {("opus", "news")}
    assert summary.status().running == 1
