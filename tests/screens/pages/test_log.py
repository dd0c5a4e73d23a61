"""The log screen: follows, stops following, filters, and leads to the task."""

from dataclasses import replace

from scheduler.core.records import RunRecord
from scheduler.core.task import Outcome
from scheduler.core.views import Snapshot
from tests.fakes import NOON, FakeControl, FakeFleet, until
from tests.screens.driving import cursor, press, screen, shown
from tests.screens.situations import events, task
from tui.details.screen import Details
from tui.fleet.grid import FleetGrid
from tui.log.screen import Log
from tui.palette.help import Help


def ticks(citizen: str, count: int, first: int = 1) -> tuple:
    runs = ((n, "finished", "tick", Outcome.OK, f"run {n}") for n in range(first - 1, first - 1 + count))
    return events(citizen, *runs, first=first)


def citizen(name: str = "opus", count: int = 100) -> FakeControl:
    return FakeControl(Snapshot(name, (task("tick"), task("tock")), events=ticks(name, count)))


def add(control: FakeControl, text: str, seq: int, at: float = 500) -> None:
    new = events(control.citizen, (at, "finished", "tick", Outcome.FAILED, text), first=seq)
    control.show(replace(control.snapshot, events=(*control.snapshot.events, *new)))


def drawn(pilot) -> list[str]:
    """The lines of the log, without the scrollbar."""
    return [line[:-1] for line in shown(pilot).splitlines()[2:-1]]


def last(pilot) -> str:
    return drawn(pilot)[-1]


def cursor_line(pilot) -> str:
    return next((line for line in drawn(pilot) if line.startswith("❯")), "")


async def test_l_shows_the_newest_event_at_the_end_and_follows():
    control = citizen()
    async with screen(FakeFleet(control), size=(80, 24)) as pilot:
        await press(pilot, "l")
        assert "following" in shown(pilot) and "run 99" in last(pilot)
        add(control, "a new one", 101)
        await pilot.pause()
        await pilot.pause()
        assert "a new one" in last(pilot)


async def test_looking_further_up_stops_following_and_says_so_until_G():
    control = citizen()
    async with screen(FakeFleet(control), size=(80, 24)) as pilot:
        await press(pilot, "l", "up", "up")
        before = last(pilot)
        add(control, "a new one", 101)
        await pilot.pause()
        await pilot.pause()
        assert "paused" in shown(pilot) and "3 below" in shown(pilot)
        assert last(pilot) == before
        await press(pilot, "G")
        assert "following" in shown(pilot) and "a new one" in last(pilot)


async def test_the_wheel_stops_following_too():
    async with screen(FakeFleet(citizen()), size=(80, 24)) as pilot:
        await press(pilot, "l")
        pilot.app.screen.view.scroll_to(y=10, animate=False)
        await pilot.pause()
        assert "paused" in shown(pilot)


async def test_down_to_the_last_line_follows_again():
    async with screen(FakeFleet(citizen()), size=(80, 24)) as pilot:
        await press(pilot, "l", "k", "j")
        assert "following" in shown(pilot)


async def test_moving_through_the_log():
    async with screen(FakeFleet(citizen()), size=(80, 24)) as pilot:
        for keys, said in (
            (("l", "g"), "Mon 02 Mar"),
            (("j",), "run 0"),
            (("pagedown",), "run 20"),
            (("pageup",), "run 0"),
            (("end",), "run 99"),
            (("home", "down", "down"), "run 1"),
        ):
            await press(pilot, *keys)
            line = next(line for line in shown(pilot).splitlines() if line.startswith("❯"))
            assert said in line, keys


async def test_ampersand_filters_and_escape_drops_the_filter_then_the_screen():
    control = citizen()
    async with screen(FakeFleet(control, citizen("mira", 5)), size=(80, 24)) as pilot:
        await press(pilot, "l", "ampersand", *"mira", "enter")
        assert "opus/tick" not in shown(pilot) and "Log  5 of 105  only mira" in shown(pilot)
        add(control, "another", 101)
        await pilot.pause()
        assert "another" not in shown(pilot)
        await press(pilot, "escape")
        assert "opus/tick" in shown(pilot)
        await press(pilot, "escape")
        assert not isinstance(pilot.app.screen, Log)
        assert pilot.app.query_one(FleetGrid).board.filter.all


async def test_a_search_keeps_all_lines_marks_hits_and_walks_them():
    async with screen(FakeFleet(citizen(count=30)), size=(80, 24)) as pilot:
        await press(pilot, "l", "slash", *"RUN 1", "enter")  # 1 and 10 to 19
        assert "following" not in shown(pilot) and "/RUN 1" in shown(pilot)
        assert "11 of 11   n next  N before  esc clear" in shown(pilot)
        assert [line[0] for line in drawn(pilot) if "run 18" in line or "run 19" in line] == ["▌", "❯"]
        assert any("run 20" in line and line[0] == " " for line in drawn(pilot))
        await press(pilot, "N")
        assert "10 of 11" in shown(pilot)
        assert next(line for line in drawn(pilot) if line.startswith("❯")).rstrip().endswith("run 18")
        await press(pilot, "n", "n")
        assert "1 of 11" in shown(pilot)  # after the last comes the first
        await press(pilot, "escape")
        assert isinstance(pilot.app.screen, Log) and "of 11" not in shown(pilot)


async def test_a_search_counts_what_happens_meanwhile_and_says_that_nothing_is_found():
    control = citizen(count=30)
    async with screen(FakeFleet(control), size=(80, 24)) as pilot:
        await press(pilot, "l", "slash", *"run 29", "enter")
        assert "1 of 1 " in shown(pilot)
        add(control, "run 29 again", 31)
        await pilot.pause()
        await pilot.pause()
        assert "of 2 " in shown(pilot)
        await press(pilot, "slash", *"zzz")
        assert "no hit" in shown(pilot)
        await press(pilot, "escape", "escape")
        assert not isinstance(pilot.app.screen, Log)


async def test_nothing_found_is_said():
    async with screen(FakeFleet(citizen()), size=(80, 24)) as pilot:
        await press(pilot, "l", "ampersand", *"zzz", "enter")
        assert "nothing matches zzz" in shown(pilot)


async def test_a_filter_that_hides_every_event_for_a_moment_does_not_lose_the_place():
    async with screen(FakeFleet(citizen(count=2000)), size=(80, 24)) as pilot:
        await press(pilot, "l", "pageup", *["up"] * 10)
        place = cursor_line(pilot)
        for keys in (
            ("ampersand", *"!ticks", "enter"),  # `!t` hides them all
            ("escape",),
            ("ampersand", *"zzz", "enter", "escape"),
        ):
            await press(pilot, *keys)
            assert cursor_line(pilot) == place, keys


async def test_no_key_acts_while_the_filter_is_typed():
    async with screen(FakeFleet(citizen()), size=(80, 24)) as pilot:
        await press(pilot, "l", "ampersand", *"qlyGgjk")
        assert isinstance(pilot.app.screen, Log)
        assert pilot.app.screen.query_one("FilterField").value == "qlyGgjk"


async def test_enter_leads_to_the_task_and_escape_back_to_the_log():
    fleet = FakeFleet(citizen("aria", 3), FakeControl(Snapshot("opus", (task("a"), task("tick")))))
    add(fleet.view.controls[1], "broken", 1)
    async with screen(fleet, size=(80, 24)) as pilot:
        await press(pilot, "l", "enter")
        assert isinstance(pilot.app.screen, Details) and "opus/tick" in shown(pilot)
        await press(pilot, "escape")
        assert isinstance(pilot.app.screen, Log)
        await press(pilot, "escape")
        assert cursor(pilot) == "opus/tick"


async def test_enter_leads_to_the_run_of_the_event_however_far_back_it_is():
    opus = FakeControl(Snapshot("opus", (task("tick", last_run=NOON),)))
    opus.runs = tuple(
        RunRecord(n, "tick", NOON + 10 * n, NOON + 10 * n + 2, 2.0, Outcome.OK, text=f"run {n}", printed=True)
        for n in range(200)
    )
    opus.outputs = {n: f"printed by {n}" for n in range(200)}
    add(opus, "broken", 1, at=10 * 37 + 2)
    async with screen(FakeFleet(opus), size=(120, 40)) as pilot:
        await press(pilot, "l", "enter")
        await until(lambda: "printed by 37" in shown(pilot), "its output is there")
        await press(pilot, "up")
        await until(lambda: "printed by 38" in shown(pilot), "the cursor goes on from there")


async def test_enter_on_an_event_whose_run_is_not_remembered_leads_to_the_newest():
    opus = FakeControl(Snapshot("opus", (task("tick", last_run=NOON),)))
    opus.runs = (RunRecord(1, "tick", NOON, NOON + 2, 2.0, Outcome.OK, text="fine", printed=True),)
    opus.outputs = {1: "printed by the newest"}
    add(opus, "broken", 1, at=500)
    async with screen(FakeFleet(opus), size=(120, 40)) as pilot:
        await press(pilot, "l", "enter")
        await until(lambda: "printed by the newest" in shown(pilot), "its output is there")


async def test_enter_on_what_is_of_no_task_leads_to_the_citizen():
    fleet = FakeFleet(citizen("aria", 3), FakeControl(Snapshot("opus", (task("a"),))))
    opus = fleet.view.controls[1]
    opus.show(replace(opus.snapshot, events=events("opus", (9, "started", "wake", None, ""))))
    async with screen(fleet, size=(80, 24)) as pilot:
        await press(pilot, "l", "G", "enter")
        assert cursor(pilot) == "opus/a" and not isinstance(pilot.app.screen, Log)


async def test_y_copies_the_whole_text_cleaned():
    control = citizen()
    async with screen(FakeFleet(control), size=(80, 24)) as pilot:
        add(control, "one\n\x1b[31mtwo", 101)
        await press(pilot, "l", "y")
        assert pilot.app.clipboard == "opus/tick: one\n\\x1b[31mtwo"


async def test_q_and_l_lead_back_and_help_is_about_the_log():
    async with screen(FakeFleet(citizen()), size=(100, 60)) as pilot:
        await press(pilot, "l", "question_mark")
        assert isinstance(pilot.app.screen, Help) and "the newest event; follow it again" in shown(pilot)
        await press(pilot, "escape", "q")
        assert not isinstance(pilot.app.screen, Log)
        await press(pilot, "l", "l")
        assert not isinstance(pilot.app.screen, Log) and not pilot.app._exit


async def test_l_leads_to_the_log_from_every_screen_and_there_is_one_log():
    async with screen(FakeFleet(citizen()), size=(100, 40)) as pilot:
        for before in ("enter", "t"):
            await press(pilot, before, "l")
            assert isinstance(pilot.app.screen, Log)
            for _ in range(3):
                await press(pilot, "enter")
                assert isinstance(pilot.app.screen, Details)
                await press(pilot, "l")
                assert isinstance(pilot.app.screen, Log) and len(pilot.app.screen_stack) == 3
            await press(pilot, "escape", "escape")
            assert len(pilot.app.screen_stack) == 1


async def test_a_click_moves_and_a_second_one_leads_to_the_task():
    async with screen(FakeFleet(citizen()), size=(80, 24)) as pilot:
        await press(pilot, "l")
        await pilot.click("LogView", offset=(20, 5))
        assert "paused" in shown(pilot)
        await pilot.click("LogView", offset=(20, 5), times=2)
        await pilot.pause()
        assert not isinstance(pilot.app.screen, Log)


async def test_the_same_events_stay_in_sight_when_the_oldest_go():
    control = citizen(count=200)
    async with screen(FakeFleet(control), size=(80, 24)) as pilot:
        log = pilot.app._events
        for first in range(201, 5500, 100):
            log.add_events(Snapshot("opus", events=ticks("opus", 100, first)))
        await press(pilot, "l", "pageup")
        before = drawn(pilot)
        log.add_events(Snapshot("opus", events=ticks("opus", 100, 5501)))
        assert log.lost > 0
        pilot.app.tick()
        await pilot.pause()
        await pilot.pause()
        assert drawn(pilot) == before
