"""The table: each row beside what it is compared with, and the bars it has to meet."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Beside:
    """A floor or a peer, measured in the same run; `ratio` is theirs to ours, or ours to theirs."""

    name: str
    value: float
    ratio: float | None = None


@dataclass(frozen=True, slots=True)
class Bar:
    """What a row has to reach."""

    text: str
    met: bool


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    what: str
    ours: float
    unit: str
    beside: tuple[Beside, ...] = ()
    bars: tuple[Bar, ...] = ()
    note: str = ""

    @property
    def met(self) -> bool:
        return all(bar.met for bar in self.bars)


def show(rows: Iterable[Row]) -> None:
    """Print the rows."""
    table = Table("measured", "ours", "beside, in the same run", "bar", box=None, pad_edge=False)
    for row in rows:
        beside = "\n".join(_beside(each, row.unit) for each in row.beside)
        bars = "\n".join(f"{'✓' if bar.met else '✗'} {bar.text}" for bar in row.bars)
        what = f"{row.what}\n  {row.note}" if row.note else row.what
        table.add_row(what, worded(row.ours, row.unit), beside, bars)
    Console(width=None, highlight=False, markup=False).print(table)


def markdown(rows: Iterable[Row]) -> str:
    """The rows for a page."""
    lines = ["| measured | ours | beside, in the same run | bar |", "|---|---|---|---|"]
    for row in rows:
        beside = "; ".join(_beside(each, row.unit) for each in row.beside)
        bars = "; ".join(f"{'✓' if bar.met else '✗'} {bar.text}" for bar in row.bars)
        what = f"{row.what} ({row.note})" if row.note else row.what
        lines.append(f"| {what} | {worded(row.ours, row.unit)} | {beside} | {bars} |")
    return "\n".join(lines)


def _beside(each: Beside, unit: str) -> str:
    times = f" ({each.ratio:.3g} x)" if each.ratio is not None and math.isfinite(each.ratio) else ""
    return f"{each.name} {worded(each.value, unit)}{times}"


def worded(value: float, unit: str) -> str:
    """Three digits that mean something."""
    if abs(value) >= 100:
        return f"{value:,.0f} {unit}"
    return f"{value:.3g} {unit}"
