"""What a command line says about a whole fleet."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class FleetOptions:
    """Which citizens, and how much of them is run here; `interval` is seconds from wake to wake."""

    config: Path | None = None
    only: Collection[str] = ()
    interval: float | None = None
    own: bool = True
    own_as_root: bool = False
    background: bool = True
    wakes: bool = True
    create: bool = False
    service: str = ""  # the unit that this process is, which alone may own the homes that it manages
    strict: bool = True  # broken settings end the start instead of being shown until they are mended
