"""Weeks and months out of days, prose out of both, and what is let go of in the end."""

import asyncio
import json
import os
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from scheduler.core.task import Context, Llm, Report
from scheduler.handlers.ages import LEAP
from scheduler.handlers.memory_summary.handler import memory_summary, summarise
from scheduler.handlers.memory_summary.options import Options, age
from scheduler.handlers.memory_summary.rollup import month_of, periods, week_of
from scheduler.schema.values import InvalidValue
from tests.each import each
from tests.fakes import NOON
from tests.handlers.net.llm_server import Act, Server, serving, silent, streamed, whole

TODAY = date(2026, 4, 2)
DAY = timedelta(days=1)
SAID = '{"message": {"content": "It was a quiet day."}, "done": true}'


def file(home: Path, kind: str, day: date) -> Path:
    return home / "memory" / kind / f"{day:%Y/%m/%d}.json"


def raw(home: Path, day: date, *events: dict) -> None:
    path = file(home, "raw", day)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(events or [{"type": "note", "text": f"Work of {day}"}]))


def read(home: Path, name: str) -> dict:
    return json.loads((home / "memory" / f"{name}.json").read_text())


def run(home: Path, today: date = TODAY, llm: Llm | None = None, **options) -> str | Report:
    return asyncio.run(summarise(home, today, lambda *_: None, Options.model_construct(**options), llm))


async def told_by(home: Path, *acts: Act, today: date = TODAY, **options) -> tuple[str | Report, Server]:
    async with serving(*acts) as server:
        llm = (
            None
            if options.get("llm") is False
            else Llm(server.url, "m", "ollama", "sk-hunter2", options.pop("timeout", 5.0))
        )
        return await summarise(home, today, lambda *_: None, Options.model_construct(**options), llm), server


# ------------------------------------------------------------------ weeks and months


@each(
    ("day", "week", "month"),
    [
        ("2026-01-01", ("2026-W01", "2025-12-29", "2026-01-04"), ("2026-01", "2026-01-01", "2026-01-31")),
        ("2024-12-30", ("2025-W01", "2024-12-30", "2025-01-05"), ("2024-12", "2024-12-01", "2024-12-31")),
        ("2024-02-29", ("2024-W09", "2024-02-26", "2024-03-03"), ("2024-02", "2024-02-01", "2024-02-29")),
        ("2021-01-03", ("2020-W53", "2020-12-28", "2021-01-03"), ("2021-01", "2021-01-01", "2021-01-31")),
    ],
)
def test_the_week_and_the_month_of_a_day(day, week, month):
    for period, expected in (
        (week_of(date.fromisoformat(day)), week),
        (month_of(date.fromisoformat(day)), month),
    ):
        assert (period.name, period.first.isoformat(), period.last.isoformat()) == expected


def test_only_what_is_over():
    names = [period.name for period in periods([date(2026, 3, 29), date(2026, 3, 30)], TODAY)]
    assert names == ["2026-03", "2026-W13"]


def test_a_month_is_rolled_up_from_its_days(tmp_path):
    for number in range(31):
        raw(tmp_path, date(2026, 3, 1) + number * DAY)
    failed = {"type": "task_failed", "time": "2026-03-31T08:00:00+00:00", "content": "news_scan: timeout"}
    raw(tmp_path, date(2026, 3, 31), {"type": "note", "text": "The last day"}, failed)
    assert run(tmp_path) == "31 days, 5 weeks and 1 month summarised"
    assert run(tmp_path) == "nothing new"
    month = read(tmp_path, "monthly/2026/03")
    assert (month["period"], month["from"], month["to"]) == ("2026-03", "2026-03-01", "2026-03-31")
    assert (month["days"], month["event_count"]) == (31, 32)
    assert month["counts"] == {"note": 31, "task_failed": 1}
    assert month["failures"] == ["2026-03-31 08:00 news_scan: timeout"]
    lines = month["summary"].splitlines()
    assert lines[0] == "2026-03: 31 days, 32 events (31 note, 1 task_failed); 1 failures."
    assert lines[1] == "- 2026-03-01: Work of 2026-03-01" and len(lines) == 32
    assert read(tmp_path, "weekly/2026/W13")["days"] == 7
    assert (tmp_path / "memory/monthly/2026/03.json").stat().st_mode & 0o777 == 0o600


def test_a_day_that_changes_late_changes_its_week_and_month(tmp_path):
    raw(tmp_path, date(2026, 3, 3))
    run(tmp_path)
    path = tmp_path / "memory/monthly/2026/03.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"mood": "calm"}))
    raw(tmp_path, date(2026, 3, 3), {"type": "note", "text": "Another story"})
    assert run(tmp_path) == "1 day, 1 week and 1 month summarised"
    month = read(tmp_path, "monthly/2026/03")
    assert "Another story" in month["summary"] and month["mood"] == "calm"


def test_a_roll_up_of_somebody_else_stays(tmp_path):
    raw(tmp_path, date(2026, 3, 3))
    path = tmp_path / "memory/monthly/2026/03.json"
    path.parent.mkdir(parents=True)
    path.write_text('{"summary": "by hand"}')
    assert run(tmp_path) == "1 day and 1 week summarised"
    assert path.read_text() == '{"summary": "by hand"}'


@each(
    "daily",
    [
        "half a fi",
        "[]",
        "{}",
        '{"summary": 3, "counts": [], "failures": 3, "event_count": true}',
        '{"summary": "", "counts": {"a": "b"}, "failures": [3, null], "event_count": -1e9}',
    ],
)
def test_odd_days_never_crash(tmp_path, daily):
    path = file(tmp_path, "daily", date(2026, 3, 3))
    path.parent.mkdir(parents=True)
    path.write_text(daily)
    os.mkfifo(path.with_name("04.json"))
    os.mkfifo(path.with_name("12.json"))
    assert run(tmp_path) in ("nothing new", "1 week summarised", "1 week and 1 month summarised")


# ------------------------------------------------------------------ prose


async def test_days_weeks_and_months_in_prose(tmp_path):
    for number in range(4):
        raw(tmp_path, date(2026, 3, 28) + number * DAY, {"type": "note", "text": f"Sowed row {number}"})
    said, server = await told_by(tmp_path, whole(SAID))
    assert said == "4 days, 1 week and 1 month summarised, 6 in prose"
    day = read(tmp_path, "daily/2026/03/31")
    assert (day["summary"], day["model"]) == ("It was a quiet day.", "m")
    assert day["extract"].endswith("- Sowed row 3") and day["duration"] >= 0
    assert read(tmp_path, "weekly/2026/W13")["model"] == read(tmp_path, "monthly/2026/03")["model"] == "m"
    questions = [body["messages"][0]["content"] for _, _, body in server.asked]
    assert "the day 2026-03-31" in questions[0] and "Sowed row 3" in questions[0]
    assert "the week 2026-W13" in questions[4] and "2026-03-29: It was a quiet day." in questions[4]
    assert (await told_by(tmp_path, whole(SAID)))[0] == "nothing new"


async def test_a_day_that_changed_is_told_anew(tmp_path):
    raw(tmp_path, date(2026, 3, 31))
    await told_by(tmp_path, whole(SAID))
    raw(tmp_path, date(2026, 3, 31), {"type": "note", "text": "Another story"})
    await told_by(tmp_path, whole(SAID), llm=False)
    day = read(tmp_path, "daily/2026/03/31")
    assert "Another story" in day["summary"] and "model" not in day and "extract" not in day
    assert (await told_by(tmp_path, whole(SAID)))[0] == "1 month summarised, 2 in prose"


async def test_only_recent_days_are_asked_for(tmp_path):
    for number in range(1, 60):
        raw(tmp_path, TODAY - number * DAY)
    said, server = await told_by(tmp_path, whole(SAID))
    assert len(server.asked) == 7 + 4 + 2
    assert str(said).startswith("59 days, 8 weeks and 2 months summarised, 13 in prose")


async def test_a_model_that_fails_leaves_quotations_and_a_warning(tmp_path):
    raw(tmp_path, date(2026, 3, 30))
    raw(tmp_path, date(2026, 3, 31))
    said, server = await told_by(tmp_path, whole('{"error": "no memory"}', "500 x"))
    assert isinstance(said, Report) and said.warning
    assert said.text.startswith("2 days and 1 month summarised; no prose: m at http://127.0.0.1:")
    assert said.text.endswith("answered HTTP 500: no memory")
    assert len(server.asked) == 1, "one failure is enough"
    assert "Work of 2026-03-31" in read(tmp_path, "daily/2026/03/31")["summary"]
    assert (await told_by(tmp_path, whole(SAID)))[0] == "1 month summarised, 3 in prose"


async def test_there_is_a_time_for_prose(tmp_path):
    raw(tmp_path, date(2026, 3, 30))
    raw(tmp_path, date(2026, 3, 31))
    said, _ = await told_by(tmp_path, silent, prose_time=0.2)
    assert isinstance(said, Report) and said.text.endswith("had no prose within 0.2s")
    said, _ = await told_by(tmp_path, whole(SAID), silent, prose_time=0.5)
    assert said == "1 month summarised, 1 in prose"


async def test_prose_that_was_cut_says_so(tmp_path):
    raw(tmp_path, date(2026, 3, 31))
    await told_by(tmp_path, streamed('{"response": "It was", "done": true, "done_reason": "length"}'))
    assert read(tmp_path, "daily/2026/03/31")["cut"] is True


async def test_the_model_can_be_left_out_and_progress_names_the_day(tmp_path, monkeypatch):
    monkeypatch.setattr("scheduler.system.clock.SystemClock.now", lambda: NOON)  # 2 March 2026
    raw(tmp_path, date(2026, 3, 1))
    steps: list[str] = []
    async with serving(whole(SAID)) as server:
        context = Context(
            "opus",
            tmp_path,
            "memory_summary",
            llm=Llm(server.url, "m"),
            report=lambda step: steps.append(step.text),
            options=Options(llm=False),
        )
        assert await memory_summary(context) == "1 day and 1 week summarised"
        with_prose = replace(context, options=Options())
        assert await memory_summary(with_prose) == "1 week summarised, 2 in prose"
    assert "the day 2026-03-01: waits for m" in steps


# ------------------------------------------------------------------ letting go


def test_raw_days_go_once_they_are_summarised(tmp_path):
    old, young = TODAY - 401 * DAY, TODAY - 399 * DAY
    for day in (old, young, TODAY - LEAP):  # the last one, or the clock could be ahead
        raw(tmp_path, day)
    assert str(run(tmp_path)).endswith(", 1 old file removed")
    assert not file(tmp_path, "raw", old).exists() and file(tmp_path, "raw", young).exists()
    assert file(tmp_path, "daily", old).exists()
    assert run(tmp_path) == "nothing new"


def test_raw_days_without_a_summary_of_ours_stay(tmp_path):
    old = TODAY - 500 * DAY
    raw(tmp_path, old)
    daily = file(tmp_path, "daily", old)
    daily.parent.mkdir(parents=True)
    daily.write_text('{"summary": "by v2"}')
    file(tmp_path, "raw", old + DAY).write_text("half a fi")
    run(tmp_path)
    assert file(tmp_path, "raw", old).exists() and file(tmp_path, "raw", old + DAY).exists()


def test_a_year_and_more_unattended_is_bounded(tmp_path):
    today = TODAY
    for number in range(500, 0, -1):
        raw(tmp_path, today - number * DAY)
    run(tmp_path, today)
    assert len(list((tmp_path / "memory/raw").rglob("*.json"))) == 400
    assert len(list((tmp_path / "memory/daily").rglob("*.json"))) == 500
    assert run(tmp_path, today) == "nothing new"


def test_very_old_summaries_go_and_are_not_made_again(tmp_path):
    first = TODAY - 100 * DAY
    for number in range(100):
        raw(tmp_path, first + number * DAY)
    options = {"keep_raw": age("40d"), "keep_summaries": age("60d")}
    run(tmp_path, **options)
    before = TODAY - 60 * DAY
    days = sorted(path.relative_to(tmp_path) for path in (tmp_path / "memory/daily").rglob("*.json"))
    assert days[0] == file(Path(), "daily", before) and len(days) == 60
    assert run(tmp_path, **options) == "nothing new"
    assert not (tmp_path / "memory/monthly/2025").exists()
    assert not list((tmp_path / "memory").rglob("2025")), "empty folders go too"


def test_summaries_outlive_their_raw_days(tmp_path):
    raw(tmp_path, TODAY - 100 * DAY)
    run(tmp_path, keep_raw=age("200d"), keep_summaries=age("60d"))
    assert run(tmp_path, keep_raw=age("200d"), keep_summaries=age("60d")) == "nothing new"
    assert file(tmp_path, "daily", TODAY - 100 * DAY).exists()


def test_what_others_put_there_stays(tmp_path):
    for name in (
        "weekly/2001/W01.json",
        "weekly/2001/W60.json",
        "monthly/2001/x.json",
        "monthly/2001/13.json",
    ):
        path = tmp_path / "memory" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('{"summary": "by hand"}')
    run(tmp_path)
    assert len(list((tmp_path / "memory").rglob("*.json"))) == 4


def test_keeping_for_ever(tmp_path):
    raw(tmp_path, date(2001, 1, 1))
    run(tmp_path, keep_raw=age(0), keep_summaries=age("0s"))
    assert file(tmp_path, "raw", date(2001, 1, 1)).exists()
    assert file(tmp_path, "daily", date(2001, 1, 1)).exists()


def test_how_long_something_is_kept():
    assert age("400d") == 400 * 86400
    assert age("1d") == 40 * 86400, "never so short that a month is torn"
    with pytest.raises(InvalidValue):
        age(True)
