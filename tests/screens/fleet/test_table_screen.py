"""The table: the same rows, keys, marks and filter as in the panels, sorted by any column."""

from dataclasses import replace

from textual.events import Resize
from textual.geometry import Region

from scheduler.core.records import RunRecord
from scheduler.core.task import Outcome, Trigger
from scheduler.core.views import Snapshot, TaskStatus
from tests.fakes import NOON, FakeControl, FakeFleet, until
from tests.screens.driving import cursor, press, screen, settled, shown
from tests.screens.situations import failed, task
from tui.details.screen import Details
from tui.fleet.table.view import TaskTable


def citizen(name: str, *more) -> FakeControl:
    rows = (task("beat", due=NOON + 90), failed("news", "no route", due=NOON + 30), *more)
    return FakeControl(Snapshot(name, rows))


def fleet() -> FakeFleet:
    late = task("late", due=NOON + 9000, last_duration=0.17)
    return FakeFleet(citizen("aria"), citizen("opus", late))


def rows(pilot) -> list[str]:
    """Citizen and task of each row of the table, from the top."""
    lines = shown(pilot).splitlines()
    head = next(n for n, line in enumerate(lines) if "last ten" in line)
    end = next(n for n, line in enumerate(lines) if n > head and "──" in line)
    found = [line[2:].split()[:2] for line in lines[head + 1 : end] if line[3:4].strip()]
    return ["/".join(names) for names in found if len(names) == 2]


async def test_tab_goes_to_the_next_row_of_another_citizen_and_back():
    async with screen(fleet()) as pilot:
        await press(pilot, "v", "G", "s", "g")  # citizen after citizen
        places = []
        for key in ("tab", "tab", "shift+tab", "shift+tab"):
            await press(pilot, key)
            places.append(cursor(pilot).partition("/")[0])
        assert places == ["opus", "opus", "aria", "aria"]
        assert cursor(pilot) == rows(pilot)[1]


async def test_keys_of_the_panels_that_a_table_lacks_say_where_the_keys_are():
    async with screen(fleet()) as pilot:
        await press(pilot, "v", "right")
        assert shown(pilot).splitlines()[-1].strip() == "? shows the keys"


async def test_v_shows_all_tasks_as_rows_and_leads_back_with_the_same_cursor():
    async with screen(fleet()) as pilot:
        await press(pilot, "down", "v")
        assert rows(pilot)[:5] == ["aria/news", "opus/news", "aria/beat", "opus/beat", "opus/late"]
        assert cursor(pilot) == "aria/news" and "❯✗ aria" in shown(pilot)
        assert "╭" not in shown(pilot) and "v panels" in shown(pilot)
        await press(pilot, "down", "down", "v")
        assert "╭─ opus" in shown(pilot) and cursor(pilot) == "aria/beat"


async def test_verbs_marks_and_details_are_those_of_the_panels():
    people = fleet()
    aria, opus = people.view.controls
    async with screen(people) as pilot:
        await press(pilot, "v", "g", "f")
        assert aria.asked == [("force", "news")]
        await press(pilot, "space", "space", "p", "y")
        assert ("pause", "news") in aria.asked and ("pause", "news") in opus.asked
        await press(pilot, "G", "enter")
        assert isinstance(pilot.app.screen, Details) and "opus/late" in shown(pilot)
        await press(pilot, "escape")
        assert rows(pilot)[0] == "aria/news"


async def test_s_goes_to_the_next_column_and_R_turns_it_round():
    async with screen(fleet()) as pilot:
        await press(pilot, "v")
        assert "↑ next" in shown(pilot)
        await press(pilot, "R")
        assert "↓ next" in shown(pilot) and rows(pilot)[0] == "opus/late"
        await press(pilot, "s", "s")
        assert "↑ took" in shown(pilot) and rows(pilot)[0] == "opus/late"


async def test_a_click_on_a_head_sorts_and_on_a_row_moves_the_cursor():
    async with screen(fleet()) as pilot:
        await press(pilot, "v")
        at = next(line for line in shown(pilot).splitlines() if "last ten" in line).index("task")
        await pilot.click("TaskTable", offset=(at, 0))
        await pilot.pause()
        assert rows(pilot)[0] == "aria/beat" and "task" in shown(pilot)
        await pilot.click("TaskTable", offset=(10, 4))
        await pilot.pause()
        assert cursor(pilot) == rows(pilot)[3]


async def test_a_filter_is_that_of_the_panels():
    async with screen(fleet()) as pilot:
        await press(pilot, "v", "slash", *"news", "enter")
        assert rows(pilot)[:3] == ["aria/news", "opus/news"]
        await press(pilot, "v")
        assert "beat" not in shown(pilot)
        await press(pilot, "v", "escape")
        assert len(rows(pilot)) >= 5
        await press(pilot, "slash", *"zzz", "enter")
        assert "nothing matches zzz" in shown(pilot)


async def test_the_order_does_not_move_under_the_cursor():
    people = fleet()
    async with screen(people) as pilot:
        await press(pilot, "v")
        control = people.view.controls[0]
        later = tuple(replace(each, due=NOON + 99999) for each in control.snapshot.tasks)
        control.show(replace(control.snapshot, tasks=later))
        await pilot.pause()
        await settled(pilot)
        assert rows(pilot)[0] == "aria/news" and "1d03h" in shown(pilot)
        await press(pilot, "R", "R")
        assert rows(pilot)[0] == "opus/news"


async def test_what_is_usual_comes_from_the_history_of_the_rows_in_sight():
    people = fleet()
    control = people.view.controls[0]
    times = [(1.0 + n / 100) for n in range(12)]
    control.runs = tuple(
        RunRecord(n, "beat", NOON - 60 * n, NOON, took, Outcome.OK, Trigger.SCHEDULE)
        for n, took in enumerate(times)
    )
    slow = replace(control.snapshot.tasks[0], last_duration=9.0, text="fine")
    control.snapshot = replace(control.snapshot, tasks=(slow, *control.snapshot.tasks[1:]))
    async with screen(people) as pilot:
        await press(pilot, "v")
        await until(lambda: "1.0s" in shown(pilot), "the median")
        assert cursor(pilot) == "aria/beat"
        assert "9.0s is slower than usual (p50 1.0s)" in shown(pilot)


async def test_the_lines_below_say_what_the_row_cuts_off():
    broken = failed("scan", "Connection timeout: feeds.example.org:443 " + "and so on " * 5)
    async with screen(FakeFleet(citizen("opus", broken)), size=(80, 24)) as pilot:
        await press(pilot, "v", "G")
        lines = shown(pilot).splitlines()
        assert lines[-3].startswith(" ✗ Connection timeout: feeds.example.org:443 and so on")
        assert "every 5m · last ok" not in lines[-2] and " of 3" not in lines[-2]  # all of it is in sight
    async with screen(FakeFleet(citizen("opus", broken)), size=(120, 30)) as pilot:
        await press(pilot, "v", "G")
        lines = shown(pilot).splitlines()
        assert "opus/scan  every 5m, next 12:04 · 2nd failure in a row" in lines[-3]
        assert "Connection timeout: feeds.example.org:443 and so on" in lines[-2]


async def test_a_problem_is_gone_to_in_the_table_too():
    async with screen(fleet()) as pilot:
        await press(pilot, "v", "G", "n")
        assert cursor(pilot) == "aria/news" and "❯✗ aria" in shown(pilot)


async def test_many_rows_are_walked_through_by_pages():
    many = tuple(task(f"t{n:03}", due=NOON + n) for n in range(200))
    async with screen(FakeFleet(FakeControl(Snapshot("opus", many))), size=(80, 24)) as pilot:
        await press(pilot, "v")
        assert "1-18 of 200" in shown(pilot) or "1-19 of 200" in shown(pilot)
        await press(pilot, "pagedown")
        assert "❯" in shown(pilot) and cursor(pilot) > "opus/t010"
        await press(pilot, "G")
        assert cursor(pilot) == "opus/t199" and "of 200" in shown(pilot) and "❯✓ opus" in shown(pilot)
        await press(pilot, "g")
        assert cursor(pilot) == "opus/t000"


async def test_a_paused_row_has_no_time():
    held = task("nap", kind=TaskStatus.PAUSED, due=None, paused_at=NOON)
    async with screen(FakeFleet(citizen("opus", held))) as pilot:
        await press(pilot, "v", "G")
        row = next(line for line in shown(pilot).splitlines() if " nap " in line)
        assert " – " in row and "paused" in row


async def test_a_table_that_is_painted_before_it_hears_of_its_size_is_painted_again(monkeypatch):
    """On a busy machine the new table stayed one row high, and nothing in it ticked, until a key moved it."""
    async with screen(fleet()) as pilot:
        await press(pilot, "v")
        table = pilot.app.query_one(TaskTable)
        painted: list[tuple[Region, ...]] = []
        monkeypatch.setattr(table, "refresh", lambda *regions, **_: painted.append(regions))
        table.on_resize(Resize(table.size, table.virtual_size))
        assert () in painted, "the whole of it"
