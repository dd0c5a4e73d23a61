"""What `--status` prints: the shape, the rounding, and text from outside."""

from scheduler.core.state import Failure
from scheduler.core.views import Snapshot, TaskStatus, TaskView
from scheduler.core.wording.spans import moment
from scheduler.core.wording.text import ago, clean, failing, lines, until
from tests.each import each

NOW = 1_705_340_120.0
MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0


def task(name: str = "heartbeat", kind: TaskStatus = TaskStatus.OK, **more) -> TaskView:
    ran = None if kind is TaskStatus.NEVER else NOW - 2 * MINUTE
    return TaskView(**{"name": name, "kind": kind, "schedule": "5m", "last_run": ran, "run_count": 3, **more})


def rows(*tasks: TaskView) -> list[str]:
    return lines(Snapshot("opus", tasks), NOW)[2:]


def test_the_shape_that_v2_printed():
    snapshot = Snapshot(
        "opus",
        (
            task(due=NOW + 3 * MINUTE, run_count=42),
            task("price_monitor", last_run=NOW - 8 * MINUTE, due=NOW + 7 * MINUTE, run_count=15),
            task("email_check", last_run=NOW - 45 * MINUTE, due=NOW + 15 * MINUTE),
            task(
                "news_scan",
                TaskStatus.FAILED,
                last_run=NOW - 5 * HOUR,
                due=NOW - HOUR,
                run_count=2,
                error=Failure(NOW - 5 * HOUR, "Connection timeout"),
            ),
        ),
    )
    assert "\n".join(lines(snapshot, NOW)) == (
        "=== BACKGROUND TASKS ===\n"
        "\n"
        "  ✓ heartbeat: ran 2m ago, next in 3m (42 runs)\n"
        "  ✓ price_monitor: ran 8m ago, next in 7m (15 runs)\n"
        "  ✓ email_check: ran 45m ago, next in 15m (3 runs)\n"
        "  ✗ news_scan: ran 5h ago, next in now (2 runs)\n"
        "      Last error: Connection timeout..."
    )


@each(
    ("kind", "more", "row"),
    [
        (TaskStatus.OK, {"due": NOW + 30}, "  ✓ t: ran 2m ago, next in 30s (3 runs)"),
        (TaskStatus.WARNING, {"due": NOW + 30}, "  ▲ t: ran 2m ago, next in 30s (3 runs)"),
        (TaskStatus.NEVER, {"due": NOW, "run_count": 0}, "  ○ t: never ran, next in now (0 runs)"),
        (
            TaskStatus.NEVER,
            {"due": NOW, "run_count": 8, "last_run": None},
            "  ○ t: reset, next in now (8 runs)",
        ),
        (TaskStatus.NEVER, {"due": NOW + 90, "run_count": 0}, "  ○ t: never ran, next in 2m (0 runs)"),
        (TaskStatus.NOT_SET_UP, {"missing": "host"}, "  ◌ t: not set up (host)"),
        (
            TaskStatus.NOT_SET_UP,
            {"missing": "host", "error": Failure(NOW, "old")},
            "  ◌ t: not set up (host)",
        ),
        (TaskStatus.RUNNING, {"running_since": NOW - 4.9}, "  ► t: running for 4s (3 runs)"),
        (TaskStatus.PAUSED, {"due": None}, "  ‖ t: paused, ran 2m ago (3 runs)"),
        (TaskStatus.PAUSED, {"due": None, "enabled": False}, "  ‖ t: disabled, ran 2m ago (3 runs)"),
        (TaskStatus.PAUSED, {"last_run": None, "run_count": 0}, "  ‖ t: paused, never ran (0 runs)"),
        (TaskStatus.STOPPED, {"due": NOW + 30}, "  ■ t: stopped, ran 2m ago, next in 30s (3 runs)"),
        (TaskStatus.OK, {"due": 0.0}, "  ✓ t: ran 2m ago, next in now (3 runs)"),
        (TaskStatus.OK, {"schedule": "@reboot"}, "  ✓ t: ran 2m ago, next at start (3 runs)"),
        (TaskStatus.OK, {"last_run": NOW + HOUR, "due": NOW + 1}, "  ✓ t: ran 0s ago, next in 1s (3 runs)"),
    ],
)
def test_one_line_per_kind(kind, more, row):
    assert rows(task("t", kind, **more)) == [row]


@each(
    ("seconds", "passed", "to_come"),
    [
        (0, "0s", "now"),
        (0.2, "0s", "1s"),
        (1, "1s", "1s"),
        (59, "59s", "59s"),
        (59.999, "59s", "1m"),
        (60, "1m", "1m"),
        (60.5, "1m", "2m"),
        (179.9999999, "3m", "3m"),
        (180.0000002, "3m", "3m"),
        (3540, "59m", "59m"),
        (3540.5, "59m", "1h"),
        (3599.5, "59m", "1h"),
        (3600, "1h", "1h"),
        (3600.5, "1h", "2h"),
        (47 * HOUR, "47h", "47h"),
        (48 * HOUR - 0.5, "47h", "2d"),
        (48 * HOUR, "2d", "2d"),
        (48 * HOUR + 1, "2d", "3d"),
        (30 * DAY, "30d", "30d"),
    ],
)
def test_ago_rounds_down_and_next_rounds_up(seconds, passed, to_come):
    assert (ago(seconds), until(seconds)) == (passed, to_come)


def test_a_time_that_has_passed_is_now():
    assert until(-0.001) == "now"
    assert ago(-5) == "0s"


@each(
    ("text", "shown"),
    [
        ("Connection timeout", "Connection timeout..."),
        ("Connection timeout\nTraceback", "Connection timeout..."),
        ("\n  \n  second line", "second line..."),
        ("x" * 60, "x" * 60 + "..."),
        ("x" * 61, "x" * 60 + "..."),
        ("", "..."),
        ("\x1b]0;owned\x07 red", r"\x1b]0;owned\x07 red..."),
    ],
)
def test_last_error_is_the_first_line_cut_at_sixty(text, shown):
    row = task("t", TaskStatus.FAILED, due=NOW, error=Failure(NOW, text))
    assert rows(row)[1] == f"      Last error: {shown}"


@each("kind", [TaskStatus.RUNNING, TaskStatus.PAUSED, TaskStatus.FAILED])
def test_an_error_is_shown_until_a_run_clears_it(kind):
    assert "Last error: no route" in rows(task("t", kind, error=Failure(NOW, "no route")))[1]


@each(
    ("kind", "error", "code"),
    [
        (TaskStatus.OK, None, False),
        (TaskStatus.WARNING, None, False),
        (TaskStatus.NEVER, None, False),
        (TaskStatus.STOPPED, None, False),
        (TaskStatus.FAILED, None, True),
        (TaskStatus.PAUSED, Failure(NOW, "x"), True),
        (TaskStatus.NOT_SET_UP, Failure(NOW, "left by v2"), False),
    ],
)
def test_failing_asks_for_the_last_run_of_each_task(kind, error, code):
    assert failing(Snapshot("opus", (task(), task("t", kind, error=error)))) is code


@each(
    ("text", "shown"),
    [
        ("plain ✓ müñ 漢字 👩‍🚀", "plain ✓ müñ 漢字 👩‍🚀"),
        ("a\tb\x00", r"a\x09b\x00"),
        ("\x9b31m", r"\x9b31m"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("\u2066x\u2069\ufeff", r"\u2066x\u2069\ufeff"),
        ("\ud800", r"\ud800"),
    ],
)
def test_what_would_steer_a_terminal_is_spelled_out(text, shown):
    assert clean(text) == shown


def test_rows_keep_their_order_and_an_empty_citizen_has_none():
    assert [row.split()[1] for row in rows(task("b", due=NOW), task("a", due=NOW))] == ["b:", "a:"]
    assert rows() == []


def test_a_pause_says_until_when_why_and_by_whom():
    when = NOW + 600
    hold = {"paused_until": when, "paused_why": "table\x1b changes", "paused_by": "ct"}
    assert rows(task("t", TaskStatus.PAUSED, **hold)) == [
        f"  ‖ t: paused until {moment(when, NOW)}: table\\x1b changes (by ct), ran 2m ago (3 runs)"
    ]
