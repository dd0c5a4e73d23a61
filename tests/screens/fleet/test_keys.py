"""Every key of the fleet screen: what it shows, or what it asks of a citizen."""

import errno
import os
import re
from dataclasses import replace

from scheduler.core.costs import RunCost
from scheduler.core.ports import FleetView
from scheduler.core.records import RunRecord
from scheduler.core.schedules.schedule import LONGEST
from scheduler.core.task import Outcome, Progress, Trigger
from scheduler.core.views import OWNER_GONE, Heartbeat, Receipt, Snapshot, TaskStatus, TaskView, WakeView
from scheduler.core.wording.description import DefinitionField, TaskDetails
from scheduler.errors import PROGRAM, AlreadyRunning, Disconnected
from tests.each import each
from tests.fakes import NOON, FakeControl, FakeFleet, until
from tests.screens.driving import answered, cursor, press, screen, shown, toasts
from tests.screens.situations import SITUATIONS, failed, task
from tui.common.footer import KeyBar
from tui.common.questions.question import Confirm, Question
from tui.common.task_ref import Place
from tui.common.text import of_limit
from tui.fleet.grid import FleetGrid
from tui.keys import FLEET_KEYS
from tui.palette.help import Help


def citizen(name: str, *tasks: TaskView, **more) -> FakeControl:
    given = tasks or (task("heartbeat"), failed("news_scan", "Connection timeout"), task("backup"))
    return FakeControl(Snapshot(name, given, **more))


def fleet_of_three() -> FakeFleet:
    return FakeFleet(citizen("aria"), citizen("mira"), citizen("opus"))


# ------------------------------------------------------------------ verbs


@each(("keys", "verb"), [("f", "force"), ("rr", "reset"), ("p", "pause")])
async def test_a_verb_asks_for_the_task_under_the_cursor(keys, verb):
    control = citizen("opus")
    async with screen(FakeFleet(control)) as pilot:
        await press(pilot, "down", *keys)
        assert control.asked == [(verb, "news_scan")]
        assert toasts(pilot) == []


async def test_reset_asks_first_where_a_run_does_more_than_look():
    look = task("heartbeat", builtin=True)
    control = citizen("opus", look, task("backup", builtin=True))
    async with screen(FakeFleet(control)) as pilot:
        await press(pilot, "r")
        assert control.asked == [("reset", "heartbeat")]
        await press(pilot, "down", "r")
        assert "Reset opus/backup?" in shown(pilot) and "runs at the next check" in shown(pilot)
        await press(pilot, "enter")  # the harmless answer
        assert control.asked == [("reset", "heartbeat")]


async def test_force_on_a_running_task_offers_one_run_more():
    control = citizen("opus", running("render"))
    async with screen(FakeFleet(control)) as pilot:
        await press(pilot, "f")
        assert "Run opus/render once more?" in shown(pilot) and "running for 02:41" in shown(pilot)
        await press(pilot, "escape")
        assert control.asked == []
        await press(pilot, "f", "f")
        assert control.asked == [("force", "render", "again")]


def running(name: str, **more) -> TaskView:
    return task(name, kind=TaskStatus.RUNNING, running_since=NOON - 161, due=None, timeout=300.0, **more)


async def test_x_stops_a_run_after_one_question_whose_first_answer_is_harmless():
    control = citizen("opus", running("render", progress=Progress(31, 50)), task("backup"))
    control.details["render"] = TaskDetails("render", upcoming=(NOON + 3600,))
    async with screen(FakeFleet(control)) as pilot:
        await press(pilot, "x")
        said = shown(pilot)
        assert "Stop opus/render?" in said and "02:41 (62%); 01:38 to go." in said
        assert "no failure, no retry" in said and "next  " in said and "❯ esc  let it run" in said
        await press(pilot, "enter")
        assert control.asked == []
        await press(pilot, "x", "x")
        assert control.asked == [("stop_run", "render")]


async def test_x_says_that_a_handler_of_this_process_may_be_a_thread():
    control = citizen("opus", running("render"))
    control.details["render"] = TaskDetails("render", in_process=True)
    async with screen(FakeFleet(control)) as pilot:
        await press(pilot, "x")
        assert "cannot be killed" in shown(pilot) and "Running for 02:41 of 5m." in shown(pilot)
        assert of_limit(161, LONGEST) == "02:41"  # such a run has no timeout


async def test_x_on_a_task_that_does_not_run_says_so():
    control = citizen("opus")
    async with screen(FakeFleet(control)) as pilot:
        await press(pilot, "x")
        assert toasts(pilot) == ["opus/heartbeat: it is not running"] and control.asked == []


async def test_x_acts_on_the_marked_tasks_that_run_or_wait():
    control = citizen("opus", running("a"), task("b"), task("c", queued=True))
    async with screen(FakeFleet(control)) as pilot:
        await press(pilot, "space", "space", "space", "x")
        said = shown(pilot)
        assert "Stop 2 runs?" in said and "opus/c   waiting" in said and "opus/b" not in said
        await press(pilot, "x")
        assert control.asked == [("stop_run", "a"), ("stop_run", "c")]
        assert "marked" not in shown(pilot)


async def test_p_resumes_what_is_paused():
    control = citizen("opus", task("backup", kind=TaskStatus.PAUSED, due=None, paused_at=NOON))
    async with screen(FakeFleet(control)) as pilot:
        await press(pilot, "p")
        assert control.asked == [("resume", "backup")]


async def test_w_wakes_the_citizen_under_the_cursor_at_once_if_no_command_is_set():
    plain = WakeView(configured=False)
    fleet = FakeFleet(citizen("aria"), FakeControl(replace(citizen("mira").snapshot, wake=plain)))
    async with screen(fleet) as pilot:
        await press(pilot, "tab", "w")
    assert [control.asked for control in fleet.view.controls] == [[], [("wake",)]]


async def test_w_asks_where_a_command_is_set_and_says_what_it_costs():
    control = citizen("opus", task("wake"), task("tick"))
    costs = [RunCost("0.61"), RunCost("0.37"), RunCost(unknown=True), None]
    times = NOON - 600, NOON - 500, 100.0, Outcome.OK
    control.runs = tuple(RunRecord(n, "wake", *times, cost=cost) for n, cost in enumerate(costs))
    control.details = {"wake": TaskDetails("wake", (DefinitionField("runs", 'claude -p "Read"'),))}
    async with screen(FakeFleet(control)) as pilot:
        await press(pilot, "w")
        text = shown(pilot)
        assert "Wake opus now?" in text and 'claude -p "Read"' in text
        assert "A wake costs about $0.49 (mean of 2), $0.61 at most." in text
        assert control.asked == []
        await press(pilot, "enter")
        assert control.asked == [("wake",)]
        await press(pilot, "f", "escape")  # on its row, a force is a wake
        assert control.asked == [("wake",)]


async def test_w_never_wakes_twice():
    awake = WakeView(3, running_since=NOON - 72)
    control = FakeControl(replace(citizen("opus").snapshot, wake=awake))
    async with screen(FakeFleet(control)) as pilot:
        await press(pilot, "w")
        assert toasts(pilot) == ["opus is awake for 01:12"] and control.asked == []


async def test_O_takes_a_citizen_over_after_one_question():
    fleet = fleet_of_three()
    async with screen(fleet) as pilot:
        await press(pilot, "tab", "O")
        await until(lambda: "Run mira in this monitor?" in shown(pilot), "one question first")
        assert fleet.taken == []
        await press(pilot, "o")
        await until(lambda: fleet.taken, "it is taken over")
    assert fleet.taken == ["mira"]


async def test_O_says_what_would_start_at_once_and_what_waits():
    fleet = SITUATIONS["take_over"].fleet()
    (control,) = fleet.view.controls
    control.runs = (
        RunRecord(
            1, "wake", NOON - 9, NOON - 5, 4.0, Outcome.OK, Trigger.SCHEDULE, cost=RunCost(cost_usd="0.49")
        ),
    )
    async with screen(fleet) as pilot:
        await press(pilot, "O")
        await until(lambda: "Run hermes in this monitor?" in shown(pilot), "one question")
        text = shown(pilot)
        assert "Nobody runs hermes: process 24980 ended at 12:00:00." in text
        assert "digest   its process still lives, so digest waits for its" in text
        assert "report   due 11:59:48, missed: runs once, now" in text
        assert "wake     due 11:59:48, missed: runs once, now, about $0.49" in text and "  mail " not in text
        await press(pilot, "enter")
        assert fleet.taken == [] and fleet.asked == [], "the cursor is on the harmless answer"
        await press(pilot, "O")
        await until(lambda: "Run hermes" in shown(pilot), "the question again")
        await press(pilot, "b")
        assert fleet.asked == [("start", "hermes")]


async def test_the_question_closes_when_somebody_else_takes_over():
    fleet = SITUATIONS["take_over"].fleet()
    (control,) = fleet.view.controls
    async with screen(fleet) as pilot:
        await press(pilot, "O")
        await until(lambda: "Run hermes" in shown(pilot), "the question")
        control.show(replace(control.snapshot, stale="", owner="attached, pid 25102"))
        await until(lambda: toasts(pilot) == ["hermes runs again (pid 25102)"], "it is said")
        assert "Run hermes" not in shown(pilot) and fleet.taken == []


async def test_O_says_at_once_why_it_cannot_and_asks_nothing():
    fleet = fleet_of_three()
    fleet.kept["mira"] = "mira is owned by pid 4711, which is there"
    async with screen(fleet) as pilot:
        await press(pilot, "tab", "O")
        assert toasts(pilot) == ["mira is owned by pid 4711, which is there"]
        assert not isinstance(pilot.app.screen, Confirm)
    assert fleet.taken == []


async def test_the_row_answers_at_once_when_the_citizen_publishes():
    control = citizen("opus")
    async with screen(FakeFleet(control)) as pilot:
        tasks = control.snapshot.tasks
        started = task("heartbeat", kind=TaskStatus.RUNNING, running_since=NOON, timeout=120.0)
        control.show(replace(control.snapshot, tasks=(started, *tasks[1:])))
        await pilot.pause()
        assert "► heartbeat" in shown(pilot)
        assert "of 2m" in shown(pilot)
        assert "► 1 running" in shown(pilot)


async def test_a_refusal_is_a_toast_with_the_reason_and_never_markup():
    control = citizen("opus")
    control.refusal = AlreadyRunning("[/red] \x1b[31mheartbeat is already running")
    async with screen(FakeFleet(control)) as pilot:
        await press(pilot, "f")
        assert toasts(pilot) == ["opus/heartbeat: [/red] \\x1b[31mheartbeat is already running"]
        await until(lambda: "[/red]" in shown(pilot), "the toast is painted")


async def test_done_and_not_saved_is_said():
    control = citizen("opus")
    control.receipt = Receipt(saved=False)
    async with screen(FakeFleet(control)) as pilot:
        await press(pilot, "f")
        assert toasts(pilot) == ["opus/heartbeat: done, not saved"]


async def test_marked_tasks_are_done_together_after_one_question():
    control = citizen("opus")
    async with screen(FakeFleet(control)) as pilot:
        await press(pilot, "space", "space")
        assert "2 marked" in shown(pilot)
        await press(pilot, "f")
        assert "Force 2 tasks?" in shown(pilot)
        assert control.asked == []
        await press(pilot, "y")
        assert control.asked == [("force", "heartbeat"), ("force", "news_scan")]
        assert "marked" not in shown(pilot)


async def test_a_no_leaves_everything_as_it_was():
    control = citizen("opus")
    async with screen(FakeFleet(control)) as pilot:
        await press(pilot, "space", "r", "n")
        assert control.asked == []
        assert "1 marked" in shown(pilot)


async def test_space_again_takes_the_mark_away():
    async with screen(FakeFleet(citizen("opus"))) as pilot:
        await press(pilot, "space", "up", "space")
        assert "marked" not in shown(pilot)


async def test_F_forces_all_failing_after_one_question():
    fleet = fleet_of_three()
    async with screen(fleet) as pilot:
        await press(pilot, "F")
        assert "Force 3 tasks?" in shown(pilot)
        assert "mira/news_scan" in shown(pilot)
        await press(pilot, "enter")
    assert {control.citizen: control.asked for control in fleet.view.controls} == {
        name: [("force", "news_scan")] for name in ("aria", "mira", "opus")
    }


async def test_F_with_nothing_failing_says_so():
    async with screen(FakeFleet(citizen("opus", task("heartbeat")))) as pilot:
        await press(pilot, "F")
        assert toasts(pilot) == ["no task to force"]


async def test_many_refusals_are_one_toast():
    control = citizen("opus", *(task(f"task{index}") for index in range(5)))
    control.refusal = AlreadyRunning("no")
    async with screen(FakeFleet(control)) as pilot:
        await press(pilot, *["space"] * 5, "f", "y")
        assert len(toasts(pilot)) == 1
        assert toasts(pilot)[0].endswith("and 2 more")


# ------------------------------------------------------------------ moving


@each(
    ("keys", "lands_on"),
    [
        (["down"], "aria/news_scan"),
        (["j", "j"], "aria/backup"),
        (["j", "k"], "aria/heartbeat"),
        (["down", "up"], "aria/heartbeat"),
        (["j", "j", "j"], "opus/heartbeat"),
        (["right"], "mira/heartbeat"),
        (["j", "right"], "mira/news_scan"),
        (["right", "left"], "aria/heartbeat"),
        (["right", "right"], "mira/heartbeat"),
        (["tab", "tab"], "opus/heartbeat"),
        (["tab", "tab", "tab"], "aria/heartbeat"),
        (["shift+tab"], "opus/heartbeat"),
        (["G"], "opus/backup"),
        (["end"], "opus/backup"),
        (["G", "g"], "aria/heartbeat"),
        (["end", "home"], "aria/heartbeat"),
        (["pagedown"], "opus/backup"),
        (["pagedown", "pageup"], "aria/heartbeat"),
        (["up"], "aria/heartbeat"),
        (["right", "j", "j", "j"], "opus/heartbeat"),
    ],
)
async def test_the_cursor_moves(keys, lands_on):
    async with screen(fleet_of_three(), size=(100, 40)) as pilot:
        await press(pilot, *keys)
        assert cursor(pilot) == lands_on
        assert f"❯✓ {lands_on.partition('/')[2]}"[:4] in shown(pilot).replace("✗", "✓")


async def test_the_row_of_the_cursor_is_always_in_sight():
    fleet = FakeFleet(*(citizen(f"c{index:03d}") for index in range(60)))
    async with screen(fleet, size=(80, 24)) as pilot:
        for keys in (["G"], ["g"], ["pagedown"], ["pagedown"], ["j"], ["tab"] * 9, ["pageup"]):
            await press(pilot, *keys)
            assert "❯" in shown(pilot), keys
            assert cursor(pilot).partition("/")[0] in shown(pilot)


async def test_a_click_moves_the_cursor():
    async with screen(fleet_of_three()) as pilot:
        await pilot.click(FleetGrid, offset=(70, 2))
        assert cursor(pilot) == "mira/news_scan"
        await pilot.click(FleetGrid, offset=(70, 30))
        assert cursor(pilot) == "mira/news_scan"


async def test_the_wheel_scrolls_and_leaves_the_cursor_alone():
    fleet = FakeFleet(*(citizen(f"c{index:03d}") for index in range(60)))
    async with screen(fleet, size=(80, 24)) as pilot:
        grid = pilot.app.query_one(FleetGrid)
        grid._on_mouse_scroll_down(_wheel(grid))
        await until(lambda: grid.scroll_offset.y > 0, "it scrolls")
        assert cursor(pilot) == "c000/heartbeat"


def _wheel(grid):
    from textual.events import MouseScrollDown

    return MouseScrollDown(grid, 5, 5, 0, 1, 0, False, False, False)


# ------------------------------------------------------------------ filter and order


async def test_slash_filters_by_citizen_task_and_error():
    async with screen(fleet_of_three()) as pilot:
        await press(pilot, "slash", *"timeout")
        assert "heartbeat" not in shown(pilot)
        assert shown(pilot).count("Connection timeout") >= 3
        assert re.search(r"^ [1-9] of [1-9]", shown(pilot).splitlines()[-1])  # its text is in the field above
        await press(pilot, *["backspace"] * 7, *"mira", "enter")
        assert "╭─ opus" not in shown(pilot)
        assert re.search(r"/mira [1-9] of [1-9]", shown(pilot))
        await press(pilot, "escape")
        assert "╭─ opus" in shown(pilot)


async def test_an_exclamation_mark_inverts_the_filter():
    async with screen(fleet_of_three()) as pilot:
        await press(pilot, "slash", *"!opus", "enter")
        assert "╭─ mira" in shown(pilot)
        assert "╭─ opus" not in shown(pilot)


async def test_escape_in_the_field_drops_the_filter_and_gives_the_keys_back():
    control = citizen("opus")
    async with screen(FakeFleet(control)) as pilot:
        await press(pilot, "slash", *"zzz")
        assert "nothing matches zzz" in shown(pilot)
        await press(pilot, "escape", "f")
        assert control.asked == [("force", "heartbeat")]


async def test_s_cycles_the_order_and_says_which():
    calm = citizen("aria", task("heartbeat", due=NOON + 500))
    wild = citizen("opus", failed("news_scan", "no"), task("backup", due=NOON + 900))
    soon = citizen("mira", task("heartbeat", due=NOON + 5))
    async with screen(FakeFleet(calm, wild, soon)) as pilot:

        def order() -> list[str]:
            return [panel.citizen for panel in pilot.app.query_one(FleetGrid).board.order]

        assert order() == ["aria", "mira", "opus"]
        await press(pilot, "s")
        assert order() == ["opus", "aria", "mira"]
        assert "failing first" in shown(pilot)
        await press(pilot, "s")
        assert order() == ["mira", "opus", "aria"]
        assert "next due first" in shown(pilot)
        await press(pilot, "s")
        assert order() == ["aria", "mira", "opus"]


async def test_the_order_never_changes_by_itself():
    fleet = fleet_of_three()
    async with screen(fleet) as pilot:
        await press(pilot, "s")
        board = pilot.app.query_one(FleetGrid).board
        before = [panel.citizen for panel in board.order]
        last = fleet.view.controls[-1]
        last.show(replace(last.snapshot, tasks=(failed("a", "x"), failed("b", "y"), failed("c", "z"))))
        await pilot.pause()
        assert [panel.citizen for panel in board.order] == before


# ------------------------------------------------------------------ the screen as a whole


async def test_T_changes_the_theme():
    async with screen(fleet_of_three()) as pilot:
        seen = [pilot.app.theme]
        for _ in range(4):
            await press(pilot, "T")
            seen.append(pilot.app.theme.removeprefix("experience-"))
        assert seen[1:] == ["light", "high-contrast", "ansi", "dark"]


async def test_S_saves_a_picture_that_needs_nothing_from_elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    async with screen(fleet_of_three()) as pilot:
        await press(pilot, "S")
        await until(lambda: toasts(pilot), "it is said")
        name = tmp_path / "experience-2026-03-02-120000.svg"
        assert toasts(pilot) == [f"saved {name}"]
    picture = name.read_text()
    assert "opus" in picture
    assert "@font-face" not in picture


def refuse(path, *rest, **more):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


async def test_a_picture_that_cannot_be_saved_is_said(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "open", refuse)
    async with screen(fleet_of_three()) as pilot:
        await press(pilot, "S")
        await until(lambda: toasts(pilot), "it is said")
        assert "not saved" in toasts(pilot)[0]


async def test_y_copies_the_whole_error_of_the_row_cleaned():
    whole = failed("news_scan", "first\n\x1b[31msecond")
    async with screen(
        FakeFleet(citizen("opus", task("heartbeat"), whole, task("mail", text="3 new")))
    ) as pilot:
        await press(pilot, "y")
        assert toasts(pilot) == ["nothing to copy yet"]
        await press(pilot, "down", "y")
        assert pilot.app.clipboard == "opus/news_scan: first\n\\x1b[31msecond"
        await press(pilot, "down", "y")
        assert pilot.app.clipboard == "opus/mail: 3 new"


async def test_question_mark_explains_every_key_from_the_bindings():
    async with screen(fleet_of_three(), size=(120, 60)) as pilot:
        await press(pilot, "question_mark")
        text = shown(pilot)
        missing = [
            key.tooltip or key.description
            for key in FLEET_KEYS
            if (key.tooltip or key.description) not in text and key.id != "move"  # there is one machine
        ]
        assert missing == []
        await press(pilot, "escape")
        assert not isinstance(pilot.app.screen, Help)


async def test_a_few_letters_find_a_key_in_the_help_and_enter_does_it():
    control = citizen("opus")
    async with screen(FakeFleet(control)) as pilot:
        await press(pilot, "question_mark", *"log")
        text = shown(pilot)
        assert "log: what happened" in text and "force: run the task now" not in text
        assert "What to run" not in text and "help: fleet" in text
        await press(pilot, *["backspace"] * 3, *"FORCE", "down", "up", "enter")
        assert not isinstance(pilot.app.screen, Help)
        assert control.asked == [("force", "heartbeat")]


async def test_the_key_that_opens_the_help_closes_it():
    async with screen(FakeFleet(citizen("opus"))) as pilot:
        await press(pilot, "question_mark", "question_mark")
        assert not isinstance(pilot.app.screen, Help)


@each("where", [(), ("l",), ("t",), ("enter",)])
async def test_an_unknown_key_says_where_the_keys_are(where):
    async with screen(FakeFleet(citizen("opus"))) as pilot:
        await press(pilot, *where, "f5")
        assert shown(pilot).splitlines()[-1].strip() == "? shows the keys"
        await press(pilot, "T")
        assert "shows the keys" not in shown(pilot)


async def test_a_hint_stays_although_the_time_of_an_earlier_one_ends():
    async with screen(FakeFleet(citizen("opus"))) as pilot:
        bar = pilot.app.query_one(KeyBar)
        bar.hint("the earlier one", "$warn", 0.01)
        bar.hint("the newer one", "$warn", 1000.0)
        await pilot.pause(0.1)
        assert "the newer one" in shown(pilot)


@each("key", ["n", "N"])
@each("where", [("l",), ("enter",)])
async def test_without_a_search_the_keys_for_its_hits_say_where_the_keys_are(where, key):
    async with screen(FakeFleet(citizen("opus"))) as pilot:
        await press(pilot, *where, key)
        assert shown(pilot).splitlines()[-1].strip() == "? shows the keys"


async def test_a_known_key_says_nothing_of_the_kind():
    async with screen(FakeFleet(citizen("opus"))) as pilot:
        await press(pilot, "down", "T", "y")
        assert "shows the keys" not in shown(pilot)


async def test_the_way_to_take_over_comes_first_where_a_citizen_has_no_owner():
    gone = replace(citizen("mira").snapshot, stale=f"{OWNER_GONE}: process 7 ended")
    async with screen(FakeFleet(citizen("aria"), FakeControl(gone)), size=(120, 20)) as pilot:
        assert "take over" not in shown(pilot).splitlines()[-1]
        await press(pilot, "tab")
        pilot.app.tick()
        await pilot.pause()
        assert shown(pilot).splitlines()[-1].startswith(" O take over")


async def test_every_key_has_an_id_so_that_it_can_be_remapped():
    control = citizen("opus")
    async with screen(FakeFleet(control)) as pilot:
        pilot.app.set_keymap({"force": "x"})
        await press(pilot, "f", "x")
        assert control.asked == [("force", "heartbeat")]
    assert all(key.id for key in FLEET_KEYS)


async def test_q_quits_when_nothing_of_ours_runs():
    async with screen(FakeFleet(citizen("opus", task("a", running_since=NOON), owner="pid 4711"))) as pilot:
        await pilot.press("q")
        await pilot.pause()
        assert pilot.app._exit


@each("key", ["q", "ctrl+q", "ctrl+c"])
async def test_leaving_asks_whether_the_citizens_go_on(key):
    run = task("render", kind=TaskStatus.RUNNING, running_since=NOON - 161, progress=Progress(31, 50))
    attached = FakeControl(Snapshot("aria", (task("a"),), owner="attached, pid 4711"))
    async with screen(FakeFleet(attached, citizen("mira", run), citizen("opus"))) as pilot:
        await press(pilot, key)
        text = shown(pilot)
        assert "This monitor runs mira and opus. They stop when it closes," in text
        assert "► mira/render   02:41 of 5m, about 01:38 to go" in text
        assert "❯ b    keep them running in the background" in text
        assert "q    stop them: render gets 10s, then is interrupted" in text
        assert "aria is attached: it goes on either way." in text
        await press(pilot, "escape")
        assert not isinstance(pilot.app.screen, Question) and not pilot.app._exit


async def test_an_answer_of_many_words_stands_below_itself_and_a_click_finds_the_one_behind_it():
    run = task("a_task_with_a_long_name_of_its_own", kind=TaskStatus.RUNNING, running_since=NOON)
    async with screen(FakeFleet(citizen("opus", run)), size=(80, 24)) as pilot:
        await press(pilot, "q")
        lines = shown(pilot).split("\n")
        (stay,) = (n for n, line in enumerate(lines) if "esc  stay" in line)
        assert "│        then is interrupted" in lines[stay - 1]
        await pilot.click("Choices", offset=(20, 3))
        await until(lambda: not isinstance(pilot.app.screen, Question), "it is answered")
        assert not pilot.app._exit


@each(("keys", "answer"), [("b", "keep"), (("enter",), "keep"), ("q", "stop"), (("down", "enter"), "stop")])
async def test_what_was_answered_is_what_the_monitor_ends_with(keys, answer):
    async with screen(FakeFleet(citizen("opus"))) as pilot:
        await pilot.press("q", *keys)
        await pilot.pause()
        assert pilot.app._exit and pilot.app.return_value == answer


async def test_a_second_ctrl_c_ends_it_at_once():
    async with screen(FakeFleet(citizen("opus"))) as pilot:
        await pilot.press("ctrl+c", "ctrl+c")
        await pilot.pause()
        assert pilot.app._exit and pilot.app.return_value is None


async def test_made_up_citizens_end_without_a_question():
    fleet = FakeFleet(citizen("opus"))
    fleet.can_hand_over = False
    async with screen(fleet) as pilot:
        await pilot.press("q")
        await pilot.pause()
        assert pilot.app._exit


LETTERS = "frpwFsTSq?gG"


async def test_no_key_acts_while_a_filter_is_typed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    control = citizen("opus")
    async with screen(FakeFleet(control)) as pilot:
        await press(pilot, "slash", *LETTERS.replace("?", ""), "question_mark", "space")
        field = pilot.app.query_one("FilterField")
        assert field.value == LETTERS.replace("?", "") + "? "
        assert control.asked == []
        assert pilot.app.theme == "experience-dark"
        assert list(tmp_path.iterdir()) == []


async def test_no_key_acts_while_a_question_is_open():
    control = citizen("opus")
    async with screen(FakeFleet(control)) as pilot:
        await press(pilot, "F", "r", "p", "w", "s", "T", "slash", "down", "space")
        assert isinstance(pilot.app.screen, Confirm)
        assert control.asked == []
        assert pilot.app.theme == "experience-dark"
        await press(pilot, "n")
        assert cursor(pilot) == "opus/heartbeat"


async def test_read_only_hides_the_verbs_and_does_nothing():
    control = citizen("opus")
    async with screen(FakeFleet(control), read_only=True) as pilot:
        await press(pilot, "f", "r", "p", "w", "F", "space")
        assert control.asked == []
        assert "READ ONLY" in shown(pilot)
        await press(pilot, "down")
        bar = shown(pilot).splitlines()[-1]
        assert "force" not in bar and "/ filter" in bar


async def test_a_click_on_a_key_at_the_bottom_presses_it():
    control = citizen("opus")
    async with screen(FakeFleet(control)) as pilot:
        at = shown(pilot).splitlines()[-1].index("force")
        await pilot.click("KeyBar", offset=(at, 0))
        await answered(pilot)
        assert control.asked == [("force", "heartbeat")]


# ------------------------------------------------------------------ what comes down


async def test_a_countdown_goes_down_to_nought_and_then_says_now():
    fleet = FakeFleet(citizen("opus", task("heartbeat", due=NOON + 2.5, since=NOON - 60)))
    async with screen(fleet) as pilot:
        seen = []
        for _ in range(4):
            pilot.app.tick()
            await pilot.pause()
            seen.append(shown(pilot).split("heartbeat ")[1].split()[0])
            await fleet.clock.advance(1)
        assert seen == ["00:02", "00:01", "00:00", "now"]


async def test_a_stalled_scheduler_is_named_in_the_frame_and_in_the_verdict():
    control = citizen("opus")
    async with screen(FakeFleet(control)) as pilot:
        control.beat = Heartbeat(5.2, "opus/price_monitor")
        pilot.app.tick()
        await pilot.pause()
        assert "scheduler stalled 5 s by opus/price_monitor" in shown(pilot)
        assert "╰─ stalled 5 s by opus/price_monitor" in shown(pilot)
        control.beat = Heartbeat(0.1)
        pilot.app.tick()
        await pilot.pause()
        assert "stalled" not in shown(pilot)


async def test_a_lost_owner_is_shown_as_gone_with_what_was_known_of_it():
    control = citizen("opus")
    async with screen(FakeFleet(control)) as pilot:
        control.lose(Disconnected("the process that ran opus has ended"))
        await pilot.pause()
        assert "╰─ not live: the process that ran opus has ended" in shown(pilot)
        assert "✓ heartbeat" in shown(pilot)


async def test_what_was_not_saved_is_in_the_frame_and_in_the_verdict():
    async with screen(FakeFleet(citizen("opus", unsaved="disk full"))) as pilot:
        assert "╰─ not saved: disk full" in shown(pilot)
        assert "opus: not saved: disk full" in shown(pilot)


async def test_citizens_come_and_go():
    fleet = fleet_of_three()
    async with screen(fleet) as pilot:
        fleet.show(FleetView((fleet.view.controls[1],)))
        await until(lambda: "1 citizen " in shown(pilot), "only one is left")
        await until(lambda: "╭─ aria" not in shown(pilot), "aria is gone")
        fleet.show(FleetView(root="/srv"))
        await until(lambda: "no citizens yet" in shown(pilot), "the empty screen teaches")
        fleet.show(FleetView((citizen("nova"),)))
        await until(lambda: "╭─ nova" in shown(pilot), "nova has come")
        assert cursor(pilot) == "nova/heartbeat"


async def test_an_empty_screen_teaches_what_to_write():
    async with screen(FakeFleet(root="/srv/citizens"), settings="/etc/e.toml") as pilot:
        text = shown(pilot)
        assert "root: /srv/citizens" in text and "/etc/e.toml" in text
        assert "[citizens.opus.tasks.hello]" in text and "init opus" in text
        await pilot.press("question_mark")
        assert isinstance(pilot.app.screen, Help)


async def test_what_is_looked_at_stays_where_it_is_when_panels_above_grow():
    fleet = FakeFleet(*(citizen(f"c{index:03d}", task("heartbeat")) for index in range(40)))
    async with screen(fleet, size=(80, 24)) as pilot:
        await press(pilot, *["pagedown"] * 2)
        before = next(i for i, line in enumerate(shown(pilot).splitlines()) if "❯" in line)
        first = fleet.view.controls[0]
        first.show(replace(first.snapshot, tasks=tuple(task(f"t{index}") for index in range(9))))
        await pilot.pause()
        await pilot.pause()
        after = next(i for i, line in enumerate(shown(pilot).splitlines()) if "❯" in line)
        assert after == before


async def test_a_snapshot_out_of_sight_paints_nothing():
    fleet = FakeFleet(*(citizen(f"c{index:03d}") for index in range(60)))
    async with screen(fleet, size=(80, 24)) as pilot:
        grid = pilot.app.query_one(FleetGrid)
        painted = []
        grid.refresh = lambda *regions, **_: painted.append(regions)  # type: ignore[method-assign]
        last = fleet.view.controls[-1]
        last.show(replace(last.snapshot, tasks=(task("heartbeat", run_count=43), *last.snapshot.tasks[1:])))
        await pilot.pause()
        assert painted == []
        assert grid.board.view(Place("c059", "heartbeat")).run_count == 43


async def test_a_tick_repaints_only_lines_that_changed():
    fleet = FakeFleet(citizen("opus", task("soon", due=NOON + 90), task("late", due=NOON + 90030)))
    async with screen(fleet) as pilot:
        grid = pilot.app.query_one(FleetGrid)
        painted = []
        grid.refresh = lambda *regions, **_: painted.append(regions)  # type: ignore[method-assign]
        await fleet.clock.advance(1)
        pilot.app.tick()
        assert [(region.y, region.height) for region in painted[0]] == [(2, 1)]  # below title and heads


async def test_each_panel_says_what_closing_the_screen_means():
    here, there = (
        FakeControl(Snapshot("aria", (task("a"),))),
        FakeControl(Snapshot("mira", (task("b"),), owner="attached, pid 4711")),
    )
    async with screen(FakeFleet(here, there), size=(120, 12)) as pilot:
        assert shown(pilot).count("runs here: closing stops it") == 1
        assert shown(pilot).count("attached, pid 4711") == 1


async def test_a_citizen_whose_settings_are_broken_is_not_told_to_write_some():
    broken = Snapshot("opus", (), stale="/srv/ai/opus/experience.toml:10: is not UTF-8")
    async with screen(FakeFleet(FakeControl(broken)), size=(80, 24)) as pilot:
        assert shown(pilot).count("opus/experience.toml:10: is not UTF-8") == 1  # in the status
        assert f"{PROGRAM} check opus shows what is wrong" in shown(pilot)
        assert "no tasks yet" not in shown(pilot)


async def test_the_count_of_failures_stands_beside_the_failure_only():
    nap = replace(failed("nap", "no route"), note="waits for pid 7, started by an owner that died")
    async with screen(FakeFleet(citizen("opus", nap, failed("scan", "no route")))) as pilot:
        assert shown(pilot).count("×2") == 1


async def test_a_message_covers_no_row_whatever_the_room():
    refusal = (
        "opus/t01: a long refusal that names what is wrong, where it is, and what may be done about that now"
    )
    for size, rows, lines in (((80, 24), 25, 1), ((30, 8), 9, 1), ((80, 24), 6, 2)):
        fleet = FakeFleet(citizen("opus", *(task(f"t{number:02}") for number in range(rows))))
        async with screen(fleet, size=size) as pilot:
            before = shown(pilot).splitlines()
            pilot.app._actions.toast("an older one", "error")
            pilot.app._actions.toast(refusal, "error")
            await until(lambda pilot=pilot: "a long refusal" in shown(pilot), "it is said")
            after = shown(pilot).splitlines()
            same = size[1] - lines
            assert after[:same] == before[:same] and all("t0" not in line for line in before[same:])
            assert "opus/t01" in after[same], (size, rows)
