"""What users saw when a machine's time zone changed, or was spelt as a rule instead of a name."""

import asyncio
import json
import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import TZPATH

import pytest

from scheduler import background
from scheduler.background import read_citizens
from scheduler.cli.main import run
from scheduler.config.loader import Settings, fingerprint, load
from scheduler.control.fleet import Fleet
from scheduler.control.wire import owner_snapshot
from scheduler.core.ports import FleetOptions
from scheduler.core.schedules.schedule import Cron, local_zone, zone_named
from scheduler.errors import BadSchedule
from scheduler.storage.lock import owner_of
from scheduler.system import time_zones
from scheduler.system.unix_socket import socket_path
from tests.crash.loops import Place
from tests.each import each
from tests.fakes import NOON, until
from tui.__main__ import monitor

ZONES = next(Path(folder) for folder in TZPATH if Path(folder, "Europe/Berlin").exists())
CRON = "[tasks.soon]\ncron = '0 9 * * *'\ncommand = ['date']\n"


class Machine:
    """Its /etc/localtime, and a root with one citizen."""

    def __init__(self, folder: Path) -> None:
        self.localtime, self.config, self.home = folder / "localtime", folder / "main.toml", folder / "opus"
        self.home.mkdir()
        self.own = self.home / "experience.toml"
        self.own.write_text(CRON)
        self.config.write_text(f'root = "{folder}"\n')
        self.move_to("Europe/Berlin")

    def move_to(self, zone: str) -> None:
        """As `timedatectl set-timezone` does it: another link takes the place of the old one."""
        link = self.localtime.with_name("new")
        link.symlink_to(ZONES / zone)
        link.replace(self.localtime)

    def load(self) -> Settings:
        return load(config=self.config)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    monkeypatch.delenv("TZ", raising=False)
    machine = Machine(tmp_path)
    monkeypatch.setattr(time_zones, "LOCALTIME", str(machine.localtime))
    return machine


def hour_of(settings: Settings) -> str:
    """When the task is due next, in UTC."""
    task = next(each for each in settings.citizens[0].tasks if each.name == "soon")
    return datetime.fromtimestamp(task.schedule.after(NOON), UTC).strftime("%H:%M")


# ------------------------------------------------------------------ the zone changes while it runs


async def test_a_machine_that_is_set_to_another_zone_takes_its_tasks_with_it(machine, monkeypatch):
    """raspi-config 111, fcron 39, ansible-role-ntp 15: jobs kept the old zone until a restart."""
    monkeypatch.setattr("scheduler.control.following.regular_checks.CHECK_EVERY", 0.05)
    fleet = Fleet(FleetOptions(config=machine.config, wakes=False))
    await fleet.start()
    try:
        assert due_in(fleet, "Europe/Berlin") == "09:00"
        machine.move_to("Asia/Tokyo")
        await until(lambda: due_in(fleet, "Asia/Tokyo") == "09:00", "it is due at nine in Tokyo")
        machine.move_to("America/New_York")
        fleet.reload()  # SIGHUP
        await until(lambda: due_in(fleet, "America/New_York") == "09:00", "it is due at nine in New York")
    finally:
        await fleet.stop(0)


def due_in(fleet: Fleet, zone: str) -> str:
    row = fleet.members["opus"].control.snapshot().task("soon")
    return "" if row is None else datetime.fromtimestamp(row.due or 0, zone_named(zone)).strftime("%H:%M")


def test_an_update_of_tzdata_is_taken_up_without_a_restart(machine, tmp_path, monkeypatch):
    """lionagi 2496: the rules of a zone were those of the day the process started."""
    folder = tmp_path / "zoneinfo"
    (folder / "Africa").mkdir(parents=True)
    (folder / "Africa/Cairo").write_bytes((ZONES / "Etc/GMT-2").read_bytes())  # as before April 2023
    monkeypatch.setattr(time_zones, "TZPATH", (str(folder), str(ZONES)))
    machine.own.write_text(CRON.replace("command", "timezone = 'Africa/Cairo'\ncommand"))
    settings = machine.load()
    assert (hour_of(settings), fingerprint(settings) == settings.mark) == ("07:00", True)
    (folder / "new").write_bytes((ZONES / "Etc/GMT-3").read_bytes())
    (folder / "new").replace(folder / "Africa/Cairo")
    assert fingerprint(settings) != settings.mark
    assert hour_of(machine.load()) == "06:00"


def test_a_zone_in_front_of_the_expression_is_not_remembered_either(machine, tmp_path, monkeypatch):
    folder = tmp_path / "zoneinfo"
    folder.mkdir()
    (folder / "Here").write_bytes((ZONES / "Etc/GMT-2").read_bytes())
    monkeypatch.setattr(time_zones, "TZPATH", (str(folder), str(ZONES)))
    machine.own.write_text(CRON.replace("0 9", "CRON_TZ=Here 0 9"))
    before = machine.load()
    (folder / "Here").write_bytes((ZONES / "Etc/GMT-3").read_bytes())
    assert fingerprint(before) != before.mark
    assert (hour_of(before), hour_of(machine.load())) == ("07:00", "06:00")


def test_a_zone_that_is_written_again_with_the_same_content_changes_no_task(machine):
    machine.localtime.unlink()
    machine.localtime.write_bytes((ZONES / "Europe/Berlin").read_bytes())  # a copy, as in many containers
    before = machine.load()
    copy = machine.localtime.with_name("again")
    copy.write_bytes(machine.localtime.read_bytes())
    copy.replace(machine.localtime)
    assert fingerprint(before) == before.mark
    assert machine.load().citizens == before.citizens


def test_times_in_log_lines_follow_the_machine_too(machine, monkeypatch):
    """glibc looks at /etc/localtime once, unless it is asked to look again."""
    asked = []
    monkeypatch.setattr(time, "tzset", lambda: asked.append(1))
    machine.move_to("Asia/Tokyo")
    local_zone(), local_zone()
    assert asked == [1]


@each("there", ["Asia/Tokyo", "America/New_York", "UTC0", "Pacific/Apia"])
async def test_a_change_of_zone_runs_no_slot_twice_and_loses_none(build, clock, noting, runs, there):
    """A day in Berlin, then a week in another zone: each nine o'clock that begins there, once."""
    scheduler = await build(noting(schedule=Cron("0 9 * * *", zone_named("Europe/Berlin"))))
    await clock.advance(hours=24)
    assert len(runs) == 1
    moved, zone = clock.now(), zone_named(there)
    scheduler.set_tasks([noting(schedule=Cron("0 9 * * *", zone))])
    await clock.advance(hours=24 * 7)
    assert runs[1:] == [when for when in Cron("0 9 * * *", zone).upcoming(moved, 9) if when <= clock.now()]


# ------------------------------------------------------------------ zones as rules


RULES = [
    "UTC0", "CET-1CEST,M3.5.0,M10.5.0/3", "<+03>-3", "GMT+2", "IST-1GMT0,M10.5.0,M3.5.0/1", "<+0545>-5:45",
    "<-03>3<-02>,M3.5.0/-2,M10.5.0/-1", "EST+5EDT,J60/0,J300/25", "NZST-12NZDT,M9.5.0,M4.1.0/3",
]  # fmt: skip
SPELLINGS = [":Europe/Berlin", f"{ZONES}/Europe/Berlin", f":{ZONES}/Europe/Berlin", "Europe/Berlin"]


@each("rule", [*RULES, *SPELLINGS, ""])
def test_a_zone_that_date_understands_is_understood(rule, monkeypatch):
    """tzlocal 132, APScheduler 574 and 186: OpenWrt, Alpine and small devices have POSIX rules only."""
    zone = with_tz(rule, monkeypatch, local_zone)
    moments = [NOON + 3600 * hours for hours in range(9000)]
    theirs = with_tz(rule, monkeypatch, lambda: [time.localtime(when).tm_gmtoff for when in moments])
    ours = [datetime.fromtimestamp(when, zone).utcoffset() for when in moments]
    assert [each.total_seconds() for each in ours if each is not None] == theirs


def with_tz(rule: str, monkeypatch: pytest.MonkeyPatch, question: Callable[[], object]):
    with monkeypatch.context() as patch:
        patch.setenv("TZ", rule)
        time.tzset()
        answer = question()
    time.tzset()
    return answer


@each("variant", ["posix/Europe/Berlin", "right/Europe/Berlin", f"{ZONES}/right/Europe/Berlin"])
def test_the_variants_of_a_zone_are_the_zone(variant, monkeypatch):
    monkeypatch.setenv("TZ", variant)
    assert local_zone() is zone_named("Europe/Berlin")


def test_summer_time_without_dates_has_those_of_the_c_library(monkeypatch):
    monkeypatch.setenv("TZ", "AST4ADT")
    assert Cron("0 9 * * *", local_zone()).upcoming(NOON, 9) == Cron(
        "0 9 * * *", zone_named("America/Halifax")
    ).upcoming(NOON, 9)


def test_without_tz_and_localtime_it_is_utc(machine):
    machine.localtime.unlink()
    assert str(local_zone()) == "UTC"


@each(
    "unknown",
    [
        "America/Nowhere",
        "/etc/passwd",
        "/nowhere",
        "../../etc/passwd",
        "Europe",
        "zone.tab",
        "AAA24",
        "X",
        "UTC0\n",
    ],
)
def test_a_zone_that_is_not_understood_is_refused_in_one_line(unknown, monkeypatch):
    monkeypatch.setenv("TZ", unknown)
    with pytest.raises(BadSchedule, match="time zone is not known") as error:
        local_zone()
    assert "\n" not in str(error.value)


def test_a_home_names_no_file_as_a_zone(tmp_path):
    (tmp_path / "zone").write_bytes((ZONES / "Europe/Berlin").read_bytes())
    with pytest.raises(BadSchedule):
        zone_named(str(tmp_path / "zone"))


def test_an_unknown_zone_of_the_machine_stops_only_the_tasks_that_need_it(machine, monkeypatch, capsys):
    monkeypatch.setenv("TZ", "America/Nowhere")
    machine.own.write_text(
        f"{CRON}[tasks.named]\ncron = '0 9 * * *'\ntimezone = 'UTC'\ncommand = ['date']\n"
        "[tasks.boot]\ncron = '@reboot'\ncommand = ['date']\n"
        "[tasks.often]\nevery = '1m'\ncommand = ['date']\n"
    )
    (opus,) = machine.load().citizens
    ready = {each.name for each in opus.tasks if each.set_up}
    assert opus.problems == () and {"named", "boot", "often", "heartbeat"} <= ready and "soon" not in ready
    assert run(monitor, ["check", "opus", "--config", str(machine.config)]) == 2
    assert "tasks.soon.cron: the machine's time zone is not known" in capsys.readouterr().err
    assert run(monitor, ["status", "opus", "--config", str(machine.config)]) == 0
    shown = capsys.readouterr()
    assert "◌ soon: not set up (timezone)" in shown.out and "America/Nowhere" in shown.err


# ------------------------------------------------------------------ another shell asks


@pytest.fixture
def owned_in_tokyo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """A loop in Tokyo, with a variable that this shell does not have; this shell is in Berlin."""
    place = Place(tmp_path)
    place.tasks("soon\ncron = '0 9 * * *'\ncommand = ['date', '${FORMAT}']")
    more = {"TZ": "Asia/Tokyo", "FORMAT": "+%H"}
    with place.loop(env=place.environment() | more):
        asyncio.run(until(lambda: socket_path(place.home).exists(), "it listens"))
        monkeypatch.setenv("TZ", "Europe/Berlin")
        time.tzset()
        yield place
    monkeypatch.undo()
    time.tzset()


def test_status_and_next_speak_for_the_owner_in_its_zone_and_environment(owned_in_tokyo, capsys):
    """dakboard 106: the screen and the program that ran things were in two zones, and both said nine."""
    place, config = owned_in_tokyo, ["--config", str(owned_in_tokyo.config)]
    assert run(monitor, ["next", "opus", *config]) == 0
    shown = capsys.readouterr()
    assert "09:00:00 JST  in " in shown.out
    assert shown.err == "experience: the times of opus are in Asia/Tokyo, its zone\n"
    assert run(monitor, ["next", "opus", "--json", *config]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["at"].endswith("T09:00:00+09:00")
    assert run(monitor, ["status", "opus", *config]) == 0
    shown = capsys.readouterr()
    assert "○ soon: never ran, next in " in shown.out
    assert shown.err == ""
    (snapshot,) = read_citizens(("opus",), place.config)
    assert (snapshot.zone, snapshot.problems) == ("Asia/Tokyo", ())


def test_without_an_owner_the_zone_is_the_readers_own(machine, capsys, monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    assert run(monitor, ["next", "opus", "--config", str(machine.config)]) == 0
    shown = capsys.readouterr()
    monkeypatch.undo()
    time.tzset()
    assert "09:00:00 JST  in " in shown.out
    assert shown.err == "experience: no process runs opus: ./run.sh up opus\n"


def test_an_owner_that_hangs_is_not_waited_for(owned_in_tokyo, monkeypatch):
    """A thousand citizens of one process that hangs cost one wait; their files have to do."""
    asked = []
    monkeypatch.setattr(owner_snapshot, "owner_snapshot", lambda *which: asked.append(which))
    (snapshot,) = read_citizens(("opus",), owned_in_tokyo.config)
    assert (snapshot.zone, len(asked)) == ("", 1)
    citizen = load(config=owned_in_tokyo.config).citizens[0]
    silent = {os.getpid(), owner_of(owned_in_tokyo.home).pid}
    assert background._from_owner(citizen, silent) is None
    assert len(asked) == 1


async def test_the_owner_is_asked_by_a_socket_that_waits_for_nothing_else(machine):
    fleet = Fleet(FleetOptions(config=machine.config, wakes=False))
    await fleet.start(dispatch=False)
    try:
        found = await asyncio.to_thread(owner_snapshot.owner_snapshot, "opus", machine.home)
        assert found is not None
        assert (found.zone, found.owner) == ("Europe/Berlin", f"pid {os.getpid()}")
        assert found.tasks == fleet.members["opus"].control.snapshot().tasks
        assert await asyncio.to_thread(owner_snapshot.owner_snapshot, "mira", machine.home) is None
    finally:
        await fleet.stop(0)
    assert owner_snapshot.owner_snapshot("opus", machine.home) is None
