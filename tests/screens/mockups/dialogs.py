"""What the drawings of dialogs need: files that are made up, and a citizen that no process runs."""

from datetime import tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

from scheduler.core.editor import SettingsPlace
from scheduler.core.views import OWNER_GONE, Snapshot
from scheduler.editing.editor import FileEditor
from tests.fakes import FakeClock, FakeControl, FakeFleet
from tests.screens.mockups.fleet import NOW, at
from tests.screens.situations import task


class Drafts(FileEditor):
    """Shows what would be written to a file that is not there."""

    def why_not(self, citizen: str) -> str:
        return ""

    def place(self, citizen: str, task: str = "") -> SettingsPlace:
        return SettingsPlace(Path(f"/srv/{citizen}/experience.toml"))

    def zone(self, citizen: str) -> tzinfo:
        return ZoneInfo("Europe/Berlin")


def left_behind() -> FakeFleet:
    """The owner of hermes died while a run of it was under way."""
    rows = (
        task("digest", note="waits for pid 4176, started by an owner that died", due=at("13:54:01")),
        task("report", due=at("13:59:00")),
    )
    hermes = Snapshot("hermes", rows, owner="attached, pid 24980", stale=f"{OWNER_GONE}: process 24980 ended")
    return FakeFleet(FakeControl(hermes), clock=FakeClock(NOW))
