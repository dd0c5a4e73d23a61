"""Root, and other users, who only look: what lies in a home may be a trap, or another user's secret."""

import json
import os
import sqlite3
import time
from contextlib import closing

import pytest

from scheduler.system.files import LIMIT, NotRegular, read_file
from tests.each import each
from tests.security.machine import AGENT, OTHER

LOOKS = [("status", "evil"), ("status", "--json"), ("check", "evil"), ("next", "evil")]
READ = ["background_tasks.json", "experience.toml", ".env", "runs.db", "metadata.json"]
READ += [".experience/owner.json"]


@pytest.mark.parametrize("name", READ)
@pytest.mark.timeout(180)  # four commands
@each("look", LOOKS)
def test_whoever_looks_shows_nothing_that_a_link_of_the_home_leads_to(machine, look, name):
    machine.victim.write_text('{"errors": {"heartbeat": {"time": "2024-01-15", "error": "secret!"}}}')
    machine.agent('mkdir -p .experience; rm -f "$N"; ln -s "$V" "$N"', V=machine.victim, N=name)
    before = machine.everything_outside()
    said = machine.experience(*look)
    assert "secret!" not in said
    assert machine.everything_outside() == before


@pytest.mark.parametrize("name", [*READ, ".experience/managed"])
@each("look", LOOKS[:2])
def test_a_pipe_in_a_home_holds_no_command_up(machine, name, look):
    machine.agent(f"mkdir -p .experience; rm -f {name}; mkfifo {name}")
    machine.experience(*look)


def test_a_history_of_another_user_is_not_read_through_a_link(machine):
    with closing(sqlite3.connect(machine.outside / "runs.db")) as database:
        database.execute("CREATE TABLE runs (a)")
    machine.agent('ln -s "$OUT/runs.db" runs.db', OUT=machine.outside)
    before = machine.everything_outside()
    assert "another user made" in machine.experience("history", "evil", code=2)
    assert machine.everything_outside() == before


def test_a_history_that_never_ends_is_given_up(machine, monkeypatch):
    """A view in place of the table of runs is a query that whoever writes the home chose."""
    from scheduler.core.records import RunQuery
    from scheduler.errors import Unreadable
    from scheduler.storage import history_reader

    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
    columns = "i id, '' task, 0 started, 0 finished, 0 seconds, 'ok' outcome, '' trigger, 1 attempt"
    columns += ", '' text, '' facts"
    with closing(sqlite3.connect(machine.home / "runs.db")) as database:
        database.executescript(
            f"CREATE VIEW runs AS {endless} SELECT {columns}, 0 failed FROM n WHERE i < 0;"
            f"CREATE TABLE outputs (run); PRAGMA user_version = {history_reader.VERSION};"
        )
    monkeypatch.setattr(history_reader, "LONGEST", 0.2)
    began = time.monotonic()
    with pytest.raises(Unreadable, match="interrupted"):
        history_reader.runs(machine.home, RunQuery(None, 10, False, None), [])
    assert time.monotonic() - began < 10


def test_a_home_that_is_a_link_into_another_users_home_is_not_read(machine):
    """Where an agent can write the root itself, a citizen can be a link."""
    good = machine.new_home("good", 0)
    (good / "background_tasks.json").write_text(json.dumps({"errors": {"heartbeat": {"error": "secret!"}}}))
    os.chown(machine.root, AGENT, AGENT)
    machine.agent('ln -s "$GOOD" ../liar', GOOD=good)
    assert "secret!" not in machine.experience("status", "liar", code=2)


def test_a_file_that_grows_while_it_is_read_is_too_long(tmp_path, monkeypatch):
    file = tmp_path / "state"
    file.write_bytes(b"{}")
    fstat = os.fstat

    def growing(descriptor):
        status = fstat(descriptor)
        os.truncate(file, LIMIT + 1)
        return status

    monkeypatch.setattr("scheduler.system.files.os.fstat", growing)
    with pytest.raises(NotRegular, match="is longer than 64 MiB"):
        read_file(file)


def test_a_mark_of_a_service_that_root_sets_goes_with_the_home(machine):
    machine.agent('ln -s "$OUT" .experience', OUT=machine.outside)
    before = machine.everything_outside()
    said = machine.experience("service", "install", "evil", "--into", machine.folder / "units", code=2)
    assert "another user made" in said
    assert machine.everything_outside() == before


def test_a_home_that_is_closed_keeps_no_one_from_a_diagnosis_of_the_rest(machine):
    (machine.folder / "main.toml").chmod(0o644)
    machine.new_home("mine", OTHER)
    machine.agent("mkdir -m 700 .experience")
    said = machine.experience("doctor", code=1, user=OTHER)
    assert f"{machine.home}: belongs to another user; run it as that user" in said
    assert "no process runs mine" in said and "no process runs evil:" not in said
