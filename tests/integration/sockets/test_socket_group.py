"""A citizen may be opened to a group of users: its members steer it, other users do not."""

import asyncio
import contextlib
import grp
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from scheduler.config.defaults import BACKGROUND_TASKS
from scheduler.control.fleet import Fleet
from scheduler.control.wire.client import Connection
from scheduler.core.ports import FleetOptions
from scheduler.errors import Disconnected
from scheduler.system.unix_socket import (
    GROUP_FOLDER,
    HomeSocket,
    client_path,
    first_closed_folder,
    shared_path,
    socket_path,
)
from tests.crash.loops import ROOT, Place
from tests.each import each
from tests.fakes import until

GROUP = next(each for each in grp.getgrall() if each.gr_gid not in (0, 65534))
OWN_GROUP = grp.getgrgid(os.getgid()).gr_name
OWNER, MEMBER, STRANGER, OTHERS = 61001, 61002, 61003, 61004
QUICK = '[citizens.opus.tasks.quick]\ncron = "59 23 31 12 *"\ncommand = ["echo", "fine"]\n'


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def fleet_of(place: Place) -> Fleet:
    fleet = Fleet(FleetOptions(config=place.config, only=("opus",), wakes=False))
    await fleet.start(dispatch=False)
    return fleet


# ------------------------------------------------------------------ one user


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    place.tasks(more=f'socket_group = "{OWN_GROUP}"\n')
    return place


async def test_the_group_has_a_socket_and_our_own_folder_stays_closed(place):
    fleet = await fleet_of(place)
    path = shared_path(place.home)
    assert (mode(path), path.stat().st_gid) == (0o660, os.getgid())
    assert (mode(path.parent), path.parent.stat().st_gid) == (0o710, os.getgid())
    assert mode(place.home / ".experience") == 0o700 and mode(socket_path(place.home)) == 0o600
    for at in (path, socket_path(place.home)):
        (await Connection.open(HomeSocket(at, "opus", place.home))).close()
    await fleet.stop()
    assert not path.parent.exists()


async def test_it_is_opened_and_closed_while_running(place):
    fleet = await fleet_of(place)
    attached = await Connection.open(HomeSocket(shared_path(place.home), "opus", place.home))
    place.tasks()
    fleet.reload()
    await until(lambda: not (place.home / GROUP_FOLDER).exists(), "it is closed")
    assert (await attached.ask("ping")) is None, "who is in stays"
    place.tasks(more=f'socket_group = "{OWN_GROUP}"\n')
    fleet.reload()
    await until(lambda: shared_path(place.home).exists(), "it is open again")
    attached.close()
    await fleet.stop()


async def test_what_an_owner_left_that_was_killed_is_removed(place):
    place.tasks()
    (place.home / GROUP_FOLDER).mkdir()
    shared_path(place.home).touch()
    fleet = await fleet_of(place)
    assert not (place.home / GROUP_FOLDER).exists()
    await fleet.stop()


async def test_a_folder_that_members_cannot_pass_is_said_with_the_fix(place):
    place.home.chmod(0o700)
    fleet = await fleet_of(place)
    (scheduler,) = fleet.schedulers()
    (problem,) = scheduler.snapshot().problems
    shut = first_closed_folder(os.getgid(), place.home)
    assert problem == (
        f"socket_group: members of {OWN_GROUP} cannot attach: {shut} is closed to them:"
        f" chgrp {OWN_GROUP} {shut}; chmod g+x {shut}"
    )
    await fleet.stop()


async def test_a_path_that_is_too_long_for_it_is_said_and_stops_nothing(tmp_path):
    (deep := tmp_path / ("x" * 100)).mkdir()
    place = Place(deep)
    place.tasks(more=f'socket_group = "{OWN_GROUP}"\n')
    fleet = await fleet_of(place)
    (scheduler,) = fleet.schedulers()
    assert "cannot attach: AF_UNIX path too long" in scheduler.snapshot().problems[0]
    await fleet.stop()


@each(
    "where, content, said",
    [
        ("main", 'socket_group = "no-such"', "main.toml: socket_group: there is no group 'no-such' here"),
        ("main", "socket_group = 7", "main.toml: socket_group: is a number; write it as text"),
        (
            "own",
            'socket_group = "no-such"',
            "experience.toml: socket_group: there is no group 'no-such' here",
        ),
    ],
)
def test_a_group_that_is_none_is_a_problem_of_the_settings(tmp_path, where, content, said):
    from scheduler.config.loader import load

    place = Place(tmp_path)
    place.tasks()
    file = place.config if where == "main" else place.home / "experience.toml"
    file.write_text(f"{content}\n{file.read_text()}")
    settings = load(config=place.config)
    assert any(said in line for line in (*settings.problems, *settings.citizens[0].problems))


def test_one_citizen_can_be_left_out(place):
    from scheduler.config.loader import load

    place.config.write_text(f'socket_group = "{GROUP.gr_name}"\n{place.config.read_text()}')
    Place(place.root, "mira").tasks(more='socket_group = ""\n')
    place.config.write_text(f'socket_group = "{GROUP.gr_name}"\nroot = {json.dumps(str(place.root))}\n')
    Place(place.root, "aria").config.write_text(place.config.read_text())
    place.config.write_text(f'socket_group = "{GROUP.gr_name}"\nroot = {json.dumps(str(place.root))}\n')
    (place.root / "aria" / "experience.toml").touch()
    groups = {each.name: each.socket_group for each in load(config=place.config).citizens}
    assert groups["mira"] is None
    assert (groups["aria"].name, groups["aria"].number) == (GROUP.gr_name, GROUP.gr_gid)
    assert groups["opus"].name == OWN_GROUP


# ------------------------------------------------------------------ several users

root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be several users")


class Users:
    """A root with one citizen, and processes of several users."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.home = folder, folder / "opus"
        self.config, self.log = folder / "main.toml", ""  # what the owner said until its end
        still = "".join(f"[citizens.opus.tasks.{name}]\nenabled = false\n" for name in BACKGROUND_TASKS)
        self.config.write_text(f'root = "{folder}"\nsocket_group = "{GROUP.gr_name}"\n{QUICK}{still}')
        self.home.mkdir()
        folder.chmod(0o755)
        self.home.chmod(0o711)
        os.chown(self.home, OWNER, OTHERS)

    def begin(self, uid: int, groups: list[int], *words: str) -> "subprocess.Popen[str]":
        gids = ",".join(map(str, groups))
        argv = [sys.executable, "-m", "tests.integration.as_user", str(uid), gids, *words]
        environment = {
            **os.environ,
            "HOME": "/",
            "EXPERIENCE_CONFIG": str(self.config),
            "XDG_RUNTIME_DIR": "",
        }
        pipe = subprocess.PIPE
        return subprocess.Popen(argv, cwd=ROOT, env=environment, stdout=pipe, stderr=pipe, text=True)

    def call(self, uid: int, groups: list[int], *words: str) -> tuple[int, str, str]:
        process = self.begin(uid, groups, *words)
        out, err = process.communicate(timeout=40)
        return process.returncode, out, err

    @contextlib.contextmanager
    def owner(self, groups: list[int]) -> Iterator["subprocess.Popen[str]"]:
        process = self.begin(OWNER, groups, "--no-ui")
        try:
            _wait(lambda: process.poll() is not None or socket_path(self.home).exists(), "the owner is there")
            yield process
        finally:
            process.terminate()
            self.log, _ = process.communicate(timeout=30)


def _wait(holds: Callable[[], object], words: str) -> None:
    end = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < end, f"never came true: {words}"
        time.sleep(0.02)


@pytest.fixture
def users() -> Iterator[Any]:
    folder = Path(tempfile.mkdtemp(prefix="experience-test-"))
    try:
        yield Users(folder)
    finally:
        shutil.rmtree(folder)


@root
def test_members_of_the_group_steer_and_others_do_not(users):
    with users.owner([OTHERS, GROUP.gr_gid]):
        path = shared_path(users.home)
        _wait(path.exists, "the group's socket is there")
        member = users.call(MEMBER, [OTHERS, GROUP.gr_gid], "force", "opus", "quick", "--wait")
        assert member == (0, "fine\nquick: ok: fine\n", "")
        looked = users.call(MEMBER, [GROUP.gr_gid], "history", "opus", "--json")
        (run,) = (each for each in json.loads(looked[1]) if each["task"] != "wake")
        assert (run["task"], run["text"]) == ("quick", "fine")
        _, out, _ = users.call(MEMBER, [GROUP.gr_gid], "status", "opus")
        assert "✓ quick: ran" in out
        by_primary = users.call(MEMBER, [GROUP.gr_gid], "pause", "opus", "quick")
        assert by_primary == (0, "quick: paused\n", "")
        for _ in ("the folder is closed", "who gets as far as the socket is hung up on"):
            code, out, err = users.call(STRANGER, [OTHERS], "resume", "opus", "quick")
            assert (code, out) == (2, "") and f"belongs to user {OWNER}" in err
            path.parent.chmod(0o755)
            path.chmod(0o666)
        assert json.loads((users.home / "background_tasks.json").read_text())["tasks"]["quick"]["paused"]


@root
def test_an_owner_that_is_no_member_says_so_and_runs(users):
    with users.owner([OTHERS]):
        pass
    name = GROUP.gr_name
    said = f"members of {name} cannot attach: this user is not a member of {name}: usermod -aG {name} USER"
    assert said in users.log
    assert not (users.home / GROUP_FOLDER).exists()


@root
def test_a_folder_below_the_temporary_one_that_another_user_made_is_not_entered(users, monkeypatch):
    monkeypatch.setattr("scheduler.system.unix_socket.PATH_LIMIT", 5)
    path = socket_path(users.home)
    path.parent.mkdir(parents=True)
    try:
        os.chown(path.parent, STRANGER, OTHERS)
        with pytest.raises(PermissionError, match="belongs to another user"):
            client_path(users.home)
    finally:
        path.parent.rmdir()


async def test_who_listens_nowhere_is_no_owner(tmp_path):
    with pytest.raises(Disconnected, match="nothing listens"):
        await asyncio.wait_for(Connection.open(HomeSocket(shared_path(tmp_path), "opus", tmp_path)), 5)
