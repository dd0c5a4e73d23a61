"""Runs a command: its exit code, and one line per error."""

import logging
from collections.abc import Sequence

import click

from scheduler.cli.exit_codes import INTERRUPTED, OK, WRONG
from scheduler.cli.standard_error import print_errors, replace_unprintable
from scheduler.errors import BadSettings, SchedulerError, file_error

# Without a handler, Python would print log warnings beside the one line for the error.
QUIET = logging.NullHandler()


def main(argv: Sequence[str] | None = None) -> int:
    """Run core.py's command line; return the exit code."""
    from scheduler.cli.v2_flags import core

    return run(core, argv)


def run(command: click.Command, argv: Sequence[str] | None = None, name: str | None = None) -> int:
    """Run a click command and return its exit code; an error that a person can cause takes one line."""
    replace_unprintable()
    logging.getLogger("experience").addHandler(QUIET)
    try:
        return command.main(argv, prog_name=name, standalone_mode=False) or OK
    except click.Abort:
        return INTERRUPTED
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return WRONG
    except click.MissingParameter as error:
        return print_errors(_with_example(error))
    except click.ClickException as error:
        return print_errors(" ".join(error.format_message().split()))  # click puts choices on separate lines
    except BadSettings as error:
        return print_errors(*error.problems)
    except SchedulerError as error:
        print_errors(str(error))
        return error.exit_code
    except OSError as error:  # without a file name, the output failed: a full disk, a closed terminal
        return print_errors(file_error(error, "the output"))


def _with_example(error: click.MissingParameter) -> str:
    what = " ".join(error.format_message().split()).rstrip(".")  # click puts choices on separate lines
    example = (error.ctx.command.epilog if error.ctx else None) or ""
    return f"{what}; for e{example[1:]}" if example.startswith("Example: ") else what
