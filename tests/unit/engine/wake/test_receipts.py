"""What keeps a wake from its times is one row of its history, however many times come to nothing."""

from collections.abc import Collection
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from scheduler.core.records import FinishedRun, Forgetful, RunQuery, RunRecord
from scheduler.core.schedules.active_hours import ActiveHours
from scheduler.core.schedules.schedule import Every
from scheduler.core.task import Call, Outcome, Task, WakeTask
from scheduler.process.who import Who
from tests.fakes import NOON, state_of, until
from tests.unit.engine.wake.test_wake import awake
from tests.unit.engine.wake.test_wake_cost import agent, under

HOUR = 3600.0


class Recorder(Forgetful):
    """Keeps what it gets."""

    def __init__(self) -> None:
        self.kept: list[FinishedRun] = []
        self.written = 0

    def record(self, run: FinishedRun) -> None:
        self.kept.append(run)

    async def runs(self, asked: RunQuery, known: Collection[str]) -> tuple[RunRecord, ...]:
        """Whatever waits is written first, as in a real history."""
        self.written = len(self.kept)
        return ()

    @property
    def skipped(self) -> list[str]:
        return [run.text for run in self.kept if run.outcome is Outcome.SKIPPED]


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


async def turn(context: object) -> str:
    return "done"


async def test_a_spent_budget_is_one_row_also_after_a_restart(build, clock, home, recorder):
    plan = {
        "wake": WakeTask(schedule=Every(600), work=agent(), report="claude"),
        "spending": under(day="0.50"),
    }
    scheduler = await build(**plan, recorder=recorder)
    await clock.advance()
    await awake(clock, scheduler, 1)
    await clock.advance(hours=3)
    assert recorder.skipped == ["over budget until 00:00 ($0.40 of $0.50)"]
    await scheduler.stop(0)
    again = await build(**plan, recorder=recorder, states={"wake": state_of(scheduler, "wake")})
    await clock.advance(hours=3)
    assert len(recorder.skipped) == 1
    await again.add_to_budget("1", who=Who("ct"))
    await clock.advance()
    await awake(clock, again, 2)
    assert len(recorder.skipped) == 1 and recorder.kept[-1].outcome is Outcome.OK


async def test_a_freeze_is_one_row_and_the_next_another(build, clock, home, recorder):
    scheduler = await build(wake=WakeTask(schedule=Every(600), work=Call(turn)), recorder=recorder)
    for why in ("moving house", "again"):
        await clock.advance(hours=1)
        await until(lambda: scheduler.snapshot().wake.running_since is None, "the wake is over")
        await scheduler.freeze(until=clock.now() + 2 * HOUR, why=why, who=Who("ct"))
        await clock.advance(hours=3)
    assert [text.partition(" by ")[2] for text in recorder.skipped] == ["ct: moving house", "ct: again"]


async def test_each_night_outside_its_hours_is_one_row(build, clock, home, recorder):
    zone = ZoneInfo("Europe/Berlin")
    clock.wall = datetime(2026, 3, 2, 18, tzinfo=zone).timestamp()
    hours = ActiveHours("08:00-20:00", zone)
    scheduler = await build(
        wake=WakeTask(schedule=Every(600), work=Call(turn), active=hours), recorder=recorder
    )
    for _ in range(6 * 30):
        await clock.advance(600)
        await until(lambda: scheduler.snapshot().wake.running_since is None, "the wake is over")
    assert [text.partition(" until ")[0] for text in recorder.skipped] == [
        "outside its hours (08:00-20:00)"
    ] * 2


async def test_a_pause_is_no_row(build, clock, home, recorder):
    scheduler = await build(wake=WakeTask(schedule=Every(600), work=Call(turn)), recorder=recorder)
    await scheduler.pause("wake")
    await clock.advance(hours=1)
    assert recorder.skipped == [] and clock.now() > NOON


async def test_what_a_wake_is_told_is_in_the_history_before_its_agent_begins(build, clock, home, recorder):
    """By its last row the next owner knows what was delivered, whatever its clock says."""
    found = []

    async def look(context: object) -> None:
        found.append(recorder.kept[: recorder.written])

    task = Task("tick", Every(HOUR), Call(turn))
    scheduler = await build(task, wake=WakeTask(schedule=Every(600), work=Call(look)), recorder=recorder)
    await clock.advance()
    await awake(clock, scheduler, 1)
    assert [run.task for run in found[0]] == ["tick"]
