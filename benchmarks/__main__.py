"""`python -m benchmarks [names...] [--quick] [--json FILE]`: measure, print the table."""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from itertools import chain
from pathlib import Path

from benchmarks.attached import attach, clients, serve, thousand
from benchmarks.child import MeasurementFailed
from benchmarks.commands import migrate, newcomer, status
from benchmarks.engine import dispatch, history, output, throughput
from benchmarks.machines import failover, remote, shared
from benchmarks.screens import big, details, monitor, stall
from benchmarks.table import Bar, Row, markdown, show

MEASUREMENTS: dict[str, Callable[[bool], Iterator[Row]]] = {
    "dispatch": dispatch.dispatch,
    "disk": dispatch.disk,
    "flood": dispatch.flood,
    "burst": throughput.burst,
    "durable": throughput.durable,
    "register": throughput.registration,
    "history": history.history,
    "details": details.details,
    "machines": lambda quick: chain(shared.shared(quick), failover.failover(quick)),
    "workers": remote.remote,
    "migrate": migrate.migrate,
    "idle": throughput.idle,
    "newcomer": newcomer.newcomer,
    "status": status.status,
    "monitor": monitor.monitor,
    "big": big.big,
    "attach": attach.attach,
    "thousand": thousand.thousand,
    "clients": clients.clients,
    "serve": serve.serve,
    "output": output.output,
    "stall": stall.stall,
}


def main(arguments: list[str] | None = None) -> int:
    """0 when every bar is met, else 1."""
    options = _parser().parse_args(arguments)
    start, rows = time.monotonic(), []
    for name in options.names or MEASUREMENTS:
        rows += _rows(name, options.quick)
        print(f"{name}: measured, {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
    show(rows)
    print(f"\n{_machine()}; {time.monotonic() - start:.0f} s")
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=1))
    if options.markdown:
        options.markdown.write_text(markdown(rows) + "\n")
    return 0 if all(row.met for row in rows) else 1


def _rows(name: str, quick: bool) -> list[Row]:
    try:
        return list(MEASUREMENTS[name](quick))
    except MeasurementFailed as failure:
        return [Row(name, float("nan"), "", bars=(Bar("measured", False),), note=str(failure))]


def _machine() -> str:
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    return f"{os.cpu_count()} cores, load {load}, Python {sys.version.split()[0]}, {sys.platform}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *MEASUREMENTS], metavar="name", default=[])
    parser.add_argument("--quick", action="store_true", help="one short round of each")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows there, too")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table there, too")
    parser.epilog = "names: " + " ".join(MEASUREMENTS)
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
