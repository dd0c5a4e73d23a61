"""Which crontabs a move is about."""

import os

import pytest

from scheduler.errors import SchedulerError
from scheduler.migration import target
from scheduler.migration.target import current_user, sources


@pytest.fixture
def system(tmp_path, monkeypatch):
    """A crontab and a cron.d of a system, and a user without a crontab."""
    folder = tmp_path / "cron.d"
    folder.mkdir()
    (tmp_path / "crontab").write_text("0 0 * * * root x\n")
    for name in ("a", "b-c_1", "no.dots", "backup~", ".hidden"):
        (folder / name).write_text("0 0 * * * root y\n")
    monkeypatch.setattr(target, "SYSTEM", (tmp_path / "crontab", folder, tmp_path / "nowhere"))
    monkeypatch.setattr("scheduler.migration.crontab.Crontab.read", lambda self: None)
    return tmp_path


def test_the_system_has_columns_of_users_and_names_without_dots(system):
    found = sources([], current_user(), system=True, column=None)
    assert [(source.path.name, source.column) for source in found] == [
        ("crontab", True),
        ("a", True),
        ("b-c_1", True),
    ]


def test_files_stand_for_the_own_crontab_and_a_folder_for_what_is_in_it(system):
    found = sources([system / "cron.d", system / "crontab"], current_user(), system=False, column=False)
    assert [source.path.name for source in found] == ["a", "b-c_1", "crontab"]
    assert not any(source.column for source in found)


def test_a_user_without_a_crontab_is_said(system):
    with pytest.raises(SchedulerError, match="has no crontab; name a file"):
        sources([], current_user(), system=False, column=None)


def test_a_pipe_in_place_of_a_file_holds_nothing_up(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SchedulerError, match="not a regular file"):
        sources([tmp_path / "pipe"], current_user(), system=False, column=None)
