"""A minute of kills, freezes, cuts and crashes of the database over three machines, and what a checker finds.

    python -m tests.cluster.faults --seeds 10 --seconds 60
    python -m tests.cluster.faults --without-epochs        # has to be found guilty

The truth is what the programs of the runs wrote beside the database: when each began and ended, for which
slot and under which epoch. A checker that finds nothing proves nothing, so a variant that ignores epochs and
leases is judged, too.
"""

import argparse
import random
import signal
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from tests.cluster.machines import Machine
from tests.cluster.postgres import Postgres, postgres

CITIZENS = ("aria", "luna", "mira", "nova", "opus", "vega")
FAILOVER = 3.0
EVERY = 1.0
SETTLE = 12.0  # seconds at the end without faults: everything has to run again
PROGRAM = """import os, sys, time
log, machine = sys.argv[1:]
slot, epoch = os.environ['EXPERIENCE_SLOT'], os.environ['EXPERIENCE_EPOCH']
def note(what):
    line = f'{what} {slot} {epoch} {machine} {os.getpid()} {time.clock_gettime(time.CLOCK_MONOTONIC):.3f}\\n'
    with open(log, 'ab', buffering=0) as file:
        file.write(line.encode())
note('begin')
time.sleep(0.3)
note('end')
"""
TASK = """
[citizens.{citizen}.tasks.tick]
every = "{every}s"
timeout = "30s"
command = ["{python}", "-S", "{program}", "{log}", "{machine}"]
"""


@dataclass(frozen=True, slots=True)
class Run:
    """What one program saw; `ended` is infinite if it was killed before it could write."""

    slot: str
    epoch: int
    machine: str
    began: float
    ended: float


@dataclass(slots=True)
class Verdict:
    runs: int = 0
    takeovers: int = 0
    faults: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)  # slots that began twice
    overlaps: list[str] = field(default_factory=list)
    older: list[str] = field(default_factory=list)  # runs under an epoch after a newer one had begun
    lost: list[str] = field(default_factory=list)  # runs that are in no row
    silent: list[str] = field(default_factory=list)  # citizens that do not run after all faults are over

    @property
    def guilty(self) -> list[str]:
        return [*self.twice, *self.overlaps, *self.older, *self.lost, *self.silent]


def read(log: Path) -> list[Run]:
    """The runs that programs wrote down, by when they began."""
    begun: dict[tuple[str, str, str], tuple[str, int, str, float]] = {}
    ended: dict[tuple[str, str, str], float] = {}
    for line in log.read_text().splitlines():
        what, slot, epoch, machine, pid, when = line.split()
        key = (slot, pid, machine)
        if what == "begin":
            begun[key] = (slot, int(epoch), machine, float(when))
        else:
            ended[key] = float(when)
    runs = [Run(*known, ended.get(key, float("nan"))) for key, known in begun.items()]
    return sorted(runs, key=lambda run: run.began)


def judge(runs: Iterable[Run], rows: Iterable[tuple[str, str, int]], until: float) -> Verdict:
    """What is wrong; `rows` are the citizen, slot and epoch of the runs on record."""
    verdict = Verdict()
    recorded = {(f"{citizen}/tick/{slot}", epoch) for citizen, slot, epoch in rows}
    of_citizen: dict[str, list[Run]] = defaultdict(list)
    for run in runs:
        verdict.runs += 1
        of_citizen[run.slot.partition("/")[0]].append(run)
        if (run.slot, run.epoch) not in recorded:
            verdict.lost.append(f"{run.slot} of epoch {run.epoch} ran on {run.machine} and is in no row")
    for citizen in CITIZENS:
        seen: dict[str, Run] = {}
        newest = before = None
        for run in of_citizen[citizen]:
            if run.slot in seen:
                verdict.twice.append(f"{run.slot} began on {seen[run.slot].machine} and on {run.machine}")
            seen[run.slot] = run
            if newest is not None and run.epoch < newest:
                verdict.older.append(f"{run.slot} began under epoch {run.epoch} after {newest}")
            if before and before.ended > run.began:
                verdict.overlaps.append(f"{run.slot} began while {before.slot} ran")
            verdict.takeovers += newest is not None and run.epoch > newest
            newest, before = max(newest or 0, run.epoch), run
        last = of_citizen[citizen][-1].began if of_citizen[citizen] else 0.0
        if last < until - SETTLE / 2:
            verdict.silent.append(f"{citizen} last ran {until - last:.1f}s before the end")
    return verdict


class Trial:
    """Three machines, six citizens, a run a second for each, and faults by a seed."""

    def __init__(self, server: Postgres, folder: Path, *, epochs: bool = True) -> None:
        self._server, self._folder = server, folder
        self._log = folder / "runs"
        self._program = folder / "program.py"
        self._program.write_text(PROGRAM)
        launcher = ("-P", "-m", "tui") if epochs else ("-m", "tests.cluster.without_epochs")
        self.machines = [self._machine(f"m{number}", launcher) for number in (1, 2, 3)]

    def _machine(self, name: str, launcher: tuple[str, ...]) -> Machine:
        settings = f'failover = "{FAILOVER:.0f}s"\n' + "".join(
            TASK.format(
                citizen=citizen,
                every=EVERY,
                python=sys.executable,
                program=self._program,
                log=self._log,
                machine=name,
            )
            for citizen in CITIZENS
        )
        return Machine(name, self._folder / name, self._server.port, settings, launcher)

    def run(self, seed: int, seconds: float) -> Verdict:
        """One history; nothing of it is left running."""
        try:
            self._begin()
            faults = self._faults(random.Random(seed), seconds)
            time.sleep(SETTLE)
            until = time.clock_gettime(time.CLOCK_MONOTONIC)
        finally:
            for machine in self.machines:
                machine.close()
        with psycopg.connect(self._server.url()) as connection:
            rows = connection.execute(
                "SELECT citizen, slot, epoch FROM experience.runs WHERE task = 'tick'"
            ).fetchall()
        verdict = judge(read(self._log), rows, until)
        verdict.faults = faults
        return verdict

    def _begin(self) -> None:
        for machine in self.machines:
            machine.prepare()
            for citizen in CITIZENS:
                machine.home(citizen).mkdir(exist_ok=True)
        first = self.machines[0]
        for command in (("engine", "setup"), ("engine", "join", *CITIZENS)):
            answer = first.run(*command)
            assert answer.returncode == 0, answer.stderr
        for machine in self.machines:
            if machine is not first:
                first.share_homes(machine, *CITIZENS)
            machine.start()
        until = time.monotonic() + 30
        while not self._log.exists() or len(self._log.read_text().splitlines()) < 2 * len(CITIZENS):
            assert time.monotonic() < until, first.said()
            time.sleep(0.1)

    def _owner(self) -> Machine:
        """The machine that began the last run: faults elsewhere prove little."""
        name = self._log.read_text().splitlines()[-1].split()[3]
        return next(machine for machine in self.machines if machine.name == name)

    def _faults(self, chance: random.Random, seconds: float) -> list[str]:
        done, until = [], time.monotonic() + seconds
        while time.monotonic() < until:
            time.sleep(chance.uniform(0.5, 3.0))
            machine = self._owner() if chance.random() < 0.7 else chance.choice(self.machines)
            fault = chance.choices(("kill", "freeze", "cut", "crash"), (4, 4, 4, 1))[0]
            lasts = chance.choice((0.5, 2.0, 4.0, 6.0))
            done.append(f"{fault} {machine.name} {lasts}s")
            if fault == "kill":
                machine.kill()
                time.sleep(lasts / 2)
                machine.start()
            elif fault == "freeze":
                machine.freeze()
                time.sleep(lasts)
                machine.thaw()
            elif fault == "cut":
                machine.cut()
                time.sleep(lasts)
                machine.mend()
            else:
                self._server.crash()
                time.sleep(lasts / 4)
                self._server.start()
        return done


def trial(server: Postgres, seed: int, seconds: float, *, epochs: bool = True) -> Verdict:
    """One history on an empty database."""
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS experience CASCADE")
    with tempfile.TemporaryDirectory(prefix="machines-") as folder:
        return Trial(server, Path(folder), epochs=epochs).run(seed, seconds)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--without-epochs", action="store_true")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # nothing is left running
    guilty = 0
    with postgres() as server:
        for seed in range(asked.first, asked.first + asked.seeds):
            found = trial(server, seed, asked.seconds, epochs=not asked.without_epochs)
            counts = (
                len(each) for each in (found.twice, found.overlaps, found.older, found.lost, found.silent)
            )
            words = ("twice", "overlaps", "old epochs", "lost", "silent")
            said = ", ".join(f"{count} {word}" for count, word in zip(counts, words, strict=True))
            happened = f"{found.runs} runs, {found.takeovers} take-overs, {len(found.faults)} faults"
            print(f"seed {seed}: {happened}: {said}", flush=True)
            print(f"    {', '.join(found.faults)}")
            for line in found.guilty[:5]:
                print(f"    {line}")
            guilty += bool(found.guilty)
    print(f"{guilty} of {asked.seeds} found guilty")
    return int(guilty != (asked.seeds if asked.without_epochs else 0))


if __name__ == "__main__":
    sys.exit(main())
