"""`migrate` and its `--undo` by root, in homes that an agent can write."""

import os
import shutil
from pathlib import Path
from pwd import getpwnam

import pytest

from scheduler.migration import journal as journals
from scheduler.migration.journal import Change, File, apply
from scheduler.system.files import replace_file
from tests.security.machine import AGENT, journal

NAME = "nobody"
OTHER = getpwnam(NAME).pw_uid
FAKE = ".experience/migrate/99990101T000000_000000Z"
WRITE = (
    f'mkdir -p "{FAKE}"; cd "{FAKE}"; echo "* * * * * root evil" > 0.before; printf %s "$J" > journal.json'
)


@pytest.mark.parametrize("named", [[], ["--citizen", "evil"]])
@pytest.mark.parametrize("target", ["new", "victim", "crontab", "settings of another"])
def test_undo_by_root_writes_nothing_that_an_agents_journal_names(machine, named, target):
    good = machine.new_home("good", 0)
    (machine.folder / "spool" / "root").write_text("0 0 * * * mine\n")
    what = {
        "new": {"file": str(machine.outside / "new")},
        "victim": {"file": str(machine.victim)},
        "crontab": {"crontab": "root"},
        "settings of another": {"file": str(good / "experience.toml")},
    }[target]
    machine.agent(WRITE, J=journal({**what, "before": "0.before", "after": None}))
    before = machine.everything_outside()
    assert "nothing to undo" in machine.experience("migrate", "--undo", *named, code=2)
    assert machine.everything_outside() == before
    assert (machine.folder / "spool" / "root").read_text() == "0 0 * * * mine\n"
    assert (good / "experience.toml").read_text() == ""


def test_undo_takes_back_roots_own_move_whatever_an_agent_pretends(machine):
    machine.new_home("good", 0)
    crons = machine.outside / "jobs"
    crons.write_text("0 0 * * * root true\n")
    machine.experience("migrate", crons, "--citizen", "good", "--user-column", "--apply", code=0)
    assert crons.read_text().startswith("# moved to experience")
    machine.agent(WRITE, J=journal({"file": str(machine.victim), "before": "0.before", "after": None}))
    machine.experience("migrate", "--undo", code=0)
    assert crons.read_text() == "0 0 * * * root true\n"
    assert machine.victim.read_text() == "root's secret"


@pytest.mark.parametrize(
    ("what", "before", "after"),
    [
        ("outside", "0 0 * * * evil\n", "0 0 * * * mine\n"),  # another line, not a marked one
        ("outside", None, "0 0 * * * mine\n"),  # the file goes
        (
            "crontab",
            "0 0 * * * a\n",
            "# moved to experience (evil/a): 0 0 * * * a\n",
        ),  # of root, not of the agent
    ],
)
def test_even_in_roots_own_journal_only_what_a_move_does_is_undone(machine, what, before, after):
    """A folder of root's that lay in the home can get the name of a journal."""
    folder = machine.home / FAKE
    folder.mkdir(parents=True)
    target = machine.outside / "jobs"
    target.write_text(after)
    (machine.folder / "spool" / "root").write_text(after)
    for name, text in (("0.before", before), ("0.after", after)):
        (folder / name).write_text(text or "")
    entry = {"file": str(target)} if what == "outside" else {"crontab": "root"}
    (folder / "journal.json").write_text(
        journal({**entry, "before": "0.before" if before else None, "after": "0.after"})
    )
    assert "remove it" in machine.experience("migrate", "--undo", "--citizen", "evil", code=2)
    assert target.read_text() == after
    assert (machine.folder / "spool" / "root").read_text() == after


@pytest.mark.parametrize("name", ["journal.json", "0.before"])
def test_a_journal_of_root_with_a_file_of_the_agent_is_refused(machine, name):
    change = Change(File(machine.home / "experience.toml"), b"", b"# new\n")
    folder = apply(machine.home, [change])
    os.chown(folder / name, AGENT, AGENT)
    assert "another user's" in machine.experience("migrate", "--undo", "--citizen", "evil", code=2)
    assert (machine.home / "experience.toml").read_text() == "# new\n"


def test_a_journal_of_root_is_closed_to_the_agent_and_undone_by_root(machine):
    folder = apply(machine.home, [Change(File(machine.home / "experience.toml"), b"", b"# new\n")])
    assert {path.stat().st_uid for path in (folder, *folder.iterdir())} == {0}
    assert folder.stat().st_mode & 0o777 == 0o700
    assert folder.parent.stat().st_uid == folder.parents[1].stat().st_uid == AGENT
    machine.experience("migrate", "--undo", "--citizen", "evil", code=0)
    assert (machine.home / "experience.toml").read_text() == ""


def test_an_agents_journal_does_not_keep_root_from_moving_lines(machine):
    machine.agent(WRITE, J=journal())
    crons = machine.outside / "jobs"
    crons.write_text("0 0 * * * games true\n")
    argv = ["migrate", crons, "--citizen", "good", "--user-column", "--apply"]
    machine.new_home("good", 0)
    assert journals.newest(machine.home) is None
    crons.write_text("0 0 * * * root true\n")
    machine.experience(*argv, code=0)


# ------------------------------------------------------------------ races, each at one certain step


def swap(machine, monkeypatch, step: str, name: str) -> None:
    """Just before `step`, the agent puts a link to root's file in the place of `name` in its home."""
    really = getattr(os, step)

    def swapped(*args, **more):
        monkeypatch.undo()
        machine.agent(f'rm -rf "{name}"; ln -s "$VICTIM" "{name}"', VICTIM=machine.victim)
        return really(*args, **more)

    monkeypatch.setattr(os, step, swapped)


@pytest.mark.parametrize("step", ["fchmod", "fchown", "fsync", "replace"])
@pytest.mark.parametrize("name", [".experience.toml.partial", "experience.toml"])
def test_a_file_swapped_for_a_link_while_root_writes_leads_nowhere(machine, monkeypatch, step, name):
    before = machine.everything_outside()
    swap(machine, monkeypatch, step, name)
    replace_file(machine.home / "experience.toml", b"# written by root\n")
    assert machine.everything_outside() == before


@pytest.mark.parametrize("step", ["mkdir", "fchown", "fsync"])
def test_a_folder_swapped_for_a_link_while_root_writes_leads_nowhere(machine, monkeypatch, step):
    before = machine.everything_outside()
    really = getattr(os, step)

    def swapped(*args, **more):
        result = really(*args, **more)
        monkeypatch.undo()
        machine.agent('mv .experience away; ln -s "$OUT" .experience', OUT=machine.outside)
        return result

    monkeypatch.setattr(os, step, swapped)
    with pytest.raises(OSError):
        apply(machine.home, [Change(File(machine.home / "experience.toml"), b"", b"# new\n")])
    assert machine.everything_outside() == before


@pytest.mark.parametrize(
    "link", ["experience.toml", ".experience", ".experience/migrate", ".experience/schema.json"]
)
def test_apply_by_root_follows_no_link_of_the_home(machine, link):
    machine.agent(
        f'rm -rf "{link}"; mkdir -p "$(dirname "{link}")"; ln -s "$TARGET" "{link}"',
        TARGET=machine.outside if Path(link).suffix == "" else machine.victim,
    )
    before = machine.everything_outside()
    for path in (machine.home, *machine.home.rglob("*")):  # a user with a name: whose lines are moved
        os.chown(path, OTHER, OTHER, follow_symlinks=False)
    crons = machine.folder / "jobs"
    crons.write_text("0 0 * * * true\n")
    said = machine.experience("migrate", crons, "--citizen", "evil", "--user", NAME, "--apply")
    assert machine.everything_outside() == before
    assert "root's secret" not in said
    assert "another user made" in said or link.endswith("schema.json")


def test_a_file_that_an_agent_offers_as_a_crontab_is_not_a_link_to_roots(machine):
    machine.agent('ln -s "$VICTIM" jobs', VICTIM=machine.victim)
    said = machine.experience("migrate", machine.home / "jobs", "--citizen", "evil", code=2)
    assert "another user made" in said and "root's secret" not in said


def test_a_hard_link_to_another_users_file_is_no_file_of_the_home(machine):
    (machine.home / "experience.toml").unlink()
    shutil.copy(machine.victim, machine.folder / "linked")
    (machine.folder / "linked").chmod(0o600)
    os.link(
        machine.folder / "linked", machine.home / "experience.toml"
    )  # where the kernel does not forbid it
    said = machine.experience("check")
    assert "root's secret" not in said and "second name" in said
