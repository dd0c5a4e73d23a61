"""The ledger of a home, `.experience/spending.jsonl`: the cost of each run.

A run is entered before it starts, so that none goes uncounted: a run that is never settled (a power cut, a
`kill -9` before its cost was read) has an unknown cost. Lines are only added, and the newest one of a run
counts.
"""

import errno
import json
import os
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date, datetime, tzinfo
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from scheduler.core.costs import Usage
from scheduler.spending.budget import Charge, dearest
from scheduler.spending.money import EXACT, ZERO, believed
from scheduler.system.files import LIMIT, NotRegular, replace_file
from scheduler.system.foreign_home import Refused, closed_after, open_file, other_user_of, place

NAME = "spending.jsonl"
KEPT = 400  # days of charges: a year and the rest of a month
MOST = 100_000  # charges that are kept, however new they are
SESSIONS = 1000
LAST = 250_000_000_000  # Unix seconds, the year 9892
LATE = '"late": true'  # in a line that can only raise a known cost
TOO_LONG = 20_000  # lines beyond which old charges are dropped, when an owner starts


Add = Callable[[bytes], None]  # sends a line to other machines; raises OSError


class Session(NamedTuple):
    """The total usage of an agent session, which is all that some programs report."""

    name: str
    used: tuple[Usage, ...]


class SpendingLedger:
    """The charges of a folder, and the amounts added to its budget by hand; every method may block.

    Several processes may add lines; each reads the others' with `load`.
    """

    def __init__(self, folder: Path, add: Add = lambda line: None) -> None:
        self._file, self._add = folder / NAME, add
        self._waiting: list[bytes] = []  # costs that a disk did not take, written before the next line
        self._forget()

    def _forget(self) -> None:
        self._charges: dict[str, Charge] = {}
        self._tasks: set[str] = set()
        self._lifts: dict[date, Decimal] = {}
        self._sessions: dict[str, tuple[Usage, ...]] = {}
        self._id: tuple[int, int] | None = None
        self._read = self._lines = 0  # bytes and lines of the file that have been read

    def load(self) -> None:
        """Read the lines that were added, skipping invalid ones (the end of a torn write)."""
        if self._waiting:
            with suppress(OSError):
                self._write([])
        try:
            with closed_after(open_file(self._file, os.O_RDONLY)) as descriptor:
                self._check(os.fstat(descriptor))
                with open(descriptor, "rb", closefd=False) as file:
                    file.seek(self._read)
                    content = file.read(LIMIT)
        except FileNotFoundError:
            self._forget()
            return
        whole, newline, _ = content.rpartition(b"\n")  # the last line may be incomplete as yet
        self._read += len(whole) + len(newline)
        for line in whole.splitlines():
            self._lines += 1
            self._apply(line)

    @property
    def mark(self) -> tuple[tuple[int, int] | None, int]:
        """A value that differs once `load` has read anything new."""
        return self._id, self._read

    def _check(self, status: os.stat_result) -> None:
        if status.st_uid != os.geteuid():
            user = other_user_of(self._file.parent)  # root may run it, and writes as its user
            if user is None or status.st_uid != user.uid:
                raise Refused("another user's", self._file)
        if not stat.S_ISREG(status.st_mode) or status.st_size > LIMIT:
            raise NotRegular(errno.EINVAL, "is not a file of charges; move it away", str(self._file))
        found = (status.st_dev, status.st_ino)
        if found != self._id or status.st_size < self._read:  # replaced, or cut
            self._forget()
            self._id = found

    def knows(self, run: str) -> Charge | None:
        """The charge of this run, if it was entered."""
        return self._charges.get(run)

    def has_charged(self, task: str) -> bool:
        """Whether any run of this task has cost something."""
        return task in self._tasks

    def charges(self, since: date, until: date, zone: tzinfo | None = None) -> list[Charge]:
        """The charges of these days, both included, in the order of their runs.

        Days are those of `zone`, or else those in which the runs were entered.
        """
        near = self._charges.values() if zone is None else self._dated(since, until, zone)
        return [each for each in near if since <= each.day <= until]

    def _dated(self, since: date, until: date, zone: tzinfo) -> Iterable[Charge]:
        """The charges that may fall on these days in that zone: no two zones are more than two days apart."""
        for each in self._charges.values():
            if (since - each.day).days <= 2 and (each.day - until).days <= 2:
                yield _in_zone(each, zone)

    def dearest(self) -> Mapping[str, Decimal]:
        """The highest cost of each task's last runs, for tasks with any known cost."""
        return dearest(self._charges.values())

    def lift(self, day: date) -> Decimal:
        """The amount added to the budget of this day."""
        return self._lifts.get(day, ZERO)

    def enter(self, run: str, task: str, day: date, at: float | None = None) -> None:
        """Enter a run, of unknown cost until it is settled; on OSError the run must not start."""
        self._append(
            {"run": run, "task": task, "day": day.isoformat(), "at": None if at is None else int(at)}
        )

    def settle(
        self,
        run: str,
        cost: Decimal | None,
        tokens_in: int | None,
        tokens_out: int | None,
        session: "Session | None" = None,
    ) -> None:
        """Record the cost of the run in US dollars; None if unknown.

        After an OSError it is recorded as soon as the disk takes it.
        """
        price = None if cost is None else str(cost)
        entry = {"run": run, "cost": price, "tokens_in": tokens_in, "tokens_out": tokens_out}
        entry |= _session_entry(session) if session else {}
        try:
            self._append(entry)
        except OSError:
            self._waiting = [*self._waiting, json.dumps(entry).encode()][-MOST:]
            raise

    def used_before(self, session: str) -> tuple[Usage, ...]:
        """The total usage of this agent session when its last run ended."""
        return self._sessions.get(session, ())

    def cancel(self, run: str) -> None:
        """Record that the run did not start after all and cost nothing."""
        self._append({"run": run, "cancelled": True})

    def add_to_budget(self, day: date, amount: Decimal) -> None:
        """Raise the limits of this day by `amount` dollars."""
        self._append({"lift": str(amount), "day": day.isoformat()})

    def _append(self, entry: dict[str, Any]) -> None:
        self._write([json.dumps(entry).encode()])
        self.load()

    def _write(self, lines: Sequence[bytes]) -> None:
        """Add these lines after those that wait; a cost that is written twice counts once."""
        lines = [*self._waiting, *lines]
        with place(self._file, make=True, follow=True) as at:
            descriptor = at.open(os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            with open(descriptor, "wb") as file:  # noqa: PTH123 - the mode is set at creation
                file.write(b"".join(b"\n" + line + b"\n" for line in lines))  # a torn write may come before
                file.flush()
                os.fsync(descriptor)
        for line in lines:
            self._add(line)
        self._waiting = []

    def _apply(self, line: bytes) -> None:
        try:
            entry = json.loads(line)
            if "session" in entry:
                self._remember(str(entry["session"]), entry["totals"])
            if "lift" in entry:
                day = date.fromisoformat(entry["day"])
                self._lifts[day] = EXACT.add(self.lift(day), _amount(entry["lift"]))
            elif entry.get("late") and (known := self._charges.get(entry["run"])):
                self._charges[known.run] = _settled(known, entry)
            elif "day" in entry:
                charge = _charge(entry)
                self._charges[charge.run] = charge
                self._tasks.add(charge.task)
            elif entry.get("cancelled"):
                self._charges.pop(entry["run"], None)
            elif known := self._charges.get(entry.get("run", "")):
                self._charges[known.run] = _settled(known, entry)
        except (ValueError, TypeError, KeyError, AttributeError, ArithmeticError, RecursionError):
            return

    def _remember(self, session: str, totals: Mapping[str, Any]) -> None:
        self._sessions.pop(session, None)  # in the order of their last runs
        self._sessions[session] = tuple(
            Usage(str(model), _count(sent), _count(made)) for model, (sent, made) in totals.items()
        )

    def compact(self, today: date) -> None:
        """Drop charges that no limit needs any more; for an owner at its start, while no other adds charges.

        The newest charges always stay, so that a clock that is years ahead does not lose today's spending.
        """
        self.load()
        if self._lines < TOO_LONG:
            return
        every = list(self._charges.values())[-MOST:]
        newest = set(map(id, every[-TOO_LONG // 4 :]))
        kept = [each for each in every if (today - each.day).days <= KEPT or id(each) in newest]
        lines = [json.dumps(entry) for entry in _entries(kept, self._lifts)]
        sessions = list(self._sessions.items())[-SESSIONS:]
        lines += [json.dumps(_session_entry(Session(*each))) for each in sessions]
        replace_file(self._file, "\n".join(lines).encode() + b"\n")


def late_line(charge: Charge) -> str:
    """The line for a cost learnt late, after its run was settled or without an entry: it can only raise."""
    (entry,) = _entries([charge], {})
    return json.dumps({**entry, "late": True})


def _session_entry(session: Session) -> dict[str, Any]:
    totals = {each.model: [each.tokens_in, each.tokens_out] for each in session.used}
    return {"session": session.name, "totals": totals}


def _charge(entry: dict[str, Any]) -> Charge:
    day, at = date.fromisoformat(entry["day"]), _moment(entry.get("at"))
    return _settled(Charge(str(entry["run"]), str(entry["task"]), day, at=at), entry)


def _moment(at: Any) -> float | None:
    """The moment, None if it is invalid or missing, as in older versions' lines."""
    return float(at) if type(at) is int and 0 <= at < LAST else None


def _in_zone(charge: Charge, zone: tzinfo) -> Charge:
    if charge.at is None or (day := datetime.fromtimestamp(charge.at, zone).date()) == charge.day:
        return charge
    return replace(charge, day=day)


def _settled(charge: Charge, entry: dict[str, Any]) -> Charge:
    """The charge with this entry's cost, unless that would forget a known cost or lower it late."""
    cost = None if entry.get("cost") is None else _amount(entry["cost"])
    if charge.cost is not None and (cost is None or (entry.get("late") and cost <= charge.cost)):
        return charge
    tokens_in, tokens_out = (_count(entry.get(name)) for name in ("tokens_in", "tokens_out"))
    return replace(charge, cost=cost, tokens_in=tokens_in, tokens_out=tokens_out)


def _count(number: Any) -> int | None:
    return number if isinstance(number, int) else None


def _amount(text: Any) -> Decimal:
    if not isinstance(text, str) or not believed(amount := Decimal(text)):
        raise ValueError("no amount that a run can cost")
    return amount


def _entries(charges: Iterable[Charge], lifts: Mapping[date, Decimal]) -> Iterable[dict[str, Any]]:
    for day, amount in lifts.items():
        yield {"lift": str(amount), "day": day.isoformat()}
    for each in charges:
        cost = None if each.cost is None else str(each.cost)
        tokens = {"tokens_in": each.tokens_in, "tokens_out": each.tokens_out}
        start = {"day": each.day.isoformat(), "at": None if each.at is None else int(each.at)}
        yield {"run": each.run, "task": each.task, **start, "cost": cost, **tokens}
