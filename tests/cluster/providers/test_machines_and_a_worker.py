"""Two owners and a worker for real, and a provider that refuses: what one machine hears, all go by."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from tests.cluster.machines import Machine
from tests.cluster.postgres import Postgres

# What the provider answers is in a file: a refusal, an answer, or nothing for a long time.
ASK = "case $(cat {notes}/answer) in away) echo 429 too many requests; exit 1;;"
ASK += " stays) exec sleep 300;; esac; echo hi"
SETTINGS = """failover = "10s"
[citizens.{citizen}.tasks.ask]
every = "1000h"
enabled = false
provider = "anthropic"
{queue}command = ["sh", "-c", "{command}"]
"""


@dataclass
class Office:
    """opus on m1, whose task runs on the worker g1; mira on m2."""

    machines: dict[str, Machine]
    notes: Path
    url: str
    worker: "subprocess.Popen[bytes] | None" = None
    logs: list[Any] = field(default_factory=list)

    def work(self) -> "subprocess.Popen[bytes]":
        g1 = self.machines["g1"]
        self.logs.append((g1.folder / "worker").open("ab"))
        command = (sys.executable, "-P", "-m", "tui", "worker", "--queue", "gpu")
        self.worker = subprocess.Popen(
            command, env=g1.environment, stdout=self.logs[-1], stderr=self.logs[-1]
        )
        return self.worker

    def answers(self, word: str) -> None:
        (self.notes / "answer").write_text(word)

    def force(self, machine: str, citizen: str, *more: str) -> "subprocess.CompletedProcess[str]":
        return self.machines[machine].run("force", citizen, "ask", *more)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url, options="-c search_path=experience") as connection:
            return connection.execute(query).fetchall()  # type: ignore[call-overload, no-any-return]

    def until(self, holds: Callable[[], object]) -> None:
        end = time.monotonic() + 60.0
        while not holds():
            assert time.monotonic() < end, [self.machines[name].said() for name in ("m1", "m2")]
            time.sleep(0.05)

    def close(self) -> None:
        if self.worker:
            self.worker.kill()
            self.worker.wait()
        for log in self.logs:
            log.close()
        for machine in self.machines.values():
            machine.close()


@pytest.fixture(scope="module")
def office(server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    folder, url = tmp_path_factory.mktemp("office"), server.new_database()
    command = ASK.format(notes=folder)
    settings = {
        name: SETTINGS.format(citizen=citizen, queue=queue, command=command)
        for name, citizen, queue in (
            ("m1", "opus", 'queue = "gpu"\n'),
            ("g1", "opus", 'queue = "gpu"\n'),
            ("m2", "mira", ""),
        )
    }
    machines = {name: Machine(name, folder / name, server.port, text) for name, text in settings.items()}
    made = Office(machines, folder, url)
    made.answers("fine")
    try:
        for machine in machines.values():
            machine.prepare()
            text = machine.config.read_text().replace("/postgres", urlsplit(url).path)
            machine.config.write_text(text)
        for name, citizen in (("m1", "opus"), ("m2", "mira"), ("g1", "opus")):
            machines[name].home(citizen).mkdir()
        for name, *words in (("m1", "setup"), ("m1", "join", "opus"), ("m2", "join", "mira")):
            answer = machines[name].run("engine", *words)
            assert answer.returncode == 0, answer.stderr
        for name in ("m1", "m2"):
            machines[name].start()
        made.until(lambda: len(made.rows("SELECT 1 FROM owners WHERE until > clock_timestamp()")) == 2)
        made.work()
        for name, citizen in (("m1", "opus"), ("m2", "mira")):
            made.until(lambda name=name, citizen=citizen: made.force(name, citizen, "--wait").returncode == 0)
        yield made
    finally:
        made.close()


@pytest.mark.timeout(300)
def test_a_refusal_a_probe_that_fails_and_a_probe_whose_worker_dies(office: Office) -> None:
    office.answers("away")
    office.force("m1", "opus", "--wait")  # on g1
    assert office.rows("SELECT provider FROM providers WHERE run = ''") == [("anthropic",)]
    held = office.force("m2", "mira")
    assert held.returncode and "mira/ask waits for anthropic until" in held.stderr, held

    office.machines["m2"].run("providers", "anthropic", "--retry")
    office.force("m1", "opus", "--wait")  # the probe is on g1, and fails
    ((pauses,),) = office.rows("SELECT outage->>'pauses' FROM providers WHERE run = ''")
    held = office.force("m2", "mira")
    assert pauses == "2" and held.returncode and "waits for anthropic until" in held.stderr, held

    office.answers("stays")
    office.machines["m2"].run("providers", "anthropic", "--retry")
    office.force("m1", "opus")
    office.until(lambda: office.rows("SELECT 1 FROM providers WHERE run <> ''"))
    held = office.force("m2", "mira")
    assert held.returncode and "waits for anthropic, which opus tries now" in held.stderr, held
    assert office.worker
    office.worker.kill()
    office.until(lambda: office.rows("SELECT 1 FROM runs WHERE outcome = 'interrupted' AND citizen = 'opus'"))
    office.answers("fine")
    office.until(lambda: office.force("m2", "mira", "--wait").returncode == 0)
    office.until(lambda: office.rows("SELECT 1 FROM providers") == [])
    listed = office.machines["m1"].run("providers")
    assert (listed.returncode, listed.stdout) == (0, "no provider is away\n")
