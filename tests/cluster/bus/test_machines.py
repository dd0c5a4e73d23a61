"""Two machines for real: one dies, freezes or is cut off, and its citizen goes on with the other."""

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from scheduler.process.process_info import stat
from tests.cluster.machines import Machine
from tests.cluster.postgres import Postgres

pytestmark = pytest.mark.timeout(240)  # real processes, which a busy machine keeps waiting

SETTINGS = """failover = "{failover}s"
[citizens.opus.tasks.tick]
every = "1s"
command = ["sh", "-c", "echo $EXPERIENCE_SLOT $EXPERIENCE_EPOCH $MACHINE >> {log}"]
[citizens.opus.tasks.long]
every = "1h"
timeout = "10m"
command = ["sh", "-c", "echo long $MACHINE $$ >> {log}; exec sleep 300"]
"""


WATCH = """
import asyncio, pathlib
from scheduler.control.fleet import Fleet
from scheduler.core.ports import FleetOptions

async def main():
    fleet = Fleet(FleetOptions(config=pathlib.Path("{config}"), only=("opus",), own=False))
    await fleet.start()
    print("looks", flush=True)
    for machine in ("m1", "m2"):
        while True:
            snapshot = fleet.members["opus"].control.snapshot()
            if f" {{machine}}, pid" in snapshot.owner and not snapshot.stale:
                break
            await asyncio.sleep(0.05)
        print(machine, flush=True)
    await fleet.stop()

asyncio.run(main())
"""


@dataclass
class Two:
    one: Machine
    two: Machine
    log: Path

    def lines(self, machine: str = "") -> list[str]:
        found = self.log.read_text().splitlines() if self.log.exists() else []
        return [line for line in found if not machine or machine in line.split()]

    def long_runs(self, machine: str) -> list[int]:
        """Which runs of the long task this machine has not ended; a frozen owner cannot collect its dead."""
        begun = [int(line.split()[2]) for line in self.lines(machine) if line.startswith("long")]
        assert begun
        return [pid for pid in begun if (found := stat(pid)) and found.state not in "ZX"]

    def until(self, machine: str, runs: int, within: float = 90.0) -> float:
        """Return when the machine has begun so many runs, with the seconds that this took."""
        start = time.monotonic()
        while len(self.lines(machine)) < runs:
            assert time.monotonic() - start < within, (self.lines(), self.one.said(), self.two.said())
            time.sleep(0.05)
        return time.monotonic() - start


@pytest.fixture
def failover() -> int:
    """Seconds; short, since most tests wait for it."""
    return 3


@pytest.fixture
def two(server: Postgres, url: str, tmp_path: Path, failover: int) -> Iterator[Two]:
    log = tmp_path / "runs"
    settings = SETTINGS.format(log=log, failover=failover)
    made = [Machine(name, tmp_path / name, server.port, settings) for name in ("m1", "m2")]
    try:
        for machine in made:
            machine.prepare()
            machine.home("opus").mkdir()
        setup, join = made[0].run("engine", "setup"), made[0].run("engine", "join", "opus")
        assert (setup.returncode, join.returncode) == (0, 0), setup.stderr + join.stderr
        made[0].share_homes(made[1], "opus")
        made[0].start()
        machines = Two(made[0], made[1], log)
        machines.until("m1", 3)
        made[1].start()
        while "opus runs on m1" not in made[1].said():
            assert made[1].running, made[1].said()
            time.sleep(0.05)
        yield machines
    finally:
        for machine in made:
            machine.close()


def numbers(two: Two) -> list[int]:
    return [int(line.split()[0].rpartition("/")[2]) for line in two.lines() if line.startswith("opus/tick")]


def owners(url: str) -> list[tuple[str, int]]:
    with psycopg.connect(url) as connection:
        return connection.execute("SELECT machine, epoch FROM experience.owners").fetchall()  # type: ignore[return-value]


def test_a_killed_machine_is_followed_by_the_other_after_its_lease(two: Two, url: str) -> None:
    two.one.kill()
    two.until("m2", 3)
    assert owners(url) == [("m2", 2)]
    assert len(numbers(two)) == len(set(numbers(two)))  # no run twice
    assert two.long_runs("m1") == []  # its run ended with it


@pytest.mark.parametrize("failover", [6])  # its guard has 0.4 s to see and kill
def test_a_frozen_machine_finds_its_runs_ended_and_begins_nothing(two: Two, url: str) -> None:
    two.one.freeze()
    with psycopg.connect(url, autocommit=True) as connection:
        until = connection.execute("SELECT until FROM experience.owners").fetchone()
        while connection.execute("SELECT clock_timestamp() < %s", until).fetchone() == (True,):
            time.sleep(0.01)
    assert two.long_runs("m1") == []  # gone before the lease ended, by the database's clock
    two.until("m2", 3)
    before = len(two.lines("m1"))
    two.one.thaw()
    two.until("m2", 6)
    assert len(two.lines("m1")) == before
    assert owners(url) == [("m2", 2)]


def test_a_machine_that_is_cut_off_gives_up_before_the_other_takes_over(two: Two) -> None:
    two.one.cut()
    two.until("m2", 3)
    assert "lease lost" in two.one.said()
    before = len(two.lines("m1"))
    two.one.mend()
    two.until("m2", 6)
    assert len(two.lines("m1")) == before
    assert len(numbers(two)) == len(set(numbers(two)))


@pytest.mark.parametrize("failover", [30])
def test_a_database_that_crashes_for_a_moment_costs_nothing(two: Two, server: Postgres, url: str) -> None:
    runs = len(two.lines("m1"))
    server.crash()
    server.start()
    two.until("m1", runs + 3)
    assert owners(url) == [("m1", 1)]


def test_a_person_moves_a_citizen(two: Two, url: str) -> None:
    asked = two.two.run("engine", "move", "opus", "m2")
    assert asked.stdout == "opus: m1 lets go of it for m2\n"
    two.until("m2", 3)
    assert owners(url) == [("m2", 2)]
    status = two.one.run("engine", "status")
    assert re.search(r"opus +m2 +\d+ +2 +[123]s", status.stdout)


@pytest.mark.parametrize("failover", [30])
def test_a_freeze_holds_on_the_other_machine_too_or_is_not_confirmed(two: Two) -> None:
    assert two.two.run("freeze").returncode == 0
    assert "frozen" in two.one.said()
    time.sleep(1.0)  # what had begun by then has written its line
    before = len(two.lines())
    time.sleep(2.5)
    assert len(two.lines()) == before
    assert two.two.run("thaw").returncode == 0
    two.until("m1", before + 1)
    two.one.freeze()
    asked = two.two.run("freeze", "opus")
    two.one.thaw()
    assert (asked.returncode, asked.stdout) == (3, "")
    assert asked.stderr.startswith(
        "experience: opus: done in its files, not confirmed by its owner: the owner"
    )
    assert two.two.run("thaw", "opus").returncode == 0


def test_a_citizen_is_watched_and_steered_from_another_machine(two: Two) -> None:
    forced = two.two.run("force", "opus", "tick", "--again", "--wait")  # it runs each second anyway
    assert (forced.returncode, forced.stdout) == (0, "opus/tick: ok\n") or "tick: ok" in forced.stdout
    assert two.lines("m2") == []  # it ran where its owner is
    assert "opus is not run here" in two.two.run("status", "opus").stderr
    assert "no process runs opus" not in two.two.run("doctor").stdout
    history = two.two.run("history", "opus", "tick", "--limit", "1", "--json")
    assert history.returncode == 0, history.stderr


def test_who_watches_sees_the_next_owner_after_a_move(two: Two, server: Postgres, tmp_path: Path) -> None:
    """The first owner goes on with others: what it showed of this citizen must not stay on screen."""
    watcher = Machine("m3", tmp_path / "m3", server.port, two.one.settings)
    try:
        watcher.prepare()
        two.one.share_homes(watcher, "opus")
        script = WATCH.format(config=watcher.config)
        command = (sys.executable, "-P", "-c", script)
        seen = subprocess.Popen(command, env=watcher.environment, stdout=subprocess.PIPE, text=True)
        assert seen.stdout and seen.stdout.readline() == "looks\n"
        assert seen.stdout.readline() == "m1\n"
        assert two.one.run("engine", "move", "opus", "m2").returncode == 0
        assert seen.stdout.readline() == "m2\n"
        assert two.one.running
        seen.wait(20)
        seen.stdout.close()
    finally:
        watcher.close()


def test_who_watches_while_no_machine_runs_it_sees_the_owner_that_comes(
    two: Two, server: Postgres, url: str, tmp_path: Path
) -> None:
    watcher = Machine("m3", tmp_path / "m3", server.port, two.one.settings)
    for machine in (two.one, two.two):
        machine.kill()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("UPDATE experience.owners SET until = clock_timestamp()")
    try:
        watcher.prepare()
        two.one.share_homes(watcher, "opus")
        command = (sys.executable, "-P", "-c", WATCH.format(config=watcher.config))
        seen = subprocess.Popen(command, env=watcher.environment, stdout=subprocess.PIPE, text=True)
        assert seen.stdout and seen.stdout.readline() == "looks\n"
        two.one.start()
        assert seen.stdout.readline() == "m1\n"
        seen.kill()
        seen.wait()
        seen.stdout.close()
    finally:
        watcher.close()


def test_a_shared_home_is_not_run_by_a_process_without_the_database(two: Two) -> None:
    alone = two.one.folder / "alone.toml"
    alone.write_text(f'root = "{two.one.folder / "root"}"\n')
    refused = two.one.run("--no-ui", "--config", str(alone))
    assert refused.returncode == 2
    assert "opus is run through postgresql://127.0.0.1" in refused.stdout + refused.stderr
