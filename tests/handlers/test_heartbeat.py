"""heartbeat: limits, peers and what may not be read."""

import asyncio
import json
import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from scheduler.core.task import Context, Report
from scheduler.errors import TaskFailed
from scheduler.handlers.heartbeat.handler import Reading, evaluate, heartbeat, measure
from scheduler.handlers.heartbeat.options import Options
from scheduler.handlers.heartbeat.peers import MOST, Peer, check_peers
from scheduler.process.process_info import Running, born
from scheduler.schema.json_codec import to_json
from tests.each import each
from tests.fakes import NOON

FINE = Reading(disk=41, memory=62, swap=0, load=0.4)


def citizen(root: Path, name: str, metadata: object = None, owner: Running | None = None) -> Path:
    home = root / name
    (home / ".experience").mkdir(parents=True)
    (home / "background_tasks.json").write_text("{}")
    if metadata is not None:
        (home / "metadata.json").write_text(metadata if isinstance(metadata, str) else json.dumps(metadata))
    if owner:
        (home / ".experience" / "owner.json").write_text(json.dumps(to_json(owner)))
    return home


def iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()


# ------------------------------------------------------------------ limits


def test_all_is_well():
    for reading, line in (
        (FINE, "disk 41%, memory 62%, load 0.4"),
        (replace(FINE, peers=(Peer("a", 5), Peer("b", 6))), "disk 41%, memory 62%, load 0.4, 2 peers awake"),
        (replace(FINE, peers=(Peer("a", 5),)), "disk 41%, memory 62%, load 0.4, 1 peer awake"),
        (
            replace(FINE, peers=(Peer("a", 5), Peer("b"))),
            "disk 41%, memory 62%, load 0.4, 1 of 2 peers awake",
        ),
        (replace(FINE, disk=85), "disk 85%, memory 62%, load 0.4"),
        (replace(FINE, queued=500), "disk 41%, memory 62%, load 0.4"),
    ):
        assert evaluate(reading, Options()) == line, (reading, line)


def test_a_passed_warning_limit_is_a_warning():
    for reading, warning in (
        (replace(FINE, disk=85.1), "disk 85.1% is over 85%"),
        (replace(FINE, memory=91), "memory 91% is over 90%"),
        (replace(FINE, swap=81), "swap 81% is over 80%"),
        (replace(FINE, load=2.5), "load 2.5 is over 2"),
        (replace(FINE, queued=501), "files in tasks/queue: 501 is over 500"),
        (replace(FINE, peers=(Peer("mira", 7300),)), "mira: last wake 2h ago"),
        (replace(FINE, peers=(Peer("mira", 5, gone=True),)), "mira: the process that ran it is gone"),
    ):
        report = evaluate(reading, Options())
        assert isinstance(report, Report), (reading, warning)
        assert report.warning, (reading, warning)
        assert report.text.endswith(f"; {warning}"), (reading, warning)
        assert "\n" not in report.text, (reading, warning)


@each(
    ("reading", "failure"),
    [
        (replace(FINE, disk=97), "disk 97% is over 95%"),
        (replace(FINE, memory=99.5), "memory 99.5% is over 98%"),
        (replace(FINE, load=9), "load 9 is over 8"),
        (replace(FINE, disk=97, load=9, swap=90), "disk 97% is over 95%; load 9 is over 8"),
    ],
)
def test_a_passed_failure_limit_fails(reading, failure):
    with pytest.raises(TaskFailed) as error:
        evaluate(reading, Options())
    assert str(error.value) == failure


# ------------------------------------------------------------------ measuring


def test_the_machine_is_measured(tmp_path):
    (tmp_path / "tasks" / "queue").mkdir(parents=True)
    for number in range(3):
        (tmp_path / "tasks" / "queue" / f"{number}.json").write_text("{}")
    reading = measure(tmp_path, NOON)
    assert 0 < reading.disk <= 100
    assert 0 < reading.memory <= 100
    assert reading.load >= 0
    assert (reading.queued, reading.peers) == (3, ())


def test_a_home_that_is_gone_fails(tmp_path):
    with pytest.raises(TaskFailed, match="cannot be measured: No such file"):
        measure(tmp_path / "nowhere", NOON)


async def test_the_handler_leaves_the_loop_free(tmp_path, monkeypatch):
    async def turns() -> int:
        count = 0
        while True:
            await asyncio.sleep(0.001)
            count += 1
            seen.append(count)

    seen: list[int] = []

    def slowly(*arguments) -> Reading:
        import time

        time.sleep(0.2)
        return FINE

    monkeypatch.setattr("scheduler.handlers.heartbeat.handler.measure", slowly)
    other = asyncio.create_task(turns())
    assert await heartbeat(Context("opus", tmp_path, "heartbeat")) == "disk 41%, memory 62%, load 0.4"
    other.cancel()
    assert len(seen) > 20


# ------------------------------------------------------------------ peers


def test_peers_are_the_other_citizens_with_metadata(tmp_path):
    home = citizen(tmp_path, "opus", {"last_wake": iso(NOON)})
    citizen(tmp_path, "mira", {"last_wake": iso(NOON - 60), "wake_count": 3})
    citizen(tmp_path, "aria")  # never woke
    (tmp_path / "alice").mkdir()  # a person, with a file of that name
    (tmp_path / "alice" / "metadata.json").write_text('{"last_wake": "2020-01-01T00:00:00+00:00"}')
    assert check_peers(home, NOON) == (Peer("mira", 60.0),)


@each(
    ("metadata", "asleep"),
    [
        ({"last_wake": NOON - 5}, 5.0),
        ({"last_wake": iso(NOON + 99)}, 0.0),
        ({"last_wake": "2026-03-02T12:59:55+01:00"}, 5.0),
        ({}, None),
        ({"last_wake": None}, None),
        ({"last_wake": "yesterday"}, None),
        ({"last_wake": 10**400}, None),
        ({"last_wake": {}}, None),
    ],
)
def test_when_a_peer_last_woke(tmp_path, metadata, asleep):
    citizen(tmp_path, "mira", metadata)
    assert check_peers(tmp_path / "opus", NOON) == (Peer("mira", asleep),)


@each("content", ["", "[]", "nonsense", "\x00", "[" * 100_000, '"x"'])
def test_metadata_that_is_none_says_nothing(tmp_path, content):
    citizen(tmp_path, "mira", content)
    assert check_peers(tmp_path / "opus", NOON) == ()


def test_a_pipe_as_metadata_does_not_hold_us_up(tmp_path):
    os.mkfifo(citizen(tmp_path, "mira") / "metadata.json")
    assert check_peers(tmp_path / "opus", NOON) == ()


def test_whether_the_owner_of_a_peer_is_alive(tmp_path):
    here = born(os.getpid())
    assert here is not None
    citizen(tmp_path, "alive", {"last_wake": NOON}, Running(os.getpid(), here, NOON))
    citizen(tmp_path, "dead", {"last_wake": NOON}, Running(os.getpid(), here + 9999, NOON))
    citizen(tmp_path, "odd", {"last_wake": NOON})
    (tmp_path / "odd" / ".experience" / "owner.json").write_text('{"pid": "x"}')
    assert {peer.name: peer.gone for peer in check_peers(tmp_path / "opus", NOON)} == {
        "alive": False,
        "dead": True,
        "odd": False,
    }


def test_what_may_not_be_read_is_no_warning(tmp_path, monkeypatch):
    citizen(tmp_path, "mira", {"last_wake": iso(NOON)}, Running(1, 1.0, NOON))
    really = os.open

    def refuse(path, *args, **named):
        if str(path).endswith("owner.json"):
            raise PermissionError(13, "Permission denied")
        return really(path, *args, **named)

    monkeypatch.setattr(os, "open", refuse)
    assert check_peers(tmp_path / "opus", NOON) == (Peer("mira", 0.0),)


def test_of_many_peers_each_looks_at_the_next_fifty(tmp_path):
    names = [f"c{number:03}" for number in range(MOST + 20)]
    for name in names:
        citizen(tmp_path, name, {"last_wake": NOON})
    seen = [peer.name for peer in check_peers(tmp_path / "c060", NOON)]
    assert seen == [*names[61:], *names[: MOST - 9]]
    assert len(seen) == MOST
    assert check_peers(tmp_path / "c060", NOON)[-1].name < "c060"


async def test_without_peers_no_home_is_looked_at(tmp_path):
    home = citizen(tmp_path, "opus")
    citizen(tmp_path, "mira", {"last_wake": "2020-01-01T00:00:00+00:00"})
    alone = Options(
        **dict.fromkeys(("disk_warning", "disk_failure", "memory_warning", "memory_failure"), 100),
        swap_warning=100,
        load_warning=1e9,
        load_failure=1e9,
        peers=False,
    )
    answer = await heartbeat(Context("opus", home, "heartbeat", options=alone))
    assert isinstance(answer, str)
    assert "peer" not in answer
    with_peers = await heartbeat(
        Context("opus", home, "heartbeat", options=alone.model_copy(update={"peers": True}))
    )
    assert isinstance(with_peers, Report)
    assert "mira: last wake " in with_peers.text
