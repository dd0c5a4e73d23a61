"""The same faults with workers: three machines decide, two others carry the runs, and any of the five breaks.

python -m tests.cluster.history.worker_faults --seeds 10 --seconds 60
python -m tests.cluster.history.worker_faults --without-leases        # has to be found guilty
"""

import random
import sys
from pathlib import Path

from scheduler.process.process_info import stat
from tests.cluster.history.faults import AT_ONCE, CITIZENS, STARTS, USUAL, Trial, _empty, command_line
from tests.cluster.history.histories import Verdict, judge_gaps, now, read
from tests.cluster.history.launcher import WITHOUT_LEASES
from tests.cluster.history.verbs import STEERED
from tests.cluster.postgres import Postgres

WORK = ("worker", "--queue", "gpu", "--concurrency", "16")


class WorkerTrial(Trial):
    """Machines that own citizens, and two workers that carry all of their runs."""

    more = 'queue = "gpu"'

    def __init__(
        self, server: Postgres, folder: Path, *, failover: float = USUAL, leases: bool = True
    ) -> None:
        if not leases:
            self.lasts, self.warm = None, 1
        self._frozen: dict[str, str] = {}  # by task, the slots of the runs of a frozen worker
        super().__init__(server, folder, failover=failover)
        launcher = ("-m", "tests.cluster.history.launcher", "as-it-is" if leases else WITHOUT_LEASES)
        self.workers = [self._machine(f"g{number}", launcher) for number in (1, 2)]
        for worker in self.workers:
            worker.arguments = WORK
        self.verbs.homes += self.workers
        self.whole |= {worker.name: [] for worker in self.workers}

    def run_a_zombie(self) -> Verdict:
        """A history in which a worker is frozen until another one carries what it had begun."""
        return self._judged(self._zombie)

    def _start(self) -> None:
        for worker in self.workers:
            worker.prepare()
            for citizen in CITIZENS:
                worker.home(citizen).mkdir(exist_ok=True)
            worker.start()
        super()._start()

    def _judged(self, happens: object) -> Verdict:
        try:
            return super()._judged(happens)  # type: ignore[arg-type]
        finally:
            for worker in self.workers:
                worker.close(gently=False)

    def _judge(self, end: float) -> Verdict:
        """A run that was on a dead worker is missed for a lease more; one of the two workers is whole."""
        verdict = super()._judge(end)
        ticks = [run for run in read(self._log) if run.task == "tick" and run.citizen != STEERED]
        owners = {name: spans for name, spans in self.whole.items() if name.startswith("m")}
        most = self._pace + 3 * self._failover + 3.0 + STARTS
        citizens, waited = CITIZENS[:-1], self._heart.waited
        verdict.longest, verdict.late = judge_gaps(ticks, citizens, owners, most, end, waited)
        return verdict

    def _faults(self, chance: random.Random, seconds: float) -> None:
        self._since |= {worker.name: now() for worker in self.workers if worker.running}
        until = now() + seconds
        while now() < until:
            self._mend_until(now() + chance.uniform(0.5, 3.0) * self._pace)
            group, most = (self.workers, 1) if chance.random() < 0.6 else (self.machines, AT_ONCE)
            whole = [machine for machine in group if machine.name in self._since]
            if len(group) - len(whole) < most:
                self._break(chance.choice(whole), chance)
        self._mend_until(float("inf"))

    def _zombie(self) -> None:
        """Whatever the machine is like: each step waits until the one before has been seen."""
        self._until(self._freeze_one_at_work)
        before = len(self._lines())

        def given_away() -> bool:
            since = [line.split() for line in self._lines()[before:]]
            return any(_task(words) in self._frozen for words in since if words[0] == "begin")

        self._until(given_away)
        self._released.touch()
        self._until(lambda: all(f"end {slot} " in self._log.read_text() for slot in self._frozen.values()))

    def _freeze_one_at_work(self) -> bool:
        """Freeze a worker with runs, which nothing ends from then on; return False if it has none."""
        name = self._owner()
        worker = next(worker for worker in self.workers if worker.name == name)
        worker.freeze()
        begun = [line.split() for line in self._lines() if line.split()[3] == name]
        self._frozen = {_task(words): words[1] for words in begun if _goes_on(int(words[4]))}
        if not self._frozen:
            worker.thaw()
            return False
        self._verdict.faults.append(f"freeze {name} until its runs are another's")
        return True


def _task(words: list[str]) -> str:
    return words[1].rpartition("/")[0]


def _goes_on(pid: int) -> bool:
    found = stat(pid)
    return found is not None and found.state not in "ZX"


def trial(server: Postgres, seeds: range, seconds: float, *, failover: float = USUAL) -> Verdict:
    """One history on an empty database."""
    with _empty(server) as folder:
        return WorkerTrial(server, Path(folder), failover=failover).run(seeds, seconds)


def control(server: Postgres, *, failover: float = USUAL) -> Verdict:
    """A history with workers that go on when their leases have ended."""
    with _empty(server) as folder:
        return WorkerTrial(server, Path(folder), failover=failover, leases=False).run_a_zombie()


def main() -> int:
    return command_line(__doc__, "without-leases", trial, control)


if __name__ == "__main__":
    sys.exit(main())
