"""kill -9 of an owner between the end of a run and its cost: nothing is counted short, and nothing twice."""

import json
import sys
from typing import Any

import pytest

from scheduler.cli.main import run
from tests.crash.loops import Place, command, gone
from tests.fakes import until
from tui.__main__ import monitor

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc"),
    pytest.mark.timeout(60),
]

PAID = """echo $$ >> runs.log; {says}; [ -e ran ] && { touch ran; kill -9 $PPID; sleep 0.2; }; touch ran"""
RESULT = """echo '{"type":"result","subtype":"success","total_cost_usd":0.5}'"""
WRITES = """echo '{"cost_usd": 0.7}' > "$EXPERIENCE_REPORT" """


def costs(place: Place, capsys: Any) -> dict[str, Any]:
    capsys.readouterr()
    assert run(monitor, ["cost", "opus", "--json", "--config", str(place.config)], "experience-tui") == 0
    (opus,) = json.loads(capsys.readouterr().out)
    return opus


async def killed_by_its_second_run(place: Place, says: str, report: str) -> None:
    """The first run is settled; the second ends, and its owner died before it could look."""
    place.tasks(command("ask", PAID.replace("{says}", says), every="0.5s", report=report))
    with place.loop() as first:
        await until(lambda: first.poll() is not None, "the owner is killed")
    await until(lambda: all(gone(int(pid)) for (pid,) in place.lines()), "what it ran has ended")
    assert len(place.lines()) == 2
    place.tasks(command("ask", "true", report=report))
    with place.loop():
        await until(
            lambda: place.entry("ask").get("outcome") == "interrupted", "the next owner closes the run"
        )


async def test_what_it_wrote_before_is_counted_once(tmp_path, capsys):
    place = Place(tmp_path)
    await killed_by_its_second_run(place, WRITES, "file")
    found = costs(place, capsys)
    assert (found["runs"], found["unknown"], found["today_usd"]) == (2, 0, "1.4")


async def test_what_it_only_printed_is_unknown_and_counts_as_the_dearest(tmp_path, capsys):
    place = Place(tmp_path)
    await killed_by_its_second_run(place, RESULT, "claude")
    found = costs(place, capsys)
    assert (found["runs"], found["unknown"], found["today_usd"]) == (2, 1, "1.0")
