"""The made-up fleet shows a citizen over its budget, one that waits for its provider, and a frozen one."""

import pytest

from scheduler.core.task import Outcome
from scheduler.core.views import Snapshot, TaskStatus
from scheduler.errors import SchedulerError
from scheduler.process.who import Who
from tests.fakes import NOON, FakeClock
from tui.demo.fleet import DemoControl, started


async def shown(*names: str) -> tuple[FakeClock, dict[str, DemoControl]]:
    clock = FakeClock(NOON)
    controls = await started(names, clock, NOON)
    return clock, {control.citizen: control for control in controls}


def wake(snapshot: Snapshot) -> TaskStatus:
    row = snapshot.task("wake")
    assert row
    return row.kind


async def test_each_of_the_three_is_there_and_the_others_wake_and_pay():
    clock, fleet = await shown("cedar", "basil", "gaia", "aria", "fern")
    await clock.advance(minutes=15)
    at = {name: control.snapshot() for name, control in fleet.items()}
    assert (wake(at["cedar"]), wake(at["basil"])) == (TaskStatus.OVER_BUDGET, TaskStatus.WAITS)
    assert at["gaia"].freeze and at["aria"].money and not at["fern"].money
    assert any(event.kind == "finished" and event.cost for event in at["aria"].events)
    assert not any(event.number for name in ("cedar", "basil", "gaia") for event in at[name].events)
    runs = await fleet["aria"].history("wake")
    assert runs[0].cost and (await fleet["aria"].explain("wake")).upcoming


async def test_more_is_allowed_and_a_provider_tried_and_then_they_wake():
    clock, fleet = await shown("cedar", "basil")
    with pytest.raises(SchedulerError, match="over budget"):
        await fleet["cedar"].wake()
    await fleet["cedar"].add_to_budget("2")
    await fleet["basil"].try_provider("anthropic")
    for control in fleet.values():
        await control.wake()
        assert wake(control.snapshot()) is TaskStatus.RUNNING
    await clock.advance(minutes=5)
    assert all(wake(control.snapshot()) is TaskStatus.OK for control in fleet.values())
    assert fleet["cedar"].snapshot().money.day_limit == "7.00"


async def test_a_wake_is_stopped_like_any_run_and_has_printed_what_an_agent_would():
    clock, fleet = await shown("aria")
    aria = fleet["aria"]
    before = aria.snapshot().wake.count
    await aria.wake()
    await clock.advance(seconds=20)
    await aria.stop_run("wake", who=Who("mira"))
    await clock.advance(seconds=1)
    (run, *_), now = await aria.history("wake"), aria.snapshot()
    assert (run.outcome, run.seconds, run.text) == (Outcome.STOPPED, 20, "stopped by mira")
    assert run.cost and "reading the queue" in await aria.output(run.id)
    assert wake(now) is TaskStatus.STOPPED and now.wake.count == before + 1


async def test_a_wake_is_paused_until_it_is_resumed_or_its_time_comes():
    clock, fleet = await shown("aria", "echo")
    await fleet["aria"].pause("wake", why="table changes")
    await fleet["echo"].pause("wake", until=clock.now() + 3600)
    before = {name: control.snapshot().wake.count for name, control in fleet.items()}
    for _ in range(5):
        await clock.advance(minutes=10)
    rows = {name: control.snapshot().task("wake") for name, control in fleet.items()}
    assert {row.kind for row in rows.values() if row} == {TaskStatus.PAUSED}
    assert rows["aria"] and rows["aria"].paused_why == "table changes" and rows["aria"].due is None
    assert {name: control.snapshot().wake.count for name, control in fleet.items()} == before
    await fleet["aria"].resume("wake")
    for _ in range(6):
        await clock.advance(minutes=5)
    after = {name: control.snapshot().wake.count for name, control in fleet.items()}
    assert all(after[name] > before[name] for name in fleet)
