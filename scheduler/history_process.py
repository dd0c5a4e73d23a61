"""Writes histories in a process of its own: SQLite beside the loop would make many runs a second late."""

import marshal
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from .history_file import TEXT, TRACEBACK, HistoryFiles, NotRecorded
from .model import Keep, Outcome, Trigger
from .records import Ended

PIECE = 32  # runs that are put in writing between two breaths
# Seconds after each piece, so that the loop gets the interpreter: a thread that gives it up for one short
# call after the other takes it back before another one wakes, until Python insists.
BREATH = 0.0002
NICE = 10  # behind whatever has to begin on time
PATIENCE = 5.0  # seconds for what is under way when it is to end
GONE = (OSError, EOFError, ValueError, TypeError)  # what its end makes of reading and writing
_ROOT = str(Path(__file__).parents[1])


@dataclass(frozen=True, slots=True)
class Child:
    """The process that writes; one question at a time, each is answered."""

    process: subprocess.Popen[bytes]
    questions: IO[bytes]
    answers: IO[bytes]

    def say(self, words: list[Any]) -> None:
        self.questions.write(marshal.dumps(words))
        self.questions.flush()

    def end(self) -> str:
        """Let it write what it has; how it ended."""
        with suppress(OSError):
            self.questions.close()
        try:
            code = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            return "hangs"
        finally:
            self.answers.close()
        return f"was killed by signal {-code}" if code < 0 else f"ended with status {code}"


class HistoryProcess:
    """What `HistoryFiles` is, elsewhere; begins with the first runs, and anew if it was killed."""

    def __init__(self) -> None:
        self._child: Child | None = None

    def add(self, home: Path, runs: Sequence[Ended], keep: Keep) -> Path | None:
        child = self._child = self._child or _begun()
        pieces = [runs[first : first + PIECE] for first in range(0, len(runs), PIECE)]
        try:
            child.say(["add", os.fspath(home), keep.runs, keep.seconds, len(pieces)])
            for piece in pieces:
                child.say(list(map(_plain, piece)))
                time.sleep(BREATH)
            refused, aside = marshal.load(child.answers)
        except GONE as error:
            self._child = None
            raise NotRecorded(f"{home}: the process that writes histories {child.end()}") from error
        if refused:
            raise NotRecorded(refused)
        return Path(aside) if aside else None

    def shut(self, home: Path) -> None:
        if self._child:
            with suppress(*GONE):
                self._child.say(["shut", os.fspath(home)])
                marshal.load(self._child.answers)

    def close(self) -> None:
        child, self._child = self._child, None
        if child:
            child.end()


def _begun() -> Child:
    try:
        process = subprocess.Popen(
            (sys.executable, "-P", "-m", __name__),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": _ROOT},
            start_new_session=True,  # ctrl+c is for the owner: this ends when nothing more comes
        )
    except OSError as error:
        raise NotRecorded(f"no process to write histories: {error.strerror}") from error
    assert process.stdin and process.stdout
    return Child(process, process.stdin, process.stdout)


def _plain(run: Ended) -> list[Any]:
    """The run in types that every process knows, no larger than it will be kept."""
    written = run.output.text() if run.output and run.output.size else ""
    trigger = run.trigger and run.trigger.value
    return [
        *(run.task, trigger, run.attempt, run.started, run.finished, run.seconds, run.outcome.value),
        *(run.text[:TEXT], run.traceback[-TRACEBACK:], written),
    ]


# ------------------------------------------------------------------ in the process


class _Written:
    """What a run wrote, as it came here."""

    def __init__(self, text: str) -> None:
        self._text, self.size = text, len(text)

    def text(self) -> str:
        return self._text


def _ended(plain: list[Any]) -> Ended:
    task, trigger, attempt, started, finished, seconds, outcome, text, traceback, written = plain
    trigger = Trigger(trigger) if trigger else None
    times = (started, finished, seconds)
    return Ended(task, trigger, attempt, *times, Outcome(outcome), text, traceback, _Written(written))


def _write(files: HistoryFiles, words: IO[bytes]) -> tuple[str, str]:
    """Do what is asked; why it could not be done, and where a damaged history lies now."""
    match marshal.load(words):
        case "add", home, runs, seconds, pieces:
            ended = [_ended(plain) for _ in range(pieces) for plain in marshal.load(words)]
            try:
                return "", os.fspath(files.add(Path(home), ended, Keep(runs, seconds)) or "")
            except NotRecorded as reason:
                return str(reason), ""
        case "shut", home:
            files.shut(Path(home))
    return "", ""


def main() -> None:
    """Write what comes on standard input until that ends; a signal to all of a group is not for us."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.nice(NICE)
    files = HistoryFiles()
    with suppress(EOFError, BrokenPipeError):  # its owner has ended
        while True:
            os.write(1, marshal.dumps(_write(files, sys.stdin.buffer)))
    files.close()


if __name__ == "__main__":
    main()
