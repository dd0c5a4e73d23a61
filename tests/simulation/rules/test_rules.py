"""The rules themselves, on histories and traces written by hand."""

from types import SimpleNamespace

from tests.simulation.history import HOUR, History, Plan, Step
from tests.simulation.play import play
from tests.simulation.rules.freezing import a_timed_pause_ends_by_itself
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
