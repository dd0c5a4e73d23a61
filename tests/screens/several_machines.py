"""Six citizens on three machines, one of them silent, and a worker for two queues, at 14:03:22."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from decimal import Decimal
from enum import Enum
from typing import Any

from scheduler.core.costs import Money
from scheduler.core.machines import Cluster, Host, Machine, Queue
from scheduler.core.state import Failure
from scheduler.core.task import WAKE, Outcome, Progress, Trigger
from scheduler.core.views import Event, Hold, HoldKind, Snapshot, TaskStatus, TaskView, WakeView
from tests.fakes import NOON, FakeClock, FakeControl, FakeFleet

NOW = NOON + 2 * 3600 + 3 * 60 + 22
SILENT, MOVED = NOW - 41, NOW - 8  # when m2 was heard last, and when nova began on m3
GPU = Hold(HoldKind.QUEUE, "for a gpu worker: 2nd of 2", about="gpu")


def at(text: str) -> float:
    """Seconds of a span as the screen writes it: `03:12`, `5h31m`."""
    hours, h, rest = text.rpartition("h")
    if h:
        return 3600 * int(hours) + 60 * int(rest.rstrip("m"))
    minutes, _, seconds = text.partition(":")
    return 60 * int(minutes) + int(seconds)


def row(name: str, left: str, every: str, done: float = 0.5, **more: object) -> TaskView:
    """A task with this countdown; `done` is how much of the time between two runs is over."""
    due = NOW + at(left)
    since = NOW - at(left) * done / (1 - done)
    kind = more.pop("kind", TaskStatus.OK)
    return TaskView(name, kind, every, due, since, since, 42, builtin=name not in OWN, **more)  # type: ignore[arg-type]


OWN = (WAKE, "report", "render", "embed", "invoices", "digest", "inbox_sort")


def wake(left: str, done: float, cost: str, number: int, **more: object) -> TaskView:
    return row(WAKE, left, "10m", done, cost_today=cost, number=number, **more)


def unset(*names: str) -> Iterator[TaskView]:
    for name in names:
        yield TaskView(name, TaskStatus.NOT_SET_UP, "1h", missing="x", builtin=True)


def failure(text: str, ago: float = 600.0, times: int = 1) -> dict[str, object]:
    return {"kind": TaskStatus.FAILED, "error": Failure(NOW - ago, text), "failures_in_a_row": times}


def citizens() -> list[Snapshot]:
    running = {"kind": TaskStatus.RUNNING, "running_since": NOW - at("02:41"), "where": "g1"}
    half = Progress(31, 50, "31 of 50 files")
    return [
        Snapshot(
            "opus",
            (
                wake("03:12", 0.66, "0.37", 1681),
                row("report", "18h56m", "0 9 * * *", 0.25),
                row("heartbeat", "02:11", "5m", 0.58),
                TaskView("render", TaskStatus.WAITS, "1h", note=GPU.why, held=GPU, queue="gpu", run_count=7),
                row("memory_summary", "5h31m", "6h", 0.08),
                *unset("dream_generate", "news_scan", "email_check"),
            ),
            WakeView(1681, NOW + 192),
            owner="attached, m1, pid 4711",
        ),
        Snapshot(
            "mira",
            (
                wake(
                    "01:12",
                    0.02,
                    "0.37",
                    212,
                    running_since=NOW - 72,
                    timeout=3600.0,
                    kind=TaskStatus.RUNNING,
                ),
                row("embed", "02:41", "5m", progress=half, queue="gpu", **running),
                row("heartbeat", "00:12", "5m", 0.96),
                row("memory_summary", "5h34m", "6h", 0.08),
                *unset("dream_generate", "news_scan", "email_check", "offsite_backup"),
            ),
            WakeView(212, NOW + 72),
            owner="attached, m1, pid 4711",
        ),
        Snapshot(
            "aria",
            (
                wake("07:11", 0.25, "1.92", 93),
                row("invoices", "11:02", "30m", 0.66),
                row("heartbeat", "03:56", "5m", 0.25),
                row(
                    "email_check",
                    "31:40",
                    "1h",
                    0.5,
                    **failure("IMAP login refused: [AUTHENTICATIONFAILED]", times=5),
                ),
                row("news_scan", "3h07m", "4h", 0.25),
                row("offsite_backup", "15h18m", "24h", 0.33),
            ),
            WakeView(93, NOW + 431),
            owner="attached, m3, pid 902",
        ),
        Snapshot(
            "luna",
            (
                wake("02:00", 0.5, "0.80", 77, running_since=NOW - 132, kind=TaskStatus.RUNNING),
                row("digest", "20:00", "1h"),
                row("heartbeat", "02:00", "5m"),
                row("price_monitor", "02:00", "15m"),
                row("memory_summary", "1h00m", "6h"),
            ),
            WakeView(77, NOW + 120),
            owner="attached, m2, pid 316",
            stale="m2 does not answer",
        ),
        Snapshot(
            "nova",
            (
                wake("06:40", 0.33, "0.12", 340),
                row(
                    "dream_generate",
                    "00:22",
                    "6h",
                    0.25,
                    note="attempt 2 of 3",
                    **failure("interrupted: m2 was lost", 8),
                ),
                row("heartbeat", "04:52", "5m", 0.02),
                row("memory_summary", "2h10m", "6h", 0.66),
            ),
            WakeView(340, NOW + 400),
            owner="attached, m3, pid 902",
            events=(
                Event(
                    1,
                    MOVED,
                    "finished",
                    "nova",
                    "dream_generate",
                    Outcome.INTERRUPTED,
                    "m2 was lost; attempt 2 of 3 in 30s",
                    Trigger.SCHEDULE,
                ),
            ),
        ),
        Snapshot(
            "sol",
            (
                wake("00:40", 0.92, "0.05", 518),
                row("inbox_sort", "13:48", "15m", 0.08),
                row("heartbeat", "01:20", "5m", 0.75),
                row("news_scan", "1h37m", "4h", 0.58),
                row("dream_generate", "4h51m", "6h", 0.16),
                row("memory_summary", "54:16", "6h", 0.84),
                row("offsite_backup", "9h15m", "24h", 0.58),
            ),
            WakeView(518, NOW + 40),
            owner="attached, m3, pid 902",
        ),
    ]


CLUSTER = Cluster(
    "db.example",
    30.0,
    0.0031,
    machines=(
        Machine("m1", NOW, citizens=("mira", "opus"), running=1, load=0.4, ahead=0.0),
        Machine("m2", SILENT, True, citizens=("luna",)),
        Machine("m3", NOW, citizens=("aria", "nova", "sol"), load=0.2, ahead=0.0),
        Machine("g1", NOW, load=7.9, ahead=-0.1, queues=("gpu",), carries=("mira/embed",)),
    ),
    queues=(
        Queue("gpu", 1, 1, 2, NOW - 64, "opus/render"),
        Queue("mail"),
    ),
    hosts={
        "opus": Host("m1", 4711, others=("m3",)),
        "mira": Host("m1", 4711, others=("m3",)),
        "aria": Host("m3", 902, moved_from="m1", moved_at=NOW - 7300),
        "luna": Host("m2", 316, silent_since=SILENT),
        "nova": Host("m3", 902, moved_from="m2", moved_at=MOVED, others=("m2",)),
        "sol": Host("m3", 902),
    },
)


def one_fleet(names: Mapping[str, str] | None = None) -> FakeFleet:
    """The fleet of the drawing; `names` for those that it has there."""
    people = [replace(each, wake=before(each.wake), money=spent(each)) for each in citizens()]
    known, cluster = renamed((people, CLUSTER), names or {})
    return FakeFleet(*map(FakeControl, known), clock=FakeClock(NOW), cluster=cluster)


def before(wake: WakeView) -> WakeView:
    """The title says the number of the next one."""
    return replace(wake, count=wake.count - 1)


def spent(citizen: Snapshot) -> Money:
    today = citizen.tasks[0].cost_today
    return Money(today, str(Decimal(today) * 20))


def renamed(value: Any, names: Mapping[str, str]) -> Any:
    """The same with other names of citizens, wherever one is said."""
    if isinstance(value, str) and not isinstance(value, Enum):
        return re.sub(r"\w+", lambda word: names.get(word[0], word[0]), value)
    if isinstance(value, list | tuple):
        return type(value)(renamed(each, names) for each in value)
    if isinstance(value, Mapping):
        return {renamed(key, names): renamed(each, names) for key, each in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return replace(
            value, **{field.name: renamed(getattr(value, field.name), names) for field in fields(value)}
        )
    return value
