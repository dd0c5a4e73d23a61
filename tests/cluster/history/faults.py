"""Kills, freezes, cuts and crashes of the database over three machines, and what a checker finds.

    python -m tests.cluster.history.faults --seeds 10 --seconds 60
    python -m tests.cluster.history.faults --minutes 60 --seconds 600  # each with its control
    python -m tests.cluster.history.faults --without-epochs        # has to be found guilty

The truth is what the programs of the runs wrote beside the database: when each began and ended, for which
slot and under which epoch. A checker that finds nothing proves nothing, so a variant that ignores epochs and
leases is judged, too: a schedule made for that lets two owners live at once, whatever the machine is like.
"""

import argparse
import heapq
import json
import math
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import psycopg

from tests.cluster.history.histories import (
    Heartbeat,
    Row,
    Span,
    Verdict,
    judge,
    judge_gaps,
    judge_verbs,
    now,
    read,
)
from tests.cluster.history.launcher import WITHOUT_EPOCHS, WITHOUT_NUMBERS
from tests.cluster.history.verbs import SETTINGS as VERB_SETTINGS
from tests.cluster.history.verbs import STEERED, Verbs
from tests.cluster.history.verbs import TASKS as VERB_TASKS
from tests.cluster.machines import Machine
from tests.cluster.postgres import Postgres, postgres

CITIZENS = ("aria", "luna", "mira", "nova", "opus", STEERED)
USUAL = 3.0  # seconds of a lease; a shorter one shortens all else, too
SETTLE = 4.0  # leases at the end without faults: everything has to run again
STARTS = 30.0  # seconds that a process may take until it runs what is due, on a busy machine
PATIENCE = 300.0  # seconds for each step of a control, on a busy machine
AT_ONCE = 2  # machines with a fault: one is left
PROGRAM = """import os, sys, time
log, lasts, version = sys.argv[1:]
machine = os.environ['MACHINE']
slot, epoch = os.environ['EXPERIENCE_SLOT'], os.environ['EXPERIENCE_EPOCH']
def note(what):
    when = time.clock_gettime(time.CLOCK_MONOTONIC)
    line = f'{what} {slot} {epoch} {machine} {os.getpid()} {when:.3f} {version}\\n'
    with open(log, 'ab', buffering=0) as file:
        file.write(line.encode())
note('begin')
while lasts == 'until released' and not os.path.exists(f'{log}-released'):
    time.sleep(0.02)
time.sleep(0 if lasts == 'until released' else float(lasts))
note('end')
"""
VERB_EVERY = 1.0  # seconds between two verbs


class Trial:
    """Three machines, six citizens, three runs in a lease for each, and faults by seeds."""

    lasts: float | None = 0.3  # seconds that a run takes, with the usual lease; None: until it is released
    more = ""  # keys of each task
    warm = 2 * len(CITIZENS)  # lines that are there before the first fault

    def __init__(
        self, server: Postgres, folder: Path, *, failover: float = USUAL, variant: str = "as-it-is"
    ) -> None:
        self._server, self._folder, self._failover = server, folder, failover
        self._log, self._program = folder / "runs", folder / "program.py"
        self._released = folder / "runs-released"
        self._program.write_text(PROGRAM)
        launcher = ("-m", "tests.cluster.history.launcher", variant)
        self.machines = [self._machine(f"m{number}", launcher) for number in (1, 2, 3)]
        self.whole: dict[str, list[Span]] = {machine.name: [] for machine in self.machines}
        self._since: dict[str, float] = {}
        self._mends: list[tuple[float, int, Machine, Callable[[], None]]] = []
        self._number = count()
        self._verdict, self._heart = Verdict(), Heartbeat()
        self.verbs = Verbs(self.machines, self._log, self._edited)

    @property
    def _pace(self) -> float:
        return self._failover / USUAL

    def _machine(self, name: str, launcher: tuple[str, ...]) -> Machine:
        every = f'every = "{self._pace}s"\ntimeout = "30s"'
        tick = self._task(every, None if self.lasts is None else self.lasts * self._pace)
        settings = f'failover = "{self._failover}s"\n{VERB_SETTINGS}' + "".join(
            f"[citizens.{citizen}.tasks.tick]\n{tick}" for citizen in CITIZENS
        )
        for name_of_task, (keys, lasts) in VERB_TASKS.items():
            settings += f"[citizens.{STEERED}.tasks.{name_of_task}]\n{self._task(keys, lasts)}"
        return Machine(name, self._folder / name, self._server.port, settings, launcher)

    def _task(self, keys: str, lasts: float | None, version: int = 0) -> str:
        seconds = "until released" if lasts is None else str(lasts)
        command = [sys.executable, "-S", str(self._program), str(self._log), seconds, str(version)]
        return f"{keys}\ncommand = {json.dumps(command)}\n{self.more}\n"

    def _edited(self, version: int) -> str:
        every = f'every = "{self._pace}s"'
        return f"[tasks.edited]\n{self._task(every, 0.0, version)}"

    def run(self, seeds: range, seconds: float) -> Verdict:
        """One history, `seconds` of faults for each seed; nothing of it is left running."""

        def happens() -> None:
            self.verbs.begin(seeds.start, VERB_EVERY)
            for seed in seeds:
                self._faults(random.Random(seed), seconds)
            self.verbs.end()

        return self._judged(happens)

    def run_two_owners(self) -> Verdict:
        """A history in which an owner is frozen until another machine runs its citizens, and then is not."""
        return self._judged(self._two_owners)

    def run_verbs(self, number: int = 3) -> Verdict:
        """A history without faults, in which a machine that is not the owner's asks for so many runs."""

        def happens() -> None:
            for _ in range(number):
                owner = self._owner(STEERED)
                self.verbs.askers = [each for each in self.machines if each.name != owner]
                self.verbs.ask("force")
            self.verbs.end()

        return self._judged(happens)

    def _judged(self, happens: Callable[[], object]) -> Verdict:
        try:
            self._begin()
            self._since = {machine.name: now() for machine in self.machines}
            with self._heart:
                happens()
                time.sleep(SETTLE * self._failover)
            end = now()
            for machine in self.machines:
                self._is_broken(machine)
        finally:
            self.verbs.close()
            for machine in self.machines:
                machine.close(gently=False)
        return self._judge(end)

    def _judge(self, end: float) -> Verdict:
        with psycopg.connect(self._server.url()) as connection:
            rows = connection.execute(
                "SELECT citizen, task, slot, epoch, outcome FROM experience.runs WHERE task = ANY(%s)",
                (["tick", "edited", *VERB_TASKS],),
            ).fetchall()
            ((lifts,),) = connection.execute(
                "SELECT count(*) FROM experience.spending WHERE line LIKE '%\"lift\"%'"
            ).fetchall()
        runs = read(self._log)
        verdict = judge(runs, [Row(*row) for row in rows])
        most = self._pace + self._failover + 1.0 + STARTS
        ticks = [run for run in runs if run.task == "tick" and run.citizen != STEERED]
        citizens, waited = CITIZENS[:-1], self._heart.waited
        verdict.longest, verdict.late = judge_gaps(ticks, citizens, self.whole, most, end, waited)
        verdict.faults = self._verdict.faults
        steered = [run for run in runs if run.citizen == STEERED]
        begun = Counter(run.task for run in steered)
        stopped = sum(row[1:2] == ("held",) and row[4] == "stopped" for row in rows)
        effects = {
            "force": begun["asked"],
            "reset": max(0, begun["forgot"] - 1),
            "stop": stopped,
            "budget": lifts,
        }
        judge_verbs(verdict, self.verbs.asked, steered, effects, waited)
        verdict.waited = waited(0.0, end)
        if verdict.guilty:
            verdict.said = [
                f"{one.name}: {line}" for one in self.machines for line in one.said().splitlines()
            ]
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
        self._start()
        self._until(lambda: len(self._lines()) >= self.warm)

    def _start(self) -> None:
        first = self.machines[0]
        for machine in self.machines:
            if machine is not first:
                first.share_homes(machine, *CITIZENS)
            machine.start()

    def _until(self, happened: Callable[[], bool]) -> None:
        until = time.monotonic() + PATIENCE
        while not happened():
            assert time.monotonic() < until, [machine.said() for machine in self.machines]
            time.sleep(0.02)

    def _lines(self) -> list[str]:
        return self._log.read_text().splitlines() if self._log.exists() else []

    # -------------------------------------------------------------- faults by chance

    def _faults(self, chance: random.Random, seconds: float) -> None:
        until = now() + seconds
        while now() < until:
            self._mend_until(now() + chance.uniform(0.5, 3.0) * self._pace)
            whole = [machine for machine in self.machines if machine.name in self._since]
            if len(self.machines) - len(whole) < AT_ONCE:
                owner = next((machine for machine in whole if machine.name == self._owner()), None)
                machine = owner if owner and chance.random() < 0.7 else chance.choice(whole)
                self._break(machine, chance)
        self._mend_until(float("inf"))

    def _owner(self, citizen: str = "") -> str:
        """The machine that began the last run: faults elsewhere prove little."""
        return next(line for line in reversed(self._lines()) if f" {citizen}" in line).split()[3]

    def _break(self, machine: Machine, chance: random.Random) -> None:
        fault = chance.choices(("kill", "freeze", "cut", "crash"), (4, 4, 4, 1))[0]
        lasts = chance.choice((0.5, 2.0, 4.0, 6.0)) * self._pace
        self._verdict.faults.append(f"{fault} {machine.name} {lasts:.1f}s at {now():.3f}")
        if fault == "crash":
            self._crash(lasts / 4)
            return
        self._is_broken(machine)
        if fault == "kill":
            machine.kill()
            self._later(lasts / 2, machine, machine.start)
        elif fault == "freeze":
            machine.freeze()
            self._later(lasts, machine, machine.thaw)
        else:
            machine.cut()
            self._later(lasts, machine, machine.mend)

    def _crash(self, lasts: float) -> None:
        whole = [machine for machine in self.machines if machine.name in self._since]
        for machine in whole:
            self._is_broken(machine)
        self._server.crash()
        time.sleep(lasts)
        self._server.start()
        self._since |= {machine.name: now() for machine in whole}

    def _is_broken(self, machine: Machine) -> None:
        if since := self._since.pop(machine.name, None):
            self.whole[machine.name].append(Span(since, now()))

    def _later(self, seconds: float, machine: Machine, mend: Callable[[], None]) -> None:
        heapq.heappush(self._mends, (now() + seconds, next(self._number), machine, mend))

    def _mend_until(self, moment: float) -> None:
        """Wait, and end the faults whose time is over by then; all of them, if that is never."""
        while self._mends and self._mends[0][0] <= moment:
            when, _, machine, mend = heapq.heappop(self._mends)
            time.sleep(max(0.0, when - now()))
            mend()
            if not machine.running:  # a handler ran inside it, so it ended with its leases
                machine.start()
            self._since[machine.name] = now()
        if moment < float("inf"):
            time.sleep(max(0.0, moment - now()))

    # -------------------------------------------------------------- the control

    def _two_owners(self) -> None:
        """Whatever the machine is like: each step waits until the one before has been seen."""
        _, slot, _, name, *_ = self._lines()[-1].split()
        citizen = f"{slot.partition('/')[0]}/"  # others may have other owners
        frozen = next(machine for machine in self.machines if machine.name == name)
        frozen.freeze()
        self._verdict.faults.append(f"freeze {name} until it is followed")
        self._until(lambda: self._owner(citizen) != name)
        before = len(self._lines())
        frozen.thaw()

        def goes_on() -> bool:
            since = [line.split() for line in self._lines()[before:]]
            return sum(words[3] == name and words[1].startswith(citizen) for words in since) >= 4

        self._until(goes_on)


def trial(server: Postgres, seeds: range, seconds: float, *, failover: float = USUAL) -> Verdict:
    """One history on an empty database."""
    with _empty(server) as folder:
        return Trial(server, Path(folder), failover=failover).run(seeds, seconds)


def control(server: Postgres, *, failover: float = USUAL) -> Verdict:
    """A history of the variant that ignores epochs and leases: two owners at once."""
    with _empty(server) as folder:
        return Trial(server, Path(folder), failover=failover, variant=WITHOUT_EPOCHS).run_two_owners()


def control_verbs(server: Postgres, *, failover: float = USUAL) -> Verdict:
    """A history of the variant that obeys a verb each time that it comes; the network brings it twice."""
    with _empty(server) as folder:
        return Trial(server, Path(folder), failover=failover, variant=WITHOUT_NUMBERS).run_verbs()


def _empty(server: Postgres) -> "tempfile.TemporaryDirectory[str]":
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS experience CASCADE")
    return tempfile.TemporaryDirectory(prefix="machines-")


def main() -> int:
    return command_line(__doc__, "without-epochs", trial, control)


def command_line(
    about: str | None, variant: str, tried: Callable[..., Any], control: Callable[..., Any]
) -> int:
    """Try seed after seed, or the control, which has to be guilty each time; an exit code.

    `tried` and `control` find what their histories broke; the flag `variant` asks for the control.
    """
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--failover", type=float, default=USUAL)
    parser.add_argument("--minutes", type=float, default=0.0, help="instead of --seeds; a control after each")
    parser.add_argument(f"--{variant}", dest="variant", action="store_true")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # nothing is left running
    seeds = math.ceil(asked.minutes * 60 / asked.seconds) or asked.seeds
    guilty, faults, runs = 0, Counter[str](), 0
    with postgres() as server:
        for seed in range(asked.first, asked.first + seeds):
            if asked.variant:
                found = control(server, failover=asked.failover)
            else:
                found = tried(server, range(seed, seed + 1), asked.seconds, failover=asked.failover)
            print(f"seed {seed}: {found.counts()}", flush=True)
            for line in found.guilty[:20]:
                print(f"    {line}")
            guilty += bool(found.guilty)
            faults += Counter(fault.partition(" ")[0] for fault in found.faults)
            runs += found.runs
            if asked.minutes and found.guilty:
                print(*found.faults, *found.said, sep="\n")
                break
            if asked.minutes:
                caught = control(server, failover=asked.failover).guilty
                print(f"    its control: {len(caught)} found", flush=True)
                guilty += not caught
    print(f"{runs} runs, faults: {dict(faults)}; {guilty} of {seeds} found guilty")
    return int(guilty != (seeds if asked.variant else 0))


if __name__ == "__main__":
    sys.exit(main())
