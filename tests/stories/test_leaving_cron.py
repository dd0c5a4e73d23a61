"""What users saw who left cron: lines that were not moved, moved to other times, or started twice."""

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from scheduler.config.loader import load
from scheduler.core.schedules.schedule import LONGEST, AtStart, Every, zone_named
from scheduler.core.task import Call, Context
from scheduler.migration import installed_cron as machine
from scheduler.migration.crontab import LineKind
from scheduler.migration.installed_cron import InstalledCron, installed_cron, why_ignored
from scheduler.migration.pam_environment import pam_environment
from scheduler.migration.plan import plan
from scheduler.migration.planned import CrontabPlan, Fate, LinePlan, MigrationRequest, Source
from scheduler.migration.reboot_lines import leaves_a_daemon, running_copy
from scheduler.migration.settings_writer import settings_with
from scheduler.migration.target import load_target, sources, states_of
from scheduler.storage.state_file import StateFile
from tests.each import each
from tests.fakes import NOON, until

BERLIN = zone_named("Europe/Berlin")
ME = MigrationRequest("opus", "me", "/home/opus", NOON, BERLIN)
DEBIAN, CRONIE = InstalledCron("/usr/sbin/cron", False), InstalledCron("/usr/sbin/crond", True)


@pytest.fixture(autouse=True)
def in_berlin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")


class Gate:
    """A handler that runs until it is let go."""

    def __init__(self) -> None:
        self.open = asyncio.Event()

    async def __call__(self, _context: object) -> str:
        await self.open.wait()
        return "through"


def crontab(text: str, wanted: MigrationRequest = ME) -> CrontabPlan:
    (found,) = plan([Source("a crontab", text.encode(), column=False)], wanted)
    return found


def one(text: str, wanted: MigrationRequest = ME) -> LinePlan:
    """The plan for the last line."""
    return crontab(text, wanted).lines[-1]


# ------------------------------------------------------------------ a command that looks like a time


@each(
    "command",
    [
        "apt-get update", "php-cgi /srv/x.php", "git-svn fetch", "tar-all", "ssh-add -l", "vpn-off",
        "ufw-log rotate", "dot-net-run x", "fri-day.sh", "mon-itor x", "sun", "sat-get,x y", "7z a x.7z /srv",
        "may-be x", "/usr/bin/x * 5", "dec2bin 5", "mon.sh x", "2to3 x", "jan-dec-x y",
    ],
)  # fmt: skip
def test_apt_get_update_is_a_command_and_no_sixth_field(command):
    """NCrontab 39, pharos-host-upgrades 29: a sixth field was guessed by the look of a word."""
    planned = one(f"0 4 * * 0 {command}")
    assert (planned.fate, planned.work and planned.work.argv[2]) == (Fate.TASK, command)


@each("field", ["mon-fri", "mon,tue", "MON", "1-5", "*/2", "?", "*", "jan-mar/2", "2026", "sun,3-5", "0,30"])
def test_a_sixth_field_that_is_one_is_still_seen(field):
    planned = one(f"0 5 4 * * {field} /bin/x")
    assert (planned.fate, planned.reason) == (
        Fate.NEEDS_YOU,
        f"cron has five fields; the sixth here is {field}",
    )


@each(
    "line",
    [
        "0 0 L * * x", "0 8 weekdays * * x", "5/15 * * * * x", "0 0 * * wed-fri/2l x", "0 0 15W * * x",
        "0 0 * * 5#2 x", "1 5 cron.daily run-parts --report /etc/cron.daily", "7 10 cron.weekly nice run x",
        "@monthly 15 cron.monthly run-parts /etc/cron.monthly", "0 5 nightly backup.sh now", "0 0 0 * * x",
        "0 5 4 * * mon-fri x", "0 0 l,w * * x", "99999999 5 job.x y z", "* * * * * * x",
    ],
)  # fmt: skip
def test_a_hint_that_is_given_works(line, tmp_path):
    """Debian's anacrontab: the hint was a setting that the settings refused."""
    planned = one(line)
    assert planned.fate is Fate.NEEDS_YOU
    setting, named, _ = planned.nearest.partition(" in the settings")
    if named:
        (tmp_path / "opus").mkdir()
        (tmp_path / "opus/experience.toml").write_text(f"[tasks.x]\n{setting}\ncommand = ['x']\n")
        (tmp_path / "main.toml").write_text(f'root = "{tmp_path}"\n')
        found = load(config=tmp_path / "main.toml", environ={})
        assert found.citizens[0].problems == ()


def test_a_line_of_an_anacrontab_is_named_for_what_it_is():
    planned = one("7 10 cron.weekly run-parts --report /etc/cron.weekly")
    assert planned.reason == "is anacron's job cron.weekly, not cron's"
    assert planned.nearest == 'every = "7d" in the settings'
    monthly = one("@monthly 15 cron.monthly run-parts --report /etc/cron.monthly")
    assert (monthly.fate, monthly.nearest) == (Fate.NEEDS_YOU, 'cron = "@monthly" in the settings')


# ------------------------------------------------------------------ zones

ZONES = "TZ=America/New_York\n0 9 * * * with-tz\nCRON_TZ=Asia/Tokyo\nTZ=UTC\n0 9 * * * with-both\n"


def nines(found: CrontabPlan) -> list[tuple[str, str]]:
    """The zone and the first time of each line that moves."""
    moved = [planned for planned in found.lines if planned.moves]
    return [(each.zone, f"{datetime.fromtimestamp(each.before[0], UTC):%H:%M}") for each in moved]


@each(
    ("cron", "times"),
    [
        (InstalledCron(), [("", "08:00"), ("Asia/Tokyo", "00:00")]),
        (CRONIE, [("", "08:00"), ("Asia/Tokyo", "00:00")]),
        (DEBIAN, [("", "08:00"), ("", "08:00")]),
    ],
)
def test_nine_o_clock_stays_the_nine_o_clock_of_the_cron_that_ran_it(cron, times):
    """supercronic 80, salt 31891: TZ is for the command, CRON_TZ for the times, and Debian knows neither."""
    found = crontab(ZONES, replace(ME, cron=cron))
    assert nines(found) == times
    both = found.lines[-1]
    assert both.work and both.work.environment["TZ"] == "UTC"
    assert any("CRON_TZ" in note for note in both.notes) == (cron is not CRONIE)


def test_an_unknown_tz_is_the_commands_own_matter():
    assert one("TZ=Mars/Olympus\n0 9 * * * x").fate is Fate.TASK
    assert one("CRON_TZ=Mars/Olympus\n0 9 * * * x", replace(ME, cron=DEBIAN)).fate is Fate.TASK
    assert one("CRON_TZ=Mars/Olympus\n0 9 * * * x", replace(ME, cron=CRONIE)).fate is Fate.NEEDS_YOU
    assert one("CRON_TZ=Mars/Olympus\n@reboot x").fate is Fate.TASK


@each("rule", ["UTC0", "CET-1CEST,M3.5.0,M10.5.0/3", "<+03>-3"])
def test_a_zone_as_a_rule_is_read_as_cron_reads_it(rule):
    planned = one(f"CRON_TZ={rule}\n0 9 * * * x")
    assert (planned.fate, planned.zone) == (Fate.TASK, rule)


def test_the_cron_of_the_machine_says_itself_whether_it_reads_zones(tmp_path):
    assert installed_cron("me", "/home/opus", tmp_path) == InstalledCron()
    (tmp_path / "usr/sbin").mkdir(parents=True)
    (tmp_path / "usr/sbin/crond").write_bytes(b"\x7fELF...CRON_TZ\0...")
    assert installed_cron("me", "/home/opus", tmp_path).reads_zone is True
    (tmp_path / "usr/sbin/cron").write_bytes(b"\x7fELF...")
    found = installed_cron("me", "/home/opus", tmp_path)
    assert (found.program, found.reads_zone) == (str(tmp_path / "usr/sbin/cron"), False)
    assert not found.ignores_files
    (tmp_path / "usr/sbin/cron").write_bytes(b"\x7fELF..." + machine.FILE_IGNORED)
    assert installed_cron("me", "/home/opus", tmp_path).ignores_files


# ------------------------------------------------------------------ what cron adds, forgives and ignores


def etc(root: Path, **files: str) -> Path:
    for name, text in files.items():
        file = root / "etc" / name.replace("__", "/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


def test_a_job_keeps_the_variables_that_pam_gave_it(tmp_path):
    """cron 3.0 on Debian: LANG of /etc/default/locale and all of /etc/environment, but not its PATH."""
    etc(
        tmp_path,
        environment='PATH="/snap/bin:/usr/bin"\n# no\nexport PROXY=http://127.0.0.1:3128 # yes\n'
        "A='b c'\n1x=2\n",
        default__locale="LANG=de_DE.UTF-8\n",
        security__pam_env_conf="",
    )
    cron = installed_cron("me", "/home/opus", tmp_path)
    work = one("0 9 * * * x", replace(ME, cron=cron)).work
    assert work and work.environment == {
        "SHELL": "/bin/sh", "PATH": "/usr/bin:/bin", "HOME": "/home/opus", "LOGNAME": "me",
        "PROXY": "http://127.0.0.1:3128", "A": "b c", "LANG": "de_DE.UTF-8",
    }  # fmt: skip
    above = one("PROXY=mine\n0 9 * * * x", replace(ME, cron=cron)).work
    assert above and above.environment["PROXY"] == "mine"


def test_a_service_file_decides_what_pam_reads(tmp_path):
    etc(
        tmp_path,
        environment="A=1\n",
        pam_d__crond="session include common\n",
        more="B=@{HOME}\n",
    )
    (tmp_path / "etc/pam.d").mkdir()
    (tmp_path / "etc/pam.d/crond").write_text("auth required pam_unix.so\n@include common\n")
    (tmp_path / "etc/pam.d/common").write_text(
        "session required /lib/security/pam_env.so readenv=0 conffile=/etc/pam_env.conf\n"
    )
    (tmp_path / "etc/pam_env.conf").write_text(
        'LANG DEFAULT=C OVERRIDE=${NOTHING}\nWHERE DEFAULT="@{HOME}/bin of" OVERRIDE=\nX\tDEFAULT=${LANG}.y\n'
    )
    found = pam_environment(tmp_path, tmp_path / "etc/pam.d/crond", "me", "/home/opus")
    assert found == {"LANG": "C", "WHERE": "/home/opus/bin of", "X": "C.y"}
    (tmp_path / "usr/sbin").mkdir(parents=True)
    (tmp_path / "usr/sbin/cron").write_bytes(b"")
    assert installed_cron("me", "/home/opus", tmp_path).environment == {}  # it has no service file: no PAM


def test_a_home_that_is_not_there_is_the_root_folder_as_under_cron():
    planned = one(
        "HOME=/srv/gone\n0 9 * * * x", replace(ME, is_folder=lambda path: path == Path("/home/opus"))
    )
    assert planned.work and planned.work.folder == Path("/")
    assert planned.work.environment["HOME"] == "/srv/gone"
    assert "there is no /srv/gone" in planned.notes[-1]


LINE = b"0 9 * * * root x\n"


@each(
    ("place", "content", "mode", "why"),
    [
        ("cron.d/good", LINE, 0o644, ""),
        ("cron.d/good", LINE[:-1], 0o644, "no line end"),
        ("cron.d/good", LINE + b"  ", 0o644, ""),
        ("cron.d/good", LINE + b"# an empty line is required here", 0o644, ""),
        ("cron.d/good.bak", LINE, 0o644, "this name"),
        ("cron.d/gut\u00e9", LINE, 0o644, "this name"),
        ("cron.d/good", LINE, 0o664, "others than root can write"),
        ("cron.d/empty", b"", 0o644, ""),
        ("crontabs/me", LINE[:-1], 0o600, "no line end"),
        ("copies/me", LINE[:-1], 0o666, ""),
    ],
)
def test_a_file_that_cron_ignores_starts_nothing_here_either(
    place, content, mode, why, tmp_path, monkeypatch
):
    """Debian's cron: INSECURE MODE, WRONG FILE OWNER, "Missing newline before EOF, this crontab file ..."."""
    monkeypatch.setattr(machine, "SYSTEM", (tmp_path / "cron.d",))
    monkeypatch.setattr(machine, "ROOT", tmp_path.stat().st_uid)
    file = tmp_path / place
    file.parent.mkdir()
    file.write_bytes(content)
    file.chmod(mode)
    (source,) = sources([file], "root", system=False, column=None)
    found = plan([source], replace(ME, user="root"))[0]
    assert why in source.ignored if why else source.ignored == ""
    assert all(each.moves != bool(why) for each in found.lines if each.line.kind is LineKind.JOB)


@each("known", [True, False])
def test_one_bad_line_in_cron_d_stops_the_others_where_cron_is_debians(known, tmp_path, monkeypatch):
    """Debian's cron 3.0pl1-162: "Error: bad minute; ... Syntax error, this crontab file will be ignored"."""
    monkeypatch.setattr(machine, "SYSTEM", (tmp_path / "cron.d",))
    monkeypatch.setattr(machine, "ROOT", tmp_path.stat().st_uid)
    (file := tmp_path / "cron.d/agent").parent.mkdir()
    cron = InstalledCron("cron", False, ignores_files=known)
    wanted = replace(ME, user="root", cron=cron, is_user="root".__eq__)
    refused = ["61 * * * * root true", "* * * * * not-a-user true", "hello there", "@DAILY root true"]
    refused += ["* * ? * * root true", "5/2 * * * * root true", "-* * * * * root true", "1,,2 * * * * root a"]
    refused += ["* * * * * root", "@reboot root", 'A="b', "*/0 * * * * root true", "@every_minute root true"]
    refused += [
        "MAILTO=",
        "\r",
        "\ufeff# saved by an editor",
        "\u00a0* * * * * root true",
        "5-3,60 * * * * root a",
    ]
    accepted = [
        "0 0 31 2 * root true",
        "* 5-3 * * * root true",
        "* * * * fri-5/2 root true",
        "* * * * * root ",
    ]
    accepted += [
        "* * * JAN-Feb 7,sun root true",
        "*/100 * * * * root true",
        '"A B"=c',
        'MAILTO=""\r',
        "  * * * * * root true",
    ]
    for bad in (*refused, *accepted):
        file.write_bytes(f"* * * * * root beat\n{bad}\n".encode())
        found = plan(sources([file], "root", system=False, column=None), wanted)[0]
        first, _ = found.lines
        assert first.moves is not (known and bad in refused), bad
        if known and bad in refused:
            assert first.reason == "cron ignores this file for the syntax error in its line 2"
    file.write_bytes(b"\xef\xbb\xbf* * * * * root beat\n")
    found = plan(sources([file], "root", system=False, column=None), wanted)[0]
    assert found.lines[0].moves is not known


def test_a_file_of_an_agent_in_cron_d_starts_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "SYSTEM", (tmp_path / "cron.d",))
    monkeypatch.setattr(machine, "ROOT", tmp_path.stat().st_uid + 1)
    (tmp_path / "cron.d").mkdir()
    (tmp_path / "cron.d/agent").write_bytes(LINE)
    assert why_ignored(tmp_path / "cron.d/agent", LINE) == "cron ignores a file that does not belong to root"


# ------------------------------------------------------------------ @reboot


def test_a_bot_that_cron_started_at_boot_has_no_time_limit_and_keeps_no_worker_from_others(tmp_path):
    """Py-KMS 124, instabot.py 387: @reboot python3 bot.py, and four of them hold up everything else."""
    text = "".join(f"@reboot python3 /srv/bot{number}.py\n" for number in range(4)) + "* * * * * beat\n"
    opus = written(text, tmp_path)
    bots = [each for each in opus.tasks if isinstance(each.schedule, AtStart)]
    assert len(bots) == 4 and all(each.timeout == LONGEST and not each.ends for each in bots)
    assert opus.workers == 4 + 4


def written(text: str, root: Path, own: str = ""):
    """The citizen whose settings these lines were moved to."""
    (root / "opus").mkdir()
    (root / "opus/experience.toml").write_text(own)
    (root / "main.toml").write_text(f'root = "{root}"\n')
    target = load_target(load(config=root / "main.toml"), "opus", root / "main.toml")
    moved = [each for each in crontab(text).lines if each.moves]
    (root / "opus/experience.toml").write_text(settings_with(target, moved))
    opus = load(config=root / "main.toml").citizens[0]
    assert opus.problems == ()
    return opus


def test_a_bot_gets_a_worker_beside_those_that_are_set(tmp_path):
    assert written("@reboot bot\n", tmp_path, "workers = 2\n").workers == 3


async def test_a_daemon_runs_on_for_five_days_and_no_wake_waits_for_it(build, clock, noting, runs):
    """krun 370: what cron let live for ever was stopped after a day."""
    gate = Gate()
    daemon = replace(
        noting(), name="bot", schedule=AtStart(), work=Call(gate), timeout=LONGEST, catch_up=False
    )
    scheduler = await build(daemon, noting(schedule=Every(3600)))
    await clock.advance(hours=120)
    view = scheduler.snapshot().task("bot")
    assert view is not None and view.running_since == NOON
    assert await scheduler.run_due_once(300.0) == []
    gate.open.set()


@each(
    ("line", "argv"),
    [
        ("exec sleep 1003", ["sleep", "1003"]),
        ("python3 /srv/bot.py", ["/usr/bin/python3", "/srv/bot.py"]),
        ("cd /srv && ./run.sh --all > log 2>&1", ["/bin/sh", "./run.sh", "--all"]),
        ("/opt/daemon", ["/bin/bash", "/opt/daemon"]),
        ("/opt/daemon", ["/opt/daemon"]),
        ('python3 "/srv/bot.py" -c x', ["python3", "/srv/bot.py", "-c", "x"]),
        ("while true; do x; done", ["/bin/sh", "-c", "while true; do x; done"]),
    ],
)
def test_a_bot_is_not_started_beside_the_copy_that_cron_started(line, argv):
    """systemd-cron 30: a second bot answered every message twice."""
    assert running_copy(line, {1: ["init"], 7: argv}) == 7
    planned = one(f"@reboot {line}", replace(ME, processes=lambda: {7: argv}))
    assert (planned.fate, planned.nearest) == (Fate.NEEDS_YOU, "kill 7, then migrate again")


@each(
    "argv",
    [["bash"], ["-bash"], ["sleep", "5"], ["python3"], ["python3", "/srv/other.py"], ["sh", "-c", "z"], []],
)
def test_another_program_of_the_user_is_no_copy(argv):
    for line in ("bash /srv/run.sh", "exec sleep 1003", "python3 /srv/bot.py", "sh -c 'x; y'"):
        assert running_copy(line, {7: argv}) is None


@each(
    "command",
    [
        "bot &",
        "nohup bot > /dev/null 2>&1 &",
        "screen -dmS bot /srv/bot",
        "tmux new-session -d bot",
        "setsid bot",
    ],
)
def test_what_leaves_a_daemon_behind_needs_a_service(command):
    assert leaves_a_daemon(command)
    planned = one(f"@reboot {command}")
    assert planned.fate is Fate.NEEDS_YOU and planned.nearest.startswith("a service")


def test_a_short_job_at_boot_is_a_task():
    for command in ("mkdir -p /run/x && chown me /run/x", "/usr/bin/x --screen -d", "echo 'a & b'"):
        assert one(f"@reboot {command}").fate is Fate.TASK, command


# ------------------------------------------------------------------ the promise


V1 = (
    "*/10 * * * * /home/opus/autonomous_wake.sh\n"
    "0 */4 * * * python3 news_scanner_local.py\n"
    "*/5 * * * * python3 heartbeat.py\n"
    "30 13 * * * /opt/report\n"
)
LATELY = '{"last_run": {"heartbeat": %f, "news_scan": %f}, "run_counts": {"heartbeat": 7, "news_scan": 2}}'


@each("every", [False, True])
@each(("lately", "woken"), [(False, None), (True, NOON - 130), (True, NOON - 86400)])
async def test_the_first_runs_come_when_the_table_said(every, lately, woken, home, build, clock, runs):
    """The next times that `migrate` shows, through the settings that it writes, in a new scheduler."""
    if lately:  # as the first version left it
        (home / "background_tasks.json").write_text(LATELY % (NOON - 100, NOON - 90000))
    if woken:
        then = datetime.fromtimestamp(woken, UTC).isoformat()
        (home / "metadata.json").write_text(json.dumps({"last_wake": then, "wake_count": 3}))
    main = home.parent / "main.toml"
    main.write_text(f'root = "{home.parent}"\n')
    target = load_target(load(config=main), "opus", main)
    planned = crontab(V1, replace(ME, every=every, states=states_of(home))).lines
    (home / "experience.toml").write_text(settings_with(target, planned))
    opus = load(config=main).citizens[0]
    assert opus.problems == ()

    async def note(context: Context) -> str:
        runs.append((context.task, clock.now()))
        return "noted"

    tasks = [each.with_work(Call(note)) for each in opus.tasks if each.name in {one.name for one in planned}]
    wake = replace(opus.wake, work=Call(note))
    states, _ = StateFile(home).peek()
    scheduler = await build(*tasks, states=dict(states), wake=wake)
    await clock.advance(seconds=1)
    for _ in range(100):  # what a wake writes is written by a thread
        await until(lambda: scheduler.snapshot().wake.running_since is None, "the wake is over")
        await clock.advance(seconds=60)
    for one in planned:
        seen = [when for name, when in runs if name == one.name]
        if one.name == "wake":
            starts = (each for each in scheduler.snapshot().events if each.kind == "started")
            seen = [each.time for each in starts if each.task == "wake"]
        assert seen[:1] == [when for when in one.after[:1] if when <= clock.now()], one.name
