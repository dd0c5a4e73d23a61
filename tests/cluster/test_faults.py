"""Kills, freezes, cuts and crashes over three machines: no run twice, none lost, no overlap, no old epoch."""

import pytest

from tests.cluster.faults import CITIZENS, Run, judge, trial
from tests.cluster.postgres import Postgres

SECONDS = 20.0


@pytest.mark.timeout(240)
@pytest.mark.parametrize("seed", [1, 2])
def test_nothing_runs_twice_and_nothing_is_lost(server: Postgres, seed: int) -> None:
    verdict = trial(server, seed, SECONDS)
    assert verdict.runs > 30
    assert verdict.guilty == []


@pytest.mark.timeout(400)
def test_without_epochs_the_checker_finds_it(server: Postgres) -> None:
    """What happens in a history depends on the machine, too: one of three has to be enough."""
    assert any(trial(server, seed, SECONDS, epochs=False).guilty for seed in (3, 4, 5))


def run(number: int, epoch: int = 1, began: float = 0.0, ended: float = 0.5) -> Run:
    return Run(f"opus/tick/{number}", epoch, "m1", began, ended)


def test_the_judge_knows_each_kind() -> None:
    rows = [("opus", str(number), epoch) for number in range(1, 9) for epoch in (1, 2, 3)]
    assert judge([run(1), run(1, began=1.0)], rows, 0.0).twice
    assert judge([run(1), run(2, began=0.3)], rows, 0.0).overlaps
    assert judge([run(1, 2), run(2, 1, began=1.0)], rows, 0.0).older
    assert judge([run(9)], rows, 0.0).lost
    assert len(judge([run(1, began=99.0)], rows, 100.0).silent) == len(CITIZENS) - 1
    assert not judge([run(1, ended=float("nan")), run(2, 2, began=0.1)], rows, 0.0).overlaps
