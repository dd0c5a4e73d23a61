"""The outages of a root: a small file for each provider, shared by all of its citizens and processes."""

import json
import os
from pathlib import Path
from typing import TypeVar

from scheduler.process.process_info import Running, alive
from scheduler.providers.decisions import Decision
from scheduler.providers.outage import Outage
from scheduler.providers.outages import Outages
from scheduler.schema.json_codec import InvalidJson, from_json, to_json
from scheduler.system.clock import Clock
from scheduler.system.files import FileStamp, read_file, replace_file, stamp
from scheduler.system.foreign_home import names_in, open_file, remove
from scheduler.system.root_folder import root_folder

T = TypeVar("T")

FOLDER, SUFFIX = "providers", ".json"
MOST = 16 << 10  # bytes of a file
PATIENCE = 2.0  # seconds to wait for another process, which should hold the lock for milliseconds


class OutageFiles(Outages):
    """The outages of one root's providers."""

    def __init__(self, root: Path, clock: Clock) -> None:
        super().__init__(clock)
        self._folder = root_folder(root) / FOLDER
        self._seen: dict[str, tuple[FileStamp | None, Outage | None]] = {}  # each look is a stat

    def refresh(self) -> None:
        """Do nothing: each look reads the file if it has changed."""

    def all(self) -> list[Outage]:
        names = sorted(name.removesuffix(SUFFIX) for name in names_in(self._folder) if name.endswith(SUFFIX))
        return [found for name in names if (found := self.of(name))]

    def _known(self, provider: str) -> Outage | None:
        """The outage in the file; None if another user wrote it or it is not this provider's."""
        path = self._file(provider)
        seen = stamp(str(path))
        if self._seen.get(provider, (None, None))[0] != seen:
            self._seen[provider] = (seen, _outage_in(path, provider) if seen else None)
        return self._seen[provider][1] if seen else None

    def _file(self, provider: str) -> Path:
        return self._folder / f"{provider}{SUFFIX}"

    def _alive(self, provider: str, process: Running) -> bool:
        return alive(process)

    def _change(self, provider: str, decide: Decision[T]) -> T:
        from filelock import FileLock, Timeout  # 58 ms that only an outage pays

        path = self._folder / f"{provider}.lock"
        os.close(open_file(path, os.O_RDWR | os.O_CREAT, make=True))
        try:
            with FileLock(path, mode=0o600, timeout=PATIENCE):
                before = self._known(provider)
                after, answer = decide(before, self._clock.now(), alive)
                if after is not before:
                    self._write(provider, after)
                return answer
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
