"""The `needs` marker: skipped where a program is missing, failed where nothing may be skipped."""

from types import SimpleNamespace

import pytest

from tests.needs import SWITCH, pytest_runtest_setup


def marked(*programs: str) -> SimpleNamespace:
    return SimpleNamespace(iter_markers=lambda name: [pytest.mark.needs(*programs).mark])


def test_a_program_that_is_there_lets_the_test_run(monkeypatch):
    monkeypatch.setenv(SWITCH, "1")
    pytest_runtest_setup(marked("sh"))


def test_a_missing_program_skips_and_is_named(monkeypatch):
    monkeypatch.delenv(SWITCH, raising=False)
    with pytest.raises(pytest.skip.Exception, match="missing: no-such-program"):
        pytest_runtest_setup(marked("sh", "no-such-program"))


def test_with_the_switch_a_missing_program_fails(monkeypatch):
    monkeypatch.setenv(SWITCH, "1")
    with pytest.raises(pytest.fail.Exception, match="missing: no-such-program"):
        pytest_runtest_setup(marked("no-such-program"))
