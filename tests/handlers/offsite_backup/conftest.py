"""What the tests of backups share: a disk of two megabytes, where this machine can mount one."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    argv = ["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(place)]
    if subprocess.run(argv, capture_output=True, check=False).returncode:
        pytest.skip("no disk can be mounted here; the test with a file size limit says nearly the same")
    yield place
    subprocess.run(["umount", str(place)], check=True)
