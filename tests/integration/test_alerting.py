"""Alerts and pings of real loops: to a real server, over crashes, while a loop hangs."""

import asyncio
import json
import sys
import time

import pytest

from scheduler.alerts.alerter import Alarms
from scheduler.cli.verbs.alert import alert_command
from scheduler.config.loader import load
from scheduler.errors import SchedulerError, UnknownCitizen
from tests.crash.loops import Place, command
from tests.fakes import until
from tests.loopback import loopback

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="shell scripts"),
    pytest.mark.timeout(60),
]

FLAKY = command("flaky", 'test -e fine || { echo "Connection timeout" >&2; exit 1; }', every="0.1s")


@pytest.fixture
def server():
    with loopback() as server:
        yield server


@pytest.fixture
def place(tmp_path, server):
    place = Place(tmp_path)
    (place.home / ".env").write_text(f"HOOK={server.url}/t0ps3cret\n")
    return place


def kinds(server) -> list[str]:
    return [json.loads(body)["kind"] for method, _, body in server.asked if method == "POST"]


def test_a_test_alert_goes_to_every_target_and_each_answer_is_said(place, server, capsys):
    def ask(*names: str) -> int:
        words = [*names, "--test", "--config", str(place.config)]
        return alert_command(words, standalone_mode=False)

    with pytest.raises(SchedulerError, match="alerts are not set up"):
        ask()
    place.tasks(more='[alerts]\nwebhook = "${HOOK}"\ncommand = ["sh", "-c", "cat > got; exit 4"]\n')
    assert ask("opus") == 1
    assert capsys.readouterr().out == "opus: command: not delivered: exit code 4\nopus: webhook: delivered\n"
    assert json.loads((place.home / "got").read_text())["kind"] == "test"
    assert kinds(server) == ["test"]
    place.tasks(more='[alerts]\nwebhook = "${HOOK}"\n')
    assert ask() == 0
    with pytest.raises(UnknownCitizen, match="did you mean opus"):
        ask("opsu")


def test_only_ones_own_alerts_are_tested(place, monkeypatch, capsys):
    """Its settings say what is run, and root would run it."""
    place.tasks(more='[alerts]\ncommand = ["touch", "ran"]\n')
    monkeypatch.setattr("scheduler.cli.verbs.alert.is_ours", lambda home: False)
    assert alert_command(["--test", "--config", str(place.config)], standalone_mode=False) == 2
    assert "another user's" in capsys.readouterr().err
    assert not (place.home / "ran").exists()


async def test_a_streak_over_crashes_and_restarts_is_sent_once_and_its_end_once(place, server):
    place.tasks(FLAKY, more='[alerts]\nwebhook = "${HOOK}"\nafter = 3\n')
    sent = place.home / ".experience" / "alerts.json"
    with place.loop():
        await until(lambda: sent.exists() and "flaky" in sent.read_text(), "the alert is sent", 20)
    for _ in range(2):  # each time killed
        count = place.count("flaky")
        with place.loop():
            await until(lambda count=count: place.count("flaky") > count + 3, "it fails on", 20)
    with place.loop() as loop:
        (place.home / "fine").touch()
        await until(lambda: "recovered" in kinds(server), "its end is sent", 20)
        count = place.count("flaky")
        await until(lambda: place.count("flaky") > count + 3, "it runs on", 20)
        loop.terminate()
        await until(lambda: loop.poll() is not None, "it ends", 20)
    assert kinds(server) == ["failed", "recovered"]
    (failed, recovered) = [json.loads(body) for _, _, body in server.asked]
    assert failed["failures_in_a_row"] == 3
    assert recovered["text"].startswith("opus/flaky runs again after ")
    assert "t0ps3cret" not in place.log.read_text() + sent.read_text()


async def test_a_server_that_never_answers_delays_no_run(place, server):
    server.status = 0
    place.tasks(
        FLAKY + '\nping = "${HOOK}"\nping_on = ["start", "ok", "failed"]',
        more='[alerts]\nwebhook = "${HOOK}"\nafter = 1\n',
    )
    with place.loop() as loop:
        await until(lambda: len(server.asked) >= 2, "an alert and a ping wait for their answers", 20)
        count = place.count("flaky")
        await until(lambda: place.count("flaky") > count + 10, "it runs on", 8)
        loop.terminate()
        loop.terminate()
        await until(lambda: loop.poll() is not None, "after two signals it does not wait", 20)
    assert place.entry("flaky")["outcome"] == "failed"


async def test_pings_tell_of_runs_and_failures(place, server):
    place.tasks(FLAKY + '\nping = "${HOOK}"')
    with place.loop():
        await until(lambda: "/t0ps3cret/fail" in server.paths(), "a failure is sent", 20)
        (place.home / "fine").touch()
        await until(lambda: "/t0ps3cret" in server.paths(), "a success is sent", 20)


async def test_while_the_loop_hangs_an_alert_names_the_run(place, server):
    place.tasks(more='[alerts]\nwebhook = "${HOOK}"\n')
    (opus,) = load(config=place.config).citizens
    alarms = Alarms(stalled_after=0.2)

    async def hangs() -> None:
        while not server.asked:  # so another thread sends it
            time.sleep(0.005)  # noqa: ASYNC251  # this is the fault

    await alarms.listener(opus)
    await asyncio.create_task(hangs(), name="opus/flaky")
    await until(lambda: kinds(server) == ["stalled", "recovered"], "it goes on")
    await alarms.stop()
    stalled = json.loads(server.asked[0][2])
    assert (stalled["citizen"], stalled["task"]) == ("opus", "flaky")
    assert stalled["text"].startswith("opus/flaky has held up the scheduler for ")
