"""What lies in the place of a home's mark stops neither the monitor nor the other citizens."""

import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from scheduler.cluster.coordinator import ClusterCoordinator
from scheduler.config.settings import CitizenSettings, EngineSettings
from scheduler.core.ports import FleetOptions
from scheduler.errors import PROGRAM, Owned, Unreadable
from scheduler.ownership.coordinator import LocalCoordinator
from scheduler.storage.shared_home import MARK, mark_shared
from tests.fakes import FakeClock


@pytest.fixture
async def place(url: str, clock: FakeClock, tmp_path: Path) -> AsyncIterator[ClusterCoordinator]:
    async def unasked(citizen: str, stream: object, asked_by: str) -> None:
        raise AssertionError("it is not asked")

    local = LocalCoordinator(FleetOptions(), clock)
    engine = EngineSettings(url, "m1")
    made = ClusterCoordinator(local, engine, tmp_path, lambda: None, lambda *_: None, unasked)
    yield made
    await made.close()


async def test_a_mark_that_cannot_be_read_is_one_line_about_its_citizen(place, tmp_path: Path) -> None:
    opus = CitizenSettings("opus", tmp_path / "opus")
    mark = opus.home / ".experience" / MARK
    mark.mkdir(parents=True)
    with pytest.raises(Unreadable, match="whether machines share it is not known"):
        await place.acquire(opus)
    assert place.remote(opus) is None
    mark.rmdir()
    os.mkfifo(mark)
    writer = os.open(mark, os.O_RDWR)  # a pipe that is open and says nothing
    try:
        with pytest.raises(Unreadable):
            await place.acquire(opus)
        assert place.remote(opus) is None
    finally:
        os.close(writer)


async def test_a_copy_of_a_home_is_refused_in_a_line_with_the_mend(place, tmp_path: Path) -> None:
    first = tmp_path / "elsewhere" / "opus"
    first.mkdir(parents=True)
    mark_shared(first, "00000000-0000-0000-0000-000000000001", "db")
    opus = CitizenSettings("opus", shutil.copytree(first, tmp_path / "opus"))
    fix = f"if it lives here from now on: {PROGRAM} engine join opus"
    with pytest.raises(Owned, match=f"opus: .* is a copy of its home; {fix}"):
        await place.acquire(opus)
