"""What becomes of the lines of a crontab, and why."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from scheduler.core.schedules.schedule import AtStart, Cron, Every, zone_named
from scheduler.migration.names import in_background, keeps_alive, name_of, numbered
from scheduler.migration.plan import plan
from scheduler.migration.planned import CrontabPlan, Fate, LinePlan, MigrationRequest, Source
from scheduler.migration.report import as_json, lines
from scheduler.system.homes import NAME
from tests.each import each
from tests.fakes import NOON

SAMPLES = Path(__file__).parents[4] / "shared/data/crontabs"
ME = MigrationRequest("opus", "me", "/home/opus", NOON, UTC)
V1 = (Path(__file__).parents[2] / "data" / "v1.crontab").read_bytes()


def crontab(text: str | bytes, wanted: MigrationRequest = ME, column: bool | None = False) -> CrontabPlan:
    content = text.encode() if isinstance(text, str) else text
    (found,) = plan([Source("a crontab", content, column=column)], wanted)
    return found


def one(text: str, wanted: MigrationRequest = ME, column: bool | None = False) -> LinePlan:
    """The plan for the last line."""
    return crontab(text, wanted, column).lines[-1]


# ------------------------------------------------------------------ v1's lines


def test_v1s_own_lines_become_the_wake_and_the_tasks_of_their_purpose_and_go_on_running_what_they_ran():
    found = crontab(V1)
    moved = {planned.name: planned for planned in found.lines if planned.moves}
    assert list(moved) == [
        "wake",
        "news_scan",
        "heartbeat",
        "dream_generate",
        "price_monitor",
        "email_check",
        "experience_generator",
        "offsite_backup",
    ]
    for planned in moved.values():
        minute, command = planned.line.text.split(None, 5)[:5], planned.line.text.split(None, 5)[5]
        assert planned.schedule == Cron(" ".join(minute))
        assert planned.work and planned.work.argv == ("/bin/sh", "-c", command)
        assert planned.before == planned.after
        assert len(planned.before) == 3
    assert found.counts() == {"task": 7, "wake": 1, "needs you": 0, "setting": 0, "comment": 8, "blank": 7}


def test_times_name_their_zone_where_the_citizen_has_another():
    wanted = replace(ME, told_zone="Etc/UTC")
    found = crontab("0 1 * * * a\nCRON_TZ=Asia/Tokyo\n0 1 * * * b", wanted).lines
    assert [each.zone for each in found if each.moves] == ["Etc/UTC", "Asia/Tokyo"]
    assert "CRON_TZ" not in str(found[0].notes)


def test_builtin_uses_the_built_in_handler_where_it_is_set_up_and_keeps_the_times():
    found = crontab(V1, replace(ME, builtin=frozenset({"heartbeat", "dream_generate"})))
    builtin = {
        planned.name: str(planned.schedule) for planned in found.lines if planned.moves and not planned.work
    }
    assert builtin == {"heartbeat": "*/5 * * * *", "dream_generate": "0 3,9,15,21 * * *"}


def test_what_is_set_already_is_not_set_twice():
    taken = {"news_scan": "[tasks.news_scan] in x.toml", "wake": "[wake] in x.toml", "report": "y"}
    found = crontab(V1 + b"0 0 * * * report.sh\n", replace(ME, taken=taken))
    stays = {planned.line.number: planned.reason for planned in found.lines if planned.fate is Fate.NEEDS_YOU}
    assert stays == {
        2: "wake is set already: [wake] in x.toml",
        5: "news_scan is set already: [tasks.news_scan] in x.toml",
    }
    assert found.lines[-1].name == "report_2"


def test_a_second_wake_and_a_line_of_another_citizen_need_you():
    wake = "*/10 * * * * /root/claude/{}/autonomous_wake.sh\n"
    mine, other = crontab(
        wake.format("opus") + wake.format("mira"), replace(ME, others=frozenset({"mira"}))
    ).lines
    assert (mine.fate, other.fate) == (Fate.WAKE, Fate.NEEDS_YOU)
    assert (other.reason, other.nearest) == ("seems to belong to mira", "--citizen mira")
    assert "second wake" in one(wake.format("opus") * 2).reason


def test_a_wake_that_cannot_be_one_is_never_half_of_one():
    for line, reason in [
        ("@reboot /x/autonomous_wake.sh", "a wake needs times"),
        ("*/10 * * * * /x/autonomous_wake.sh%hello", "a wake gets JSON"),
    ]:
        planned = one(line)
        assert planned.fate is Fate.NEEDS_YOU, line
        assert reason in planned.reason, line


def test_the_second_line_with_a_script_of_v1_is_a_task_of_another_name():
    first, second = crontab(
        "0 * * * * python3 price_monitor.py\n5 * * * * python3 price_monitor.py btc\n"
    ).lines
    assert (first.name, second.name) == ("price_monitor", "price_monitor_2")


# ------------------------------------------------------------------ every other line


def test_what_cron_would_have_run_is_the_task():
    planned = one(
        "SHELL=/bin/bash\nPATH=/opt/bin:$HOME/bin\nHOME=/srv/x\nLOGNAME=root\nMAILTO=ops\nA='b c'\n"
        "30 6 * * mon echo \\%d | mail -s x ${WHO}%first%second"
    )
    assert (planned.fate, planned.name, str(planned.schedule)) == (Fate.TASK, "mail", "30 6 * * mon")
    work = planned.work
    assert work
    assert work.argv == ("/bin/bash", "-c", "echo %d | mail -s x ${WHO}")
    assert (work.input, work.folder, work.inherit) == (b"first\nsecond\n", Path("/srv/x"), False)
    assert work.environment == {
        "SHELL": "/bin/bash",
        "PATH": "/opt/bin:$HOME/bin",
        "HOME": "/srv/x",
        "LOGNAME": "me",
        "MAILTO": "ops",
        "A": "b c",
    }
    assert any("mails its output to ops" in note for note in planned.notes)


def test_settings_count_from_where_they_stand():
    first, _, second, _, third = crontab("* * * * * a\nA=1\n* * * * * b\nA=2\n* * * * * c").lines
    assert [planned.work.environment.get("A") for planned in (first, second, third)] == [None, "1", "2"]


def test_a_name_that_no_shell_passes_on_is_left_out_and_said():
    setting, job = crontab("'D E'=x\n* * * * * a").lines
    assert "left out" in setting.notes[0]
    assert job.work and "D E" not in job.work.environment


def test_a_time_zone_counts_from_where_it_stands_until_the_next():
    text = "30 2 * * * a\nCRON_TZ=Europe/Berlin\n30 2 * * * b\n@daily c\nCRON_TZ=Asia/Tokyo\n30 2 * * * d"
    found = [planned for planned in crontab(text).lines if planned.moves]
    berlin, tokyo = zone_named("Europe/Berlin"), zone_named("Asia/Tokyo")
    assert [planned.schedule for planned in found] == [
        Cron("30 2 * * *", UTC),
        Cron("30 2 * * *", berlin),
        Cron("@daily", berlin),
        Cron("30 2 * * *", tokyo),
    ]
    assert [planned.zone for planned in found] == ["", "Europe/Berlin", "Europe/Berlin", "Asia/Tokyo"]


def test_an_unknown_zone_stops_the_lines_below_it_until_a_known_one():
    found = crontab("CRON_TZ=Not/AZone\n0 1 * * * a\n@reboot b\nCRON_TZ=UTC\n0 1 * * * c").lines
    assert [str(planned.fate) for planned in found] == [
        "needs you",
        "needs you",
        "task",
        "setting",
        "task",
    ]
    assert "unknown time zone 'Not/AZone'" in found[1].reason


def test_at_the_start():
    planned = one("@reboot /opt/daemon")
    assert (planned.schedule, planned.before, planned.name) == (AtStart(), (), "daemon")


def test_only_what_means_an_interval_becomes_one_and_only_when_asked():
    for when, expected in [
        ("*/10 * * * *", Every(600)),
        ("30 */4 * * *", Every(14400)),
        ("*/7 * * * *", Cron("*/7 * * * *")),
        ("0 3 * * *", Cron("0 3 * * *")),
        ("*/5 8-18 * * *", Cron("*/5 8-18 * * *")),
        ("@hourly", Cron("@hourly")),
    ]:
        assert one(f"{when} x", replace(ME, every=True)).schedule == expected, when
        assert one(f"{when} x").schedule == Cron(when), when


def test_an_interval_shows_its_own_next_times_beside_those_of_cron():
    planned = one("*/20 * * * * x", replace(ME, every=True))
    cron = one("*/20 * * * * x")
    assert planned.before == cron.before == cron.after
    assert planned.after == (ME.now, ME.now + 1200, ME.now + 2400)
    shown = "\n".join(lines(crontab(b"*/20 * * * * x\n", replace(ME, every=True)), ME, 80))
    assert shown.count("next by cron: ") == shown.count("next here, started now: ") == 1


def test_what_cannot_be_carried_over_needs_you_with_the_reason_and_the_nearest_form():
    for line, reason, near in [
        ("61 * * * * x", "minute '61' is outside 0-59", ""),
        ("5/15 * * * * x", "step after a single number", 'cron = "5/15 * * * *" in the settings'),
        ("0 0 L * * x", "day of month 'L' is not understood", 'cron = "0 0 L * *" in the settings'),
        ("0 0 LW * * x", "day of month 'LW' is not understood", 'cron = "0 0 LW * *" in the settings'),
        ("0 0 * * 5#2 x", "day of week '5#2' is not understood", 'cron = "0 0 * * 5#2"'),
        ("0 0 * * 5L x", "day of week '5L' is not understood", 'cron = "0 0 * * 5L"'),
        ("0 0 15W * * x", "day of month '15W'", ""),
        ("~ 3 * * * x", "minute '~'", ""),
        ("@every 10m x", "no @every", 'every = "5m"'),
        ("@every_minute x", "no @every", 'every = "5m"'),
        ("@Reboot x", "@Reboot is not a time", ""),
        ("* * * * *", "has no command", "* * * * * COMMAND"),
        ("@daily", "has no command", "@daily COMMAND"),
        ("* * * /bin/short", "cron does not understand", ""),
        ("export A=1", "cron does not understand", ""),
        ("=bar", "cron does not understand", ""),
        ("* * * * * * x", "the sixth here is *", 'cron = "* * * * * *" in the settings, if'),
        ("* * * * * Mon-Fri x", "the sixth here is Mon-Fri", 'cron = "* * * * * Mon-Fri"'),
        ("0 9 * * * 2026 x", "the sixth here is 2026", ""),
        ("0 0 30 2 * x", "no such day", ""),
        ("* * * * * pgrep -x xd > /dev/null || /opt/xd &", "only keeps a daemon alive", "a service"),
        ("* * * * * if ! pidof xd; then xd & fi", "only keeps a daemon alive", "a service"),
        ("* * * * * a\0b", "a NUL byte", "without it"),
        ("SHELL=bash\n* * * * * x", "SHELL is bash", "SHELL=/bin/sh"),
        ("SHELL=\n* * * * * x", "SHELL is empty", "SHELL=/bin/sh"),
        ("HOME=here\n* * * * * x", "HOME is here", "whole path"),
    ]:
        planned = one(line)
        assert planned.fate is Fate.NEEDS_YOU, line
        assert reason in planned.reason, line
        assert near in planned.nearest if near else not planned.nearest, line
        assert planned.work is None, line


def test_bytes_that_are_no_text_need_you():
    planned = crontab(b"* * * * * echo \xff\n").lines[0]
    assert (planned.fate, planned.reason) == (
        Fate.NEEDS_YOU,
        "contains bytes that are not UTF-8, which settings cannot hold",
    )
    assert crontab(b"A=\xff\n* * * * * x\n").lines[1].fate is Fate.NEEDS_YOU


def test_a_note_about_many_lines_is_said_once_with_their_numbers():
    jobs = "".join(f"{minute} 1 * * * x{minute}\n" for minute in range(4))
    shown = list(
        lines(crontab(f"MAILTO=ops\n{jobs}MAILTO=\n5 1 * * * y\nMAILTO=ops\n6 1 * * * z\n"), ME, 200)
    )
    assert [line for line in shown if "mails its output" in line] == [
        "lines 2-5, 9: cron mails its output to ops; here [alerts] reports failures"
    ]
    alone = list(lines(crontab("MAILTO=ops\n5 1 * * * y\n"), ME, 200))
    assert "        note: cron mails its output to ops; here [alerts] reports failures" in alone


def test_notes():
    for line, note in [
        ("* * * * * x &", "in the background"),
        ("TZ=Europe/Berlin\n* * * * * x", "TZ is for the command alone"),
        ("RANDOM_DELAY=5\n* * * * * x", "set jitter"),
        ("* * * * * x\r\n", "CRLF"),
    ]:
        assert any(note in each for each in one(line).notes), line


def test_marks_about_mail_and_syslog_are_not_part_of_the_command():
    for line in ["-*/5 * * * * x", "*/5 * * * * -n -q x", "*/5 * * * * -nq x"]:
        planned = one(line)
        assert planned.work and planned.work.argv[2] == "x", line
        assert str(planned.schedule) == "*/5 * * * *", line


# ------------------------------------------------------------------ users


def test_lines_of_other_users_need_you():
    mine, other = crontab("0 0 * * * me x\n0 0 * * * www-data y\n", column=True).lines
    assert mine.work and mine.work.argv[2] == "x"
    assert (other.reason, other.nearest) == ("runs as www-data", "--user www-data, for a citizen of theirs")
    assert "neither user nor command" in one("@daily", column=True).reason


# ------------------------------------------------------------------ names


def test_names_are_made_from_the_command():
    for command, name in [
        ("python3 experience_generator.py generate", "experience_generator"),
        ("cd /srv && . ./env && A=1 nice -n 10 /usr/bin/python3 -u jobs/Report-Daily.py", "report-daily"),
        ("[ -x /usr/bin/munin-cron ] && /usr/bin/munin-cron", "munin-cron"),
        ("if [ -x /a/b.sh ]; then /a/b.sh --all; fi", "b"),
        ("test -x /usr/sbin/anacron || ( cd / && run-parts --report /etc/cron.daily )", "cron_daily"),
        ("flock -n /tmp/lock -c '/opt/sync all'", "sync"),
        ("timeout -k 5 60 /opt/slow.pl", "slow"),
        ("sudo -u me bash -c 'cd x && ./y.sh'", "y"),
        ("python3 -m pkg.tool", "pkg_tool"),
        ("perl -e 'sleep 5' && certbot renew", "certbot"),
        ("echo hello", "echo"),
        ("/opt/9lives", "job_9lives"),
        ("日本", "job"),
        ("", "job"),
        ("/opt/" + "long" * 20, "long" * 8),
    ]:
        assert name_of(command) == name, command
        assert NAME.fullmatch(name), command


def test_equal_names_become_distinct_valid_ones():
    found = crontab("\n".join(f"{minute} 0 * * * /opt/{'x' * 40}.sh {minute}" for minute in range(60)))
    names = [planned.name for planned in found.lines]
    assert len(set(names)) == 60
    assert all(NAME.fullmatch(name) for name in names)
    assert one("0 0 * * * /opt/heartbeat").name == "heartbeat_2"  # not v1's script, and not our task
    assert numbered("a" * 32, 12) == "a" * 29 + "_12"


def test_what_is_left_running():
    for command, background, keeper in [
        ("x &", True, False),
        ("x > /dev/null 2>&1", False, False),
        ("x && y", False, False),
        ("x &> y", False, False),
        ("x '&' y", False, False),
        ("pgrep x || x &", True, True),
        ("pgrep x || x", False, False),
        ("ps ax | grep -q xd || xd &", True, True),
        ("x >& y", False, False),
        ("(a & b)", True, False),
    ]:
        assert (in_background(command), keeps_alive(command)) == (background, keeper), command


# ------------------------------------------------------------------ the table


def test_the_table_fits_a_terminal_and_the_counts_add_up():
    found = crontab(V1 + b"\x1b[2J=\n* * * * * \x1b]0;x\x07 " + b"y" * 300 + b"\n")
    for width in (60, 80, 120):
        rows = list(lines(found, ME, width))
        assert all(len(row) <= width for row in rows), max(rows, key=len)
        assert not any("\x1b" in row or "\x07" in row for row in rows)
    numbers = {int(row[:5]) for row in rows if row[:5].strip().isdigit() and "lines" not in row}
    assert numbers == set(range(1, len(found.lines) + 1))
    assert rows[-1] == "25 lines: 1 wake, 8 tasks, 1 setting, 8 comments, 7 blank"


def test_json_holds_every_line():
    found = crontab("A=1\n\n5 0 * * * x%in\n@never y\n")
    document = as_json([found], ME)["sources"][0]
    assert document["counts"] == {
        "lines": 4,
        "task": 1,
        "wake": 0,
        "needs you": 1,
        "setting": 1,
        "comment": 0,
        "blank": 1,
    }
    assert [line["becomes"] for line in document["lines"]] == ["setting", "blank", "task", "needs you"]
    task = document["lines"][2]
    assert task["runs"]["command"] == ["/bin/sh", "-c", "x"]
    assert task["runs"]["input"] == "in\n"
    assert task["next_before"] == task["next_after"]
    assert task["next_before"][0] == "2026-03-03T00:05:00+00:00"


# ------------------------------------------------------------------ real crontabs


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the shared samples are not here")
@each("folder", ["debian_cron.d", "library_tests", "public_repos", "synthetic_edge"])
def test_every_line_of_every_sample_is_accounted_for(folder):
    files = sorted((SAMPLES / folder).iterdir())
    assert files
    for file in files:
        content = file.read_bytes()
        wanted = replace(ME, user="root", home="/root")
        (found,) = plan([Source("a sample", content, file)], wanted)
        assert sum(found.counts().values()) == len(found.lines)
        assert b"".join(planned.line.raw for planned in found.lines) == content
        assert len(found.lines) == content.count(b"\n") + (not content.endswith(b"\n") and bool(content))
        for planned in found.lines:
            assert not planned.moves or planned.work
            assert planned.fate is not Fate.NEEDS_YOU or planned.reason
            assert planned.before == planned.after
        list(lines(found, wanted, 80))
        as_json([found], wanted)


def test_a_moment_in_another_year_says_so():
    row = next(row for row in lines(crontab("0 0 1 1 * x"), ME, 80) if "next: " in row)
    assert str(datetime.fromtimestamp(NOON, UTC).year + 1) in row
