"""One child process with its pipes; it waits at a gate until its pid is recorded."""

import asyncio
import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from scheduler.errors import TaskFailed
from scheduler.executors.output import OutputBuffer
from scheduler.executors.process_tree import Family, Identity
from scheduler.process import process_info as facts
from scheduler.process.process_info import Running
from scheduler.process.start_gate import gate, go
from scheduler.system.clock import SystemClock
from scheduler.system.foreign_home import User
from scheduler.system.hanging_disks import on_disk

LAST_WORDS = 1.0  # seconds to read a pipe after the process ended: another process may hold it open


# One read per turn of the loop: a child that writes 200 MB/s must not delay other tasks.
BITE = 64 * 1024


UNHEARD = 16 << 20  # bytes read and dropped for a process that a run left in the background


class Reader:
    """Hands what arrives to `sink` until the other end closes, then sets `ended`. Owns the descriptor."""

    def __init__(self, fd: int, sink: Callable[[bytes], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[None] = self._loop.create_future()
        self._fd, self._sink = fd, sink
        try:
            self._loop.add_reader(fd, self._ready)
            os.set_blocking(fd, False)
        except NotImplementedError:  # Windows: its loop does not watch pipes
            threading.Thread(target=self._pump, daemon=True).start()

    def _ready(self) -> None:
        try:
            data = os.read(self._fd, BITE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._sink(data)
        else:
            self.close()

    def _pump(self) -> None:
        with contextlib.suppress(OSError):  # closed in the meantime
            while data := os.read(self._fd, BITE):
                self._sink(data)
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self.close)

    def forget(self) -> None:
        """Read on and drop it, up to a limit: without a reader the process would die at its next write."""
        left = UNHEARD

        def unheard(data: bytes) -> None:
            nonlocal left
            left -= len(data)
            if left < 0:
                self.close()

        self._sink = unheard

    def close(self) -> None:
        """Read no more; what is still in the pipe is lost."""
        if self.ended.done():
            return
        self.ended.set_result(None)
        with contextlib.suppress(NotImplementedError):
            self._loop.remove_reader(self._fd)
        os.close(self._fd)


class Feeder:
    """Writes bytes as the other end takes them, then closes. Owns the descriptor."""

    def __init__(self, fd: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._fd, self._left = fd, memoryview(b"")

    def feed(self, data: bytes) -> None:
        self._left = memoryview(data)
        try:
            self._loop.add_writer(self._fd, self._ready)
            os.set_blocking(self._fd, False)
        except NotImplementedError:  # Windows, see above
            threading.Thread(target=self._pump, daemon=True).start()

    def _ready(self) -> None:
        try:
            self._left = self._left[os.write(self._fd, self._left[:BITE]) :]
        except BlockingIOError:
            return
        except OSError:  # the child closed its standard input
            self._left = self._left[:0]
        if not self._left:
            self.close()

    def _pump(self) -> None:
        with contextlib.suppress(OSError):
            while self._left:
                self._left = self._left[os.write(self._fd, self._left[:BITE]) :]
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self.close)

    def close(self) -> None:
        if self._fd < 0:
            return
        fd, self._fd = self._fd, -1
        with contextlib.suppress(NotImplementedError):
            self._loop.remove_writer(fd)
        os.close(fd)


@dataclass(frozen=True, slots=True)
class SpawnRequest:
    """What to start, and how."""

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    folder: Path
    mark: str
    input: bytes = b""
    pass_fds: tuple[int, ...] = ()
    user: User | None = None  # None: this process's own


class Subprocess:
    """A process in its own session, so that it can be ended together with everything that it started.

    `exited` becomes its exit code (negative: the signal), or None if other code collected it.
    """

    def __init__(self, request: SpawnRequest, output: OutputBuffer) -> None:
        self._loop = asyncio.get_running_loop()
        self._gate = gate(request.environment)
        self._process, stdin, stdout = _popen(self._gate, request)
        pid = self._process.pid
        self.mark, self._input = request.mark, request.input
        self.hurried = self.stopped = False
        self.listener: object = None
        self.seen: set[Identity] = set()  # processes of its run that were found so far
        self.running = Running(pid, facts.born(pid) or 0.0, SystemClock.now(), facts.BOOT)
        self.exited: asyncio.Future[int | None] = self._loop.create_future()
        self.closed: asyncio.Future[None] = self._loop.create_future()
        self._stdin = Feeder(stdin)
        self._pipe = os.fstat(stdout).st_ino
        self._stdout = Reader(stdout, output.write)
        self._pidfd = -1
        self._watch()

    def family(self) -> Family:
        """The signs by which the processes of its run are found."""
        return Family(self.mark, self.running, self._pipe, frozenset(self.seen))

    def go(self) -> None:
        """Open the gate: the program starts."""
        self._stdin.feed(go(self._gate) + self._input)

    async def last_words(self, seconds: float = LAST_WORDS) -> None:
        """Read the rest for at most `seconds`: a background process may keep the pipe open."""
        await asyncio.wait([self._stdout.ended], timeout=seconds)

    def signal(self, number: int) -> None:
        """Signal the whole group, while its first process is uncollected and so keeps the number taken."""
        if self.exited.done():
            return
        with contextlib.suppress(OSError):
            if hasattr(os, "killpg"):
                os.killpg(self.running.pid, number)
            else:
                self._process.terminate()

    def close(self) -> Reader | None:
        """Close everything; a process that still runs because the loop is closing is killed.

        Returns the pipe if a background process still holds it and was not stopped with the run.
        """
        held = self.exited.done() and not self.stopped and not self._stdout.ended.done()
        if not self.exited.done():
            self.signal(getattr(signal, "SIGKILL", signal.SIGTERM))
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._settle(self._process.wait(0.5))
        self._unwatch()
        self._stdin.close()
        if held:
            self._stdout.forget()
        else:
            self._stdout.close()
        self.closed.set_result(None)
        return self._stdout if held else None

    def _watch(self) -> None:
        try:
            self._pidfd = os.pidfd_open(self.running.pid)
            self._loop.add_reader(self._pidfd, self._reap)
        except (AttributeError, OSError):  # not Linux, or no descriptor left
            threading.Thread(target=self._wait, daemon=True, name="wait").start()

    def _unwatch(self) -> None:
        if self._pidfd >= 0:
            self._loop.remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1

    def _reap(self) -> None:
        self._unwatch()
        try:
            _, status = os.waitpid(self.running.pid, 0)
        except ChildProcessError:  # a handler waited for any child, or ignores SIGCHLD: not a success
            self._process.returncode = 0
            self._settle(None)
        else:
            self._process.returncode = os.waitstatus_to_exitcode(status)
            self._settle(self._process.returncode)

    def _wait(self) -> None:
        code = self._process.wait()
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._settle, code)

    def _settle(self, code: int | None) -> None:
        if not self.exited.done():
            self.exited.set_result(code)


def _popen(gate: tuple[str, ...], request: SpawnRequest) -> "tuple[subprocess.Popen[bytes], int, int]":
    """The process with the descriptors of its standard input and output; raises TaskFailed."""
    given_up = threading.Event()

    def start() -> "subprocess.Popen[bytes]":
        process = subprocess.Popen(
            (*gate, *request.argv),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
            cwd=request.folder,
            env=request.environment,
            start_new_session=True,
            pass_fds=request.pass_fds,
            user=request.user and request.user.uid,
            group=request.user and request.user.gid,
            extra_groups=[] if request.user else None,
        )
        if given_up.is_set():
            _discard(process)
        return process

    try:
        process = on_disk(request.folder, start)  # it waits until the child has entered the folder
        return process, *_pipes(process)
    except (OSError, ValueError) as error:  # out of processes or descriptors; invalid variable names
        given_up.set()
        reason = (isinstance(error, OSError) and error.strerror) or error
        raise TaskFailed(f"could not start {request.argv[0]}: {reason}") from error


def _discard(process: "subprocess.Popen[bytes]") -> None:
    """End a process that waits at the gate and that no one waits for any more."""
    process.kill()
    with process:
        pass


def _pipes(process: "subprocess.Popen[bytes]") -> tuple[int, int]:
    """Take over its pipes; without a descriptor left, end it and raise OSError."""
    assert process.stdin and process.stdout
    stdin = stdout = -1
    try:
        stdin = os.dup(process.stdin.fileno())
        stdout = os.dup(process.stdout.fileno())
    finally:
        if stdout < 0:
            _discard(process)
            if stdin >= 0:
                os.close(stdin)
    process.stdin.close()
    process.stdout.close()
    return stdin, stdout
