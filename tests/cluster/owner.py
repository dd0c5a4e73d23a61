"""An owner for the tests of the guard: starts runs, one of which hides, and renews until it is frozen."""

import os
import subprocess
import sys
import time

import psutil

from scheduler.cluster.guard import Guard
from scheduler.process.adopted import become_reaper
from scheduler.process.process_info import Running, born
from scheduler.system.clock import elapsed

HIDING = (
    "import os, sys; sys.stdin.readline(); os.fork() and os._exit(0); os.setsid();"
    " os.execve('/bin/sleep', ['sleep', '300'], {})"
)


def main(seconds: float, calls: int, end: str) -> None:
    become_reaper()
    inside = [calls]
    guard = Guard(lambda: inside[0])
    guard.begin()
    guard.renewed(elapsed() + seconds)
    start(guard, "sleep", "300")
    start(guard, sys.executable, "-c", HIDING)
    while sum(child.name() == "sleep" for child in psutil.Process().children()) < 2:
        time.sleep(0.01)
    guard.renewed(elapsed() + seconds)
    print("running", flush=True)
    if end == "close":
        sys.stdin.read()
        guard.close()
        return
    if end == "settle":
        inside[0] = 0
        guard.tell()
    if end:  # its loop stands still, or it is cut off
        time.sleep(60)
    while True:
        time.sleep(seconds / 6)
        if not guard.alive:
            guard.begin()
            print("guarded", flush=True)
        guard.renewed(elapsed() + seconds)


def start(guard: Guard, *argv: str) -> None:
    """As a run begins: it waits until its pid is on record."""
    process = subprocess.Popen(argv, start_new_session=True, stdin=subprocess.PIPE)
    guard.add(Running(process.pid, born(process.pid) or 0.0, 0.0))
    time.sleep(0.3)  # the program in here has no gate; a real one waits for the guard's pipe alone
    assert process.stdin and os.write(process.stdin.fileno(), b"go\n")


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
