"""What an empty screen teaches."""

from textual.content import Content

from scheduler.control import FleetView

from .format import clean

EXAMPLE = """\
[citizens.opus.tasks.hello]
every = "5m"
command = ["date"]
"""


def lesson(view: FleetView | None, settings: str, plain: bool) -> Content:
    """Words for a fleet without citizens: what there could be, and what to type."""
    if view is None or view.loading:
        return Content.from_text("loading ..." if plain else "loading …", markup=False)
    problems = [(f"{clean(problem, plain)}\n", "$bad") for problem in view.problems]
    gap = ["\n"] if problems else []
    root, place = clean(view.root, plain) or "the root folder", clean(settings, plain)
    return Content.assemble(
        *problems,
        *gap,
        ("No citizens yet\n\n", "bold $title"),
        "A citizen is a name in the settings, or a folder in ",
        (root, "$ink"),
        " that holds background_tasks.json or experience.toml.\n\n",
        "To begin, write this into ",
        (place or "the settings file (experience.toml)", "$ink"),
        ":\n\n",
        *[(f"    {line}\n", "$run") for line in EXAMPLE.splitlines()],
        "\nIt is taken up while this screen runs. ",
        ("?", "bold $run"),
        " shows the keys, ",
        ("q", "bold $run"),
        " quits.",
    )
