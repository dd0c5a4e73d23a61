"""A paid run whose owner died before it began is counted no more by the next owner; all others stay."""

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from scheduler.cluster.fence import Started
from scheduler.cluster.store import cancel_unbegun, read_committed
from scheduler.core.schedules.schedule import Every
from scheduler.core.task import Command, Task
from scheduler.engine.paid.run_costs import RunCosts
from scheduler.spending.account import AllCitizens
from tests.cluster.desk import Desk
from tests.fakes import NOON, FakeClock

RENDER = Task("render", Every(60.0), Command(("true",)), queue="gpu", report="file")
STARTING = {"running": {"pid": 1, "born": 1.0, "since": 10.0, "boot": "another"}, "starting": True}


@pytest.fixture
def costs(tmp_path: Path) -> RunCosts:
    (tmp_path / "opus" / ".experience").mkdir(parents=True)
    return RunCosts("opus", tmp_path / "opus", FakeClock(), AllCitizens(tmp_path))


def entered(costs: RunCosts) -> list[tuple[str, Decimal | None]]:
    costs.account.newest()
    return [(each.run, each.cost) for each in costs.account.ledger.charges(date.min, date.max)]


async def next_owner(desk: Desk, costs: RunCosts) -> None:
    committed = await read_committed(desk.database, "opus")
    await cancel_unbegun(desk.database, "opus", [RENDER], costs, committed.never_began)


async def test_a_run_on_record_that_never_began(desk: Desk, costs: RunCosts) -> None:
    costs.account.enter("ask-1", "ask")
    costs.account.enter("ask-2", "ask")
    began, unbegun = (
        Started(task, 1, "1", 1, "schedule", NOON, state, charge)
        for task, state, charge in (("ask", {}, "ask-1"), ("again", STARTING, "ask-2"))
    )
    assert all(await desk.writer.write(desk.lease, [began, unbegun]))
    await next_owner(desk, costs)
    assert entered(costs) == [("ask-1", None)]


async def test_a_run_for_a_worker_that_was_not_handed_over(desk: Desk, costs: RunCosts) -> None:
    costs.account.enter("render-1", "render")
    await desk.start(charge="render-1")
    await desk.connection.execute("UPDATE runs SET outcome = 'interrupted'")  # its cost stays unknown
    await next_owner(desk, costs)
    assert entered(costs) == [("render-1", None)]
    costs.account.enter("render-2", "render")
    await next_owner(desk, costs)
    assert entered(costs) == [("render-1", None)]


async def test_the_first_run_ever_that_was_not_handed_over(desk: Desk, costs: RunCosts) -> None:
    costs.account.enter("render-1", "render")
    await next_owner(desk, costs)
    assert entered(costs) == []


@pytest.mark.parametrize(
    "otherwise",
    [
        "DELETE FROM runs",  # older than the history
        "UPDATE runs SET charge = NULL",  # its owner's program was older
        f"UPDATE runs SET started = {NOON + 60}, charge = 'render-3'",  # a later run is known
    ],
)
async def test_what_is_not_proven_stays_counted(desk: Desk, costs: RunCosts, otherwise: str) -> None:
    await desk.start(charge="render-1")
    costs.account.enter("render-2", "render")
    await desk.connection.execute(otherwise)  # type: ignore[call-overload]
    await next_owner(desk, costs)
    assert entered(costs) == [("render-2", None)]


async def test_a_known_cost_is_never_taken_back(desk: Desk, costs: RunCosts) -> None:
    await desk.start(charge="render-1")
    costs.account.enter("render-2", "render")
    costs.account.settle("render-2", "render", Decimal("0.40"), (None, None))
    await next_owner(desk, costs)
    costs.cancel(["render-2"])
    assert entered(costs) == [("render-2", Decimal("0.40"))]
