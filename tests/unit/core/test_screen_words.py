"""What becomes of values, and of text that others wrote, on its way to the screen."""

from rich.cells import cell_len

from tests.each import each
from tests.fakes import NOON
from tui.common import text as words


@each(
    ("seconds", "text"),
    [
        (-5, "now"),
        (0, "now"),
        (0.4, "00:00"),
        (1, "00:01"),
        (131.9, "02:11"),
        (3599, "59:59"),
        (3600, "1h00m"),
        (5999, "1h39m"),
        (86399, "23h59m"),
        (86400, "1d00h"),
        (273600, "3d04h"),
        (99 * 86400 + 23 * 3600, "99d23h"),
        (100 * 86400, "100d"),
        (10000 * 86400, "10000d"),
    ],
)
def test_a_countdown_is_exact_when_it_matters_and_never_wider_than_its_column(seconds, text):
    assert words.countdown(seconds) == text
    assert len(text) <= words.TIME


@each(
    ("seconds", "text"),
    [
        (-1, "<1ms"),
        (0.0004, "<1ms"),
        (0.009, "9ms"),
        (0.29, "290ms"),
        (0.9999, "999ms"),
        (1, "1.0s"),
        (1.25, "1.2s"),
        (9.96, "9.9s"),
        (10, "10s"),
        (59.9, "59s"),
        (60, "01:00"),
        (192, "03:12"),
        (5280, "1h28m"),
        (183600, "2d03h"),
    ],
)
def test_how_long_a_run_lasted(seconds, text):
    assert words.took(seconds) == text
    assert len(text) <= words.TIME


@each(
    ("number", "text"),
    [
        (0, "0"),
        (42, "42"),
        (2140, "2,140"),
        (9999, "9,999"),
        (10_000, "10.0k"),
        (61_299, "61.2k"),
        (999_999, "999k"),
        (1_249_000, "1.24M"),
        (61_000_000, "61.0M"),
        (999_000_000, "999M"),
    ],
)
def test_a_count_has_one_unit_and_three_figures(number, text):
    assert words.count(number) == text
    assert len(text) <= 6


@each(("seconds", "text"), [(30, "30s"), (120, "2m"), (0.5, "0.5s"), (59.99, "1m")])
def test_a_limit_is_as_short_as_it_goes(seconds, text):
    assert words.limit(seconds) == text


@each(
    ("text", "shown"),
    [
        ("plain words", "plain words"),
        ("a\nb\r\nc", "a⏎b⏎c"),
        ("a\tb", "a b"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("\x00\x7f", "\\x00\\x7f"),
        ("\x9b2J \x90", "\\x9b2J \\x90"),
        ("\u202egnp.exe\u202c\u2066", "\\u202egnp.exe\\u202c\\u2066"),
        ("a\u200bb\ufeffc\u00add", "a\\u200bb\\ufeffc\\xadd"),
        ("a\u2028b", "a⏎b"),
        ("\ud800", "\\ud800"),
        ("[/red] [@click=quit]", "[/red] [@click=quit]"),
        ("☕\ufe0f 👍🏽", "☕ 👍"),
        ("🇩🇪", "DE"),
        ("e\u0301 \u0301x", "e\u0301 x"),
        ("日本語", "日本語"),
        ("a\u00a0b\u3000c", "a b c"),
        ("\U000e0041", "\\U000e0041"),
    ],
)
def test_what_is_invisible_or_dangerous_is_made_visible(text, shown):
    assert words.clean(text) == shown


def test_no_character_at_all_gets_through_that_a_terminal_could_obey():
    everything = [chr(code) for code in range(0x110000)]
    for char in everything:
        for shown in words.clean(f"a{char}b"):
            assert shown.isprintable(), hex(ord(char))
    for char in everything[::97]:
        assert words.clean(f"a{char}b", plain=True).isascii()


@each("text", ["", "short", "longer than it", "日本語日本語日本語", "a日b本c語d"])
def test_fit_takes_exactly_its_cells(text):
    assert [cell_len(words.fit(text, cells)) for cells in range(12)] == [*range(12)]


def test_a_cut_is_marked():
    assert words.fit("Connection timeout", 10) == "Connectio…"
    assert words.fit("日本語", 4) == "日… "
    assert words.shorten("abc", 3) == "abc"


@each(
    ("text", "rows"),
    [
        ("see /root/.local/share/experience.toml", ["see", "/root/.local/share/", "experience.toml"]),
        ("/root/.local/share/experience", ["/root/.local/share/", "experience"]),
        ("/a/name_that_fills_a_line", ["/a/name_that_fills_a", "_line"]),
        ("no_path_but_a_word_too_long", ["no_path_but_a_word_t", "oo_long"]),
    ],
)
def test_a_long_path_breaks_between_its_folders(text, rows):
    assert words.wrapped(text, 20) == rows


def test_the_time_of_day_is_local(monkeypatch):
    import time

    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert words.wall(NOON) == "21:00:00"
    finally:
        monkeypatch.undo()
        time.tzset()
