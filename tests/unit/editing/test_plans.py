"""Changes of settings: checked before they are written, named, and undone exactly."""

import os
import stat
from pathlib import Path

import pytest

from scheduler.core.schedules.schedule import Cron, Every
from scheduler.core.task import Command
from scheduler.editing.command_line import command_of
from scheduler.editing.journal import KEPT, newest
from scheduler.editing.plans import (
    SettingsFiles,
    add_task,
    remove_task,
    set_enabled,
    settings_files,
    undo_last,
)
from scheduler.errors import BadSettings, SchedulerError, UnknownCitizen, UnknownTask
from tests.each import each

REPORT = {"cron": "0 9 * * mon-fri", "timezone": "Europe/Berlin", "command": ["sh", "report.sh"]}
OWN = "# mine\n[tasks.disk]\nevery = '1h' # often\ncommand = ['df']\n"


@pytest.fixture
def files(tmp_path: Path) -> SettingsFiles:
    home = tmp_path / "root/opus"
    home.mkdir(parents=True)
    (home / "experience.toml").write_text(OWN)
    main = tmp_path / "main.toml"
    main.write_text(
        f'root = "{home.parent}"\n[citizens.opus.tasks.pump] # ours\nevery = "5m"\ncommand = ["true"]\n'
    )
    return settings_files("opus", main, {})


def test_an_added_task_is_what_the_scheduler_reads(files):
    edit = add_task(files, "report", REPORT)
    assert files.own.read_text() == OWN  # planned only
    assert (edit.what, edit.files, edit.warnings) == ("added report", (files.own,), ())
    edit.apply()
    assert files.own.read_text() == f"{OWN}\n{edit.lines}"
    task = {each.name: each for each in files.load().tasks}["report"]
    assert isinstance(task.schedule, Cron)
    assert str(task.schedule) == "0 9 * * mon-fri"
    assert task.work == Command(("sh", "report.sh"))


@each(
    "name, keys, said",
    [
        ("report", {"cron": "0 9 * * mon-fry", "command": ["df"]}, "mon-fry"),
        ("report", {"command": ["df"]}, "no schedule"),
        ("report", {"every": "1h", "evry": 1, "command": ["df"]}, "did you mean every"),
        ("disk", {"every": "1h", "command": ["df"]}, r"experience\.toml:2; remove it first"),
        ("pump", {"every": "1h", "command": ["df"]}, r"main\.toml:2"),
        ("Report", {"every": "1h", "command": ["df"]}, "not a valid name for a task"),
    ],
)
def test_what_the_settings_would_not_accept_is_not_written(files, name, keys, said):
    with pytest.raises(SchedulerError, match=said):
        add_task(files, name, keys)
    assert files.own.read_text() == OWN
    assert newest(files.home) is None


def test_what_is_valid_and_hardly_meant_is_said_before(files):
    edit = add_task(files, "report", {"every": "1s", "command": ["no-such-program"]})
    assert edit.warnings == (
        "report runs very often: every 1s",
        "report will fail: no such program: no-such-program; give its full path in command",
    )
    assert add_task(files, "news_scan", {"every": "1h"}).warnings == (
        "news_scan runs when it has what it needs: feeds",
    )


def test_a_task_is_removed_from_whichever_file_sets_it(files):
    before = files.main.read_text()
    remove_task(files, "disk").apply()
    assert files.own.read_text() == "# mine\n"
    edit = remove_task(files, "pump")
    edit.apply()
    assert edit.files == (files.main,)
    assert files.main.read_text() == before[: before.index("[citizens")]


def test_what_is_in_no_file_cannot_be_removed(files):
    with pytest.raises(SchedulerError, match="disable opus heartbeat"):
        remove_task(files, "heartbeat")
    with pytest.raises(UnknownTask, match="did you mean disk"):
        remove_task(files, "disc")


def test_disabled_and_enabled_leaves_no_trace_where_nothing_else_was_set(files):
    for name in ("heartbeat", "disk"):
        set_enabled(files, name, False).apply()
        assert {each.name: each.enabled for each in files.load().tasks}[name] is False
        with pytest.raises(SchedulerError, match="is disabled already"):
            set_enabled(files, name, False)
        set_enabled(files, name, True).apply()
        assert {each.name: each.enabled for each in files.load().tasks}[name] is True
    assert files.own.read_text() == OWN.replace("[tasks.disk]\n", "[tasks.disk]\nenabled = true\n")


def test_a_task_of_the_main_file_is_disabled_in_the_citizens_own(files):
    before = files.main.read_text()
    assert set_enabled(files, "pump", False).files == (files.own,)
    set_enabled(files, "pump", False).apply()
    assert files.main.read_text() == before
    assert files.own.read_text() == f"{OWN}\n[tasks.pump]\nenabled = false\n"


def test_every_change_is_undone_exactly_the_newest_first(files):
    texts = [files.own.read_bytes()]
    steps = (lambda: add_task(files, "report", REPORT), lambda: set_enabled(files, "disk", False))
    for step in (*steps, lambda: remove_task(files, "disk")):
        step().apply()
        texts.append(files.own.read_bytes())
    for text, what in zip(texts[-2::-1], ("removed disk", "disabled disk", "added report"), strict=True):
        assert undo_last(files).what == what
        assert files.own.read_bytes() == text
    with pytest.raises(SchedulerError, match="nothing to undo"):
        undo_last(files)


def test_undo_takes_a_file_away_that_the_change_made(files):
    files.own.unlink()
    (files.home / "background_tasks.json").write_text("{}")
    edit = add_task(files, "report", REPORT)
    edit.apply()
    assert files.own.read_text().startswith("#:schema ./.experience/schema.json\n")
    assert stat.S_IMODE(files.own.stat().st_mode) == 0o600
    undo_last(files)
    assert not files.own.exists()


def test_a_change_by_another_hand_is_never_overwritten(files):
    edit = add_task(files, "report", REPORT)
    files.own.write_text("# mine now\n")
    with pytest.raises(SchedulerError, match="has changed meanwhile"):
        edit.apply()
    files.own.write_text(OWN)
    edit.apply()
    files.own.write_text("# mine now\n")
    with pytest.raises(SchedulerError, match="has changed meanwhile"):
        undo_last(files)
    assert files.own.read_text() == "# mine now\n"


def test_a_change_in_two_files_is_made_whole_or_not_at_all(files, monkeypatch):
    files.own.write_text('[tasks.pump]\nevery = "1h"\n')
    own, main = files.own.read_text(), files.main.read_text()
    edit = remove_task(files, "pump")
    assert edit.files == (files.own, files.main)
    files.main.parent.chmod(0o500)
    try:
        if os.geteuid() == 0:
            from scheduler.editing import journal

            real = journal.replace_file

            def full(path, content, **how):
                if path == files.main:
                    raise OSError(28, "No space left on device")
                real(path, content, **how)

            monkeypatch.setattr(journal, "replace_file", full)
        with pytest.raises(OSError) as refused:  # whichever the system gives
            edit.apply()
        assert refused.value.filename, "a full disk does not say by itself where it is full"
    finally:
        files.main.parent.chmod(0o700)
    assert (files.own.read_text(), files.main.read_text()) == (own, main)
    assert newest(files.home) is None


def test_a_file_with_mistakes_is_mended_and_not_made_longer(files):
    files.own.write_text(f"{OWN}[tasks.bad]\nevery = 5\nevry = 1\n")
    with pytest.raises(BadSettings, match="evry"):
        add_task(files, "report", REPORT)
    remove_task(files, "bad").apply()
    assert files.own.read_text() == OWN
    files.own.write_text("[tasks\n")
    with pytest.raises(BadSettings, match="correct the TOML"):
        add_task(files, "report", REPORT)


def test_notes_of_old_changes_go(files, monkeypatch):
    monkeypatch.setattr("scheduler.editing.journal.KEPT", 3)
    for wanted in (False, True) * 3:
        set_enabled(files, "disk", wanted).apply()
    assert len(list((files.home / ".experience/edits").iterdir())) == 3 < KEPT
    assert stat.S_IMODE((files.home / ".experience/edits").stat().st_mode) == 0o700


def test_an_unknown_citizen_is_no_new_one(files):
    with pytest.raises(UnknownCitizen, match="did you mean opus"):
        settings_files("opsu", files.config, {})


def test_a_command_is_split_as_a_shell_would_and_left_to_one_where_it_must():
    commands = {
        "python3 report.py 'a b'": ["python3", "report.py", "a b"],
        'echo "a|b"': ["echo", "a|b"],
        r"echo a\|b": ["echo", "a|b"],
        "df | tail -1": ["sh", "-c", "df | tail -1"],
        "echo $HOME": ["sh", "-c", "echo $HOME"],
        'echo "$HOME"': ["sh", "-c", 'echo "$HOME"'],
        "A=1 env": ["sh", "-c", "A=1 env"],
    }
    assert {text: command_of(text) for text in commands} == commands
    for bad in ("", "echo 'a"):
        with pytest.raises(SchedulerError):
            command_of(bad)


def test_an_interval_is_written_as_it_was_given(files):
    add_task(files, "slow", {"every": "90m", "command": ["df"]}).apply()
    assert 'every = "90m"' in files.own.read_text()
    assert {each.name: each.schedule for each in files.load().tasks}["slow"] == Every(5400)
