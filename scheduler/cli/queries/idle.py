"""Reports on standard error which citizens have no owner, with the command that runs them."""

from collections.abc import Iterable
from pathlib import Path

from scheduler.cli.standard_error import print_to_stderr
from scheduler.core.views import Snapshot
from scheduler.core.wording.text import first_few
from scheduler.errors import PROGRAM
from scheduler.storage.lock import managed_by
from scheduler.storage.shared_home import is_shared

LISTED = 10  # citizens named


def print_idle(snapshots: Iterable[Snapshot]) -> None:
    """Print one line for all citizens that no process runs, and one for each that a service should run.

    Citizens with errors in their settings are left out: nothing could run them.
    """
    startable = (one for one in snapshots if one.home and (one.tasks or not one.problems))
    idle = {one.citizen: Path(one.home) for one in startable if not one.owner}
    units = {name: managed_by(home) for name, home in idle.items()}
    shared = {name for name, home in idle.items() if is_shared(home)}
    for name, unit in units.items():
        if name in shared:
            print_to_stderr([f"{name} is not run here: {PROGRAM} engine status shows which machine does"])
        elif unit:
            print_to_stderr([f"no process runs {name}: {unit.systemctl('start')}"])
    names = [name for name, unit in units.items() if unit is None and name not in shared]
    if names:
        only = "" if len(names) > LISTED else f" {' '.join(names)}"
        print_to_stderr([f"no process runs {first_few(names, LISTED, ', ')}: {PROGRAM} up{only}"])
