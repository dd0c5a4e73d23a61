"""The ledger of a home: what each run cost, in `.experience/spending.jsonl`.

A run is entered before it starts, so that none can cost without being counted: one that is never settled (a
power cut, a `kill -9` before its cost was read) has an unknown cost. Lines are only added, and of a run the
newest one counts.
"""

import json
import os
from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from scheduler.spending.budget import Charge
from scheduler.spending.money import EXACT, ZERO
from scheduler.system.files import read_file, replace_file
from scheduler.system.foreign_home import open_file

NAME = Path(".experience") / "spending.jsonl"
KEPT = 400  # days of charges: a year, and what is left of a month
TOO_LONG = 20_000  # lines beyond which old ones are dropped, at the start


class SpendingLedger:
    """The charges of one citizen, and what was added to its budget by hand; every method may block."""

    def __init__(self, home: Path) -> None:
        self._file = home / NAME
        self._charges: dict[str, Charge] = {}
        self._lifts: dict[date, Decimal] = {}
        self._read = -1  # bytes of the file that are known

    def load(self) -> None:
        """Read the file if it has grown; lines that are no entries (the end of a torn write) are left out."""
        try:
            if self._file.stat().st_size == self._read:
                return
            content = read_file(self._file, only_ours=True)
        except FileNotFoundError:
            return
        self._read, self._charges, self._lifts = len(content), {}, {}
        for line in content.splitlines():
            self._apply(line)
        if content.count(b"\n") > TOO_LONG:
            self._compact()

    def knows(self, run: str) -> bool:
        """Whether the run was entered."""
        return run in self._charges

    def charges(self, since: date, until: date) -> list[Charge]:
        """The charges of these days, both included, in the order of their runs."""
        return [each for each in self._charges.values() if since <= each.day <= until]

    def last(self, task: str, count: int) -> list[Charge]:
        """The newest charges of a task whose cost is known."""
        known = [each for each in self._charges.values() if each.task == task and each.cost is not None]
        return known[-count:]

    def lift(self, day: date) -> Decimal:
        """What was added to the budget of this day."""
        return self._lifts.get(day, ZERO)

    def enter(self, run: str, task: str, day: date) -> None:
        """The run starts; its cost is unknown until it is settled. Raises OSError: then it must not start."""
        self._append({"run": run, "task": task, "day": day.isoformat()})

    def settle(self, run: str, cost: Decimal | None, tokens_in: int | None, tokens_out: int | None) -> None:
        """What the run cost, in US dollars; None if nobody knows."""
        price = None if cost is None else str(cost)
        self._append({"run": run, "cost": price, "tokens_in": tokens_in, "tokens_out": tokens_out})

    def cancel(self, run: str) -> None:
        """The run did not start after all: it cost nothing."""
        self._append({"run": run, "cost": "0"})

    def add_to_budget(self, day: date, amount: Decimal) -> None:
        """Lift the limits of this day by so many dollars."""
        self._append({"lift": str(amount), "day": day.isoformat()})

    def _append(self, entry: dict[str, Any]) -> None:
        line = json.dumps(entry).encode()
        descriptor = open_file(self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, make=True)
        with open(descriptor, "wb") as file:  # noqa: PTH123 - the mode is set at creation
            file.write(b"\n" + line + b"\n")  # whatever a torn write left before it
            file.flush()
            os.fsync(descriptor)
        self._apply(line)

    def _apply(self, line: bytes) -> None:
        try:
            entry = json.loads(line)
            if "lift" in entry:
                day = date.fromisoformat(entry["day"])
                self._lifts[day] = EXACT.add(self.lift(day), Decimal(entry["lift"]))
            elif "day" in entry:
                self._charges[entry["run"]] = _charge(entry)
            elif known := self._charges.get(entry["run"]):
                self._charges[known.run] = _settled(known, entry)
        except (ValueError, TypeError, KeyError, ArithmeticError):
            return

    def _compact(self) -> None:
        """Write the newest state of the charges that are still asked for."""
        newest = max((each.day for each in self._charges.values()), default=None)
        kept = [each for each in self._charges.values() if newest and (newest - each.day).days <= KEPT]
        lines = [json.dumps(entry) for entry in _entries(kept, self._lifts)]
        replace_file(self._file, "\n".join(lines).encode() + b"\n")
        self._charges = {each.run: each for each in kept}


def _charge(entry: dict[str, Any]) -> Charge:
    charge = Charge(str(entry["run"]), str(entry["task"]), date.fromisoformat(entry["day"]))
    return _settled(charge, entry)


def _settled(charge: Charge, entry: dict[str, Any]) -> Charge:
    cost = None if entry.get("cost") is None else Decimal(entry["cost"])
    if cost is not None and not cost >= 0:
        raise ValueError("an amount below nothing, or none at all")
    return replace(charge, cost=cost, tokens_in=entry.get("tokens_in"), tokens_out=entry.get("tokens_out"))


def _entries(charges: Iterable[Charge], lifts: dict[date, Decimal]) -> Iterable[dict[str, Any]]:
    for day, amount in lifts.items():
        yield {"lift": str(amount), "day": day.isoformat()}
    for each in charges:
        cost = None if each.cost is None else str(each.cost)
        tokens = {"tokens_in": each.tokens_in, "tokens_out": each.tokens_out}
        yield {"run": each.run, "task": each.task, "day": each.day.isoformat(), "cost": cost, **tokens}
