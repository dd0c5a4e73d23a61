"""Keys that show the same differently: runs by cost, skipped times one by one, long lines cut."""

from scheduler.core.costs import RunCost
from scheduler.core.records import RunRecord
from scheduler.core.task import Outcome, Trigger
from scheduler.core.views import Snapshot
from tests.fakes import NOON, FakeControl
from tests.screens.details.test_details_keys import details
from tests.screens.driving import press, settled, shown, toasts
from tests.screens.situations import task


def record(number: int, outcome: Outcome = Outcome.OK, text: str = "", **more) -> RunRecord:
    at = NOON - 600 * number
    return RunRecord(50 - number, "tick", at, at + 9, 9.0, outcome, Trigger.SCHEDULE, 1, text, **more)


def with_runs(*runs: RunRecord) -> FakeControl:
    control = FakeControl(Snapshot("opus", (task("tick"),)))
    control.runs = runs
    return control


async def test_z_shows_each_skipped_time_and_folds_them_again():
    runs = [record(n, Outcome.SKIPPED, "nothing new since 11:00") for n in (1, 2, 3)]
    async with details(with_runs(*runs)) as pilot:
        assert "11:30 - 11:50" in shown(pilot) and "skipped 3 times: nothing new" in shown(pilot)
        assert "z unfold" in shown(pilot)
        await press(pilot, "z")
        assert "3 times" not in shown(pilot) and shown(pilot).count("skipped: ") == 3
        await press(pilot, "z")
        assert "skipped 3 times" in shown(pilot)
        await press(pilot, "c")
        assert toasts(pilot) == ["nothing here has cost anything"]


async def test_enter_shows_each_time_of_the_row_under_the_cursor_alone():
    hours = [record(n, Outcome.SKIPPED, "nothing new since 11:00") for n in (1, 2)]
    before = [record(n, Outcome.SKIPPED, "nothing new since 11:30") for n in (4, 5, 6)]
    async with details(with_runs(*hours, record(3), *before), size=(140, 40)) as pilot:
        await press(pilot, "down", "down", "enter")
        assert "skipped 2 times" in shown(pilot) and "skipped 3 times" not in shown(pilot)
        await press(pilot, "down", "enter")
        assert "skipped 3 times" in shown(pilot)
        await press(pilot, "up", "enter")  # on a run, enter still opens what it printed
        assert "─ runs ─" not in shown(pilot)


async def test_what_is_not_new_says_since_when():
    runs = [record(n, Outcome.SKIPPED, "nothing new") for n in (1, 2, 3)] + [record(4)]
    async with details(with_runs(*runs), size=(140, 40)) as pilot:
        assert "11:30 - 11:50  skipped 3 times: nothing new since 11:20" in shown(pilot)


async def test_c_puts_the_dearest_run_first_and_the_cursor_stays_on_its_run():
    cheap, dear = record(1, cost=RunCost(cost_usd="0.10")), record(2, cost=RunCost(cost_usd="0.61"))
    control = with_runs(cheap, dear)
    async with details(control, size=(140, 40)) as pilot:
        text = shown(pilot)
        assert text.rindex("11:50:00") < text.rindex("11:40:00") and "c by cost" in text
        await press(pilot, "c")
        text = shown(pilot)
        assert text.rindex("11:40:00") < text.rindex("11:50:00") and "c by time" in text
        assert pilot.app.screen.runs.chosen.run.id == cheap.id


async def test_W_cuts_long_lines_and_wraps_them_again():
    control = with_runs(record(1, printed=True))
    control.outputs = {49: "begin " + "x" * 300 + "end\nsecond"}
    async with details(control) as pilot:
        await settled(pilot)
        assert "end" in shown(pilot).replace("legend", "")
        await press(pilot, "W")
        assert "xend" not in shown(pilot) and "x…" in shown(pilot) and "second" in shown(pilot)
        await press(pilot, "W")
        assert "xend" in shown(pilot)
