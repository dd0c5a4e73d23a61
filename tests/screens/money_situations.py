"""Three citizens: opus has spent its day's budget, mira waits for her provider, aria is frozen."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from scheduler.core.costs import Money, RunCost
from scheduler.core.records import RunRecord
from scheduler.core.schedules.freeze import Freeze
from scheduler.core.state import Failure, Skips
from scheduler.core.task import WAKE, Outcome, Progress, Trigger
from scheduler.core.views import Event, Hold, HoldKind, Snapshot, TaskStatus, TaskView, WakeView
from scheduler.core.wording.description import DefinitionField, TaskDetails
from scheduler.process.who import Who
from tests.fakes import FakeClock, FakeControl, FakeFleet
from tests.screens.situations import Situation

NOW = datetime(2026, 11, 23, 14, 3, 22, tzinfo=UTC).timestamp()
MIDNIGHT = datetime(2026, 11, 24, tzinfo=UTC).timestamp()
CT = Who("ct")
MINUTE, HOUR = 60.0, 3600.0


def at(clock: str) -> float:
    """That time of this day."""
    hours, minutes, seconds = (int(part) for part in clock.split(":"))
    return MIDNIGHT - 24 * HOUR + hours * HOUR + minutes * MINUTE + seconds


def row(name: str, schedule: str, every: float, left: float, **more: Any) -> TaskView:
    """A task that is due in `left` seconds."""
    due = NOW + left
    given: dict[str, Any] = {
        "kind": TaskStatus.OK,
        "due": due,
        "since": due - every,
        "last_run": due - every,
        "run_count": 42,
    }
    return TaskView(name, schedule=schedule, **{**given, "recent": "o" * 10, **more})  # type: ignore[arg-type]


def unset(name: str, missing: str) -> TaskView:
    return TaskView(name, TaskStatus.NOT_SET_UP, "5m", missing=missing, builtin=True)


def event(seq: int, citizen: str, clock: str, kind: str, task: str = "", **more: Any) -> Event:
    return Event(seq, at(clock), kind, citizen, task, **more)


def paid(number: int, took: float, text: str, **cost: Any) -> dict[str, Any]:
    return {"outcome": Outcome.OK, "duration": took, "text": text, "cost": RunCost(**cost), "number": number}


OVER = Hold(HoldKind.BUDGET, "over budget until 00:00 ($5.02 of $5.00)", MIDNIGHT, "own 2026-11-24")
AWAY = Hold(HoldKind.PROVIDER, "waits for anthropic until 15:00 (usage limit)", at("15:00:00"), "anthropic")
UNSET = (("email_check", "host"), ("offsite_backup", "to"), ("price_monitor", "x"))
AFTERWARDS = "runs that call it wait, then one goes first"
OPUS = Snapshot(
    "opus",
    (
        row(
            WAKE,
            "10m",
            600,
            MIDNIGHT - NOW,
            kind=TaskStatus.OVER_BUDGET,
            held=OVER,
            note=OVER.why,
            cost_today="5.02",
            cost_month="31.16",
            skips=Skips("2026-11-23", 12, 85),
            last_duration=252.0,
            last_run=at("13:35:39"),
            number=1680,
            run_count=1680,
        ),
        row("report", "0 9 * * mon-fri", 86400, 18 * HOUR + 56 * MINUTE + 38),
        row("digest", "1h", HOUR, 2740),
        row("heartbeat", "5m", 300, 131, builtin=True),
        row(
            "news_scan",
            "4h",
            4 * HOUR,
            3 * HOUR + 49 * MINUTE,
            builtin=True,
            kind=TaskStatus.FAILED,
            error=Failure(at("13:53:14"), "Connection timeout: feeds.example.org:443"),
            failures_in_a_row=2,
            recent="ooooowooxx",
        ),
        row("dream_generate", "6h", 6 * HOUR, 5 * HOUR + 27 * MINUTE, builtin=True),
        row("memory_summary", "6h", 6 * HOUR, 5 * HOUR + 31 * MINUTE, builtin=True),
        *(unset(*each) for each in UNSET),
    ),
    WakeView(1680, MIDNIGHT, at("13:35:39")),
    events=(
        event(1, "opus", "13:39:51", "finished", WAKE, **paid(
            1680, 252.0, "report for Monday sent", cost_usd="0.61", tokens_in=88_000, tokens_out=410)),
        event(2, "opus", "13:43:20", "over budget", WAKE, text=OVER.why),
        event(3, "opus", "13:46:20", "paused", "report", who=CT, text="until 13:58: table changes"),
        event(4, "opus", "13:53:14", "finished", "news_scan", outcome=Outcome.FAILED, duration=30.0,
              text="Connection timeout: feeds.example.org:443"),
        event(5, "opus", "14:00:14", "finished", "report", outcome=Outcome.OK, duration=12.0, who=CT,
              trigger=Trigger.FORCE, text="3 pages written"),
    ),
    money=Money("5.02", "31.16", "5.00", "60.00", "48.20", 0, "4.90", "2.00"),
)  # fmt: skip
MIRA = Snapshot(
    "mira",
    (
        row(
            WAKE,
            "10m",
            600,
            at("15:00:00") - NOW,
            kind=TaskStatus.WAITS,
            held=AWAY,
            note=AWAY.why,
            cost_today="0.37",
            cost_month="11.84",
            skips=Skips("2026-11-23", 81, 85),
            last_run=at("14:00:00"),
            last_duration=11.0,
            number=211,
            run_count=211,
            recent="osxxoooooo",
        ),
        row(
            "render",
            "30m",
            1800,
            0,
            kind=TaskStatus.RUNNING,
            running_since=NOW - 161,
            due=None,
            timeout=300.0,
            progress=Progress(31, 50, "31 of 50 frames"),
        ),
        row("inbox_sort", "15m", 900, 828),
        row("heartbeat", "5m", 300, 12, builtin=True),
        row("dream_generate", "6h", 6 * HOUR, 4 * HOUR + 51 * MINUTE, builtin=True),
        row("memory_summary", "6h", 6 * HOUR, 5 * HOUR + 34 * MINUTE, builtin=True),
        *(unset(each, "host") for each in ("email_check", "news_scan", "offsite_backup", "price_monitor")),
    ),
    WakeView(211, at("15:00:00"), at("14:00:00")),
    events=(
        event(1, "mira", "14:00:11", "finished", WAKE, outcome=Outcome.REFUSED, duration=11.0, number=212,
              text="refused by anthropic: usage limit, until 15:00", cost=RunCost("0")),
        event(2, "mira", "14:00:11", "away", provider="anthropic",
              text=f"away until 15:00 (usage limit): {AFTERWARDS}"),
        event(3, "mira", "14:00:41", "started", "render", trigger=Trigger.SCHEDULE),
    ),
    money=Money("0.37", "11.84", "5.00", "60.00", "15.94", 0, "0.59", "2.00"),
)  # fmt: skip
ARIA = Snapshot(
    "aria",
    (
        row(WAKE, "10m", 600, 400, cost_today="1.92", cost_month="9.08", number=93, run_count=93),
        row("invoices", "30m", 1800, 600),
        row("heartbeat", "5m", 300, 200, builtin=True),
        row("email_check", "1h", HOUR, 1800, builtin=True, kind=TaskStatus.WARNING),
        row("news_scan", "4h", 4 * HOUR, 7000, builtin=True),
        row("memory_summary", "6h", 6 * HOUR, 7000, builtin=True),
        row("offsite_backup", "24h", 24 * HOUR, 7000, builtin=True),
        *(unset(each, "llm") for each in ("dream_generate", "price_monitor")),
    ),
    WakeView(93, NOW + 400, at("13:50:53")),
    owner="attached, pid 4711",
    events=(
        event(1, "aria", "13:53:10", "finished", WAKE, **paid(
            93, 137.0, "two invoices answered", cost_usd="0.24", tokens_in=31_000, tokens_out=400)),
        event(2, "aria", "13:54:00", "frozen", who=CT, text="until 08:00: invoices are under review"),
    ),
    freeze=Freeze(at("13:54:00"), MIDNIGHT + 8 * HOUR, "ct", "invoices are under review"),
    money=Money("1.92", "9.08", "8.00", "", "13.90", 0, "0.70"),
)  # fmt: skip


def ran(number: int, clock: str, took: float, cost: str, **more: Any) -> RunRecord:
    began = at(clock)
    given: dict[str, Any] = {"outcome": Outcome.OK, "trigger": Trigger.SCHEDULE, **more}
    paid = RunCost(cost, tokens_in=int(float(cost) * 140_000), tokens_out=410, turns=4) if cost else None
    return RunRecord(number, WAKE, began, began + took, took, cost=paid, **given)


def mira() -> FakeControl:
    """A wake whose provider is away, with the history of its day."""
    fake = control(MIRA)
    skipped = {"outcome": Outcome.SKIPPED, "text": "nothing new since 12:40"}
    fake.runs = (
        ran(12, "14:00:00", 11, "0", outcome=Outcome.REFUSED, text="refused by anthropic: usage limit"),
        ran(11, "13:50:00", 0, "", outcome=Outcome.SKIPPED, text="over budget until 00:00 ($5.02 of $5.00)"),
        ran(10, "13:20:00", 182, "0.22", why="news: mail-7.json in the queue"),
        ran(9, "13:10:00", 0, "", **skipped),
        ran(8, "13:08:10", 130, "0.28", trigger=Trigger.FORCE, who=CT),
        ran(7, "13:01:02", 60, "0.11", outcome=Outcome.FAILED, attempt=2, text="exit 1"),
        ran(6, "13:00:00", 28, "0.06", outcome=Outcome.FAILED, text="exit 1"),
        ran(5, "12:50:00", 0, "", **skipped),
        ran(4, "12:40:00", 122, "0.22", outcome=Outcome.STOPPED, text="stopped by ct"),
        ran(3, "12:20:00", 298, "0.62", trigger=Trigger.URGENT),
        ran(2, "02:00:00", 0, "", outcome=Outcome.SKIPPED, text="frozen until 08:00 by ct: moving house"),
        ran(1, "01:50:00", 171, "0.33", why="the last wake was 6h ago"),
    )
    facts = (
        DefinitionField("schedule", "every 10 minutes"),
        DefinitionField("runs", 'claude -p "Read your queue and act."'),
        DefinitionField("set in", "mira/experience.toml:3"),
        DefinitionField("timeout", "1h"),
        DefinitionField("retries", "2, the first after 30s, then doubling"),
        DefinitionField("pauses", "after 10 failures in a row"),
    )
    special = (
        DefinitionField("gate", "news: queue, task results, notes/; wakes anyway after 6h"),
        DefinitionField("report", "its cost, from what claude prints"),
        DefinitionField("provider", "anthropic"),
    )
    upcoming = tuple(at("15:00:00") + n * 600 for n in range(5))
    fake.details = {WAKE: TaskDetails(WAKE, facts, special, upcoming)}
    return fake


def awake() -> FakeControl:
    """The same while it is awake."""
    fake = mira()
    row = replace(
        MIRA.tasks[0], kind=TaskStatus.RUNNING, held=None, note="", running_since=NOW - 161, due=None
    )
    fake.snapshot = replace(MIRA, tasks=(row, *MIRA.tasks[1:]))
    return fake


def control(snapshot: Snapshot) -> FakeControl:
    """The citizen, with what its wakes cost."""
    fake = FakeControl(snapshot)
    costs = ("0.61", "0.48", "0.46", "0.48", "0.45", "0.48", "0.47", "0.50", "0.49", "0.48")
    fake.runs = tuple(
        RunRecord(n, WAKE, NOW - 900 - n * 600, NOW - 700 - n * 600, 200.0, Outcome.OK, cost=RunCost(cost))
        for n, cost in enumerate(costs)
    )
    command = DefinitionField("runs", 'claude -p "Read your queue and act."')
    fake.details = {WAKE: TaskDetails(WAKE, (command,), (), (MIDNIGHT,))}
    return fake


def fleet(*snapshots: Snapshot) -> Callable[[], FakeFleet]:
    """These citizens at that moment."""
    return lambda: FakeFleet(*map(control, snapshots), clock=FakeClock(NOW))


NAMES = [f"mira_{letter}" for letter in "abcdefghijklmnopqr"]


def many() -> FakeFleet:
    """More citizens than there is room for; all but the first four wait for the same provider."""
    calm = replace(ARIA, freeze=None, events=(), owner="here")
    each = [replace(calm if n < 4 else MIRA, citizen=name, events=()) for n, name in enumerate(NAMES)]
    return fleet(*each)()


MONEY = {
    "money": Situation(fleet(OPUS, MIRA, ARIA)),
    "money_80x24": Situation(fleet(OPUS, MIRA, ARIA), (80, 24)),
    "money_wide": Situation(fleet(OPUS, MIRA, ARIA), (200, 60)),
    "money_table": Situation(fleet(OPUS, MIRA, ARIA), keys=("v",)),
    "money_table_80x24": Situation(fleet(OPUS, MIRA, ARIA), (80, 24), ("v",)),
    "money_budget": Situation(fleet(OPUS, MIRA), (80, 24), ("tab", "B")),
    "money_other_amount": Situation(fleet(OPUS, MIRA), (80, 24), ("tab", "B", "d", *"2.5")),
    "money_wake_over_budget": Situation(fleet(OPUS, MIRA), (80, 24), ("tab", "w")),
    "money_details": Situation(lambda: FakeFleet(mira(), clock=FakeClock(NOW)), keys=("enter",)),
    "money_details_80x24": Situation(lambda: FakeFleet(mira(), clock=FakeClock(NOW)), (80, 24), ("enter",)),
    "money_stop": Situation(lambda: FakeFleet(awake(), clock=FakeClock(NOW)), (80, 24), ("x",)),
    "money_away": Situation(many),
    "money_away_80x24": Situation(many, (80, 24)),
    "money_wake_away": Situation(fleet(OPUS, MIRA), (80, 24), ("w",)),
}
