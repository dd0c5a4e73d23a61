"""What users of retention saw elsewhere: a clock that is ahead, and everything is suddenly too old."""

import asyncio
import json
from datetime import UTC, date, datetime, timedelta

from scheduler.handlers.ages import LEAP, believed_today
from scheduler.handlers.memory_summary.handler import summarise
from scheduler.handlers.memory_summary.options import Options
from scheduler.handlers.news_scan import files as news_files
from scheduler.handlers.news_scan.feed_state import KEPT, Memory
from scheduler.handlers.news_scan.files import NewsFiles
from tests.each import each

TODAY = date(2026, 3, 2)
DAY = timedelta(days=1)
AHEAD = (timedelta(days=45), timedelta(days=400), timedelta(days=3650))


def at(day: date) -> float:
    return datetime(day.year, day.month, day.day, 12, tzinfo=UTC).timestamp()


def news_of(home, days: int) -> set[str]:
    (home / "news").mkdir()
    for number in range(days):
        (home / "news" / f"{TODAY - number * DAY}.jsonl").write_text("{}\n")
    return names(home)


def names(home) -> set[str]:
    return {file.name for file in (home / "news").iterdir()}


# ------------------------------------------------------------------ the decision


@each("ahead", AHEAD)
def test_a_clock_that_leapt_is_believed_once_the_files_agreed_with_it_for_as_long(ahead):
    days = [TODAY - number * DAY for number in range(100)]
    assert believed_today(TODAY, days) == believed_today(TODAY + DAY, days[1:]) - DAY == TODAY
    for number in range(LEAP.days):
        assert believed_today(TODAY + ahead + number * DAY, days) == TODAY
        days.append(TODAY + ahead + number * DAY)
    assert believed_today(TODAY + ahead + LEAP, days) == TODAY + ahead + LEAP


def test_what_the_future_left_behind_says_nothing():
    assert believed_today(TODAY, [TODAY - DAY, TODAY + 3650 * DAY]) == TODAY
    assert believed_today(TODAY, []) == TODAY


# ------------------------------------------------------------------ what has an age


@each("ahead", AHEAD)
def test_no_news_goes_because_a_clock_is_ahead(home, ahead):
    """dash 7005: retention by age under a clock that is years ahead."""
    before = news_of(home, 80)
    for number in range(3):  # for days on end
        files = NewsFiles(home, at(TODAY + ahead + number * DAY))
        files.add([(f"{number}", b"{}")])
        files.prune(90 * 86400)
    assert names(home) >= before
    files = NewsFiles(home, at(TODAY + 20 * DAY))  # and when it is right again, what is old goes
    for number in range(20):
        (home / "news" / f"{TODAY + number * DAY}.jsonl").write_text("{}\n")
    files.prune(90 * 86400)
    assert before - names(home) == {f"{TODAY - number * DAY}.jsonl" for number in range(71, 80)}


def test_todays_news_are_not_what_goes_when_there_is_too_much(home, monkeypatch):
    news_of(home, 3)
    (home / "news" / "2036-01-01.jsonl").write_text("{}\n")
    monkeypatch.setattr(news_files, "MOST", 1)
    files = NewsFiles(home, at(TODAY))
    files.prune(90 * 86400)
    assert f"{TODAY}.jsonl" in names(home)


def test_what_a_killed_scan_wrote_today_is_known_beside_a_file_of_the_future(home):
    news_of(home, 1)
    (home / "news" / f"{TODAY}.jsonl").write_text('{"id": "a"}\n')
    (home / "news" / "2036-01-01.jsonl").write_text('{"id": "b"}\n')
    assert NewsFiles(home, at(TODAY)).add([("a", b"{}"), ("b", b"{}"), ("c", b"{}")]) == 1


@each("ahead", AHEAD)
def test_no_item_is_news_again_because_a_clock_was_ahead(home, ahead):
    for number in range(60, KEPT):
        memory = Memory(home, at(TODAY + number * DAY))
        memory.of("https://example.org/").update_seen([f"item {number}"], memory.today)
        memory.save()
    for number in range(3):
        memory = Memory(home, at(TODAY + KEPT * DAY + ahead + number * DAY))
        memory.of("https://example.org/").update_seen(["another"], memory.today)
        memory.of("https://example.com/")
        memory.save()
    seen = Memory(home, at(TODAY + KEPT * DAY)).of("https://example.org/").seen
    assert {f"item {number}" for number in range(60, KEPT)} <= {*seen}


@each("ahead", AHEAD)
def test_no_memory_goes_because_a_clock_is_ahead(home, ahead):
    for number in range(1, 60):
        write_day(home, TODAY - number * DAY)
    options = Options.model_construct(keep_raw=61 * 86400.0, keep_summaries=61 * 86400.0)
    for number in range(3):
        write_day(home, TODAY + ahead + number * DAY)
        asyncio.run(summarise(home, TODAY + ahead + (number + 1) * DAY, lambda *_: None, options))
    for number in range(1, 60):
        day = TODAY - number * DAY
        assert (home / f"memory/raw/{day:%Y/%m/%d}.json").exists()
        assert (home / f"memory/daily/{day:%Y/%m/%d}.json").exists()


def write_day(home, day: date) -> None:
    path = home / f"memory/raw/{day:%Y/%m/%d}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([{"type": "note", "text": f"Work of {day}"}]))
