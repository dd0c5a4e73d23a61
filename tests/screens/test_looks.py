"""How the fleet screen looks in every situation, as pictures."""

import pytest

from tests.screens.money_situations import MONEY
from tests.screens.situations import SITUATIONS

ALL = SITUATIONS | MONEY
VIEWS = ("table", "log", "timeline", "palette", "money", "fleet")


def view(name: str) -> str:
    """What is shown: the first word of the situation's name, or the grid of the fleet."""
    return first if (first := name.partition("_")[0]) in VIEWS else "fleet"


@pytest.mark.timeout(240)  # dozens of screens
@pytest.mark.parametrize("shown", VIEWS)
def test_it_looks_as_it_should(shown, changed_looks):
    situations = {name: situation for name, situation in ALL.items() if view(name) == shown}
    assert situations and changed_looks(situations) == []
