"""What a front end may ask about a task's definition, whichever Control it has."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from scheduler.config.defaults import BACKGROUND_TASKS
from scheduler.control.fleet import Fleet
from scheduler.core.ports import FleetOptions
from scheduler.core.wording.description import DefinitionField, TaskDetails
from scheduler.errors import UnknownTask
from scheduler.system.unix_socket import socket_path
from tests.contract.test_control import ACTING, ONLOOKER, acting, answering
from tests.crash.loops import Place
from tests.fakes import FakeClock
from tui.demo.data import MESSAGES
from tui.demo.fleet import started

ENV = {"TOKEN": "tok-3141592653", "MAIL_PASSWORD": "swordfish-77", "UNUSED": "never-shown-42", "FROM_ENV": ""}
OUTSIDE = "from-the-environment-99"
SECRETS = (
    *filter(None, ENV.values()),
    OUTSIDE,
    "7654",
    "literal-hunter2",
    "in-the-address",
    "after-the-flag",
)

TASKS = [
    """report
cron = "0 9 * * mon-fri"
timezone = "Europe/Berlin"
timeout = "5m"
retries = 3
jitter = "30s"
catch_up = false
description = "uses never-shown-42 for nothing"
command = ["sh", "-c", "curl -H 'Authorization: Bearer ${TOKEN}'", "--password", "after-the-flag", "x y"]
environment = { API_KEY = "literal-hunter2", LANG = "C", REMOTE = "${FROM_THE_ENVIRONMENT}" }
input = "tok-3141592653"
working_folder = "/srv/reports"
inherit_environment = false
ping = "https://hc.example.org/never-shown-42\"""",
    """email_check
host = "imap.example.org"
user = "opus@example.org"
password = "${MAIL_PASSWORD}"
limit = "${LIMIT}"
urgent_from = ["ct@example.org", "tok-3141592653"]""",
    """price_monitor
source = "json"
pairs = ["BTC-EUR"]
url = "https://me:in-the-address@prices.example.org/{pair}"
path = "data.price"
headers = { Accept = "application/json", X-Auth = "literal-hunter2" }""",
    'quick\nevery = "5m"\ncommand = ["true"]',
    'hourly\ncron = "@hourly"\ntimezone = "UTC"\ncommand = ["true"]',
    'once\ncron = "@reboot"\ncommand = ["true"]',
]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setenv("FROM_THE_ENVIRONMENT", OUTSIDE)
    monkeypatch.setenv("LIMIT", "7654")
    place = Place(tmp_path)
    named = {task.partition("\n")[0] for task in TASKS}
    quiet = [f"{name}\nenabled = false" for name in BACKGROUND_TASKS if name not in named]
    tables = [f"[tasks.{table}\n".replace("\n", "]\n", 1) for table in (*quiet, *TASKS)]
    (place.home / "experience.toml").write_text("\n".join(tables))
    (place.home / ".env").write_text("".join(f"{name}={value}\n" for name, value in ENV.items()))
    return place


@pytest.fixture(params=[*ACTING, ONLOOKER])
async def control(request: pytest.FixtureRequest, place: Place) -> AsyncIterator[Any]:
    async with answering(request.param, place) as control:
        yield control


def said(facts: tuple[DefinitionField, ...]) -> dict[str, str]:
    return {fact.label: fact.words for fact in facts}


async def test_a_definition_comes_in_words(control, place):
    facts = said((await control.explain("report")).facts)
    assert facts["schedule"] == "at 09:00, Monday to Friday (Europe/Berlin): 0 9 * * mon-fri"
    assert facts["runs"] == "sh -c *** --password *** 'x y'"
    assert facts["environment"] == "API_KEY = ***\nLANG = C\nREMOTE = ***"
    assert facts["working folder"] == "/srv/reports"
    assert facts["inherits"] == "nothing of the scheduler's environment, nor the secrets"
    assert facts["timeout"] == "5m"
    assert facts["retries"] == "3, the first after 30s, then doubling"
    assert facts["missed runs"] == "skipped"
    assert facts["jitter"] == "up to 30s"
    assert facts["priority"] == "50 (lower runs first)"
    assert facts["about"] == "uses *** for nothing"
    assert facts["ping"] == "***, on failed and ok"
    assert facts["set in"] == str(place.home / "experience.toml")
    hourly = said((await control.explain("hourly")).facts)
    assert hourly["schedule"] == "at the start of every hour (UTC): @hourly"
    once = said((await control.explain("once")).facts)
    assert once["schedule"] == "once, each time the scheduler starts"


async def test_options_of_a_handler_come_with_secrets_masked(control):
    details = await control.explain("email_check")
    assert said(details.facts)["runs"] == "built-in: email_check"
    options = {each.label: each for each in details.options}
    assert options["host"] == DefinitionField("host", "imap.example.org")
    assert options["password"].words == "***"
    assert options["urgent_from"].words == "ct@example.org, @***"
    assert options["limit"].words == "***"  # a number by now, but it came from the environment
    assert options["port"] == DefinitionField("port", "993", usual=True)
    prices = said((await control.explain("price_monitor")).options)
    assert prices["headers"] == "Accept = ***\nX-Auth = ***"
    assert prices["url"] == "https://me:***@prices.example.org/{pair}"


def secrets_in(text: str) -> list[str]:
    """The secrets in a text; a time may hold the digits of one by chance, between others."""
    return [each for each in SECRETS if re.search(rf"(?<![\d.]){re.escape(each)}(?![\d.])", text)]


async def test_no_secret_is_in_what_leaves_the_owner(control):
    names = [task.partition("\n")[0] for task in TASKS]
    whole = "\n".join([repr(await control.explain(name)) for name in names])
    assert secrets_in(whole) == []


async def test_the_next_times_are_those_of_the_schedule(control):
    details = await control.explain("hourly")
    assert len(details.upcoming) == 5
    assert all(when % 3600 == 0 for when in details.upcoming)
    steps = {b - a for a, b in zip(details.upcoming, details.upcoming[1:], strict=False)}
    assert steps == {3600}
    assert (await control.explain("once")).upcoming == ()


async def test_an_unknown_task_is_the_same_error_everywhere(control):
    with pytest.raises(UnknownTask, match=r"unknown task 'quikc': did you mean quick\?"):
        await control.explain("quikc")


@pytest.mark.parametrize("kind", ACTING)
async def test_a_paused_task_has_no_next_time(place, kind):
    async with acting(kind, place) as bench:
        await bench.control.pause("hourly")
        assert (await bench.control.explain("hourly")).upcoming == ()
        await bench.control.resume("hourly")
        assert len((await bench.control.explain("hourly")).upcoming) == 5


async def test_the_bytes_on_the_socket_hold_no_secret(place):
    fleet = Fleet(FleetOptions(config=place.config, only=("opus",)))
    await fleet.start()
    try:
        reader, writer = await asyncio.open_unix_connection(str(socket_path(place.home)))
        heard = await reader.readline()
        for number, task in enumerate(TASKS):
            params = {"task": task.partition("\n")[0]}
            message = {"jsonrpc": "2.0", "id": number, "method": "explain", "params": params}
            writer.write(json.dumps(message).encode() + b"\n")
            heard += await reader.readline()
        writer.transport.abort()
    finally:
        await fleet.stop(0)
    assert b"imap.example.org" in heard
    assert secrets_in(heard.decode(errors="replace")) == []


async def test_the_demo_explains_every_task():
    (control,) = await started(["hazel"], FakeClock(), 0.0)
    for name in MESSAGES:
        details = await control.explain(name)
        assert isinstance(details, TaskDetails) and len(details.upcoming) == 5
        assert said(details.facts)["runs"] == f"built-in: {name}"
