"""The log of wakes: a line for each, and what is in it is encoded once."""

import json
from pathlib import Path
from typing import Any

import pytest

from scheduler.engine.wake import wake_log
from scheduler.engine.wake.wake_log import WAKES_KEPT, WakeLog

HARD = 'a line,\n  "wakes": [\n  ]}\n é'


def read(home: Path) -> Any:
    return json.loads((home / "wake_log.json").read_text())


def lines(home: Path) -> list[str]:
    return (home / "wake_log.json").read_text().splitlines()


def test_each_wake_has_a_line_whatever_it_says_and_only_the_new_one_is_encoded(home, monkeypatch):
    encoded = []

    class Json:
        loads = staticmethod(json.loads)

        @staticmethod
        def dumps(value: Any) -> str:
            encoded.append(value)
            return json.dumps(value)

    (home / "wake_log.json").write_text(json.dumps({"note": HARD, "wakes": [{"wake": 1, "text": HARD}]}))
    log = WakeLog(home)
    log.add([{"wake": 2, "text": HARD}])
    monkeypatch.setattr(wake_log, "json", Json)
    for number in range(3, 6):
        log.add([{"wake": number, "text": HARD}])
    assert [each["wake"] for each in encoded] == [3, 4, 5]
    assert read(home) == {"note": HARD, "wakes": [{"wake": n, "text": HARD} for n in range(1, 6)]}
    assert len(lines(home)) == 8


def test_what_others_write_into_it_is_kept(home):
    log = WakeLog(home)
    log.add([{"wake": 1}])
    (home / "wake_log.json").write_text('{"wakes": [{"wake": 7},\n  {"wake": 8}\n]}\n')
    log.add([{"wake": 9}])
    assert read(home) == {"wakes": [{"wake": 7}, {"wake": 8}, {"wake": 9}]}


@pytest.mark.parametrize("content", [None, "{}", '{"wakes": 7}', '{"wakes": [], "more": 1}'])
def test_it_begins_where_nothing_is(home, content):
    if content is not None:
        (home / "wake_log.json").write_text(content)
    log = WakeLog(home)
    for number in (1, 2):
        log.add([{"wake": number}])
    assert read(home)["wakes"] == [{"wake": 1}, {"wake": 2}]


def test_only_the_newest_are_kept(home):
    log = WakeLog(home)
    (home / "wake_log.json").write_text(json.dumps({"wakes": [{"wake": n} for n in range(2 * WAKES_KEPT)]}))
    for number in (1, 2):
        log.add([{"wake": number}])
    kept = read(home)["wakes"]
    assert (len(kept), kept[-2:], kept[0]) == (
        WAKES_KEPT,
        [{"wake": 1}, {"wake": 2}],
        {"wake": WAKES_KEPT + 2},
    )
