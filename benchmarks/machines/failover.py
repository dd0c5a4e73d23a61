"""Failover: from the death of an owner to the first run under the next one, here and on another machine.

Also how long before its lease ends a frozen owner's run is gone, and how soon a freeze of all is in force on
another machine. Machines are processes with a root of their own, beside one PostgreSQL.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import psycopg

from benchmarks.table import Bar, Row
from scheduler.cluster.database import Database
from scheduler.cluster.shared_files import ROOT, Notes
from scheduler.core.schedules.freeze import Freeze
from scheduler.process.process_info import stat
from scheduler.storage.freeze_file import NAME, FreezeFile
from scheduler.system.root_folder import root_folder
from tests.cluster.machines import Machine
from tests.cluster.postgres import Postgres, postgres

LEASE, LONG = 6.0, 30.0  # seconds, for those who have to wait for its end, and for those who must not
BEAT = 0.1  # seconds between two runs
TASKS = f"""
[citizens.mira]
machines = ["m2"]
[citizens.opus.tasks.tick]
every = "{BEAT}s"
command = ["true"]
[citizens.mira.tasks.tick]
every = "{BEAT}s"
command = ["true"]
[citizens.opus.tasks.long]
every = "1s"
timeout = "10m"
command = ["sleep", "600"]
"""
LONG_RUN = """
SELECT s.state->'running'->>'pid' FROM experience.states s JOIN experience.owners o USING (citizen, epoch)
WHERE citizen = 'opus' AND task = 'long' AND NOT coalesce((state->>'starting')::boolean, false)
"""


def failover(quick: bool) -> Iterator[Row]:
    """Each several times; what it takes to die and to live again is in it, and the tenth between two runs."""
    times = 3 if quick else 6
    with _place(LONG) as place:
        yield _row("failover on the same machine, restarted at once", _restarts(place, times), 2.0)
        yield _row("failover on the same machine, another process stands by", _standbys(place, times), 2.0)
    with _place(LEASE) as place:
        yield _elsewhere(place, times)
    with _place(LEASE) as place:
        yield _frozen(place, times)
        yield _row("a freeze of all, until nothing starts on another machine", _freezes(place, times), 1.0)


class _Place:
    """Machines that share opus and mira, and what their database knows."""

    def __init__(self, server: Postgres, folder: Path, lease: float) -> None:
        settings = f'failover = "{lease:.0f}s"\n{TASKS}'
        self.url = server.url()
        self.machines = [Machine(name, folder / name, server.port, settings) for name in ("m1", "m2")]
        self._database = psycopg.connect(self.url, autocommit=True)

    def begin(self) -> None:
        first, second = self.machines
        for machine in self.machines:
            machine.prepare()
            for citizen in ("mira", "opus"):
                machine.home(citizen).mkdir()
        for command in (("engine", "setup"), ("engine", "join", "opus", "mira")):
            answer = first.run(*command)
            assert answer.returncode == 0, answer.stderr
        first.share_homes(second, "opus", "mira")
        first.start()
        self.until("SELECT 1 FROM experience.owners WHERE citizen = 'opus' AND epoch > 0")
        second.start()
        for citizen in ("mira", "opus"):
            self.until_it_runs(citizen, 0)

    def beside(self, machine: Machine) -> Machine:
        """Another process of the same machine, which waits for the first one to die."""
        other = Machine(machine.name, machine.folder, machine.port, machine.settings)
        self.machines.append(other)
        other.start()
        time.sleep(3.0)  # nothing tells that it stands by
        return other

    def ask(self, query: str) -> Any:
        """The only value of the first row; None without one."""
        row = self._database.execute(query).fetchone()  # type: ignore[call-overload]
        return row and row[0]

    def until(self, query: str) -> Any:
        end = time.monotonic() + 120
        while not (found := self.ask(query)):
            assert time.monotonic() < end, [machine.said()[-1000:] for machine in self.machines]
            time.sleep(0.01)
        return found

    def lease(self, what: str) -> float:
        """A fact of the lease of opus."""
        return float(self.ask(f"SELECT {what} FROM experience.owners WHERE citizen = 'opus'"))

    def epoch(self) -> int:
        return int(self.lease("epoch"))

    def owner(self) -> Machine:
        name = self.ask("SELECT machine FROM experience.owners WHERE citizen = 'opus'")
        return next(machine for machine in self.machines if machine.name == name)

    def until_it_runs(self, citizen: str, epoch: int) -> float:
        """When its first run under a later epoch began, in Unix seconds."""
        runs = f"FROM experience.runs WHERE citizen = '{citizen}' AND epoch > {epoch}"
        return float(self.until(f"SELECT min(started) {runs} AND task = 'tick' AND outcome = 'ok'"))

    def close(self) -> None:
        for machine in self.machines:
            machine.close(gently=False)
        self._database.close()


@contextmanager
def _place(lease: float) -> Iterator[_Place]:
    with ExitStack() as stack:
        server = stack.enter_context(postgres())
        folder = stack.enter_context(TemporaryDirectory(prefix="failover-"))
        place = _Place(server, Path(folder), lease)
        stack.callback(place.close)
        place.begin()
        yield place


def _restarts(place: _Place, times: int) -> Iterator[float]:
    machine = place.machines[0]
    for _ in range(times):
        epoch = place.epoch()
        machine.kill()
        died = time.time()
        machine.start()
        yield place.until_it_runs("opus", epoch) - died
        time.sleep(1.0)


def _standbys(place: _Place, times: int) -> Iterator[float]:
    owner = place.machines[0]
    for _ in range(times):
        other, epoch = place.beside(owner), place.epoch()
        owner.kill()
        died = time.time()
        yield place.until_it_runs("opus", epoch) - died
        owner = other


def _elsewhere(place: _Place, times: int) -> Row:
    """The lease of an owner that was killed is waited for, by the database's clock, and not much longer."""
    late = []
    for _ in range(times):
        owner, epoch = place.owner(), place.epoch()
        owner.kill()
        over = place.lease("extract(epoch FROM until)")
        late.append(place.until_it_runs("opus", epoch) - over)
        owner.start()
        time.sleep(3.0)  # until it stands by
    bars = (Bar("never before the lease ends", min(late) >= 0), Bar("<= 1 s after it", max(late) <= 1.0))
    what = f"failover on another machine, after the end of its lease, p50 of {times}"
    return Row(what, median(late), "s", (), bars, f"first {min(late):.2f} s, worst {max(late):.2f} s")


def _frozen(place: _Place, times: int) -> Row:
    """What is left of the lease when the run of its frozen owner is gone."""
    left = []
    for _ in range(times):
        process, epoch, owner = int(place.until(LONG_RUN)), place.epoch(), place.owner()
        time.sleep(LEASE / 2)  # else its guard still counts the handlers of its start, and ends it, too
        owner.freeze()
        while (found := stat(process)) and found.state not in "ZX":
            time.sleep(0.002)
        left.append(place.lease("extract(epoch FROM until - clock_timestamp())"))
        place.until_it_runs("opus", epoch)
        owner.thaw()
    what = f"left of the lease when a frozen owner's run is gone, p50 of {times}"
    bars = (Bar("gone before its end", min(left) > 0),)
    return Row(what, median(left), "s", (), bars, f"least {min(left):.2f} s")


def _freezes(place: _Place, times: int) -> Iterator[float]:
    """Said on the first machine; seconds until the last start on the second one."""
    notes = Notes(Database(place.url))
    file = FreezeFile(
        root_folder(place.machines[0].folder / "root") / NAME, together=True, copies=notes.of(ROOT)
    )
    for _ in range(times):
        said = time.time()
        file.freeze(Freeze(said, None, "benchmark", ""))
        time.sleep(2.0)
        last = place.ask("SELECT max(started) FROM experience.runs WHERE citizen = 'mira'")
        yield max(0.0, last - said)
        file.thaw(time.time())
        place.until(f"SELECT 1 FROM experience.runs WHERE citizen = 'mira' AND started > {time.time()}")
    notes.close()


def _row(what: str, found: Iterator[float] | Sequence[float], most: float) -> Row:
    each = sorted(found)
    bars = (Bar(f"<= {most:.0f} s", each[-1] <= most),)
    return Row(f"{what}, p50 of {len(each)}", median(each), "s", (), bars, f"worst {each[-1]:.2f} s")
