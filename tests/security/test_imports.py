"""Looking never executes: modules that settings name are imported only by the process that runs them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scheduler.config.loader import load
from scheduler.control.fleet import Fleet
from scheduler.core.ports import FleetOptions
from scheduler.core.task import Imported, Outcome
from scheduler.executors.executor import Executor
from tests.each import each
from tests.watching import Watching, context, task

AGENT = 5001
PLANTED = "import os, pathlib\npathlib.Path(os.environ['MARKER']).write_text(str(os.geteuid()))\n"
HANDLERS = (
    'handler = "planted:main"',
    'handler = "planted:main"\nisolated = true',
    'handler = "package.inner:main"',
    'handler = "package.inner:main"\nisolated = true',
)


@pytest.fixture(params=HANDLERS)
def planted(request, tmp_path, monkeypatch) -> Path:
    """A home whose settings name a module that leaves a marker when it is imported; gives the marker."""
    code = tmp_path / "code"
    (code / "package").mkdir(parents=True)
    for name in ("planted.py", "package/__init__.py", "package/inner.py"):
        (code / name).write_text(PLANTED + "def main(context): return 'ran'\n")
    home = tmp_path / "homes" / "evil"
    home.mkdir(parents=True)
    tables = f"[wake]\n{request.param}\n[tasks.x]\nevery = '1h'\n{request.param}\n"
    (home / "experience.toml").write_text(tables)
    if os.geteuid() == 0:  # a home that root refuses to own
        os.chown(home, AGENT, AGENT)
        os.chown(home / "experience.toml", AGENT, AGENT)
    monkeypatch.setenv("MARKER", str(tmp_path / "marker"))
    monkeypatch.setenv("EXPERIENCE_ROOT", str(tmp_path / "homes"))
    monkeypatch.setenv("PYTHONPATH", f"{code}:{Path.cwd()}")
    monkeypatch.syspath_prepend(code)
    yield tmp_path / "marker"
    for name in ("planted", "package", "package.inner"):
        sys.modules.pop(name, None)


@each("words", [("status",), ("status", "--json"), ("check",), ("next",), ("history",), ("schema",)])
def test_a_command_that_looks_imports_nothing(planted, words):
    subprocess.run([sys.executable, "-m", "tui", *words], capture_output=True, timeout=60, check=False)
    assert not planted.exists()


def test_the_original_status_prints_no_zen_into_its_lines(tmp_path, monkeypatch):
    home = tmp_path / "homes" / "opus"
    home.mkdir(parents=True)
    (home / "experience.toml").write_text("[tasks.x]\nevery = '1h'\nhandler = 'this:s'\n")
    monkeypatch.setenv("EXPERIENCE_ROOT", str(tmp_path / "homes"))
    ran = subprocess.run(
        [sys.executable, "core.py", "--citizen", "opus", "--status"], capture_output=True, timeout=60
    )
    assert b"Zen" not in ran.stdout
    assert b"x: never ran" in ran.stdout


def test_completing_a_name_imports_nothing(planted, monkeypatch):
    monkeypatch.setenv("_EXPERIENCE_TUI_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "experience-tui force evil ")
    monkeypatch.setenv("COMP_CWORD", "3")
    subprocess.run([sys.executable, "-m", "tui"], capture_output=True, timeout=60, check=False)
    assert not planted.exists()


async def test_a_monitor_that_only_attaches_imports_nothing(planted):
    fleet = Fleet(FleetOptions(own=False, strict=False))
    await fleet.start()
    await fleet.stop()
    assert not planted.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root looks at homes of others")
async def test_root_imports_nothing_for_a_home_that_it_refuses_to_own(planted):
    fleet = Fleet(FleetOptions(strict=False))
    await fleet.start()
    assert fleet.refusals()
    fleet.reload()
    await fleet.stop()
    assert not planted.exists()


async def test_an_owner_imports_only_what_it_runs(planted, tmp_path):
    if os.geteuid() == 0:
        os.chown(tmp_path / "homes" / "evil", 0, 0)
    fleet = Fleet(FleetOptions(wakes=False))
    await fleet.start(dispatch=False)
    try:
        assert not planted.exists()
        (scheduler,) = fleet.schedulers()
        receipt = await scheduler.force("x")
        view = await scheduler.wait("x", receipt.run)
        assert (view.outcome, view.text) == (Outcome.OK, "ran")
        assert planted.read_text() == str(os.geteuid())
    finally:
        await fleet.stop()


# ------------------------------------------------------------------ what the run says of a module


@each(
    "target, words",
    [
        (("json", "nope"), "json has no function 'nope'; correct the name"),
        (("json", "__name__"), "json has no function '__name__'"),
        (("json.nowhere", "f"), "No module named 'json.nowhere'"),
        (("breaking_module", "f"), "boom"),
    ],
)
async def test_a_module_that_cannot_be_used_costs_the_run_alone(target, words, home, tmp_path, monkeypatch):
    (tmp_path / "breaking_module.py").write_text("raise SystemExit('boom')")
    monkeypatch.syspath_prepend(tmp_path)
    workers = Executor()
    with pytest.raises(BaseException, match=words.replace("(", "\\(")):
        await workers.run(task(Imported(*target)), context(home), Watching())
    await workers.close()


async def test_what_a_module_prints_when_it_is_imported_is_output_of_the_run(home, tmp_path, monkeypatch):
    from scheduler.executors.stdout_capture import capture_prints

    (tmp_path / "loud_module.py").write_text("print('imported')\ndef f(): return 'done'\n")
    monkeypatch.syspath_prepend(tmp_path)
    workers, watching = Executor(), Watching()
    with capture_prints():
        result = await workers.run(task(Imported("loud_module", "f")), context(home), watching)
        await workers.run(task(Imported("loud_module", "f")), context(home), watching)
    assert result.text == "done"
    assert watching.output.text() == "imported\n"
    await workers.close()


def test_a_missing_top_package_is_found_without_an_import(tmp_path):
    home = tmp_path / "homes" / "opus"
    home.mkdir(parents=True)
    for target in ("nowhere_at_all:f", "nowhere_at_all.inner:f"):
        (home / "experience.toml").write_text(f"[tasks.x]\nevery = 1\nhandler = '{target}'\n")
        settings = load(environ={"EXPERIENCE_ROOT": str(tmp_path / "homes")})
        (line,) = settings.citizens[0].problems
        assert "tasks.x.handler: there is no module" in line
