"""`experience-tui restore`: brings back what was there, into an empty folder and nowhere else."""

import asyncio
import io
import os
import tarfile

import pytest

from scheduler.cli.main import run
from scheduler.cli.setup.restore import _context, restore_command
from scheduler.core.task import Context
from scheduler.errors import TaskFailed
from scheduler.handlers.offsite_backup.archive_restore import unpack
from scheduler.handlers.offsite_backup.handler import offsite_backup
from tests.each import each
from tests.handlers.homes import database, expected, odd_home, tree, write
from tests.handlers.offsite_backup.quick_repository import PASSWORD, quick_repository


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("EXPERIENCE_ROOT", str(tmp_path / "root"))
    monkeypatch.setenv("EXPERIENCE_CONFIG", str(write(tmp_path / "main.toml", "")))
    (tmp_path / "root/opus").mkdir(parents=True)
    (tmp_path / "backups").mkdir()
    return tmp_path / "root"


def settings(root, lines):
    write(root / "opus/experience.toml", f"[tasks.offsite_backup]\n{lines}\n")


def back_up():
    return asyncio.run(offsite_backup(_context("opus", None)[0]))


def restore(*argv):
    return run(restore_command, ["opus", *map(str, argv)], "experience-tui")


@pytest.fixture(params=["tar", pytest.param("restic", marks=pytest.mark.needs("restic"))])
def kind(request, root, tmp_path):
    if request.param == "tar":
        settings(root, f'directory = "{tmp_path}/backups"')
    else:
        quick_repository(tmp_path / "repo")
        settings(root, f'repository = "{tmp_path}/repo"\npassword = "${{VAULT}}"')
        write(root / "opus/.env", f"VAULT={PASSWORD}\n")
    return request.param


def test_the_newest_comes_back_and_is_shown(kind, root, tmp_path, capsys):
    odd_home(root / "opus")
    (root / "opus/.env").write_text(f"VAULT={PASSWORD}\n")
    (root / "opus/to-nowhere").unlink()  # restic before 0.16 gets it wrong
    before = expected(root / "opus")
    back_up()
    assert restore("--to", tmp_path / "new/back") == 0
    assert tree(tmp_path / "new/back") == before
    said = capsys.readouterr()
    assert said.out.startswith("restoring opus as of 20") and said.err == ""
    assert "  memory/  2 files, 27 B\n" in said.out and "  pipe  1 file, 0 B\n" in said.out
    assert said.out.endswith("MB\nnot in a backup: .env, caches, logs\n")
    assert "restored: 2" in said.out and PASSWORD not in said.out


def test_a_folder_that_is_not_empty_is_refused_and_untouched(kind, root, tmp_path, capsys):
    write(root / "opus/a")
    back_up()
    write(tmp_path / "back/mine", "mine")
    assert restore("--to", tmp_path / "back") == 2
    assert restore("--to", tmp_path / "back/mine") == 2
    err = capsys.readouterr().err
    assert err.count("is not empty; name a new or empty folder") == 2
    assert [path.name for path in (tmp_path / "back").iterdir()] == ["mine"]


def test_a_snapshot_is_chosen_by_its_name_or_a_part_of_it(kind, root, tmp_path, capsys, monkeypatch):
    moments = iter([1772452800.0, 1772539200.0])  # 2 and 3 March 2026, for the names of the archives
    if kind == "tar":
        monkeypatch.setattr("scheduler.system.clock.SystemClock.now", lambda: next(moments))
    for name in ("first", "second"):
        write(root / "opus/file", name)
        back_up()
    assert restore("--list") == 0
    first, second = (line.split()[0] for line in capsys.readouterr().out.splitlines())
    assert restore("--to", tmp_path / "1", "--snapshot", first) == 0
    assert restore("--to", tmp_path / "2") == 0
    part = "20260302" if kind == "tar" else first[:6]
    assert restore("--to", tmp_path / "3", "--snapshot", part) == 0
    assert [(tmp_path / name / "file").read_text() for name in "123"] == ["first", "second", "first"]
    assert restore("--to", tmp_path / "4", "--snapshot", "nonesuch") == 2
    assert f"no backup of opus for 'nonesuch'; there are: {second}, {first}" in capsys.readouterr().err
    assert not (tmp_path / "4").exists()


def test_what_is_missing_is_said(kind, root, tmp_path, capsys):
    assert restore("--to", tmp_path / "back") == 2
    assert restore() == 2
    assert restore("--list") == 0
    said = capsys.readouterr()
    assert "there is no backup of opus yet" in said.err and "where to? Add --to DIR" in said.err
    assert said.out == "no backup yet\n"


def test_a_citizen_without_backup_settings(root, tmp_path, capsys):
    settings(root, 'command = ["true"]')
    assert restore("--to", tmp_path / "back") == 2
    assert run(restore_command, ["mira", "--to", "x"]) == 2
    err = capsys.readouterr().err
    assert "opus: offsite_backup has neither repository nor directory; add one, see docs/tasks.md" in err
    assert "unknown citizen 'mira'" in err


def test_both_places_at_once_are_refused(root, tmp_path, capsys):
    settings(root, 'directory = "/mnt"\nrepository = "s3:x"')
    assert restore("--to", tmp_path / "back") == 2
    assert (
        "tasks.offsite_backup: has both repository and directory; keep one of them" in capsys.readouterr().err
    )


def test_a_target_folder_that_is_gone_and_a_wrong_password(root, tmp_path, capsys):
    settings(root, 'directory = "/nowhere/at/all"')
    assert restore("--to", tmp_path / "back") == 2
    assert "/nowhere/at/all: No such file or directory" in capsys.readouterr().err


@pytest.mark.needs("restic")
def test_on_a_new_machine_the_password_comes_from_the_environment(root, tmp_path, monkeypatch):
    quick_repository(tmp_path / "repo")
    table = f'[citizens.opus.tasks.offsite_backup]\nrepository = "{tmp_path}/repo"\npassword = "${{VAULT}}"\n'
    write(tmp_path / "main.toml", table)
    monkeypatch.setenv("VAULT", PASSWORD)
    database(root / "opus/runs.db")
    before = tree(root / "opus")
    back_up()
    (root / "opus").rename(tmp_path / "lost")
    assert restore("--to", root / "opus") == 0
    assert tree(root / "opus") == before


@pytest.mark.needs("restic")
def test_a_wrong_password_is_said(root, tmp_path, capsys):
    quick_repository(tmp_path / "repo")
    settings(root, f'repository = "{tmp_path}/repo"\npassword = "wrong battery"')
    assert restore("--to", tmp_path / "back") == 2
    err = capsys.readouterr().err
    assert "the password does not open the repository" in err and "battery" not in err


# ------------------------------------------------------------------ archives that mean no good


def archive(path, *members):
    with tarfile.open(path, "w:gz") as tar:
        for name, kind, link in members:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, link
            content = b"evil" if kind == tarfile.REGTYPE else b""
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


@each(
    "members",
    [
        [("../outside", tarfile.REGTYPE, "")],
        [("/etc/outside", tarfile.REGTYPE, "")],
        [("a/../../outside", tarfile.DIRTYPE, "")],
        [("link", tarfile.LNKTYPE, "../outside")],
        [("device", tarfile.CHRTYPE, "")],
    ],
)
def test_nothing_is_written_outside(tmp_path, members):
    (tmp_path / "back").mkdir()
    with pytest.raises(TaskFailed, match=r"the backup is damaged, .*back is incomplete"):
        unpack(archive(tmp_path / "evil.tar.gz", *members), tmp_path / "back")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["back", "evil.tar.gz"]


def test_nothing_is_written_through_a_link(tmp_path):
    (tmp_path / "back").mkdir()
    (tmp_path / "outside").mkdir()
    evil = archive(
        tmp_path / "evil.tar.gz", ("l", tarfile.SYMTYPE, "../outside"), ("l/file", tarfile.REGTYPE, "")
    )
    with pytest.raises((TaskFailed, OSError)):
        unpack(evil, tmp_path / "back")
    assert [*(tmp_path / "outside").iterdir()] == []


def test_a_damaged_archive_is_said(root, tmp_path, capsys):
    settings(root, f'directory = "{tmp_path}/backups"')
    write(root / "opus/a", os.urandom(100_000))
    back_up()
    (file,) = (tmp_path / "backups").iterdir()
    content = bytearray(file.read_bytes())
    content[50_000] ^= 1
    file.write_bytes(content)
    assert restore("--to", tmp_path / "back") == 2
    err = capsys.readouterr().err
    assert "the backup is damaged" in err and "is incomplete" in err and "try an older one" in err


def test_no_place_at_all(tmp_path):
    with pytest.raises(TaskFailed, match="there is no place for the backup; set repository or directory"):
        asyncio.run(offsite_backup(Context("opus", tmp_path, "offsite_backup")))
