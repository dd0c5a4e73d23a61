"""Alerts and pings: once per streak, to real commands and a real server, never in anybody's way."""

import asyncio
import json
import logging
import sys
import threading
import time
from pathlib import Path

import pytest

from scheduler.alerts import targets
from scheduler.alerts.alerter import Alerter, below
from scheduler.alerts.targets import Targets
from scheduler.alerts.worker import WAITING, BackgroundWorker
from scheduler.config.loader import load
from scheduler.core.schedules.schedule import Every
from scheduler.core.secrets import Masks
from scheduler.core.state import TaskState
from scheduler.core.task import Alerts, Call, Outcome, Task
from scheduler.core.views import Hold, HoldKind
from scheduler.core.wording.description import explain
from scheduler.system.watchdog import StallWatch
from tests.crash.loops import gone
from tests.each import each
from tests.fakes import NOON, until
from tests.loopback import loopback

ALL = frozenset(("failed", "over budget", "recovered", "stalled"))
SAVE = ("sh", "-c", "cat >> alerts.jsonl; echo >> alerts.jsonl")


async def nothing(_: object) -> None: ...


def task(**more) -> Task:
    return Task("news_scan", Every(60.0), Call(nothing), **more)


class Citizen:
    """One citizen's task, whose runs end as a test says."""

    def __init__(self, home: Path, alerts: Alerts | None, **more) -> None:
        self.home, self.task, self.state = home, task(**more), TaskState()
        self.alerts = alerts
        self.begin()

    def begin(self) -> None:
        targets = Targets()
        self.worker = BackgroundWorker(targets.close)
        self.alerter = Alerter("opus", self.home, self.alerts, self.worker, targets)
        self.alerter.load()
        self.alerter.began([(self.task, self.state)])

    def runs(self, *outcomes: Outcome) -> None:
        for outcome in outcomes:
            before = self.state
            self.alerter.started(self.task)
            self.state = before.finished(outcome, "Connection timeout\nand more", NOON, 1.0)
            self.alerter.finished(self.task, before, self.state)

    def settle(self) -> None:
        self.worker.finish(15)

    def restart(self) -> None:
        self.settle()
        self.begin()

    def sent(self) -> list[dict]:
        self.settle()
        file = self.home / "alerts.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def kinds(self) -> list[str]:
        return [message["kind"] for message in self.sent()]


OK, WARNING, FAILED, INTERRUPTED = Outcome.OK, Outcome.WARNING, Outcome.FAILED, Outcome.INTERRUPTED


@each(
    "outcomes, expected",
    [
        ([FAILED], []),
        ([FAILED, OK, FAILED, OK], []),
        ([FAILED, FAILED], ["failed"]),
        ([FAILED] * 9, ["failed"]),
        ([FAILED, Outcome.TIMED_OUT, OK, OK], ["failed", "recovered"]),
        ([FAILED, FAILED, WARNING, FAILED, FAILED, FAILED], ["failed", "recovered", "failed"]),
    ],
)
def test_a_streak_is_reported_once_and_its_end_once(home, outcomes, expected):
    opus = Citizen(home, Alerts(ALL, 2, SAVE))
    opus.runs(*outcomes)
    assert opus.kinds() == expected


def test_a_pause_after_failures_is_reported_with_what_continues(home):
    opus = Citizen(home, Alerts(ALL, 5, SAVE))
    opus.runs(FAILED)
    before = opus.state
    opus.state = before.finished(FAILED, "no ink", NOON, 1.0).with_pause(NOON, None, "2 failures in a row")
    opus.alerter.finished(opus.task, before, opus.state)
    (message,) = opus.sent()
    assert message["text"].startswith("opus/news_scan failed 2 times in a row: no ink; it is paused")
    assert message["text"].endswith("resume opus news_scan")


def test_a_stop_is_neither_the_end_of_a_streak_nor_one_more_failure(home):
    opus = Citizen(home, Alerts(ALL, 2, SAVE))
    opus.runs(FAILED, Outcome.STOPPED)
    assert opus.kinds() == []
    opus.restart()
    opus.runs(FAILED, Outcome.STOPPED)
    assert opus.kinds() == ["failed"]
    opus.restart()
    opus.runs(OK)
    assert opus.kinds() == ["failed", "recovered"]


def test_a_restart_neither_repeats_a_streak_nor_forgets_its_end(home):
    opus = Citizen(home, Alerts(ALL, 2, SAVE))
    opus.runs(FAILED, FAILED)
    opus.restart()
    opus.runs(FAILED)
    opus.restart()
    opus.runs(OK)
    opus.restart()
    opus.runs(OK)
    assert opus.kinds() == ["failed", "recovered"]


def test_a_restart_in_the_middle_of_a_streak_counts_on(home):
    opus = Citizen(home, Alerts(ALL, 3, SAVE))
    opus.runs(FAILED, FAILED)
    opus.restart()
    opus.runs(FAILED)
    assert opus.kinds() == ["failed"]


def test_the_death_of_the_owner_is_the_failure_that_is_one_too_many(home):
    opus = Citizen(home, Alerts(ALL, 2, SAVE))
    opus.runs(FAILED)
    opus.state = opus.state.interrupted("interrupted: the scheduler died during this run", NOON, again=False)
    opus.restart()
    assert opus.kinds() == ["failed"]


def test_a_shutdown_is_not_a_failure(home):
    opus = Citizen(home, Alerts(ALL, 1, SAVE))
    opus.state = opus.state.interrupted("interrupted: the scheduler was shut down", NOON, again=True)
    opus.restart()
    assert opus.kinds() == []


def test_after_a_reset_a_streak_is_a_new_one(home):
    opus = Citizen(home, Alerts(ALL, 2, SAVE))
    opus.runs(FAILED, FAILED)
    opus.state = opus.state.reset()
    opus.runs(FAILED, FAILED)
    assert opus.kinds() == ["failed", "failed"]


def test_a_spent_budget_is_reported_once_over_restarts_and_again_for_the_next_day(home):
    on = ALL | {"over budget"}
    citizen = Citizen(home, Alerts(on, 1, SAVE))

    def held(day: str, kind: HoldKind = HoldKind.BUDGET) -> None:
        citizen.alerter.held(citizen.task, Hold(kind, f"over budget until {day}", NOON, f"own {day}"))

    held("Monday")
    held("Monday")
    held("Monday", HoldKind.PROVIDER)
    citizen.restart()
    held("Monday")
    held("Tuesday")
    texts = [message["text"] for message in citizen.sent()]
    assert texts == [f"opus/news_scan: over budget until {day}" for day in ("Monday", "Tuesday")]


def test_only_requested_kinds_are_sent(home):
    opus = Citizen(home, Alerts(frozenset(("recovered",)), 1, SAVE))
    opus.runs(FAILED, OK)
    assert opus.kinds() == ["recovered"]


def test_what_a_command_gets(home):
    opus = Citizen(home, Alerts(ALL, 2, SAVE))
    opus.runs(FAILED, FAILED)
    (message,) = opus.sent()
    assert message["text"] == "opus/news_scan failed 2 times in a row: Connection timeout"
    assert (message["citizen"], message["task"], message["outcome"]) == ("opus", "news_scan", "failed")
    assert (message["failures_in_a_row"], message["error"]) == (2, "Connection timeout\nand more")


def test_a_webhook_gets_the_same_and_its_address_is_shown_nowhere(home, caplog):
    with loopback() as server:
        alerts = Alerts(ALL, 1, SAVE, f"{server.url}/hooks/t0ps3cret?key=t0ps3cret")
        opus = Citizen(home, alerts)
        opus.runs(FAILED)
        opus.settle()
        method, path, body = server.asked[0]
        server.status = 500
        opus.begin()
        opus.runs(OK)
        opus.settle()
    assert (method, path) == ("POST", "/hooks/t0ps3cret?key=t0ps3cret")
    assert json.loads(body) == opus.sent()[0]
    assert "it answered 500" in str([vars(record) for record in caplog.records])
    assert "t0ps3cret" not in str([vars(record) for record in caplog.records])
    assert "t0ps3cret" not in repr(alerts)


def test_an_undelivered_alert_is_sent_again_with_the_next_failure(home, caplog):
    with loopback() as server:
        server.status = 503
        opus = Citizen(home, Alerts(ALL, 1, webhook=server.url))
        opus.runs(FAILED)
        opus.restart()
        server.status = 200
        opus.runs(FAILED, FAILED)
        opus.settle()
        assert len(server.asked) == 2


def test_a_target_that_never_answers_does_not_delay_the_others(home, monkeypatch, caplog):
    monkeypatch.setattr(targets, "LIMIT", 0.3)
    deaf = ("sh", "-c", "echo $$ > pid; sleep 600 & echo $! >> pid; wait")
    with loopback() as server:
        server.status = 0
        opus = Citizen(home, Alerts(ALL, 1, deaf, server.url))
        opus.runs(FAILED)
        opus.settle()
    errors = {vars(record)["target"]: vars(record)["error"] for record in caplog.records}
    assert errors == dict.fromkeys(("command", "webhook"), "no answer within 0.3 s")
    pids = [int(pid) for pid in (home / "pid").read_text().split()]
    assert len(pids) == 2 and all(map(gone, pids))


@each(("argv", "why"), [(("false",), "exit code 1"), (("/no/such",), "cannot be started: No such file")])
def test_a_command_that_does_not_work_is_a_line_in_the_log(home, caplog, argv, why):
    opus = Citizen(home, Alerts(ALL, 1, argv))
    opus.runs(FAILED)
    opus.settle()
    (record,) = caplog.records
    assert why in vars(record)["error"] and record.levelno == logging.WARNING


APPRISE = """
import json, os
class Apprise:
    def __init__(self): self.urls = []
    def add(self, url): self.urls.append(url); return "bad" not in url
    def notify(self, title, body):
        json.dump([self.urls, title, body], open(os.environ["APPRISE_SENT"], "w"))
        return True
"""


def test_apprise_gets_every_address_a_title_and_a_text(home, tmp_path, monkeypatch, caplog):
    (tmp_path / "apprise.py").write_text(APPRISE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("APPRISE_SENT", str(tmp_path / "sent"))
    opus = Citizen(home, Alerts(ALL, 1, apprise=("json://one", "json://two")))
    opus.runs(FAILED)
    opus.settle()
    said = "opus/news_scan failed: Connection timeout"
    assert json.loads((tmp_path / "sent").read_text()) == [
        ["json://one", "json://two"],
        "opus/news_scan failed",
        said,
    ]
    assert caplog.records == []


def test_the_real_apprise_reaches_a_server(home):
    with loopback() as server:
        opus = Citizen(home, Alerts(ALL, 1, apprise=(server.url.replace("http", "json") + "/hook",)))
        opus.runs(FAILED)
        opus.settle()
        assert "opus/news_scan failed" in server.asked[0][2].decode()


# ------------------------------------------------------------------ pings


def test_a_ping_for_every_run_and_another_one_for_a_failure(home):
    with loopback() as server:
        opus = Citizen(home, None, ping=f"{server.url}/uuid?create=1")
        opus.runs(OK, FAILED, WARNING)
        opus.settle()
        assert server.paths() == ["/uuid?create=1", "/uuid/fail?create=1", "/uuid?create=1"]
        assert {method for method, _, _ in server.asked} == {"GET"}


def test_start_is_pinged_where_it_is_wanted_and_in_order(home):
    with loopback() as server:
        opus = Citizen(home, None, ping=f"{server.url}/uuid", ping_on=frozenset(("start", "ok")))
        opus.runs(OK, FAILED)
        opus.settle()
        assert server.paths() == ["/uuid/start", "/uuid", "/uuid/start"]


async def test_a_ping_follows_redirects_so_far_but_not_from_the_internet_into_this_machine(monkeypatch):
    async def inside(url: str) -> bool:
        return "localhost" in url

    monkeypatch.setattr("scheduler.handlers.net.http._is_inside", inside)
    targets = Targets()
    with loopback() as server:
        within = server.url.replace("127.0.0.1", "localhost")
        server.places = {"/moved": "/new", "/inward": f"{within}/secret", "/round": "/round"}
        assert await targets.ping(f"{server.url}/moved") == ""
        said = await targets.ping(f"{server.url}/inward")
        assert said == "redirects into this machine or its network; that is not followed"
        assert server.paths() == ["/moved", "/new", "/inward"]
        assert await targets.ping(f"{server.url}/round") == "it answered 302"
    await targets.close()


def test_pings_that_do_not_get_through_are_said_once_until_they_do(home, caplog):
    caplog.set_level(logging.INFO)
    with loopback() as server:
        opus = Citizen(home, None, ping=f"{server.url}/t0ps3cret")
        server.status = 503
        assert opus.alerter.last_ping("news_scan") is None
        opus.runs(OK, OK, OK)
        opus.worker.wait(15)
        assert opus.alerter.last_ping("news_scan").error == "it answered 503"
        server.status = 200
        opus.runs(OK, OK)
        opus.settle()
        last = opus.alerter.last_ping("news_scan")
        assert last.error == "" and last.time == pytest.approx(time.time(), abs=60)
        details = explain("opus", opus.task, opus.state, last.time + 3601, 0.0, Masks(()), ping=last)
        words = {each.label: each.words for each in details.facts}["ping"]
        assert words.endswith("; the last one arrived 1h ago") and "t0ps3cret" not in words
    said = [record.message for record in caplog.records if record.name == "experience.alerts"]
    assert said == ["ping not delivered", "pings are delivered again"]
    assert "t0ps3cret" not in str([vars(record) for record in caplog.records])


@each(
    ("url", "what", "expected"),
    [
        ("https://x.org/a", "", "https://x.org/a"),
        ("https://x.org/a/", "fail", "https://x.org/a/fail"),
        ("https://x.org/a?b=c", "start", "https://x.org/a/start?b=c"),
    ],
)
def test_where_each_kind_of_ping_goes(url, what, expected):
    assert below(url, what) == expected


# ------------------------------------------------------------------ the background worker


def test_what_is_too_much_is_refused_and_counted(caplog):
    worker, gate = BackgroundWorker(), threading.Event()

    async def waits() -> None:
        await asyncio.to_thread(gate.wait, 10)

    accepted = [worker.enqueue("lane", waits) for _ in range(WAITING + 7)]
    assert accepted.count(False) == 7
    gate.set()
    worker.finish(10)
    assert [record.message for record in caplog.records] == [
        "7 alerts or pings dropped: their targets were too slow"
    ]


def test_an_errand_that_breaks_is_logged_and_the_next_one_is_done(caplog):
    worker, done = BackgroundWorker(), []

    async def breaks() -> None:
        raise RuntimeError("oh")

    async def works() -> None:
        done.append(1)

    worker.enqueue("lane", breaks)
    worker.enqueue("lane", works)
    worker.finish(10)
    assert done == [1]
    assert [record.message for record in caplog.records] == ["an alert or a ping failed"]


def test_waiting_for_jobs_is_bounded():
    worker = BackgroundWorker()

    async def never() -> None:
        await asyncio.Event().wait()

    worker.enqueue("lane", never)
    worker.finish(0.05)
    for thread in threading.enumerate():
        if thread.name == "alerts":
            thread.join(10)
            assert not thread.is_alive()
    assert not worker.enqueue("lane", never)


# ------------------------------------------------------------------ a loop that hangs


async def test_a_loop_that_hangs_is_seen_once_with_the_run_that_holds_it_up(tmp_path):
    seen: list[tuple[str, str]] = []
    watch = StallWatch(
        lambda who, _: seen.append(("stalled", who)), lambda who, _: seen.append(("turns", who)), limit=0.2
    )

    async def hangs() -> None:
        while not seen:
            time.sleep(0.005)  # noqa: ASYNC251  # this is the fault

    watch.start()
    await asyncio.create_task(hangs(), name="opus/news_scan")
    await until(lambda: len(seen) == 2, "it goes on")
    watch.stop()
    assert seen == [("stalled", "opus/news_scan"), ("turns", "opus/news_scan")]


# ------------------------------------------------------------------ settings


@pytest.fixture
def root(tmp_path):
    (tmp_path / "opus").mkdir()
    (tmp_path / "opus" / ".env").write_text("HOOK=https://hooks.example.org/t0ps3cret\n")
    return tmp_path


def read(root: Path, main: str, own: str = ""):
    (root / "main.toml").write_text(f'root = "{root}"\n{main}')
    (root / "opus" / "experience.toml").write_text(own)
    return load(config=root / "main.toml", environ={})


def test_alerts_for_all_and_for_one_are_laid_over_each_other(root):
    settings = read(root, '[alerts]\nwebhook = "${HOOK}"\nafter = 3\n', "[alerts]\nafter = 1\n")
    alerts = settings.citizens[0].alerts
    assert (alerts.webhook, alerts.after, alerts.on) == ("https://hooks.example.org/t0ps3cret", 1, ALL)
    assert "t0ps3cret" not in repr(settings)


def test_without_targets_or_kinds_nothing_is_sent(root):
    assert read(root, "").citizens[0].alerts is None
    assert read(root, '[alerts]\ncommand = ["x"]\n', "[alerts]\non = []\n").citizens[0].alerts is None


@each(
    "lines, problem",
    [
        ("[alerts]\nafter = 2", 'alerts: has no target; add command = ["..."], webhook'),
        (
            '[alerts]\non = ["fail"]\ncommand = ["x"]',
            "alerts.on: 'fail' is none of: failed, recovered, stalled",
        ),
        (
            '[alerts]\non = "failed"\ncommand = ["x"]',
            'alerts.on: is text; write it as a list, like ["failed"',
        ),
        ('[alerts]\nwebhook = "t0ps3cret"', "alerts.webhook: is not an address"),
        ('[alerts]\nafter = 0\ncommand = ["x"]', "alerts.after: is 0; write a number from 1 to 1000"),
        ('[alerts]\ncomand = ["x"]', "alerts.comand: unknown key; did you mean command?"),
        ('[tasks.heartbeat]\nping = "t0ps3cret"', "tasks.heartbeat.ping: is not an address"),
        ('[tasks.heartbeat]\nping_on = ["end"]', "ping_on: 'end' is none of: start, ok, failed"),
    ],
)
def test_what_cannot_be_used_is_said_with_its_place(root, lines, problem):
    (said,) = read(root, "", lines).citizens[0].problems
    assert problem in said and "t0ps3cret" not in said


def test_apprise_that_is_missing_is_said_with_what_to_install(root, monkeypatch):
    monkeypatch.setitem(sys.modules, "apprise", None)
    (said,) = read(root, "", '[alerts]\napprise = ["json://t0ps3cret"]').citizens[0].problems
    assert said.endswith("needs Apprise; install experience-tui[apprise], or use command or webhook")


def test_a_ping_is_a_secret_of_its_task(root):
    settings = read(root, "", '[tasks.heartbeat]\nping = "https://hc.example.org/t0ps3cret"')
    (heartbeat,) = [each for each in settings.citizens[0].tasks if each.name == "heartbeat"]
    assert heartbeat.ping == "https://hc.example.org/t0ps3cret"
    assert "t0ps3cret" not in repr(settings)
