"""n and N walk through all that is wrong, the worst first."""

from dataclasses import replace

from scheduler.core.views import Snapshot
from tests.fakes import FakeControl, FakeFleet
from tests.screens.driving import cursor, press, screen, shown, toasts
from tests.screens.situations import failed, task


def wrong_in_three_places() -> FakeFleet:
    return FakeFleet(
        FakeControl(Snapshot("aria", (task("heartbeat"), failed("news", "no route", failures_in_a_row=1)))),
        FakeControl(Snapshot("mira", (task("heartbeat"), failed("mail", "login", failures_in_a_row=5)))),
        FakeControl(Snapshot("opus", (task("heartbeat"), task("tick")), unsaved="disk full")),
        FakeControl(Snapshot("wren", (task("heartbeat"),))),
    )


def status(pilot) -> str:
    return shown(pilot).splitlines()[1]


async def test_n_goes_to_the_worst_first_and_round_and_says_which_it_is():
    async with screen(wrong_in_three_places()) as pilot:
        assert "opus: not saved: disk full" in status(pilot) and "2 more" in status(pilot)
        seen = []
        for _ in range(4):
            await press(pilot, "n")
            seen.append((cursor(pilot), status(pilot).split()[-3]))
        assert seen == [
            ("opus/heartbeat", "1"),
            ("mira/mail", "2"),
            ("aria/news", "3"),
            ("opus/heartbeat", "1"),
        ]
        assert "opus: not saved" in status(pilot)


async def test_the_bar_tells_of_the_one_that_was_gone_to_until_the_cursor_leaves_it():
    async with screen(wrong_in_three_places()) as pilot:
        await press(pilot, "n", "n")
        assert "mira/mail failed 1h ago: login" in status(pilot) and "2 of 3" in status(pilot)
        await press(pilot, "up")
        pilot.app.tick()
        await pilot.pause()
        assert "opus: not saved" in status(pilot) and "2 more" in status(pilot)


async def test_N_walks_backwards_and_n_goes_on_from_the_row_under_the_cursor():
    async with screen(wrong_in_three_places()) as pilot:
        await press(pilot, "N")
        assert cursor(pilot) == "aria/news"
        await press(pilot, "g", "down", "N")
        assert cursor(pilot) == "mira/mail"


async def test_what_has_been_mended_is_walked_past():
    fleet = wrong_in_three_places()
    async with screen(fleet) as pilot:
        await press(pilot, "n", "n")
        mira = fleet.view.controls[1]
        mira.show(replace(mira.snapshot, tasks=(task("heartbeat"), task("mail"))))
        await pilot.pause()
        await pilot.pause()
        assert "opus: not saved" in status(pilot) and "1 more" in status(pilot)
        await press(pilot, "n")
        assert cursor(pilot) == "opus/heartbeat"


async def test_a_hidden_problem_is_shown_by_dropping_the_filter():
    async with screen(wrong_in_three_places()) as pilot:
        await press(pilot, "slash", *"wren", "enter", "n", "n")
        assert cursor(pilot) == "mira/mail" and "╭─ mira" in shown(pilot)


async def test_nothing_wrong_is_one_quiet_line_with_what_comes_next():
    async with screen(FakeFleet(FakeControl(Snapshot("wren", (task("heartbeat"),))))) as pilot:
        assert "all well" in shown(pilot).splitlines()[0]
        assert "next heartbeat@wren" in shown(pilot).splitlines()[0]
        assert status(pilot).startswith("╭─ wren")
        await press(pilot, "n")
        assert toasts(pilot) == ["no problem here"]
