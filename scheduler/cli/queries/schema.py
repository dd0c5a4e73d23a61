"""`experience-tui schema`: the JSON Schema of the settings, for editors."""

import click


@click.command(
    "schema",
    short_help="Print the JSON Schema of experience.toml, for editors.",
    epilog="Example: experience-tui schema --own > opus/.experience/schema.json",
)
@click.option("--own", is_flag=True, help="Of a citizen's own file; else of the main one.")
def schema_command(own: bool) -> None:
    """Print the JSON Schema of experience.toml, with which an editor completes and checks it.

    The first line of a settings file names it: #:schema ./.experience/schema.json
    """
    from scheduler.config.citizen import CitizenTable
    from scheduler.config.main_file import MainTable
    from scheduler.schema.json_schema import json_schema

    click.echo(json_schema(CitizenTable if own else MainTable), nl=False)
