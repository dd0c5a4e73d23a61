"""The machine of every attack; only root can play both of its users."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.security.machine import Machine

HERE = Path(__file__).parent
NEEDS_ROOT = pytest.mark.skipif(
    sys.platform == "win32" or os.geteuid() != 0 or shutil.which("setpriv") is None,
    reason="only root can play two users",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents and "machine" in getattr(item, "fixturenames", ()):
            item.add_marker(NEEDS_ROOT)
            item.add_marker(pytest.mark.timeout(60))


@pytest.fixture
def machine() -> Iterator[Machine]:
    folder = Path(tempfile.mkdtemp(prefix="experience-attack-"))  # pytest's own is closed to other users
    try:
        yield Machine(folder)
    finally:
        shutil.rmtree(folder)
