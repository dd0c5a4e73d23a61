"""What an owner started ends with its leases, whether the owner is dead, frozen or cut off."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator

import psutil
import pytest

from scheduler.process.process_info import stat


class Owner:
    def __init__(self, seconds: float, calls: int = 0, end: str = "") -> None:
        command = (sys.executable, "-m", "tests.cluster.owner", str(seconds), str(calls), end)
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout and self.process.stdout.readline() == "running\n"
        found = psutil.Process(self.process.pid).children()
        children = [child for child in found if child.status() != psutil.STATUS_ZOMBIE]
        self.runs = [child for child in children if child.name() == "sleep"]
        self.guard = next(child for child in children if "guard_main" in " ".join(child.cmdline()))
        assert len(self.runs) == 2

    def close(self) -> None:
        for each in (*self.runs, self.guard):
            if each.is_running():
                each.kill()
        self.process.kill()
        self.process.wait()
        assert self.process.stdin and self.process.stdout
        self.process.stdin.close()
        self.process.stdout.close()


@pytest.fixture
def owners() -> Iterator[list[Owner]]:
    made: list[Owner] = []
    yield made
    for each in made:
        each.close()


def ended(process: psutil.Process) -> bool:
    found = stat(process.pid)
    return found is None or found.state in "ZX"


def wait_for_end(processes: Iterable[psutil.Process]) -> bool:
    until = time.monotonic() + 20
    while time.monotonic() < until:
        if all(map(ended, processes)):
            return True
        time.sleep(0.02)
    return False


def test_the_runs_of_a_killed_owner_end_with_it(owners: list[Owner]) -> None:
    """One that has just wiped its environment and lost its session and parent may not have been seen."""
    owners.append(owner := Owner(600.0))
    owner.process.kill()
    owner.process.wait()
    assert wait_for_end([owner.runs[0], owner.guard])


def test_the_runs_of_a_frozen_owner_end_with_its_leases_and_the_owner_stays(owners: list[Owner]) -> None:
    owners.append(owner := Owner(2.0))
    owner.process.send_signal(signal.SIGSTOP)
    assert wait_for_end(owner.runs)
    assert owner.process.poll() is None and not ended(owner.guard)


def test_a_frozen_owner_with_handlers_inside_it_ends_with_its_leases(owners: list[Owner]) -> None:
    owners.append(owner := Owner(2.0, calls=1))
    owner.process.send_signal(signal.SIGSTOP)
    assert owner.process.wait(20) == -signal.SIGKILL
    assert wait_for_end([*owner.runs, owner.guard])


def test_an_owner_that_cannot_end_a_handler_inside_it_ends_with_its_leases(owners: list[Owner]) -> None:
    """Its loop stands still, though it is not frozen: what runs in it cannot be seen from outside."""
    owners.append(owner := Owner(2.0, calls=1, end="block"))
    assert owner.process.wait(20) == -signal.SIGKILL
    assert wait_for_end([*owner.runs, owner.guard])


def test_an_owner_that_has_ended_its_handlers_outlives_its_leases(owners: list[Owner]) -> None:
    owners.append(owner := Owner(2.0, calls=1, end="settle"))
    assert wait_for_end(owner.runs)
    assert owner.process.poll() is None and not ended(owner.guard)


def test_an_owner_that_closes_its_guard_keeps_what_it_left_on_purpose(owners: list[Owner]) -> None:
    owners.append(owner := Owner(600.0, end="close"))
    assert owner.process.stdin
    owner.process.stdin.close()  # the guard has been seen
    assert owner.process.wait(20) == 0
    assert wait_for_end([owner.guard])
    assert not any(map(ended, owner.runs))


def test_the_guard_is_not_ended_by_what_ends_terminals(owners: list[Owner]) -> None:
    owners.append(owner := Owner(600.0))
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        os.kill(owner.guard.pid, number)
    owner.process.kill()
    owner.process.wait()
    assert wait_for_end(owner.runs[:1])


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_killed_or_frozen_guard_is_replaced_at_the_next_renewal(owners: list[Owner], number: int) -> None:
    owners.append(owner := Owner(2.0))
    owner.guard.send_signal(number)
    assert owner.process.stdout and owner.process.stdout.readline() == "guarded\n"
    owner.process.kill()
    owner.process.wait()
    assert wait_for_end([owner.guard])
