"""Every key of the details screen: what it shows, asks, copies or opens; and what comes down to it."""

import stat
import sys
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from textual.events import MouseScrollDown, MouseScrollUp

from scheduler.core.records import MOST_LISTED
from scheduler.core.task import Outcome
from scheduler.core.views import Heartbeat, Snapshot, TaskStatus
from scheduler.core.wording.description import DefinitionField, TaskDetails
from scheduler.errors import AlreadyRunning, Disconnected
from tests.each import each
from tests.fakes import NOON, FakeControl, FakeFleet, until
from tests.screens.details.details_situations import run
from tests.screens.fleet.test_keys import press, shown, toasts
from tests.screens.situations import copy_of, failed, task
from tui.app import ExperienceApp
from tui.details.output import KEPT
from tui.details.runs import RunsPane
from tui.details.screen import Details
from tui.fleet.grid import FleetGrid
from tui.keys import DETAILS_KEYS, PANE_KEYS
from tui.palette.help import Help
from tui.terminal import pager
from tui.terminal.external_program import CannotStepAside


def citizen(*tasks, **more) -> FakeControl:
    given = tasks or (task("report"), failed("news_scan", "Connection timeout"))
    return FakeControl(Snapshot("opus", given, **more))


def with_runs(count: int, **more) -> FakeControl:
    control = citizen()
    control.runs = tuple(run(number, text=f"run {number}", **more) for number in range(1, count + 1))
    control.outputs = {each.id: f"printed by {each.id}\n" for each in control.runs}
    return control


@asynccontextmanager
async def details(*controls: FakeControl, size=(120, 40), keys=("enter",), **options):
    app = ExperienceApp(FakeFleet(*controls), **options)
    async with app.run_test(size=size, notifications=True) as pilot:
        await pilot.pause()
        await press(pilot, *keys)
        await settled(pilot)
        yield pilot


async def settled(pilot) -> None:
    """Wait until all that was asked has been answered, but for what is followed."""
    for _ in range(3):
        await pilot.pause()


def lines(pilot) -> list[str]:
    return shown(pilot).splitlines()


# ------------------------------------------------------------------ coming and going


async def test_enter_opens_the_task_under_the_cursor_and_escape_leads_back():
    async with details(citizen(), keys=("down", "enter")) as pilot:
        assert lines(pilot)[0].startswith(" opus/news_scan  ✗ failed")
        await press(pilot, "escape")
        assert pilot.app.query_one(FleetGrid).board.cursor.task == "news_scan"
        await press(pilot, "enter", "backspace")
        assert not isinstance(pilot.app.screen, Details)


async def test_a_click_on_the_row_of_the_cursor_opens_it():
    async with details(citizen(), keys=()) as pilot:
        below = next(y for y, line in enumerate(lines(pilot)) if "✗ news_scan" in line) - 2
        await pilot.click(FleetGrid, offset=(10, below))
        assert not isinstance(pilot.app.screen, Details)
        await pilot.click(FleetGrid, offset=(10, below))
        await settled(pilot)
        assert "opus/news_scan" in lines(pilot)[0]


async def test_what_it_is_why_it_is_so_and_when_it_runs_next():
    control = citizen()
    facts = (DefinitionField("schedule", "every 5 minutes"), DefinitionField("runs", "python3 report.py"))
    control.details["report"] = TaskDetails(
        "report", facts, (DefinitionField("limit", "7"),), (NOON + 240, NOON + 540)
    )
    async with details(control) as pilot:
        text = shown(pilot)
        assert "next run in 4m (12:04); last run ok, 1m ago" in text
        assert "schedule  every 5 minutes" in text and "limit" in text
        assert "today 12:04:00" in text and "04:00 │" in text and "09:00 │" in text


# ------------------------------------------------------------------ verbs


@each(("key", "verb"), [("f", "force"), ("rr", "reset"), ("p", "pause")])
async def test_a_verb_is_done_to_the_task_and_to_no_marked_one(key, verb):
    control = citizen()
    async with details(control, keys=("space", "enter")) as pilot:
        await press(pilot, *key)
        assert control.asked == [(verb, "news_scan")]
        await press(pilot, "escape")
        assert "1 marked" in shown(pilot)


async def test_p_resumes_what_is_paused_and_a_refusal_is_a_toast():
    control = citizen(task("report", kind=TaskStatus.PAUSED, due=None, paused_at=NOON - 60))
    async with details(control) as pilot:
        assert "paused at 11:59" in shown(pilot)
        await press(pilot, "p")
        assert control.asked == [("resume", "report")]
        control.refusal = AlreadyRunning("report is already running")
        await press(pilot, "f")
        assert toasts(pilot) == ["opus/report: report is already running"]


async def test_the_screen_answers_at_once_when_the_citizen_publishes():
    control = with_runs(2)
    async with details(control) as pilot:
        running = replace(
            control.snapshot.tasks[0], kind=TaskStatus.RUNNING, running_since=NOON, timeout=120.0
        )
        control.show(replace(control.snapshot, tasks=(running, *control.snapshot.tasks[1:])))
        await until(lambda: "► running 00:00 of 2m" in shown(pilot), "it is shown as running")
        assert "running since 12:00:00 (timeout 2m)" in shown(pilot)
        assert "❯► today 12:00:00" in shown(pilot)


async def test_read_only_hides_the_verbs():
    control = citizen()
    async with details(control, read_only=True) as pilot:
        await press(pilot, "f", "r", "p", "g")
        assert control.asked == []
        assert "READ ONLY" in lines(pilot)[0]
        assert "force" not in lines(pilot)[-1] and "y copy" in lines(pilot)[-1]


async def test_no_key_acts_while_help_is_open():
    control = citizen()
    async with details(control) as pilot:
        await press(pilot, "question_mark", "f", "r", "p", "y", "o")
        assert isinstance(pilot.app.screen, Help)
        assert control.asked == [] and toasts(pilot) == []


async def test_question_mark_explains_every_key_from_the_bindings():
    async with details(citizen(), size=(120, 60)) as pilot:
        await press(pilot, "question_mark")
        said = [key.tooltip or key.description for key in (*DETAILS_KEYS, *PANE_KEYS)]
        assert [words for words in said if words not in shown(pilot)] == []
        assert all(key.id for key in (*DETAILS_KEYS, *PANE_KEYS))


# ------------------------------------------------------------------ runs


async def test_arrows_choose_a_run_and_its_output_is_shown():
    async with details(with_runs(3)) as pilot:
        assert "printed by 3" in shown(pilot)
        await press(pilot, "down")
        await settled(pilot)
        assert "printed by 2" in shown(pilot) and "printed by 3" not in shown(pilot)
        await press(pilot, "j", "k")
        await settled(pilot)
        assert "printed by 2" in shown(pilot)
        await press(pilot, "G")
        await settled(pilot)
        assert "printed by 1" in shown(pilot)
        await press(pilot, "g")
        await settled(pilot)
        assert "printed by 3" in shown(pilot)


async def test_it_says_on_which_of_several_machines_a_run_ran():
    async with details(with_runs(1, machine="g1")) as pilot:
        assert "ran on g1" in shown(pilot)


async def test_a_click_chooses_a_run():
    async with details(with_runs(5)) as pilot:
        await pilot.click(RunsPane, offset=(8, 4))  # below the head
        await settled(pilot)
        assert "printed by 3" in shown(pilot)


async def test_older_runs_come_when_one_gets_near_them():
    control = with_runs(120)
    asked = []
    history = control.history

    async def noting(task=None, **more):
        if task:  # the events of the fleet ask for those of all
            asked.append(more.get("before"))
        return await history(task, **more)

    control.history = noting
    async with details(control) as pilot:
        assert "50 of 50 ok (100%)" in shown(pilot)
        await press(pilot, "G", "G")
        await until(lambda: "120 of 120 ok" in shown(pilot), "all are there")
        await press(pilot, "G")
        await settled(pilot)
        assert "printed by 1 " in shown(pilot)
        assert asked[:3] == [None, 71, 21]
        assert len(asked) == 3 <= MOST_LISTED


async def test_the_share_of_fine_runs_is_of_those_that_are_listed():
    control = with_runs(4)
    bad = run(5, Outcome.TIMED_OUT, "timed out after 30s")
    control.runs = (*control.runs, bad)
    control.outputs[5] = "half of it\n"
    async with details(control) as pilot:
        text = shown(pilot)
        assert "4 of 5 ok (80%)" in text
        assert "✗ timed out, 2.0s" in text and "timed out after 30s" in text and "half of it" in text


async def test_a_run_that_ends_is_there_when_it_is_shown_as_ended():
    control = with_runs(2)
    running = task("report", kind=TaskStatus.RUNNING, running_since=NOON - 5)
    control.snapshot = replace(control.snapshot, tasks=(running,))
    control.prints("report", "at work\n")
    async with details(control) as pilot:
        await until(lambda: "at work" in shown(pilot), "it is followed")
        control.runs = (*control.runs, run(3, text="run 3"))
        control.outputs[3] = "at work\ndone\n"
        control.ends("report")
        control.show(replace(control.snapshot, tasks=(task("report", run_count=43),)))
        await until(lambda: "done" in shown(pilot), "the whole output is shown")
        assert "printed by 2" not in shown(pilot)
        assert "❯✓" in shown(pilot) and "3 of 3 ok" in shown(pilot)


async def test_the_chosen_run_stays_chosen_when_newer_ones_come():
    control = with_runs(3)
    async with details(control) as pilot:
        await press(pilot, "down")
        control.runs = (*control.runs, run(4))
        control.show(replace(control.snapshot, tasks=(task("report", run_count=43),)))
        await until(lambda: "4 of 4 ok" in shown(pilot), "the new run is listed")
        assert "printed by 2" in shown(pilot)


async def test_errors_of_the_history_are_said_where_it_would_be():
    control = with_runs(1)

    async def broken(*_, **__):
        raise Disconnected("the owner (pid 4711) is gone")

    control.history = control.explain = broken
    async with details(control) as pilot:
        assert shown(pilot).count("the owner (pid 4711) is gone") == 2


# ------------------------------------------------------------------ output


async def test_the_end_of_what_runs_stays_in_sight_until_one_scrolls_up():
    control = citizen(task("report", kind=TaskStatus.RUNNING, running_since=NOON - 5))
    control.prints("report", "".join(f"line {n}\n" for n in range(100)))
    async with details(control) as pilot:
        await until(lambda: "line 99" in shown(pilot), "the end is shown")
        assert "following" in shown(pilot)
        await press(pilot, "tab", "up")
        assert "paused, G follows" in shown(pilot)
        control.prints("report", "the newest\n")
        await settled(pilot)
        assert "the newest" not in shown(pilot)
        await press(pilot, "G")
        await until(lambda: "the newest" in shown(pilot), "the end is shown again")
        assert "following" in shown(pilot)


async def test_it_goes_on_following_when_what_is_kept_gets_shorter():
    control = citizen(task("report", kind=TaskStatus.RUNNING, running_since=NOON - 5))
    control.prints("report", "short\n" * 5000)
    async with details(control) as pilot:
        await until(lambda: "short" in shown(pilot), "it is shown")
        for number in range(4):
            control.prints("report", f"{number} {'x' * 40_000}\n")
        await until(lambda: pilot.app.screen.printed._text.count("short") == 0, "the short lines are gone")
        assert pilot.app.screen.printed.following and "following" in shown(pilot)


async def test_the_wheel_stops_following_and_goes_on_with_it():
    control = citizen(task("report", kind=TaskStatus.RUNNING, running_since=NOON - 5))
    control.prints("report", "".join(f"line {n}\n" for n in range(100)))
    async with details(control) as pilot:
        await until(lambda: "line 99" in shown(pilot), "the end is shown")
        printed = pilot.app.screen.printed
        printed.on_mouse_scroll_up(wheel(MouseScrollUp, printed))
        await pilot.pause()
        assert "paused, G follows" in shown(pilot)
        printed.on_mouse_scroll_down(wheel(MouseScrollDown, printed))
        await pilot.pause()
        assert "following" in shown(pilot)
        runs = pilot.app.screen.runs
        runs.on_mouse_scroll_down(wheel(MouseScrollDown, runs))
        assert runs.top == 0


def wheel(kind, widget):
    return kind(widget, 5, 5, 0, 1, 0, False, False, False)


async def test_what_is_kept_of_a_run_under_way_is_bounded_also_while_nothing_moves():
    control = citizen(task("report", kind=TaskStatus.RUNNING, running_since=NOON - 5))

    def much() -> None:
        for number in range(100):
            control.prints("report", f"{number} " + "x" * 32_768 + "\n", skipped=1_000_000)

    control.prints("report", "begins\n")
    async with details(control) as pilot:
        for key in ("tab", "up"):
            much()
            await until(lambda: control.printing["report"].empty(), "all was taken")
            await pilot.pause()
            assert len(pilot.app.screen.printed._text) <= 3 * KEPT
            await press(pilot, key)
        assert "paused, G follows" in shown(pilot)


async def test_scrolling_up_leads_through_all_that_is_kept():
    control = citizen(task("report", kind=TaskStatus.RUNNING, running_since=NOON - 5))
    control.prints("report", "".join(f"line {n} {'.' * 50}\n" for n in range(1000)))
    async with details(control) as pilot:
        await until(lambda: "line 999" in shown(pilot), "the end is shown")
        await press(pilot, "tab", "up")
        assert "line 998" in shown(pilot) and "line 999" not in shown(pilot)
        await press(pilot, "g")
        assert "line 0 " in shown(pilot) and "paused" in shown(pilot)


async def test_enter_shows_the_output_alone_and_back():
    async with details(with_runs(2), size=(80, 24)) as pilot:
        await press(pilot, "enter")
        await settled(pilot)
        assert "printed by 2" in shown(pilot) and "─ runs" not in shown(pilot)
        await press(pilot, "escape")
        assert "─ runs" in shown(pilot) and isinstance(pilot.app.screen, Details)


async def test_tab_goes_round_the_panels_also_where_only_one_fits():
    async with details(with_runs(2), size=(60, 12)) as pilot:
        seen = []
        for _ in range(4):
            seen.append(lines(pilot)[3][3:].split()[0])
            await press(pilot, "tab")
            await settled(pilot)
        assert seen == ["runs", "output", "definition", "runs"]
        await press(pilot, "shift+tab")
        assert lines(pilot)[3][3:].split()[0] == "runs"


async def test_long_output_is_scrolled_by_keys_and_wheel():
    control = with_runs(1)
    control.outputs[1] = "".join(f"line {n}\n" for n in range(200))
    async with details(control) as pilot:
        await press(pilot, "tab", "pagedown")
        assert "line 0 " not in shown(pilot)
        await press(pilot, "G")
        assert "line 199" in shown(pilot)
        await press(pilot, "g", "down", "down", "down")
        assert "line 1 " in shown(pilot) and "line 0 " not in shown(pilot)


# ------------------------------------------------------------------ copy and pager


async def test_y_copies_what_is_shown_cleaned():
    control = citizen()
    control.runs = (run(1, Outcome.FAILED, "it broke \x1b]52;c;x\x07"),)
    control.outputs = {1: "\x1b[31mred\x1b[0m \x1b]0;owned\x07text\n"}
    async with details(control) as pilot:
        await press(pilot, "y")
        assert pilot.app.clipboard == "it broke \\x1b]52;c;x\\x07\n\nred text"
        assert toasts(pilot) == ["copied"]
        await press(pilot, "tab", "tab", "y")
        assert pilot.app.clipboard == "schedule: every 5m"


async def test_y_copies_the_lines_that_set_a_task_up():
    advice = "# in /etc/x.toml\n[citizens.opus.tasks.mail]\nhost = ..."
    control = citizen(task("mail", kind=TaskStatus.NOT_SET_UP, due=None, missing="host", advice=advice))
    async with details(control) as pilot:
        assert "add the lines below to /etc/x.toml" in shown(pilot)
        assert "[citizens.opus.tasks.mail]" in shown(pilot)
        await press(pilot, "y")
        assert pilot.app.clipboard == advice


async def test_o_opens_what_is_shown_in_a_pager(monkeypatch):
    opened = []
    monkeypatch.setattr(pager, "show", lambda app, text: opened.append(text))
    async with details(with_runs(1)) as pilot:
        await press(pilot, "o")
    assert opened == ["run 1\n\nprinted by 1"]


async def test_a_terminal_that_cannot_step_aside_says_so(monkeypatch):
    monkeypatch.setenv("PAGER", sys.executable)
    async with details(with_runs(1)) as pilot:
        await press(pilot, "o")
        assert toasts(pilot) == ["this terminal cannot step aside for another program"]


def test_the_pager_is_the_persons_own_or_one_that_is_there(monkeypatch, tmp_path):
    (tmp_path / "less").touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert pager.pager({}) == ["less"]
    assert pager.pager({"PAGER": f"{sys.executable} -m 'a b'"}) == [sys.executable, "-m", "a b"]
    for chosen, reason in [("nowhere -R", "no program 'nowhere'"), ("less '", "quote")]:
        with pytest.raises(CannotStepAside, match=reason):
            pager.pager({"PAGER": chosen})
    (tmp_path / "less").unlink()
    with pytest.raises(CannotStepAside, match="install less"):
        pager.pager({"PAGER": "  "})


def test_the_file_of_a_pager_is_private_and_gone_afterwards():
    with pager._file("secret \ud800") as path:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert path.read_text() == "secret \\ud800\n"
    assert not path.exists()
    with pytest.raises(OSError, match="gone"), pager._file("x") as path:
        raise OSError("gone")
    assert not path.exists()


# ------------------------------------------------------------------ what comes down


async def test_empty_states_teach():
    first = task("report", kind=TaskStatus.NEVER, last_run=None, run_count=0, due=NOON + 300)
    async with details(citizen(first)) as pilot:
        assert "never ran: first run in 5m (12:05)" in shown(pilot)
        assert "never ran yet; f runs it now" in shown(pilot)
    async with details(citizen()) as pilot:
        assert "no history yet: its 42 runs" in shown(pilot)


async def test_a_lost_owner_and_a_stall_are_said():
    control = with_runs(1)
    async with details(control) as pilot:
        control.beat = Heartbeat(5.2, "opus/price_monitor")
        pilot.app.tick()
        await pilot.pause()
        assert "the scheduler is stalled by opus/price_monitor for 5s" in shown(pilot)
        control.beat = Heartbeat(0.1)
        control.lose(Disconnected("its owner (pid 4711) is gone"))
        await until(
            lambda: "not live since 12:00: its owner (pid 4711) is gone" in shown(pilot), "it is said"
        )


async def test_an_owner_that_is_back_is_asked_and_followed_again():
    control = citizen(task("report", kind=TaskStatus.RUNNING, running_since=NOON - 5))
    control.prints("report", "before\n")
    async with details(control) as pilot:
        await until(lambda: "before" in shown(pilot), "it is followed")
        control.lose(Disconnected("its owner (pid 4711) is gone"))
        await until(lambda: "not live" in shown(pilot), "it is shown as gone")
        control.printing.clear()
        control.refusal = None
        control.prints("report", "after\n")
        await until(lambda: "after" in shown(pilot), "it is followed again")
        assert "before" not in shown(pilot) and "not live" not in shown(pilot)


async def test_what_cannot_be_followed_says_why():
    control = citizen(task("report", kind=TaskStatus.RUNNING, running_since=NOON - 5))
    control.refusal = AlreadyRunning("opus is owned by pid 4711")
    async with details(control) as pilot:
        await until(lambda: "its output cannot be followed" in shown(pilot), "it is said")
        assert "opus is owned by pid 4711" in shown(pilot)


async def test_a_task_that_is_removed_while_it_is_looked_at_is_said():
    control = with_runs(1)
    async with details(control) as pilot:
        control.show(replace(control.snapshot, tasks=()))
        await until(lambda: "removed from the settings" in shown(pilot), "it is said")
        assert "printed by 1" in shown(pilot)


async def test_countdowns_go_down_and_nothing_moves():
    fleet = FakeFleet(copy_of("hazel"))
    app = ExperienceApp(fleet)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        await press(pilot, "down", "enter")
        await settled(pilot)
        before = lines(pilot)
        await fleet.clock.advance(1)
        app.tick()
        await pilot.pause()
        after = lines(pilot)
        changed = [y for y, (a, b) in enumerate(zip(before, after, strict=True)) if a != b]
        assert changed == [0, 4, 5, 6, 7, 8]
        assert all(len(a) == len(b) for a, b in zip(before, after, strict=True))


async def test_a_storm_of_sizes_leaves_it_right():
    async with details(with_runs(40)) as pilot:
        for number in range(30):
            await pilot.resize_terminal(20 + number * 9, 4 + (number * 7) % 60)
        await pilot.resize_terminal(120, 40)
        await settled(pilot)
        stormy = shown(pilot)
    async with details(with_runs(40)) as pilot:
        assert shown(pilot) == stormy


async def test_the_demo_shows_everything_of_every_task():
    from tui.demo.fleet import DemoFleet

    app = ExperienceApp(DemoFleet(names=("opus",)))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(lambda: "heartbeat" in shown(pilot), "the demo is painted")
        for number in range(8):
            await press(pilot, *(["enter", "down"] if number == 7 else []), "enter")  # a row for more
            await until(lambda: "asking its scheduler" not in shown(pilot), "it is explained")
            assert "schedule" in shown(pilot)
            assert " ok (" in shown(pilot) or "to set it up" in shown(pilot)
            await press(pilot, "escape", "down")


async def test_what_is_usual_is_there_with_the_runs_and_not_a_second_later():
    async with details(with_runs(20)) as pilot:
        assert "p50 2.0s, p95 2.0s (last 20 runs)" in shown(pilot)
        assert "began          by         took 0" in shown(pilot)
