"""Kills, freezes, cuts and crashes over three machines: no run twice, none lost, no overlap, no old epoch."""

import math

import pytest

from tests.cluster.history import worker_faults
from tests.cluster.history.faults import control, control_verbs, trial
from tests.cluster.history.histories import Row, Run, Span, Verb, Verdict, judge, judge_gaps, judge_verbs
from tests.cluster.postgres import Postgres

# A lease of one second instead of three, and two faults at once: as many faults as in ten minutes.
FAILOVER = 1.0
SEEDS, SECONDS = range(10), 6.0


@pytest.mark.timeout(400)
def test_nothing_runs_twice_and_nothing_is_lost(server: Postgres) -> None:
    verdict = trial(server, SEEDS, SECONDS, failover=FAILOVER)
    assert verdict.runs > 30 and len(verdict.faults) > 30, verdict.counts()
    assert verdict.acknowledged.total() > 5, verdict.counts()
    assert verdict.guilty == [], verdict.counts()


@pytest.mark.timeout(400)
def test_without_epochs_the_checker_finds_it(server: Postgres) -> None:
    assert control(server, failover=FAILOVER).twice


@pytest.mark.timeout(400)
def test_where_a_verb_that_comes_twice_is_obeyed_twice_the_checker_finds_it(server: Postgres) -> None:
    verdict = control_verbs(server, failover=FAILOVER)
    assert verdict.doubled


@pytest.mark.timeout(400)
def test_nor_where_workers_carry_the_runs(server: Postgres) -> None:
    verdict = worker_faults.trial(server, range(4), 6.0, failover=FAILOVER)
    assert verdict.runs > 10 and len(verdict.faults) > 5, verdict.counts()
    assert verdict.guilty == [], verdict.counts()


@pytest.mark.timeout(400)
def test_without_leases_of_workers_the_checker_finds_it(server: Postgres) -> None:
    assert worker_faults.control(server, failover=FAILOVER).overlaps


def run(number: int, epoch: int = 1, began: float = 0.0, ended: float = 0.5) -> Run:
    return Run(f"opus/tick/{number}", epoch, "m1", began, ended)


def row(number: int, epoch: int = 1, outcome: str | None = None) -> Row:
    return Row("opus", "tick", str(number), epoch, outcome)


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


def asked(name: str, at: float, code: int | None = 0, left: tuple[str, ...] = ()) -> Verb:
    return Verb(name, at, at + 0.5, code, left)


def judged(
    *verbs: Verb, began: float = 90.0, task: str = "tick", waited: float = 0.0, **effects: int
) -> Verdict:
    verdict = Verdict()
    last = [asked("thaw", 80.0), asked("resume", 81.0), asked("reset", 82.0)]
    fine = [Run(f"vega/{name}/99", 1, "m1", 90.0, 90.1) for name in ("tick", "forgot")]
    runs = [*fine, Run(f"vega/{task}/1", 1, "m1", began, began)]
    judge_verbs(verdict, [*verbs, *last], runs, effects, lambda since, until: waited)
    return verdict


def test_the_judge_knows_verbs_that_act_twice_or_not_at_all() -> None:
    one = asked("force", 1.0)
    assert judged(one, force=2).doubled and judged(one, force=0).undone
    assert not judged(one, asked("force", 2.0, None), asked("force", 3.0, 2), force=1).guilty
    assert judged(asked("stop", 1.0, left=("vega/held/1",))).undone
    assert not judged(asked("stop", 1.0), stop=0).guilty and judged(asked("stop", 1.0), stop=2).doubled
    assert judged(asked("edit", 1.0)).undone
    assert judged(asked("reset", 95.0)).undone and not judged(asked("reset", 95.0, 3)).guilty


def test_the_judge_knows_what_begins_although_it_is_held() -> None:
    freeze, pause = asked("freeze", 1.0), asked("pause", 1.0)
    assert judged(freeze, began=2.6, task="asked").frozen and not judged(freeze, began=2.4).guilty
    assert not judged(freeze, began=2.6, task="asked", waited=0.2).guilty
    assert not judged(freeze, asked("thaw", 8.0, None), began=9.0).guilty
    assert not judged(asked("freeze", 1.0, 3), began=9.0).guilty
    assert judged(pause, began=9.0).paused and not judged(pause, began=9.0, task="asked").guilty


def test_a_gap_counts_only_while_a_machine_could_have_run() -> None:
    runs = [run(1, began=0.0), run(2, began=10.0)]
    assert judge_gaps(runs, ["opus"], {"m1": [Span(0.0, 3.0)], "m2": [Span(8.0, 11.0)]}, 4.0, 10.5)[1] == []
    assert judge_gaps(runs, ["opus"], {"m1": [Span(2.0, 9.0)]}, 4.0, 10.5)[0] == 7.0
    assert judge_gaps(runs, ["opus"], {"m1": [Span(2.0, 9.0)]}, 4.0, 10.5)[1]
    assert judge_gaps([], ["opus"], {}, 4.0, 1.0)[1] == ["opus never ran"]
