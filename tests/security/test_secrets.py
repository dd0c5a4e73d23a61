"""What comes from ${NAME} or .env is shown, logged and remembered nowhere, whatever quotes it."""

import json
import logging
from collections.abc import AsyncIterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from scheduler.background import read_citizen
from scheduler.config.loader import load
from scheduler.control.fleet import Fleet
from scheduler.core.ports import FleetOptions
from scheduler.core.secrets import Masks
from scheduler.core.task import Progress, Trigger
from scheduler.engine.run import RunHandle
from scheduler.executors.output import OutputBuffer, OutputReader
from scheduler.runtime.log_output import log_lines
from tests.each import each
from tests.fakes import until

SECRET = "Tr0ub4dor&3/horse battery"

# ------------------------------------------------------------------ what is masked of a text


@each(
    ("secret", "text"),
    [
        (SECRET, f"no such program: {SECRET}"),
        (SECRET, f"no such program: {SECRET.upper()}"),
        ('back\\slash"quote', "bad value " + repr('back\\slash"quote')),
        ('back\\slash"quote', "bad value " + json.dumps({"a": 'back\\slash"quote'})),
        ("line one of a key\nline two of a key", "bad key: 'line one of a key\\nline two of a key'"),
        ("line one of a key\nline two of a key", "error near line two of a key"),
        ("a b/c?d=e+f", "GET http://h/?q=a+b%2Fc%3Fd%3De%2Bf"),
        ("  padded-value\n", "unknown host 'padded-value'"),
        ("/srv//top-secret/", "no such folder: /srv/top-secret"),
        ("https://me:hunter2hunter2@example.org:70000/x", "bad port in hunter2hunter2"),
        ("https://example.org/hooks/T0KENT0KEN", "POST failed: /hooks/T0KENT0KEN: 404"),
        ("nosuchtool-7f3a --all", "sh: 1: nosuchtool-7f3a: not found"),
        ("abcdefghijklmnop", "text is cut: abcdefghij"),
        ("abcdefghijklmnop", "unexpected 'abcdefghijkl…'"),
        ("abcdefghijklmnop", "unexpected abcdefghijkl... in line 3"),
    ],
)
def test_no_spelling_of_a_secret_is_shown(secret, text):
    shown = Masks([secret]).hide(text)
    assert "***" in shown
    for part in ("Tr0ub", "TR0UB", "slash", "line one", "line two", "%3Fd", "padded", "top-secret"):
        assert part not in shown
    for part in ("hunter2", "T0KEN", "nosuchtool", "abcdefgh"):
        assert part not in shown


@each(
    ("text", "shown"),
    [
        ("no such program: abc", "no such program: ***"),
        ("no such program: 'abc'", "no such program: '***'"),
        ("abc is a word, abcd another: abcd", "abc is a word, abcd another: abcd"),
        ("no", "no"),
        ("invalid: no", "invalid: ***"),
    ],
)
def test_a_short_value_is_masked_where_it_is_quoted_and_no_word_is_lost(text, shown):
    assert Masks(["abc", "no", ""]).hide(text) == shown


def test_text_without_secrets_stays_as_it_is():
    masks = Masks([SECRET, "https://example.org/a/b"])
    for text in ("", "plain", "https://another.example/...", "12 … 13 ...", "a" * 100_000):
        assert masks.hide(text) == text


# ------------------------------------------------------------------ settings


BAD = {
    "a time zone": "cron = '0 9 * * *'\ntimezone = '${X}'",
    "a cron expression": "cron = '${X}'",
    "an interval": "every = '${X}'",
    "a number": "every = 1\nretries = '${X}'",
    "a handler": "every = 1\nhandler = '${X}'",
    "a handler's module": "every = 1\nhandler = '${X}:f'",
    "a file of a handler": "every = 1\nhandler = '${X}.py:f'",
    "an environment name": "every = 1\ncommand = ['a']\nenvironment = { A = ['${X}'] }",
    "a ping": "every = 1\ncommand = ['a']\nping = '${X}'",
    "part of a value": "every = 1\nhandler = 'a/${X}/b:run'",
}
SECRETS = ["secret-value-7", "SECRET one two", "../secret/path"]


@each("where, value", product(["env", "environ", "table"], SECRETS))
@each("table", BAD.values())
def test_no_problem_in_the_settings_quotes_a_secret(tmp_path, table, value, where):
    home, environ = tmp_path / "opus", {"EXPERIENCE_ROOT": str(tmp_path)}
    home.mkdir(exist_ok=True)
    (home / "experience.toml").write_text(f"[tasks.chore]\n{table}\n")
    (home / ".env").unlink(missing_ok=True)
    if where == "env":
        (home / ".env").write_text(f"X='{value}'\n")
    else:
        environ["X"] = value
    if where == "table":
        environ["EXPERIENCE_CITIZENS__OPUS__TASKS__OTHER__TIMEZONE"] = value
        environ["EXPERIENCE_CITIZENS__OPUS__TASKS__OTHER__CRON"] = value
    problems = load(environ=environ).citizens[0].problems
    assert problems and not [line for line in problems if value in line or "secret" in line.lower()]


# ------------------------------------------------------------------ runs


class Opus:
    """A citizen that is owned here, and all that is remembered and logged of it."""

    def __init__(self, folder: Path, log: Any) -> None:
        self.home, self.log = folder / "opus", log

    async def ran(self, task: str) -> Any:
        (scheduler,) = self.fleet.schedulers()
        receipt = await scheduler.force(task)
        return await scheduler.wait(task, receipt.run)

    async def everything(self) -> str:
        (scheduler,) = self.fleet.schedulers()
        runs = await scheduler.history()
        outputs = [await scheduler.output(run.id) for run in runs]
        details = [await scheduler.explain(row.name) for row in scheduler.snapshot().tasks]
        files = [each.read_text() for each in self.home.rglob("*") if each.suffix in (".json", ".log")]
        status = read_citizen("opus")
        return repr((scheduler.snapshot(), runs, details, status)) + "\n".join([*outputs, *files])


TASKS = {
    "program": 'command = ["${X}"]',
    "inside": 'command = ["sh", "-c", "echo to \'${X}\' >&2; exit 3"]',
    "folder": 'command = ["true"]\nworking_folder = "/nowhere/${X}"',
    "script": 'command = ["sh", "-c", "exec \'./${X}/x\'"]',
    "isolated": 'handler = "fails.py:run"',
    "module": 'handler = "fails_here:run"',
    "fine": 'command = ["sh", "-c", "echo \'${X}\'"]',
}
FAILS = """def run(context):
    context.log.warning("using %s", {0})
    raise ValueError("bad " + repr({0}))
"""


@pytest.fixture(params=["env", "environ"])
async def opus(request, tmp_path, monkeypatch) -> AsyncIterator[Opus]:
    import io

    home, stream = tmp_path / "homes" / "opus", io.StringIO()
    home.mkdir(parents=True)
    never = 'cron = "59 23 31 12 *"'
    tables = "\n".join(f"[tasks.{name}]\n{never}\n{lines}" for name, lines in TASKS.items())
    alerts = '[alerts]\nafter = 1\ncommand = ["no-such-${X}"]\n'
    (home / "experience.toml").write_text(f"{alerts}{tables}\n[wake]\ncommand = ['tee', 'letter.json']\n")
    monkeypatch.setenv("EXPERIENCE_ROOT", str(home.parent))
    if request.param == "env":
        (home / ".env").write_text(f"X={SECRET!r}\n")
    else:
        monkeypatch.setenv("X", SECRET)
    code = FAILS.format(repr(SECRET))
    (home / "fails.py").write_text(code)
    (tmp_path / "fails_here.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    opus = Opus(home.parent, stream)
    with log_lines(stream) as on_home:
        opus.fleet = Fleet(FleetOptions(), on_home)
        await opus.fleet.start(dispatch=False)
        yield opus
        await opus.fleet.stop(0)


async def test_no_run_shows_a_secret_anywhere(opus):
    views = {task: await opus.ran(task) for task in TASKS}
    await opus.fleet.schedulers()[0].wake_and_wait()
    assert views["program"].error.text == "no such program: ***"
    for task in set(TASKS) - {"fine"}:
        assert "***" in views[task].error.text, task
    await until(lambda: "alert not delivered" in opus.log.getvalue(), "the alert fails, too")
    everything = opus.log.getvalue() + await opus.everything()
    (opus.home / "experience.toml").unlink()
    for part in ("Tr0ub4dor", "Tr0ub", "horse battery"):
        assert part not in everything
    assert "using ***" in opus.log.getvalue()


async def test_the_wake_reads_no_secret_in_its_letter(opus):
    await opus.ran("program")
    await opus.fleet.schedulers()[0].wake_and_wait()
    results = json.loads((opus.home / "letter.json").read_text())["results"]
    assert [each["text"] for each in results if each["task"] == "program"] == ["no such program: ***"]


@each("more", [("--list",), ("--to", "new")])
def test_a_restore_that_fails_shows_no_secret(tmp_path, monkeypatch, capsys, more):
    from scheduler.cli.main import run
    from tui.__main__ import monitor

    home = tmp_path / "homes" / "opus"
    home.mkdir(parents=True)
    (home / ".env").write_text("X=cellar-7f3a\n")
    (home / "blocked-cellar-7f3a").write_text("")
    lines = f'[tasks.offsite_backup]\ndirectory = "{home}/blocked-${{X}}/inside"\n'
    (home / "experience.toml").write_text(lines)
    monkeypatch.setenv("EXPERIENCE_ROOT", str(home.parent))
    monkeypatch.chdir(tmp_path)
    assert run(monitor, ["restore", "opus", *more], "experience-tui") in (0, 2)
    out, err = capsys.readouterr()
    assert "cellar-7f3a" not in out + err


# ------------------------------------------------------------------ output and progress on their way


async def chunks(parts: list[bytes]) -> str:
    output, found = OutputBuffer(Masks([SECRET])), []
    reading = output.subscribe()
    for part in parts:
        output.write(part)
        async for chunk in reading:
            found.append(chunk.text)
            break
    output.close()
    found += [chunk.text async for chunk in reading]
    return "".join(found)


async def test_a_secret_that_comes_in_parts_is_not_shown_to_who_follows():
    whole = f"before {SECRET} after\n".encode()
    parts = [whole[start : start + 5] for start in range(0, len(whole), 5)]
    output, found = OutputBuffer(Masks([SECRET])), []
    reader = OutputReader(output)
    for part in parts:
        output.write(part)
        found += reader.news(last=False)
    found += reader.news(last=True)
    assert "".join(chunk.text for chunk in found) == "before *** after\n"
    assert output.text() == "before *** after\n"


async def test_what_may_be_a_secret_is_shown_when_it_turned_out_to_be_none():
    assert await chunks([b"say Tr0", b"ll\n"]) == "say Tr0ll\n"
    assert await chunks([b"the end: Tr0"]) == "the end: Tr0"


def test_an_output_that_is_cut_in_the_middle_of_a_secret_shows_no_half_of_it():
    output = OutputBuffer(Masks([SECRET]))
    output.write(b"x" * (32 * 1024 - 12) + SECRET.encode() + b"y" * 100_000)
    assert "Tr0ub" not in output.text()


def test_progress_shows_no_secret():
    run = RunHandle("chore", Trigger.FORCE, 0.0, masks=Masks([SECRET]))
    run.report(Progress(1, 2, f"fetching {SECRET}"))
    assert run.progress.text == "fetching ***"


def test_a_line_about_a_citizen_is_masked_whoever_logs_it(tmp_path):
    import io

    stream = io.StringIO()
    with log_lines(stream) as on_home:
        on_home("opus", tmp_path, Masks([SECRET]))
        try:
            raise ValueError(f"bad {SECRET}")
        except ValueError:
            logging.getLogger("experience.any").exception("oh", extra={"citizen": "opus", "at": SECRET})
    assert "Tr0ub" not in stream.getvalue() + (tmp_path / "logs" / "experience.log").read_text()
    assert stream.getvalue().count("***") >= 2
