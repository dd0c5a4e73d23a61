"""`restore` by root, of what an agent's own process has written: archives and snapshots can hold anything."""

import io
import os
import stat
import subprocess
import tarfile

import pytest

from scheduler.handlers.offsite_backup import archive
from scheduler.handlers.offsite_backup.archive_restore import unpack
from tests.handlers.offsite_backup.quick_repository import PASSWORD, quick_repository
from tests.security.machine import AGENT, OTHER, Machine

TRAP = '#!/bin/sh\n(id -u; id -G; env) > {}/ran\nexec /usr/bin/restic "$@"\n'
NAME = "evil-20260302T120000Z.tar.gz"


class Backups:
    """The agent's backups in a folder, or a repository, of its own."""

    def __init__(self, machine: Machine) -> None:
        self.machine, self.folder, self.to = machine, machine.folder / "backups", machine.folder / "back"
        self.folder.mkdir(mode=0o755)
        os.chown(self.folder, AGENT, AGENT)
        self.settings(f'directory = "{self.folder}"')

    def settings(self, lines: str) -> None:
        (self.machine.home / "experience.toml").write_text(f"[tasks.offsite_backup]\n{lines}\n")

    def archive(self, *entries: tarfile.TarInfo) -> None:
        with tarfile.open(self.folder / NAME, "w:gz") as tar:
            for entry in entries:
                entry.size = 4 if entry.isreg() else 0
                tar.addfile(entry, io.BytesIO(b"evil") if entry.isreg() else None)
        os.chown(self.folder / NAME, AGENT, AGENT)

    def repository(self, script: str) -> None:
        """A snapshot of what the script leaves in the agent's home."""
        place = self.folder / "repo"
        quick_repository(place)
        for path in (place, *place.rglob("*")):
            os.chown(path, AGENT, AGENT)
        self.settings(f'repository = "{place}"\npassword = "{PASSWORD}"')
        self.machine.agent(
            f"rm -rf content; mkdir content; cd content; {script}; export RESTIC_PASSWORD='{PASSWORD}';"
            " restic -r $REPO --no-cache backup -q --tag experience-evil .",
            REPO=place,
            OUT=self.machine.outside,
            HOME=self.machine.home,
        )

    def restore(self, code: int) -> str:
        return self.machine.experience("restore", "evil", "--to", self.to, code=code)


@pytest.fixture
def backups(machine: Machine) -> Backups:
    return Backups(machine)


def entry(name: str, kind: bytes = tarfile.REGTYPE, link: object = "", **more: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, str(link)
    for key, value in more.items():
        setattr(info, key, value)
    return info


def test_a_link_in_an_archive_is_not_the_way_to_the_next_link(backups, machine):
    backups.archive(
        entry("d", tarfile.SYMTYPE, machine.outside),
        entry("d/planted.sh", tarfile.SYMTYPE, "/home/opus/x.sh"),
    )
    before = machine.everything_outside()
    assert "d/planted.sh lies below a link" in backups.restore(2)
    assert machine.everything_outside() == before


@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE])
def test_nor_to_a_file(backups, machine, kind):
    backups.archive(entry("d", tarfile.SYMTYPE, machine.outside), entry("d/planted", kind))
    before = machine.everything_outside()
    backups.restore(2)
    assert machine.everything_outside() == before


def test_a_hard_link_in_an_archive_names_a_file_of_the_archive(backups, machine):
    backups.archive(
        entry("d", tarfile.SYMTYPE, machine.outside), entry("mine", tarfile.LNKTYPE, "d/victim", uid=AGENT)
    )
    before = machine.everything_outside()
    backups.restore(2)
    assert machine.everything_outside() == before


@pytest.mark.parametrize("mode", [0o4755, 0o2755, 0o6777])
@pytest.mark.parametrize("uid", [0, OTHER])
def test_what_comes_back_is_not_setuid_and_belongs_to_the_homes_user(backups, mode, uid):
    backups.archive(
        entry("shell", mode=mode, uid=uid, gid=uid),
        entry("folder", tarfile.DIRTYPE, mode=0o755, uid=uid),
        entry("link", tarfile.SYMTYPE, "shell", uid=uid),
        entry("pipe", tarfile.FIFOTYPE, uid=uid, mode=0o644),
    )
    backups.restore(0)
    found = {path: path.lstat() for path in (backups.to, *backups.to.iterdir())}
    assert len(found) == 5
    assert {(status.st_uid, status.st_gid) for status in found.values()} == {(AGENT, AGENT)}
    assert not [path for path, status in found.items() if status.st_mode & (stat.S_ISUID | stat.S_ISGID)]


def test_an_archive_is_no_link_to_another_users(backups, machine):
    secret = machine.outside / "good-20260302T120000Z.tar.gz"
    backups.archive(entry("secret"))
    (backups.folder / NAME).rename(secret)
    os.chown(secret, 0, 0)
    (backups.folder / NAME).symlink_to(secret)
    os.chown(backups.folder / NAME, AGENT, AGENT, follow_symlinks=False)
    assert "another user made" in backups.restore(2)
    assert list(backups.to.iterdir()) == []


def test_a_pipe_in_place_of_an_archive_holds_nothing_up(backups):
    os.mkfifo(backups.folder / NAME)
    assert "damaged" in backups.restore(2)


@pytest.mark.parametrize("made_by", [AGENT, OTHER])
def test_a_folder_of_another_user_is_no_place_to_restore_to(backups, made_by):
    backups.archive(entry("a"))
    backups.to.mkdir()
    os.chown(backups.to, made_by, made_by)
    assert "belongs to another user" in backups.restore(2)
    assert list(backups.to.iterdir()) == []


def test_a_link_of_the_agent_is_no_place_to_restore_to(backups, machine):
    backups.archive(entry("a"))
    backups.to = machine.home / "back"
    (machine.outside / "empty").mkdir()
    machine.agent('ln -s "$OUT/empty" back', OUT=machine.outside)
    backups.restore(2)
    assert list((machine.outside / "empty").iterdir()) == []


# ------------------------------------------------------------------ hashes


def test_a_backup_that_differs_from_its_hashes_is_damaged(tmp_path):
    """Not only the checksum of the packed file is compared: a changed one is easily given a new checksum."""
    home, target = tmp_path / "opus", tmp_path / "backup.tar.gz"
    home.mkdir()
    (home / "a").write_text("mine")
    with archive.Writer(target, lambda path, why: None, lambda: False) as writer:
        for each in archive.walk(home, archive.rules(home, (), ()), lambda path, why: None):
            writer.add(each, home / each.path)
    packed = subprocess.run(["gzip", "-dc", target], capture_output=True, check=True).stdout
    for name, content in (("same", packed), ("other", packed.replace(b"mine", b"ours", 1))):
        (tmp_path / name).mkdir()
        file = tmp_path / f"{name}.tar.gz"
        file.write_bytes(
            subprocess.run(["gzip", "-c"], input=content, capture_output=True, check=True).stdout
        )
        if name == "same":
            assert unpack(file, tmp_path / name) is True
        else:
            with pytest.raises(archive.TaskFailed, match="its hashes are not those"):
                unpack(file, tmp_path / name)


def test_what_is_on_the_disk_is_compared_not_what_was_read(tmp_path, monkeypatch):
    home, target = tmp_path / "opus", tmp_path / "backup.tar.gz"
    home.mkdir()
    (home / "a").write_text("mine")
    with archive.Writer(target, lambda path, why: None, lambda: False) as writer:
        for each in archive.walk(home, archive.rules(home, (), ()), lambda path, why: None):
            writer.add(each, home / each.path)
    write = os.write
    monkeypatch.setattr(os, "write", lambda handle, chunk: write(handle, bytes(chunk).replace(b"m", b"M")))
    (tmp_path / "back").mkdir()
    with pytest.raises(archive.TaskFailed, match="its hashes are not those"):
        unpack(target, tmp_path / "back")


def test_an_archive_of_an_older_version_comes_back_and_says_what_was_compared(backups):
    backups.archive(entry("a"))
    assert "without hashes: only the checksum of the whole was compared" in backups.restore(0)
    assert (backups.to / "a").read_text() == "evil"


# ------------------------------------------------------------------ restic


@pytest.mark.needs("restic")
def test_a_database_of_a_snapshot_does_not_go_through_a_link_of_it(backups, machine):
    backups.repository(
        'mkdir -p .experience/staged/x; echo evil > .experience/staged/x/victim; ln -s "$OUT" x'
    )
    before = machine.everything_outside()
    assert "lies below a link" in backups.restore(2)
    assert machine.everything_outside() == before


@pytest.mark.needs("restic")
def test_a_snapshot_comes_back_without_setuid_as_the_homes_user(backups):
    backups.repository(
        "echo evil > shell; chmod 6755 shell; mkdir -p .experience/staged; : > .experience/staged/db"
    )
    backups.restore(0)
    assert (backups.to / "shell").stat().st_mode & 0o7777 == 0o755
    assert {path.lstat().st_uid for path in (backups.to, *backups.to.rglob("*"))} == {AGENT}
    assert (backups.to / ".experience").exists() is False or not (backups.to / ".experience/staged").exists()
    assert (backups.to / "db").exists()


@pytest.mark.needs("restic")
@pytest.mark.parametrize("listing", [True, False])
def test_root_runs_restic_with_the_rights_and_the_environment_of_the_homes_user(
    backups, machine, monkeypatch, listing
):
    """Its settings name a PATH, a back end's program, a password: anything may run."""
    backups.repository("echo a > a")
    trap = machine.home / "bin"
    machine.agent("mkdir bin; cat > bin/restic; chmod 755 bin/restic", given=TRAP.format(machine.home))
    settings = (machine.home / "experience.toml").read_text()
    path = f"{trap}:/usr/bin:/bin"
    (machine.home / "experience.toml").write_text(
        settings + f'environment = {{ PATH = "{path}", LD_LIBRARY_PATH = "/nowhere" }}\n'
    )
    monkeypatch.setenv("ROOTS_TOKEN", "root-token")
    monkeypatch.setenv("RESTIC_PASSWORD", "root-password")
    where = ["--list"] if listing else ["--to", backups.to]
    machine.experience("restore", "evil", *where, code=0)
    ran = (machine.home / "ran").read_text()
    assert ran.splitlines()[:2] == [str(AGENT), str(AGENT)]
    assert "root-token" not in ran and "root-password" not in ran


def test_settings_of_an_agent_get_nothing_of_roots_environment(backups, machine, monkeypatch):
    monkeypatch.setenv("ROOTS_TOKEN", "root-token")
    backups.settings('repository = "rest:http://127.0.0.1:9/${ROOTS_TOKEN}"\npassword = "x"')
    said = machine.experience("restore", "evil", "--list", code=2)
    assert "ROOTS_TOKEN" in said and "root-token" not in said


@pytest.mark.needs("restic")
def test_a_folder_that_the_homes_user_cannot_reach_is_said(backups, machine):
    backups.repository("echo a > a")
    backups.to = machine.outside / "back"
    assert f"{machine.outside} is closed to user {AGENT}" in backups.restore(2)
