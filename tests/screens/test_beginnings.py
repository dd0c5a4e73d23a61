"""The first minutes: what the screen teaches, how it looks, and when it has taught enough."""

from dataclasses import replace
from pathlib import Path

import pytest

from scheduler.cli.queries.check import check_command
from scheduler.core.views import Snapshot, WakeView
from scheduler.editing.editor import FileEditor
from tests.each import each
from tests.fakes import FakeControl, FakeFleet, until
from tests.screens.beginnings import BEGINNINGS, BEGUN, FIRST, first, needs
from tests.screens.driving import press, screen, settled, shown, toasts
from tests.screens.situations import task
from tui.common.pane import StyledText
from tui.fleet_page.body import FleetBody
from tui.lessons.start_here import Beginning, is_beginning
from tui.lessons.steps import BUILT_IN, EXAMPLE, WHOLE_TURN, Facts, short_steps
from tui.terminal import editor as terminal_editor


@pytest.mark.timeout(120)
def test_it_looks_as_it_should(changed_looks):
    assert changed_looks(BEGINNINGS) == []


@pytest.fixture
def beginning(tmp_path: Path) -> Beginning:
    return Beginning(lambda: 8, tmp_path / "state/hidden")


async def test_the_first_steps_stand_where_events_will_be_until_a_task_of_ones_own_has_run(beginning):
    fleet = first()()
    async with screen(fleet, size=(80, 24), beginning=beginning) as pilot:
        await settled(pilot)
        assert "start here" in shown(pilot) and "a crontab of 8 lines" in shown(pilot)
        (control,) = fleet.view.controls
        control.show(replace(FIRST, tasks=(*FIRST.tasks, task("report", run_count=0))))
        await settled(pilot)
        assert "start here" in shown(pilot), "it is there, but has not run yet"
        control.show(replace(FIRST, tasks=(*FIRST.tasks, task("report"))))
        await until(lambda: "start here" not in shown(pilot), "the lesson is over")
        await settled(pilot)
        assert "events" in shown(pilot) and " v table  t timeline" in shown(pilot)


async def test_esc_hides_them_for_good_and_the_palette_shows_them_again(beginning):
    async with screen(first()(), size=(80, 24), beginning=beginning) as pilot:
        await settled(pilot)
        await press(pilot, "escape")
        await until(lambda: "start here show it again" in shown(pilot), "it is said how")
        assert beginning.hidden
    async with screen(first()(), size=(80, 24), beginning=beginning) as pilot:
        await settled(pilot)
        assert "start here" not in shown(pilot)
        await press(pilot, "colon", *"start here", "enter")
        await until(lambda: "╭─ start here" in shown(pilot), "it is back")


async def test_what_comes_while_the_monitor_ends_is_not_shown(beginning):
    fleet = first(tasks=())()
    async with screen(fleet, size=(80, 24), beginning=beginning) as pilot:
        body = pilot.app.query_one(FleetBody)
        body._lower = None  # as before the first layout
        pilot.app.exit()
        fleet.view.controls[0].show(FIRST)
        fleet.show(replace(fleet.view, problems=("experience.toml: wrong",)))
        body.on_fleet_grid_arranged()
    assert pilot.app.return_code == 0


async def test_y_copies_the_lines_of_the_step_and_tab_leads_back(beginning):
    copied = []
    async with screen(first()(), size=(80, 24), beginning=beginning) as pilot:
        pilot.app.copy_to_clipboard = copied.append
        await until(lambda: "a crontab of 8 lines" in shown(pilot), "cron has been asked")
        await press(pilot, "tab", "y", "down", "y")
        assert [text.splitlines()[0] for text in copied] == ["[wake]", "./run.sh migrate"]
        await press(pilot, "a")
        assert toasts(pilot)[2:] == ["these citizens are made up, and so are their settings"]
        await press(pilot, "tab", "down")
        assert "❯✓ heartbeat" in shown(pilot)


def test_who_has_a_fleet_or_a_wake_needs_no_first_steps():
    woken = replace(FIRST, wake=WakeView(3, BEGUN + 60))
    assert is_beginning([FIRST]) and is_beginning([Snapshot("opus", (needs("news_scan", "4h", "feeds"),))])
    assert not is_beginning([woken]) and not is_beginning([FIRST] * 4)
    assert not is_beginning([Snapshot("opus", (task("report"),))])


@each("lines", [WHOLE_TURN, BUILT_IN])
def test_what_is_to_be_copied_is_valid(lines, tmp_path, monkeypatch, capsys):
    (tmp_path / "opus").mkdir()
    (tmp_path / "opus/experience.toml").write_text(lines)
    (tmp_path / "main.toml").write_text(f'root = "{tmp_path}"\n')
    assert check_command(["--config", str(tmp_path / "main.toml")], standalone_mode=False) == 0


def test_the_example_for_the_main_file_is_valid(tmp_path):
    (tmp_path / "main.toml").write_text(f'root = "{tmp_path}"\n{EXAMPLE}')
    assert check_command(["--config", str(tmp_path / "main.toml")], standalone_mode=False) == 0


def test_a_path_without_room_is_the_name_of_the_file():
    def file(width: int) -> StyledText:
        return short_steps(Facts("opus", "~/a/long/way/experience.toml"), width)[0][1].pieces[1]

    assert (file(70).text, file(50).text) == ("~/a/long/way/experience.toml", "experience.toml")
    with_cron, without = short_steps(Facts("opus", "", 8), 70), short_steps(Facts("opus", ""), 70)
    assert list(map(len, with_cron)) == [13, 11, 8] and list(map(len, without)) == [11, 8]


async def test_an_empty_fleet_without_cron_does_not_speak_of_it(tmp_path):
    async with screen(FakeFleet(root="/srv"), beginning=Beginning(lambda: 0, tmp_path / "x")) as pilot:
        await settled(pilot)
        assert "migrate" not in shown(pilot) and "root: /srv" in shown(pilot)
        await press(pilot, "i")
        assert toasts(pilot) == ["these citizens are made up, and so are their settings"]


async def test_a_wake_without_a_command_says_so_once():
    control = FakeControl(FIRST)
    async with screen(FakeFleet(control), size=(120, 24)) as pilot:
        assert shown(pilot).count("recorded") == 1 and "no command yet" in shown(pilot)
        await pilot.resize_terminal(60, 24)
        await settled(pilot)
        assert "· no wake command" in shown(pilot), "where its row has no room the frame says it"


async def test_e_opens_the_file_at_the_chosen_problem(tmp_path, monkeypatch):
    own = tmp_path / "opus/experience.toml"
    own.parent.mkdir()
    own.write_text("[tasks.report]\nevry = '1h'\n\n[tasks.digest]\ncron = 'x'\n")
    (tmp_path / "main.toml").write_text(f'root = "{tmp_path}"\n')
    editor = FileEditor(tmp_path / "main.toml")
    problems = editor.problems("opus")
    broken = Snapshot("opus", (task("report"),), problems=problems, settings_from=BEGUN)
    opened = []
    monkeypatch.setattr(terminal_editor, "edit", lambda app, file, line: opened.append((file, line)))
    fleet = FakeFleet(FakeControl(broken))
    async with screen(fleet, size=(80, 24), editor=lambda: editor) as pilot:
        await until(lambda: "opus/experience.toml:2" in shown(pilot), "the lines are found")
        await press(pilot, "e")
        await until(lambda: "edit again" in shown(pilot), "what is wrong still")
        await press(pilot, "escape", "tab", "enter", "e")
        await until(lambda: "edit again" in shown(pilot), "the editor again")
        assert opened[0] == (own, 2) and opened[1][1] != 2
        await press(pilot, "escape")
        fleet.view.controls[0].show(replace(broken, problems=(), settings_from=None))
        await until(lambda: "problem" not in shown(pilot), "the list goes by itself")
        await press(pilot, "down")
        assert pilot.app.focused is pilot.app.query_one("FleetGrid")
