"""Kills, freezes, cuts and crashes over three machines: no run twice, none lost, no overlap, no old epoch."""

import math

import pytest

from tests.cluster.history import worker_faults
from tests.cluster.history.faults import control, control_verbs, trial
from tests.cluster.history.histories import Row, Run, Span, judge, judge_gaps, judge_verbs
from tests.cluster.postgres import Postgres

# A lease of one second instead of three, and two faults at once: as many faults as in ten minutes.
FAILOVER = 1.0
SEEDS, SECONDS = range(10), 6.0


@pytest.mark.timeout(400)
def test_nothing_runs_twice_and_nothing_is_lost(server: Postgres) -> None:
    verdict = trial(server, SEEDS, SECONDS, failover=FAILOVER)
    assert verdict.runs > 30 and len(verdict.faults) > 30 and verdict.asked > 5, verdict.counts()
    assert verdict.guilty == [], verdict.counts()


@pytest.mark.timeout(120)
def test_without_epochs_the_checker_finds_it(server: Postgres) -> None:
    assert control(server, failover=FAILOVER).twice


@pytest.mark.timeout(120)
def test_where_a_verb_that_comes_twice_is_obeyed_twice_the_checker_finds_it(server: Postgres) -> None:
    verdict = control_verbs(server, failover=FAILOVER)
    assert verdict.doubled and verdict.asked == 3


@pytest.mark.timeout(400)
def test_nor_where_workers_carry_the_runs(server: Postgres) -> None:
    verdict = worker_faults.trial(server, range(4), 6.0, failover=FAILOVER)
    assert verdict.runs > 10 and len(verdict.faults) > 5, verdict.counts()
    assert verdict.guilty == [], verdict.counts()


@pytest.mark.timeout(120)
def test_without_leases_of_workers_the_checker_finds_it(server: Postgres) -> None:
    assert worker_faults.control(server, failover=FAILOVER).overlaps


def run(number: int, epoch: int = 1, began: float = 0.0, ended: float = 0.5) -> Run:
    return Run(f"opus/tick/{number}", epoch, "m1", began, ended)


def row(number: int, epoch: int = 1, outcome: str | None = None) -> Row:
    return Row("opus", str(number), epoch, outcome)


def test_the_judge_knows_each_kind() -> None:
    rows = [row(number, epoch) for number in range(1, 9) for epoch in (1, 2, 3)]
    assert judge([run(1), run(1, began=1.0)], rows).twice
    assert judge([run(1), run(2, began=0.3)], rows).overlaps
    assert judge([run(1, 2), run(2, 1, began=1.0)], rows).older
    assert judge([run(9)], rows).lost
    assert not judge([run(1, ended=math.nan), run(2, 2, began=0.1)], rows).overlaps
    assert judge([run(1, ended=math.nan)], [row(1, 1, "ok")]).unfounded
    assert judge([run(1), run(1, 2, 1.0)], [row(1, 1, "ok"), row(1, 2, "ok")]).unfounded
    assert not judge([run(1)], [row(1, 1, "ok")]).guilty


def test_the_judge_knows_verbs_that_act_twice() -> None:
    assert judge_verbs(3, 4) and not judge_verbs(3, 3) and not judge_verbs(3, 2)


def test_a_gap_counts_only_while_a_machine_could_have_run() -> None:
    runs = [run(1, began=0.0), run(2, began=10.0)]
    assert judge_gaps(runs, ["opus"], {"m1": [Span(0.0, 3.0)], "m2": [Span(8.0, 11.0)]}, 4.0, 10.5)[1] == []
    assert judge_gaps(runs, ["opus"], {"m1": [Span(2.0, 9.0)]}, 4.0, 10.5)[0] == 7.0
    assert judge_gaps(runs, ["opus"], {"m1": [Span(2.0, 9.0)]}, 4.0, 10.5)[1]
    assert judge_gaps([], ["opus"], {}, 4.0, 1.0)[1] == ["opus never ran"]
