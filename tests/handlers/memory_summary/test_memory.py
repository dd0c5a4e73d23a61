"""Raw events: added to their day, bounded, and never over something that cannot be understood."""

import json
import os
import threading
from pathlib import Path

import pytest

from scheduler.storage import failure_journal
from scheduler.storage.failure_journal import NoDay, append_event, parse_day
from tests.each import each
from tests.fakes import NOON


def day(home: Path) -> Path:
    return home / "memory" / "raw" / "2026" / "03" / "02.json"


def test_events_are_added_to_their_utc_day(tmp_path):
    append_event(tmp_path, {"type": "a"}, NOON)
    append_event(tmp_path, {"type": "b", "time": "its own"}, NOON + 1)
    append_event(tmp_path, {"type": "c"}, NOON + 86400)
    assert json.loads(day(tmp_path).read_text()) == [
        {"time": "2026-03-02T12:00:00+00:00", "type": "a"},
        {"time": "its own", "type": "b"},
    ]
    assert json.loads(day(tmp_path).with_name("03.json").read_text())[0]["type"] == "c"
    assert day(tmp_path).stat().st_mode & 0o777 == 0o600


def test_a_day_of_v2_keeps_its_shape(tmp_path):
    day(tmp_path).parent.mkdir(parents=True)
    day(tmp_path).write_text('{"date": "x", "events": [{"type": "old"}]}')
    append_event(tmp_path, {"type": "new"}, NOON)
    found = json.loads(day(tmp_path).read_text())
    assert found["date"] == "x"
    assert [event["type"] for event in found["events"]] == ["old", "new"]


@each("content", ["", "nonsense", "{}", '"x"', '{"events": 3}', "[" * 100_000])
def test_what_cannot_be_understood_is_set_aside(tmp_path, content):
    day(tmp_path).parent.mkdir(parents=True)
    day(tmp_path).write_text(content)
    append_event(tmp_path, {"type": "a"}, NOON)
    assert [event["type"] for event in json.loads(day(tmp_path).read_text())] == ["a"]
    (aside,) = day(tmp_path).parent.glob("02.json.corrupt-*")
    assert aside.read_text() == content


def test_a_pipe_in_place_of_a_day_does_not_hold_us_up(tmp_path):
    day(tmp_path).parent.mkdir(parents=True)
    os.mkfifo(day(tmp_path))
    append_event(tmp_path, {"type": "a"}, NOON)
    assert len(json.loads(day(tmp_path).read_text())) == 1


def test_a_full_day_only_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(failure_journal, "PER_DAY", 3)
    for number in range(6):
        append_event(tmp_path, {"type": f"e{number}"}, NOON + number)
    events = json.loads(day(tmp_path).read_text())
    assert [event["type"] for event in events] == ["e0", "e1", "e2", "not_kept"]
    assert (events[-1]["count"], events[-1]["time"]) == (3, "2026-03-02T12:00:05+00:00")


def test_no_event_is_lost_between_threads(tmp_path):
    def add(name: str) -> None:
        for number in range(10):
            append_event(tmp_path, {"type": f"{name}{number}"}, NOON)

    threads = [threading.Thread(target=add, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(json.loads(day(tmp_path).read_text())) == 40


def test_what_cannot_be_saved_is_said(tmp_path):
    (tmp_path / "memory").write_text("a file where the folder should be")
    with pytest.raises(OSError, match=r"Not a directory|File exists"):
        append_event(tmp_path, {"type": "a"}, NOON)


def test_a_day_read_back(tmp_path):
    append_event(tmp_path, {"type": "a"}, NOON)
    assert parse_day(day(tmp_path).read_bytes()).events[0]["type"] == "a"
    assert parse_day(b'[1, {"type": "a"}]').odd == 1
    with pytest.raises(NoDay):
        parse_day(b"3")
