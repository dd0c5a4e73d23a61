"""offsite_backup to a folder: what comes back is what was there; what is no backup is not called one."""

import asyncio
import gzip
import os
import re
import resource
import signal
import sqlite3
import subprocess
import sys
import tarfile
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest

from scheduler.core.task import Context, Report
from scheduler.errors import TaskFailed
from scheduler.handlers.net.cancellable import Stopped
from scheduler.handlers.offsite_backup import archive as tar_backup
from scheduler.handlers.offsite_backup.archive import Damaged, compare
from scheduler.handlers.offsite_backup.archive_restore import unpack
from scheduler.handlers.offsite_backup.files import STAGED
from scheduler.handlers.offsite_backup.handler import offsite_backup
from scheduler.handlers.offsite_backup.options import Options
from tests.each import each
from tests.fakes import NOON, until
from tests.handlers.homes import database, expected, odd_home, tree, write
from tests.ordinary_user import ordinary_user

ROOT = Path(__file__).parents[3]


@pytest.fixture
def target(tmp_path):
    (tmp_path / "backups").mkdir()
    return tmp_path / "backups"


@pytest.fixture(autouse=True)
def day(monkeypatch):
    """Each backup on a day of its own."""
    days = iter(range(1000))
    monkeypatch.setattr(
        "scheduler.system.clock.SystemClock.now", lambda: NOON + timedelta(days=next(days)).total_seconds()
    )


def context(home, target, **options):
    return Context("opus", home, "offsite_backup", Options.model_construct(directory=target, **options))


def run(home, target, **options):
    return asyncio.run(offsite_backup(context(home, target, **options)))


def unpacked(target, to):
    to.mkdir()
    unpack(tar_backup.archives("opus", target)[-1], to)
    return to


def test_what_comes_back_is_what_was_there(home, target, tmp_path):
    before = expected(odd_home(home))
    text = run(home, target)
    assert re.fullmatch(
        r"24 files, 3.7\d MB, in opus-20260302T120000Z.tar.gz \(7\d\d kB\), verified; 1 kept", text
    )
    assert tree(unpacked(target, tmp_path / "back")) == before
    assert len(before) > 50


@pytest.mark.needs("tar")
def test_any_tar_can_unpack_it(home, target, tmp_path):
    before = expected(odd_home(home))
    run(home, target)
    (tmp_path / "back").mkdir()
    archive = tar_backup.archives("opus", target)[0]
    subprocess.run(["tar", "-xpzf", archive, "-C", tmp_path / "back"], check=True, stderr=subprocess.DEVNULL)
    assert tree(tmp_path / "back") == before


def test_the_archive_is_for_its_owner_alone_and_nothing_else_is_left(home, target):
    odd_home(home)
    run(home, target)
    (archive,) = target.iterdir()
    assert archive.stat().st_mode & 0o777 == 0o600
    assert not (home / STAGED).exists()


def test_no_secret_is_in_it_whatever_its_name(home, target):
    write(home / ".env", "TOKEN=s3cret")
    (home / "other-name").hardlink_to(home / ".env")
    (home / "link").symlink_to(".env")
    write(home / "sub/.env.local", "TOKEN=s3cret")
    run(home, target)
    assert b"s3cret" not in gzip.decompress(tar_backup.archives("opus", target)[0].read_bytes())


def test_the_newest_stay_and_others_are_left_alone(home, target):
    strangers = [
        "opus-2-20260101T000000Z.tar.gz",
        "opus-notes.tar.gz",
        ".mira-20260101T000000Z.tar.gz.partial",
    ]
    for name in strangers:
        write(target / name)
    write(home / "a")
    texts = [run(home, target, keep=3) for _ in range(5)]
    assert [text[-6:] for text in texts] == ["1 kept", "2 kept", "3 kept", "3 kept", "3 kept"]
    assert [path.name[5:13] for path in tar_backup.archives("opus", target)] == [
        "20260304",
        "20260305",
        "20260306",
    ]
    assert {*strangers} <= {path.name for path in target.iterdir()}


@each("link", [False, True])
def test_a_target_inside_the_home_is_not_in_itself(home, link, tmp_path):
    inside = home / "data" / "backups"
    inside.mkdir(parents=True)
    target = inside
    if link:
        (tmp_path / "elsewhere").symlink_to(inside)
        target = tmp_path / "elsewhere"
    write(home / "data/kept")
    sizes = [run(home, target) and tar_backup.archives("opus", inside)[-1].stat().st_size for _ in range(3)]
    assert max(sizes) - min(sizes) < 50
    assert {*tree(unpacked(inside, tmp_path / "back"))} == {"data", "data/kept"}


def test_patterns_of_ones_own(home, target, tmp_path):
    for name in ("a.tmp", "b/c.tmp", "b/data/x", "data/raw/x", "data/rawer/x", "b/data/raw/x", "we[ird/x"):
        write(home / name)
    run(home, target, exclude=("*.tmp", "data/raw/", "/b/data/?", "we[ird"))
    found = [name for name, facts in tree(unpacked(target, tmp_path / "back")).items() if facts[-1]]
    assert sorted(found) == ["b/data/raw/x", "data/rawer/x"]


# ------------------------------------------------------------------ databases


def rows(path):
    with sqlite3.connect(path) as found:
        count = found.execute("select count(*) from numbers").fetchone()[0]
        assert found.execute("pragma integrity_check").fetchone() == ("ok",)
    found.close()
    return count


@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_a_database_in_use_is_copied_as_of_one_moment(home, target, tmp_path, journal, monkeypatch):
    # On a busy machine a writer without a pause can hold the lock for longer than the usual patience.
    monkeypatch.setattr("scheduler.handlers.offsite_backup.databases.PATIENCE", 40.0)
    database(home / "runs.db", rows=5000, journal=journal)
    stop = threading.Event()

    def keep_writing():  # always ten rows at once
        with sqlite3.connect(home / "runs.db", timeout=10) as busy:
            while not stop.is_set():
                busy.executemany("insert into numbers values (?, 'y')", [(n,) for n in range(10)])
                busy.commit()
        busy.close()

    writer = threading.Thread(target=keep_writing)
    writer.start()
    try:
        assert run(home, target).endswith("1 kept")
    finally:
        stop.set()
        writer.join()
    back = unpacked(target, tmp_path / "back")
    assert [path.name for path in back.iterdir() if path.name != ".experience"] == ["runs.db"]
    assert rows(back / "runs.db") >= 5000
    assert rows(back / "runs.db") % 10 == 0


def test_what_is_still_in_the_wal_is_in_the_copy_and_the_wal_stays_as_it_is(home, target, tmp_path):
    database(home / "runs.db", journal="wal")
    busy = sqlite3.connect(home / "runs.db")
    busy.execute("insert into numbers values (1, 'x')")
    busy.commit()
    before = (home / "runs.db-wal").read_bytes(), (home / "runs.db").read_bytes()
    run(home, target)
    assert ((home / "runs.db-wal").read_bytes(), (home / "runs.db").read_bytes()) == before
    assert rows(unpacked(target, tmp_path / "back") / "runs.db") == 11
    busy.close()


def test_a_database_at_rest_gets_no_companions_from_us(home, target):
    database(home / "runs.db", journal="wal")
    run(home, target)
    assert sorted(path.name for path in home.iterdir()) == [".experience", "runs.db"]


def test_a_locked_database_is_said_by_name(home, target, monkeypatch, tmp_path):
    monkeypatch.setattr("scheduler.handlers.offsite_backup.databases.PATIENCE", 0.05)
    database(home / "runs.db")
    write(home / "kept")
    busy = sqlite3.connect(home / "runs.db", isolation_level=None)
    busy.execute("begin exclusive")
    report = run(home, target)
    busy.close()
    assert report.warning
    assert report.text.endswith(", verified; 1 kept; not as it should be: runs.db (database is locked)")
    assert {*tree(unpacked(target, tmp_path / "back"))} == {"kept"}


def test_what_only_begins_like_a_database_is_a_file(home, target, tmp_path):
    content = b"SQLite format 3\0" + b"?" * 1008
    write(home / "fake.db", content)
    write(home / "short", content[:16])
    assert run(home, target).endswith("1 kept")
    back = unpacked(target, tmp_path / "back")
    assert (back / "fake.db").read_bytes() == content and (back / "short").exists()


# ------------------------------------------------------------------ files that do not keep still


def changing(home, target, change):
    """A backup during which `change` happens, when the first file is reached."""
    done = []

    def listen(progress):
        if progress.text == "b" and not done:
            done.append(change())

    ctx = Context("opus", home, "offsite_backup", Options.model_construct(directory=target), report=listen)
    return asyncio.run(offsite_backup(ctx))


def test_a_file_that_vanishes_is_said(home, target, tmp_path):
    for name in "abc":
        write(home / name)
    report = changing(home, target, (home / "c").unlink)
    assert report.warning and "not as it should be: c (vanished)" in report.text
    assert {*tree(unpacked(target, tmp_path / "back"))} == {"a", "b"}


def test_a_folder_and_a_file_that_change_places_are_said(home, target):
    for name in "abc":
        write(home / name)
    report = changing(home, target, lambda: ((home / "c").unlink(), (home / "c").symlink_to("/etc/passwd")))
    assert "c (Too many levels of symbolic links)" in report.text
    assert b"root:" not in gzip.decompress(tar_backup.archives("opus", target)[0].read_bytes())


@each(("size", "words"), [(5, "became shorter"), (900_000, "changed while it was read")])
def test_a_file_that_changes_is_said_and_harms_no_other(home, target, tmp_path, size, words, monkeypatch):
    from scheduler.handlers.offsite_backup.archive import _Hashed

    write(home / "a", os.urandom(700_000))
    write(home / "b", "whole")
    read, asked = _Hashed._content, []

    def resized(self, wanted):
        asked.append(wanted)
        if len(asked) == 2:
            os.truncate(home / "a", size)
        return read(self, wanted)

    monkeypatch.setattr(_Hashed, "_content", resized)
    report = run(home, target)
    assert report.warning and f"not as it should be: a ({words}" in report.text
    back = unpacked(target, tmp_path / "back")
    assert (back / "b").read_text() == "whole" and (back / "a").stat().st_size == 700_000


def test_unreadable_files_are_said_the_first_by_name(home, target):
    for name in "abcdef":
        write(home / name).chmod(0 if name != "f" else 0o600)
    (home / "g").mkdir(mode=0)
    for path in (home, target, *home.iterdir()):
        os.chown(path, 65534, 65534) if os.geteuid() == 0 else None
    target.parent.chmod(0o755)
    for folder in target.parents:
        if folder.stat().st_mode & 0o001 == 0:
            folder.chmod(folder.stat().st_mode | 0o011)
    with ordinary_user():
        report = run(home, target)
    assert isinstance(report, Report) and report.warning
    denied = "(Permission denied)"
    assert "1 file, 1 B, in " in report.text
    assert f"not as it should be: g {denied}, a {denied}, b {denied} and 3 more" in report.text


# ------------------------------------------------------------------ targets that fail


def test_a_target_that_is_not_there(home, target):
    with pytest.raises(
        TaskFailed, match=r"there is no folder .*/usb for the backups; mount it, or create it"
    ):
        run(home, target / "usb")


def test_a_home_that_cannot_be_listed_is_no_empty_home(home, target, monkeypatch):
    listed = os.listdir

    def denied(folder):
        if folder == home:
            raise PermissionError(13, "Permission denied", str(folder))
        return listed(folder)

    monkeypatch.setattr("os.listdir", denied)
    with pytest.raises(TaskFailed, match=r"no backup: .*opus: Permission denied; the earlier backups are as"):
        run(home, target)
    assert [*target.iterdir()] == []


def test_a_target_that_fills_up_is_said_and_heals(home, target):
    write(home / "small")
    run(home, target, keep=1)
    write(home / "large", os.urandom(3_000_000))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    try:
        with pytest.raises(
            TaskFailed, match=r"no backup: .*backups: File too large; the earlier backups are as"
        ):
            run(home, target, keep=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [path.name for path in target.iterdir()] == ["opus-20260302T120000Z.tar.gz"]
    assert run(home, target, keep=1).endswith("1 kept")


def test_a_full_disk_is_said_and_heals(home, small_disk):
    write(home / "small")
    run(home, small_disk)
    write(home / "large", os.urandom(3_000_000))
    with pytest.raises(TaskFailed, match="No space left on device; the earlier backups are as they were"):
        run(home, small_disk)
    assert len([*small_disk.iterdir()]) == 1
    (home / "large").unlink()
    assert run(home, small_disk).endswith("2 kept")


@each("place", [0.3, 0.99])
def test_what_is_read_back_wrong_is_no_backup(home, target, monkeypatch, place):
    def spoiled(file, digests, read):
        with file.open("r+b") as written:
            written.seek(int(file.stat().st_size * place))
            byte = written.read(1)
            written.seek(-1, os.SEEK_CUR)
            written.write(bytes([byte[0] ^ 1]))
        compare(file, digests, read)

    write(home / "a", os.urandom(100_000))
    monkeypatch.setattr(tar_backup, "compare", spoiled)
    with pytest.raises(TaskFailed, match=r"what was read back is not what was written: .*; check the disk"):
        run(home, target)
    assert [*target.iterdir()] == []


@each("entry", [0, 1, 2])
def test_every_hash_counts(home, target, monkeypatch, entry):
    def other(file, digests, read):
        digests[entry * 32] ^= 1
        compare(file, digests, read)

    write(home / "a/b")
    (home / "c").symlink_to("a")
    monkeypatch.setattr(tar_backup, "compare", other)
    name = ["a", "a/b", "c"][entry]
    with pytest.raises(TaskFailed, match=f"what was written: {name} differs; check the disk"):
        run(home, target)


def test_entries_missing_at_the_end_are_noticed(home, target):
    write(home / "a")
    run(home, target)
    (archive,) = target.iterdir()
    with pytest.raises(Damaged, match="differs"):
        compare(archive, bytes(64), lambda count, name: None)
    with pytest.raises(Damaged):
        compare(archive, b"", lambda count, name: None)


def test_the_sum_at_the_very_end_counts_too(home, target):
    write(home / "a", "unharmed")
    run(home, target)
    (archive,) = target.iterdir()
    content = bytearray(archive.read_bytes())
    content[-6] ^= 1  # of the checksum over all of it
    archive.write_bytes(content)
    with pytest.raises(TaskFailed, match=r"the backup is damaged, .*CRC"):
        unpacked(target, target / "back")


# ------------------------------------------------------------------ runs that do not end by themselves


def test_a_killed_backup_leaves_no_backup_and_the_next_heals(home, target):
    database(home / "runs.db")
    for number in range(10):
        write(home / f"file{number}", os.urandom(200_000))
    script = (
        "import asyncio, os, signal, sys\n"
        "from pathlib import Path\n"
        "from scheduler.handlers.offsite_backup.handler import Options, offsite_backup\n"
        "from scheduler.core.task import Context\n"
        "def die(progress):\n"
        "    if progress.text == 'file7': os.kill(os.getpid(), signal.SIGKILL)\n"
        "home, target = map(Path, sys.argv[1:])\n"
        "options = Options.model_construct(directory=target)\n"
        "ctx = Context('opus', home, 'offsite_backup', options, report=die)\n"
        "asyncio.run(offsite_backup(ctx))\n"
    )
    killed = subprocess.run([sys.executable, "-c", script, home, target], cwd=ROOT, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert [path.name.endswith(".partial") for path in target.iterdir()] == [True]
    assert tar_backup.archives("opus", target) == []
    assert (home / STAGED).exists()
    assert run(home, target).endswith("1 kept")
    assert [path.name for path in target.iterdir()] == ["opus-20260302T120000Z.tar.gz"]
    assert not (home / STAGED).exists()


async def test_a_cancelled_backup_ends_its_thread_and_leaves_nothing(home, target):
    write(home / "large", os.urandom(30_000_000))
    begun = threading.Event()
    ctx = Context(
        "opus",
        home,
        "offsite_backup",
        Options.model_construct(directory=target),
        report=lambda p: begun.set(),
    )
    work = asyncio.create_task(offsite_backup(ctx))
    await until(begun.is_set, "the backup has begun")
    work.cancel()
    began = time.monotonic()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert time.monotonic() - began < 1
    assert [*target.iterdir()] == []
    await until(
        lambda: all(each.name != "offsite_backup" for each in threading.enumerate()), "its thread ended"
    )


@each("turn", range(8))
def test_it_stops_wherever_it_is(home, target, turn):
    database(home / "runs.db")
    write(home / "file", os.urandom(100_000))
    asked = []
    with pytest.raises(Stopped):
        tar_backup.write(
            context(home, target),
            Options.model_construct(directory=target),
            lambda: asked.append(1) or len(asked) > turn,
        )
    assert len(asked) == turn + 1
    assert [*target.iterdir()] == [] and not (home / STAGED).exists()


# ------------------------------------------------------------------ what it costs


def test_the_loop_is_never_held_up(home, target):
    write(home / "large", os.urandom(10_000_000))
    database(home / "runs.db", rows=50_000)
    for number in range(1000):
        write(home / f"many/{number}", str(number))
    gaps = []

    async def watched():
        work = asyncio.create_task(offsite_backup(context(home, target)))
        while not work.done():
            before = time.monotonic()
            await asyncio.sleep(0.01)
            gaps.append(time.monotonic() - before)
        return await work

    asyncio.run(watched())
    assert max(gaps) < 0.2


def test_a_large_file_takes_little_memory_and_stays_full_of_holes(home, target, tmp_path):
    write(home / "small")
    with (home / "large").open("wb") as file:
        file.truncate(50_000_000)
    script = (
        "import asyncio, resource, sys\n"
        "from pathlib import Path\n"
        "from scheduler.handlers.offsite_backup.handler import Options, offsite_backup\n"
        "from scheduler.core.task import Context\n"
        "home, target = map(Path, sys.argv[1:])\n"
        "def peak(*exclude):\n"
        "    options = Options.model_construct(directory=target, exclude=exclude)\n"
        "    asyncio.run(offsite_backup(Context('opus', home, 'offsite_backup', options)))\n"
        "    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "print(-peak('large') + peak())\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script, home, target], cwd=ROOT, check=True, capture_output=True
    )
    assert int(ran.stdout) < 5_000  # kB
    back = unpacked(target, tmp_path / "back") / "large"
    assert (back.stat().st_size, back.stat().st_blocks) == (50_000_000, 0)


def test_progress_names_what_it_is_at(home, target):
    seen = []
    write(home / "a", b"x" * 100)
    ctx = Context(
        "opus", home, "offsite_backup", Options.model_construct(directory=target), report=seen.append
    )
    asyncio.run(offsite_backup(ctx))
    assert [(each.done, each.total, each.text) for each in seen] == [
        (0, 200, "a"),
        (200, 200, "verifying a"),
    ]


def test_members_are_read_as_they_come(home, target):
    """A tar whose end is cut off is damaged, whatever gzip says."""
    write(home / "a", os.urandom(100_000))
    run(home, target)
    (archive,) = target.iterdir()
    whole = gzip.decompress(archive.read_bytes())
    archive.write_bytes(gzip.compress(whole[:50_000]))
    with pytest.raises(TaskFailed, match=r"the backup is damaged, .* is incomplete: .*; try an older one"):
        unpacked(target, target / "back")
    with tarfile.open(fileobj=None, name=str(archive)) as tar, pytest.raises(tarfile.ReadError):
        tar.getmembers()
