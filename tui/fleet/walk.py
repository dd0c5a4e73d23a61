"""The walk through all that is wrong, the worst first."""

from dataclasses import replace

from tui.fleet.summary import FleetStatus, FleetSummary, Problem

Row = tuple[str, str]  # citizen and task, "" for the citizen as a whole


class ProblemNavigator:
    """Knows where one is; the verdict bar shows that trouble instead of the worst one."""

    def __init__(self, tally: FleetSummary) -> None:
        self._tally = tally
        self._at: Problem | None = None

    def step(self, cursor: Row, by: int) -> Problem | None:
        """The trouble that comes next from here, or came before; None if nothing is wrong."""
        found = [trouble for trouble in self._tally.troubles() if trouble.row]
        if not found:
            self._at = None
            return None
        here = self._place(found, cursor)
        first = 0 if by > 0 else len(found) - 1
        self._at = found[(here + by) % len(found) if here is not None else first]
        return self._at

    def shown(self, verdict: FleetStatus, cursor: Row) -> FleetStatus:
        """The verdict with the trouble that one is at, as long as it is there and the cursor is on it."""
        if self._at is None:
            return verdict
        found = self._tally.troubles()
        place = next((n for n, each in enumerate(found) if _same(each, self._at)), None)
        if place is None or not _on(self._at, cursor):
            self._at = None
            return verdict
        return replace(verdict, worst=found[place], place=place + 1)

    def _place(self, found: list[Problem], cursor: Row) -> int | None:
        """Where the walk goes on from: where it was, or from what is wrong under the cursor."""
        if self._at and _on(self._at, cursor):
            for n, each in enumerate(found):
                if _same(each, self._at):
                    return n
        return next((n for n, each in enumerate(found) if each.row == cursor), None)


def _on(trouble: Problem, cursor: Row) -> bool:
    return trouble.row is not None and trouble.row in (cursor, (cursor[0], ""))


def _same(one: Problem, other: Problem) -> bool:
    return one.where == other.where and one.weight[0] == other.weight[0]
