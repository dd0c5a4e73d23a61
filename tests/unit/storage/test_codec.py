"""The state file as text: what earlier versions wrote, what others added, what is wrong in it."""

import json
import random
from datetime import datetime
from pathlib import Path

import pytest

from scheduler.core.state import Failure, TaskState
from scheduler.core.task import Outcome
from scheduler.process.process_info import Running
from scheduler.storage.state_codec import Document, decode, encode
from tests.each import each

DATA = Path(__file__).parents[2] / "data"


def past(name: str) -> str:
    return (DATA / name).read_text()


def again(text: str) -> dict:
    """The file as JSON after we read it and wrote it."""
    return json.loads(encode(decode(text)[0]))


def test_the_file_of_v2_is_read_as_it_is():
    document, dropped = decode(past("v2.json"))
    assert dropped == []
    local = datetime.fromisoformat("2024-01-15T17:33:20.123456").timestamp()
    assert document.states["news_scan"] == TaskState(
        last_run=1705340000.0, run_count=2, error=Failure(local, "Connection timeout")
    )
    assert document.states["price_monitor"] == TaskState(last_run=1705339500.25, run_count=15)


def test_the_maps_that_v2_reads_keep_their_names_types_and_units():
    before, after = json.loads(past("v2.json")), again(past("v2.json"))
    assert after["last_run"] == before["last_run"]
    assert after["run_counts"] == before["run_counts"]
    assert after["errors"]["news_scan"]["error"] == "Connection timeout"
    moments = [datetime.fromisoformat(each["errors"]["news_scan"]["time"]) for each in (before, after)]
    assert moments[0].timestamp() == moments[1].timestamp()


def test_the_oldest_file_has_no_errors_and_none_are_made_up():
    document, dropped = decode(past("oldest.json"))
    assert (document.states, dropped) == ({"heartbeat": TaskState(1705340000.0, 42)}, [])
    assert again(past("oldest.json"))["errors"] == {}


def test_an_error_that_is_bare_text_is_an_error():
    document, dropped = decode(past("bare_errors.json"))
    assert (document.states["news_scan"].error, dropped) == (Failure(0.0, "Connection timeout"), [])


def test_what_we_do_not_know_survives_at_every_level():
    before, after = json.loads(past("unknown_keys.json")), again(past("unknown_keys.json"))
    assert (after["version"], after["note"]) == (before["version"], before["note"])
    assert after["tasks"]["heartbeat"].items() >= before["tasks"]["heartbeat"].items()
    assert after["tasks"]["only_noted"].items() >= {"owner": "mira"}.items()
    assert after["errors"] == before["errors"]
    assert (after["last_run"]["retired_task"], after["run_counts"]["retired_task"]) == (1700000000.0, 7)


def test_what_others_wrote_beside_an_error_goes_with_that_error():
    document, _ = decode(past("unknown_keys.json"))
    other = {"news_scan": document.states["news_scan"].finished(Outcome.FAILED, "refused", 1.0, 1.0)}
    saved = json.loads(encode(Document(other, {}, {}, document.foreign_of_error)))
    assert saved["errors"]["news_scan"].keys() == {"time", "error"}


def test_what_is_valid_in_a_half_valid_file_is_kept_and_the_rest_is_named():
    document, dropped = decode(past("half_valid.json"))
    assert document.states["heartbeat"] == TaskState(last_run=1705340000.0, run_count=42, due_now=True)
    assert document.states["email_check"] == TaskState(failures_in_a_row=3)
    named = [line.partition(":")[0] for line in dropped]
    assert sorted(named) == [
        "email_check.running",
        "errors",
        "heartbeat.outcome",
        "heartbeat.paused",
        "heartbeat.text",
        "last_run.email_check",
        "last_run.news_scan",
        "last_run.price_monitor",
        "run_counts.email_check",
        "run_counts.news_scan",
        "run_counts.price_monitor",
        "tasks.price_monitor",
    ]
    assert all("expected" in line for line in dropped)


@each(
    "text",
    ["", "{", "[]", "null", "7", '"text"', "[" * 100_000, '{"last_run": {"a": 1' + "0" * 5000 + "}}"],
)
def test_what_is_no_object_at_all_is_an_error(text):
    with pytest.raises(ValueError):
        decode(text)


@each(
    "value",
    ["1" + "0" * 400, "-1", "1e400", "-Infinity", "NaN", "true", "[1]", "{}", '"x"', "1705340000000"],
)
def test_no_number_however_odd_is_more_than_one_dropped_line(value):
    text = '{"last_run": {"a": VALUE, "b": 5}, "tasks": {"a": {"last_success": VALUE}}}'
    document, dropped = decode(text.replace("VALUE", value))
    assert document.states == {"a": TaskState(), "b": TaskState(last_run=5.0)}
    assert len(dropped) == 2


@each("pid", ["0", "-1", "1e400", "1" + "0" * 400, "99999999999", "null", '"me"', "[]"])
def test_what_can_be_no_process_is_dropped(pid):
    text = '{"tasks": {"a": {"running": {"pid": PID, "born": 1, "since": 1}}}}'
    document, dropped = decode(text.replace("PID", pid))
    assert document.states["a"].running is None
    assert len(dropped) == 1


def test_an_error_without_a_time_is_dropped_and_named():
    document, dropped = decode(
        '{"errors": {"a": {"error": "x"}, "b": {"time": 1e400, "error": "x"}, "c": 7}}'
    )
    assert [state.error for state in document.states.values()] == [None, None, None]
    assert len(dropped) == 3


def test_every_state_comes_back_as_it_was_written():
    dice = random.Random(7)
    for _ in range(300):
        states = {f"task{number}": some_state(dice) for number in range(dice.randrange(5))}
        document, dropped = decode(encode(Document(states)))
        assert (document.states, dropped) == (states, [])


def some_state(dice: random.Random) -> TaskState:
    """Any state whose times JSON and ISO can hold exactly."""

    def time() -> float:
        return float(dice.randrange(2_000_000_000))

    text = dice.choice(["", "plain", 'quo"ted\n\x1b[31m', "\ud800 half", "日本"])
    return TaskState(
        last_run=time(),
        run_count=dice.randrange(3),
        error=dice.choice([None, Failure(time(), text)]),
        failures_in_a_row=dice.randrange(3),
        last_duration=dice.choice([None, 0.25]),
        last_success=dice.choice([None, time()]),
        first_seen=time(),
        paused=dice.random() < 0.5,
        paused_at=dice.choice([None, time()]),
        due_now=dice.random() < 0.5,
        retry_at=dice.choice([None, time()]),
        attempt=dice.randrange(3),
        running=dice.choice([None, Running(dice.randrange(1, 9999), time(), time())]),
        outcome=dice.choice([None, *Outcome]),
        text=text,
        orphan=dice.choice([None, Running(dice.randrange(1, 9999), time(), time())]),
    )


def test_people_can_read_it_a_line_per_task_and_map():
    lines = encode(decode(past("v2.json"))[0]).splitlines()
    assert '    "heartbeat": 42,' in lines
    assert lines[0] == "{" and lines[-1] == "}"
