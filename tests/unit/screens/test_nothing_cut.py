"""Nothing is cut where there is room: in a row at any width, and in every picture of a screen."""

import re
from collections import defaultdict
from dataclasses import replace
from html import unescape
from pathlib import Path

from rich.cells import cell_len
from rich.style import Style

from scheduler.core.views import TaskStatus
from tests.each import each
from tests.fakes import NOON
from tests.screens.situations import task
from tests.unit.screens.fleet.test_holding import AWAY, OVER, wake
from tui.common.styles import Styles
from tui.fleet.panels.layout import share
from tui.fleet.panels.rows import TaskLine
from tui.glyphs import UNICODE

PICTURES = Path(__file__).parents[2] / "screens"
HOSTILE = {"hostile", "timeline_hostile"}  # names of tasks that no settings can have
CUT = re.compile(r"… {3,}")  # one blank, or two, stand between columns
PIECE = re.compile(r'<text class="[^"]*-r\d+" x="([\d.]+)" y="([\d.]+)"[^>]*>(.*?)</text>')
CELL = 12.2
STYLES: defaultdict[str, Style] = defaultdict(Style)
PAUSED = replace(task("report"), kind=TaskStatus.PAUSED, paused_at=NOON, paused_until=NOON + 86400 * 5)


@each("row", [PAUSED, replace(PAUSED, schedule="0 9 * * 1-5"), wake(AWAY), wake(OVER)])
def test_a_row_says_why_it_does_not_count_down_in_all_the_room_there_is(row):
    for inner in range(36, 120):
        line = TaskLine(row, share(inner, 14), UNICODE)
        said = "".join(piece.text for piece in line.paint(line.state(NOON, 0), Styles(STYLES)))
        assert not CUT.search(said) and len(said) == inner + 1, f"{inner}: {said}"
        assert inner < 38 or "…" not in said, f"{inner}: {said}"


def test_no_picture_has_cut_words_beside_blank_cells():
    pictures = [*PICTURES.rglob("*.svg")]
    assert len(pictures) > 100
    for picture in pictures:
        name = picture.stem.partition("[")[2].removesuffix("]")
        cut = [line for line in lines_of(picture.read_text()) if CUT.search(line)]
        assert name in HOSTILE or cut == [], name


def test_a_picture_is_read_as_it_is():
    (picture,) = PICTURES.glob("__snapshots__/test_looks/*[[]timeline_hostile].svg")
    assert any(CUT.search(line) for line in lines_of(picture.read_text()))


def lines_of(svg: str) -> list[str]:
    """The lines of a picture of a terminal; cells of which it says nothing are blank."""
    lines: dict[float, str] = defaultdict(str)
    for x, y, text in PIECE.findall(svg):
        blank = round(float(x) / CELL) - cell_len(lines[float(y)])
        lines[float(y)] += " " * blank + unescape(text).replace("\xa0", " ")
    return [*lines.values()]
