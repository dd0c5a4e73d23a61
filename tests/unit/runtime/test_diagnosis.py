"""What `doctor` finds wrong, each with the fix, and that it changes and shows nothing it should not."""

import json
import os
from pathlib import Path

import pytest

from scheduler.cli.main import run
from scheduler.process.process_info import Running
from scheduler.runtime import diagnosis
from scheduler.storage.lock import LOOP, acquire
from scheduler.system.version import VERSION
from tests.crash.loops import Place, everything_in
from tests.fakes import NOON
from tui.__main__ import monitor


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setattr(diagnosis, "packages_distributions", dict)
    place = Place(tmp_path)
    place.tasks()
    return place


def wrong(place: Place) -> list[str]:
    return list(diagnosis.diagnose(place.config).wrong)


def test_a_citizen_that_runs_has_nothing_wrong(place, capsys):
    ownership = acquire(place.home, NOON, role=LOOP)
    try:
        (place.home / "logs").mkdir()
        (place.home / "logs/experience.log").write_bytes(b"x" * 11_200)
        before = everything_in(place.root)
        assert run(monitor, ["doctor", "--config", str(place.config)], "experience-tui") == 0
        said = capsys.readouterr().out
        assert f"Experience {VERSION} in " in said
        assert f"settings  {place.config}\nroot      {place.root}, " in said
        assert "opus: 3 tasks, loop " in said
        assert "its own settings, history 0 B, logs 11.2 kB" in said
        assert said.endswith("nothing is wrong\n")
        assert everything_in(place.root) == before
    finally:
        ownership.release()


def test_what_is_wrong_comes_with_the_fix(place, monkeypatch):
    secrets, aside = place.home / ".env", "background_tasks.json.corrupt-20260302T120000Z"
    secrets.write_text("TOKEN=t0psecret")
    secrets.chmod(0o644)
    (place.home / aside).write_text("{")
    place.home.chmod(0o755)
    monkeypatch.setattr(diagnosis, "LEAST_FREE", 1 << 60)
    found = wrong(place)
    assert found[0].startswith(f"{place.root}: ") and found[0].endswith("make room, or saves will fail")
    assert found[1:] == [
        "no process runs opus: ./run.sh up opus",
        f"{secrets}: others can read its secrets; chmod 600 {secrets}",
        f"{place.home / aside}: could not be read and was set aside; compare it, then remove it",
    ]
    with monkeypatch.context() as patch:  # its home is on a disk of its own, which is full
        patch.setattr(diagnosis, "LEAST_FREE", 1)
        patch.setattr(diagnosis, "_there", lambda folder: Path("/proc") if folder == place.home else folder)
        assert wrong(place)[0] == f"{place.home}: 0 B free; make room, or saves will fail"
    monkeypatch.setattr(diagnosis, "_read_only", lambda root: True)
    assert wrong(place)[0] == f"{place.root}: is on a disk that is read-only; nothing can be saved"
    place.home.chmod(0o700)
    assert not any("others can read" in line for line in wrong(place)), "other users cannot get that far"


def test_a_process_that_died_a_service_and_a_home_that_is_gone(place):
    folder = place.home / ".experience"
    folder.mkdir()
    (folder / "owner.json").write_text('{"pid": 999999999, "born": 1.0, "since": 1.0}')
    assert wrong(place) == ["no process runs opus, its last process died: ./run.sh up opus"]
    (folder / "managed").write_text("experience-opus system\n")
    assert wrong(place)[0].endswith("died: systemctl start experience-opus")
    place.config.write_text(f"{place.config.read_text()}[citizens.mira]\n")
    gone = place.root / "mira"
    assert f"{gone}: does not exist; ./run.sh loop mira makes it, or remove mira from the settings" in wrong(
        place
    )


def test_broken_settings_are_listed_and_the_rest_is_still_there(place):
    place.config.write_text(f"{place.config.read_text()}zzz = 1\n")
    found = diagnosis.diagnose(place.config)
    assert "zzz: unknown key" in found.wrong[0]
    assert [each.citizen for each in found.citizens] == ["opus"]


def test_another_package_of_our_name_is_named(place, monkeypatch):
    monkeypatch.setattr(
        diagnosis,
        "packages_distributions",
        lambda: {"scheduler": ["experience-tui", "scheduler"], "tui": ["experience-tui"]},
    )
    assert "the package scheduler is also one of scheduler; install experience-tui into" in wrong(place)[0]


def test_a_report_for_others_is_json_and_holds_no_secret(place, capsys, monkeypatch):
    (place.home / ".env").write_text("TOKEN=t0psecret")
    monkeypatch.setenv("EXPERIENCE_CITIZENS__OPUS__GRACE", "t0psecret")
    assert run(monitor, ["doctor", "--json", "--config", str(place.config)], "experience-tui") == 1
    shown = capsys.readouterr().out
    assert "t0psecret" not in shown
    found = json.loads(shown)
    assert "EXPERIENCE_CITIZENS__OPUS__GRACE" in found["environment"]
    assert found["citizens"][0]["home"] == str(place.home)
    assert found["citizens"][0]["owner"] is None


def test_an_owner_that_does_not_answer_is_wrong_and_asked_once(place, monkeypatch, capsys):
    (place.root / "mira").mkdir()
    (place.root / "mira" / "experience.toml").touch()
    owner, asked = Running(os.getppid(), 0.0, 0.0), []
    monkeypatch.setattr(diagnosis, "owner_of", lambda home: owner)
    monkeypatch.setattr(diagnosis, "owner_snapshot", lambda *given: asked.append(given[0]))
    line = f"process {owner.pid} runs mira, but does not answer: ./run.sh down mira, then ./run.sh up mira"
    assert line in wrong(place)
    assert asked == ["mira"]
    assert run(monitor, ["doctor", "--alive", "--config", str(place.config)], "experience-tui") == 1
    said = capsys.readouterr()
    assert (said.out, line in said.err, said.err.count("\n")) == ("", True, 2)


def test_one_folder_under_two_names_is_named_once_in_place_of_its_silent_owner(place, monkeypatch):
    (place.root / "mira").symlink_to(place.home)
    monkeypatch.setattr(diagnosis, "owner_of", lambda home: Running(os.getppid(), 0.0, 0.0))
    monkeypatch.setattr(diagnosis, "owner_snapshot", lambda *given: None)
    line = "mira and opus are the same folder, and only one of them runs: keep one of these names"
    assert wrong(place) == [line]
    assert diagnosis.unattended(place.config) == (line,)


def test_alive_asks_only_who_runs(place, capsys):
    (place.home / ".env").write_text("A=b")
    (place.home / ".env").chmod(0o644)
    ownership = acquire(place.home, NOON, role=LOOP)
    try:
        assert run(monitor, ["doctor", "--alive", "--config", str(place.config)], "experience-tui") == 0
        assert capsys.readouterr() == ("", "")
    finally:
        ownership.release()
