"""Log lines: for people who look weeks later."""

import io
import json
import logging
import re
from pathlib import Path

from scheduler.core.schedules.schedule import Every
from scheduler.core.task import Call, Task
from scheduler.runtime.log_output import log_lines
from scheduler.storage.state_file import StateFile
from scheduler.storage.state_store import DiskStore
from tests.each import each

DAY = r"\d{4}-\d\d-\d\d "
TIME = r"\d\d:\d\d:\d\d "


class Stream(io.StringIO):
    """Where a loop prints: a terminal, or a file."""

    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


def logged(home: Path, stream: io.StringIO, *, as_json: bool = False) -> str:
    """What the citizen's own file gets of two lines, one of them with a traceback."""
    with log_lines(stream, as_json=as_json) as on_home:
        on_home("opus", home)
        log = logging.getLogger("experience")
        log.warning("said", extra={"citizen": "opus"})
        log.warning("said on\ntwo lines", extra={"citizen": "opus"})
    return (home / "logs" / "experience.log").read_text()


def test_each_line_of_a_file_says_on_which_day_it_was_written(home):
    """ark-server-tools 590, keila 312, FAForever 437: a log of weeks had times without a day."""
    lines = logged(home, Stream(terminal=True)).splitlines()
    assert len(lines) == 2
    assert all(re.match(DAY + TIME, line) for line in lines)


@each(("terminal", "start"), [(True, TIME), (False, DAY + TIME)])
def test_a_terminal_shows_times_and_a_file_that_stands_for_one_days_too(home, terminal, start):
    """`core.py --loop > file`, or a detached loop: OctopusDeploy 757."""
    stream = Stream(terminal)
    logged(home, stream)
    assert re.match(start + "opus said$", stream.getvalue().splitlines()[0])


def test_objects_say_it_in_seconds(home):
    (line, _) = logged(home, Stream(terminal=False), as_json=True).splitlines()
    assert json.loads(line)["time"] > 1.7e9


HALF_VALID = {"last_run": {"tick": "yesterday"}, "run_counts": {"tick": 3}, "errors": [], "tasks": {}}


async def test_what_is_dropped_from_a_half_valid_state_file_is_logged(build, home, clock, caplog):
    (home / "background_tasks.json").write_text(json.dumps(HALF_VALID))
    scheduler = await build(store=DiskStore(home, clock))
    dropped = [each for each in scheduler.snapshot().problems if "dropped" in each]
    assert len(dropped) == 2
    assert [each.getMessage() for each in caplog.records if "dropped" in each.getMessage()] == dropped


async def test_what_is_dropped_from_a_file_that_was_edited_meanwhile_is_logged(build, home, clock, caplog):
    task = Task("tick", Every(86400.0), Call(lambda context: ""), enabled=False)
    scheduler = await build(task, store=DiskStore(home, clock))
    await scheduler.pause("tick")
    (home / "background_tasks.json").write_text(json.dumps(HALF_VALID))
    await scheduler.resume("tick")
    assert StateFile(home).load()[0]["tick"].run_count == 3
    assert [each.getMessage() for each in caplog.records if "last_run.tick: expected" in each.getMessage()]
