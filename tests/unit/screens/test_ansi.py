"""What a program printed: its colours stay, and nothing else that a terminal would obey."""

import random

from rich.cells import cell_len
from rich.color import Color
from rich.style import Style

from tests.each import each
from tui.common.ansi import LONGEST, MOST, chopped, lines, without_colours

RED, PLAIN = Style(color=Color.from_ansi(1)), Style()


def text(shown) -> str:
    return "\n".join("".join(part.text for part in line) for line in shown)


@each(
    ("printed", "shown"),
    [
        ("", ""),
        ("one\ntwo\n", "one\ntwo"),
        ("one\r\ntwo\r\n", "one\ntwo"),
        ("\n\nthree", "\n\nthree"),
        ("10%\r50%\r100%", "100%"),
        ("10%\r", "10%"),
        ("a\tb\n123456789\tc", "a       b\n123456789       c"),
        ("\x1b[31ma\tb", "a       b"),
        ("N\x08NA\x08AM\x08ME\x08E", "NAME"),
        ("\x1b[2J\x1b[1;1Hwiped\x1b[K", "wiped"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]52;c;c2VjcmV0\x1b\\after", "after"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b]0;never ends", "0;never ends"),
        ("\x9b2J\x9d0;title\x9cafter", "after"),
        ("\x1bPq#0\x1b\\after\x1bc\x1b(0", "after"),
        ("\x1b", "\\x1b"),
        ("\x1b[", ""),
        ("\x00\x07\x7f", "\\x00\\x07\\x7f"),
        ("\u202egnp.exe\u202c", "\\u202egnp.exe\\u202c"),
        ("zero\u200bwidth", "zero\\u200bwidth"),
        ("[/red] [@click=quit]x[/]", "[/red] [@click=quit]x[/]"),
        ("日本語 🙂", "日本語 🙂"),
    ],
)
def test_only_text_is_left(printed, shown):
    assert text(lines(printed)) == shown
    assert without_colours(printed) == shown


@each(
    ("codes", "style"),
    [
        ("31", RED),
        ("1;31", Style(bold=True, color=Color.from_ansi(1))),
        ("91", Style(color=Color.from_ansi(9))),
        ("41", Style(bgcolor=Color.from_ansi(1))),
        ("38;5;208", Style(color=Color.from_ansi(208))),
        ("38;2;1;2;300", Style(color=Color.from_rgb(1, 2, 255))),
        ("48:2:1:2:3", Style(bgcolor=Color.from_rgb(1, 2, 3))),
        ("31;39", PLAIN),
        ("1;22", PLAIN),
        ("31;0", PLAIN),
        ("", PLAIN),
        ("5;8", PLAIN),  # neither blinking nor hidden
        ("38;5", PLAIN),
        ("99999999", PLAIN),
    ],
)
def test_colours_are_kept(codes, style):
    ((part,),) = lines(f"\x1b[{codes}mtext")
    assert part == ("text", style)


def test_colours_go_on_over_the_end_of_a_line():
    first, second, third = lines("\x1b[31mred\nstill\n\x1b[0mplain")
    assert [first[0].style, second[0].style, third[0].style] == [RED, RED, PLAIN]


def test_plain_leaves_nothing_but_ascii():
    assert text(lines("日本 ✓ \x1b[31mred", plain=True)).isascii()


def test_a_long_line_and_a_long_text_are_cut_and_say_so():
    assert text(lines("x" * (LONGEST + 1234))).endswith("x … 1,234 more")
    shown = text(lines("line\n" * 100_000))
    assert len(shown) < MOST + 100 and "340,000 characters left out" not in shown and "left out …" in shown


@each("width", [1, 2, 7, 40])
def test_lines_are_chopped_to_the_cells_there_are(width):
    for line in lines(
        "\x1b[31mseveral words in\x1b[0m a line, 日本語のエラー and averyveryverylongone 🙂🙂\n\n"
    ):
        rows = chopped(line, width)
        assert all(cell_len("".join(part.text for part in row)) <= max(width, 2) for row in rows)
        kept = "".join(part.text for row in rows for part in row).replace(" ", "")
        assert kept == "".join(part.text for part in line).replace(" ", "")


def test_whatever_is_printed_nothing_in_it_obeys():
    chance = random.Random(7)
    bits = [
        "\x1b",
        "[",
        "]",
        "m",
        ";",
        "\x07",
        "\\",
        "\x9b",
        "\x9d",
        "P",
        "\r",
        "\n",
        "\t",
        "\x08",
        "31",
        "a",
        "語",
    ]
    for _ in range(3000):
        printed = "".join(chance.choices(bits, k=chance.randint(1, 40)))
        for line in lines(printed):
            assert all(part.text.isprintable() for part in line), repr(printed)
