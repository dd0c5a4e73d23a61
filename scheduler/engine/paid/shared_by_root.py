"""What the citizens of one root share: their budget and the state of the providers that they call."""

from dataclasses import dataclass
from pathlib import Path

from scheduler.providers.outage_files import OutageFiles
from scheduler.providers.outages import Outages
from scheduler.spending.account import AllCitizens
from scheduler.system.clock import Clock


@dataclass(frozen=True, slots=True)
class SharedByRoot:
    """Shared by all schedulers of a process whose homes lie in one root."""

    citizens: AllCitizens
    outages: Outages


def shared_by_root(root: Path, clock: Clock) -> SharedByRoot:
    return SharedByRoot(AllCitizens(root), OutageFiles(root, clock))
