"""Whatever shows, tells or counts a task that fails does the same for a wake that fails."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from prometheus_client.parser import text_string_to_metric_families

from scheduler.cli.main import run
from scheduler.cli.queries.history import history_command
from scheduler.cli.queries.status import status_command
from scheduler.cli.v2_flags import core
from scheduler.cli.verbs.pause import pause_command
from scheduler.control.session import control_of, fleet_of, force_and_wait
from scheduler.core.records import RunRecord
from scheduler.core.schedules.forecast import TimeGrid
from scheduler.core.task import Outcome
from scheduler.core.views import Heartbeat, Snapshot, TaskStatus
from scheduler.core.wording.description import TaskDetails
from tests.fakes import until
from tests.loopback import Loopback, loopback
from tui.serve.health import status_of
from tui.serve.metrics import EventCounts, page

SETTINGS = """
[alerts]
after = 1
command = ["sh", "-c", "cat >> alerts.jsonl; echo >> alerts.jsonl"]

[tasks.heartbeat]
enabled = false  # it tells of a busy machine

[{table}]
every = "1h"
command = ["sh", "-c", "echo line one; echo the third line >&2; exit 3"]
retries = 2
retry_delay = "10m"
ping = "{url}/{name}"
ping_on = ["start", "failed"]
"""
ERROR = "exit 3: the third line"


class Seen(NamedTuple):
    """What was there to be seen of one run that failed."""

    name: str
    snapshot: Snapshot
    history: tuple[RunRecord, ...]
    output: str
    details: TaskDetails
    followed: str
    slots: tuple[float, ...]
    alerts: list[dict[str, Any]]
    pings: list[str]
    capture: Callable[[list[str]], tuple[int, str]]


@pytest.fixture(params=["chore", "wake"])
def seen(request, tmp_path: Path, capsys: Any) -> Seen:
    name, home = request.param, tmp_path / "opus"
    home.mkdir()
    config = tmp_path / "main.toml"
    config.write_text(f'root = "{tmp_path}"\n')
    with loopback() as server:
        table = "wake" if name == "wake" else f"tasks.{name}"
        (home / "experience.toml").write_text(SETTINGS.format(table=table, name=name, url=server.url))
        found = asyncio.run(_run_and_look(config, name, server))
        alerts = [json.loads(line) for line in (home / "alerts.jsonl").read_text().splitlines()]

    def capture(argv: list[str]) -> tuple[int, str]:
        known = {"history": history_command, "pause": pause_command, "status": status_command}
        command = known.get(argv[0], core)
        code = run(command, [*(argv[1:] if command is not core else argv), "--config", str(config)])
        return code, capsys.readouterr().out

    return Seen(name, *found, alerts, server.paths(), capture)


async def _run_and_look(config: Path, name: str, server: Loopback) -> tuple[Any, ...]:
    pieces: list[str] = []

    async def keep(piece: Any) -> None:
        pieces.append(piece.text)

    async with fleet_of(("opus",), config, wakes=True) as fleet:
        control = control_of(fleet.members["opus"])
        await force_and_wait(control, name, on_output=keep)
        await until(lambda: len(server.paths()) == 2, "both pings came")
        snapshot, runs = control.snapshot(), await control.history(name)
        row = snapshot.task(name)
        assert row and row.due
        slots = (await control.slots([name], TimeGrid(row.due - 60, 600, 20)))[name]
        output, details = await control.output(runs[0].id), await control.explain(name)
        return snapshot, runs, output, details, "".join(pieces), slots


def the_row(seen: Seen) -> None:
    row = seen.snapshot.task(seen.name)
    assert row and row.error and row.error.text == ERROR
    assert (row.kind, row.outcome, row.run_count) == (TaskStatus.FAILED, Outcome.FAILED, 1)
    assert (row.failures_in_a_row, row.note, row.recent) == (1, "attempt 2 of 3", "x")


def the_alert(seen: Seen) -> None:
    (alert,) = [
        each for each in seen.alerts if each["task"] == seen.name
    ]  # heartbeat tells of a busy machine
    assert (alert["kind"], alert["task"]) == ("failed", seen.name)
    assert alert["text"] == f"opus/{seen.name} failed: {ERROR}"


def the_pings(seen: Seen) -> None:
    assert seen.pings == [f"/{seen.name}/start", f"/{seen.name}/fail"]


def the_history(seen: Seen) -> None:
    (record,) = seen.history
    assert (record.task, record.outcome, record.text) == (seen.name, Outcome.FAILED, ERROR)
    assert record.who and record.trigger == "force"
    code, listed = seen.capture(["history", "opus", seen.name])
    assert code == 1 and ERROR in listed


def the_output(seen: Seen) -> None:
    assert seen.output == seen.followed == "line one\nthe third line\n"


def the_details(seen: Seen) -> None:
    facts = {fact.label: fact.words for fact in seen.details.facts}
    assert facts["runs"].startswith("sh -c") and facts["retries"].startswith("2, the first after 10m")
    assert facts["schedule"] == "every hour" and facts["set in"].endswith("opus/experience.toml")
    assert len(seen.details.upcoming) == 5


def the_timeline(seen: Seen) -> None:
    row = seen.snapshot.task(seen.name)
    assert row and seen.slots[0] == row.due


def the_events(seen: Seen) -> None:
    kinds = [(event.kind, event.outcome) for event in seen.snapshot.events if event.task == seen.name]
    assert kinds == [("started", None), ("finished", Outcome.FAILED)]


def the_metrics(seen: Seen) -> None:
    counts, status = EventCounts(0.0), status_of(seen.snapshot, Heartbeat(), True, 0.0)
    counts.count(seen.snapshot)
    text = page([status], counts, 1e9, 0, "text/plain")[0].decode()
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    of_it = [(each.name, each.value, each.labels.get("outcome")) for each in samples if _is_of(each, seen)]
    assert ("experience_task_failures_in_a_row", 1.0, None) in of_it
    assert ("experience_task_outcomes_total", 1.0, "failed") in of_it


def _is_of(sample: Any, seen: Seen) -> bool:
    return bool(sample.labels.get("task") == seen.name)


def the_status(seen: Seen) -> None:
    code, text = seen.capture(["--citizen", "opus", "--status"])
    assert code == 1
    row, error = (line for line in text.splitlines() if seen.name in line or "Last error" in line)
    assert row.startswith(f"  ✗ {seen.name}: ran ") and row.endswith("(1 runs)")
    assert error == f"      Last error: {ERROR}..."
    assert ("=== WAKE ===" in text) == (seen.name == "wake")


def the_json(seen: Seen) -> None:
    code, text = seen.capture(["status", "opus", "--json"])
    (citizen,) = json.loads(text)
    (row,) = (each for each in (citizen["wake"], *citizen["tasks"]) if each and each.get("name") == seen.name)
    assert (code, row["outcome"], row["error"]["text"]) == (1, "failed", ERROR)
    code, text = seen.capture(["history", "opus", seen.name, "--json"])
    (record,) = json.loads(text)
    assert (code, record["task"], record["outcome"], record["text"]) == (1, seen.name, "failed", ERROR)


def the_pause(seen: Seen) -> None:
    assert seen.capture(["pause", "opus", seen.name]) == (0, f"{seen.name}: paused\n")
    _, text = seen.capture(["--citizen", "opus", "--status"])
    assert f"  ‖ {seen.name}: paused (by " in text


def test_all_that_there_is_of_a_failed_run(seen: Seen):
    looks = (the_row, the_alert, the_pings, the_history, the_output, the_details, the_timeline)
    for look in (*looks, the_events, the_metrics, the_status, the_json, the_pause):
        look(seen)
