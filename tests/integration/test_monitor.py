"""The monitor in real terminals: keys change state files, and every way out leaves all in order."""

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import until
from tests.integration.terminal import ROOT, opened

pytestmark = pytest.mark.timeout(60)

SETTINGS = """
root = "{root}"
[monitor]
on_close = "stop"
[citizens.opus]
grace = "1s"
[citizens.opus.wake]
every = "10h"
[citizens.opus.tasks.note]
every = "24h"
priority = 0
command = ["sh", "-c", "echo ran >> ran"]
[citizens.opus.tasks.long]
cron = "0 0 1 1 *"
command = ["sh", "-c", "echo $$ > pid; exec sleep 1000"]
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "root" / "opus").mkdir(parents=True)
    settings = tmp_path / "experience.toml"
    settings.write_text(SETTINGS.format(root=tmp_path / "root"))
    return {"EXPERIENCE_CONFIG": str(settings), "HOME": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}


@pytest.fixture
def opus(tmp_path: Path) -> Path:
    return tmp_path / "root" / "opus"


def state(home: Path) -> dict[str, Any]:
    try:
        return json.loads((home / "background_tasks.json").read_text())
    except FileNotFoundError:
        return {}


def count(home: Path, task: str) -> int:
    return state(home).get("run_counts", {}).get(task, 0)


def exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


class Tmux:
    """Its own server, so that no other session is touched."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    def __call__(self, *words: str) -> str:
        command = ["tmux", "-f", "/dev/null", "-S", str(self._socket), *words]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout

    def screen(self) -> str:
        return self("capture-pane", "-p", "-t", "monitor")

    def keys(self, *keys: str) -> None:
        self("send-keys", "-t", "monitor", *keys)


@pytest.fixture
def tmux(tmp_path: Path) -> Iterator[Tmux]:
    server = Tmux(tmp_path / "tmux")
    yield server
    server("kill-server")


@pytest.mark.needs("tmux")
async def test_f_and_r_in_a_real_terminal_change_the_state_file(tmux, environment, opus):
    import sys

    variables = [word for name, value in environment.items() for word in ("-e", f"{name}={value}")]
    command = f"cd '{ROOT}' && exec '{sys.executable}' -m tui"
    tmux("new-session", "-d", "-s", "monitor", "-x", "80", "-y", "24", *variables, command)
    await until(lambda: "✓ note" in tmux.screen(), "the first run is on screen", 20)
    assert count(opus, "note") == 1
    tmux.keys("j")  # past the wake
    tmux.keys("f")
    await until(lambda: count(opus, "note") == 2, "f ran it once more")
    before = state(opus)["last_run"]["note"]
    tmux.keys("r")
    await until(lambda: "leave it as it is" in tmux.screen(), "r asks: it runs a command")
    tmux.keys("r")
    await until(lambda: count(opus, "note") == 3, "r made it due, and it ran")
    assert state(opus)["last_run"]["note"] > before
    assert len((opus / "ran").read_text().split()) == 3
    await until(lambda: "✓ note" in tmux.screen(), "the third run has ended on screen, too")
    tmux.keys("q")
    await until(lambda: "keep it running" in tmux.screen(), "q asks")
    tmux.keys("q")
    await until(lambda: not tmux("list-sessions"), "q ends the monitor")
    assert not (opus / ".experience" / "owner.json").exists()


async def running_long(terminal: Any, opus: Path) -> int:
    """Open the monitor on a task that goes on for ever; the pid of its process."""
    await until(lambda: "note" in terminal.text, "the fleet is on screen", 20)
    await until(lambda: count(opus, "note") == 1, "the scheduler works")
    state_file = opus / "background_tasks.json"
    await until(lambda: state_file.exists(), "there is a state file")
    document = state(opus)
    document["tasks"]["long"]["due_now"] = True  # a hand edit: as good as a key, and needs no cursor
    state_file.write_text(json.dumps(document))
    await until(lambda: (opus / "pid").exists() and (opus / "pid").read_text().strip(), "it runs", 20)
    return int((opus / "pid").read_text())


def restored(raw: bytes) -> bool:
    """The alternate screen is left and the cursor is back."""
    return raw.rindex(b"\x1b[?1049l") > raw.rindex(b"\x1b[?1049h") and b"\x1b[?25h" in raw[-400:]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
async def test_a_signal_ends_the_monitor_in_order(environment, opus, number):
    with opened("-m", "tui", environment=environment) as terminal:
        pid = await running_long(terminal, opus)
        os.kill(terminal.process.pid, number)
        await until(lambda: terminal.read() or b"\x1b[?1049l" in terminal.raw, "the screen is given back")
        os.kill(terminal.process.pid, signal.SIGTERM)  # a second one: at once
        assert await terminal.ended() == 0
        assert restored(terminal.raw)
        assert not exists(pid)
        assert "interrupted" in state(opus)["errors"]["long"]["error"]
        assert state(opus)["tasks"]["long"]["due_now"]


async def test_closing_the_terminal_ends_the_monitor_and_its_children(environment, opus):
    with opened("-m", "tui", environment=environment) as terminal:
        pid = await running_long(terminal, opus)
        terminal.close()
        await until(lambda: terminal.process.poll() is not None, "the monitor ended", 30)
        await until(lambda: not exists(pid), "its child ended")
        assert "interrupted" in state(opus)["errors"]["long"]["error"]


async def test_an_error_inside_the_monitor_restores_the_terminal_and_exits_with_an_error(environment, opus):
    broken = (
        "import sys; from tui.app import ExperienceApp; from tui.__main__ import main\n"
        "ExperienceApp.action_help = lambda self: 1 / 0\n"
        "sys.argv = ['experience-tui']; main()"
    )
    with opened("-c", broken, environment=environment) as terminal:
        await until(lambda: "note" in terminal.text, "the fleet is on screen", 20)
        terminal.type("?")
        assert await terminal.ended() == 1
        assert restored(terminal.raw[: terminal.raw.rindex(b"\x1b[?25h") + 6])
        assert "ZeroDivisionError" in terminal.text


def add_often(settings: Path) -> None:
    often = '[citizens.opus.tasks.often]\nevery = "0.2s"\ncommand = ["sh", "-c", "echo >> often"]\n'
    settings.write_text(settings.read_text() + often)


async def test_the_terminal_that_stops_reading_holds_no_task_up(environment, opus):
    """Ctrl-S: Textual's writer blocks the screen's loop; the scheduler's goes on."""
    add_often(Path(environment["EXPERIENCE_CONFIG"]))
    with opened("-m", "tui", environment=environment) as terminal:
        await until(lambda: "note" in terminal.text, "the fleet is on screen", 20)
        started = count(opus, "often")  # from here on nothing reads the terminal
        await until(lambda: count(opus, "often") > started + 30, "tasks go on", 30)


async def test_without_a_terminal_it_says_how_to_run_without_a_screen(environment):
    import sys

    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tui",
        cwd=ROOT,
        env={**os.environ, **environment},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    assert (process.returncode, output) == (2, b"")
    assert b"--no-ui" in errors and len(errors.splitlines()) == 1
