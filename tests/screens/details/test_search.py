"""A search in the panels of the details: hits, their count, and how one walks them."""

from scheduler.core.task import Outcome
from scheduler.core.views import TaskStatus
from tests.each import each
from tests.fakes import NOON, until
from tests.screens.details.test_details_keys import citizen, details, run, settled
from tests.screens.driving import press, shown
from tests.screens.situations import task
from tui.common.pane import StyledText, shown_hits
from tui.common.search import Search, spans
from tui.details.screen import Details
from tui.fleet.grid import FleetGrid

LINES = [f"frame {n} of 50" for n in range(1, 51)]
LINES[9] = LINES[29] = LINES[44] = "warning: texture Cache is full"


def printed():
    control = citizen(task("report"))
    control.runs = (run(1, text="done"), run(2, Outcome.FAILED, "no route to the host"), run(3, text="done"))
    control.outputs = {each.id: "\n".join(LINES) for each in control.runs}
    return control


def gutter(pilot, said: str) -> list[str]:
    """The cell before this text, in each line that has it."""
    return [line[line.index(said) - 1] for line in shown(pilot).splitlines() if said in line]


async def test_hits_of_the_output_are_counted_while_typing_and_walked():
    async with details(printed(), keys=("enter", "tab")) as pilot:
        await press(pilot, "slash", *"cac")
        assert "/cac" in shown(pilot) and "1 of 3" in shown(pilot)
        await press(pilot, *"he", "enter")
        assert "/cache" in shown(pilot) and "1 of 3   n next  N before  esc clear" in shown(pilot)
        assert gutter(pilot, "warning: texture") == ["❯"]
        await press(pilot, "n")
        assert "2 of 3" in shown(pilot) and "❯" in gutter(pilot, "warning: texture")
        await press(pilot, "N", "N")
        assert "3 of 3" in shown(pilot)
        assert gutter(pilot, "frame 44") == [" "]


async def test_escape_clears_the_search_and_a_second_one_goes_back():
    async with details(printed(), keys=("enter", "tab")) as pilot:
        before = shown(pilot)
        await press(pilot, "slash", *"cache", "enter", "escape")
        assert isinstance(pilot.app.screen, Details) and "/cache" not in shown(pilot)
        await press(pilot, "slash", *"cache", "escape")
        assert isinstance(pilot.app.screen, Details) and "/cache" not in shown(pilot)
        await press(pilot, "g")
        assert shown(pilot) == before
        await press(pilot, "escape")
        assert not isinstance(pilot.app.screen, Details) and pilot.app.query_one(FleetGrid)


async def test_runs_are_found_by_outcome_and_by_all_of_their_text():
    async with details(printed()) as pilot:
        await press(pilot, "slash", *"the host", "enter")
        await settled(pilot)
        assert "1 of 1" in shown(pilot) and "✗ failed, 2.0s" in shown(pilot)  # it is the chosen run
        await press(pilot, "slash", *["backspace"] * 8, *"zzz")
        assert "no hit" in shown(pilot)


async def test_a_search_does_not_stop_following_and_walking_to_a_hit_does():
    control = citizen(task("report", kind=TaskStatus.RUNNING, running_since=NOON - 5))
    control.prints("report", "\n".join(LINES))
    async with details(control, keys=("enter", "tab")) as pilot:
        await until(lambda: "frame 50" in shown(pilot), "the end is in sight")
        await press(pilot, "slash", *"cache", "enter")
        assert "following" in shown(pilot) and "2 of 3" in shown(pilot)
        control.prints("report", "\nthe cache again")
        await until(lambda: "2 of 4" in shown(pilot), "a new hit is counted")
        await press(pilot, "n")
        assert "paused, G follows" in shown(pilot) and "3 of 4" in shown(pilot)


async def test_the_count_takes_a_line_of_its_own():
    async with details(printed(), keys=("enter", "tab", "G")) as pilot:
        assert "frame 50" in shown(pilot)
        await press(pilot, "slash", *"zzz", "enter", "G")
        assert "frame 50" in shown(pilot) and "no hit" in shown(pilot)


@each("size", [(80, 24), (60, 12), (20, 5)])
async def test_it_fits_into_any_screen(size):
    async with details(printed(), size=size, keys=("enter", "tab", "slash", *"cache", "enter", "n")) as pilot:
        assert all(len(line) == size[0] for line in shown(pilot).splitlines())
        assert size[0] < 60 or "2 of 3" in shown(pilot)


def test_what_is_found_is_a_piece_of_its_own():
    pieces = (StyledText("a tex"), StyledText("ture cache", "failed"), StyledText(" end"))
    assert shown_hits(pieces, "texture") == (
        StyledText("a "),
        StyledText("tex", "ink", True),
        StyledText("ture", "failed", True),
        StyledText(" cache", "failed"),
        StyledText(" end"),
    )
    assert spans("ſtraße İ", "e") == []  # folding changes the places


def test_a_search_keeps_its_place_among_other_lines():
    search = Search("a").among(enumerate(["a", "b", "a", "ab"]))
    assert (search.lines, search.near(1).chosen, search.back(1).chosen) == ((0, 2, 3), 2, 0)
    assert search.near(1).step(2).chosen == 0 and search.near(9).chosen == 0
    assert search.step(2).among([(5, "a")]).chosen == 5
    assert Search("").among([(0, "")]).chosen == -1
