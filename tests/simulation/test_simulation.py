"""Random histories of the real scheduler, in simulated time: no rule of the contract breaks."""

import pytest

from tests.each import each
from tests.simulation.play import play_hours, play_seed, story_of

HOURS = 10_000
BROKEN_ONCE = (322, 558, 579, 652, 669, 678, 1047, 1105, 1183, 1223, 1357, 1909, 2004, 2270, 2473, 2881,
               3065, 3098, 3245, 3289, 3719, 3804, 4489, 4553, 4705, 4949, 5238, 6118, 6373, 7143,
               20117, 21182, 22326, 22868, 23289, 23345, 40498, 40500, 40580, 40613, 41112, 41474,
               41608, 41769, 41866, 42233, 42444, 42509, 42606, 43232, 60473, 60863, 60955, 61329,
               70074, 80095, 80682, 80693, 90476, 100011, 100116,
               200791, 200968, 201709, 301061, 301326, 401009, 402397, 405285, 410803,
               430127, 454582, 456752, 500015, 500057, 601024, 700533, 703307, 703785)  # fmt: skip


@pytest.mark.timeout(600)
def test_no_history_breaks_a_rule() -> None:
    for played in play_hours(HOURS):
        if played.broken:
            pytest.fail(story_of(played.seed, played.broken[0]), pytrace=False)


@pytest.mark.timeout(600)
@each("seed", BROKEN_ONCE)
def test_a_history_that_once_broke_a_rule_does_not_again(seed: int) -> None:
    assert play_seed(seed).broken == ()
