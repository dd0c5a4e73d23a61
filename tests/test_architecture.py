"""The drawing in ARCHITECTURE.md as failing tests: who imports whom, and what never is in the tree."""

import ast
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import scheduler
import tui
from scheduler.core.state import TaskState
from tests.each import each

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted((*ROOT.glob("scheduler/**/*.py"), *ROOT.glob("tui/**/*.py"), ROOT / "core.py"))
LOCKS = ("requirements.lock", "requirements-run.lock", "requirements-serve.lock")
BROAD = {"Exception", "BaseException"}


def run(*argv: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, *argv], cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.timeout(60)
def test_imports_run_one_way():
    checked = run("-c", "from importlinter.cli import lint_imports_command as lint; lint(['--no-cache'])")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert " 0 broken" in checked.stdout


@each("package", [scheduler, tui])
def test_the_packages_are_those_of_this_checkout(package):
    assert package.__file__ is not None
    assert Path(package.__file__).is_relative_to(ROOT)


@each(
    ("module", "never"),
    [
        ("scheduler", "textual rich tui asyncio pydantic"),
        ("scheduler.cli.main", "textual rich tui asyncio pydantic scheduler.cli.v2_flags"),
        ("scheduler.core.wording.text", "textual rich tui asyncio pydantic"),
        ("scheduler.background", "textual rich tui"),
        ("scheduler.config.loader", "textual rich tui email scheduler.agents.refusals.find_refusal"),
        ("scheduler.runtime.headless", "textual rich tui psycopg scheduler.cluster"),
        ("scheduler.runtime.background_loops", "textual rich tui"),
        ("tui.common.text", "textual asyncio"),
        ("scheduler.runtime.closing_lines", "textual rich tui pydantic psutil"),
        ("tui.app", "pydantic psutil sqlite3 psycopg tomlkit scheduler.engine scheduler.storage"),
        ("tui.serve.command", "textual rich asyncio aiohttp prometheus_client"),
        ("tui.serve.server", "textual.app rich"),
    ],
)
def test_an_import_brings_only_what_it_needs(module, never):
    asked = f"import sys, {module}; print(*(set({never.split()!r}) & set(sys.modules)))"
    loaded = run("-c", asked)
    assert loaded.returncode == 0, loaded.stderr
    assert loaded.stdout.split() == []


def test_a_look_at_the_status_loads_little_and_collects_next_to_nothing(tmp_path, monkeypatch):
    # Each of these was there once, and took 1 to 30 of the 150 ms that the whole command takes.
    never = "difflib psutil textual rich tui sqlite3 psycopg tomlkit scheduler.engine scheduler.runtime"
    never += (
        " scheduler.agents.refusals.find_refusal scheduler.control.wire scheduler.cluster scheduler.editing"
    )
    (tmp_path / "opus").mkdir()
    (tmp_path / "opus" / "background_tasks.json").write_text("{}")
    (tmp_path / "experience.toml").touch()
    monkeypatch.setenv("EXPERIENCE_ROOT", str(tmp_path))
    monkeypatch.setenv("EXPERIENCE_CONFIG", str(tmp_path / "experience.toml"))
    asked = f"""if True:
        import core, gc, sys
        before = gc.get_stats()[0]["collections"]
        sys.argv = ["core.py", "--citizen", "opus", "--status"]
        assert core.main() == 0
        print(*(set({never.split()!r}) & set(sys.modules)))
        print(gc.get_stats()[0]["collections"] - before)
    """
    looked = run("-c", asked)
    assert "heartbeat" in looked.stdout, looked.stderr
    *_, loaded, collections = looked.stdout.splitlines()
    assert loaded == ""
    assert int(collections) < 10


def test_one_broad_except_where_a_handler_is_called():
    places = [f"{path.relative_to(ROOT)}:{line}" for path in SOURCES for line in broad_excepts(path)]
    assert len(places) == 1, places


def broad_excepts(path: Path) -> Iterator[int]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ExceptHandler) and (node.type is None or names(node.type) & BROAD):
            yield node.lineno
        if isinstance(node, ast.Call) and "suppress" in names(node.func):
            yield from (node.lineno for argument in node.args if names(argument) & BROAD)


def names(node: ast.expr) -> set[str]:
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name)} | {
        part.attr for part in ast.walk(node) if isinstance(part, ast.Attribute)
    }


def test_a_file_is_named_for_what_you_would_search_for():
    assert [path.name for path in SOURCES if re.search(r"utils?|helpers?|managers?|misc", path.stem)] == []


def test_no_module_is_named_like_the_standard_library():
    # Inside a package that is legal and still confusing; `code` and the like are what people search for.
    assert [
        path.name for path in SOURCES if path.stem in {"queue", "types", "logging", "sched", "time"}
    ] == []


@pytest.mark.needs("git")
def test_no_package_has_more_files_than_a_person_remembers():
    names = [Path(name) for name, _ in committed() if Path(name).parent != Path()]
    full = [folder for folder, count in Counter(name.parent for name in names).items() if count > 14]
    assert [folder for folder in full if folder / "__init__.py" in names] == []


def test_every_module_says_its_job_first():
    silent = [
        path.name
        for path in SOURCES
        if path.read_text() and not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert silent == []


@pytest.mark.needs("git")
def test_the_tree_names_no_machine():
    # A path of one person's machine, or the host of a package index, is of no use to anyone else.
    unwanted = re.compile(
        r"/work"
        + r"/|/tmp"
        + r"/v/|/home/(?!opus|mira|aria)\w+|py"
        + r"pi\.org|python"
        + r"hosted|index"
        + r"-url"
    )
    found = [f"{path}: {match[0]}" for path, text in committed() for match in unwanted.finditer(text)]
    assert found == []


@pytest.mark.needs("git")
def test_the_lock_files_pin_everything_by_hash_and_name_no_host():
    for name in LOCKS:
        text = (ROOT / name).read_text()
        pins = re.findall(r"^[a-z].*?(?=^[a-z]|\Z)", text, re.MULTILINE | re.DOTALL)
        assert pins and all("==" in pin and "--hash=sha256:" in pin for pin in pins)
        assert "://" not in text and "#" not in text


def test_what_runs_is_pinned_as_what_is_tested():
    tested, *others = [(ROOT / name).read_text().split() for name in LOCKS]
    assert [word for words in others for word in words if "==" in word and word not in tested] == []


def committed() -> Iterator[tuple[str, str]]:
    git = shutil.which("git")
    assert git is not None
    listed = subprocess.run([git, "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("this is no git checkout")
    for name in filter(None, listed.stdout.split("\0")):
        path = ROOT / name
        if path.is_file() and b"\0" not in (content := path.read_bytes()):
            yield name, content.decode(errors="replace")


def test_a_state_carries_no_table():
    """With one, a copy takes four times the memory, and a burst of runs a sixth more time."""
    assert not hasattr(TaskState(), "__dict__")
    assert TaskState().changed(run_count=2) == TaskState(run_count=2) != TaskState()
