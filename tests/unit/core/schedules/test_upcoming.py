"""The next times of a task, asked in advance."""

from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from scheduler.core.schedules.forecast import upcoming
from scheduler.core.schedules.schedule import AtStart, Cron, Every, long_duration
from scheduler.core.state import Failure, TaskState
from scheduler.core.task import Call, NotSetUp, Outcome, Task
from scheduler.process.process_info import Running
from tests.each import each
from tests.fakes import NOON

RAN = TaskState(last_run=NOON - 60, run_count=1)


def times(task: Task, state: TaskState = RAN, now: float = NOON) -> list[float]:
    return [when - NOON for when in upcoming("opus", task, state, now, 0.0)]


def every(seconds: float, **more) -> Task:
    return Task("tick", Every(seconds), Call(print), **more)


def test_an_interval_counts_from_the_last_run():
    assert times(every(300)) == [240, 540, 840, 1140, 1440]


def test_what_is_due_is_due_now():
    assert times(every(300), TaskState()) == [0, 300, 600, 900, 1200]
    assert times(every(10)) == [0, 10, 20, 30, 40]
    assert times(every(300), RAN.wanted()) == [0, 300, 600, 900, 1200]


def test_while_it_runs_the_next_time_is_the_one_after_this_run():
    running = RAN.started(Running(1, 1.0, NOON - 10))
    assert times(every(300), running) == [290, 590, 890, 1190, 1490]


def test_a_retry_comes_first():
    failed = RAN.finished(Outcome.FAILED, "no", NOON - 50, 1.0).retrying(NOON + 20)
    assert failed.error == Failure(NOON - 50, "no")
    assert times(every(300, retries=1), failed)[:2] == [20, 320]


@each(
    "task",
    [
        every(300, enabled=False),
        replace(every(300), work=NotSetUp("host")),
        Task("once", AtStart(), Call(print)),
    ],
)
def test_what_is_not_to_run_has_none(task):
    assert times(task) == []
    assert times(every(300), RAN.with_pause(NOON)) == []


def test_jitter_is_the_one_that_the_scheduler_uses():
    spread = times(every(300, jitter=30))
    assert all(240 <= when - 300 * n <= 240 + 30 * (n + 1) for n, when in enumerate(spread))
    assert spread == times(every(300, jitter=30))


def test_cron_over_the_change_to_summer_time():
    zone = ZoneInfo("Europe/Berlin")
    task = Task("report", Cron("30 2 * * *", zone), Call(print))
    now = datetime(2026, 3, 28, 0, 0, tzinfo=UTC).timestamp()
    state = TaskState(last_run=now - 60)
    local = [datetime.fromtimestamp(when, zone) for when in upcoming("opus", task, state, now, 0.0)]
    assert [f"{when:%d %H:%M}" for when in local[:3]] == ["28 02:30", "29 03:00", "30 02:30"]


def test_durations_are_spelled():
    assert [long_duration(s) for s in (300, 3600, 5400, 0.5, 1, 90061)] == [
        "5 minutes",
        "1 hour",
        "1 hour 30 minutes",
        "0.5 seconds",
        "1 second",
        "1 day 1 hour 1 minute 1 second",
    ]


@each(
    ("expression", "english"),
    [
        ("@daily", "at 00:00 every day"),
        ("0 3,9,15,21 * * *", "at 03:00, 09:00, 15:00, and 21:00 every day"),
        ("0 0 L * *", "at 00:00 on the last day of every month"),
        ("0 9 * * mon-fri", "at 09:00, Monday to Friday"),
        # "every second minute" reads as if a second were meant
        ("*/2 * * * *", "every 2 minutes"),
        ("*/10 * * * * *", "every 10 seconds"),
        ("*/15 9-17 * * *", "every 15 minutes from 09:00 to 17:59"),
        ("23 */2 * * *", "at minute 23 past every 2nd hour"),
        ("0 */4 * * *", "at minute 0 past every 4th hour"),
        ("0 0 1 */3 *", "at 00:00 on the first day of every 3rd month"),
        ("0 0 ? * 1", "at 00:00 on Monday"),
    ],
)
def test_cron_is_explained_in_english(expression, english):
    assert Cron(expression).in_english() == english
