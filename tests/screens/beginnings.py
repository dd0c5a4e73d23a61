"""The first minutes as situations: a first run, an empty fleet, broken settings; those of the mock-ups."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from scheduler.core.editor import Excerpt
from scheduler.core.task import Outcome, Trigger
from scheduler.core.views import Event, Snapshot, TaskStatus, TaskView, WakeView
from tests.fakes import FakeClock, FakeControl, FakeFleet
from tests.screens.situations import Situation
from tui.lessons.start_here import Beginning

BEGUN = datetime(2026, 3, 2, 22, 30, 12, tzinfo=UTC).timestamp()
HOME = Path.home() / ".local/share/experience"
EIGHT = {"beginning": Beginning(lambda: 8, Path("/nonexistent/hidden"))}
NONE = {"beginning": Beginning(lambda: 0, Path("/nonexistent/hidden"))}


def row(name: str, every: str, left: float, took: float | None, said: str, **more: object) -> TaskView:
    """A built-in task that ran nine seconds ago."""
    given = {"builtin": True, "since": BEGUN - 9, "last_run": BEGUN - 9, "run_count": 1, **more}
    kind = given.pop("kind", TaskStatus.OK)
    return TaskView(name, kind, every, due=BEGUN + left, last_duration=took, text=said, **given)


def needs(name: str, every: str, missing: str) -> TaskView:
    kind = TaskStatus.NOT_SET_UP
    return TaskView(name, kind, every, missing=missing, builtin=True, advice=f"[tasks.{name}]\nx = 1")


FIRST_ROWS = (
    row("wake", "10m", 591, None, "no wake command set", builtin=False, run_count=1, number=1),
    row("heartbeat", "5m", 291, 0.162, "disk 25%, memory 12%, load 0.2, no peers"),
    row("dream_generate", "6h", 21591, 0.012, "1 prompt queued"),
    row("memory_summary", "6h", 21591, 0.009, "nothing to sum up"),
    needs("price_monitor", "15m", "source"),
    needs("email_check", "1h", "host"),
    needs("news_scan", "4h", "feeds"),
    needs("offsite_backup", "24h", "repository or directory"),
)
HAPPENED = (
    ("heartbeat", 0.162, "disk 25%, memory 12%, load 0.2, no peers"),
    ("memory_summary", 0.009, "nothing to sum up"),
    ("dream_generate", 0.012, "1 prompt queued"),
    ("wake", None, "no wake command is set"),
)
FIRST = Snapshot(
    "opus",
    FIRST_ROWS,
    wake=WakeView(1, BEGUN + 591, BEGUN - 9, configured=False),
    home=str(HOME / "opus"),
    events=tuple(
        Event(
            n,
            BEGUN - 9 + (task == "wake"),
            "finished",
            "opus",
            task,
            Outcome.OK,
            said,
            Trigger.SCHEDULE,
            took,
        )
        for n, (task, took, said) in enumerate(HAPPENED, 1)
    ),
)


def first(**changes: object):
    return lambda: FakeFleet(FakeControl(replace(FIRST, **changes)), clock=FakeClock(BEGUN))


def empty():
    file = str(Path.home() / ".config/experience/experience.toml")
    return FakeFleet(root=str(HOME), file=file, clock=FakeClock(BEGUN))


NOW = BEGUN - 8 * 3600 - 26 * 60 - 50  # 14:03:22
WRONG = (
    "/srv/opus/experience.toml: tasks.report.evry: unknown key; did you mean every?",
    "/srv/opus/experience.toml:21: tasks.digest.cron: '0 9 * * mon-fry': mon-fry is no weekday",
)
FILE = """\
[tasks.report]
every = "1h"
command = ["python3", "report.py"]

[tasks.digest]
cron = "0 9 * * mon-fry"
command = ["python3", "digest.py"]
"""
PLACES = {
    "tasks.report.evry": Excerpt(14, 13, ("[tasks.report]", 'evry = "1h"', 'command = ["sh"]'), 0, 4),
    "tasks.digest.cron": Excerpt(
        21, 20, ("[tasks.digest]", 'cron = "0 9 * * mon-fry"', 'command = ["python3", "digest.py"]'), 16, 7
    ),
}
GOOD = Snapshot(
    "opus",
    (
        replace(
            row("wake", "10m", 192, 160, "report begun", builtin=False, number=1681),
            due=NOW + 192,
            since=NOW - 408,
        ),
        replace(
            row("report", "0 9 * * mon-fri", 68160, 12, "3 pages written", builtin=False),
            due=NOW + 68160,
            since=NOW - 9000,
        ),
        replace(row("heartbeat", "5m", 131, 0.182, "disk 61%, memory 34%"), due=NOW + 131, since=NOW - 169),
        *FIRST_ROWS[-3:],
    ),
    wake=WakeView(1681, NOW + 192),
    home="/srv/opus",
)
BROKEN = replace(GOOD, problems=WRONG, settings_from=NOW - 322)
STOPPED = Snapshot("opus", (), stale="\n".join(WRONG), problems=WRONG, owner="", home="/srv/opus")


class Excerpts:
    """An editor that only knows where these problems stand."""

    def excerpt(self, citizen: str, file: Path, line: int, key: str, words: str) -> Excerpt | None:
        return PLACES.get(key)


def at_two(*snapshots: Snapshot, **view: object):
    return lambda: FakeFleet(*map(FakeControl, snapshots), clock=FakeClock(NOW), **view)


FOUND = {"editor": Excerpts}
BEGINNINGS = {
    "broken_settings": Situation(at_two(BROKEN), (80, 24), options=FOUND),
    "broken_settings_wide": Situation(at_two(BROKEN), (120, 40), ("tab", "enter"), FOUND),
    "broken_at_start": Situation(at_two(STOPPED), (80, 24), options=FOUND),
    "broken_main": Situation(at_two(problems=("/etc/experience.toml:3: keys.forse: unknown key",)), (80, 24)),
    "first_run_80x24": Situation(first(), (80, 24), options=EIGHT),
    "first_run": Situation(first(), (120, 40), options=EIGHT),
    "first_run_without_cron": Situation(first(), (80, 24), options=NONE),
    "first_run_steps": Situation(first(), (120, 40), ("tab", "down"), EIGHT),
    "first_run_low": Situation(first(), (100, 20), options=EIGHT),
    "no_citizens": Situation(empty, (80, 24), options=EIGHT),
    "no_citizens_read_only": Situation(empty, (80, 24), options={**EIGHT, "read_only": True}),
}
