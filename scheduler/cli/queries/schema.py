"""`experience-tui schema`: the JSON Schema of the settings, for editors."""

import click


@click.command(
    "schema",
    short_help="Print the JSON Schema of experience.toml, for editors.",
    epilog="Example: experience-tui schema --own > opus/.experience/schema.json",
)
@click.option("--own", is_flag=True, help="The schema of a citizen's own file; by default the main file's.")
def schema_command(own: bool) -> None:
    """Print the JSON Schema of experience.toml. Editors use it to complete and check the file.

    The first line of a settings file names it: #:schema ./.experience/schema.json
    """
    from scheduler.config.citizen import CitizenTable
    from scheduler.config.main_file import MainTable
    from scheduler.schema.json_schema import json_schema

    click.echo(json_schema(CitizenTable if own else MainTable), nl=False)
