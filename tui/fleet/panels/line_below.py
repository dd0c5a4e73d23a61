"""A line below a row of a panel."""

from typing import NamedTuple


class Below(NamedTuple):
    """Clean words and their style; what stands at the right end: `end`, or how long it lasts `until` then."""

    text: str
    style: str
    end: str = ""
    until: float | None = None
