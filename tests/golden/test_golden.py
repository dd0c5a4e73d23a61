"""What the command line prints, to the letter: every case against a file in expected/, one folder per group.

A change that is meant renews the files, and their diff is then read like any other:

    GOLDEN=renew .venv/bin/python -m pytest tests/golden

A case that is gone, or new, changes the set of files: one too many, or one missing, is an error, too.
Only seam.py imports this program's modules.
"""

import os
import pwd
import time
from collections.abc import Iterator, Mapping
from difflib import unified_diff
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.golden import (
    cases_check,
    cases_good,
    cases_help,
    cases_history,
    cases_migrate,
    cases_next,
    cases_status,
    seam,
)
from tests.golden.case import Case

EXPECTED = Path(__file__).parent / "expected"
GROUPS: Mapping[str, Mapping[str, Case]] = {
    "check": cases_check.CASES,
    "good": cases_good.CASES,
    "help": cases_help.CASES,
    "history": cases_history.CASES,
    "migrate": cases_migrate.CASES,
    "next": cases_next.CASES,
    "status": cases_status.CASES,
}
FIX = "if that is meant: GOLDEN=renew python -m pytest tests/golden, then read the diff"


@pytest.fixture
def still(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Noon of 2 March 2026, in Berlin, for the user opus."""
    with monkeypatch.context() as patch:
        seam.stand_still(patch)
        patch.setattr(pwd, "getpwnam", _user)
        patch.setattr(pwd, "getpwuid", lambda uid: _user("opus"))
        patch.setenv("TZ", "Europe/Berlin")
        time.tzset()
        yield patch
    time.tzset()
    seam.forget_names()


def _user(name: str) -> SimpleNamespace:
    if name not in ("opus", "root"):
        raise KeyError(name)
    return SimpleNamespace(pw_name=name, pw_uid=os.getuid(), pw_gid=os.getgid(), pw_dir=f"/home/{name}")


@pytest.mark.parametrize("group", GROUPS)
def test_the_words_are_as_they_were(group: str, still: pytest.MonkeyPatch) -> None:
    printed = {name: case.play(still) for name, case in GROUPS[group].items()}
    if os.environ.get("GOLDEN") == "renew":
        renew(EXPECTED / group, printed)
    if differences := compared(EXPECTED / group, printed):
        pytest.fail("\n\n".join([*differences, FIX]), pytrace=False)


def test_every_folder_belongs_to_a_group() -> None:
    assert {path.name for path in EXPECTED.iterdir()} == set(GROUPS)


def test_what_differs_is_reported_and_so_is_what_is_missing_or_one_too_many(tmp_path: Path) -> None:
    renew(tmp_path, {"same": "as ever\n", "changed": "old\n", "gone": "x\n"})
    printed = {"same": "as ever\n", "changed": "new\n", "added": "y\n"}
    added, changed, gone = compared(tmp_path, printed)
    assert added.endswith("added.txt is missing")
    assert "-old" in changed and "+new" in changed
    assert gone.endswith("gone.txt belongs to no case")
    renew(tmp_path, printed)
    assert compared(tmp_path, printed) == []


def compared(folder: Path, printed: Mapping[str, str]) -> list[str]:
    """What is wrong with the files of a group, in the order of their names."""
    files = {path.name.removesuffix(".txt") for path in folder.iterdir()} if folder.exists() else set()
    return [text for name in sorted(files | printed.keys()) if (text := _difference(folder, name, printed))]


def _difference(folder: Path, name: str, printed: Mapping[str, str]) -> str:
    path = folder / f"{name}.txt"
    place = f"{folder.name}/{path.name}"
    if name not in printed:
        return f"{place} belongs to no case"
    if not path.exists():
        return f"{place} is missing"
    before = path.read_bytes().decode()
    if before == printed[name]:
        return ""
    old, new = (text.split("\n") for text in (before, printed[name]))
    return "\n".join(unified_diff(old, new, place, "now", lineterm=""))


def renew(folder: Path, printed: Mapping[str, str]) -> None:
    """Make the files of a group hold what was printed."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        path.unlink()
    for name, text in printed.items():
        (folder / f"{name}.txt").write_bytes(text.encode())
