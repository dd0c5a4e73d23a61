"""Kills a busy headless loop at random points; checks after each: `python -m tests.crash.soak --points 1000`.

`--steady 1440 --speed 60` lets one loop run instead, for root as the first process of a container, through 24
hours of a clock that is 60 times as fast: a hundred citizens whose commands leave something behind each real
second. Prints its descriptors, threads, zombies and memory, which grows until each citizen has 200 results
and the executor remembers 1,000 runs.

Each home has a line of owners, forked one after another and each killed; the tasks themselves log when they
start and end, so that nothing depends on what the scheduler believes. In half of the homes the citizen is
woken all the time, and while its owners live they are asked for runs and wakes.
"""

import argparse
import asyncio
import contextlib
import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any
from unittest.mock import patch

# Everything an owner imports, before the first fork: a life then begins in a few milliseconds.
import filelock  # noqa: F401
import psutil

import scheduler.executors.executor
import scheduler.executors.isolated  # noqa: F401
from scheduler.config.loader import load
from scheduler.control.fleet import Fleet
from scheduler.core.ports import FleetOptions
from scheduler.runtime import headless
from scheduler.runtime.headless import run_headless
from scheduler.storage.wake_note import read_note
from tests.crash.asking import FORCED, Answers, ask_for
from tests.crash.loops import STATE, Place, command, gone
from tui.demo.fleet import FastClock

LONGEST_LIFE = 0.9  # seconds
SECONDS = {"brief": "0", "short": "0.1", "long": "0.6", "longer": "1.2"}


class Wrong(Exception):
    """A rule did not hold."""


class Line:
    """One home and its line of owners."""

    wakes, longest = False, LONGEST_LIFE

    def __init__(self, root: Path, seed: int) -> None:
        self.place = Place(root)
        self.dice = random.Random(seed)
        self.seen: Counter[str] = Counter()
        self.counts: dict[str, int] = {}
        self.lives = 0
        load(config=self.place.config)  # what this imports, each owner would import again: seconds under load
        tables = [logging_command(name, seconds) for name, seconds in SECONDS.items()]
        self.place.tasks(*tables, more='workers = 8\n[wake]\nevery = "1h"\n')

    def point(self) -> None:
        """One life, its death, and what must hold after it."""
        opened = self.open_runs()
        pid = self.fork()
        try:
            self.wait(self.dice.uniform(0, self.longest))
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
        options = FleetOptions(self.place.config, ("opus",), wakes=self.wakes)
        os._exit(run_headless(options, log_json=True))

    def wait(self, seconds: float) -> None:
        time.sleep(seconds)

    def open_runs(self) -> dict[str, dict[str, Any]]:
        tasks = self.place.states()["tasks"]
        return {name: entry for name, entry in tasks.items() if entry["running"]}

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
        """A run that the last owner left open is counted, unless this one died before it could do so.

        One that had no process yet is wanted again, or has begun.
        """
        for name, left in opened.items():
            entry, since = states["tasks"][name], left["running"]["since"]
            counted = states["run_counts"].get(name, 0) > self.counts.get(name, 0)
            if entry["running"] == left["running"]:
                self.seen["died before it had recovered"] += 1
            elif left.get("starting"):
                if not (counted or entry["due_now"] or entry["running"]):
                    raise Wrong(f"{name}: the run of {since} never began, and is not wanted any more")
                self.seen["never began, and wanted again"] += 1
            elif not counted:
                raise Wrong(f"{name}: the run since {since} was never counted")
            else:
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
        self.wait(self.longest)
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


AGENT = (
    "echo start $EXPERIENCE_WAKE $(date +%s.%N) >> wakes.log; { cat; echo; } >> letters.log;"
    " sleep 0.2; echo end $EXPERIENCE_WAKE $(date +%s.%N) >> wakes.log"
)
WAKE = f'[wake]\nevery = "1s"\npatience = "0.2s"\ncommand = {json.dumps(["sh", "-c", AGENT])}\n'
ASKED = command(FORCED, f"echo start $(date +%s.%N) >> runs-{FORCED}.log; sleep 0.1", enabled=False)


class AskedLine(Line):
    """A line of owners that are asked for runs and wakes, and wake the citizen."""

    wakes, longest = True, 3 * LONGEST_LIFE

    def __init__(self, root: Path, seed: int) -> None:
        super().__init__(root, seed)
        self.answers = Answers()
        self.force = self.wake = 0.0  # when the last question was asked that is not settled
        tables = [logging_command(name, seconds) for name, seconds in SECONDS.items()]
        self.place.tasks(*tables, ASKED, more=f"workers = 8\n{WAKE}")

    def wait(self, seconds: float) -> None:
        asyncio.run(ask_for(self.place, seconds, self.dice, self.answers))

    def check(self, opened: dict[str, dict[str, Any]]) -> None:
        super().check(opened)
        self.force = max([self.force, *self.answers.forces])
        self.wake = max([self.wake, *self.answers.wakes])
        self.seen["forces answered"] += len(self.answers.forces)
        self.seen["wakes answered"] += len(self.answers.wakes)
        self.answers = Answers()
        self.one_agent()
        self.told_once()
        self.force_kept()
        self.wake_kept()

    def one_agent(self) -> None:
        """An agent starts when the one before it has ended, and has a number of its own."""
        number, awake = 0, False
        for verb, name, _ in self.place.lines("wakes.log"):
            if verb == "start" and (awake or int(name) <= number):
                raise Wrong(
                    f"wake {name} was started after {number}, which was {'awake' if awake else 'over'}"
                )
            number, awake = int(name), verb == "start"
        self.seen["agents awake at a kill"] += awake

    def told_once(self) -> None:
        given: set[tuple[str, str]] = set()
        for line in self.letters():
            for result in line["results"]:
                each = (result["task"], result["time"])
                if each in given:
                    raise Wrong(f"delivered twice: {each}")
                given.add(each)

    def letters(self) -> list[dict[str, Any]]:
        """Those that were written whole: an agent whose owner is killed may get half of one."""
        with contextlib.suppress(FileNotFoundError):
            lines = (self.place.home / "letters.log").read_text().splitlines()
            return [json.loads(line) for line in lines if line.endswith("}")]
        return []

    def force_kept(self) -> None:
        """A force that was answered began, or is still wanted; or it was killed just as it began."""
        starts = [float(line[1]) for line in self.place.lines(f"runs-{FORCED}.log") if len(line) == 2]
        entry = self.place.entry(FORCED)
        if self.force and max(starts, default=0.0) < self.force:
            if entry["due_now"] or entry["running"]:
                return
            if entry.get("outcome") != "interrupted":
                raise Wrong(f"the force of {self.force} is lost: {entry}")
            self.seen["forces killed as they began"] += 1
        self.force = 0.0

    def wake_kept(self) -> None:
        """A wake that was answered began, went on, or is still wanted; or it was killed just as it began."""
        lines, note = (
            [line for line in self.place.lines("wakes.log") if len(line) == 3],
            read_note(self.place.home),
        )
        # It may have joined an agent that was just about to end.
        latest = max((float(at) + (1.0 if verb == "end" else 0.0) for verb, _, at in lines), default=0.0)
        if self.wake and latest < self.wake:
            if note.wanted or note.number:
                return
            if self.last_wake() != "interrupted":
                raise Wrong(f"the wake of {self.wake} is lost: {note}")
            self.seen["wakes killed as they began"] += 1
        self.wake = 0.0

    def last_wake(self) -> str:
        with contextlib.suppress(FileNotFoundError, IndexError):
            return str(json.loads((self.place.home / "wake_log.json").read_text())["wakes"][-1]["outcome"])
        return ""

    def finish(self) -> None:
        """The last owner is asked, too, and then has time for what it was asked for."""
        super().finish()
        if (
            self.force and not self.place.entry(FORCED)["due_now"]
        ):  # what an orderly end interrupts is due again
            raise Wrong(f"the force of {self.force} never began")
        self.seen["agents"] = sum(line[0] == "start" for line in self.place.lines("wakes.log"))
        self.seen["results delivered"] = sum(len(letter["results"]) for letter in self.letters())


def logging_command(name: str, seconds: str) -> str:
    """A busy task that writes, each in one write, when it starts and when it ends."""
    log = f"runs-{name}.log"
    script = f"echo start $$ >> {log}; sleep {seconds}; echo end $$ >> {log}"
    return command(name, script, every="0.1s")


def soak(folder: str, points: int, seed: int) -> Counter[str]:
    """So many lives in one home; what was seen. Raises Wrong, with the home to look at."""
    line = (Line, AskedLine)[seed % 2](Path(folder), seed)
    try:
        for _ in range(points):
            line.point()
        line.finish()
    except (Wrong, ValueError, KeyError) as error:
        raise Wrong(f"{folder} (seed {seed}, life {line.lives}): {error!r}") from error
    return line.seen + Counter(points=points)


# What commands leave behind: in the background, in sessions of their own, forked twice.
ORPHANS = "(sleep 0.2 &); (sh -c 'sleep 0.1 & exec true' &); (setsid sleep 0.1 &); exit 0"
REAPED = 2.0  # seconds after which a zombie is one that stays
ALONE = ("unshare", "-pf", "--kill-child", "--mount-proc") if os.geteuid() == 0 else ("env",)


def steady(root: Path, seconds: float, citizens: int, speed: float) -> None:
    """Samples of one loop with many citizens, one line each."""
    places = [Place(root, f"citizen{number}") for number in range(citizens)]
    for place in places:
        place.tasks(command("orphans", ORPHANS, every=f"{speed:g}s"))
    environment = {**os.environ, "EXPERIENCE_CONFIG": str(place.config), "HOME": str(root)}
    argv = [*ALONE, sys.executable, "-m", "tests.crash.soak", "--own", "--speed", str(speed)]
    with place.log.open("ab") as log:
        outer = subprocess.Popen(argv, env=environment, stdout=log, stderr=log)
    try:
        for _ in range(10):
            time.sleep(seconds / 10)
            print(sample(outer), sum(place.count("orphans") for place in places), "runs", flush=True)
    finally:
        outer.kill()
        outer.wait()


def own(speed: float) -> int:
    """The loop of `--no-ui`, on a clock that is so many times as fast."""

    def fleet(*given: Any) -> Fleet:
        made = Fleet(*given)
        made.clock = FastClock(speed)
        return made

    options = FleetOptions(Path(os.environ["EXPERIENCE_CONFIG"]), own_as_root=os.geteuid() == 0)
    with patch.object(headless, "Fleet", fleet):
        return run_headless(options)


def sample(outer: "subprocess.Popen[bytes]") -> str:
    loop = psutil.Process(outer.pid)
    loop = next(iter(loop.children()), loop) if ALONE[0] == "unshare" else loop
    before = zombies(loop)
    time.sleep(REAPED)
    stay, memory = len(before & zombies(loop)), loop.memory_info().rss / 2**20
    return f"{loop.num_fds()} descriptors, {loop.num_threads()} threads, {memory:.1f} MB, {stay} zombies,"


def zombies(loop: psutil.Process) -> set[int]:
    """The children that have ended and are not reaped: where many end each second there are always some."""
    found = set()
    for child in loop.children():
        with contextlib.suppress(psutil.NoSuchProcess):  # gone meanwhile
            if child.status() == psutil.STATUS_ZOMBIE:
                found.add(child.pid)
    return found


def main() -> int:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--points", type=int, default=1000)
    words.add_argument("--homes", type=int, default=8)
    words.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    words.add_argument("--steady", type=float, default=0.0, help="seconds")
    words.add_argument("--citizens", type=int, default=100)
    words.add_argument("--speed", type=float, default=1.0, help="of the clock of --steady")
    words.add_argument("--own", action="store_true", help=argparse.SUPPRESS)
    given = words.parse_args()
    if given.own:
        return own(given.speed)
    if given.steady:
        with tempfile.TemporaryDirectory(prefix="experience-soak-") as folder:
            steady(Path(folder), given.steady, given.citizens, given.speed)
        return 0
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
