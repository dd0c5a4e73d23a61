"""What stories share: a disk that can be mounted and unmounted, where this machine allows it."""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Disk:
    """A mount point with nothing mounted on it yet."""

    place: Path

    def mount(self) -> Path:
        """The place, with an empty disk of two megabytes on it."""
        argv = ["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(self.place)]
        if subprocess.run(argv, capture_output=True, check=False).returncode:
            pytest.skip("no disk can be mounted here; the tests with a list of mounts say nearly the same")
        return self.place

    def unmount(self) -> bool:
        return not subprocess.run(["umount", str(self.place)], capture_output=True, check=False).returncode


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Disk]:
    disk = Disk(tmp_path / "disk")
    disk.place.mkdir()
    yield disk
    disk.unmount()
