"""What is set becomes what runs: places, their order, defaults, and everything that is wrong at once."""

import json
import os
import re
import shlex
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from scheduler.config.citizen import CitizenTable, WakeTable
from scheduler.config.defaults import BACKGROUND_TASKS
from scheduler.config.loader import Settings, fingerprint, load, load_or_raise
from scheduler.config.sections.refusals import RefusalTable
from scheduler.config.sections.services import AlertsTable, HistoryTable, LlmTable
from scheduler.config.sections.spending import BudgetTable, PriceTable
from scheduler.config.task import TaskTable
from scheduler.core.schedules.schedule import AtStart, Cron, Every, zone_named
from scheduler.core.secrets import MASK, Masks
from scheduler.core.state import TaskState
from scheduler.core.task import Call, Command, Imported, Isolated, NotSetUp
from scheduler.core.wording.description import explain
from scheduler.errors import BadSettings
from scheduler.handlers.registry import BUILT_IN, built_in
from scheduler.system.foreign_home import open_file
from tests.each import each

DOCS = Path(__file__).parents[3] / "docs"


class Place:
    """A root with homes, a main file, and an environment of its own."""

    def __init__(self, folder: Path) -> None:
        self.root, self.main = folder / "root", folder / "main.toml"
        self.root.mkdir()
        self.main.write_text("")
        self.environ = {"EXPERIENCE_ROOT": str(self.root), "PATH": os.environ["PATH"]}

    def home(self, name: str, own: str = "", env: str = "") -> Path:
        home = self.root / name
        home.mkdir(exist_ok=True)
        (home / "experience.toml").write_text(own)
        if env:
            (home / ".env").write_text(env)
        return home

    def load(self, **more) -> Settings:
        return load(config=self.main, environ=self.environ, **more)

    def opus(self):
        citizen = self.load().citizen("opus")
        assert citizen is not None
        return citizen

    def task(self, name: str):
        citizen = self.opus()
        assert citizen.problems == ()
        return next(task for task in citizen.tasks if task.name == name)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


# ------------------------------------------------------------------ without any settings


def test_a_citizen_without_settings_has_the_seven_tasks_in_their_order(place):
    place.home("opus")
    opus = place.opus()
    assert [task.name for task in opus.tasks] == list(BACKGROUND_TASKS)
    assert [task.schedule for task in opus.tasks] == [
        Every(entry["interval"]) for entry in BACKGROUND_TASKS.values()
    ]
    assert [task.timeout for task in opus.tasks] == [30, 60, 120, 300, 600, 300, 600]
    assert [task.retries for task in opus.tasks] == [0, 0, 0, 0, 0, 0, 2]
    assert [task.name for task in opus.tasks if task.set_up] == [n for n in BUILT_IN if not built_in(n).needs]
    assert (opus.workers, opus.grace, opus.wake.schedule, opus.wake.configured) == (
        4,
        10.0,
        Every(600.0),
        False,
    )


def test_the_table_of_tasks_is_v2s():
    assert BACKGROUND_TASKS["heartbeat"]["interval"] == 300
    assert {frozenset(entry) - {"retries", "news"} for entry in BACKGROUND_TASKS.values()} == {
        frozenset({"interval", "description", "priority", "max_runtime"})
    }


def test_the_advice_for_a_task_that_is_not_set_up_works_when_pasted(place):
    home = place.home("opus")
    for file, gone in ((home / "experience.toml", False), (place.main, True)):
        file.write_text("")
        if gone:  # a home of v2's, without settings of its own
            (home / "experience.toml").unlink()
            (home / "background_tasks.json").write_text("{}")
        waiting = [task for task in place.opus().tasks if not task.set_up]
        assert len(waiting) == 4
        advice = [task.work.advice for task in waiting if isinstance(task.work, NotSetUp)]
        assert [f"# in {file}" in each for each in advice] == [True] * 4
        file.write_text("\n".join(advice))
        assert all(task.set_up for task in place.opus().tasks)


def test_which_built_in_tasks_there_are_can_be_said_for_one_citizen_or_all(place):
    def names(own: str, main: str = "") -> list[str]:
        place.home("opus", own)
        place.main.write_text(main)
        return [task.name for task in place.opus().tasks]

    feeds = "[tasks.news_scan]\nfeeds = ['https://example.org/f']\n"
    assert names("builtin = false") == []
    assert names("builtin = false\n" + feeds) == ["news_scan"], "what is set is there"
    assert names("builtin = ['memory_summary', 'heartbeat']") == ["heartbeat", "memory_summary"]
    assert names("", "builtin = false") == []
    assert names("builtin = ['heartbeat']", "builtin = false") == ["heartbeat"], "the own file wins"
    assert names("builtin = true", "builtin = false") == list(BACKGROUND_TASKS)


def test_a_built_in_task_that_is_not_set_up_is_hidden_when_it_is_disabled(place):
    off = "[tasks.news_scan]\nenabled = false\n[tasks.heartbeat]\nenabled = false\n"
    place.home("opus", off)
    found = {task.name: task.enabled for task in place.opus().tasks}
    assert "news_scan" not in found
    assert found["heartbeat"] is False, "one that would run is shown as disabled"
    place.home("opus", off.replace("enabled", "feeds = ['https://example.org/f']\nenabled", 1))
    assert {task.name: task.enabled for task in place.opus().tasks}["news_scan"] is False


# ------------------------------------------------------------------ places and their order


def test_only_homes_are_citizens(place):
    place.home("opus")
    (place.root / "mira").mkdir()
    (place.root / "mira" / "background_tasks.json").write_text("{}")
    (place.root / "alice" / "Documents").mkdir(parents=True)
    (place.root / "Bad Name").mkdir()
    (place.root / "Bad Name" / "experience.toml").write_text("")
    (place.root / "notes.txt").write_text("")
    (place.root.parent / "elsewhere").mkdir()
    (place.root.parent / "elsewhere" / "experience.toml").write_text("workers = 2")
    (place.root / "linked").symlink_to(place.root.parent / "elsewhere")
    settings = place.load()
    assert [citizen.name for citizen in settings.citizens] == ["linked", "mira", "opus"]
    assert settings.problems == ()


def test_a_name_in_the_settings_is_a_citizen_without_a_home(place):
    place.main.write_text("[citizens.aria]\nworkers = 2")
    (aria,) = place.load().citizens
    assert (aria.name, aria.home, aria.workers) == ("aria", place.root / "aria", 2)
    assert not aria.home.exists()


def test_the_environment_wins_over_the_own_file_over_the_main_file(place):
    wake = "[citizens.opus.wake]\nevery = '1m'\npatience = '1m'\ntimeout = '1m'"
    place.main.write_text(f"[citizens.opus]\nworkers = 2\ngrace = 1\n{wake}")
    place.home("opus", "workers = 3\n[wake]\npatience = '2m'\ntimeout = '2m'")
    place.environ["EXPERIENCE_CITIZENS__OPUS__WAKE__TIMEOUT"] = "3m"
    place.environ["EXPERIENCE_WAKE"] = "12"  # what a wake finds in its own environment is no setting
    opus = place.opus()
    assert (opus.workers, opus.grace) == (3, 1)
    assert (opus.wake.schedule, opus.wake.patience, opus.wake.timeout) == (Every(60), 120, 180)


def test_variables_hold_numbers_truth_lists_and_tables(place):
    prefix = "EXPERIENCE_CITIZENS__OPUS__TASKS__REPORT"
    place.environ |= {
        f"{prefix}__EVERY": "5m",
        f"{prefix}__COMMAND": '["python3", "007"]',
        f"{prefix}__ENABLED": "false",
        f"{prefix}__PRIORITY": "-3",
        f"{prefix}__INPUT": "12345",
        f"{prefix}__ENVIRONMENT": '{"TOKEN": "123"}',
    }
    report = place.task("report")
    assert (report.schedule, report.enabled, report.priority) == (Every(300), False, -3)
    assert report.work == Command(("python3", "007"), {"TOKEN": "123"}, b"12345")


@each(
    "main, own, schedule",
    [
        ("cron = '0 9 * * *'\ntimezone = 'Asia/Tokyo'", "every = '1h'", Every(3600)),
        ("every = '1h'", "cron = '0 9 * * *'\ntimezone = 'UTC'", Cron("0 9 * * *", zone_named("UTC"))),
        (
            "cron = '0 9 * * *'\ntimezone = 'Asia/Tokyo'",
            "cron = '@daily'",
            Cron("@daily", zone_named("Asia/Tokyo")),
        ),
    ],
)
def test_a_schedule_replaces_the_other_kind_below_it(place, main, own, schedule):
    place.main.write_text(f"[citizens.opus.tasks.report]\ncommand = ['a']\n{main}")
    place.home("opus", f"[tasks.report]\n{own}")
    assert place.task("report").schedule == schedule


def test_a_command_replaces_a_handler_below_it_and_the_other_way_round(place):
    place.main.write_text("[citizens.opus.tasks.heartbeat]\nhandler = 'json:loads'\nisolated = true")
    place.home("opus", "[tasks.heartbeat]\ncommand = ['a']")
    assert place.task("heartbeat").work == Command(("a",))
    place.main.write_text(
        "[citizens.opus.tasks.heartbeat]\ncommand = ['a']\ninput = 'x'\nenvironment = { A = 'b' }"
    )
    place.home("opus", "[tasks.heartbeat]\nhandler = 'json:loads'")
    assert place.task("heartbeat").work == Imported("json", "loads")


def test_the_main_file_is_the_first_that_exists(tmp_path, monkeypatch):
    first, second, root = tmp_path / "user", tmp_path / "system.toml", tmp_path / "root"
    monkeypatch.setattr("platformdirs.user_config_path", lambda name: first)
    monkeypatch.setattr("scheduler.config.files.SYSTEM_FILE", second)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "experience.toml").write_text("nonsense")  # the working folder is never looked at
    environ = {"EXPERIENCE_ROOT": str(root)}
    assert load(environ=environ).citizens == ()
    second.write_text("[citizens.second]")
    assert load(environ=environ).known == ("second",)
    first.mkdir()
    (first / "experience.toml").write_text("[citizens.first]")
    assert load(environ=environ).known == ("first",)
    (tmp_path / "chosen.toml").write_text("[citizens.chosen]")
    assert load(environ=environ | {"EXPERIENCE_CONFIG": str(tmp_path / "chosen.toml")}).known == ("chosen",)
    assert load(environ=environ, config=second).known == ("second",)


def test_the_root_comes_from_the_environment_or_the_main_file_or_the_data_folder(tmp_path, monkeypatch):
    monkeypatch.setattr("platformdirs.user_data_path", lambda name: tmp_path / "data")
    main = tmp_path / "main.toml"
    main.write_text("")
    assert load(config=main, environ={}).root == tmp_path / "data"
    main.write_text(f"root = '{tmp_path}/mine'")
    assert load(config=main, environ={}).root == tmp_path / "mine"
    assert load(config=main, environ={"EXPERIENCE_ROOT": str(tmp_path)}).root == tmp_path


def test_only_leaves_the_others_out_but_knows_them(place):
    place.home("opus")
    place.home("mira", "nonsense")
    settings = place.load(only=["opus", "unknown"])
    assert [citizen.name for citizen in settings.citizens] == ["opus"]
    assert settings.known == ("mira", "opus")


def test_the_first_start_creates_opus_and_a_second_one_nothing(place):
    place.root.rmdir()
    assert [citizen.name for citizen in place.load(create=True).citizens] == ["opus"]
    assert place.root.joinpath("opus").stat().st_mode & 0o777 == 0o700
    assert place.load(create=True, only=["opsu"]).citizens == ()
    assert [path.name for path in place.root.iterdir()] == ["opus"]


def test_the_home_of_a_named_citizen_is_made_when_asked_for(place):
    place.main.write_text("[citizens.aria]\n[citizens.mira]")
    assert place.load(create=True, only=["aria"]).problems == ()
    assert [path.name for path in place.root.iterdir()] == ["aria"]


# ------------------------------------------------------------------ what runs


def test_every_key_of_a_task(place):
    own = """
        [tasks.report]
        cron = "0 9 * * mon-fri"
        timezone = "Europe/Berlin"
        command = ["python3", "report.py"]
        environment = { LANG = "C" }
        input = "ä"
        timeout = "5m"
        priority = 3
        retries = 2
        retry_delay = "1m"
        jitter = 5
        catch_up = false
        enabled = false
        description = "the report"
    """
    place.home("opus", own)
    report = place.task("report")
    assert report.schedule == Cron("0 9 * * mon-fri", zone_named("Europe/Berlin"))
    assert report.work == Command(("python3", "report.py"), {"LANG": "C"}, "ä".encode())
    assert (report.timeout, report.priority, report.retries, report.retry_delay) == (300, 3, 2, 60)
    assert (report.jitter, report.catch_up, report.enabled, report.description) == (
        5,
        False,
        False,
        "the report",
    )
    assert [task.name for task in place.opus().tasks][2:4] == ["email_check", "report"]


def test_a_command_in_a_folder_of_its_own_with_nothing_but_its_environment(place):
    place.home(
        "opus",
        '[tasks.report]\nevery = "1h"\ncommand = ["x"]\nworking_folder = "/srv"\ninherit_environment = false',
    )
    work = next(task.work for task in place.opus().tasks if task.name == "report")
    assert work == Command(("x",), folder=Path("/srv"), inherit=False)


def test_a_wake_by_cron(place):
    place.home("opus", '[wake]\ncron = "*/10 * * * *"\ntimezone = "Asia/Tokyo"\ncommand = ["x"]')
    assert place.opus().wake.schedule == Cron("*/10 * * * *", zone_named("Asia/Tokyo"))


@each(
    "lines, problem",
    [
        ('cron = "@daily"\nevery = "5m"', "has both every and cron"),
        ('timezone = "Asia/Tokyo"', "goes with cron"),
        ('cron = "@reboot"', "@reboot is for tasks"),
        ('cron = "61 * * * *"', "Bad minute"),
        ('handler = "json:loads"\nworking_folder = "/srv"', "goes with command"),
    ],
)
def test_what_a_wake_cannot_be(place, lines, problem):
    place.home("opus", f"[wake]\n{lines}")
    (found,) = place.opus().problems
    assert problem in found


def test_a_task_at_the_start(place):
    place.home("opus", "[tasks.hello]\ncron = '@reboot'\ncommand = ['a']")
    assert place.task("hello").schedule == AtStart()


def test_a_module_handler_is_called_and_a_file_handler_isolated(place):
    own = "[tasks.{0}]\nevery = 60\nhandler = '{1}'\nisolated = {2}\n"
    home = place.home(
        "opus", own.format("a", "json:loads", "false") + own.format("b", "json.decoder:scan", "true")
    )
    with (home / "experience.toml").open("a") as file:
        file.write(own.format("c", "sub/mine.py:run", "false"))
    (home / "sub").mkdir()
    (home / "sub" / "mine.py").write_text("raise SystemExit('never imported here')")
    assert place.task("a").work == Imported("json", "loads")
    assert place.task("b").work == Isolated("json.decoder", "scan")
    assert place.task("c").work == Isolated(str(home / "sub" / "mine.py"), "run")


def test_a_built_in_handler_runs_in_this_process(place):
    place.home("opus", "[tasks.heartbeat]\nisolated = true")
    assert "tasks.heartbeat.isolated: goes with a handler of your own" in place.opus().problems[0]


def test_the_options_of_a_built_in_task_are_typed(place):
    place.home("opus", "[tasks.heartbeat]\nevery = '1m'\ndisk_warning = '70%'\npeer_stale = '2h'")
    heartbeat = place.task("heartbeat")
    assert (heartbeat.options.disk_warning, heartbeat.options.peer_stale) == (70.0, 7200.0)
    assert heartbeat.options.disk_failure == 95.0
    assert isinstance(heartbeat.work, Call)


def test_a_handler_of_ones_own_finds_its_options(place):
    own = '[tasks.x]\nevery = 1\nhandler = "json:loads"\n'
    place.home(
        "opus",
        f'{own}options = {{ limit = 10, of = ["a", {{ b = true }}], key = "${{KEY}}" }}\n',
        env="KEY=t0p",
    )
    assert place.task("x").options == {"limit": 10, "of": ["a", {"b": True}], "key": "t0p"}
    explained = explain("opus", place.task("x"), TaskState(), 0.0, 0.0, Masks(()))
    shown = {field.label: field.words for field in explained.options}
    assert shown["limit"] == MASK and "t0p" not in str(shown)
    for lines, problem in (
        ("options = 3", "is a number; write it as a table"),
        ("options = { day = 2026-03-02 }", "holds a date or time; write it as text, in quotes"),
        ('options = {}\ncommand = ["true"]', "goes with handler"),
    ):
        place.home("mira", own.replace("handler", "handler" if "command" not in lines else "#") + lines)
        assert problem in str(place.load().citizen("mira").problems), lines


@each(
    ("argv", "shown"),
    [
        (["python3", "-c", "print('starting')"], "python3 -c \"print('starting')\""),
        (["claude", "-p", "Read your queue."], "claude -p 'Read your queue.'"),
        (["sh", "-c", "echo '$HOME'"], "sh -c 'echo '\"'\"'$HOME'\"'\"''"),
    ],
)
def test_a_command_is_shown_as_a_shell_takes_it_in_the_quotes_that_can_be_read(argv, shown, place):
    place.home("opus", f"[tasks.x]\nevery = '1h'\ncommand = {json.dumps(argv)}\n")
    explained = explain("opus", place.task("x"), TaskState(), 0.0, 0.0, Masks(()))
    assert {field.label: field.words for field in explained.facts}["runs"] == shown
    assert shlex.split(shown) == argv


def test_scripts_are_found_by_the_name_of_the_task(place):
    home = place.home("opus", "[tasks.mine]\nevery = '1h'\ninput = 'x'\n[tasks.other]\nevery = '1h'")
    for script in ("scripts/mine.py", "scripts/news_scan.py", "scripts/heartbeat.py"):
        (home / script).parent.mkdir(exist_ok=True)
        (home / script).write_text("")
    (home / "body" / "specialists").mkdir(parents=True)
    for name in ("news_scan.py", "email_check.py"):
        (home / "body" / "specialists" / name).write_text("")
    assert place.task("mine").work == Command(("python3", str(home / "scripts/mine.py")), {}, b"x")
    assert place.task("news_scan").work == Command(("python3", str(home / "scripts/news_scan.py")))
    assert place.task("email_check").work == Command(
        ("python3", str(home / "body/specialists/email_check.py"))
    )
    assert isinstance(place.task("heartbeat").work, Call)
    assert place.task("other").work == NotSetUp("command", place.task("other").work.advice)


def test_the_wake_runs_a_command_or_a_handler(place):
    place.home("opus", "[wake]\nevery = '30m'\ncommand = ['claude', '-p', 'x']\nenvironment = { A = 'b' }")
    assert place.opus().wake.work == Command(("claude", "-p", "x"), {"A": "b"})
    place.home("opus", "[wake]\nhandler = 'json:loads'\nisolated = true")
    assert place.opus().wake.work == Isolated("json", "loads")


# ------------------------------------------------------------------ what is wrong

WRONG = [
    ("workerz = 3", "workerz: unknown key; did you mean workers?"),
    (
        "zzz = 3",
        "zzz: unknown key; known: alerts, budget, builtin, grace, history, llm, machines, prices,",
    ),
    ("builtin = 'heartbeat'", 'builtin: is text; write true, false, or a list like ["heartbeat"]'),
    ("builtin = ['heart']", "builtin: 'heart' is none of: heartbeat, price_monitor"),
    ("workers = 0", "workers: is 0; write a number from 1 to 256"),
    ("workers = '4'", "workers: is text; write a whole number"),
    ("workers = true", "workers: is true or false; write a whole number"),
    ("grace = -1", "grace: -1 is not a duration: write it like 30s, 5m, 2h or 1d"),
    ("grace = nan", "grace: nan is not a duration: write it like 30s, 5m, 2h or 1d"),
    ("grace = 2026-01-01", 'grace: is a date or time; write a duration, like "5m" or 300'),
    ("tasks = 3", "tasks: is a number; write it as a table, in [brackets]"),
    ("tasks.a = 3", "tasks.a: is a number; write it as a table, in [brackets]"),
    ("wake = []", "wake: is a list; write it as a table, in [brackets]"),
    ("[wake]\nevry = 3", "wake.evry: unknown key; did you mean every?"),
    ("[wake]\nevery = '0s'", "wake.every: is '0s'; write at least 0.1 seconds"),
    ("[wake]\ncommand = 'claude -p'", "wake.command: is text; write it as a list"),
    (
        "[wake]\ncommand = ['a']\nhandler = 'json:loads'",
        "wake: has both command and handler; keep one of them",
    ),
    ("[wake]\ninput = 'x'", "wake.input: unknown key"),
    ("[wake]\ncommand = ['a']\ngate = 'mews'", "wake.gate: 'mews' is no gate; write \"news\", or a command"),
    ("[wake]\ncommand = ['a']\ngate = []", "wake.gate: write it as a list"),
    ("[wake]\ngate = 'news'", "wake.gate: goes with command or handler"),
    ("[wake]\ncommand = ['a']\ngate_paths = ['a']", "wake.gate_paths: goes with gate; add gate ="),
    ("[wake]\ncommand = ['a']\ngate = ['b']\ngate_paths = ['a']", 'wake.gate_paths: goes with gate = "news"'),
    (
        "[wake]\ncommand = ['a']\ngate = 'news'\ngate_paths = ['../a']",
        "wake.gate_paths: '../a' is no path in",
    ),
    (
        "[wake]\ncommand = ['a']\ngate = 'news'\ngate_paths = ['/etc']",
        "wake.gate_paths: '/etc' is no path in",
    ),
    ("[wake]\non_failure.pause_after = 1001", "wake.on_failure.pause_after: "),
    ("[tasks.wake]\nevery = 3", "tasks.wake: is the name of the citizen's turn; set that with [wake]"),
    ("[tasks.Report]\nevery = 3", "tasks.Report: is not a valid name: use a-z"),
    ('[tasks."a b/../c"]\nevery = 3', 'tasks."a b/../c": is not a valid name: use a-z'),
    ("[tasks.x]\ncommand = ['a']", 'tasks.x: has no schedule; add every = "1h"'),
    ("[tasks.x]\nevery = 1\ncron = '@daily'", "tasks.x: has both every and cron; keep one of them"),
    (
        "[tasks.x]\nevery = 1\ntimezone = 'UTC'",
        "tasks.x.timezone: goes with cron or active; an interval needs none",
    ),
    ("[tasks.x]\ncron = '61 * * * *'", "tasks.x.cron: cron expression '61 * * * *': Bad minute"),
    ("[tasks.x]\ncron = '0 0 30 2 *'", "tasks.x.cron: cron expression '0 0 30 2 *': Bad day-of-month"),
    ("[tasks.x]\ncron = '5m'", "tasks.x.cron: '5m' does not have the five fields of cron"),
    ("[tasks.x]\ncron = '1 h 30 m 5 s'", "tasks.x.cron: '1 h 30 m 5 s' is an interval; that goes with every"),
    ("[tasks.x]\ncron = 5", "tasks.x.cron: is a number; write it as text, in quotes"),
    (
        "[tasks.x]\ncron = '@daily'\ntimezone = 'Mars'",
        "tasks.x.timezone: unknown time zone 'Mars': use a name",
    ),
    ("[tasks.x]\nevery = '5 parsecs'", "tasks.x.every: '5 parsecs' is not a duration: write it like"),
    ("[tasks.x]\nevery = 0.01", "tasks.x.every: is 0.01; write at least 0.1 seconds"),
    ("[tasks.x]\nevery = inf", "tasks.x.every: inf is not a duration"),
    ("[tasks.x]\nevery = '40000d'", "tasks.x.every: '40000d' is more than a century; write a shorter time"),
    ("[tasks.x]\nevery = 1\ncommand = []", "tasks.x.command: write it as a list, like"),
    ("[tasks.x]\nevery = 1\ncommand = ['']", "tasks.x.command: names no program; put it first in the list"),
    ("[tasks.x]\nevery = 1\ncommand = ['a', 3]", "tasks.x.command: is a number; write it as text, in quotes"),
    ('[tasks.x]\nevery = 1\ncommand = ["a\\u0000"]', "tasks.x.command: contains a NUL character; remove it"),
    ("[tasks.x]\nevery = 1\ncommand = 'a b'", "tasks.x.command: is text; write it as a list"),
    ("[tasks.x]\nevery = 1\ncommand = ['a']\nisolated = true", "tasks.x.isolated: goes with handler"),
    ("[tasks.x]\nevery = 1\nhandler = 'json'", "tasks.x.handler: 'json' names no function; write"),
    ("[tasks.x]\nevery = 1\nhandler = 'json:no such'", "tasks.x.handler: 'json:no such' names no function"),
    (
        "[tasks.x]\nevery = 1\nhandler = 'a/b:run'",
        "tasks.x.handler: 'a/b' is not a module; write a file with its .py",
    ),
    (
        "[tasks.x]\nevery = 1\nhandler = 'nowhere_at_all:f'",
        "tasks.x.handler: there is no module 'nowhere_at_all'; install it, or name a file",
    ),
    (
        "[tasks.x]\nevery = 1\nhandler = 'nowhere_at_all:f'\nisolated = true",
        "tasks.x.handler: there is no module",
    ),
    ("[tasks.x]\nevery = 1\nhandler = 'no.py:f'", "tasks.x.handler: there is no file "),
    ("[tasks.x]\nevery = 1\nhandler = 'json:loads'\ninput = 'x'", "tasks.x.input: goes with command"),
    ("[tasks.heartbeat]\nenvironment = { A = 'b' }", "tasks.heartbeat.environment: goes with command"),
    ("[tasks.x]\nevery = 1\nenvironment = { A = 1 }", "tasks.x.environment: is a number; write it as text"),
    (
        "[tasks.x]\nevery = 1\nenvironment = { 'A=' = 'x' }",
        "tasks.x.environment: 'A=' is not a name for a variable",
    ),
    ("[tasks.x]\nevery = 1\nenvironment = 'A=x'", "tasks.x.environment: is text; write it as a table"),
    ("[tasks.x]\nevery = 1\nretries = -1", "tasks.x.retries: is -1; write a number from 0 to 100"),
    ("[tasks.x]\nevery = 1\nenabled = 'yes'", "tasks.x.enabled: is text; write true or false"),
    ("[tasks.x]\nevery = 1\ndisk_warning = 5", "tasks.x.disk_warning: unknown key"),
    ("[tasks.email_check]\nhosst = 'x'", "tasks.email_check.hosst: unknown key; did you mean host?"),
    (
        "[tasks.heartbeat]\ndisk_warnin = 5",
        "tasks.heartbeat.disk_warnin: unknown key; did you mean disk_warning?",
    ),
    ("[tasks.heartbeat]\ndisk_warning = 150", "tasks.heartbeat.disk_warning: is 150; write per cent"),
    (
        "[tasks.heartbeat]\ndisk_warning = 'much'",
        "tasks.heartbeat.disk_warning: is not a percentage; write per cent",
    ),
    ("[tasks.heartbeat]\nload_warning = 'x'", "tasks.heartbeat.load_warning: is text; write a number"),
    ("[tasks.memory_summary]\nllm = 'x'", "tasks.memory_summary.llm: is text; write true or false"),
    ("[citizens.opus]\nworkers = 3", "citizens: unknown key"),
]


@each(("own", "expected"), WRONG)
def test_a_problem_names_file_key_and_mend(place, own, expected):
    home = place.home("opus", own)
    opus = place.opus()
    assert len(opus.problems) == 1, opus.problems
    assert opus.problems[0].startswith(f"{home / 'experience.toml'}: {expected}")
    assert "\n" not in opus.problems[0]
    assert opus.tasks == ()


@each(
    "content, expected",
    [
        (b"a = \n", ":1: Invalid value at column 5; correct the TOML there"),
        (b"a = 1\nb = [1,\n", ":3: Invalid value at the end; correct the TOML there"),
        (b"a = 1\na = 2\n", ":2: Cannot overwrite a value at column 6; correct the TOML there"),
        (b"a = 1\n\xff\n", ":2: is not UTF-8; save it as UTF-8"),
        (b"a = " + b"[" * 100_000, ": cannot be read as TOML; correct it"),
        (b"a = " + b"9" * 5_000, ": cannot be read as TOML; correct it"),
        (b"#" * (256 << 10) + b"#", ": is longer than 256 KiB; settings never are"),
        (
            b"a = 1\n" + b"a." * 120_000 + b"b = 1",
            ":2: has more than 100 dots; put long texts in quotes, or on lines",
        ),
        (b"a.a.a." * 7 + b"a = 1", ": has tables in tables, 20 deep; settings never are"),
        (b"a = " + b"[" * 30 + b"]" * 30, ": has tables in tables, 20 deep; settings never are"),
    ],
)
def test_a_file_that_is_no_toml(tmp_path, content, expected):
    place = Place(tmp_path)
    file = place.home("opus") / "experience.toml"
    file.write_bytes(content)
    assert place.opus().problems == (f"{file}{expected}",)
    place.main.write_bytes(content)
    settings = place.load()
    assert settings.problems == (f"{place.main}{expected}",)
    assert all(citizen.tasks == () and citizen.problems for citizen in settings.citizens)


def test_a_long_text_is_no_long_key(place):
    place.home("opus", f"[wake]\ncommand = ['claude', '-p', '{'One sentence. ' * 200}']")
    assert place.opus().problems == ()


def test_a_file_from_windows_is_fine(place):
    place.home("opus").joinpath("experience.toml").write_bytes(b"\xef\xbb\xbfworkers = 3\r\n")
    assert place.opus().workers == 3


def test_a_folder_or_a_pipe_in_place_of_a_file(place):
    (place.root / "opus" / "experience.toml").mkdir(parents=True)
    (place.root / "mira").mkdir()
    os.mkfifo(place.root / "mira" / "experience.toml")
    mira, opus = place.load().citizens
    assert opus.problems == (f"{opus.home}/experience.toml: is a folder; put a file in its place",)
    assert mira.problems == (f"{mira.home}/experience.toml: is not a regular file; put a file in its place",)


def test_a_file_that_may_not_be_read(place, monkeypatch):
    file = place.home("opus") / "experience.toml"
    place.home("mira")
    really = open_file

    def refuse(path, *rest):
        if path == file:
            raise PermissionError(13, "Permission denied")
        return really(path, *rest)

    monkeypatch.setattr("scheduler.config.files.open_file", refuse)
    mira, opus = place.load().citizens
    assert opus.problems == (f"{file}: cannot be read: Permission denied; correct its permissions",)
    assert mira.problems == ()


def test_one_broken_file_breaks_only_its_citizen(place):
    place.home("opus", "nonsense")
    place.home("mira")
    settings = place.load()
    mira, opus = settings.citizens
    assert settings.problems == ()
    assert (len(mira.tasks), mira.problems) == (7, ())
    assert (opus.tasks, len(opus.problems)) == ((), 1)


def test_a_problem_in_the_main_file_is_the_main_files_and_the_citizens(place):
    place.main.write_text("[citizens.opus.tasks.x]\nevery = 1\ncommnd = []\n[citizens.mira]")
    settings = place.load()
    line = f"{place.main}: citizens.opus.tasks.x.commnd: unknown key; did you mean command?"
    assert settings.problems == (line,)
    mira, opus = settings.citizens
    assert (opus.problems, mira.problems) == ((line,), ())


@each(
    ("main", "expected"),
    [
        ("rot = '/x'", "rot: unknown key; did you mean root?"),
        ("root = 'x'", "root: is not an absolute path; write it from the start"),
        ("root = 3", "root: is a number; write it as text, in quotes"),
        ("root = '~no_such_login_/x'", "root: names the home of an unknown user; write the whole path"),
        (
            "owner = 'x'",
            "owner: unknown key; known: alerts, budget, builtin, citizens, engine, history, keys, llm,",
        ),
        ("[citizen.opus]", "citizen: unknown key; did you mean citizens?"),
        ("[citizens.Opus]", "citizens.Opus: is not a valid name: use a-z"),
        ("citizens = []", "citizens: is a list; write it as a table, in [brackets]"),
        ("[citizens]\nopus = 3", "citizens.opus: is a number; write it as a table, in [brackets]"),
    ],
)
def test_with_a_broken_main_file_nothing_runs(place, main, expected):
    place.home("opus")
    place.main.write_text(main)
    settings = place.load()
    assert len(settings.problems) == 1
    assert settings.problems[0].startswith(f"{place.main}: {expected}")
    assert [citizen.tasks for citizen in settings.citizens] == [()]
    assert settings.citizens[0].problems == settings.problems


def test_a_main_file_that_was_asked_for_must_exist(place):
    place.main.unlink()
    assert place.load().problems == (f"{place.main}: does not exist; create it, or name another",)


def test_a_root_that_is_a_file(place):
    place.environ["EXPERIENCE_ROOT"] = str(place.main)
    (line,) = place.load().problems
    assert line.startswith(f"{place.main}: cannot be listed: Not a directory")
    assert place.load(create=True).problems == (line,)


def test_a_variable_that_cannot_be_used(place):
    place.home("opus")
    place.environ["EXPERIENCE_CITIZENS__OPUS__WORKERS"] = "many"
    (line,) = place.load().problems
    assert line.startswith("environment: citizens.opus.workers: its value, which comes from the environment")
    assert "many" not in line
    place.environ = {"EXPERIENCE_ROOT": str(place.root), "EXPERIENCE_CITIZENS": "[broken"}
    (line,) = place.load().problems
    assert line.startswith("environment: EXPERIENCE_CITIZENS: is not a table")
    assert place.opus().tasks == ()


def test_everything_is_reported_at_once(place):
    place.main.write_text(
        "zzz = 1\n[citizens.opus]\nworkers = 0\n[citizens.opus.tasks.x]\nevery = 'x'\nretries = 'y'"
    )
    place.home("mira", "grace = 'z'")
    with pytest.raises(BadSettings) as error:
        load_or_raise(config=place.main, environ=place.environ)
    keys = [line.split(": ")[1] for line in error.value.problems]
    assert keys == [
        "zzz",
        "citizens.opus.workers",
        "citizens.opus.tasks.x.every",
        "citizens.opus.tasks.x.retries",
        "grace",
    ]
    place.main.write_text("")
    place.home("mira")
    assert load_or_raise(config=place.main, environ=place.environ).known == ("mira",)


# ------------------------------------------------------------------ changes


def test_the_mark_holds_until_something_changes(place):
    home = place.home("opus", "[tasks.mine]\nevery = '1h'", "A=b")
    settings = place.load()
    assert fingerprint(settings) == settings.mark
    (home / "notes.txt").write_text("no setting")
    (home / "scripts").mkdir()
    (home / "scripts" / "unrelated.py").write_text("")
    assert fingerprint(settings) == settings.mark


@each(
    "change",
    [
        lambda place, home: place.main.write_text("# changed"),
        lambda place, home: place.main.unlink(),
        lambda place, home: (home / "experience.toml").write_text("# changed"),
        lambda place, home: (home / "experience.toml").chmod(0o600),
        lambda place, home: (home / ".env").unlink(),
        lambda place, home: (home / ".env").write_text("A=c"),
        lambda place, home: place.home("mira"),
        lambda place, home: (home / "experience.toml").unlink(),
        lambda place, home: (home / "scripts" / "mine.py").write_text(""),
        lambda place, home: (home / "scripts" / "news_scan.py").write_text(""),
    ],
)
def test_the_mark_differs_after_a_change(tmp_path, change):
    place = Place(tmp_path)
    home = place.home("opus", "[tasks.mine]\nevery = '1h'", "A=b")
    (home / "scripts").mkdir()
    settings = place.load()
    change(place, home)
    assert fingerprint(settings) != settings.mark


def test_a_change_while_settings_are_read_is_seen(place, monkeypatch):
    home = place.home("opus", "workers = 1")
    from scheduler.config import main_file as module

    really = module.citizen

    def slowly(*arguments):
        found = really(*arguments)
        (home / "experience.toml").write_text("workers = 22")
        return found

    monkeypatch.setattr(module, "citizen", slowly)
    settings = place.load()
    assert settings.citizens[0].workers == 1
    assert fingerprint(settings) != settings.mark


def test_the_mark_of_broken_settings_holds_with_what_ran_before(place):
    home = place.home("opus")
    (home / "scripts").mkdir()
    (home / "scripts" / "news_scan.py").write_text("")
    before = place.load()
    place.main.write_text("nonsense")
    broken = place.load()
    kept = replace(before, mark=broken.mark)
    assert fingerprint(before) != before.mark
    assert fingerprint(kept) == kept.mark
    place.main.write_text("")
    assert fingerprint(kept) != kept.mark


def test_settings_can_be_read_in_a_thread(place):
    place.main.write_text("[citizens.opus.tasks.x]\nevery = 1\nhandler = 'json:loads'")
    place.environ["EXPERIENCE_CITIZENS__OPUS__WORKERS"] = "2"
    found = []
    thread = threading.Thread(target=lambda: found.append(place.load()))
    thread.start()
    thread.join()
    assert found[0].citizens[0].workers == 2


# ------------------------------------------------------------------ the documents


def blocks(page: str) -> list[str]:
    return re.findall(r"```toml\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)


TABLES = ("wake", "tasks", "llm", "alerts", "history", "budget", "prices", "refusals")


@each(
    ("page", "shape"),
    [
        ("settings.md", shape)
        for shape in (
            CitizenTable,
            WakeTable,
            HistoryTable,
            LlmTable,
            AlertsTable,
            TaskTable,
            BudgetTable,
            RefusalTable,
            PriceTable,
        )
    ]
    + [("tasks.md", built_in(name)[1]) for name in BUILT_IN],
)
def test_every_key_is_in_the_documents_with_an_example(page, shape):
    content, examples = (DOCS / page).read_text(), "\n".join(blocks(page))
    for name in shape.model_fields:
        assert f"`{name}`" in content or name in TABLES, name
        assert re.search(rf"\b{name}\b", examples), name
