"""The settings files as a screen changes them: where things are, whose they are, what may be taken back."""

import os
from pathlib import Path

import pytest

from scheduler.editing.editor import FileEditor
from scheduler.errors import BadSettings, SchedulerError

FIELDS = {"name": "report", "when": "1h", "command": "df", "timeout": "", "retries": ""}


@pytest.fixture
def opus(tmp_path: Path) -> Path:
    home = tmp_path / "root/opus"
    home.mkdir(parents=True)
    (home / "experience.toml").write_text("# mine\n\n[tasks.disk]\nevery = '1h'\ncommand = ['df']\n")
    (tmp_path / "main.toml").write_text(
        f'root = "{home.parent}"\n[citizens.opus.tasks.pump]\nevery = "5m"\ncommand = ["true"]\n'
    )
    return home


@pytest.fixture
def editor(opus: Path) -> FileEditor:
    return FileEditor(opus.parents[1] / "main.toml")


def test_a_task_is_found_at_its_line_and_a_new_one_goes_to_the_end(opus, editor):
    own, main = opus / "experience.toml", opus.parents[1] / "main.toml"
    assert [
        (editor.place("opus", task).file, editor.place("opus", task).line) for task in ("disk", "pump")
    ] == [
        (own, 3),
        (main, 2),
    ]
    assert (editor.place("opus", "news_scan").line, editor.place("opus").line) == (5, 1)
    assert editor.place("").file == main
    own.write_text("this is no TOML")
    assert editor.place("opus", "disk").file == own


def test_what_is_added_can_be_taken_back_once(opus, editor):
    before = (opus / "experience.toml").read_text()
    editor.plan("opus", FIELDS).apply()
    assert "[tasks.report]" in (opus / "experience.toml").read_text()
    assert editor.last_change("opus") == "added report" and editor.undo("opus") == "added report"
    assert (opus / "experience.toml").read_text() == before
    with pytest.raises(SchedulerError, match="nothing to undo"):
        editor.last_change("opus")


def test_the_lines_of_a_built_in_task_are_checked_before_they_are_written(opus, editor):
    with pytest.raises(BadSettings, match=r"tasks\.news_scan\.feeds"):
        editor.plan_lines("opus", "news_scan", "feeds = [5]")
    with pytest.raises(SchedulerError, match="Invalid value"):
        editor.plan_lines("opus", "news_scan", "feeds = x")
    editor.plan_lines("opus", "news_scan", 'feeds = ["https://example.org/x.xml"]').apply()
    assert "[tasks.news_scan]" in (opus / "experience.toml").read_text()


def test_a_new_citizen_gets_a_home_with_a_settings_file(opus, editor):
    assert editor.make("mira") == opus.parent / "mira/experience.toml" and (opus.parent / "mira").is_dir()
    with pytest.raises(SchedulerError, match="there already"):
        editor.make("mira")
    with pytest.raises(SchedulerError, match="not a valid name"):
        editor.make("../up")


def test_problems_are_those_of_the_files_as_they_are_now(opus, editor):
    assert editor.problems("opus") == ()
    (opus / "experience.toml").write_text("[tasks.disk]\nevry = '1h'\n")
    assert "did you mean every?" in editor.problems("opus")[0]


def test_nothing_is_changed_where_that_is_off(opus):
    editor = FileEditor(opus.parents[1] / "main.toml", "not in a browser")
    assert editor.why_not("") == editor.why_not("opus") == "not in a browser"
    for change in (
        lambda: editor.make("mira"),
        lambda: editor.plan("opus", FIELDS),
        lambda: editor.undo("opus"),
    ):
        with pytest.raises(SchedulerError, match="not in a browser"):
            change()
    assert not (opus.parent / "mira").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a home to another user")
def test_the_home_of_another_user_is_left_alone_even_by_root(opus, editor):
    os.chown(opus, 12345, 12345)
    assert editor.why_not("opus") == f"the settings of opus are another user's: {opus}"
    with pytest.raises(SchedulerError, match="another user's"):
        editor.plan("opus", FIELDS)
