"""Whose socket is it: nothing is asked of what is not the citizen's own owner, and no user is locked out."""

import asyncio
import json
import logging
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from scheduler.cli.main import run
from scheduler.config.loader import load
from scheduler.control.fleet import Fleet
from scheduler.control.wire import messages
from scheduler.control.wire.client import Connection, RemoteControl
from scheduler.control.wire.connection_limits import CLIENTS, OTHERS, ConnectionLimits, Seat
from scheduler.core.ports import FleetOptions
from scheduler.errors import Refused, WrongOwner
from scheduler.runtime.background_loops import stop_loops
from scheduler.storage.lock import owner_of
from scheduler.system import log_once
from scheduler.system.log_once import CountedWarning
from scheduler.system.unix_socket import HomeSocket, Peer, client_socket, home_id, socket_path
from tests.each import each
from tests.fakes import until
from tests.ordinary_user import ordinary_user
from tui.__main__ import monitor

NEVER = '[tasks.chore]\ncron = "59 23 31 12 *"\ncommand = ["true"]\n'
root = pytest.mark.skipif(os.geteuid() != 0, reason="needs a second user")


class Root:
    """A root folder, its settings, and homes in it."""

    def __init__(self, folder: Path) -> None:
        self.homes, self.config = folder / "homes", folder / "main.toml"
        self.homes.mkdir(parents=True)
        self.config.write_text(f"root = {json.dumps(str(self.homes))}\n")

    def home(self, name: str) -> Path:
        home = self.homes / name
        home.mkdir(exist_ok=True)
        (home / "experience.toml").write_text(NEVER)
        return home

    async def owner(self, name: str) -> Fleet:
        fleet = Fleet(FleetOptions(config=self.config, only=(name,), wakes=False))
        fleet.on_stop = lambda: pytest.fail("another citizen's owner was asked to stop")
        await fleet.start(dispatch=False)
        return fleet

    async def monitor(self, name: str) -> Fleet:
        fleet = Fleet(FleetOptions(config=self.config, only=(name,), own=False))
        await fleet.start(dispatch=False)
        return fleet

    async def command(self, *words: str) -> int:
        argv = [*words, "--config", str(self.config)]
        with patch("scheduler.control.session._on_interrupt"):  # signals are for the main thread alone
            return await asyncio.to_thread(run, monitor, argv, "experience-tui")


def led_to(evil: Path, good: Path) -> None:
    """The agent of `evil` puts links and copies there, so that its home seems to be owned by good's owner."""
    (evil / ".experience").mkdir(exist_ok=True)
    (evil / ".experience" / "control.sock").symlink_to(socket_path(good))
    shutil.copy(good / ".experience" / "owner.json", evil / ".experience" / "owner.json")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path: the sockets are in the homes then."""
    made = Path(tempfile.mkdtemp(prefix="x-"))
    yield made
    shutil.rmtree(made)


@pytest.fixture
async def good(folder: Path) -> AsyncIterator[Root]:
    """A root with the citizen `good`, owned here, and the home of `evil`, which leads to it."""
    place = Root(folder / "one")
    home, evil = place.home("good"), place.home("evil")
    fleet = await place.owner("good")
    led_to(evil, home)
    yield place
    (scheduler,) = fleet.schedulers()
    events = scheduler.snapshot().events
    assert not {event.kind for event in events} & {"reset", "paused", "resumed", "queued"}
    assert not [event for event in events if event.task == "wake"]
    await fleet.stop(0)


# ------------------------------------------------------------------ another citizen, another home


async def test_a_link_does_not_stop_another_citizen(good):
    citizens = [each for each in load(config=good.config).citizens if each.name == "evil"]
    note = good.homes / "evil" / ".experience" / "owner.json"
    for forged in ({}, {"home": str(good.homes / "evil")}, {"home_id": home_id(good.homes / "evil")}):
        note.write_text(json.dumps({**json.loads(note.read_bytes()), **forged}))
        reports = await stop_loops(citizens, lambda report: None)
        assert all(each.failed for each in reports), reports
        if forged:
            assert "is the owner of the citizen 'good' (pid " in reports[0].text


@each("verb", ["force", "reset", "pause", "resume"])
async def test_a_link_does_not_lead_a_verb_to_another_citizen(good, verb, capsys, monkeypatch):
    monkeypatch.setattr("scheduler.storage.lock._may_own", _refuse)
    assert await good.command(verb, "evil", "chore") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "evil: what listens at" in line and "is the owner of the citizen 'good'" in line


async def test_a_link_does_not_wake_another_citizen(good, capsys, monkeypatch):
    monkeypatch.setattr("scheduler.storage.lock._may_own", _refuse)
    assert await good.command("wake", "evil", "--json") == 2
    assert json.loads(capsys.readouterr().out)["code"] == "wrong-owner"


def _refuse(home: Path, as_root: bool) -> None:
    from scheduler.errors import NotOurs

    raise NotOurs(f"{home} belongs to another user")


async def test_a_monitor_shows_why_it_does_not_attach(good):
    fleet = await good.monitor("evil")
    control = fleet.members["evil"].control
    assert "is the owner of the citizen 'good'" in control.snapshot().stale
    with pytest.raises(WrongOwner):
        await control.force("chore")
    await fleet.stop()


async def test_a_citizen_of_the_same_name_in_another_root_is_another_one(good, folder):
    other = Root(folder / "two")
    led_to(other.home("good"), good.homes / "good")
    with pytest.raises(WrongOwner, match="is the owner of another home"):
        await Connection.open(client_socket("good", other.homes / "good"))
    fleet = await other.monitor("good")
    assert "another home" in fleet.members["good"].control.snapshot().stale
    await fleet.stop()


async def test_the_note_in_a_copied_home_names_no_owner(good, folder):
    home = good.homes / "good"
    assert owner_of(home)
    other = Root(folder / "two")
    copied = other.home("good")
    (copied / ".experience").mkdir()
    shutil.copy(home / ".experience" / "owner.json", copied / ".experience" / "owner.json")
    assert owner_of(copied) is None
    assert await stop_loops(load(config=other.config).citizens, lambda report: None) == []


async def test_a_home_that_is_moved_while_it_is_owned_keeps_its_owner(folder):
    place = Root(folder / "one")
    home = place.home("good")
    fleet = await place.owner("good")
    link = folder / "seen-as"
    link.symlink_to(home)
    assert owner_of(link)
    (await Connection.open(HomeSocket(socket_path(home), "good", link))).close()
    await fleet.stop(0)


async def test_who_was_attached_does_not_follow_to_another_owner(good, folder):
    home = good.homes / "evil"
    (home / ".experience" / "control.sock").unlink()
    (home / ".experience" / "owner.json").unlink()
    owner = await good.owner("evil")
    control = RemoteControl(client_socket("evil", home), owner.clock)
    await control.start()
    await owner.members["evil"].server.close()
    socket_path(home).symlink_to(socket_path(good.homes / "good"))
    await until(lambda: "the owner of the citizen 'good'" in control.snapshot().stale, "it is refused")
    await control.stop()
    await owner.stop(0)


# ------------------------------------------------------------------ another user


@root
@pytest.mark.parametrize("home_of", [0, 5001])
async def test_a_listener_of_another_user_is_not_believed(folder, home_of):
    """The kernel says who listens: whatever it greets with, it is neither root nor the home's user."""
    received = []

    async def impostor(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        greeting = messages.Greeting(messages.PROTOCOL, "opus", os.getpid(), home_id(home))
        try:
            writer.write(messages.encode(method="hello", params=messages.to_json(greeting)))
            received.append(await reader.read())
        except OSError:  # it hung up before it was greeted
            received.append(b"")
        writer.close()

    home, place = folder / "opus", folder / "open" / "impostor"
    folder.chmod(0o711)
    for made in (home, place.parent):
        made.mkdir()
    place.parent.chmod(0o777)
    os.chown(home, home_of, home_of)
    with ordinary_user():
        server = await asyncio.start_unix_server(impostor, str(place))
    try:
        with pytest.raises(WrongOwner, match="neither the home's user nor root: remove that socket"):
            await Connection.open(HomeSocket(place, "opus", home))
        await until(lambda: received, "it hangs up")
        assert received == [b""]
    finally:
        server.close()


# ------------------------------------------------------------------ seats


def seats(*, trusted: int = 0, others: int = 0, busy: bool = True) -> tuple[ConnectionLimits, list[Any]]:
    taken = ConnectionLimits()
    all_of = [_seat(trusted=True, busy=busy) for _ in range(trusted)]
    all_of += [_seat(trusted=False, busy=busy) for _ in range(others)]
    assert all(taken.take(each) for each in all_of)
    return taken, all_of


class FakeTask:
    cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


def _seat(*, trusted: bool, busy: bool = False) -> Any:
    return Seat(FakeTask(), trusted, {1: FakeTask()} if busy else {})


def test_members_of_the_group_leave_seats_for_the_owners_user():
    taken, _ = seats(others=OTHERS)
    assert not taken.take(_seat(trusted=False))
    for _ in range(CLIENTS - OTHERS):
        assert taken.take(_seat(trusted=True, busy=True))
    assert not taken.take(_seat(trusted=True))


def test_the_client_that_was_idle_for_longest_makes_room():
    taken, (first, second, *rest) = seats(trusted=CLIENTS, busy=False)
    first.requests[1] = FakeTask()  # it watches
    assert taken.take(_seat(trusted=True))
    assert [each.task.cancelled for each in (first, second, *rest)] == [False, True] + [False] * len(rest)


def test_a_member_displaces_members_and_never_the_owners_user():
    taken, all_of = seats(trusted=CLIENTS - 1, busy=False)
    stranger = _seat(trusted=False)
    assert taken.take(stranger)
    assert taken.take(_seat(trusted=False)) and stranger.task.cancelled
    assert not any(each.task.cancelled for each in all_of)
    assert taken.take(_seat(trusted=True)), "a member goes before one of the owner's user"
    assert not any(each.task.cancelled for each in all_of)
    assert not taken.take(_seat(trusted=False))


def test_who_leaves_frees_its_seat():
    taken, all_of = seats(trusted=CLIENTS)
    assert not taken.take(_seat(trusted=True))
    taken.leave(all_of[7])
    assert taken.take(_seat(trusted=True))


async def idle_clients(path: Path, number: int) -> list[asyncio.StreamWriter]:
    writers = []
    for _ in range(number):
        reader, writer = await asyncio.open_unix_connection(str(path))
        await reader.readline()
        writers.append(writer)
    return writers


async def test_idle_clients_of_the_group_lock_no_one_out(folder, monkeypatch, capsys):
    place = Root(folder)
    home = place.home("good")
    fleet = await place.owner("good")
    member = Peer(1, 12345, frozenset({os.getgid()}))
    with monkeypatch.context() as faked:
        faked.setattr("scheduler.control.wire.server.peer_of", lambda connection: member)
        faked.setattr("scheduler.control.wire.server.is_admitted", lambda *_: True)
        writers = await idle_clients(socket_path(home), 2 * CLIENTS)
    assert fleet.members["good"].server.clients <= OTHERS
    assert await place.command("reset", "good", "chore") == 0
    for writer in writers:
        writer.close()
    await fleet.stop(0)


async def test_own_idle_clients_lock_no_one_out(folder):
    place = Root(folder)
    home = place.home("good")
    fleet = await place.owner("good")
    writers = await idle_clients(socket_path(home), CLIENTS + 50)
    assert await place.command("reset", "good", "chore") == 0
    for writer in writers:
        writer.close()
    await fleet.stop(0)


async def test_a_full_socket_is_a_sentence_and_one_line_of_the_log(folder, monkeypatch, capsys, caplog):
    monkeypatch.setattr("scheduler.control.wire.connection_limits.CLIENTS", 2)
    monkeypatch.setattr("scheduler.control.wire.server.CLIENTS", 2)
    caplog.set_level(logging.WARNING, "experience.server")
    place = Root(folder)
    at = client_socket("good", place.home("good"))
    fleet = await place.owner("good")
    watching = [RemoteControl(at, fleet.clock) for _ in range(2)]
    for control in watching:
        await control.start()
    for _ in range(5):
        with pytest.raises(Refused, match="2 clients are attached to pid"):
            await Connection.open(at)
    assert await place.command("reset", "good", "chore") == 2
    assert f"good: 2 clients are attached to pid {os.getpid()}; close some" in capsys.readouterr().err
    assert [each.getMessage() for each in caplog.records if each.name == "experience.server"] == [
        "refused a client at the socket: all seats are taken"
    ]
    for control in watching:
        await control.stop()
    await fleet.stop(0)


async def test_a_line_that_anybody_can_cause_is_logged_once_and_counted(monkeypatch, caplog):
    monkeypatch.setattr(log_once, "EVERY", 0.01)
    warn = CountedWarning(logging.getLogger("experience.server"), citizen="opus")
    for _ in range(1000):
        warn("knock", " knock")
    await until(lambda: len(caplog.records) > 1, "the others are counted")
    assert [each.getMessage() for each in caplog.records] == ["knock knock", "knock: 999 more"]
    warn("knock")
    assert caplog.records[-1].getMessage() == "knock"
