"""Words in which a provider refuses, as a person adds them."""

from datetime import UTC

import pytest

from scheduler.agents.readers import read_report, refusal_in
from scheduler.agents.refusals.find_refusal import Failure, find_refusal
from scheduler.agents.refusals.refusal_rule import RefusalRule
from tests.each import each
from tests.fakes import NOON
from tests.unit.config.test_settings import Place

NAP = """[[refusals]]
kind = "nap"
patterns = ["taking a nap", "error 7## ... come back"]
[[refusals]]
kind = "moved"
wait = "no"
patterns = ["rate limit of the old plan"]
"""


@pytest.fixture
def place(tmp_path) -> Place:
    return Place(tmp_path)


def test_rules_of_the_main_file_are_for_all_and_a_citizens_own_replace_them(place):
    place.main.write_text(NAP)
    place.home("opus")
    place.home("mira", '[[refusals]]\npatterns = ["zzz"]\nspans = false')
    opus, mira = (place.load().citizen(name).refusals for name in ("opus", "mira"))
    assert [rule.kind for rule in opus] == ["nap", "moved"]
    assert mira == (RefusalRule("overloaded", "yes", ("zzz",), spans=False),)


def test_they_are_asked_before_those_that_are_known(place):
    place.home("opus", NAP)
    rules = place.opus().refusals

    def kind(text: str) -> tuple[str, bool] | None:
        found = find_refusal(Failure(text), NOON, UTC, rules)
        return found and (found.kind, found.wait)

    assert kind("the model is Taking a nap") == ("nap", True)
    assert kind("Error 703: please come back") == ("nap", True)
    assert kind("rate limit of the old plan") == ("moved", False)
    assert kind("rate limit exceeded") == ("rate_limit", True)
    assert kind("error 7x3: come back") is None


def test_a_program_and_any_other_output_are_asked_for_them(place):
    place.home("opus", NAP)
    rules = place.opus().refusals
    output = "working\nthe model is taking a nap, try again in 30s"
    for found in (
        read_report("claude", output, 1, NOON, UTC, rules).refusal,
        refusal_in(output, NOON, UTC, rules),
    ):
        assert found is not None and (found.kind, found.retry_at) == ("nap", NOON + 30)


@each(
    ("output", "kind"),
    [
        ("HTTP/1.1 529 \r\nRetry-After: 90\r\n\r\nbusy", "overloaded"),
        ('{"error": {"type": "rate_limit_error"}}', "rate_limit"),
        ("Too Many Requests", "rate_limit"),
        ("Traceback: division by zero", None),
    ],
)
def test_the_output_of_an_unknown_program(output, kind):
    found = refusal_in(output, NOON, UTC)
    assert (found.kind if found else None) == kind


@each(
    "rule, problem",
    [
        ("refusals = 3", "refusals: is a number; write it as a list, like [[refusals]]"),
        ("refusals = [3]", "refusals.1: is a number; write it as a table, in [brackets]"),
        (
            "[[refusals]]\nwait = 'maybe'\npatterns = ['x']",
            "refusals.1.wait: 'maybe' is none of: yes, named, no",
        ),
        ("[[refusals]]\nkind = 'x'", 'refusals.1: has no patterns; add patterns = ["too busy"]'),
        ("[[refusals]]\npatterns = ['x ... ']", "refusals.1.patterns: has nothing to look for"),
        ("[[refusals]]\npattern = ['x']\npatterns = ['x']", "refusals.1.pattern: unknown key; did you mean"),
    ],
)
def test_a_mistake_is_named(place, rule, problem):
    home = place.home("opus", rule)
    (found,) = place.opus().problems
    assert found.startswith(f"{home}/experience.toml: {problem}")
