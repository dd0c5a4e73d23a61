"""Verbs that two people ask for, on any of the machines, while faults happen to them.

All are about one citizen. What is asked for and answered is judged with what its programs wrote down.
"""

import json
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.cluster.history.histories import Verb, now, read, without_effect
from tests.cluster.history.launcher import MANY
from tests.cluster.machines import Machine

STEERED = "vega"
SETTINGS = f"""
[citizens.{STEERED}.budget]
day = 100
"""
TASKS = {  # by the verb that makes them run: their keys, and the seconds that a run takes
    "asked": ('every = "1000h"\nenabled = false', 0.0),  # by force
    "held": ('every = "1000h"\nenabled = false', 25.0),  # by force, until it is stopped
    "forgot": ('every = "1000h"', 0.0),  # at first, and by each reset
}
OPPOSITE = {"freeze": "thaw", "pause": "resume"}
PATIENCE = 60.0  # seconds
LIFTED = 0.5  # of the verbs while something is held
# Two people, each with the verbs that they ask for, one after the other, and how often.
ACTS = {"force": 3, "stop": 2, "reset": 2, "budget": 1}
HOLDS = {"freeze": 4, "pause": 3, "edit": 1}


class Verbs:
    """Two threads ask for them."""

    def __init__(self, machines: Sequence[Machine], log: Path, edited: Callable[[int], str]) -> None:
        """`edited` gives the citizen's own settings of a version."""
        self.askers, self.homes = machines, list(machines)
        self._log, self._edited = log, edited
        self._asked: list[Verb] = []
        self._callers: list[Caller] = []
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []

    @property
    def asked(self) -> list[Verb]:
        """In the order in which they were asked for."""
        return sorted(self._asked, key=lambda verb: verb.sent)

    def begin(self, seed: int, pause: float) -> None:
        """Ask on, with so many seconds between."""
        for weights in (ACTS, HOLDS):
            thread = threading.Thread(target=self._ask_on, args=(random.Random(seed), pause, weights))
            self._threads.append(thread)
            thread.start()

    def end(self) -> None:
        """Nothing is held any more, and what a last edit and reset lead to has begun, if it ever does."""
        self._stop()
        self._edit()
        for verb in ("thaw", "resume", "reset"):
            until = now() + PATIENCE
            while self.ask(verb).code != 0 and now() < until:
                pass
        until = now() + PATIENCE
        while now() < until and [*without_effect(self.asked, read(self._log))]:
            time.sleep(0.2)

    def close(self) -> None:
        self._stop()
        for caller in self._callers:
            caller.close()

    def ask(self, verb: str, chance: random.Random | None = None, caller: "Caller | None" = None) -> Verb:
        """Ask for it on some machine, and note how that went."""
        chance, caller = chance or random.Random(), caller or self._caller()
        if verb == "stop":
            caller.call(chance.choice(self.askers), "force", "held")
        sent = now()
        code = caller.call(chance.choice(self.askers), *_words(verb))
        left = self._held_since_before(sent) if verb == "stop" and code == 0 else ()
        self._asked.append(Verb(verb, sent, now(), code, left))
        return self._asked[-1]

    def _stop(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _caller(self) -> "Caller":
        self._callers.append(Caller(self.askers[0].launcher))
        return self._callers[-1]

    def _edit(self) -> None:
        """Change the settings of the citizen, in all of its homes."""
        version = 1 + sum(verb.name == "edit" for verb in self._asked)
        for machine in self.homes:
            file = machine.home(STEERED) / "experience.toml"
            draft = file.with_suffix(".draft")
            draft.write_text(self._edited(version))
            draft.rename(file)
        self._asked.append(Verb("edit", now(), now(), 0))

    def _ask_on(self, chance: random.Random, pause: float, weights: Mapping[str, int]) -> None:
        caller, holds = self._caller(), set[str]()
        while not self._over.wait(chance.uniform(0.5, 1.5) * pause):
            kind = chance.choices(list(weights), list(weights.values()))[0]
            if holds and chance.random() < LIFTED:
                self.ask(OPPOSITE[holds.pop()], chance, caller)
            elif kind == "edit":
                self._edit()
            elif kind not in holds:
                self.ask(kind, chance, caller)
                holds |= {kind} & OPPOSITE.keys()

    def _held_since_before(self, sent: float) -> tuple[str, ...]:
        """The programs that had begun before a stop, and run after it."""
        begun = [line.split() for line in self._log.read_text().splitlines() if "/held/" in line]
        before = [words for words in begun if words[0] == "begin" and float(words[5]) < sent]
        return tuple(words[1] for words in before if _runs(int(words[4]), words[1]))


class Caller:
    """Runs command lines one after the other, each as on its machine."""

    def __init__(self, launcher: tuple[str, ...]) -> None:
        command = (sys.executable, *launcher, MANY)
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def call(self, machine: Machine, verb: str, *more: str) -> int | None:
        """The exit code; none if there was no answer."""
        assert self._process.stdin and self._process.stdout
        environment = {"EXPERIENCE_CONFIG": str(machine.config), "MACHINE": machine.name}
        self._process.stdin.write(f"{json.dumps([environment, [verb, STEERED, *more]])}\n".encode())
        self._process.stdin.flush()
        code: int | None = json.loads(self._process.stdout.readline())
        return code

    def close(self) -> None:
        self._process.communicate()


def _words(verb: str) -> tuple[str, ...]:
    more = {
        "force": ("asked", "--again", "--wait"),
        "stop": ("held", "--wait"),
        "freeze": ("--why", "somebody looks"),
        "pause": ("tick",),
        "resume": ("tick",),
        "reset": ("forgot",),
        "budget": ("--add", "1", "--today"),
    }
    return (verb, *more.get(verb, ()))


def _runs(pid: int, slot: str) -> bool:
    """Whether this process is that run, not one with the same number, nor what waits to be collected."""
    try:
        return f"EXPERIENCE_SLOT={slot}\0".encode() in Path(f"/proc/{pid}/environ").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False
