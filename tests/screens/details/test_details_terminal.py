"""The details screen in a real terminal: the bytes that it writes there, its clipboard, its pager."""

import base64
import os
import re
import signal
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.each import each
from tests.fakes import until
from tests.screens.details.details_situations import ODD
from tests.screens.test_safety import Terminal

SITUATION = ("-m", "tests.screens.details.details_situations")
# Whatever a screen of ours has a reason to write: styles, cursor, clearing, modes, and answers to none.
OURS = re.compile(
    r"\x1b\[[0-9;]*m|\x1b\[[0-9;]*[HJKABCDG]|\x1b\[\?[0-9;]+(?:[hl]|\$p)|\x1b\[[<>=?][0-9;]*u"
    r"|\x1b\[(?:22|23);[02](?:;0)?t|\x1b\]22;\w+(?:\x07|\x1b\\)|\x1b\]2;[\w ·,-]*(?:\x07|\x1b\\)"
    r"|\x1b\[>?[0-9]*[cq]"
)
PAGER = """
import pathlib, signal, sys
signal.signal(signal.SIGINT, lambda *_: None)
path = pathlib.Path(sys.argv[1])
mode, traces = oct(path.stat().st_mode & 0o777), path.read_text().count("Traceback")
print("PAGER SHOWS", mode, path, traces, "READY", flush=True)  # a ctrl+c takes what is not read yet
sys.stdin.readline()
print("PAGER ENDS", flush=True)
"""


@asynccontextmanager
async def opened(name: str, *keys: tuple[bytes, bytes], **environment: str) -> AsyncIterator[Terminal]:
    """The situation in a terminal, after these keys, each pressed when the text before it is painted."""
    terminal = Terminal(*SITUATION, name, **environment)
    try:
        for shows, key in keys:
            await until(lambda shows=shows: terminal.shows(shows), f"{shows!r} is painted")
            terminal.press(key)
        yield terminal
        os.kill(terminal.pid, signal.SIGTERM)
        await until(terminal.ended, "it ends")
    except AssertionError:
        os.kill(terminal.pid, signal.SIGKILL)
        raise
    finally:
        terminal.close()


async def test_nothing_but_cleaned_text_is_written_to_the_terminal():
    steps = ((b"opus", b"\r"), (b"clipboard", b"j"), (b"11:53:22", b"\t"))
    async with opened("hostile", *steps) as terminal:
        await until(lambda: terminal.shows("日本語".encode()), "the wide run is painted")
        for key in (b"\x1b[6~", b"\t", b"\x1b[6~", b"\x1b[B"):  # a page, the next panel, a page of that
            terminal.press(key)
        terminal.press(b"\x7f\x1b[Bjj\r")  # back, and into the task with a line of half a million characters
        await until(lambda: terminal.shows(b"opus/long"), "the long line is painted")
    text = terminal.out.decode()
    left = OURS.sub("", text)
    kept = {char for char in left if not (char.isprintable() or char in "\r\n")}
    strange = sorted({found[:12] for found in re.findall(r"\x1b.{0,11}", left, re.DOTALL)})
    assert (kept, strange) == (set(), [])
    for bad in ("\x1b]52", "owned\x07", "\x1b[5m", "\x1b[8m", "\x1b[6n", "\x1bc", "\x9b", "\x9d", "\x90"):
        assert bad not in text, repr(bad)
    for bad in ("\u202e", "\u200b", "\x1b]8;", "\x00"):
        assert bad not in text, repr(bad)
    assert "[@click=quit]" in text and ODD not in text


async def test_y_puts_cleaned_text_on_the_terminals_clipboard():
    async with opened("hostile", (b"opus", b"\r"), (b"clipboard", b"y")) as terminal:
        await until(lambda: terminal.shows(b"\x1b]52;c;"), "it is copied")
        await until(lambda: terminal.shows(b"copied"), "it is said")
    (copied,) = re.findall(rb"\x1b\]52;c;([A-Za-z0-9+/=]+)\x07", terminal.out)
    plain = base64.b64decode(copied).decode()
    assert "clipboard" in plain and "second line" in plain
    assert all(char.isprintable() or char == "\n" for char in plain)


async def test_o_shows_the_output_in_a_pager_and_comes_back(tmp_path: Path):
    script = tmp_path / "page r.py"
    script.write_text(PAGER)
    chosen = f"{sys.executable} '{script}'"
    keys = ((b"opus", b"jjjj\r"), (b"Traceback", b"o"), (b"READY", b"\x03\n"))  # ctrl+c is the pager's
    async with opened("failing", *keys, PAGER=chosen) as terminal:
        await until(lambda: terminal.shows(b"PAGER ENDS"), "the pager ends")
        shown = re.search(rb"PAGER SHOWS (0o\d+) (\S+) (\d+)", terminal.out)
        assert shown is not None
        assert (int(shown[1], 8), int(shown[3])) == (stat.S_IRUSR | stat.S_IWUSR, 1)
        before = terminal.out.rindex(b"PAGER ENDS")
        terminal.out = terminal.out[before:]
        await until(lambda: terminal.shows(b"definition"), "the screen is back")
        assert not os.path.exists(shown[2])  # noqa: ASYNC240, PTH110  # a name to look at once


@each(("chosen", "said"), [("no-such-pager -R", b"no program"), ("less 'unclosed", b"has a quote")])
async def test_a_pager_that_is_not_there_is_said(chosen: str, said: bytes):
    async with opened("failing", (b"opus", b"jjjj\r"), (b"Traceback", b"o"), PAGER=chosen) as terminal:
        await until(lambda: terminal.shows(said), "it is said")
