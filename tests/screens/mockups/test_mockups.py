"""Each screen is as it was drawn, line by line, or there is a reason."""

import pytest

from tests.each import each
from tests.screens.mockups.compare import DRAWINGS, differing, drawn, real, reasons


@pytest.mark.timeout(240)
@each("name", DRAWINGS)
async def test_a_screen_is_as_it_was_drawn_but_for_what_has_a_reason(name):
    """`python -m tests.screens.mockups.compare NAME` shows both."""
    now = await real(name)
    known, differ = reasons(name), differing(name, now)
    want = [*drawn(name), *[""] * len(now)]
    new = [f"{line}: {want[line - 1]!r} is {now[line - 1]!r}" for line in differ if line not in known]
    assert new == [], f"{name}: no reason is given in reasons.toml"
    assert [line for line in known if line not in differ] == [], f"{name}: these are as drawn"


def test_every_reason_is_of_a_drawing():
    assert all(len(reason) > 20 for name in DRAWINGS for reason in reasons(name).values())
