"""Being an ordinary user for a while: root could read and write everything."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

ORDINARY_USER = 65534


@contextlib.contextmanager
def ordinary_user() -> Iterator[None]:
    """What is done here is done without root's privileges, whoever runs the tests."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(ORDINARY_USER)
    try:
        yield
    finally:
        os.seteuid(0)


@contextlib.contextmanager
def home_of_an_ordinary_user() -> Iterator[Path]:
    """A home that an ordinary user may look into; the tests' own folders are closed to others."""
    folder = Path(tempfile.mkdtemp(prefix="experience-test-"))
    home = folder / "opus"
    home.mkdir()
    try:
        if os.geteuid() == 0:
            os.chown(folder, ORDINARY_USER, ORDINARY_USER)
            os.chown(home, ORDINARY_USER, ORDINARY_USER)
        yield home
    finally:
        home.chmod(0o700)
        shutil.rmtree(folder)
