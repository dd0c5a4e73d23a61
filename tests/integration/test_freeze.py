"""`experience-tui freeze` and `thaw`: by files that hold at once, confirmed by who runs the citizens."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scheduler.errors import PROGRAM
from scheduler.process.who import this_process
from scheduler.storage.freeze_file import HomeFreezes
from scheduler.storage.lock import owning
from scheduler.system.foreign_home import remove
from tests.crash.loops import ROOT, Place
from tests.each import each
from tests.fakes import us
from tests.integration.test_commands import OWNED, Shell, on_demand, until

BY = str(this_process())
FREQUENT = 'often\nevery = 0.2\ncommand = ["sh", "-c", "echo x >> ran"]'


@pytest.fixture(scope="module", params=["without owners", OWNED])
def citizens(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    root = tmp_path_factory.mktemp("root")
    for name in ("opus", "mira"):
        place = Place(root, name)
        tasks = (on_demand("slow", "sleep 60"), on_demand("quick", "echo fine"), FREQUENT)
        place.tasks(*tasks, more='[wake]\nevery = "23h"\n')
    if request.param != OWNED:
        yield root, False
        return
    argv = [sys.executable, "-m", "tui", "--no-ui", "--config", str(place.config)]
    loop = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(lambda: all((root / name / "ran").exists() for name in ("opus", "mira")), "the loop owns them")
        yield root, True
    finally:
        loop.terminate()
        loop.wait(20)


@pytest.fixture
def shell(citizens: Any, capsys: Any) -> Iterator[Shell]:
    shell = Shell(*citizens, capsys)
    yield shell
    shell("thaw")


def ran(root: Path, name: str) -> int:
    file = root / name / "ran"
    return len(file.read_text()) if file.exists() else 0


def test_one_citizen_rests_and_the_other_goes_on(shell):
    assert shell("freeze", "opus", "--for", "2h", "--why", "invoices are under review") == 0
    (line,) = shell.lines
    assert line.startswith("opus: frozen until ") and line.endswith(f" by {BY}: invoices are under review")
    assert shell("status", "opus") == 0
    assert f"  ‖ {line.removeprefix('opus: ')}" in shell.lines
    assert any(line.endswith("frozen (0 runs)") for line in shell.lines)
    assert shell("next", "opus") == 0
    assert f"experience: {line.replace('opus: ', 'opus is ')}" in shell.err
    if shell.owned:
        time.sleep(0.5)  # what was about to start
        before, others = ran(shell.root, "opus"), ran(shell.root, "mira")
        until(lambda: ran(shell.root, "mira") > others + 2, "mira goes on")
        assert ran(shell.root, "opus") == before
    assert shell("thaw", "opus") == 0
    assert shell.lines == ["opus: thawed"]
    if shell.owned:
        until(lambda: ran(shell.root, "opus") > before, "opus goes on")


def test_force_and_wake_say_how_to_thaw(shell):
    assert shell("freeze", "opus", "--why", "invoices") == 0
    for words in (["force", "opus", "quick"], ["wake", "opus"], ["force", "opus", "wake"]):
        assert shell(*words) == 2
        assert f"opus is frozen by {BY}: invoices; thaw it first: {PROGRAM} thaw opus" in shell.err
    assert shell("force", "opus", "quick", "--json") == 2
    assert shell.objects[0]["code"] == "frozen"


def test_all_citizens_of_the_root(shell):
    assert shell("freeze", "--json", "--why", "maintenance") == 0
    first, *rest = shell.objects
    assert (first["citizen"], first["freeze"]["why"], rest) == ("all citizens", "maintenance", [])
    assert HomeFreezes(shell.root / "mira").root.path == shell.root / ".experience" / "freeze.json"
    for name in ("opus", "mira"):
        assert shell("force", name, "quick") == 2
        words = f"is frozen with all citizens by {BY}: maintenance"
        assert f"{name} {words}; thaw it first: {PROGRAM} thaw\n" in shell.err
    assert shell("thaw", "opus") == 2
    assert "opus is still frozen with all citizens" in shell.err
    assert shell("thaw") == 0
    assert shell.lines == ["all citizens: thawed"]
    assert shell("force", "opus", "quick") == 0
    assert shell("thaw") == 0
    assert shell.lines == ["all citizens: nothing is frozen"]


def test_a_thaw_of_all_lifts_each(shell):
    assert shell("freeze", "opus,mira") == 0
    assert shell("thaw") == 0
    assert sorted(shell.lines) == ["mira: thawed", "opus: thawed"]
    assert shell("thaw", "opus") == 0
    assert shell.lines == ["opus: is not frozen"]


def test_what_cannot_be_read_is_thawed_by_its_command(shell):
    path = HomeFreezes(shell.root / "opus").own.path
    path.parent.mkdir(exist_ok=True)
    remove(path)
    path.write_text("{")
    assert shell("force", "opus", "quick") == 2
    assert f"{path} is not readable as a freeze: to be safe nothing is started" in shell.err
    assert shell("thaw", "opus") == 0 and shell("force", "opus", "quick") == 0


def test_runs_can_be_stopped_with_it(shell):
    if not shell.owned:
        pytest.skip("nothing runs without an owner")
    assert shell("force", "opus", "slow") == 0
    assert shell("freeze", "opus", "--stop-runs", "--json") == 0
    assert "slow" in shell.objects[0]["stopped"]
    assert shell("status", "opus", "--json") == 0
    rows = {row["name"]: row for row in json.loads(shell.out)[0]["tasks"]}
    until(lambda: shell("status", "opus") == 0 and "■ slow" in shell.out, "it has ended")
    assert rows["slow"]["name"] == "slow"


@each(
    "words, said",
    [
        (["freeze", "opsu"], "unknown citizen 'opsu': did you mean opus?"),
        (["freeze", "opus", "--until", "soon"], "'soon' is not a time: write 08:00"),
        (["freeze", "--until", "soon"], "'soon' is not a time: write 08:00"),
        (["freeze", "opus", "--for", "1h", "--until", "08:00"], "--until and --for exclude each other"),
    ],
)
def test_what_is_asked_wrongly_is_one_line_and_freezes_nothing(shell, words, said):
    assert shell(*words) == 2
    assert shell.out == "" and shell.err.count("\n") == 1 and said in shell.err
    assert HomeFreezes(shell.root / "opus").read(time.time()).now(time.time()) is None


def test_a_home_that_cannot_be_written_is_one_line(shell, monkeypatch):
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", "freeze.json")

    monkeypatch.setattr("scheduler.storage.freeze_file.replace_file", full)
    for words in (["freeze", "opus"], ["freeze"]):
        assert shell(*words) == 2
        assert shell.err == "experience: freeze.json: No space left on device; make room on its disk\n"
    monkeypatch.undo()


def test_an_owner_that_does_not_answer_has_not_confirmed(shell):
    if shell.owned:
        pytest.skip("it answers")
    with owning(shell.root / "opus", time.time()):
        assert shell("freeze", "opus") == 3
        assert f"opus: done in its files, not confirmed by its owner: pid {us()} does not answer" in shell.err
    assert HomeFreezes(shell.root / "opus").read(time.time()).now(time.time())
