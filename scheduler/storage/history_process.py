"""Writes histories in a process of its own: SQLite beside the loop would make many runs a second late."""

import fcntl
import marshal
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from scheduler.core.records import FinishedRun
from scheduler.core.task import Outcome, Retention, Trigger
from scheduler.storage.history_file import Answer, HistoryFiles, Row

PIECE = 32  # runs that are packed between two breaths
# Seconds after each piece, so that the loop gets the interpreter: a thread that gives it up for one short
# call after the other takes it back before another one wakes, until Python insists.
BREATH = 0.0002
PIPE = 1 << 20  # bytes that it can be told before it has read any: what one may have without being root
NICE = 10  # behind whatever has to begin on time
PATIENCE = 5.0  # seconds for what is under way when it is to end
READY = "ready"
_ROOT = str(Path(__file__).parents[2])
# Nothing but our own path: what else Python would load at its start may print, and that is no answer.
_BEGIN = "import sys; sys.path[:] = sys.argv[1:]; from scheduler.storage.history_process import main; main()"
_BROKEN = (OSError, EOFError, ValueError, TypeError)  # what its end makes of talking to it

Packed = bytes


def pack(home: bytes, keep: Retention, run: FinishedRun) -> Packed:
    """A row, with what the run printed, as every process of ours can read it; takes some microseconds."""
    task, trigger, attempt, started, finished, seconds, outcome, text, traceback, output = run
    kinds = trigger and trigger.value, outcome.value
    printed = output.text().encode("utf-8", "backslashreplace") if output and output.size else b""
    plain = str(task), attempt, started, finished, seconds, kinds, str(text), traceback, printed
    return marshal.dumps((home, keep.runs, keep.seconds, plain))


def unpack(packed: Packed) -> Row:
    """The row again; what the run printed stays bytes, a fourth of what it would take as text."""
    home, runs, age, plain = marshal.loads(packed)
    task, attempt, started, finished, seconds, (trigger, outcome), text, traceback, printed = plain
    kind = Trigger(trigger) if trigger else None
    times = (started, finished, seconds)
    run = FinishedRun(task, kind, attempt, *times, Outcome(outcome), text, traceback, _Printed(printed))
    return Row(home, Retention(runs, age), run)


class _Printed:
    """What a run wrote, as it came here."""

    def __init__(self, data: bytes) -> None:
        self._data, self.size = data, len(data)

    def text(self) -> str:
        return self._data.decode()


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
        with suppress(OSError, AttributeError):  # less is allowed, or known: then it takes more than one go
            fcntl.fcntl(self._child.stdin, fcntl.F_SETPIPE_SZ, PIPE)
        self._questions: IO[bytes] = self._child.stdin
        self._answers: IO[bytes] = self._child.stdout
        try:
            ready = marshal.load(self._answers) == READY
        except _BROKEN:
            ready = False
        if not ready:
            raise NoProcess(f"it {self.close()}")

    def add(self, rows: Sequence[Row | Packed]) -> Iterator[list[Answer]]:
        """As `HistoryFiles.add`; raises NoProcess before the first answer if it had ended before."""
        if self._child.poll() is not None:
            raise NoProcess
        packed, answered = _packed(rows), set[bytes]()
        try:
            self._say("add", packed)
            more = True
            while more:
                answers, more = self._answer()
                answered.update(answer.home for answer in answers)
                yield answers
        except _BROKEN:
            why = f"the process that writes histories {self.close()}"
            homes = Counter(unpack(each).home for each in packed)
            yield [
                Answer(home, runs, f"{os.fsdecode(home)}: {why}")
                for home, runs in homes.items()
                if home not in answered
            ]

    def shut(self, home: bytes) -> None:
        """Nothing of this home is open any more."""
        with suppress(*_BROKEN):
            self._say("shut", home)
            self._answer()

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

    def _say(self, verb: str, what: Any) -> None:
        self._questions.write(marshal.dumps((verb, what)))
        self._questions.flush()

    def _answer(self) -> tuple[list[Answer], bool]:
        """The next one, and whether more are to come; in one piece: each small read may hold up the loop."""
        answers, more = marshal.loads(marshal.load(self._answers))
        return [Answer(*each) for each in answers], more


def _packed(rows: Sequence[Row | Packed]) -> list[Packed]:
    packed = list[Packed]()
    for row in rows:
        if isinstance(row, Packed):
            packed.append(row)
        else:
            packed.append(pack(*row))
            if not len(packed) % PIECE:
                time.sleep(BREATH)
    return packed


# ------------------------------------------------------------------ in the process


def _do(files: HistoryFiles, verb: str, what: Any) -> None:
    """What is asked, and answer."""
    answers = list[Answer]()
    match verb:
        case "add":
            for some in files.add(map(unpack, what)):
                if answers:
                    _answer(answers, more=True)
                answers = some
        case "shut":
            files.shut(what)
    _answer(answers, more=False)


def _answer(answers: Sequence[Answer], more: bool) -> None:
    os.write(1, marshal.dumps(marshal.dumps((list(map(tuple, answers)), more))))


def main() -> None:
    """Write what comes on standard input until that ends; a signal to all of a group is not for us."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.nice(NICE)
    files = HistoryFiles()
    with suppress(EOFError, BrokenPipeError):  # its owner has ended
        os.write(1, marshal.dumps(READY))
        while True:
            _do(files, *marshal.load(sys.stdin.buffer))
    files.close()
