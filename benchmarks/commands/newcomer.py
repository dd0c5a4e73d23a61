"""The first minutes of a newcomer: a fresh clone, an empty home, and README typed in a real terminal."""

import re
import shlex
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from os import environ
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import psutil

from benchmarks.child import HERE, MeasurementFailed
from benchmarks.table import Bar, Row

T = TypeVar("T")

KEY = 0.08  # seconds between two keys: a fair typist
LOOK = 0.1  # seconds between two looks at the screen
DEMO, TASK = 30.0, 180.0  # seconds, at most
LIMIT = 120.0  # seconds until the clock is stopped
KEPT = ("PATH", "PIP_INDEX_URL", "PIP_CONFIG_FILE", "SSL_CERT_FILE", "LANG")
_SETTINGS = re.compile(r"its settings: (\S+\.toml)")


def newcomer(quick: bool) -> Iterator[Row]:
    """Seconds until the demo is on screen, and until a task of one's own has run and shows it."""
    with TemporaryDirectory(prefix="newcomer", ignore_cleanup_errors=True) as folder:
        place = Path(folder)
        subprocess.run(["git", "clone", "--quiet", str(HERE), str(place / "experience")], check=True)
        terminal = _Terminal(place)
        try:
            yield from _first_minutes(terminal, *_of_readme())
        finally:
            terminal.close()


def _first_minutes(terminal: "_Terminal", commands: Sequence[str], settings: str) -> Iterator[Row]:
    demo, init, monitor, up = commands
    begun = time.monotonic()
    terminal.line(demo)
    terminal.until(lambda screen: "DEMO" in screen and "heartbeat" in screen, "the demo")
    seen = time.monotonic() - begun
    yield _row("README: the demo is on screen", seen, DEMO, "with its set-up, from nothing")
    terminal.keys("q")
    terminal.until(_prompt, "the prompt")
    yield _row(
        "  CPU time of that", terminal.cpu(), DEMO, "on an idle machine it takes this and the downloads"
    )
    terminal.line(init)
    found = terminal.until(_SETTINGS.search, "the path of the settings")
    assert found
    terminal.line(f"cat >> {found[1]}")
    terminal.paste(settings)
    terminal.line(monitor)
    terminal.until(lambda screen: re.search(r"✓ disk", screen), "the task that ran")
    ran = time.monotonic() - begun
    yield _row("README: a task of one's own has run", ran, TASK, "from the first key on, typing included")
    terminal.keys("q")
    terminal.until(lambda screen: "keep it running" in screen, "the question of q")
    terminal.keys("q")
    terminal.until(_prompt, "the prompt")
    terminal.line(up)
    terminal.until(lambda screen: "started" in screen, "the background")
    terminal.line(up.split()[0] + " down")
    terminal.until(lambda screen: "ended" in screen, "its end")


def _prompt(screen: str) -> bool:
    return screen.rstrip().endswith("$")


def _of_readme() -> tuple[list[str], str]:
    """The commands of README in their order, without comments, and its settings."""
    text = (HERE / "README.md").read_text()
    shell = re.findall(r"```bash\n(.*?)```", text, re.DOTALL)
    lines = [line.partition("#")[0].strip() for block in shell for line in block.splitlines() if line]
    return lines, re.findall(r"```toml\n(.*?)```", text, re.DOTALL)[0]


def _row(what: str, seconds: float, most: float, note: str) -> Row:
    return Row(what, seconds, "s", bars=(Bar(f"<= {most:.0f} s", seconds <= most),), note=note)


class _Terminal:
    """A shell in tmux, whose home is empty."""

    def __init__(self, place: Path) -> None:
        home = place / "home"
        home.mkdir()
        around = {name: environ[name] for name in KEPT if name in environ}
        around |= {"HOME": str(home), "LANG": "C.UTF-8", "PIP_NO_CACHE_DIR": "1", "PS1": "$ "}
        self._tmux = ["tmux", "-f", "/dev/null", "-S", str(place / "tmux")]
        words = [f"{name}={value}" for name, value in around.items()]
        shell = shlex.join(["env", "-i", "TERM=screen-256color", *words, "bash", "--norc"])
        size = ("-x", "80", "-y", "24")
        self._do("new-session", "-d", "-s", "n", *size, "-c", str(place / "experience"), shell)

    def line(self, text: str) -> None:
        """Type a command."""
        for letter in text:
            self._do("send-keys", "-t", "n", "-l", letter)
            time.sleep(KEY)
        self._do("send-keys", "-t", "n", "Enter")

    def keys(self, *keys: str) -> None:
        self._do("send-keys", "-t", "n", *keys)

    def paste(self, text: str) -> None:
        """Paste it into a program that reads to the end."""
        self._do("set-buffer", text)
        self._do("paste-buffer", "-t", "n")
        self.keys("C-d")

    def until(self, look: Callable[[str], T], what: str) -> T:
        """What `look` finds on the screen, once it does."""
        end = time.monotonic() + LIMIT
        while not (found := look(self._screen())):
            if time.monotonic() > end:
                raise MeasurementFailed(f"{what} never showed: {self._screen()}")
            time.sleep(LOOK)
        return found

    def cpu(self) -> float:
        """Seconds that the shell's commands have used, with all that they started and waited for."""
        used = psutil.Process(int(self._do("display-message", "-p", "-t", "n", "#{pane_pid}"))).cpu_times()
        return float(used.children_user + used.children_system)

    def _screen(self) -> str:
        return self._do("capture-pane", "-p", "-J", "-t", "n")

    def close(self) -> None:
        subprocess.run([*self._tmux, "kill-server"], check=False, capture_output=True)

    def _do(self, *words: str) -> str:
        done = subprocess.run([*self._tmux, *words], check=True, capture_output=True, text=True)
        return done.stdout
