"""offsite_backup to a restic repository, real ones: a folder and `rclone serve restic`."""

import asyncio
import contextlib
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from scheduler.core.task import Context, Report
from scheduler.errors import TaskFailed
from scheduler.handlers.offsite_backup.files import OWN, STAGED
from scheduler.handlers.offsite_backup.handler import offsite_backup
from scheduler.handlers.offsite_backup.options import Options
from scheduler.handlers.offsite_backup.restic_backup import snapshots, unpack
from scheduler.schema.table import Problems, read
from tests.each import each
from tests.fakes import until
from tests.handlers.homes import database, expected, odd_home, tree, write
from tests.handlers.offsite_backup.quick_repository import PASSWORD, quick_repository
from tests.handlers.offsite_backup.rclone import free_port, rclone_serving

pytestmark = [pytest.mark.needs("restic"), pytest.mark.timeout(60)]

ROOT = Path(__file__).parents[3]


@pytest.fixture
def repo(tmp_path):
    return quick_repository(tmp_path / "repo")


def context(home, repository, report=lambda progress: None, **options):
    given = Options.model_construct(repository=str(repository), **{"password": PASSWORD, **options})
    return Context("opus", home, "offsite_backup", given, report=report)


def run(home, repository, **options):
    return asyncio.run(offsite_backup(context(home, repository, **options)))


def listed(home, repository):
    ctx = context(home, repository)
    return asyncio.run(snapshots(ctx, ctx.options))


def restored(home, repository, to):
    to.mkdir()
    ctx = context(home, repository)
    asyncio.run(unpack(ctx, ctx.options, listed(home, repository)[-1]["id"], to))
    return to


# ------------------------------------------------------------------ what comes back is what was there


def test_a_folder_gives_back_what_was_there(home, tmp_path):
    before = expected(odd_home(home))
    report = run(home, tmp_path / "new")
    text = report.text if isinstance(report, Report) else report
    assert text.startswith("25 files, 3.7") and " new), verified, 10% of the data read back" in text
    assert same_but_for_odd_links(tree(restored(home, tmp_path / "new", tmp_path / "back")), before, text)
    assert not (home / STAGED).exists()
    assert not (tmp_path / "back" / STAGED).exists()


@pytest.mark.needs("rclone")
def test_a_server_gives_back_what_was_there(home, tmp_path):
    before = expected(odd_home(home))
    with rclone_serving() as (address, folder):
        run(home, address)
        again = run(home, address, keep=1, check=100.0)
        text = again.text if isinstance(again, Report) else again
        assert "verified, 100% of the data read back" in text
        assert same_but_for_odd_links(tree(restored(home, address, tmp_path / "back")), before, text)
        assert len(listed(home, address)) == 1 and (folder / "config").exists()


def same_but_for_odd_links(after, before, text):
    """restic before 0.16 gets a link wrong whose target is no UTF-8, and then the text has to say so."""
    if "to-nowhere (restic before 0.16" in text:
        assert after.pop("to-nowhere") != before.pop("to-nowhere")
    return after == before


def test_the_second_backup_holds_only_what_is_new(home, repo):
    write(home / "large", os.urandom(3_000_000))
    assert "3 MB new" in run(home, repo)
    write(home / "small", "new")
    assert " kB new" in run(home, repo)


def test_the_newest_stay_and_those_of_others_too(home, tmp_path, repo):
    other = tmp_path / "mira"
    write(other / "x")
    run(other, repo)
    ctx = Context("mira", other, "offsite_backup", context(other, repo).options)
    asyncio.run(offsite_backup(ctx))
    write(home / "a")
    for _ in range(3):
        run(home, repo, keep=2)
    assert len(listed(home, repo)) == 2
    assert len(asyncio.run(snapshots(ctx, ctx.options))) == 1


@each("repository", ["{home}/data/repo", "local:{home}/data/repo"])
def test_a_repository_inside_the_home_is_not_in_itself(home, tmp_path, repository):
    write(home / "data/kept")
    quick_repository(home / "data/repo")
    place = repository.format(home=home)
    texts = [run(home, place) for _ in range(2)]
    assert all(text.startswith("1 file, 1 B") for text in texts)
    assert {*tree(restored(home, place, tmp_path / "back"))} == {"data", "data/kept"}


def test_patterns_mean_the_same_as_for_a_tar(home, tmp_path, repo):
    inside = home / "node_modules" / "opus"  # a home below a folder that no backup would hold
    for name in ("a.tmp", "b/c.tmp", "b/data/x", "data/raw/x", "data/rawer/x", "b/data/raw/x", "we[ird/x"):
        write(inside / name)
    run(inside, repo, exclude=("*.tmp", "data/raw/", "/b/data/?", "we[ird"))
    found = [n for n, facts in tree(restored(inside, repo, tmp_path / "back")).items() if facts[-1]]
    assert sorted(found) == ["b/data/raw/x", "data/rawer/x"]


def test_no_secret_is_in_it(home, tmp_path, repo):
    write(home / ".env", "TOKEN=s3cret")
    (home / "other-name").hardlink_to(home / ".env")
    write(home / "kept")
    run(home, repo)
    assert {*tree(restored(home, repo, tmp_path / "back"))} == {"kept"}


def test_progress_is_shown(home, repo):
    seen = []
    write(home / "a", os.urandom(2_000_000))
    asyncio.run(offsite_backup(context(home, repo, seen.append)))
    words = [each.text for each in seen]
    assert [text for text in words if text in ("opening the repository", "verifying", "removing old backups")]


def test_the_loop_is_never_held_up(home, repo):
    database(home / "runs.db", rows=50_000)
    for number in range(1000):
        write(home / f"many/{number}", str(number))
    gaps = []

    async def watched():
        work = asyncio.create_task(offsite_backup(context(home, repo)))
        while not work.done():
            before = time.monotonic()
            await asyncio.sleep(0.01)
            gaps.append(time.monotonic() - before)
        return await work

    assert "verified" in asyncio.run(watched())
    assert max(gaps) < 0.2


# ------------------------------------------------------------------ what goes wrong is said


def test_a_wrong_password_is_said_and_initialises_nothing(home, repo):
    write(home / "a")
    run(home, repo)
    before = tree(repo)
    with pytest.raises(
        TaskFailed, match=r"the password does not open the repository; correct it \(wrong password"
    ):
        run(home, repo, password="wrong battery")
    assert tree(repo) == before
    assert "verified" in run(home, repo)


@pytest.mark.needs("rclone")
def test_the_failures_of_a_server_are_told_apart(home, caplog):
    write(home / "a")
    with rclone_serving() as (address, folder):
        run(home, address)
        with pytest.raises(TaskFailed, match="the password does not open the repository") as wrong:
            run(home, address, password="wrong battery")
        with pytest.raises(
            TaskFailed, match=r"refuses access: correct .* keys in environment .*401"
        ) as denied:
            run(home, address.replace("pass-of", "guess-of"))
        assert sorted(path.name for path in folder.iterdir())[0] == "config"
    with pytest.raises(TaskFailed, match=r"the repository cannot be reached.*connection refused") as gone:
        run(home, address)
    for error in (wrong, denied, gone):
        assert not [
            word for word in ("battery", "guess", "pass-of") if word in str(error.value) + caplog.text
        ]


def test_a_port_where_nothing_listens_makes_no_repository(home):
    write(home / "a")
    with pytest.raises(TaskFailed, match="the repository cannot be reached"):
        run(home, f"rest:http://127.0.0.1:{free_port()}/")


def test_a_repository_that_was_there_is_not_made_anew(home, tmp_path, repo):
    write(home / "a")
    run(home, repo)
    repo.rename(tmp_path / "unmounted")
    with pytest.raises(
        TaskFailed, match=r"was there is gone; is its disk mounted\? For a new one remove .*json"
    ):
        run(home, repo)
    assert not (repo).exists()
    (home / OWN / "repository.json").unlink()
    assert "verified" in run(home, repo)


def test_a_damaged_repository_is_not_called_a_backup(home, repo):
    write(home / "a", os.urandom(50_000))
    run(home, repo)
    largest = max((repo / "data").rglob("*"), key=lambda path: path.stat().st_size * path.is_file())
    largest.chmod(0o600)
    content = bytearray(largest.read_bytes())
    content[len(content) // 2] ^= 1
    largest.write_bytes(content)
    with pytest.raises(TaskFailed, match="saved, but not verified: the repository is damaged"):
        run(home, repo, check=100.0)
    largest.unlink()
    with pytest.raises(TaskFailed, match="saved, but not verified: the repository is damaged"):
        run(home, repo, check=0.0)
    assert len(listed(home, repo)) == 3  # none was forgotten


def test_a_full_disk_is_said_and_heals(home, small_disk):
    write(home / "small")
    run(home, quick_repository(small_disk / "repo"))
    write(home / "large", os.urandom(5_000_000))
    with pytest.raises(
        TaskFailed, match=r"the repository's disk is full; make room.*no space left on device"
    ):
        run(home, small_disk / "repo")
    assert len(listed(home, small_disk / "repo")) == 1
    (home / "large").unlink()
    assert "verified" in run(home, small_disk / "repo", check=100.0)
    assert len(listed(home, small_disk / "repo")) == 2


def test_a_file_size_limit_is_said_and_heals(home, repo):
    write(home / "small")
    run(home, repo)
    write(home / "large", os.urandom(5_000_000))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    try:
        with pytest.raises(TaskFailed):
            run(home, repo)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert len(listed(home, repo)) == 1
    assert "verified" in run(home, repo, check=100.0)


def test_unreadable_and_locked_are_said_by_name(home, tmp_path, monkeypatch, repo):
    monkeypatch.setattr("scheduler.handlers.offsite_backup.databases.PATIENCE", 0.05)
    import sqlite3

    database(home / "runs.db")
    write(home / "kept")
    busy = sqlite3.connect(home / "runs.db", isolation_level=None)
    busy.execute("begin exclusive")
    report = run(home, repo)
    busy.close()
    assert isinstance(report, Report) and report.warning
    assert report.text.endswith("read back; not as it should be: runs.db (database is locked)")
    assert {*tree(restored(home, repo, tmp_path / "back"))} == {"kept"}


# ------------------------------------------------------------------ a restic that plays a part


@pytest.fixture
def actor(tmp_path, monkeypatch):
    """A restic that notes its arguments and environment and does what the test has written for each verb;
    returns the file of the arguments."""
    folder = tmp_path / "bin"
    folder.mkdir()

    def plays(**verbs):
        cases = "".join(f"{verb}) {script} ;;\n" for verb, script in verbs.items())
        script = f'#!/bin/sh\necho "$@" >> {tmp_path}/words\nenv >> {tmp_path}/env\ncase $1 in\n{cases}esac\n'
        write(folder / "restic", script).chmod(0o755)
        words = tmp_path / "words"
        words.unlink(missing_ok=True)
        return words

    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return plays


SUMMARY = (
    """echo '{"message_type":"summary","snapshot_id":"1","""
    """"total_files_processed":1,"total_bytes_processed":2}'"""
)


def test_secrets_travel_in_the_environment_and_show_nowhere(home, tmp_path, actor, monkeypatch, caplog):
    monkeypatch.setenv("RESTIC_PASSWORD_COMMAND", "false")  # restic would prefer it
    monkeypatch.setenv("AWS_CA_BUNDLE", "/etc/bundle")  # rclone 1.60 fails while it is set
    actor(unlock='echo "Fatal: no luck with $RESTIC_PASSWORD $B2_ACCOUNT_KEY $OTHER //me:pa@x" >&2; exit 1')
    secrets = {"B2_ACCOUNT_KEY": "key-of-b2", "UNRELATED": "not-for-restic", "RESTIC_REPOSITORY": "elsewhere"}
    given = {"repository": "rclone:box:x", "password": PASSWORD, "environment": {"OTHER": "0ther-s3cret"}}
    options = read(Options, given, (), Problems({}))
    ctx = Context("opus", home, "offsite_backup", options, secrets)
    with pytest.raises(TaskFailed) as failed:
        asyncio.run(offsite_backup(ctx))
    assert str(failed.value) == "restic failed: no luck with *** *** *** //***@x"
    environment = (tmp_path / "env").read_text()
    assert "RESTIC_REPOSITORY=rclone:box:x\n" in environment and "B2_ACCOUNT_KEY=key-of-b2\n" in environment
    assert not [name for name in ("UNRELATED", "PASSWORD_COMMAND", "AWS_CA_BUNDLE") if name in environment]
    assert (tmp_path / "words").read_text() == "unlock\n"
    assert not [
        value
        for value in ("horse", "0ther", "box", "key-of-b2")
        if value in repr(ctx) + repr(options) + caplog.text
    ]


def test_no_summary_is_no_backup(home, actor):
    actor(backup="exit 0")
    with pytest.raises(TaskFailed, match="restic named no snapshot, so there is no backup: no output"):
        run(home, "/vault")


def test_what_restic_could_not_read_is_said_by_name(home, actor):
    error = '{"message_type":"error","error":{"Op":"open","Path":"x","Err":13},"item":"%s/%d"}'
    lines = "".join(f"echo '{error % (home, number)}';" for number in range(5))
    actor(backup=f"{lines} {SUMMARY}; exit 3")
    denied = "(Permission denied)"
    assert run(home, "/vault") == Report(
        "1 file, 2 B (0 B new), verified, 10% of the data read back; "
        f"not as it should be: 0 {denied}, 1 {denied}, 2 {denied} and 2 more",
        warning=True,
    )


def test_somebody_else_at_the_repository_is_waited_for(home, tmp_path, actor, monkeypatch):
    monkeypatch.setattr("scheduler.handlers.offsite_backup.restic.BUSY", (0, 0))
    locked = (
        "echo 'Fatal: unable to create lock in backend: repository is already locked by PID 7' >&2; exit 1"
    )
    once = f"if [ ! -e {tmp_path}/once ]; then touch {tmp_path}/once; {locked}; fi"
    actor(backup=SUMMARY, check=once)
    assert run(home, "/vault", check=0.0) == "1 file, 2 B (0 B new), structure verified"
    actor(backup=SUMMARY, check=locked)
    with pytest.raises(TaskFailed, match=r"saved, but not verified: the repository is in use .*PID 7"):
        run(home, "/vault")
    one = '{"id":"%d","time":"2026-03-0%dT12:00:00Z","tags":["experience-opus"]}'
    every = f"[{one % (0, 1)},{one % (1, 2)}]"
    actor(backup=SUMMARY, snapshots=f"echo '{every}'", forget=locked)
    assert "; old backups are still there: the repository is in use (" in run(home, "/vault", keep=1).text


@each(
    ("says", "words"),
    [
        (
            "Fatal: unable to open config file: Stat: Access Denied.\nIs there a repository at x?",
            "refuses access",
        ),
        (
            "Fatal: unable to open config file: dial tcp: lookup x: no such host\nIs there a repository",
            "be reached",
        ),
        ("Fatal: create: open x: read-only file system", "disk is read-only"),
        ("Fatal: x509: certificate signed by unknown authority", "certificate is not accepted"),
        ("Fatal: something new", "restic failed: something new"),
        ("panic: oops\n\ngoroutine 1", "restic failed: goroutine 1"),
        ("", "restic failed: no output"),
    ],
)
def test_failures_in_words(home, actor, says, words):
    asked = actor(unlock=f"printf '{says}\n'; exit 1")
    with pytest.raises(TaskFailed, match=words):
        run(home, "/vault")
    assert asked.read_text() == "unlock\n"


@each(("code", "words"), [(10, ""), (12, "the password does not"), (11, "is in use")])
def test_the_exit_codes_of_later_versions(home, actor, code, words):
    asked = actor(unlock=f"exit {code}", backup=SUMMARY)
    if code == 10:
        assert "verified" in run(home, "/vault")
        assert asked.read_text().startswith("unlock\ninit\nbackup ")
        return
    with pytest.raises(TaskFailed, match=words):
        run(home, "/vault")
    assert "init" not in asked.read_text()


def test_without_restic_or_without_a_password_it_says_so(home, monkeypatch):
    monkeypatch.delenv("RESTIC_PASSWORD", raising=False)
    with pytest.raises(
        TaskFailed, match=r"the repository has no password; put RESTIC_PASSWORD into .env and set"
    ):
        run(home, "/vault", password=None)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(TaskFailed, match="restic is not installed; install it, or set directory in place of"):
        run(home, "/vault")


# ------------------------------------------------------------------ runs that do not end by themselves


@pytest.mark.timeout(180)  # starts restic a dozen times
def test_a_killed_backup_is_no_backup_and_the_next_heals(home, repo):
    """Scheduler and restic die at once, restic with its lock held."""
    database(home / "runs.db")
    write(home / "small")
    run(home, repo)
    write(home / "large", os.urandom(60_000_000))
    script = (
        "import asyncio, os, signal, subprocess, sys\n"
        "from pathlib import Path\n"
        "from scheduler.handlers.offsite_backup.handler import Options, offsite_backup\n"
        "from scheduler.core.task import Context\n"
        "home, repository = map(Path, sys.argv[1:])\n"
        "def die(progress):\n"
        "    if not [*(repository / 'locks').iterdir()]: return\n"
        "    for child in Path(f'/proc/self/task/{os.getpid()}/children').read_text().split():\n"
        "        os.kill(int(child), signal.SIGKILL)\n"
        "        print(child, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "options = Options.model_construct(repository=str(repository), password='correct horse')\n"
        "asyncio.run(offsite_backup(Context('opus', home, 'offsite_backup', options, report=die)))\n"
    )
    argv = [sys.executable, "-c", script, home, repo]
    killed = subprocess.run(argv, cwd=ROOT, check=False, stdout=subprocess.PIPE, text=True)
    assert killed.returncode == -signal.SIGKILL
    pids = [int(pid) for pid in killed.stdout.split()]
    asyncio.run(until(lambda: all(map(is_reaped, pids)), "restic is reaped"))
    assert [*(repo / "locks").iterdir()]
    assert len(listed(home, repo)) == 1
    assert (home / STAGED / "runs.db").exists()
    write(home / "large", os.urandom(1_000_000))  # it was large only so that restic was still at it
    assert "verified" in run(home, repo, check=100.0)
    assert len(listed(home, repo)) == 2
    assert not [*(repo / "locks").iterdir()]
    assert not (home / STAGED).exists()


def is_reaped(pid: int) -> bool:
    """restic takes a lock for alive until its holder is reaped; that may be this process."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    return not psutil.pid_exists(pid)


async def test_a_cancelled_backup_leaves_no_restic(home, repo):
    write(home / "large", os.urandom(60_000_000))
    work = asyncio.create_task(offsite_backup(context(home, repo)))
    await until(lambda: restics(home) and [*(repo / "data").rglob("*")], "restic is at it", 30)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert restics(home) == []
    assert not (home / STAGED).exists()
    (home / "large").unlink()
    write(home / "small")
    assert "verified" in await offsite_backup(context(home, repo))


def test_a_restic_whose_scheduler_was_killed_ends(home, repo):
    write(home / "large", os.urandom(1_000_000))
    run(home, repo)
    script = (
        "import asyncio, os, signal, sys\n"
        "from pathlib import Path\n"
        "from scheduler.handlers.offsite_backup.handler import Options\n"
        "from scheduler.handlers.offsite_backup.restic import Restic\n"
        "from scheduler.core.task import Context\n"
        "home, repository = map(Path, sys.argv[1:])\n"
        "options = Options.model_construct(repository=str(repository), password='correct horse')\n"
        "restic = Restic(Context('opus', home, 'offsite_backup', options), options)\n"
        "die = lambda message: os.kill(os.getpid(), signal.SIGKILL)\n"
        "slowly = ('backup', '--json', '--limit-upload', '1', '--force', '.')\n"
        "asyncio.run(restic.run(home, *slowly, listen=die))\n"
    )
    write(home / "large", os.urandom(1_000_000))  # a quarter of an hour at 1 kB/s
    subprocess.run([sys.executable, "-c", script, home, repo], cwd=ROOT, check=False)
    asyncio.run(until(lambda: not restics(home), "restic noticed", 20))


def restics(home):
    """The restics that work in this home."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if (folder / "comm").read_text() == "restic\n" and (folder / "cwd").readlink() == home:
                found.append(folder.name)
        except OSError:
            continue
    return found
