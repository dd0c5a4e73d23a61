"""Kills a busy headless loop at random points; checks after each: `python -m tests.crash.soak --points 1000`.

Each home has a line of owners, forked one after another and each killed; the tasks themselves log when they
start and end, so that nothing depends on what the scheduler believes.
"""

import argparse
import contextlib
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

# Everything an owner imports, before the first fork: a life then begins in a few milliseconds.
import filelock  # noqa: F401

import scheduler.executors.executor
import scheduler.executors.isolated  # noqa: F401
from scheduler.core.ports import FleetOptions
from scheduler.runtime.headless import run_headless
from tests.crash.loops import STATE, Place, command, gone

LONGEST_LIFE = 0.9  # seconds
SECONDS = {"brief": "0", "short": "0.1", "long": "0.6", "longer": "1.2"}


class Wrong(Exception):
    """A rule did not hold."""


class Line:
    """One home and its line of owners."""

    def __init__(self, root: Path, seed: int) -> None:
        self.place = Place(root)
        self.dice = random.Random(seed)
        self.seen: Counter[str] = Counter()
        self.counts: dict[str, int] = {}
        self.lives = 0
        tables = [logging_command(name, seconds) for name, seconds in SECONDS.items()]
        self.place.tasks(*tables, more='workers = 8\n[wake]\nevery = "1h"\n')

    def point(self) -> None:
        """One life, its death, and what must hold after it."""
        opened = self.open_runs()
        pid = self.fork()
        try:
            self.wait(self.dice.uniform(0, LONGEST_LIFE))
        finally:
            os.kill(pid, signal.SIGKILL)
            _, status = os.waitpid(pid, 0)
        if status != signal.SIGKILL:
            raise Wrong(f"the loop ended by itself: {status}; {self.place.log.read_text()[-800:]}")
        self.lives += 1
        self.check(opened)

    def fork(self) -> int:
        """A new owner: its pid."""
        if pid := os.fork():
            return pid
        log = os.open(self.place.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.setsid()
        os._exit(run_headless(FleetOptions(self.place.config, ("opus",), wakes=False), log_json=True))

    def wait(self, seconds: float) -> None:
        time.sleep(seconds)

    def open_runs(self) -> dict[str, dict[str, Any]]:
        tasks = self.place.states()["tasks"]
        return {name: entry["running"] for name, entry in tasks.items() if entry["running"]}

    def check(self, opened: dict[str, dict[str, Any]]) -> None:
        states = self.place.states()  # it parses, or this raises
        if aside := list(self.place.home.glob(f"{STATE}.corrupt-*")):
            raise Wrong(f"set aside: {aside}")
        for name, count in states["run_counts"].items():
            if count < self.counts.get(name, 0):
                raise Wrong(f"{name}: {self.counts[name]} runs became {count}")
        self.closed(opened, states)
        self.counts = states["run_counts"]
        self.not_doubled(states)

    def closed(self, opened: dict[str, dict[str, Any]], states: dict[str, Any]) -> None:
        """A run that the last owner left open is counted, unless this one died before it could do so."""
        for name, running in opened.items():
            if states["tasks"][name]["running"] == running:
                self.seen["died before it had recovered"] += 1
                continue
            if states["run_counts"][name] <= self.counts.get(name, 0):
                raise Wrong(f"{name}: the run since {running['since']} was never counted")
            self.seen["closed as interrupted"] += 1

    def not_doubled(self, states: dict[str, Any]) -> None:
        for name in SECONDS:
            starts, unfinished = 0, None
            for verb, pid in self.place.lines(f"runs-{name}.log"):
                if verb == "start":
                    starts += 1
                    if unfinished is not None:
                        raise Wrong(f"{name}: pid {pid} was started while {unfinished} had not ended")
                unfinished = pid if verb == "start" else None
            self.as_many(name, starts, states)
            if unfinished and not gone(int(unfinished)):
                self.seen["orphans alive"] += 1

    def as_many(self, name: str, starts: int, states: dict[str, Any]) -> None:
        """Each start is in the file before it happens; and only a kill can record one that never was."""
        entry = states["tasks"].get(name, {})
        known = states["run_counts"].get(name, 0) + bool(entry.get("running"))
        if not starts <= known <= starts + self.lives:
            raise Wrong(f"{name}: {starts} runs, {known} of them recorded")

    def finish(self) -> None:
        """A last owner, ended properly: nothing is left open, everything is counted."""
        pid = self.fork()
        self.wait(LONGEST_LIFE)
        os.kill(pid, signal.SIGTERM)
        _, status = os.waitpid(pid, 0)
        if status:
            raise Wrong(f"the last owner ended with {status}")
        states = self.place.states()
        self.check({})
        if left := [name for name, entry in states["tasks"].items() if entry["running"]]:
            raise Wrong(f"still open: {left}")
        self.seen["runs"] = sum(states["run_counts"].values())
        self.seen["runs said to be interrupted"] = self.place.log.read_text().count('"interrupted"')


def logging_command(name: str, seconds: str) -> str:
    """A busy task that writes, each in one write, when it starts and when it ends."""
    log = f"runs-{name}.log"
    script = f"echo start $$ >> {log}; sleep {seconds}; echo end $$ >> {log}"
    return command(name, script, every="0.1s")


def soak(folder: str, points: int, seed: int) -> Counter[str]:
    """So many lives in one home; what was seen. Raises Wrong, with the home to look at."""
    line = Line(Path(folder), seed)
    try:
        for _ in range(points):
            line.point()
        line.finish()
    except (Wrong, ValueError, KeyError) as error:
        raise Wrong(f"{folder} (seed {seed}, life {line.lives}): {error!r}") from error
    return line.seen + Counter(points=points)


def main() -> int:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--points", type=int, default=1000)
    words.add_argument("--homes", type=int, default=8)
    words.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    given = words.parse_args()
    began = time.monotonic()
    with contextlib.ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="experience-soak-")))
        pool = stack.enter_context(multiprocessing.get_context("fork").Pool(given.homes))
        work = [
            (str(root / f"line{n}"), -(-given.points // given.homes), given.seed + n)
            for n in range(given.homes)
        ]
        for folder, _, _ in work:
            Path(folder).mkdir()
        seen = sum(pool.starmap(soak, work, chunksize=1), Counter())
    words_seen = ", ".join(f"{count} {what}" for what, count in seen.items())
    print(f"all well in {time.monotonic() - began:.0f}s, seed {given.seed}: {words_seen}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
