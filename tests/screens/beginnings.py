"""The first minutes as situations: a first run, an empty fleet, broken settings; those of the mock-ups."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

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
    wake=WakeView(2, BEGUN + 591, BEGUN - 9, configured=False),
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


BEGINNINGS = {
    "first_run_80x24": Situation(first(), (80, 24), options=EIGHT),
    "first_run": Situation(first(), (120, 40), options=EIGHT),
    "first_run_without_cron": Situation(first(), (80, 24), options=NONE),
    "first_run_steps": Situation(first(), (120, 40), ("tab", "down"), EIGHT),
    "first_run_low": Situation(first(), (100, 20), options=EIGHT),
    "no_citizens": Situation(empty, (80, 24), options=EIGHT),
    "no_citizens_read_only": Situation(empty, (80, 24), options={**EIGHT, "read_only": True}),
}
