"""`[engine]`: what is read, and what is refused in one line."""

from pathlib import Path

import pytest

from scheduler.config.loader import load
from scheduler.config.settings import Settings
from scheduler.core.secrets import Masks
from tests.each import each

URL = "postgresql://experience:secret@db.example/experience?sslmode=verify-full"


def loaded(tmp_path: Path, text: str, **environ: str) -> Settings:
    file = tmp_path / "main.toml"
    file.write_text(f'root = "{tmp_path / "root"}"\n{text}')
    return load(config=file, environ=environ)


def test_the_password_comes_from_the_environment(tmp_path: Path) -> None:
    pytest.importorskip("psycopg")
    text = '[engine]\nurl = "${EXPERIENCE_ENGINE}"\nmachine = "m1"\nfailover = "10s"\n'
    engine = loaded(tmp_path, text, EXPERIENCE_ENGINE=URL).engine
    assert engine and (engine.url, engine.machine, engine.failover) == (URL, "m1", 10.0)
    assert "secret" not in repr(engine)


def test_a_socket_of_this_machine_needs_no_encryption(tmp_path: Path) -> None:
    pytest.importorskip("psycopg")
    assert loaded(tmp_path, '[engine]\nurl = "postgresql:///x?host=/run/postgresql"\n').engine


def test_a_server_and_its_replica_are_one_address(tmp_path: Path) -> None:
    pytest.importorskip("psycopg")
    url = "postgresql://a@127.0.0.1:5432,[::1]:5433/x?target_session_attrs=read-write"
    assert loaded(tmp_path, f'[engine]\nurl = "{url}"\n').engine


def test_what_a_run_prints_of_its_environment_holds_no_password_of_the_database(tmp_path: Path) -> None:
    pytest.importorskip("psycopg")
    text = '[engine]\nurl = "${EXPERIENCE_ENGINE}"\n[citizens.opus]\n'
    address = "postgresql://experience:hunter%402@db.example/experience?sslmode=verify-full"
    opus = loaded(tmp_path, text, EXPERIENCE_ENGINE=address).citizen("opus")
    assert opus is not None
    shown = Masks(opus.hidden).hide(f"EXPERIENCE_ENGINE={address} or hunter@2")
    assert shown == f"EXPERIENCE_ENGINE={address.replace('hunter%402', '***')} or ***"


def test_without_the_table_there_is_no_engine(tmp_path: Path) -> None:
    assert loaded(tmp_path, "").engine is None


@each(
    ("text", "problem"),
    [
        ("", "engine: has no url; add url ="),
        ('url = "x"', "engine.url: is not the address of a PostgreSQL"),
        ('url = "postgresql://[/x"', "engine.url: is not the address of a PostgreSQL"),
        ('url = "postgresql://a:b@127.0.0.1/x"', "engine.url: contains a password; write url = "),
        ('url = "postgresql://a@db.example/x"', "engine.url: would send all in plain text; add ?sslmode="),
        ('url = "postgresql://a@db.example/x?sslmode=prefer"', "engine.url: would send all in plain text"),
        ('url = "postgresql://a@localhost/x?password=b"', "engine.url: contains a password; write url = "),
        ('url = "postgresql://localhost/x?host=db.example"', "engine.url: would send all in plain text"),
        ('url = "postgresql://localhost/x?hostaddr=10.0.0.1"', "engine.url: would send all in plain text"),
        ('url = "postgresql://localhost,db.example/x"', "engine.url: would send all in plain text"),
        ('url = "postgresql://localhost:1,db.example:2/x"', "engine.url: would send all in plain text"),
        ('url = "postgresql://localhost:1,localhost:x/x"', "engine.url: is not the address of a PostgreSQL"),
        ('url = "postgresql:///x?service=away"', "engine.url: would send all in plain text"),
        ('url = "postgresql://a:b@c@localhost/x"', "engine.url: has an @ or a / in its password"),
        ('url = "postgresql://a:1/c@localhost/x"', "engine.url: has an @ or a / in its password"),
        ('url = "${MISSING}"', "engine.url: MISSING is not in the environment; set it where"),
        ('url = "postgresql:///x"\nfailover = "1s"', "engine.failover: "),
        ('url = "postgresql:///x"\nmachine = "a b"', "engine.machine: is not a valid name"),
        ('url = "postgresql:///x"\nmachines = "a"', "engine.machines: unknown key"),
    ],
)
def test_what_cannot_be_used_is_one_line(tmp_path: Path, text: str, problem: str) -> None:
    settings = loaded(tmp_path, f"[engine]\n{text}\n")
    assert settings.engine is None
    assert any(problem in line for line in settings.problems), settings.problems
    assert not any("\n" in line for line in settings.problems)


def test_a_wrong_address_is_not_quoted(tmp_path: Path) -> None:
    settings = loaded(tmp_path, '[engine]\nurl = "${E}"\n', E="mysql://a:secret@db/x")
    assert settings.problems and "secret" not in " ".join(settings.problems)


@each(
    ("engine", "task", "problem"),
    [
        (False, "", "queue: needs the database that machines share; add [engine] to the main file"),
        (True, 'queue = "GPU"\n', "queue: 'GPU' is no name of a queue"),
        (True, 'provider = "anthropic"\n', ""),
        (True, 'report = "claude"\n', ""),
        (True, "", ""),
    ],
)
def test_a_queue_needs_a_database(tmp_path: Path, engine: bool, task: str, problem: str) -> None:
    pytest.importorskip("psycopg")
    text = '[engine]\nurl = "postgresql://a@localhost/x"\n' if engine else ""
    text += '[citizens.opus.tasks.render]\nevery = "1h"\ncommand = ["true"]\n'
    text += task if task.startswith("queue") else f'queue = "gpu"\n{task}'
    opus = loaded(tmp_path, text).citizen("opus")
    assert opus is not None
    if problem:
        assert [line for line in opus.problems if f"tasks.render.{problem}" in line]
    else:
        assert next(each for each in opus.tasks if each.name == "render").queue == "gpu"
