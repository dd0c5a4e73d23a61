"""The outages of a root: a small file for each provider, shared by all of its citizens and processes."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from scheduler.process.process_info import alive
from scheduler.providers.outage import (
    Outage,
    Probe,
    Refused,
    believed,
    is_probe,
    may_try,
    probed,
    refused,
    released,
    retried,
)
from scheduler.schema.json_codec import InvalidJson, from_json, to_json
from scheduler.system.clock import Clock
from scheduler.system.files import FileStamp, read_file, replace_file, stamp
from scheduler.system.foreign_home import names_in, open_file, remove
from scheduler.system.root_folder import root_folder

FOLDER, SUFFIX = "providers", ".json"
MOST = 16 << 10  # bytes of a file
PATIENCE = 2.0  # seconds to wait for another process, which should hold the lock for milliseconds


class Outages:
    """Reads and changes the outages of a root's providers; every method may block for a moment."""

    def __init__(self, root: Path, clock: Clock) -> None:
        self._folder, self._clock = root_folder(root) / FOLDER, clock
        self._seen: dict[str, tuple[FileStamp | None, Outage | None]] = {}  # each look is a stat

    def of(self, provider: str) -> Outage | None:
        """The outage of this provider, None if it is available."""
        found = self._read(provider)
        return None if found is None else believed(found, self._clock.now(), alive)

    def all(self) -> list[Outage]:
        """The outages of all providers that are away."""
        names = sorted(name.removesuffix(SUFFIX) for name in names_in(self._folder) if name.endswith(SUFFIX))
        return [found for name in names if (found := self.of(name))]

    def begin(self, provider: str, run: Probe) -> Outage | None:
        """None if the run may begin, perhaps as the probe; else the outage it waits for. Raises OSError."""
        if self.of(provider) is None:
            return None
        with self._changing(provider) as change:
            found = self.of(provider)
            if found is None or is_probe(found, run.run):
                return None
            now = self._clock.now()
            if not may_try(found, now):
                return found
            change(probed(found, run, now))
            return None

    def refused(self, provider: str, by: Refused) -> Outage:
        """Record that the provider refused this run; returns the outage. Raises OSError."""
        with self._changing(provider) as change:
            found = refused(self.of(provider), provider, by, self._clock.now())
            change(found)
            return found

    def ended(self, provider: str, run: str, *, tried: bool) -> bool:
        """Record a run that was not refused: a probe that `tried` ends the outage. Raises OSError."""
        found = self._read(provider)
        if found is None or not is_probe(found, run):
            return False
        with self._changing(provider) as change:
            found = self._read(provider)
            if found is not None and is_probe(found, run):
                change(None if tried else released(found, run))
        return tried

    def retry(self, provider: str) -> Outage | None:
        """Let the next run try the provider, as a person asked; returns the outage. Raises OSError."""
        if self.of(provider) is None:
            return None
        with self._changing(provider) as change:
            found = self.of(provider)
            change(found := retried(found, self._clock.now()) if found else None)
            return found

    def _read(self, provider: str) -> Outage | None:
        """The outage in the file; None if another user wrote it or it is not this provider's."""
        path = self._file(provider)
        seen = stamp(str(path))
        if self._seen.get(provider, (None, None))[0] != seen:
            self._seen[provider] = (seen, _outage_in(path, provider) if seen else None)
        return self._seen[provider][1] if seen else None

    def _file(self, provider: str) -> Path:
        return self._folder / f"{provider}{SUFFIX}"

    @contextmanager
    def _changing(self, provider: str) -> Iterator[Callable[[Outage | None], None]]:
        """Keep other processes from changing the file; yields a function that writes it."""
        from filelock import FileLock, Timeout  # 58 ms that only an outage pays

        path = self._folder / f"{provider}.lock"
        os.close(open_file(path, os.O_RDWR | os.O_CREAT, make=True))
        try:
            with FileLock(path, mode=0o600, timeout=PATIENCE):
                yield lambda outage: self._write(provider, outage)
        except Timeout as error:
            raise OSError(f"{path} is locked by another process") from error

    def _write(self, provider: str, outage: Outage | None) -> None:
        if outage is None:
            remove(self._file(provider))
        else:
            replace_file(self._file(provider), json.dumps(to_json(outage)).encode(), durable=False)


def _outage_in(path: Path, provider: str) -> Outage | None:
    try:
        found = from_json(Outage, json.loads(read_file(path, only_ours=True, most=MOST)))
    except (OSError, ValueError, RecursionError, InvalidJson):
        return None
    return found if found.provider == provider else None
