"""How the fleet screen looks in every situation, as pictures."""

import pytest

from tests.screens.driving import arrive
from tests.screens.money_situations import MONEY
from tests.screens.situations import SITUATIONS

ALL = SITUATIONS | MONEY


@pytest.mark.parametrize("name", ALL)
def test_it_looks_as_it_should(name, snap_compare):
    situation = ALL[name]
    before = arrive(*situation.keys)
    assert snap_compare(situation.app(), run_before=before, terminal_size=situation.size)
