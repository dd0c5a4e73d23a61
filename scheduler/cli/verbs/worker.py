"""`experience-tui worker`: carries runs of tasks that name a queue, for machines that share citizens."""

from pathlib import Path

import click

from scheduler.cli.options import config_file
from scheduler.cli.verbs.loops import log_json


@click.command(
    "worker",
    short_help="Run the tasks that name a queue.",
    epilog="Example: experience-tui worker --queue gpu",
)
@click.option("--queue", "queues", multiple=True, metavar="NAME", help="Only this queue; repeatable.")
@click.option(
    "--concurrency", type=click.IntRange(1, 256), default=1, metavar="N", help="Runs at a time; default 1."
)
@log_json
@config_file
def worker_command(queues: tuple[str, ...], concurrency: int, log_json: bool, config: Path | None) -> int:
    """Run tasks that name a queue, by the settings of this machine, until stopped.

    Without --queue: all queues that this machine's settings name.

    See docs/many-machines.md.
    """
    from scheduler.runtime.worker_process import run_worker

    return run_worker(config, queues, concurrency, log_json=log_json)
