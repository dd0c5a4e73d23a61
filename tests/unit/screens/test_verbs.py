"""The report of a refused verb, and what a citizen without an owner adds to the counts."""

import asyncio

from scheduler.core.views import Snapshot, TaskStatus, TaskView
from scheduler.errors import Disconnected, UnknownCitizen
from tui.actions.dialogs import execute, summarize
from tui.fleet.summary import ratio


def said(error) -> str:
    async def refuse():
        raise error

    return summarize(asyncio.run(execute([("opus/tick", refuse())])))


def test_a_citizen_is_named_once():
    assert said(Disconnected("opus: its owner is gone")) == "opus/tick: its owner is gone"
    assert said(Disconnected("no owner answers")) == "opus/tick: no owner answers"


def test_how_to_add_a_citizen_is_said_with_an_unknown_one():
    assert "experience.toml in it" in str(UnknownCitizen("aria", ["opus"]))
    assert str(UnknownCitizen("aria", [])).endswith("known: none yet; ./run.sh init NAME makes the first")


def test_what_has_no_owner_is_neither_under_way_nor_next():
    rows = (
        TaskView("tick", TaskStatus.RUNNING, "5m", due=None, running_since=5.0),
        TaskView("tock", TaskStatus.OK, "5m", due=9.0),
    )
    live, gone = ratio(Snapshot("opus", rows)), ratio(Snapshot("opus", rows, stale="its owner is gone"))
    assert (live.running, live.next) == (1, (9.0, "tock@opus"))
    assert (gone.tasks, gone.running, gone.next) == (2, 0, (float("inf"), ""))
