"""A short, always equal look at each reader; the long one is `python -m tests.fuzz NAME --minutes 10`."""

import logging

import pytest
from hypothesis import HealthCheck, given, settings

from scheduler.control.wire import client as remote
from scheduler.control.wire import server
from tests.each import each
from tests.fuzz import on_crontab, on_owner, on_settings, on_socket, on_state


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    """No log lines, and nothing left behind: the rigs are quicker than real ends of a socket."""
    monkeypatch.setattr(server, "PACE", 0.0)
    monkeypatch.setattr(remote, "ANSWER_TIMEOUT", 0.05)
    logging.disable()
    yield
    logging.disable(logging.NOTSET)
    for target in (on_socket, on_owner):
        if target.rig.cache_info().currsize:
            target.rig().close()
            target.rig.cache_clear()


@each(
    ("target", "examples"),
    [(on_crontab, 150), (on_settings, 120), (on_state, 120), (on_socket, 60), (on_owner, 100)],
)
def test_nothing_is_thrown_that_is_not_ours(target, examples):
    @settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,  # a busy machine is no failure; pytest's own time-out finds what hangs
        suppress_health_check=list(HealthCheck),
    )
    @given(target.CASES)
    def examine(case) -> None:
        target.check(case)

    examine()
