"""A Python callable in a process of its own: it can be killed, and a changed file is the next run's code."""

import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from scheduler.core.costs import Usage
from scheduler.core.task import Context, Isolated, Outcome, Progress
from scheduler.errors import TaskFailed
from scheduler.executors.child import Reader, SpawnRequest
from scheduler.executors.environment import check_folder, environment, new_mark
from scheduler.executors.isolated_protocol import LONGEST, encode_call, read_line
from scheduler.executors.output import OutputBuffer
from scheduler.executors.result import Result, RunListener, exit_result, exit_words
from scheduler.executors.subprocesses import SubprocessPool

_ROOT = str(Path(__file__).parents[2])  # the folder that holds this package, checked out or installed
_PATH = "PYTHONPATH"


async def run_isolated(
    processes: SubprocessPool, work: Isolated, context: Context, listener: RunListener
) -> Result:
    """The function's answer; a process that exits without one has failed."""
    if os.name != "posix":
        raise TaskFailed("an isolated handler needs Linux or macOS; use module:function or a command")
    mail = _Mail(context.report, context.usage)
    fd, childs_fd = os.pipe()
    reader = Reader(fd, mail.take)
    try:
        # Its last messages are read in the same turn of the loop as its exit.
        code = await processes.run(partial(_spawn_request, work, context, childs_fd), listener)
    finally:
        reader.close()
        os.close(childs_fd)
    return _judged(mail.answer, code, listener.output)


def _spawn_request(work: Isolated, context: Context, fd: int) -> SpawnRequest:
    check_folder(context.home)
    mark = new_mark()
    around = environment(context, mark, {})
    before = around.get(_PATH)
    around[_PATH] = _ROOT
    # -P: files in the citizen's folder must not shadow this package's modules. -u: output is followed live.
    argv = (sys.executable, "-P", "-u", "-m", "scheduler.executors.isolated_main", str(fd))
    return SpawnRequest(argv, around, context.home, mark, encode_call(work, context, before), (fd,))


def _judged(answer: Result | None, code: int | None, output: OutputBuffer) -> Result:
    if answer is None:
        return (
            exit_result(code, output) if code else Result(Outcome.FAILED, "it left before it had an answer")
        )
    if code and not answer.outcome.bad:
        return Result(Outcome.FAILED, f"{exit_words(code)} after it had answered: {answer.text}")
    return answer


class _Mail:
    """Reads the child's messages; passes on only the newest of several progress reports in one read."""

    def __init__(self, report: Callable[[Progress], None], usage: Callable[[Usage], None]) -> None:
        self.answer: Result | None = None
        self._report, self._usage, self._begun = report, usage, bytearray()

    def take(self, data: bytes) -> None:
        *lines, rest = (bytes(self._begun) + data).split(b"\n")
        self._begun[:] = rest if len(rest) <= LONGEST else b""
        progress = next((line for line in reversed(lines) if line.startswith(b'["progress"')), b"")
        for line in (progress, *(line for line in lines if line.startswith((b'["answer"', b'["used"')))):
            match read_line(line):
                case Progress() as newest:
                    self._report(newest)
                case Usage() as usage:
                    self._usage(usage)
                case Result() as answer:
                    self.answer = answer
