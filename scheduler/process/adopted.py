"""Adopts processes whose parents have ended: remembers which run left each, and collects its exit code.

A run's descendants stay below this process (a subreaper), however often they fork. Other children were
started by a handler in this process, which waits for them: nothing else may take their exit codes.
"""

import contextlib
import os
import sys
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from scheduler.process import process_info as facts

_SET_CHILD_SUBREAPER, _GET_CHILD_SUBREAPER = 36, 37
UNCLAIMED = 2  # looks that find an ended child: code that waits for it collects it before the second look


def become_reaper() -> None:
    """Make this process the parent of all orphans below it; Linux only. Children do not inherit this."""
    if sys.platform == "linux":
        import ctypes

        with contextlib.suppress(AttributeError):  # a libc without prctl
            ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def is_reaper() -> bool:
    """Whether this process adopts orphans: it asked for them, or is the first process of its container."""
    if sys.platform != "linux":
        return False
    import ctypes

    answer = ctypes.c_int()
    with contextlib.suppress(AttributeError):
        ctypes.CDLL(None).prctl(_GET_CHILD_SUBREAPER, ctypes.byref(answer), 0, 0, 0)
    return answer.value == 1 or os.getpid() == 1


class Makers:
    """The runs that may have made a process: those under way now or at any time since the last look."""

    def __init__(self) -> None:
        self.active: dict[object, bool] = {}  # True: a handler inside this process
        self._recent: set[object] | None = None  # None: unwatched

    def begin(self, maker: object, call: bool = False) -> None:
        self.active[maker] = call
        if self._recent is not None:
            self._recent.add(maker)

    def end(self, maker: object) -> None:
        self.active.pop(maker, None)

    def calls(self) -> frozenset[object]:
        """The handlers that run inside this process."""
        return frozenset(maker for maker, call in self.active.items() if call)

    def since_last_look(self) -> frozenset[object]:
        recent, self._recent = self._recent or self.active, set(self.active)
        return frozenset(recent)


@dataclass(slots=True)
class _Child:
    """A child that this process did not start as a run."""

    born: float
    makers: frozenset[object] = field(default_factory=frozenset)  # runs that may have made it
    certain: bool = False  # it cannot be a handler's own
    waits: int = 0  # looks since it ended


class AdoptedChildren:
    """Notices new children, remembers which runs may have made them, collects those that no one waits for."""

    def __init__(self, makers: Makers) -> None:
        self._makers = makers
        self._children: dict[int, _Child] = {}

    def __bool__(self) -> bool:
        return bool(self._children)

    def look(self, own: Collection[int]) -> None:
        """Update the list of children, leaving out `own`, which are waited for by pid."""
        pids = [pid for pid in _children() if pid not in own]
        makers = self._makers.since_last_look()
        self._children = {pid: child for pid in pids if (child := self._seen(pid, makers))}
        for pid, child in self._children.items():
            self._collect(pid, child)

    def left_by(self, maker: object) -> set[tuple[int, float]]:
        """Pid and start of each child that only this run can have made."""
        return {(pid, child.born) for pid, child in self._children.items() if child.makers == {maker}}

    def maybe_left_by(self, maker: object) -> set[tuple[int, float]]:
        """Pid and start of each child that this run or another one may have made."""
        return {
            (pid, child.born)
            for pid, child in self._children.items()
            if maker in child.makers and len(child.makers) > 1
        }

    def makers_of(self, identity: tuple[int, float]) -> frozenset[object]:
        """The runs that may have made this child; empty if it is no child, or no run was under way."""
        child = self._children.get(identity[0])
        return child.makers if child and child.born == identity[1] else frozenset()

    def _seen(self, pid: int, makers: frozenset[object]) -> _Child | None:
        found, known = facts.stat(pid), self._children.get(pid)
        if found is None:
            return None
        if known is None or known.born != found.born:
            # A child that this process started leads its own session or is in this process's session.
            certain = found.session not in (pid, os.getsid(0))
            known = _Child(found.born, makers, certain)
        if found.state == "Z":
            known.waits += 1
        return known

    def _collect(self, pid: int, child: _Child) -> None:
        """Collect the ended child, unless a handler that may have started it can still wait for it."""
        unclaimed = child.waits >= UNCLAIMED and not child.makers & self._makers.calls()
        if child.waits and (child.certain or unclaimed):
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)


def _children() -> list[int]:
    """The children of the main thread, which adopts the orphans."""
    with contextlib.suppress(OSError):
        return [int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]
    return []
