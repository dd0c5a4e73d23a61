"""External text never is markup, and never reaches the terminal raw; every exit leaves it as it was."""

import os
import pty
import re
import signal
import subprocess
import sys
import termios
import time
from base64 import b64decode
from pathlib import Path

import pytest
from rich.cells import cell_len

from tests.each import each
from tests.fakes import until
from tests.screens.driving import arrive, settled, shown
from tests.screens.situations import HOSTILE, SITUATIONS, Situation, demo
from tui.app import ExperienceApp
from tui.demo import scripts as printed
from tui.fleet.grid import FleetGrid

ROOT = Path(__file__).resolve().parents[2]
FORBIDDEN = (
    "\x1b]0;owned",
    "\x1b[31mred",
    "\x9b",
    "owned\x07",
    "\x07bell",
    "\u202e",
    "\u200b",
    "\x1b[2Jwipe",
    "\x1b[5mblink",
)


SIZES = [(120, 40), (80, 24), (60, 12), (40, 10), (20, 4), (9, 6), (1, 1)]


@pytest.mark.timeout(120)
@each("name", ["hostile", "failing", "running", "stalled"])
async def test_every_line_has_exactly_the_width_of_the_terminal_and_nothing_that_obeys(name):
    for size in SIZES:
        app = SITUATIONS[name].app()
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            grid = app.query_one(FleetGrid)
            width = size[0] - grid.styles.scrollbar_size_vertical
            for y in range(grid.board.layout.height + 2):
                strip = grid.strip(y)
                assert strip.text.isprintable(), f"{size}: {strip.text}"
                assert cell_len(strip.text) == width, f"{size}: {strip.text}"
            for line in shown(pilot).split("\n"):
                assert line.isprintable(), f"{size}: {line}"


async def test_the_demo_has_text_that_would_steer_a_terminal_and_shows_it_harmless():
    """What a person sees of it in the demo is what the tests look at."""
    assert all(
        each in printed.HOSTILE for each in ("\x1b]0;", "\x1b]52;", "\x1b[2J", "\u202e", "\x9b", "\x07")
    )
    for size in ((120, 40), (80, 24), (40, 12)):
        async with Situation(demo("iris")).app().run_test(size=size) as pilot:
            await arrive("n", "enter", "enter")(pilot)
            await settled(pilot)
            for line in shown(pilot).split("\n"):
                assert line.isprintable() and cell_len(line) == size[0], line
                assert not any(each in line for each in ("\u202e", "\u200b", "\u2060", "\x9b"))
            assert size[1] < 24 or "[bold]markup[/bold] [/red] [@click=quit]click here[/]" in shown(pilot)


@pytest.mark.timeout(240)
async def test_ascii_draws_nothing_else():
    for name, situation in SITUATIONS.items():
        app = ExperienceApp(situation.fleet(), ascii=True)
        async with app.run_test(size=situation.size) as pilot:
            await pilot.press(*situation.keys)
            await pilot.pause()
            assert shown(pilot).isascii(), f"{name}:\n{shown(pilot)}"


class Terminal:
    """A program in a terminal of its own, and every byte that it wrote there."""

    def __init__(self, *argv: str, **environment: str) -> None:
        self.out = b""
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            os.chdir(ROOT)
            os.environ.update({"TERM": "xterm-256color", "COLUMNS": "100", "LINES": "30", **environment})
            os.execv(sys.executable, [sys.executable, *argv])

    def shows(self, text: bytes) -> bool:
        """Has this been painted by now?"""
        os.set_blocking(self._fd, False)
        try:
            while chunk := os.read(self._fd, 65536):
                self.out += chunk
        except OSError:  # nothing yet, or the program has gone
            pass
        return text in self.out

    def press(self, keys: bytes) -> None:
        os.write(self._fd, keys)
        self._heard = time.monotonic()

    def is_quiet(self) -> bool:
        """Has nothing been painted for half a second?"""
        before = len(self.out)
        self.shows(b"")
        if len(self.out) > before:
            self._heard = time.monotonic()
        return time.monotonic() - self._heard > 0.5

    def ended(self) -> bool:
        self.shows(b"")
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        self.code = os.waitstatus_to_exitcode(status) if pid else None
        return bool(pid)

    def is_cooked(self) -> bool:
        """Does the terminal give whole lines, as a shell wants it?"""
        return bool(termios.tcgetattr(self._fd)[3] & termios.ICANON)

    def cook(self) -> None:
        """Set the terminal as a shell does that takes it back."""
        mode = termios.tcgetattr(self._fd)
        mode[3] |= termios.ICANON | termios.ECHO
        termios.tcsetattr(self._fd, termios.TCSANOW, mode)

    def close(self) -> None:
        os.close(self._fd)


async def test_no_byte_of_hostile_text_reaches_the_terminal_raw():
    terminal = Terminal("-m", "tests.screens.situations", "hostile")
    await until(lambda: terminal.shows(b"unknown key"), "the hostile panel is painted")
    walk = (
        (b"yl", b"following"),
        (b"yqt", b"Timeline"),
        (b"q:opus", b"citizen"),
        (b"\r?", b"run the task now"),
    )
    for keys, sign in walk:
        terminal.press(keys)
        await until(lambda sign=sign: terminal.shows(sign), f"{sign!r} is painted")
    await until(terminal.is_quiet, "the help is painted")
    terminal.press(b"?")
    await until(terminal.is_quiet, "the fleet is back")
    terminal.press(b"qq")  # the second answers the question
    await until(terminal.ended, "it ends")
    terminal.close()
    text = terminal.out.decode()
    assert "]0;owned" in text and HOSTILE not in text
    assert [bad for bad in FORBIDDEN if bad in text] == []
    copied = [b64decode(each).decode() for each in re.findall("\x1b]52;c;([^\x07]*)\x07", text)]
    assert len(copied) == 2 and "\\x1b[31mred\\x1b[0m" in copied[0]
    assert all(char.isprintable() for each in copied for line in each.splitlines() for char in line)


@each("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
async def test_a_signal_gives_the_terminal_back_as_it_was(number):
    terminal = Terminal("-m", "tui", "--demo")
    await until(lambda: terminal.shows(b"aria"), "the demo is painted")
    await until(lambda: terminal.shows("running · Experience\x07".encode()), "the title is right")
    os.kill(terminal.pid, number)
    await until(terminal.ended, "it ends")
    terminal.close()
    assert terminal.code == 0
    assert terminal.out.rindex(b"\x1b[?1049l") > terminal.out.rindex(b"\x1b[?1049h")
    assert terminal.out.rindex(b"\x1b[?25h") > terminal.out.rindex(b"\x1b[?25l")
    titles = re.findall(rb"\x1b\]2;([^\x07]*)\x07", terminal.out)
    assert titles[0] == b"Experience" and titles[-1] == b""
    assert terminal.out.rindex(b"\x1b[23;2t") > terminal.out.rindex(b"\x1b[22;2t")


async def test_no_color_means_no_colour_codes():
    terminal = Terminal("-m", "tui", "--demo", NO_COLOR="1")
    await until(lambda: terminal.shows(b"heartbeat"), "the demo is painted")
    for keys, sign in ((b"l", b"following"), (b"qt", b"Timeline"), (b"q:", b"citizen")):
        terminal.press(keys)
        await until(lambda sign=sign: terminal.shows(sign), f"{sign!r} is painted")
    os.kill(terminal.pid, signal.SIGTERM)
    await until(terminal.ended, "it ends")
    terminal.close()
    styles = re.findall(rb"\x1b\[([\d;]*)m", terminal.out)
    colours = {code for style in styles for code in style.split(b";") if code in (b"38", b"48")}
    named = {code for style in styles for code in style.split(b";") if code and 30 <= int(code) <= 47}
    assert colours | (named - {b"39"}) == set()


def test_without_a_terminal_one_line_names_the_way_out():
    done = subprocess.run(
        [sys.executable, "-m", "tui", "--demo"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1 and "--no-ui" in done.stderr


def test_no_ui_and_help_never_import_textual():
    asked = "import sys, tui.__main__; print('textual' in sys.modules, 'asyncio' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", asked], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
