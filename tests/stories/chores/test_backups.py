"""What users of backups saw elsewhere: the one just made removed, or written beside its disk."""

import asyncio
import json
import os
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from scheduler.cli.setup.restore import backups
from scheduler.core.task import Context, Report
from scheduler.errors import TaskFailed
from scheduler.handlers.offsite_backup import place as places
from scheduler.handlers.offsite_backup.archive import archives
from scheduler.handlers.offsite_backup.handler import offsite_backup
from scheduler.handlers.offsite_backup.options import Options
from scheduler.handlers.offsite_backup.place import NOTE, in_order
from scheduler.handlers.offsite_backup.restic_backup import snapshots
from tests.handlers.homes import write
from tests.handlers.offsite_backup.quick_repository import PASSWORD, quick_repository

AHEAD = datetime(2036, 5, 1, 12, tzinfo=UTC)
RIGHT = datetime(2026, 3, 2, 12, tzinfo=UTC)
BEHIND = datetime(1970, 1, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def moment(monkeypatch):
    """What the clock says; a day later with every backup."""
    now = {"now": RIGHT}
    monkeypatch.setattr("scheduler.system.clock.SystemClock.now", lambda: now["now"].timestamp())
    return now


@pytest.fixture
def target(home, tmp_path):
    write(home / "a.txt")
    (tmp_path / "backups").mkdir()
    return tmp_path / "backups"


def context(home, **given):
    return Context("opus", home, "offsite_backup", Options.model_construct(**given))


def back_up(home, target, moment, keep=3):
    """Make a backup; its name without the citizen's, as far as the hour."""
    text = asyncio.run(offsite_backup(context(home, directory=target, keep=keep)))
    assert isinstance(text, str), text
    moment["now"] += DAY
    return text.split("opus-")[1][:8]


def kept(target):
    return {file.name[5:13] for file in archives("opus", target)}


# ------------------------------------------------------------------ the clock


def test_a_backup_that_was_just_made_is_not_the_one_that_goes(home, target, moment):
    """dash 7005, borg 1143: three backups while the clock is ahead, then one at the right time."""
    moment["now"] = AHEAD
    for _ in range(3):
        back_up(home, target, moment)
    moment["now"] = RIGHT
    assert back_up(home, target, moment) in kept(target)
    for _ in range(2):
        back_up(home, target, moment)
    assert kept(target) == {"20260302", "20260303", "20260304"}, "those of the future were made first"


def test_the_last_made_stay_wherever_the_clock_was(home, target, moment):
    """A board without a battery starts in 1970 between two right days, and one day a date is tried out."""
    made = []
    for when in (RIGHT, BEHIND, RIGHT + DAY, AHEAD, RIGHT + 2 * DAY, BEHIND, RIGHT + 3 * DAY):
        moment["now"] = when
        made.append(back_up(home, target, moment))
        assert kept(target) == {*made[-3:]}


def test_one_backup_is_kept_and_it_is_the_new_one(home, target, moment):
    for when in (RIGHT, AHEAD, BEHIND, RIGHT):
        moment["now"] = when
        assert {back_up(home, target, moment, keep=1)} == kept(target)


def test_the_newest_to_restore_is_the_one_made_last(home, target, moment):
    moment["now"] = AHEAD
    back_up(home, target, moment)
    moment["now"] = RIGHT
    back_up(home, target, moment)
    found = [each.name[5:13] for each in backups(context(home, directory=target))]
    assert found == ["20360501", "20260302"]
    (home / NOTE).unlink()  # on a new machine nothing is known but the names
    assert [each.name[5:13] for each in backups(context(home, directory=target))] == found


def test_backups_of_an_earlier_version_are_older_than_what_is_made_now(home, target, moment):
    for day in ("20260228", "20260301", "20360101"):
        write(target / f"opus-{day}T120000Z.tar.gz")
    back_up(home, target, moment)
    assert kept(target) == {"20260228", "20260301", "20260302"}


def test_what_was_never_noted_stays_behind_its_neighbour_and_is_never_the_newest():
    def order(found, made, now="z"):
        return "".join(in_order([*found], [*made], str, str, now))

    assert order("cab", "ac") == "abc", "made, and not noted, between the two"
    assert order("bca", "cab") == "cab"
    assert order("abx", "ab") == "xab", "later than the last one made"
    assert order("abx", "", now="c") == "xab", "from the future"
    assert order("abx", "") == "abx"


def test_a_home_whose_disk_is_full_is_backed_up_and_the_new_one_stays(home, target, moment, monkeypatch):
    def full(note, place):
        raise OSError(28, os.strerror(28))

    moment["now"] = AHEAD
    back_up(home, target, moment)
    moment["now"] = RIGHT
    monkeypatch.setattr("scheduler.handlers.offsite_backup.archive.remember", full)
    report = asyncio.run(offsite_backup(context(home, directory=target, keep=1)))
    assert isinstance(report, Report) and report.warning and "No space left" in report.text
    assert kept(target) == {"20260302"}


@pytest.mark.needs("restic")
@pytest.mark.timeout(120)
def test_a_snapshot_that_was_just_made_is_not_the_one_that_is_forgotten(home, tmp_path):
    """dash 7005 with restic, whose --keep-last goes by the times of the snapshots."""
    write(home / "a.txt")
    repo = quick_repository(tmp_path / "repo")
    own = {
        "RESTIC_REPOSITORY": str(repo),
        "RESTIC_PASSWORD": PASSWORD,
        "RESTIC_CACHE_DIR": str(tmp_path / "c"),
    }
    for day in ("2036-05-01", "2036-05-02"):
        argv = ["restic", "backup", "--time", f"{day} 12:00:00", "--tag", "experience-opus", "."]
        subprocess.run(argv, cwd=home, env={**os.environ, **own}, check=True, capture_output=True)
    ctx = context(home, repository=str(repo), password=PASSWORD, keep=2)
    for number in range(2):
        write(home / "a.txt", str(number))
        asyncio.run(offsite_backup(ctx))
        newest = asyncio.run(snapshots(ctx, ctx.options))[-1]
        assert not str(newest["time"]).startswith("2036")
    assert not any(str(each["time"]).startswith("2036") for each in asyncio.run(snapshots(ctx, ctx.options)))


# ------------------------------------------------------------------ the disk


def test_a_disk_that_is_not_mounted_is_no_place_for_a_backup(home, small_disk, moment):
    """NethServer 5720, openhabian 1176: "successful backup stored on /", until that is full."""
    write(home / "a.txt")
    disk = small_disk.mount()
    for _ in range(2):
        back_up(home, disk, moment)
    small_disk.unmount()
    with pytest.raises(TaskFailed, match=r"not on the disk that held the backups; mount it, or .* remove"):
        back_up(home, disk, moment)
    assert not list(disk.iterdir())
    small_disk.mount()  # a new and empty one, of another device or not
    (home / NOTE).unlink()
    back_up(home, disk, moment)


@pytest.fixture
def disks(monkeypatch):
    """Which folder is a mount, and on which device the backups are: no machine lets everyone mount."""
    now = {"mounts": {Path("/")}, "device": 1}
    monkeypatch.setattr(places.os.path, "ismount", lambda path: path in now["mounts"])
    monkeypatch.setattr(places, "_device", lambda path: now["device"])
    return now


def test_old_backups_below_an_unmounted_disk_are_no_disk(home, target, moment, disks):
    """backintime 147: a backup had been made there before, when the disk was not mounted either."""
    disks["mounts"].add(target)
    back_up(home, target, moment)
    disks["mounts"].remove(target)
    with pytest.raises(TaskFailed, match="mount it"):
        back_up(home, target, moment)


def test_a_disk_above_the_folder_is_missed_too(home, target, moment, disks):
    disks["mounts"].add(target.parent)
    back_up(home, target, moment)
    disks["mounts"].remove(target.parent)
    with pytest.raises(TaskFailed, match="mount it"):
        back_up(home, target, moment)


def test_another_disk_without_the_backups_is_not_taken_for_the_first(home, target, moment, disks):
    disks["mounts"].add(target)
    disks["device"] = 2
    back_up(home, target, moment)
    for file in target.iterdir():
        file.unlink()
    disks["device"] = 3
    with pytest.raises(TaskFailed, match="mount it"):
        back_up(home, target, moment)
    (home / NOTE).unlink()
    back_up(home, target, moment)


def test_the_same_disk_under_another_number_is_the_same_disk(home, target, moment, disks):
    """Numbers of devices change when the machine starts again: that must not stop the backups."""
    for device in (2, 3):
        disks["device"] = device
        back_up(home, target, moment)
    assert json.loads((home / NOTE).read_text())["device"] == 3


def test_another_folder_in_the_settings_is_another_place(home, target, tmp_path, moment, disks):
    back_up(home, target, moment)
    disks["device"] = 2
    (tmp_path / "new").mkdir()
    back_up(home, tmp_path / "new", moment)
