"""Writes histories in a process of its own: SQLite beside the loop would make many runs a second late."""

import marshal
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from .history_file import HistoryFiles, NotRecorded
from .model import Keep, Outcome, Trigger
from .records import Ended

PIECE = 32  # runs that are put in writing between two breaths
# Seconds after each piece, so that the loop gets the interpreter: a thread that gives it up for one short
# call after the other takes it back before another one wakes, until Python insists.
BREATH = 0.0002
NICE = 10  # behind whatever has to begin on time
PATIENCE = 5.0  # seconds for what is under way when it is to end
READY = "ready"
_ROOT = str(Path(__file__).parents[1])
# Nothing but our own path: what else Python would load at its start may print, and that is no answer.
_BEGIN = "import sys; sys.path[:] = sys.argv[1:]; from scheduler.history_process import main; main()"
_BROKEN = (OSError, EOFError, ValueError, TypeError)  # what its end makes of talking to it


class NoProcess(Exception):
    """There is none to write with, and nothing of what it was given is written."""


class HistoryProcess:
    """Does elsewhere what `HistoryFiles` does, one thing at a time; raises NoProcess if it cannot begin."""

    def __init__(self) -> None:
        try:
            self._child = subprocess.Popen(
                (sys.executable, "-I", "-S", "-c", _BEGIN, *filter(os.path.isabs, sys.path), _ROOT),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # ctrl+c is for the owner: this ends when nothing more comes
            )
        except (OSError, RuntimeError) as error:
            raise NoProcess(str(error)) from error
        assert self._child.stdin and self._child.stdout
        self._questions: IO[bytes] = self._child.stdin
        self._answers: IO[bytes] = self._child.stdout
        try:
            ready = marshal.load(self._answers) == READY
        except _BROKEN:
            ready = False
        if not ready:
            raise NoProcess(f"it {self.close()}")

    def add(self, home: Path, runs: Sequence[Ended], keep: Keep) -> Path | None:
        """As `HistoryFiles.add`; raises NoProcess, too, if it had ended before."""
        if self._child.poll() is not None:
            raise NoProcess
        pieces = [runs[first : first + PIECE] for first in range(0, len(runs), PIECE)]
        try:
            self._say(["add", _place(home), keep.runs, keep.seconds, len(pieces)])
            for piece in pieces:
                self._say(list(map(_plain, piece)))
                time.sleep(BREATH)
            refused, aside = marshal.load(self._answers)
        except _BROKEN as error:
            raise NotRecorded(f"{home}: the process that writes histories {self.close()}") from error
        if refused:
            raise NotRecorded(refused)
        return Path(os.fsdecode(aside)) if aside else None

    def shut(self, home: Path) -> None:
        """Nothing of this home is open any more."""
        with suppress(*_BROKEN):
            self._say(["shut", _place(home)])
            marshal.load(self._answers)

    def close(self) -> str:
        """Let it write what it has, but not for ever; how it ended."""
        with suppress(OSError):
            self._questions.close()
        try:
            code = self._child.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._child.kill()
            return "hangs"
        finally:
            self._answers.close()
        return f"was killed by signal {-code}" if code < 0 else f"ended with status {code}"

    def _say(self, words: list[Any]) -> None:
        self._questions.write(marshal.dumps(words))
        self._questions.flush()


def _place(home: Path) -> bytes:
    """The same place there: it may read names another way, and stays where it began."""
    return os.fsencode(os.path.abspath(home))  # noqa: PTH100 # links stay as they are


def _plain(run: Ended) -> list[Any]:
    """The run in types that every process knows."""
    written = run.output.text() if run.output and run.output.size else ""
    trigger = run.trigger and run.trigger.value
    return [
        *(str(run.task), trigger, run.attempt, run.started, run.finished, run.seconds, run.outcome.value),
        *(str(run.text), run.traceback, written.encode("utf-8", "backslashreplace")),
    ]


# ------------------------------------------------------------------ in the process


class _Written:
    """What a run wrote, as it came here; a fourth of what it would take as text."""

    def __init__(self, data: bytes) -> None:
        self._data, self.size = data, len(data)

    def text(self) -> str:
        return self._data.decode()


def _ended(plain: list[Any]) -> Ended:
    task, trigger, attempt, started, finished, seconds, outcome, text, traceback, written = plain
    trigger = Trigger(trigger) if trigger else None
    times = (started, finished, seconds)
    return Ended(task, trigger, attempt, *times, Outcome(outcome), text, traceback, _Written(written))


def _write(files: HistoryFiles, words: IO[bytes]) -> tuple[str, bytes]:
    """Do what is asked; why it could not be done, and where a damaged history lies now."""
    match marshal.load(words):
        case "add", home, runs, seconds, pieces:
            ended = [_ended(plain) for _ in range(pieces) for plain in marshal.load(words)]
            try:
                aside = files.add(Path(os.fsdecode(home)), ended, Keep(runs, seconds))
                return "", os.fsencode(aside) if aside else b""
            except NotRecorded as reason:
                return str(reason), b""
        case "shut", home:
            files.shut(Path(os.fsdecode(home)))
    return "", b""


def main() -> None:
    """Write what comes on standard input until that ends; a signal to all of a group is not for us."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.nice(NICE)
    files = HistoryFiles()
    with suppress(EOFError, BrokenPipeError):  # its owner has ended
        os.write(1, marshal.dumps(READY))
        while True:
            os.write(1, marshal.dumps(_write(files, sys.stdin.buffer)))
    files.close()
