"""The signs of the screen: fonts that terminals have by default show all of them."""

import struct
from pathlib import Path

import pytest

import tui
from scheduler.core.wording import text
from tests.each import each

SIGNS = "✓▲✗►◷‖$○◌■·❯◆▌×–…━╸─▁▂▃▄▅▆▇█│╭╮╰╯├┤↑↓←→⏎●•"
FOREIGN = ("demo", "serve")  # text as others write it; a page for browsers
FONTS = [Path("/usr/share/fonts/truetype/dejavu", f"DejaVuSansMono{kind}.ttf") for kind in ("", "-Bold")]


def test_the_screen_draws_with_no_other_signs_than_these():
    files = [file for file in Path(tui.__file__).parent.rglob("*.py") if file.parent.name not in FOREIGN]
    written = {char for file in [*files, Path(text.__file__)] for char in file.read_text()}
    assert {char for char in written if not char.isascii()} <= {*SIGNS}


@each("font", FONTS)
def test_a_common_font_has_every_sign(font):
    if not font.exists():
        pytest.skip(f"{font.name} is not installed")
    assert [sign for sign in SIGNS if ord(sign) not in characters(font)] == []


def test_a_font_is_read_as_it_is():
    """The check could not fail if the reader took every character for present."""
    if not FONTS[0].exists():
        pytest.skip(f"{FONTS[0].name} is not installed")
    assert not {*map(ord, "⏸▶️日␛")} & characters(FONTS[0]) - {ord("▶")}


def characters(font: Path) -> set[int]:
    """The characters of a TrueType font, by its map of segments with 32 bits (format 12)."""
    data = font.read_bytes()
    tables = (struct.unpack_from(">4sLL", data, 12 + 16 * n)[::2] for n in range(_number(data, 4)))
    start = next(offset for name, offset in tables if name == b"cmap")
    maps = (struct.unpack_from(">L", data, start + 8 + 8 * n)[0] for n in range(_number(data, start + 2)))
    whole = next(start + at for at in maps if _number(data, start + at) == 12)
    count = struct.unpack_from(">L", data, whole + 12)[0]
    groups = (struct.unpack_from(">LL", data, whole + 16 + 12 * n) for n in range(count))
    return {code for first, last in groups for code in range(first, last + 1)}


def _number(data: bytes, at: int) -> int:
    return struct.unpack_from(">H", data, at)[0]
