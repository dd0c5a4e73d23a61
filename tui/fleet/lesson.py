"""What an empty screen teaches: what there could be, and what to type next."""

import shlex
from collections.abc import Iterator

from textual.content import Content

from scheduler.core.ports import FleetView
from tui.common.text import clean

EXAMPLE = """\
[citizens.opus.tasks.hello]
every = "5m"
command = ["date"]
"""
Piece = str | tuple[str, str]


def lesson(view: FleetView | None, settings: str, plain: bool, keys: tuple[str, str] = ("?", "q")) -> Content:
    """Words for a fleet without citizens; `settings` is the file, where the view does not know it.

    `keys` are those that help and quit.
    """
    if view is None or view.loading:
        return Content.from_text("loading ..." if plain else "loading …", markup=False)
    home, file = clean(f"{view.root or 'ROOT'}/opus", plain), clean(view.file or settings, plain)
    help, quit = ((key, "bold $run") for key in keys)
    ways = (help, " shows the keys, ", quit, " quits.")
    return Content.assemble(*_mend(view, plain), *_begin(home, file), *ways)


def _mend(view: FleetView, plain: bool) -> Iterator[Piece]:
    if view.problems:
        yield ("The settings want mending\n\n", "bold $title")
        yield from ((f"    {clean(problem, plain)}\n", "$bad") for problem in view.problems)
        yield from ("\n", ("experience-tui check", "$run"), " tells all of it. Save the file: ")
        yield "it is taken up while this screen runs.\n\n"


def _begin(home: str, file: str) -> Iterator[Piece]:
    yield ("No citizens yet\n\n", "bold $title")
    yield from (
        "A citizen is a name in ",
        (file or "the settings file (experience.toml)", "$ink"),
        ", such as\n\n",
    )
    yield from ((f"    {line}\n", "$run") for line in EXAMPLE.splitlines())
    yield "\nor a folder with an experience.toml (or background_tasks.json), such as\n\n"
    yield (f"    mkdir -p {shlex.quote(home)}\n", "$run")
    yield (f"    touch {shlex.quote(f'{home}/experience.toml')}\n", "$run")
    yield "\nEither is taken up while this screen runs. "
