"""memory_summary: finished days get a summary, once, and again when they change."""

import asyncio
import json
import os
from datetime import date
from pathlib import Path

import pytest

from scheduler.core.task import Context, Report
from scheduler.errors import TaskFailed
from scheduler.handlers.memory_summary.daily import FAILURES, QUOTED, WIDTH, summary
from scheduler.handlers.memory_summary.handler import memory_summary, summarise
from scheduler.handlers.memory_summary.options import Options
from tests.each import each

TODAY = date(2026, 3, 3)
EVENTS = [
    {
        "type": "wake_complete",
        "time": "2026-03-01T08:00:00+00:00",
        "content": "Wrote to Ada about the harvest report",
    },
    {"type": "wake_complete", "time": "2026-03-01T09:00:00+00:00", "content": "The harvest report is ready"},
    {
        "type": "task_failed",
        "timestamp": 1772386400,
        "content": "news_scan: Connection timeout\nTraceback ...",
    },
    {"type": "note", "time": "2026-03-01T10:00:00+00:00", "text": "ok"},
]


def raw(home: Path, day: str, content: object) -> Path:
    file = home / "memory" / "raw" / f"{day}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return file


def daily(home: Path, day: str) -> dict:
    return json.loads((home / "memory" / "daily" / f"{day}.json").read_text())


def run(home: Path) -> str | Report:
    return asyncio.run(summarise(home, TODAY, lambda done, total, text: None, Options()))


def test_finished_days_are_summarised_once(tmp_path):
    for day in ("2026/03/01", "2026/03/02", "2026/03/03", "2026/03/04"):
        raw(tmp_path, day, EVENTS)
    assert run(tmp_path) == "2 days and 1 week summarised"
    assert run(tmp_path) == "nothing new"
    assert sorted(path.name for path in (tmp_path / "memory" / "daily").rglob("*.json")) == [
        "01.json",
        "02.json",
    ]
    found = daily(tmp_path, "2026/03/01")
    assert found["date"] == "2026-03-01"
    assert found["event_count"] == 4
    assert found["counts"] == {"wake_complete": 2, "task_failed": 1, "note": 1}
    assert found["failures"] == ["17:33 news_scan: Connection timeout"]
    assert len(found["source"]) == 64
    assert found["summary"].splitlines()[:2] == [
        "2026-03-01: 4 events (2 wake_complete, 1 task_failed, 1 note); 1 failed.",
        "- Wrote to Ada about the harvest report",
    ]


def test_a_day_that_changed_is_summarised_again(tmp_path):
    raw(tmp_path, "2026/03/01", EVENTS)
    assert run(tmp_path) == "1 day and 1 week summarised"
    file = tmp_path / "memory" / "daily" / "2026/03/01.json"
    file.write_text(json.dumps(daily(tmp_path, "2026/03/01") | {"mood": "calm"}))
    raw(tmp_path, "2026/03/01", EVENTS[:1])
    assert run(tmp_path) == "1 day and 1 week summarised"
    assert daily(tmp_path, "2026/03/01")["event_count"] == 1
    assert daily(tmp_path, "2026/03/01")["mood"] == "calm"


def test_new_files_are_for_their_owner_alone_and_whole(tmp_path):
    raw(tmp_path, "2026/03/01", EVENTS)
    run(tmp_path)
    folder = tmp_path / "memory" / "daily" / "2026" / "03"
    assert [path.name for path in folder.iterdir()] == ["01.json"]
    assert (folder / "01.json").stat().st_mode & 0o777 == 0o600


def test_a_summary_of_somebody_else_stays(tmp_path):
    raw(tmp_path, "2026/03/01", EVENTS)
    file = tmp_path / "memory" / "daily" / "2026/03/01.json"
    file.parent.mkdir(parents=True)
    file.write_text('{"summary": "by v2"}')
    assert run(tmp_path) == "1 week summarised"
    assert daily(tmp_path, "2026/03/01") == {"summary": "by v2"}


def test_a_summary_that_is_no_json_is_set_aside(tmp_path):
    raw(tmp_path, "2026/03/01", EVENTS)
    file = tmp_path / "memory" / "daily" / "2026/03/01.json"
    file.parent.mkdir(parents=True)
    file.write_text("half a fi")
    assert run(tmp_path) == "1 day and 1 week summarised"
    assert daily(tmp_path, "2026/03/01")["event_count"] == 4
    (aside,) = file.parent.glob("01.json.corrupt-*")
    assert aside.read_text() == "half a fi"


@each(
    ("content", "words"),
    [
        ("", "invalid JSON"),
        ("nonsense", "invalid JSON"),
        ("[" * 100_000, "invalid JSON"),
        ("\ud800".encode("utf-8", "surrogatepass").decode("latin-1"), "invalid JSON"),
        ('"x"', "not a list of events"),
        ("{}", "not a list of events"),
        ('{"events": {}}', "not a list of events"),
    ],
)
def test_a_day_that_cannot_be_read_is_a_warning_and_stays(tmp_path, content, words):
    bad = raw(tmp_path, "2026/03/01", content)
    raw(tmp_path, "2026/03/02", EVENTS)
    report = run(tmp_path)
    assert report == Report(f"1 day summarised; 1 with problems: 2026-03-01: {words}", warning=True)
    assert bad.read_text() == content
    assert not (tmp_path / "memory/daily/2026/03/01.json").exists()


def test_a_folder_in_place_of_a_day_and_many_problems(tmp_path):
    (tmp_path / "memory/raw/2026/02/01.json").mkdir(parents=True)
    for day in range(2, 8):
        raw(tmp_path, f"2026/02/{day:02}", "x")
    report = run(tmp_path)
    assert isinstance(report, Report)
    assert report.text.startswith(
        "nothing new; 7 with problems: 2026-02-01: Is a directory; 2026-02-02: invalid JSON; "
    )
    assert report.text.endswith(" and 4 more")


def test_pipes_do_not_hold_us_up(tmp_path):
    raw(tmp_path, "2026/03/01", EVENTS)
    for kind in ("raw/2026/03/02.json", "daily/2026/03/01.json"):
        (tmp_path / "memory" / kind).parent.mkdir(parents=True, exist_ok=True)
        os.mkfifo(tmp_path / "memory" / kind)
    assert run(tmp_path) == Report(
        "1 day and 1 week summarised; 1 with problems: 2026-03-02: is not a regular file", warning=True
    )


def test_what_is_no_day_is_left_alone(tmp_path):
    for name in ("2026/02/31", "2026/13/01", "2026/02/xx", "old/02/01"):
        raw(tmp_path, name, EVENTS)
    assert run(tmp_path) == "nothing new"


def test_v2s_days_and_odd_entries(tmp_path):
    raw(tmp_path, "2026/03/01", {"date": "x", "events": [*EVENTS, "text", 3, None]})
    assert run(tmp_path) == Report(
        "1 day and 1 week summarised; 1 with problems: 2026-03-01: 3 entries are not events", warning=True
    )
    assert daily(tmp_path, "2026/03/01")["event_count"] == 4
    assert run(tmp_path) == "nothing new"


def test_a_home_without_memory_has_nothing_new(tmp_path):
    assert run(tmp_path) == "nothing new"


def test_what_cannot_be_saved_fails(tmp_path, monkeypatch):
    def full(path, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("scheduler.handlers.memory_summary.daily.write_json", full)
    raw(tmp_path, "2026/03/01", EVENTS)
    with pytest.raises(TaskFailed, match=r"01\.json cannot be saved: No space left on device"):
        run(tmp_path)


def test_a_file_in_place_of_the_folder_is_said(tmp_path):
    raw(tmp_path, "2026/03/01", EVENTS)
    (tmp_path / "memory" / "daily").write_text("")
    report = run(tmp_path)
    assert isinstance(report, Report)
    assert report.text == "nothing new; 1 with problems: 2026-03-01: its summary: Not a directory"


def test_progress_names_the_days(tmp_path):
    raw(tmp_path, "2026/03/01", EVENTS)
    raw(tmp_path, "2026/03/02", EVENTS)
    seen = []
    asyncio.run(summarise(tmp_path, TODAY, lambda *step: seen.append(step), Options()))
    assert seen == [(0, 2, "2026-03-01"), (1, 2, "2026-03-02")]


async def test_the_handler_leaves_today_alone(tmp_path, monkeypatch):
    from tests.fakes import NOON

    monkeypatch.setattr("scheduler.system.clock.SystemClock.now", lambda: NOON)  # 2 March 2026
    raw(tmp_path, "2026/03/01", EVENTS)
    raw(tmp_path, "2026/03/02", EVENTS)
    assert await memory_summary(Context("opus", tmp_path, "memory_summary")) == "1 day and 1 week summarised"


def test_odd_events_never_crash():
    for event in (
        {},
        {"type": None},
        {"type": ["x"], "time": "never", "content": {"a": [1]}},
        {"type": "failed", "time": 1e300},
        {"type": "failed", "time": float("nan"), "content": ""},
        {"kind": "x", "timestamp": True, "content": "\n\n"},
        {"type": "x" * 500, "content": "y" * 5000, "success": False},
        {"outcome": ["failed"]},
    ):
        found = summary(TODAY, [event])
        assert found["event_count"] == 1, event
        assert all(len(line) < WIDTH + 100 for line in found["summary"].splitlines()), event


def test_a_long_day_stays_short():
    events = [{"type": "task_failed", "content": f"number {number} failed again"} for number in range(1000)]
    found = summary(TODAY, events)
    assert len(found["failures"]) == FAILURES
    assert len(found["summary"].splitlines()) == 1 + QUOTED


def test_an_empty_day():
    assert summary(TODAY, [])["summary"] == "2026-03-03: nothing happened."
