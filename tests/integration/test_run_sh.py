"""run.sh for real, in a copy of this checkout: set-up from nothing, every verb, loops started and ended."""

import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]
LEFT_OUT = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "snapshot*", "build", "dist")

pytestmark = pytest.mark.timeout(90)


@dataclass
class Checkout:
    """A copy with a root of its own; packages come from this environment instead of pip."""

    folder: Path
    root: Path
    environment: dict[str, str] = field(default_factory=dict)

    def start(self, *argv: str, script: Path | None = None, **changed: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [script or self.folder / "run.sh", *argv],
            cwd=self.root,
            env=self.environment | changed,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *argv: str, script: Path | None = None, **changed: str) -> tuple[int, str, str]:
        process = self.start(*argv, script=script, **changed)
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err

    def citizen(self, name: str) -> Path:
        home = self.root / name
        home.mkdir()
        (home / "experience.toml").write_text('[tasks.tick]\nevery = "1h"\ncommand = ["true"]\n')
        return home


def copy_of_this_checkout(folder: Path) -> Checkout:
    shutil.copytree(ROOT, folder / "a checkout", ignore=LEFT_OUT)
    root = folder / "root"
    root.mkdir()
    mine = {
        name: value for name, value in os.environ.items() if not name.startswith(("EXPERIENCE_", "PYTHON"))
    }
    return Checkout(
        folder / "a checkout",
        root,
        mine
        | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(folder),
            "XDG_CONFIG_HOME": str(folder / "config"),
            "EXPERIENCE_ROOT": str(root),
            "EXPERIENCE_PACKAGES": sysconfig.get_path("purelib"),
        },
    )


@pytest.fixture
def fresh(tmp_path: Path) -> Checkout:
    return copy_of_this_checkout(tmp_path)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """Set up once; for tests that change nothing in it."""
    checkout = copy_of_this_checkout(tmp_path_factory.mktemp("shared"))
    code, _, err = checkout.run("--status")
    assert code == 0, err
    return checkout


def wait_until(condition: Callable[[], object], words: str, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"never came true: {words}"
        time.sleep(0.02)


# ------------------------------------------------------------------ set-up


def test_a_fresh_checkout_sets_itself_up_once(fresh):
    fresh.citizen("opus")
    code, out, err = fresh.run("--status")
    unowned = "experience: no process runs opus: ./run.sh up opus\n"
    assert (code, err) == (0, f"experience: setting up {fresh.folder}/.venv (once)\n{unowned}")
    assert "○ tick: never ran, next in now (0 runs)" in out
    # The second time asks neither for a Python nor for pip.
    broken = fresh.folder / "broken"
    broken.mkdir()
    for name in ("python3", "pip"):
        program(broken, name, "exit 1")
    path = f"{broken}{os.pathsep}{fresh.environment['PATH']}"
    assert fresh.run("--status", PATH=path) == (0, out, unowned)


def test_it_works_from_anywhere_and_through_a_link(shared, tmp_path):
    link = tmp_path / "link to it"
    link.symlink_to(shared.folder / "run.sh")
    code, out, err = shared.run("--status", script=link)
    assert (code, err) == (0, "")
    assert out.startswith("no citizens yet")


def test_the_command_runs_this_checkout_whatever_the_working_folder_holds(shared, tmp_path):
    (tmp_path / "tui").mkdir()
    (tmp_path / "tui" / "__main__.py").write_text("print('another program')")
    command = shared.folder / ".venv" / "bin" / "experience-tui"
    shown = subprocess.run(
        [command, "--help"], cwd=tmp_path, env=shared.environment, capture_output=True, text=True, check=False
    )
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "another program" not in shown.stdout


def test_core_py_finds_the_environment_by_itself(shared):
    code, out, err = shared.run("--status", script=shared.folder / "core.py")
    assert (code, err) == (0, "")
    assert out.startswith("no citizens yet")


def test_core_py_before_the_set_up_says_what_to_do(fresh):
    bare = Path(sys.executable).resolve()  # a Python without our packages
    (fresh.folder / "click.py").write_text("raise ImportError('no click here')")
    shown = subprocess.run(
        [bare, fresh.folder / "core.py", "--status"], capture_output=True, text=True, check=False
    )
    assert shown.returncode == 2
    assert shown.stderr == "experience: no click here; run ./run.sh once, it sets everything up\n"


def test_an_interrupted_set_up_is_done_again(fresh):
    first = fresh.start("--status")
    wait_until((fresh.folder / ".venv" / "bin").exists, "the set-up has begun")
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    code, _, err = fresh.run("--status")
    assert (code, err.count("setting up")) == (0, 1)
    assert fresh.run("--status")[2] == ""


def test_two_set_ups_at_once_are_one(fresh):
    both = [fresh.start("--status") for _ in range(2)]
    errors = [process.communicate(timeout=60)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], errors
    assert sum("setting up" in error for error in errors) == 1


def test_a_moved_checkout_is_set_up_again(fresh):
    fresh.run("--status")
    moved = fresh.folder.rename(fresh.folder.with_name("else where"))
    code, _, err = fresh.run("--status", script=moved / "run.sh")
    assert (code, err) == (0, f"experience: setting up {moved}/.venv (once)\n")


def program(folder: Path, name: str, *lines: str) -> None:
    file = folder / name
    file.write_text("\n".join(("#!/bin/sh", *lines, "")))
    file.chmod(0o755)


@pytest.fixture
def bare_path(tmp_path: Path) -> Path:
    """A PATH with what every system has, and nothing else."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("bash", "chmod", "env", "head", "mkdir", "readlink", "rm", "sh", "true"):
        found = shutil.which(name)
        assert found is not None
        (folder / name).symlink_to(found)
    return folder


@pytest.mark.parametrize(
    ("python3", "words"),
    [
        ((), "python3 is not installed, but 3.11 or newer is needed"),
        (
            ('[ "$1" = --version ] && echo Python 3.9.2 && exit', "exit 1"),
            "python3 is Python 3.9.2, but 3.11 or newer is needed",
        ),
        (('case "$2" in *ensurepip*) exit 1 ;; esac',), "python3-venv is missing: apt install python3-venv"),
    ],
)
def test_what_is_missing_is_said_exactly(fresh, bare_path, python3, words):
    program(bare_path, "apt", "exit 1")
    if python3:
        program(bare_path, "python3", *python3)
    code, out, err = fresh.run("--status", PATH=str(bare_path))
    assert (code, out) == (2, "")
    assert err.startswith(f"experience: {words}")
    assert err.count("\n") == 1


# ------------------------------------------------------------------ verbs


def test_help_needs_no_set_up(fresh):
    code, out, err = fresh.run("--help")
    assert (code, err) == (0, "")
    assert "./run.sh up [NAME]" in out
    assert not (fresh.folder / ".venv").exists()


def test_other_options_go_to_the_monitor_as_they_are(fresh):
    fresh.run("--status")
    program(fresh.folder / ".venv" / "bin", "experience-tui", "printf '<%s>' \"$@\"")
    assert fresh.run("--demo", "--citizen", "a b")[:2] == (0, "<--demo><--citizen><a b>")
    assert fresh.run()[:2] == (0, "<>")


def test_a_verb_goes_to_the_command_and_a_slip_is_said(fresh):
    fresh.citizen("opus")
    assert "opus" in fresh.run("check")[1]
    for slip, meant in (("statsu", "status"), ("opsu", "opus"), ("--al", "--all")):
        code, out, err = fresh.run(slip)
        assert (code, out) == (2, "")
        assert meant in err and len(err.splitlines()) == 1


def test_serve_brings_its_own_packages_and_is_no_citizens_name(fresh):
    code, out, err = fresh.run("serve", "--link", f"--token-file={fresh.root / 'token'}")
    assert code == 0 and out.startswith("http://127.0.0.1:8023/?token="), err
    stamps = sorted(each.stem for each in (fresh.folder / ".venv").glob("*.stamp"))
    assert stamps == ["requirements-serve", "whole"]
    assert not (fresh.root / "serve").exists()


def test_an_error_is_one_line_and_exit_code_2(shared):
    code, out, err = shared.run("--status", "--no-such-option")
    assert (code, out) == (2, "")
    assert err.startswith("experience: No such option")


def test_a_name_runs_that_citizens_loop_in_the_foreground(fresh):
    home = fresh.citizen("opus")
    loop = fresh.start("opus", "--interval", "60")
    try:
        wait_until((home / ".experience" / "owner.json").exists, "the loop owns opus")
        wait_until(lambda: "ran" in fresh.run("--status")[1], "tick ran")
    finally:
        loop.terminate()
    loop.communicate(timeout=20)
    assert loop.returncode == 0
    assert fresh.run("--stop")[:2] == (0, "no loop is running\n")


@pytest.fixture
def loops(fresh: Checkout) -> Iterator[Checkout]:
    """Ends what a test started, whatever became of the test; screen sessions are kept apart from yours."""
    with tempfile.TemporaryDirectory(prefix="exp") as sockets:  # a socket's path may not be long
        fresh.environment["SCREENDIR"] = sockets
        yield fresh
        fresh.run("--stop")
        try:
            wait_until(lambda: not running(fresh), "nothing of this checkout runs any more", seconds=5)
        finally:
            for process in running(fresh):
                process.kill()


def running(checkout: Checkout) -> list[psutil.Process]:
    return [process for process in psutil.process_iter() if runs_in(process, checkout.folder)]


def runs_in(process: psutil.Process, folder: Path) -> bool:
    try:
        return any(str(folder) in word for word in process.cmdline())
    except psutil.Error:
        return False


def sessions(checkout: Checkout) -> list[str]:
    listed = subprocess.run(
        ["screen", "-ls"], env=checkout.environment, capture_output=True, text=True, check=False
    )
    return sorted(word.partition(".")[2] for word in listed.stdout.split() if ".experience_" in word)


@pytest.mark.needs("screen")
def test_all_starts_a_screen_session_each_and_stop_ends_them(loops):
    for name in ("mira", "opus"):
        loops.citizen(name)
    code, out, err = loops.run("--all")
    assert (code, err.count("\n")) == (0, 1)  # the set-up's line
    assert out.splitlines() == [
        "mira: started; to watch it: screen -r experience_mira",
        "opus: started; to watch it: screen -r experience_opus",
    ]
    assert sessions(loops) == ["experience_mira", "experience_opus"]
    assert loops.run("--all")[1].count("runs already, pid ") == 2
    assert loops.run("--stop") == (0, "mira: ended\nopus: ended\n", "")
    wait_until(lambda: sessions(loops) == [], "the sessions are gone")
    assert loops.run("--stop") == (0, "no loop is running\n", "")


@pytest.mark.needs("screen")
def test_a_session_shows_the_log_of_its_loop(loops):
    loops.citizen("opus")
    loops.run("--all")
    shown = loops.root / "shown"

    def says_tick() -> bool:
        command = ["screen", "-S", "experience_opus", "-X", "hardcopy", str(shown)]
        subprocess.run(command, env=loops.environment, check=False)
        return shown.exists() and "tick" in shown.read_text(errors="replace")

    wait_until(says_tick, "the run of tick is on the session's screen")


def test_without_screen_a_loop_is_a_process_with_a_log(loops, bare_path):
    home = loops.citizen("opus")
    loops.run("--status")
    code, out, err = loops.run("--all", PATH=str(bare_path))
    log = home / "logs" / "loop.log"
    assert (code, out, err) == (0, f"opus: started; to watch it: tail -f {log}\n", "")
    wait_until(lambda: "tick" in log.read_text(), "the log tells of tick")
    assert loops.run("--stop", PATH=str(bare_path)) == (0, "opus: ended\n", "")


def test_a_loop_that_cannot_start_is_said(loops, bare_path):
    home = loops.citizen("opus")
    loops.run("--status")
    (home / "experience.toml").write_text("[tasks.tick]\nevry = 5\n")
    code, out, err = loops.run("--all", PATH=str(bare_path))
    assert (code, out) == (2, "")
    assert err.startswith("opus: not started: ") and "evry" in err


def test_stop_leaves_alone_what_is_no_loop(loops):
    """Anyone who may write to the home can name any pid in it."""
    from scheduler.storage.lock import owning

    home = loops.citizen("opus")
    with owning(home, time.time()):
        code, out, _ = loops.run("--stop")
    assert code == 0
    assert out.startswith(f"opus: left alone: pid {os.getpid()} does not answer and is not a loop")
