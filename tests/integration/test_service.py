"""A citizen as a service: the unit under the real systemd-analyze, the loop under a stand-in for systemd."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys

import pytest
from click.testing import CliRunner

from scheduler.cli.setup.service import service_command
from scheduler.errors import PROGRAM, Managed
from scheduler.storage.lock import Unit, acquire, managed_by, mark, unmark
from tests.crash.loops import Place, command
from tests.fakes import NOON, FakeClock, until
from tests.ordinary_user import ORDINARY_USER

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="systemd is of Linux alone"),
    pytest.mark.timeout(60),
]


@pytest.fixture
def place(tmp_path):
    place = Place(tmp_path)
    place.tasks()
    return place


def service(place: Place, verb: str, *flags: str):
    argv = [verb, "opus", "--config", str(place.config), "--into", str(place.root / "units"), *flags]
    return CliRunner().invoke(service_command, argv, catch_exceptions=False, standalone_mode=False)


def unit(place: Place) -> str:
    return (place.root / "units" / "experience-opus.service").read_text()


def analyze(place: Place, *argv: str) -> "subprocess.CompletedProcess[str]":
    program = shutil.which("systemd-analyze")
    assert program is not None
    file = str(place.root / "units" / "experience-opus.service")
    return subprocess.run([program, *argv, file], capture_output=True, text=True, check=False, timeout=50)


# ------------------------------------------------------------------ the unit


@pytest.mark.needs("systemd-analyze")
@pytest.mark.parametrize("flags", [(), ("--user",)])
def test_systemd_has_no_complaint(place, flags):
    service(place, "install", *flags)
    found = analyze(place, "verify", "--recursive-errors=no", "--man=no")
    assert (found.returncode, found.stdout, found.stderr) == (0, "", "")


@pytest.mark.needs("systemd-analyze")
def test_a_home_with_odd_characters_is_written_so_that_systemd_reads_it(tmp_path):
    root = tmp_path / 'a b%n $HOME "q" \\x'
    root.mkdir()
    odd = Place(root)
    odd.tasks()
    service(odd, "install")
    found = analyze(odd, "verify", "--recursive-errors=no", "--man=no")
    assert (found.returncode, found.stdout, found.stderr) == (0, "", "")


@pytest.mark.needs("systemd-analyze")
@pytest.mark.parametrize("uid", [0, ORDINARY_USER])
def test_its_exposure_is_at_most_five_for_any_owner_of_the_home(place, uid):
    if os.geteuid() == 0:
        os.chown(place.home, uid, -1)
    service(place, "install")
    found = analyze(place, "security", "--offline=true", "--threshold=50")
    assert found.returncode == 0, found.stdout
    assert float(found.stdout.rpartition("experience-opus.service:")[2].split()[0]) <= 5.0


def test_install_shows_what_it_writes_and_marks_the_home(place):
    said = service(place, "install")
    assert unit(place) in said.stdout
    assert managed_by(place.home) == Unit("experience-opus")
    assert (place.home / ".experience" / "managed").stat().st_mode & 0o777 == 0o600
    assert "systemctl enable --now experience-opus" in said.stderr
    assert "journalctl -u experience-opus -f" in said.stderr


def test_a_dry_run_shows_the_same_and_writes_nothing(place):
    shown = service(place, "install", "--dry-run").stdout
    assert managed_by(place.home) is None and not (place.root / "units").exists()
    assert shown == service(place, "install").stdout


def test_the_unit_gives_runs_more_than_their_grace_and_lets_tasks_write(place):
    backups = '[tasks.offsite_backup]\ndirectory = "/mnt/backup"\n'
    (place.home / "experience.toml").write_text(f'grace = "2m"\n{backups}')
    service(place, "install", "--writable", "/srv/more")
    lines = unit(place).splitlines()
    assert "TimeoutStopSec=150s" in lines
    for folder in (place.home, place.root, "/mnt/backup", "/srv/more"):
        assert f"ReadWritePaths=-{folder}" in lines
    for line in ("Type=notify", "KillMode=mixed", "Restart=on-failure", "NoNewPrivileges=yes"):
        assert line in lines


def test_the_user_of_the_unit_is_that_of_the_home(place):
    if os.geteuid() != 0:
        pytest.skip("only root may give homes away")
    os.chown(place.home, ORDINARY_USER, -1)
    service(place, "install")
    assert "User=nobody" in unit(place).splitlines()
    folder = place.home / ".experience"
    assert folder.stat().st_uid == (folder / "managed").stat().st_uid == ORDINARY_USER


def test_no_link_in_a_home_leads_the_mark_elsewhere(place, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (place.home / ".experience").symlink_to(elsewhere)
    with pytest.raises(OSError):
        mark(place.home, Unit("experience-opus"))
    assert list(elsewhere.iterdir()) == []


def test_a_unit_of_another_program_is_left_alone(place):
    (place.root / "units").mkdir()
    (place.root / "units" / "experience-opus.service").write_text("[Unit]\n")
    for verb in ("install", "remove"):
        with pytest.raises(Exception, match="another program or person wrote it; move it away first"):
            service(place, verb)
    assert unit(place) == "[Unit]\n"
    assert managed_by(place.home) is None


def test_remove_leaves_nothing_not_even_what_enable_made(place):
    service(place, "install")
    wants = place.root / "units" / "multi-user.target.wants"
    wants.mkdir()
    (wants / "experience-opus.service").symlink_to("../experience-opus.service")
    service(place, "remove")
    assert list(wants.iterdir()) == []
    assert not (place.root / "units" / "experience-opus.service").exists()
    assert managed_by(place.home) is None
    assert "does not exist" in service(place, "remove").stdout


def test_show_says_what_is_installed_or_how_to(place):
    with pytest.raises(Exception, match=f"does not exist; write it with {PROGRAM} service install opus"):
        service(place, "show")
    service(place, "install")
    assert unit(place) in service(place, "show").stdout
    unmark(place.home)
    assert "not managed: a monitor may own it" in service(place, "show").stdout


# ------------------------------------------------------------------ a managed home


def test_a_managed_home_is_owned_by_its_service_alone(home):
    mark(home, Unit("experience-opus"))
    with pytest.raises(
        Managed, match=r"^opus is run by experience-opus\.service; start it with systemctl start"
    ):
        acquire(home, NOON)
    with pytest.raises(Managed):
        acquire(home, NOON, service="experience-mira")
    acquire(home, NOON, service="experience-opus").release()
    unmark(home)
    acquire(home, NOON).release()


def test_a_damaged_mark_does_not_make_the_home_free(home):
    mark(home, Unit("experience-opus", user=True))
    (home / ".experience" / "managed").write_bytes(b"\xff\x1b[31m" * 1000)
    with pytest.raises(Managed, match=r"^opus is run by experience-opus\.service"):
        acquire(home, NOON)


def test_the_command_line_says_so_in_one_line(place):
    mark(place.home, Unit("experience-opus", user=True))
    done = place.call("--force", "heartbeat")
    assert done.returncode == 2
    how = "start it with systemctl --user start experience-opus"
    assert done.stderr.splitlines() == [f"experience: opus is run by experience-opus.service; {how}"]


# ------------------------------------------------------------------ what the loop tells the manager


class Manager:
    """Stands for systemd: a socket, and all that came through it."""

    def __init__(self, name: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(f"\0{name[1:]}" if name.startswith("@") else name)
        self.socket.setblocking(False)
        self.name, self.lines = name, []

    def heard(self, start: str = "") -> list[str]:
        with contextlib.suppress(BlockingIOError):
            while True:
                self.lines += self.socket.recv(4096).decode().splitlines()
        return [line for line in self.lines if line.startswith(start)]

    def starts(self, monkeypatch: pytest.MonkeyPatch, watchdog: float) -> None:
        """Processes that start from now on get what systemd sends."""
        monkeypatch.setenv("NOTIFY_SOCKET", self.name)
        monkeypatch.setenv("WATCHDOG_USEC", str(int(watchdog * 1e6)))
        monkeypatch.setenv("EXPERIENCE_SERVICE", "experience-opus")


@pytest.fixture(params=["file", "abstract"])
def manager(request, tmp_path):
    name = str(tmp_path / "notify") if request.param == "file" else f"@experience-test-{os.getpid()}"
    manager = Manager(name)
    yield manager
    manager.socket.close()


async def test_a_loop_says_that_it_is_ready_alive_reloading_and_stopping(place, manager, monkeypatch):
    manager.starts(monkeypatch, watchdog=0.3)
    place.tasks(command("env", "env > env.log"))
    mark(place.home, Unit("experience-opus"))
    with place.loop() as loop:
        await until(lambda: len(manager.heard("WATCHDOG=1")) > 3, "it is alive", 20)
        assert manager.lines[:2] == ["READY=1", "STATUS=opus: 4 tasks"]
        loop.send_signal(signal.SIGHUP)
        await until(lambda: len(manager.heard("READY=1")) == 2, "the settings were read again", 20)
        assert manager.lines.index("RELOADING=1") < len(manager.lines) - 1
        assert manager.heard("MONOTONIC_USEC=")
        assert "STOPPING=1" not in manager.lines
        await until(lambda: place.count("env"), "a task ran", 20)
        loop.terminate()
        await until(lambda: loop.poll() is not None, "it ends", 20)
    assert loop.returncode == 0
    assert manager.heard("STOPPING=1") == ["STOPPING=1"]
    inherited = (place.home / "env.log").read_text()
    assert "NOTIFY_SOCKET" not in inherited and "EXPERIENCE_SERVICE" not in inherited


HANG = """
import time
from pathlib import Path

async def hang(context):
    Path(context.home, "hangs").touch()
    while not Path(context.home, "go").exists():
        time.sleep(0.01)
    return "went on"
"""


async def test_a_loop_that_hangs_gives_no_sign_of_life(place, tmp_path, monkeypatch):
    manager = Manager(str(tmp_path / "notify"))
    (tmp_path / "hanging.py").write_text(HANG)
    place.tasks('hang\nevery = "1h"\nhandler = "hanging:hang"')
    manager.starts(monkeypatch, watchdog=0.1)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with place.loop():
        await until(lambda: (place.home / "hangs").exists(), "it hangs", 20)
        manager.heard()
        manager.lines.clear()
        await asyncio.sleep(0.5)  # fifteen signs of life, if it gave any
        assert manager.heard("WATCHDOG=1") == []
        (place.home / "go").touch()
        await until(lambda: manager.heard("WATCHDOG=1"), "it goes on", 20)
    manager.socket.close()


async def test_a_clock_set_back_delays_no_sign_of_life(clock: FakeClock, tmp_path):
    from scheduler.process.sd_notify import Heartbeat, Notifier

    manager = Manager(str(tmp_path / "notify"))
    Heartbeat(Notifier(manager.name, 30.0), clock).start()
    await clock.advance(30)
    before = len(manager.heard("WATCHDOG=1"))
    await clock.jump(-3600)
    await clock.advance(30)
    assert (before, len(manager.heard("WATCHDOG=1"))) == (4, 8)
    manager.socket.close()


def test_what_the_manager_could_not_take_comes_with_the_next():
    from scheduler.process.sd_notify import Notifier

    name = f"@experience-later-{os.getpid()}"
    notifier = Notifier(name)
    notifier.ready("fine")  # nothing listens yet
    manager = Manager(name)
    notifier.notify("WATCHDOG=1", keep=False)
    assert manager.heard() == ["READY=1", "STATUS=fine", "WATCHDOG=1"]
    manager.socket.close()


def test_without_a_manager_nothing_is_sent_and_nothing_fails():
    from scheduler.process.sd_notify import from_environment

    assert not from_environment({}).managed
    strange = {"NOTIFY_SOCKET": "/nowhere", "WATCHDOG_USEC": "5000000", "WATCHDOG_PID": "1"}
    notifier = from_environment(strange)
    assert notifier.watchdog == 0.0 and strange == {}
    notifier.stopping()
