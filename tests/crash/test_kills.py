"""kill -9 of an owner: what was under way is closed once, and never runs twice at the same time."""

import asyncio
import os
import signal
import sys

import pytest

from tests.crash.loops import Place, command, gone, logged
from tests.fakes import until

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc"),
    pytest.mark.timeout(60),
]

UNTIL_DONE = "echo start $$ >> runs.log; while [ ! -e done ]; do sleep 0.02; done; echo end $$ >> runs.log"
TICK = command("tick", "true", every="0.1s")


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def interruptions(place: Place, task: str) -> int:
    outcomes = [each.get("outcome") for each in place.events() if each.get("task") == task]
    return outcomes.count("interrupted")


async def chances(place: Place, number: int = 5) -> None:
    """Other tasks of the citizen run some more times: whatever was due could have started."""
    before = place.count("tick")
    await until(lambda: place.count("tick") >= before + number, "other tasks run")


async def dies(loop) -> None:
    loop.kill()
    await asyncio.to_thread(loop.wait, 10)


async def test_a_run_whose_owner_died_is_closed_once_and_not_doubled_while_its_process_lives(place):
    place.tasks(command("long", UNTIL_DONE, every="0.2s"), TICK)
    with place.loop() as first:
        await until(lambda: place.lines(), "the run has begun")
        await dies(first)
    orphan = int(place.lines()[0][1])
    assert place.entry("long")["running"]["pid"] == orphan
    for life in ("second", "third"):
        with place.loop() as later:
            await until(lambda: place.count("long") == 1, f"the {life} owner closes the run")
            await chances(place)
            entry = place.entry("long")
            assert (entry["outcome"], entry["running"]) == ("interrupted", None)
            assert entry["orphan"]["pid"] == orphan
            assert place.count("long") == 1
            await dies(later)
    assert place.lines() == [["start", str(orphan)]]
    with place.loop():
        await chances(place)
        (place.home / "done").touch()
        await until(lambda: len(place.lines()) >= 4, "it runs again once that has ended")
        await until(lambda: place.count("long") >= 2, "and is counted")
        assert place.lines()[1] == ["end", str(orphan)]
        assert place.entry("long").get("orphan") is None
    assert interruptions(place, "long") == 1, "said once, over all lives"


async def test_an_interruption_is_saved_at_once_though_nothing_else_happens(place):
    place.tasks(command("long", UNTIL_DONE))
    with place.loop() as first:
        await until(lambda: place.lines(), "the run has begun")
        await dies(first)
    with place.loop():
        await until(lambda: place.count("long") == 1, "the next owner closes the run")
    assert place.states()["errors"]["long"]["error"] == "interrupted: the scheduler died during this run"
    status = place.call("--status")
    assert status.returncode == 1
    assert "Last error: interrupted: the scheduler died during this run..." in status.stdout
    (place.home / "done").touch()
    pid = int(place.lines()[0][1])
    await until(lambda: gone(pid), "the orphan ends")


async def test_after_a_kill_the_interrupted_task_waits_for_its_slot(place):
    place.tasks(command("long", logged(0.3)), TICK)
    with place.loop() as first:
        await until(lambda: place.lines(), "the run has begun")
        await dies(first)
    with place.loop():
        await until(lambda: len(place.lines()) == 2, "the orphan ends by itself")
        await until(lambda: place.entry("long").get("orphan") is None, "and is forgotten")
        await chances(place)
    assert len(place.lines()) == 2
    assert place.count("long") == 1


async def test_a_run_is_closed_also_if_its_task_has_left_the_settings(place):
    place.tasks(command("long", logged(0.2)), TICK)
    with place.loop() as first:
        await until(lambda: place.lines(), "the run has begun")
        await dies(first)
    place.tasks(TICK)
    with place.loop():
        await until(lambda: place.count("long") == 1, "the next owner closes the run")
        assert place.entry("long")["running"] is None


# On the loop, so that it dies in the very turn in which it was started.
SUICIDE = """
import os
async def run(context):
    with open("runs.log", "a") as file:
        file.write("start 0\\n")
    os.kill(os.getpid(), 9)
"""


@pytest.mark.parametrize("kind", ["command", "handler"])
async def test_a_task_that_kills_its_scheduler_does_not_do_so_at_every_start(place, kind, monkeypatch):
    (place.root / "deadly.py").write_text(SUICIDE.replace('"runs.log"', f'"{place.home}/runs.log"'))
    monkeypatch.setenv("PYTHONPATH", f"{place.root}:{os.environ.get('PYTHONPATH', '')}")
    deadly = {
        "command": command("deadly", "echo start $$ >> runs.log; kill -9 $PPID"),
        "handler": 'deadly\nevery = "1h"\nhandler = "deadly:run"',
    }
    place.tasks(deadly[kind], TICK)
    with place.loop() as first:
        await until(lambda: first.poll() is not None, "it kills its scheduler")
    assert first.returncode == -signal.SIGKILL
    with place.loop() as second:
        await until(lambda: place.count("deadly") == 1, "the next owner says so")
        await chances(place)
        assert second.poll() is None
    assert len(place.lines()) == 1
    assert place.entry("deadly")["outcome"] == "interrupted"


async def test_of_two_loops_started_at_once_one_runs_and_the_other_says_who(place):
    place.tasks(TICK)
    with place.loop() as one, place.loop() as other:
        await until(lambda: None not in (one.poll(), other.poll()) or place.count("tick"), "one runs")
        await until(lambda: {one.poll(), other.poll()} == {None, 2}, "the other ends")
    lines = place.log.read_text().splitlines()
    assert [line for line in lines if "experience: opus is owned by " in line and "end that one" in line]
    assert "Traceback" not in place.log.read_text()
