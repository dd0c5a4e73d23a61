"""The rules themselves, on histories and traces written by hand."""

from collections import Counter
from types import SimpleNamespace

from scheduler.core.state import TaskState
from tests.each import each
from tests.simulation.history import HOUR, History, Plan, Step
from tests.simulation.play import play
from tests.simulation.rules.freezing import a_timed_pause_ends_by_itself
from tests.simulation.rules.wanted import wanted
from tests.simulation.trace import Fact


def a_history(*steps: Step) -> History:
    return History(1, 1_788_000_000.0, (Plan("a", every=2 * HOUR),), None, steps)


def test_of_two_pauses_at_one_moment_the_second_says_when_it_ends():
    """The first is answered after the second has begun: its end is no longer that of the pause."""
    pauses = Step("pause for", 50.0, "a"), Step("pause", task="a")
    assert play(a_history(Step("pass", 1.0), *pauses, Step("pass", HOUR), Step("look")))[1] == []


def test_a_timed_pause_that_does_not_end_is_seen():
    shown = SimpleNamespace(tasks=[SimpleNamespace(name="a", paused=True)])
    trace = [
        Fact(0.0, 0.0, "pause until", "a", 50.0),
        Fact(0.0, 0.0, "pause", "a", None),
        Fact(HOUR, HOUR, "looked", "", shown),
    ]
    assert [broken.rule for broken in a_timed_pause_ends_by_itself(a_history(), trace)] == ["pause"]
    refused = [trace[0], Fact(0.0, 0.0, "refused", "a", None), *trace[1:]]
    assert list(a_timed_pause_ends_by_itself(a_history(), refused)) == []


def test_of_two_things_that_happen_one_slot_is_left_open_and_the_next_is_judged():
    ran = [("planned", Plan("a", every=HOUR)), ("up", 1), ("starting", "schedule"), ("began", (1, "", None))]
    ran += [("ended", (1, "by itself")), ("finished", ("ok", 0.0, ""))]
    stalls = [("stalled", 1.0), ("goes on", 1.0)] * 2
    trace = [Fact(float(at), at, kind, "a", more) for at, (kind, more) in enumerate([*ran, *stalls])]
    for hours, broken, left_open in ((1.5, [], 1), (2.5, ["starved"], 1)):
        judged = Counter[bool]()
        found = wanted(a_history(), [*trace, Fact(hours * HOUR, hours * HOUR, "end")], judged)
        assert [each.rule for each in found] == broken
        assert judged[False] == left_open


@each("verb", ("force", "pause"))
def test_a_power_cut_may_only_take_back_what_was_not_answered(verb):
    """The next owner may have found it in the file before: it was renamed, and not synced."""
    found = TaskState(forced=True, due_now=True) if verb == "force" else TaskState(paused=True)
    asked = [("up", 1), ("asked", verb), *([("pause", None)] if verb == "pause" else [])]
    answered = ("answered", (verb, True, 0))
    for answers, broken in (([], []), ([answered], ["forgotten"])):
        happened = [("planned", Plan("a", every=HOUR)), *asked, *answers]
        happened += [("killed", {"a": found}), ("killed", {"a": TaskState()})]
        trace = [Fact(at / 10, at / 10, kind, "a", more) for at, (kind, more) in enumerate(happened)]
        assert [one.rule for one in wanted(a_history(), trace, Counter())] == broken


def test_a_force_that_its_start_has_served_is_not_owed_once_more():
    """It is answered when it is saved, perhaps after the run that follows it has begun."""
    served = [("asked", "force again"), ("starting", "force"), ("began", (1, "", None))]
    served += [("ended", (1, "by itself")), ("finished", ("ok", 0.0, ""))]
    for events, broken in ((served, []), ([], ["forgotten"])):
        asked = [] if events else [("asked", "force again")]
        happened = [("planned", Plan("a", every=HOUR)), ("up", 1), *events, *asked]
        happened += [("reset", None), ("starting", "schedule"), ("answered", ("force again", True, 0))]
        happened += [("killed", {"a": TaskState()})]
        trace = [Fact(at / 10, at / 10, kind, "a", more) for at, (kind, more) in enumerate(happened)]
        assert [one.rule for one in wanted(a_history(), trace, Counter())] == broken


def test_a_task_of_which_nothing_was_saved_is_new_to_the_next_owner():
    """Its first start was renamed only when the power went."""
    begins = ("up", 1), ("starting", "schedule")
    happened = [("planned", Plan("a", every=HOUR)), *begins, ("killed", {}), *begins]
    trace = [Fact(float(at), at, kind, "a", more) for at, (kind, more) in enumerate(happened)]
    assert list(wanted(a_history(), trace, Counter())) == []
