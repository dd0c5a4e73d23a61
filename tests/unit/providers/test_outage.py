"""When a provider is away, who may try it again, and who waits."""

from dataclasses import replace

from scheduler.process.process_info import Running
from scheduler.providers.outage import (
    PROBE,
    Outage,
    Probe,
    Refused,
    believed,
    may_try,
    probed,
    refused,
    released,
    retried,
)
from tests.each import each
from tests.fakes import NOON

OWNER = Running(7, 1.0, NOON)
MIRA, OPUS = Probe("m1", "mira", OWNER), Probe("o1", "opus", OWNER)


BUSY = Refused(MIRA, "overloaded")


def away(by: Refused = BUSY, before: Outage | None = None, now: float = NOON) -> Outage:
    return refused(before, "anthropic", by, now)


def test_a_moment_that_is_named_is_believed_and_said_in_words() -> None:
    outage = away(Refused(MIRA, "usage_limit", NOON + 3600))
    assert (outage.until, outage.named, outage.told_by) == (NOON + 3600, True, "mira")
    assert (outage.reason, away().reason) == ("usage limit", "overloaded")


def test_a_moment_of_a_stale_text_is_not_waited_for() -> None:
    """ "Resets 3pm" a minute past 3 is not tomorrow, and yesterday's date is not next year."""
    day = 86_400.0
    for ahead in (day - 60, day, 364 * day):
        assert away(Refused(MIRA, "usage_limit", NOON + ahead)).until == NOON + 60, ahead
    for ahead in (60.0, day - 3600, day + 60, 31 * day):
        assert away(Refused(MIRA, "usage_limit", NOON + ahead)).until == NOON + ahead, ahead


def test_without_a_moment_pauses_double_from_a_minute_to_half_an_hour_with_each_probe() -> None:
    outage, now, pauses = away(), NOON, []
    for _ in range(8):
        pauses.append(outage.until - now)
        now = outage.until
        outage = away(before=probed(outage, MIRA, NOON), now=now)
    assert pauses == [60, 120, 240, 480, 960, 1800, 1800, 1800]
    assert outage.since == NOON


def test_an_outage_of_months_still_has_pauses_of_half_an_hour() -> None:
    outage = probed(replace(away(), pauses=5000), MIRA, NOON)
    assert away(before=outage).until - NOON == 1800


def test_runs_that_were_under_way_when_it_began_are_one_refusal() -> None:
    first = away()
    again = away(Refused(OPUS, "overloaded"), first, NOON + 5)
    assert again == first
    named = away(Refused(OPUS, "usage_limit", NOON + 900), first, NOON + 6)
    assert (named.until, named.pauses, named.told_by) == (NOON + 900, 1, "opus")
    later = away(Refused(MIRA, "usage_limit", NOON + 1200), named, NOON + 7)
    assert later.until == NOON + 1200
    assert away(Refused(MIRA, "usage_limit", NOON + 300), later, NOON + 8) == later


def test_only_one_may_try_and_only_when_its_time_has_come() -> None:
    outage = away()
    assert not may_try(outage, NOON + 59) and may_try(outage, NOON + 60)
    assert not may_try(probed(outage, MIRA, NOON), NOON + 61)
    assert may_try(released(probed(outage, MIRA, NOON), "m1"), NOON + 61)
    assert not may_try(released(probed(outage, MIRA, NOON), "o1"), NOON + 61)


def test_a_probe_whose_owner_died_leaves_its_place_and_one_that_lasts_has_found_it_back() -> None:
    outage = probed(away(), MIRA, NOON)
    assert believed(outage, NOON + 61, lambda process: True) == outage
    assert believed(outage, NOON + 61, lambda process: False) == away()
    assert believed(outage, NOON + PROBE, lambda process: True) is None


def test_a_clock_that_was_ahead_keeps_no_run_waiting() -> None:
    outage = away(now=NOON + 86_400)
    found = believed(outage, NOON, lambda process: True)
    assert found is not None and may_try(found, NOON)


@each("ahead", [-5, 500])
def test_a_person_may_have_it_tried_at_once(ahead: float) -> None:
    outage = replace(away(), until=NOON + ahead)
    assert may_try(retried(outage, NOON), NOON)
