"""Values of the model as JSON and back; what does not fit its type hint is refused by name."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from scheduler.core.records import RunRecord
from scheduler.core.task import Outcome, Progress, Trigger
from scheduler.core.views import Event, Snapshot, TaskStatus, TaskView, WakeView
from scheduler.schema.json_codec import InvalidJson, from_json, to_json
from tests.each import each

finite = some.floats(allow_nan=False, allow_infinity=False)
VIEWS = some.builds(
    TaskView,
    some.text(),
    some.sampled_from(TaskStatus),
    some.text(),
    due=some.none() | finite,
    progress=some.none() | some.builds(Progress, finite, finite, some.text()),
    outcome=some.none() | some.sampled_from(Outcome),
)


@given(some.builds(Snapshot, some.text(), some.lists(VIEWS, max_size=3).map(tuple), some.builds(WakeView)))
def test_every_value_comes_back_as_it_was_written(snapshot):
    assert from_json(Snapshot, json.loads(json.dumps(to_json(snapshot)))) == snapshot


def test_a_field_with_its_default_is_left_out():
    event = Event(1, 2.0, "started", "opus", trigger=Trigger.FORCE)
    assert to_json(event) == {"seq": 1, "time": 2.0, "kind": "started", "citizen": "opus", "trigger": "force"}


def test_a_key_of_a_newer_version_is_ignored():
    assert from_json(Progress, {"done": 1, "total": 2, "unit": "MiB"}) == Progress(1.0, 2.0)


def test_collections_are_read_without_a_class_around_them():
    assert from_json(tuple[RunRecord, ...], []) == ()
    assert from_json(dict[str, tuple[float, ...]], {"tick": [1, 2.5]}) == {"tick": (1.0, 2.5)}


@each(
    ("kind", "raw", "words"),
    [
        (Progress, 7, "expected an object, not 7"),
        (Progress, {"done": 1}, "total is missing"),
        (Progress, {"done": True, "total": 1}, "done: expected a number, not True"),
        (Progress, {"done": float("nan"), "total": 1}, "done: expected a number, not nan"),
        (Progress, {"done": 10**400, "total": 1}, "done: expected a number, not 1000"),
        (Progress, {"done": 1, "total": 1, "text": None}, "text: expected text, not None"),
        (WakeView, {"count": 1.5}, "count: expected a whole number, not 1.5"),
        (WakeView, {"configured": 1}, "configured: expected true or false, not 1"),
        (
            TaskView,
            {"name": "a", "kind": [], "schedule": ""},
            "kind: expected one of ok, warning, failed, never ran, ",
        ),
        (Snapshot, {"citizen": "opus", "tasks": {}}, "tasks: expected a list, not {}"),
        (Snapshot, {"citizen": "opus", "wake": {"due": "x"}}, "wake: due: expected a number, not 'x'"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(kind: type[Any], raw: Any, words: str):
    with pytest.raises(InvalidJson) as refused:
        from_json(kind, raw)
    assert str(refused.value).startswith(words)
