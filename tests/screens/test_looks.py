"""How the fleet screen looks in every situation, as pictures."""

import pytest

from .situations import SITUATIONS


@pytest.mark.parametrize("name", SITUATIONS)
def test_it_looks_as_it_should(name, snap_compare):
    situation = SITUATIONS[name]
    assert snap_compare(situation.app(), press=situation.keys, terminal_size=situation.size)
