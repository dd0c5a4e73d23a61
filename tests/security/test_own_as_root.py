"""`--own-as-root`: a home that root runs stays its user's, in every file, folder and socket."""

import os
import shutil
import sqlite3
import stat
import subprocess
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest

from scheduler.config.defaults import BACKGROUND_TASKS
from scheduler.core.costs import Budget, SpendingRules
from scheduler.spending.account import FOLDER, Account, AllCitizens
from scheduler.spending.budget import zone_of_days
from scheduler.spending.ledger import SpendingLedger
from scheduler.system.unix_socket import socket_path
from tests.crash.loops import command
from tests.fakes import NOON, until
from tests.security.machine import AGENT, OTHER

QUIET = "\n".join(f"[tasks.{name}]\nenabled = false" for name in BACKGROUND_TASKS)


def settings(machine, *tables: str) -> None:
    (machine.home / "experience.toml").write_text("\n".join([QUIET, *(f"[tasks.{each}" for each in tables)]))


def failing(name: str) -> str:
    return command(f"{name}]", "echo evil; exit 1")


def loop(machine) -> "subprocess.Popen[bytes]":
    import sys

    argv = [sys.executable, "core.py", "--citizen", "evil", "--loop", "--own-as-root"]
    return subprocess.Popen(
        argv, cwd=Path(__file__).parents[2], env=machine.environment, stdout=subprocess.DEVNULL
    )


def test_every_file_that_roots_scheduler_writes_is_the_homes_users(machine):
    settings(machine, failing("bad"))
    for _ in range(2):
        said = machine.core("--citizen", "evil", "--wake", "--own-as-root")
        assert "not recorded" not in said
    written = machine.owners()
    for name in ("metadata.json", "wake_log.json", "runs.db", "memory", "logs/experience.log"):
        assert name in written
    assert {name: uid for name, uid in written.items() if uid != AGENT} == {}


def test_afterwards_its_user_runs_it_as_before(machine):
    settings(machine, failing("bad"))
    machine.core("--citizen", "evil", "--wake", "--own-as-root")
    said = machine.experience("wake", "evil", user=AGENT)
    assert "not recorded" not in said and "Permission denied" not in said
    assert '"wake_count": 2' in (machine.home / "metadata.json").read_text()
    assert '"wake": 2' in (machine.home / "wake_log.json").read_text()
    events = next((machine.home / "memory/raw").rglob("*.json")).read_text()
    assert events.count("wake_complete") == 2 and events.count("task_failed") >= 1
    with sqlite3.connect(machine.home / "runs.db") as database:
        assert database.execute("SELECT count(*) FROM runs WHERE task = 'bad'").fetchone()[0] >= 1


@pytest.mark.parametrize("user", [0, AGENT])
async def test_root_and_its_user_attach_to_a_home_that_root_runs(machine, user):
    settings(machine, command("good]", "true"))
    process = loop(machine)
    try:
        socket = socket_path(machine.home)
        await until(lambda: socket.exists() and socket.stat().st_uid == AGENT, "it listens")
        assert {path.lstat().st_uid for path in (machine.home / ".experience").iterdir()} == {AGENT}
        assert stat.S_IMODE(socket_path(machine.home).stat().st_mode) == 0o600
        assert "ok" in machine.experience("force", "evil", "good", "--wait", code=0, user=user)
    finally:
        process.terminate()
        process.wait(20)
    assert {name: uid for name, uid in machine.owners().items() if uid != AGENT} == {}


@pytest.mark.parametrize("name", ["metadata.json", ".experience/wake.json"])
def test_what_an_earlier_version_left_to_root_is_said_and_not_taken_for_empty(machine, name):
    """Wakes that begin at #1 again, and a second agent beside the first."""
    (machine.home / ".experience").mkdir(mode=0o700)
    os.chown(machine.home / ".experience", AGENT, AGENT)
    (machine.home / name).write_text('{"wake_count": 812}')
    (machine.home / name).chmod(0o600)
    said = machine.experience("wake", "evil", user=AGENT, code=2)
    assert f"{name}: Permission denied; make it readable, nothing was changed" in said
    assert (machine.home / name).read_text() == '{"wake_count": 812}'


@pytest.mark.parametrize("folder", ["logs", "memory", ".experience", "tasks", "runs.db"])
def test_a_link_in_the_home_leads_roots_scheduler_nowhere(machine, folder):
    settings(machine, failing("bad"))
    target = machine.victim if folder == "runs.db" else machine.outside
    machine.agent(f'ln -s "$TARGET" {folder}', TARGET=target)
    before = machine.everything_outside()
    machine.core("--citizen", "evil", "--wake", "--own-as-root")
    assert machine.everything_outside() == before


def test_no_folder_of_a_home_is_open_to_others_whatever_the_umask(machine):
    settings(machine, failing("bad"))
    shutil.rmtree(machine.home / "logs", ignore_errors=True)
    before = os.umask(0)
    try:
        machine.core("--citizen", "evil", "--wake", "--own-as-root")
        machine.core("--citizen", "new", "--background-only")
    finally:
        os.umask(before)
    made = [path for path in machine.root.rglob("*") if path.is_dir() and path != machine.home]
    assert len(made) > 5
    assert {str(path): oct(path.stat().st_mode) for path in made if path.stat().st_mode & 0o077} == {}


def spent(home, cost: str, run: str = "r") -> SpendingLedger:
    ledger = SpendingLedger(home / FOLDER)
    ledger.enter(run, "wake", datetime.fromtimestamp(NOON, zone_of_days()).date())
    ledger.settle(run, Decimal(cost), None, None)
    return ledger


def test_root_counts_what_the_runs_of_another_users_home_cost(machine, clock):
    spent(machine.home, "3")
    assert {path.lstat().st_uid for path in machine.home.rglob("*")} == {AGENT}
    account = Account(machine.home, clock, AllCitizens(machine.root))
    account.rules = SpendingRules(Budget(day=Decimal(3)))
    assert "over budget" in str(account.enter("next", "wake"))


def test_the_limit_of_all_citizens_holds_for_those_of_other_users_that_root_runs(machine, clock):
    spent(machine.new_home("other", OTHER), "3")
    limits = SpendingRules(together=Budget(day=Decimal(3)))
    evil = Account(machine.home, clock, AllCitizens(machine.root))
    evil.rules = limits
    assert evil.enter("next", "wake"), "root runs all of them"
    good = Account(machine.new_home("good", 0), clock, AllCitizens(machine.root))
    good.rules = limits
    assert good.enter("next", "wake") is None, "what an agent says of its costs does not stop root's own"


def test_a_ledger_that_is_none_hides_no_other_citizens_costs(machine):
    spent(machine.home, "3")
    machine.agent("rm .experience/spending.jsonl; mkdir .experience/spending.jsonl")
    spent(machine.new_home("other", OTHER), "2")
    said = machine.experience("cost", code=2)
    assert f"experience: {machine.home}/.experience/spending.jsonl: is not a file of charges" in said
    assert any(line.startswith("other") for line in said.splitlines()), said
