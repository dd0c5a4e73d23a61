"""Random histories of the real scheduler, in simulated time: no rule of the contract breaks."""

import pytest

from tests.simulation.play import play_hours, story_of

HOURS = 10_000


@pytest.mark.timeout(600)
def test_no_history_breaks_a_rule() -> None:
    for played in play_hours(HOURS):
        if played.broken:
            pytest.fail(story_of(played.seed, played.broken[0]), pytrace=False)
