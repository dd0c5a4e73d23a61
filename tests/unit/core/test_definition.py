"""The digest of a definition: the same on every machine, another for each difference, and no secret in it."""

from dataclasses import replace
from pathlib import Path

import pytest

from scheduler.config.loader import load
from scheduler.core.task import Task
from scheduler.core.task_digest import digest
from tests.each import each

TASK = """
[engine]
url = "postgresql://experience@localhost/experience"
[citizens.opus.tasks.render]
every = "1h"
queue = "gpu"
{more}
"""
COMMAND = 'command = ["python3", "{home}/render.py", "--key", "${{KEY}}"]\nenvironment = {{SIZE = "{size}"}}'


def task_of(root: Path, more: str, key: str = "KEY=secret-one", **fields: str) -> tuple[Task, Path]:
    pytest.importorskip("psycopg")
    home = root / "homes" / "opus"
    home.mkdir(parents=True, exist_ok=True)
    (home / ".env").write_text(f"{key}\n")
    (home / "job.py").write_text("def run(context): ...\n")
    file = root / "main.toml"
    lines = TASK.format(more=more.format(home=home, **fields))
    file.write_text(f'root = "{home.parent}"\n{lines}')
    citizen = load(config=file, environ={}).citizen("opus")
    assert citizen is not None and citizen.problems == ()
    return next(each for each in citizen.tasks if each.name == "render"), home


def test_two_machines_with_the_same_lines_have_the_same(tmp_path: Path) -> None:
    one = digest(*task_of(tmp_path / "one", COMMAND, size="1"))
    assert one == digest(*task_of(tmp_path / "two", COMMAND, key="KEY=another", size="1"))
    assert one != digest(*task_of(tmp_path / "three", COMMAND, size="2"))


@each(
    "more",
    [
        'command = ["true"]',
        'command = ["true"]\ntimeout = "1m"',
        'command = ["true"]\ninput = "x"',
        'command = ["true"]\nworking_folder = "/"',
        'command = ["true"]\ninherit_environment = false',
        'handler = "job.py:run"',
        'handler = "job.py:other"',
        'handler = "json:loads"',
        'handler = "json:loads"\nisolated = true',
    ],
)
def test_each_definition_has_its_own(tmp_path: Path, more: str) -> None:
    found = digest(*task_of(tmp_path, more))
    others = tmp_path / "seen"
    seen = others.read_text().split() if others.exists() else []
    assert found not in seen
    others.write_text(" ".join([*seen, found]))


def test_when_it_runs_is_the_owners_matter(tmp_path: Path) -> None:
    task, home = task_of(tmp_path, COMMAND, size="1")
    assert digest(replace(task, retries=3, priority=1, description="x", queue="cpu"), home) == digest(
        task, home
    )
