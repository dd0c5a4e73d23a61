"""The fleet of the drawings: Monday, 14:03:22; opus has spent its day, mira waits, aria is frozen."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count

from scheduler.core.costs import Money, RunCost
from scheduler.core.records import RunRecord
from scheduler.core.schedules.freeze import Freeze
from scheduler.core.state import Failure, Skips
from scheduler.core.task import Outcome, Progress, Trigger
from scheduler.core.views import Event, Hold, HoldKind, Snapshot, TaskStatus, TaskView, WakeView
from scheduler.core.wording.description import DefinitionField, TaskDetails
from scheduler.process.who import Who
from tests.fakes import FakeClock, FakeControl, FakeFleet

NOW = datetime(2026, 11, 23, 14, 3, 22, tzinfo=UTC).timestamp()
CT = Who("ct", "experience-tui", 4711)
PERIODS = {"5m": 300, "10m": 600, "15m": 900, "30m": 1800, "1h": 3600, "4h": 14400, "6h": 21600, "24h": 86400}
OUTCOMES = {
    "o": Outcome.OK,
    "w": Outcome.WARNING,
    "x": Outcome.FAILED,
    "s": Outcome.STOPPED,
    "r": Outcome.REFUSED,
}
KINDS = {
    "✓": TaskStatus.OK,
    "✗": TaskStatus.FAILED,
    "▲": TaskStatus.WARNING,
    "►": TaskStatus.RUNNING,
    "◷": TaskStatus.WAITS,
    "$": TaskStatus.OVER_BUDGET,
    "◌": TaskStatus.NOT_SET_UP,
}
SETTLED = "oooooooooo"
NOON_BEFORE = NOW - 6 * 3600  # about a quarter of the time from run to run is over


def at(clock: str, day: int = 0) -> float:
    """This time of the day of the drawings, or of one before."""
    hours, minutes, seconds = map(int, clock.split(":"))
    return NOW - (14 * 3600 + 3 * 60 + 22) + hours * 3600 + minutes * 60 + seconds - 86400 * day


def task(line: str, text: str = "", recent: str = SETTLED, **more: object) -> TaskView:
    """A task from what the table says of it: sign, name, schedule, next, last, took, runs."""
    sign, name, every, due, last, took, runs = line.split()
    when = NOW + span(due) if due != "-" else None
    given = {
        "kind": KINDS[sign],
        "schedule": "0 9 * * 1-5" if every == "cron" else every,
        "due": when,
        "since": when - PERIODS[every] if when and every in PERIODS else NOW - span(last),
        "last_run": NOW - span(last),
        "last_duration": span(took),
        "run_count": int(runs),
        "recent": recent,
        "text": text,
        "outcome": OUTCOMES[recent[-1]],
        "builtin": name not in ("wake", "report", "digest", "render", "inbox_sort", "invoices"),
    }
    return TaskView(name=name, **{**given, **more})


def unset(name: str, missing: str) -> TaskView:
    return TaskView(
        name,
        TaskStatus.NOT_SET_UP,
        {"price_monitor": "15m", "email_check": "1h"}.get(name, "4h"),
        missing=missing,
        builtin=True,
    )


def span(text: str) -> float:
    """Seconds of `02:11`, `3h49m`, `1.4s`, `170ms`."""
    if text.endswith("ms"):
        return int(text[:-2]) / 1000
    if text.endswith("s"):
        return float(text[:-1])
    if ":" in text:
        minutes, seconds = text.split(":")
        return int(minutes) * 60 + int(seconds)
    hours, minutes = text.removesuffix("m").split("h")
    return int(hours) * 3600 + int(minutes) * 60


def opus() -> Snapshot:
    spent = Hold(HoldKind.BUDGET, "over budget until 00:00 ($5.02 of $5.00)", at("00:00:00", -1), "day")
    failure = Failure(at("13:53:14"), "Connection timeout: feeds.example.org:443")
    return Snapshot(
        "opus",
        (
            task(
                "$ wake 10m 9h56m 27:43 04:12 1680", "report for Monday sent", held=spent, number=1680,
                cost_today="5.02", skips=Skips("2026-11-23", 12, 85),
            ),
            task("✓ report cron 18h56m 03:20 12s 261", "3 pages written", "ooooooooso", since=NOON_BEFORE),
            task("✓ digest 1h 45:40 14:20 31s 4188", "20 pages digested"),
            task("✓ heartbeat 5m 02:11 02:49 182ms 58900", "disk 61%, memory 34%, load 0.5"),
            task(
                "✗ news_scan 4h 3h49m 10:38 30s 2140", "", "ooooowooxx", error=failure, failures_in_a_row=2,
                last_success=NOW - 8 * 3600, timeout=30.0,
            ),
            task("✓ dream_generate 6h 5h27m 32:17 1.1s 1004", "1 prompt queued"),
            task("✓ memory_summary 6h 5h31m 28:42 640ms 988", "1 day summed up"),
            unset("email_check", "host"),
            unset("offsite_backup", "repository or directory"),
            unset("price_monitor", "source"),
        ),
        WakeView(1680, None),
        events("opus", OPUS),
        home="/srv/opus",
        money=Money("5.02", "31.16", "5.00", "60.00", "44"),
    )  # fmt: skip


def mira() -> Snapshot:
    away = Hold(
        HoldKind.PROVIDER, "waits for anthropic until 15:00 (usage limit)", at("15:00:00"), "anthropic"
    )
    return Snapshot(
        "mira",
        (
            task(
                "◷ wake 10m 56:38 03:22 11s 211", "refused", "osxxoooooo", held=away, number=211,
                cost_today="0.37", cost_month="11.84", skips=Skips("2026-11-23", 81, 85),
                outcome=Outcome.REFUSED,
            ),
            task(
                "► render 30m 27:19 02:41 01:52 812", "50 frames", "ooooooxooo", running_since=at("14:00:41"),
                progress=Progress(31, 50, "31 of 50 frames"), timeout=300.0,
            ),
            task("✓ inbox_sort 15m 13:48 01:12 1.4s 20400", "請求書 4471 filed, none urgent"),
            task("✓ heartbeat 5m 00:12 04:48 170ms 61200", "disk 61%, memory 34%, load 0.4"),
            task("✓ dream_generate 6h 4h51m 1h08m 1.0s 1020", "1 prompt queued"),
            task("✓ memory_summary 6h 5h34m 25:49 702ms 1011", "1 day summed up"),
            unset("email_check", "host"),
            unset("news_scan", "feeds"),
            unset("offsite_backup", "repository or directory"),
            unset("price_monitor", "source"),
        ),
        WakeView(211, None),
        events("mira", MIRA),
        home="/srv/mira",
        money=Money("0.37", "11.84", "5.00", "60.00", "18"),
    )  # fmt: skip


def aria() -> Snapshot:
    """Frozen: what has a next time does not show it."""
    return Snapshot(
        "aria",
        (
            task("✓ wake 10m 05:00 12:29 02:17 93", "two invoices answered", number=94, cost_today="1.92"),
            task("✓ invoices 30m 05:00 22:10 8.4s 1233", "2 invoices checked"),
            task("✓ heartbeat 5m 05:00 11:02 175ms 9812", "disk 61%, memory 34%, load 0.4"),
            task("▲ email_check 1h 05:00 28:20 39s 702", "1 of 2 mailboxes did not answer", "ooooooooow"),
            task("✓ news_scan 4h 05:00 39:20 6.2s 318", "11 new in 4 feeds"),
            task("✓ memory_summary 6h 05:00 3h40m 655ms 212", "1 day summed up"),
            task("✓ offsite_backup 24h 05:00 7h12m 02:41 53", "184 MB verified, 30 kept"),
            unset("dream_generate", "llm"),
            unset("price_monitor", "source"),
        ),
        WakeView(93, None),
        events("aria", ARIA),
        home="/srv/aria",
        owner="attached, pid 4711",
        freeze=Freeze(at("13:54:00"), at("08:00:00", -1), "ct", "invoices are under review"),
        money=Money("1.92", "9.08", "8.00", "", "16"),
    )


P50 = {  # of the last 50 runs
    "opus": {"wake": "02:44", "report": "11s", "digest": "28s", "heartbeat": "175ms", "news_scan": "6.1s",
             "dream_generate": "1.0s", "memory_summary": "655ms"},
    "mira": {"wake": "03:02", "inbox_sort": "1.3s", "heartbeat": "171ms", "dream_generate": "1.0s",
             "memory_summary": "690ms"},
    "aria": {"wake": "02:01", "invoices": "8.1s", "heartbeat": "172ms", "email_check": "36s",
             "news_scan": "6.0s", "memory_summary": "648ms", "offsite_backup": "02:40"},
}  # fmt: skip


# The panels of the drawings do not stand in the order of names: names of the same length put that right.
RENAMED = {"opus": "amos", "mira": "bela", "aria": "cora"}


def fleet(names: Mapping[str, str] = RENAMED, frozen: bool = True) -> FakeFleet:
    """All three, as they are drawn."""
    last = aria() if frozen else replace(aria(), freeze=None)
    people = FakeFleet(*(control(each, names) for each in (opus(), mira(), last)))
    people.clock = FakeClock(NOW)
    return people


def control(snapshot: Snapshot, names: Mapping[str, str]) -> FakeControl:
    name = names.get(snapshot.citizen, snapshot.citizen)
    events = tuple(replace(event, citizen=name) for event in snapshot.events)
    fake = FakeControl(replace(snapshot, citizen=name, events=events))
    numbers = count(1)
    for name, usual in P50[snapshot.citizen].items():
        fake.runs += tuple(steady(numbers, name, span(usual)))
    if snapshot.citizen == "mira":
        fake.runs += tuple(renders(numbers))
        fake.details["render"] = RENDER
        fake.prints("render", RENDERED)
    return fake


def steady(numbers: Iterator[int], name: str, seconds: float) -> Iterator[RunRecord]:
    """Fifty runs that took so long."""
    for number in range(50):
        began = NOW - 3600 * (50 - number)
        yield RunRecord(
            next(numbers), name, began, began + seconds, seconds, Outcome.OK, Trigger.SCHEDULE, text="fine"
        )


TOOK = [
    "02:31",
    "02:28",
    "timeout",
    "02:22",
    "02:36",
    "02:19",
    "02:25",
    "01:58",
    "01:52",
    "01:49",
    "01:51",
    "01:50",
    "01:47",
    "01:55",
    "01:52",
    "01:46",
    "01:53",
    "01:50",
    "01:48",
    "01:51",
    "01:54",
    "01:52",
]


def renders(numbers: Iterator[int]) -> Iterator[RunRecord]:
    """Fifty runs of the slow task, a half hour apart, the newest first in the drawing."""
    took = [*TOOK, *["01:52"] * 10, "timeout", *["02:40"] * 3, *["01:52"] * 14]
    for number, text in reversed([*enumerate(took, 1)]):
        began = at("14:00:41") - 1800 * number
        seconds = 300.0 if text == "timeout" else span(text)
        outcome = Outcome.TIMED_OUT if text == "timeout" else Outcome.OK
        yield RunRecord(
            next(numbers), "render", began, began + seconds, seconds, outcome, Trigger.SCHEDULE,
            text="50 frames", printed=True,
        )  # fmt: skip


def _facts(*rows: str) -> tuple[DefinitionField, ...]:
    return tuple(DefinitionField(*row.split(": ", 1)) for row in rows)


RENDER = TaskDetails(
    "render",
    _facts(
        "about: frames of the evening film", "schedule: every 30 minutes", "runs: python3 render.py -s 12",
        "set in: mira/experience.toml:14", "timeout: 5m", "retries: none", "missed runs: run once when back",
    ),
    _facts("scene: 12", "quality: high", "api_key: ***", "out: frames/"),
    tuple(at("14:30:41") + 1800 * number for number in range(5)),
)  # fmt: skip
_CACHE = "warning: texture cache is full, reading from disk"
RENDERED = f"""\
loading scene 12 (high)
frame 1 of 50: 3.1s
frame 2 of 50: 3.2s
{_CACHE}
frame 3 of 50: 4.4s
frame 4 of 50: 4.6s
frame 5 of 50: 4.5s
{_CACHE}
frame 6 of 50: 4.9s
frame 7 of 50: 4.8s
...
frame 27 of 50: 5.2s
frame 28 of 50: 5.1s
{_CACHE}
frame 29 of 50: 5.3s
frame 30 of 50: 5.2s
frame 31 of 50: 5.4s"""

Happened = tuple[str, str, str, Outcome | None, str]  # clock, kind, task, outcome, duration: text
OPUS: Sequence[str] = (
    "13:39:51 wake ok 04:12 report for Monday sent",
    "13:49:33 digest ok 31s 20 pages digested",
    "13:53:14 news_scan failed 30s Connection timeout: feeds.example.org:443",
    "14:00:33 heartbeat ok 182ms disk 61%, memory 34%, load 0.5",
)
MIRA: Sequence[str] = (
    "13:37:33 memory_summary ok 702ms 1 day summed up",
    "13:47:10 inbox_sort ok 1.2s 2 mails sorted, none urgent",
    "13:58:34 heartbeat ok 170ms disk 61%, memory 34%, load 0.4",
    "14:00:41 render started 0s ",
    "14:02:11 inbox_sort ok 1.4s 請求書 4471 filed, none urgent",
)
ARIA: Sequence[str] = (
    "13:41:20 invoices ok 8.4s 2 invoices checked",
    "13:43:10 wake ok 01:59 nothing to answer",
    "13:53:10 wake ok 02:17 two invoices answered, one put aside for a person",
)
COSTS = {
    "13:39:51": RunCost("0.61", tokens_in=80000, tokens_out=8400),
    "13:43:10": RunCost("0.20", tokens_in=26000, tokens_out=300),
    "13:53:10": RunCost("0.24", tokens_in=31000, tokens_out=400),
}
WAKES = {"13:39:51": 1680, "13:43:10": 92, "13:53:10": 93}


def events(citizen: str, lines: Sequence[str]) -> tuple[Event, ...]:
    return tuple(_event(citizen, number, *line.split(" ", 4)) for number, line in enumerate(lines, 1))


def _event(citizen: str, number: int, clock: str, name: str, how: str, took: str, text: str) -> Event:
    started = Event(number, at(clock), "started", citizen, name, trigger=Trigger.SCHEDULE)
    if how == "started":
        return started
    return replace(
        started, kind="finished", outcome=Outcome(how), duration=span(took), text=text, cost=COSTS.get(clock),
        number=WAKES.get(clock, 0),
    )  # fmt: skip
