"""The log of all citizens: in order of time, bounded, with a line for what it missed."""

from dataclasses import replace

from scheduler.core.costs import RunCost
from scheduler.core.records import RunRecord
from scheduler.core.task import Outcome, Trigger
from scheduler.core.views import Event, Snapshot, TaskStatus
from tests.each import each
from tests.fakes import NOON
from tui.fleet.arrangement import Filter
from tui.log.events import KEPT, SPARE, Day, EventLog, Gap, LogLines, kind_of, text_of, where_of


def event(seq: int, citizen: str = "opus", at: float | None = None, **more) -> Event:
    given = {"kind": "started", "task": "tick", "trigger": Trigger.SCHEDULE, **more}
    return Event(seq, NOON + (seq if at is None else at), citizen=citizen, **given)


def snapshot(*events: Event) -> Snapshot:
    return Snapshot(events[0].citizen, events=events)


def numbers(log: EventLog) -> list[int | str]:
    return [f"{each.skipped} skipped" if isinstance(each, Gap) else each.seq for each in log.entries]


def shown(lines: LogLines) -> list[str]:
    return ["day" if isinstance(line.content, Day) else text_of(line.content) for line in lines.lines]


def test_each_event_is_taken_once():
    log = EventLog()
    assert log.add_events(snapshot(event(1), event(2)))
    assert not log.add_events(snapshot(event(1), event(2)))
    assert log.add_events(snapshot(event(2), event(3)))
    assert numbers(log) == [1, 2, 3]


def test_events_of_all_citizens_are_in_the_order_of_time():
    log = EventLog()
    log.add_events(snapshot(event(1, at=10), event(2, at=30)))
    log.add_events(snapshot(event(1, "mira", at=20), event(2, "mira", at=40)))
    assert [(each.citizen, each.time - NOON) for each in log.entries] == [
        ("opus", 10), ("mira", 20), ("opus", 30), ("mira", 40),
    ]  # fmt: skip


def test_what_is_missing_in_between_is_said():
    log = EventLog()
    log.add_events(snapshot(event(1), event(2)))
    log.add_events(snapshot(event(150), event(151)))
    assert numbers(log) == [1, 2, "147 skipped", 150, 151]


def test_runs_of_the_history_stand_before_the_first_event_that_is_known():
    log = EventLog()
    log.add_events(snapshot(event(7, at=10), event(8, at=20)))
    runs = [RunRecord(n, "tick", NOON, NOON + 4 * n, 0.1, Outcome.OK) for n in (5, 4, 3, 2)]
    log.add_past("opus", runs, NOON + 99)
    log.add_past("mira", runs, NOON + 13)
    assert [(each.citizen, each.time - NOON) for each in log.entries] == [
        ("mira", 8), ("opus", 8), ("opus", 10), ("mira", 12), ("opus", 20),
    ]  # fmt: skip
    assert log.changed_from == 0
    assert not log.add_events(snapshot(event(7, at=10), log.entries[-1]))


def test_what_was_before_the_first_look_is_not_missing():
    log = EventLog()
    log.add_events(snapshot(event(500)))
    assert numbers(log) == [500]


@each("again", [[event(1, at=900)], [event(seq, at=900 + seq) for seq in range(1, 9)]])
def test_a_new_owner_counts_from_one_again(again):
    log = EventLog()
    log.add_events(snapshot(event(1), event(2), event(3)))
    log.add_events(snapshot(*again))
    assert numbers(log) == [1, 2, 3, *(each.seq for each in again)]


def test_it_is_bounded_and_says_how_many_have_gone():
    log = EventLog()
    for seq in range(1, KEPT + SPARE + 2):
        log.add_events(snapshot(event(seq)))
    assert len(log.entries) == KEPT
    assert log.lost == SPARE + 1
    assert log.entries[-1].seq == KEPT + SPARE + 1


def test_lines_take_in_only_what_changed_and_come_to_the_same():
    log, lines = EventLog(), None
    for seq in range(1, 60):
        citizen = "opus" if seq % 3 else "mira"
        log.add_events(snapshot(event(seq, citizen, at=seq * 3000 - (seq % 5) * 7000)))
        if seq == 20:
            lines = LogLines(log)
        if lines:
            lines.catch_up()
            afresh = LogLines(log)
            afresh.catch_up()
            assert lines.lines == afresh.lines


def test_a_new_day_has_a_line_of_its_own():
    log = EventLog()
    log.add_events(snapshot(event(1), event(2), event(3, at=86400), event(4, at=86401)))
    lines = LogLines(log)
    lines.catch_up()
    assert shown(lines) == ["day", "started", "started", "day", "started", "started"]


@each(
    ("text", "kept"),
    [
        ("mira", ["mira"]),
        ("failed", ["opus"]),
        ("opus failed", ["opus"]),
        ("mira failed", []),
        ("!failed", ["mira"]),
        ("disk full", ["opus"]),
        ("FORCE", ["mira"]),
        ("", ["opus", "mira"]),
    ],
)
def test_the_filter_looks_at_citizen_task_outcome_trigger_and_text(text, kept):
    log = EventLog()
    log.add_events(snapshot(event(1, kind="finished", outcome=Outcome.FAILED, text="Disk FULL")))
    log.add_events(snapshot(event(2, "mira", trigger=Trigger.FORCE)))
    lines = LogLines(log)
    lines.apply_filter(Filter(text))
    assert [line.content.citizen for line in lines.lines if not isinstance(line.content, Day)] == kept


def test_words_of_events():
    done = event(1, kind="finished", outcome=Outcome.TIMED_OUT, duration=300.0, text="\nafter 5m\nmore")
    assert text_of(done) == "timed out in 05:00: after 5m"
    assert text_of(event(1, late=2.14)) == "started, 2.1s late"
    assert text_of(event(1, trigger=Trigger.FORCE)) == "forced"
    assert text_of(event(1, trigger=Trigger.URGENT)) == "started: something is urgent"
    assert text_of(event(1, kind="clock jumped", trigger=None)) == "clock jumped"
    assert text_of(replace(done, text="x" * 1_000_000))[-1] == "x"
    assert len(text_of(replace(done, text="x" * 1_000_000))) < 1000


def test_the_end_of_a_run_says_what_it_cost():
    cost = RunCost("0.61", tokens_in=88_000, tokens_out=412)
    ended = event(1, kind="finished", task="wake", outcome=Outcome.OK, text="sent", duration=252.0, cost=cost)
    assert text_of(ended) == "ok in 04:12, $0.61, 88.4k tok: sent"
    assert text_of(replace(ended, cost=RunCost(unknown=True))) == "ok in 04:12, $?: sent"
    assert where_of(replace(ended, number=1680)) == "opus/wake #1680"


def test_a_hold_says_its_words_once():
    held = event(1, kind="waits", trigger=None, text="waits for anthropic until 15:00 (usage limit)")
    assert text_of(held) == "waits for anthropic until 15:00 (usage limit)"
    assert kind_of(replace(held, kind="over budget")) is TaskStatus.OVER_BUDGET
    away = event(1, kind="away", task="", trigger=None, provider="anthropic", text="away until 15:00")
    assert (where_of(away), text_of(away)) == ("anthropic", "away until 15:00")
    ended = event(1, kind="finished", outcome=Outcome.OK, text="finished all")
    assert text_of(ended) == "ok: finished all"
