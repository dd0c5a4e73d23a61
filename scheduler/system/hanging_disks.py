"""Which homes lie on disks that hang: a network that is gone, a server that has stopped."""

import os
import re
import select
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from time import monotonic, sleep
from typing import TypeVar

from scheduler.errors import SchedulerError

T = TypeVar("T")

SILENT = "does not answer: its disk hangs; nothing of it is read until it is back"
MOUNTS = Path("/proc/self/mountinfo")
PATIENCE = 1.0  # seconds in which a disk answers
FRESH = 0.5  # seconds for which an answer holds in a command: each question costs it two processes
MOUNTED = 2.0  # seconds for which the list of disks holds
TOGETHER = 0.001  # seconds between two reads of the pipe: 300 answers need not wake the reader 300 times
# Kinds of file systems whose server may be away, as /proc/self/mountinfo names them (proc(5)). Local disks
# answer without reading anything: skipping them saves a command four processes, a twentieth of --status.
SERVED = re.compile(
    rb"^(?!.* /proc/).* - (fuse(?!ctl)|nfs|cifs|smb|9p|afs|autofs|ceph|coda|gfs|lustre|ncp|ocfs|orangefs|"
    rb"virtiofs|glusterfs|beegfs)",
    re.MULTILINE,
)
_answered: dict[str, float] = {}  # when each home last answered
_asking: dict[str, int] = {}  # by silent home: the pipe on which its answer will arrive
_one_at_a_time = threading.Lock()


def require_disk(home: Path) -> None:
    """Raise OSError if the disk of this home hangs now; for callers about to use it that must not wait."""
    if hanging((str(home),)):
        raise OSError(f"{home}: {SILENT}")


def on_disk(home: Path, work: Callable[[], T]) -> T:
    """Return what `work` returns; raise OSError if the disk of this home hangs, even during the work.

    A loop waits PATIENCE at most. Work that hangs goes on in a thread of its own when the disk is back, so it
    must not change what others use.
    """
    if not _any_served(int(monotonic() // MOUNTED)):
        return work()
    if _is_command():
        require_disk(home)
        return work()
    with _one_at_a_time:
        silent = _still_waits(str(home))
    if not silent:
        done: Future[T] = Future()
        threading.Thread(target=_carry_out, args=(work, done), daemon=True).start()
        with suppress(TimeoutError):
            return done.result(PATIENCE)
        hanging((str(home),))  # from now on it is known
    raise OSError(f"{home}: {SILENT}")


def _carry_out(work: Callable[[], T], done: "Future[T]") -> None:
    try:
        done.set_result(work())
    except (OSError, ValueError, RecursionError, SchedulerError) as error:  # deep JSON, too
        done.set_exception(error)


def hanging(homes: Iterable[str]) -> frozenset[str]:
    """The homes that do not answer: whoever opens a file there waits as long as the disk does.

    Blocks for one second for the first home that has just begun to hang, for a quarter of one for each other.
    """
    if not _any_served(int(monotonic() // MOUNTED)):
        return frozenset()
    with _one_at_a_time:
        since = monotonic() - (FRESH if _is_command() else 0.0)
        known = [home for home in homes if _answered.get(home, since) <= since]
        left = [home for home in known if not _still_waits(home)]
        silent = set(known) - set(left)
        while left:
            answers = _ask(left)
            answered = _count(answers, len(left))
            _answered.update(dict.fromkeys(left[:answered], monotonic()))
            if answered == len(left):
                os.close(answers)
                break
            home, left = left[answered], left[answered + 1 :]
            _asking[home] = answers
            silent.add(home)
        return frozenset(silent)


@lru_cache(maxsize=1)
def _any_served(moment: int) -> bool:
    """Whether any disk here has a server that may be away, read once for each `moment`.

    True where the system does not say.
    """
    try:
        mounts = MOUNTS.read_bytes()
    except OSError:
        return True
    return bool(SERVED.search(mounts))


def _still_waits(home: str) -> bool:
    if home not in _asking:
        return False
    if not select.select([_asking[home]], [], [], 0)[0]:
        return True
    os.close(_asking.pop(home))
    return False


def _is_command() -> bool:
    """Whether this process has no threads, and may have a child."""
    return threading.active_count() == 1 and hasattr(os, "fork")


def _ask(homes: Sequence[str]) -> int:
    """Ask the disks of these homes in order; returns a pipe that gets one byte for each that answered.

    Whatever waits for a hanging disk cannot be killed, and a process with such a thread cannot exit. So a
    command lets a child wait. A process with threads may have runs, which would be blamed for that child.
    """
    answers, write = os.pipe()
    if not _is_command():
        threading.Thread(target=_wait_for, args=(homes, write), daemon=True).start()
        return answers
    if not (child := os.fork()):
        if not os.fork():  # a grandchild, so that this process need not reap it
            os.closerange(0, write)  # else a reader of the command's output would wait for the disk, too
            _wait_for(homes, write)
        os._exit(0)
    os.waitpid(child, 0)
    os.close(write)
    return answers


def _wait_for(homes: Sequence[str], write: int) -> None:
    with suppress(OSError):
        for home in homes:
            with suppress(OSError):
                os.statvfs(home)  # no cache answers this
            os.write(write, b".")
    os.close(write)


def _count(answers: int, most: int) -> int:
    """How many have answered so far, in order; waits for each as long as a disk may take."""
    patience = PATIENCE / 4 if _asking else PATIENCE  # disks that hang usually lie on the same server
    count, until = 0, monotonic() + patience
    while count < most and select.select([answers], [], [], max(0.0, until - monotonic()))[0]:
        count, until = count + len(os.read(answers, most)), monotonic() + patience
        if count < most:
            sleep(TOGETHER)
    return count
