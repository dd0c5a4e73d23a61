"""What is typed into the form of a task: understood, or wrong in words that name the part."""

from datetime import UTC, datetime

from scheduler.core.schedules.schedule import zone_named
from scheduler.editing.typed import preview
from tests.each import each
from tests.fakes import NOON

REPORT = {"name": "report", "when": "0 9 * * mon-fri", "command": "python3 report.py"}


def test_the_lines_are_those_that_would_be_written():
    found = preview({**REPORT, "timeout": "1h", "retries": "2"}, NOON)
    assert found.lines == (
        '[tasks.report]\ncron = "0 9 * * mon-fri"\ncommand = ["python3", "report.py"]\n'
        'timeout = "1h"\nretries = 2\n'
    )
    assert (found.schedule.partition(" (")[0], found.wrong) == ("at 09:00, Monday to Friday", {})
    assert len(found.times) == 3 and found.times == tuple(sorted(found.times))


@each(
    ("when", "words", "key"),
    [
        ("15m", "every 15 minutes", 'every = "15m"'),
        ("every 2 hours", "every 2 hours", 'every = "2h"'),
        ("Every 1h", "every hour", 'every = "1h"'),
        ("@reboot", "once, each time the scheduler starts", 'cron = "@reboot"'),
    ],
)
def test_an_interval_may_be_said_as_one_likes(when, words, key):
    found = preview({**REPORT, "when": when}, NOON)
    assert found.schedule == words and key in found.lines
    assert [each - NOON for each in found.times[:1]] in ([], [0.0])  # a new interval is due at once


@each(
    ("field", "text", "words"),
    [
        ("when", "0 9 * * mon-fry", "mon-fry is no weekday; did you mean mon-fri?"),
        ("when", "0 9 * jam *", "jam is no month; did you mean jan?"),
        ("when", "61 * * * *", "61 is no minute"),
        ("when", "0 1,25 * * *", "25 is no hour"),
        ("when", "0 0 30 2 *", "there is never such a day"),
        ("when", "soon", "an interval (30s, 15m, 2h, 1d) or the five fields of cron"),
        ("name", "Report!", "small letters, digits, - and _, a letter first"),
        ("command", "echo 'x", '"echo \'x": No closing quotation; close the quotes'),
        ("timeout", "long", "'long' is not a duration: write it like 30s, 5m, 2h or 1d"),
        ("retries", "-1", "a number from 0 to 100"),
    ],
)
def test_a_mistake_names_the_part_that_is_wrong(field, text, words):
    found = preview({**REPORT, field: text}, NOON)
    assert (found.wrong, found.lines) == ({field: words}, "")


def test_what_needs_a_shell_is_seen_to_get_one():
    found = preview({**REPORT, "command": "date > now.txt"}, NOON)
    assert 'command = ["sh", "-c", "date > now.txt"]' in found.lines


def test_the_times_are_in_the_zone_of_the_citizen():
    found = preview(REPORT, NOON, zone_named("Asia/Tokyo"))
    assert found.schedule == "at 09:00, Monday to Friday (Asia/Tokyo)"
    assert {datetime.fromtimestamp(each, UTC).hour for each in found.times} == {0}
    assert "timezone" not in found.lines
