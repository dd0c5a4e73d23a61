"""What happened in a world: facts in their order, for the invariants to judge and the story to tell."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Fact:
    """`at` is true time, which no clock setting changes; `wall` is what the clock showed."""

    at: float
    wall: float
    kind: str
    task: str = ""
    more: Any = None
