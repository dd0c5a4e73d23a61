"""Workers for real: a task with a queue runs on another machine, by the settings there, and once."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

import psycopg
import pytest

from scheduler.process.process_info import stat
from scheduler.spending.ledger import SpendingLedger
from tests.cluster.machines import Machine
from tests.cluster.postgres import Postgres

FAILOVER = 10.0  # seconds: on a busy machine a shorter lease may be lost
SETTINGS = f"""failover = "{FAILOVER:.0f}s"
[citizens.opus]
workers = 16
budget = {{ day = 4 }}
"""
TASK = """
[citizens.opus.tasks.{name}]
every = "1000h"
enabled = {enabled}
queue = "{queue}"
timeout = "{timeout}"
retries = {retries}
retry_delay = "0.1s"
command = ["sh", "-c", "{command}"]
"""

PAYS = r"""printf '{{\"cost_usd\": %s}}' $(cat {notes}/price) > $EXPERIENCE_REPORT; """
PAYS += "[ ! -e {notes}/stay ] || exec sleep 300"


def task(name: str, command: str, queue: str = "gpu", timeout: str = "1m", retries: int = 0) -> str:
    enabled = str(retries > 0).lower()  # only a scheduled task is tried again
    given = {"queue": queue, "timeout": timeout, "retries": retries, "enabled": enabled}
    return TASK.format(name=name, command=command, **given)


@dataclass
class Shop:
    """A machine that owns opus, and one that works for it."""

    owner: Machine
    other: Machine
    url: str
    workers: "list[subprocess.Popen[bytes]]" = field(default_factory=list)
    logs: list[IO[bytes]] = field(default_factory=list)

    def work(self, *more: str) -> "subprocess.Popen[bytes]":
        log = (self.other.folder / "worker").open("ab")
        self.logs.append(log)
        command = (sys.executable, "-P", "-m", "tui", "worker", *more)
        process = subprocess.Popen(command, env=self.other.environment, stdout=log, stderr=log)
        self.workers.append(process)
        return process

    def gpu_worker(self) -> None:
        """Have a worker for the usual queue, if none is there."""
        if all(process.poll() is not None for process in self.workers):
            self.work("--queue", "gpu", "--concurrency", "8")

    def kill_workers(self) -> None:
        for process in self.workers:
            process.kill()
            process.wait()

    def said(self) -> str:
        path = self.other.folder / "worker"
        return path.read_text(errors="replace") if path.exists() else ""

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url, options="-c search_path=experience") as connection:
            return connection.execute(query).fetchall()  # type: ignore[call-overload, no-any-return]

    def until(self, query: str, wanted: Any, within: float = 30.0) -> list[tuple[Any, ...]]:
        """The rows of the query once they are, or once there are so many."""
        end = time.monotonic() + within
        while True:
            found = self.rows(query)
            if (len(found) >= wanted) if isinstance(wanted, int) else found == wanted:
                return found
            assert time.monotonic() < end, (found, self.owner.said(), self.said())
            time.sleep(0.02)

    def force(self, name: str, *more: str) -> None:
        answer = self.owner.run("force", "opus", name, *more)
        assert answer.returncode == 0, answer.stderr

    def ended(self, name: str, number: int = 1) -> list[tuple[Any, ...]]:
        """The outcomes and texts of a task, once so many of its runs have ended."""
        ended = f"FROM runs WHERE task = '{name}' AND outcome IS NOT NULL"
        self.until(f"SELECT 1 {ended}", number)
        return self.rows(f"SELECT outcome, text {ended} ORDER BY id")

    def until_begun(self, name: str) -> None:
        self.until(f"SELECT 1 FROM remote WHERE task = '{name}' AND worker IS NOT NULL", 1)

    def spent(self) -> list[Any]:
        """What the ledger of the owner's home says of the cost of each run."""
        ledger = SpendingLedger(self.owner.home("opus") / ".experience")
        ledger.load()
        return [charge.cost and float(charge.cost) for charge in ledger.charges(date.min, date.max)]

    def reports(self) -> list[Path]:
        """What runs on the worker have said, and the owner has not heard yet."""
        return [*(self.other.home("opus") / ".experience" / "worker-reports").glob("*")]

    def note(self, name: str) -> str:
        path = self.other.folder / "notes" / name
        return path.read_text() if path.exists() else ""

    def close(self) -> None:
        for process in self.workers:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()
        for log in self.logs:
            log.close()
        self.owner.close()
        self.other.close()


@pytest.fixture(scope="module")
def shop(server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder, database = tmp_path_factory.mktemp("shop"), server.new_database()
    notes = folder / "g1" / "notes"
    settings = SETTINGS + "".join(
        (
            task("render", "echo by $EXPERIENCE_SLOT $EXPERIENCE_EPOCH on $MACHINE"),
            task("fails", "echo no >&2; exit 3", retries=1),
            task("long", f"echo $$ >> {notes}/long; exec sleep 300"),
            task("slow", "sleep 300", timeout="0.5s"),
            task("loud", "head -c 200000000 /dev/zero | tr '\\\\0' x; echo; echo the end"),
            task("talks", f"echo one; until [ -e {notes}/go ]; do sleep 0.05; done; echo two"),
            task("other", "echo {machine}"),
            task("alone", "true", queue="unserved"),
            task("paid", PAYS.format(notes=notes)).replace("command", 'report = "file"\ncommand'),
        )
    )
    owner, other = (
        Machine(name, folder / name, server.port, settings.replace("{machine}", name))
        for name in ("m1", "g1")
    )
    shop = Shop(owner, other, database)
    try:
        for machine in (owner, other):
            machine.prepare()
            machine.config.write_text(
                machine.config.read_text().replace("/postgres", urlsplit(database).path)
            )
            machine.home("opus").mkdir()
        notes.mkdir()
        with other.config.open("a") as file:
            file.write("[citizens.opus.tasks.only_here]\nevery = '1h'\nenabled = false\ncommand = ['true']\n")
        with owner.config.open("a") as file:
            file.write(task("only_there", "true"))
        for words in (("setup",), ("join", "opus")):
            answer = owner.run("engine", *words)
            assert answer.returncode == 0, answer.stderr
        owner.start()
        shop.until("SELECT 1 FROM owners WHERE until > clock_timestamp()", 1)
        while not (owner.home("opus") / ".experience" / "control.sock").exists():  # it answers from then on
            time.sleep(0.02)
        shop.gpu_worker()
        yield shop
    finally:
        shop.close()


@pytest.fixture(scope="module")
def first_payment(shop: Shop) -> None:
    """One run has cost $1.25."""
    shop.gpu_worker()
    (shop.other.folder / "notes" / "price").write_text("1.25")
    shop.force("paid", "--wait")


def test_a_worker_carries_the_run_of_another_machine(shop: Shop) -> None:
    shop.force("render", "--wait")
    assert shop.ended("render") == [("ok", "by opus/render/1 1 on g1")]
    assert shop.rows("SELECT 1 FROM remote WHERE task = 'render'") == []
    while shop.rows("SELECT 1 FROM procrastinate_jobs"):  # a claim by a look leaves its knock to a fetch
        time.sleep(0.1)
    (run,) = json.loads(shop.owner.run("history", "opus", "render", "--json").stdout)
    assert (run["text"], run["machine"]) == ("by opus/render/1 1 on g1", "g1")
    printed = shop.owner.run("history", "opus", "--output", str(run["id"]))
    assert printed.stdout == "by opus/render/1 1 on g1\n", printed.stderr


@pytest.mark.usefixtures("first_payment")
def test_what_it_costs_is_counted_by_its_owner_under_the_budget_of_its_citizen(shop: Shop) -> None:
    assert shop.ended("paid") == [("ok", "")]
    (run,) = json.loads(shop.owner.run("history", "opus", "paid", "--json").stdout)
    assert run["cost"]["cost_usd"] == "1.25" and shop.spent() == [1.25]
    while shop.reports():
        time.sleep(0.02)


def test_a_failure_is_tried_again_by_the_rule_of_its_task(shop: Shop) -> None:
    assert shop.ended("fails", 2) == [("failed", "exit 3: no")] * 2
    assert shop.rows("SELECT slot, attempt FROM runs WHERE task = 'fails' ORDER BY id") == [
        ("1", 1),
        ("1", 2),
    ]


def test_a_person_stops_it(shop: Shop) -> None:
    shop.force("long")
    shop.until_begun("long")
    while not shop.note("long"):
        time.sleep(0.02)
    stopped = shop.owner.run("stop", "opus", "long")
    assert stopped.returncode == 0, stopped.stderr
    assert shop.ended("long")[0][0] == "stopped"
    found = stat(int(shop.note("long")))
    assert found is None or found.state in "ZX"
    shop.until("SELECT 1 FROM remote WHERE task = 'long'", [])


def test_its_time_is_over(shop: Shop) -> None:
    shop.force("slow")
    assert shop.ended("slow") == [("timed out", "timed out after 0.5s")]


def peak(pid: int) -> int:
    """The most memory that a process has had, in kB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


def test_200_megabytes_are_kept_as_their_two_ends(shop: Shop) -> None:
    shop.force("loud")
    assert shop.ended("loud") == [("ok", "the end")]
    running = [each.pid for each in (shop.owner.process, *shop.workers) if each and each.poll() is None]
    assert len(running) > 1 and all(peak(pid) < 150_000 for pid in running)
    ((output,),) = shop.rows("SELECT output FROM runs WHERE task = 'loud'")
    assert output.startswith("xxx") and output.endswith("\nthe end\n") and len(output) < 70_000
    assert "199,9" in output and "bytes left out" in output


def test_what_it_prints_is_followed_while_it_runs(shop: Shop) -> None:
    shop.force("talks")
    shop.until_begun("talks")
    follow = subprocess.Popen(
        (sys.executable, "-P", "-m", "tests.cluster.follow", str(shop.owner.config), "opus", "talks"),
        stdout=subprocess.PIPE,
        env=shop.owner.environment,
        text=True,
    )
    assert follow.stdout
    assert follow.stdout.readline() == "one\n"
    (shop.other.folder / "notes" / "go").touch()
    assert follow.stdout.readline() == "two\n"
    follow.stdout.close()
    follow.wait()
    assert shop.ended("talks") == [("ok", "two")]


def test_a_worker_with_another_definition_refuses(shop: Shop) -> None:
    shop.force("other")
    shop.force("only_there")
    (other,), (unknown,) = shop.ended("other"), shop.ended("only_there")
    assert other == ("failed", "g1 has another definition of opus/other: make its settings there the same")
    assert unknown == ("failed", "g1 does not know opus/only_there: add it to its settings there")


def test_without_a_worker_it_waits_and_says_so(shop: Shop) -> None:
    shop.force("alone")
    end = time.monotonic() + 20
    while "waits for an unserved worker: none is there" not in shop.owner.run("status", "--json").stdout:
        assert time.monotonic() < end, shop.owner.run("status", "--json").stdout
    for verb, rows in (("freeze", 0), ("thaw", 1)):  # what waits is taken back, and handed over again
        assert shop.owner.run(verb, "opus").returncode == 0
        shop.until("SELECT 1 FROM remote WHERE task = 'alone'", [(1,)] * rows)
    stopped = shop.owner.run("stop", "opus", "alone")
    assert stopped.returncode == 0, stopped.stderr
    assert shop.ended("alone")[0][0] == "stopped"
    assert shop.rows("SELECT 1 FROM remote WHERE task = 'alone'") == []


def test_a_worker_goes_on_after_the_database_was_away(shop: Shop, server: Postgres) -> None:
    before = len(shop.rows("SELECT 1 FROM runs WHERE task = 'render' AND outcome IS NOT NULL"))
    server.crash()
    time.sleep(1.0)
    server.start()
    end = time.monotonic() + 30.0  # until its owner is back, too
    while shop.owner.run("force", "opus", "render", "--wait").returncode:
        assert time.monotonic() < end, shop.owner.said()
    assert shop.ended("render", before + 1)[-1][0] == "ok"


def test_a_worker_that_dies_is_noticed_and_another_goes_on(shop: Shop) -> None:
    before = len(shop.rows("SELECT 1 FROM runs WHERE task = 'long'"))
    shop.force("long")
    shop.until_begun("long")
    while len(shop.note("long").split()) <= before:
        time.sleep(0.02)
    shop.kill_workers()
    assert shop.ended("long", before + 1)[-1] == ("interrupted", "interrupted: g1 was lost")
    found = stat(int(shop.note("long").split()[-1]))
    assert found is None or found.state in "ZX"
    worker = shop.work("--queue", "gpu")
    shop.force("render", "--wait")
    worker.terminate()
    assert worker.wait(30) == 0, shop.said()
    assert shop.rows("SELECT 1 FROM workers WHERE until > clock_timestamp()") == []
    assert "Traceback" not in shop.said()


@pytest.mark.usefixtures("first_payment")
def test_a_worker_that_died_tells_at_its_next_start_what_its_run_had_cost(shop: Shop) -> None:
    notes = shop.other.folder / "notes"
    (notes / "price").write_text("2.5")
    (notes / "stay").touch()
    shop.gpu_worker()
    shop.force("paid")
    end = time.monotonic() + 30.0
    while not any(report.stat().st_size for report in shop.reports()):
        assert time.monotonic() < end, (shop.said(), shop.owner.said(), shop.rows("SELECT * FROM remote"))
        time.sleep(0.02)
    shop.kill_workers()
    assert shop.ended("paid", 2)[-1] == ("interrupted", "interrupted: g1 was lost")
    assert shop.spent() == [1.25, None]  # it counts as the dearest of the last ones
    shop.gpu_worker()
    while shop.spent() != [1.25, 2.5]:
        assert time.monotonic() < end, (shop.spent(), shop.said())
        time.sleep(0.02)
    assert shop.reports() == []
    held = shop.owner.run("force", "opus", "paid")
    assert held.returncode and "over budget" in held.stderr and "$3.75 of $4.00" in held.stderr
