"""How the fleet screen looks in every situation, as pictures."""

import pytest

from tests.screens.driving import arrive
from tests.screens.situations import SITUATIONS


@pytest.mark.parametrize("name", SITUATIONS)
def test_it_looks_as_it_should(name, snap_compare):
    situation = SITUATIONS[name]
    before = arrive(*situation.keys)
    assert snap_compare(situation.app(), run_before=before, terminal_size=situation.size)
