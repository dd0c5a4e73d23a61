"""Every status can be recognised in every theme: by its sign always, by its colour where eyes can."""

from itertools import combinations

from textual.theme import BUILTIN_THEMES

from scheduler.core.ui_options import TEXTUAL_THEMES
from scheduler.core.ui_options import THEMES as NAMES
from scheduler.core.views import TaskStatus
from tests.each import each
from tui.glyphs import ASCII, UNICODE
from tui.theme import ANSI, DARK, HIGH_CONTRAST, LIGHT, THEMES, defaults, next_theme, theme_name

STATES = ("ok", "warn", "bad", "run")
WORDS = ("ink", "title", "faint", *STATES)
OWN_THEMES = (DARK, LIGHT, HIGH_CONTRAST)
# How an eye without one kind of cone sees linear light (Viénot, Brettel, Mollon 1999): rows for R, G, B.
SEEN_AS = {
    "protanopia": ((0.1124, 0.8876, 0.0), (0.1124, 0.8876, 0.0), (0.0040, -0.0040, 1.0)),
    "deuteranopia": ((0.2928, 0.7072, 0.0), (0.2928, 0.7072, 0.0), (-0.0223, 0.0223, 1.0)),
}
Linear = tuple[float, float, float]


def linear(colour: str) -> Linear:
    parts = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return red, green, blue


def seen(colour: Linear, eye: str) -> Linear:
    red, green, blue = (sum(a * b for a, b in zip(row, colour, strict=True)) for row in SEEN_AS[eye])
    return max(0.0, red), max(0.0, green), max(0.0, blue)


def light(colour: Linear) -> float:
    return 0.2126 * colour[0] + 0.7152 * colour[1] + 0.0722 * colour[2]


def contrast(one: Linear, other: Linear) -> float:
    low, high = sorted((light(one), light(other)))
    return (high + 0.05) / (low + 0.05)


def lab(colour: Linear) -> Linear:
    red, green, blue = colour
    x = (0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.9505
    y = light(colour)
    z = (0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.089
    fx, fy, fz = (v ** (1 / 3) if v > 0.008856 else 7.787 * v + 16 / 116 for v in (x, y, z))
    return 116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)


def distance(one: Linear, other: Linear) -> float:
    return sum((a - b) ** 2 for a, b in zip(lab(one), lab(other), strict=True)) ** 0.5


@each("glyphs", [UNICODE, ASCII])
def test_every_state_has_a_sign_of_its_own_so_that_no_colour_is_needed(glyphs):
    assert len({glyphs.kind[kind] for kind in TaskStatus}) == len(TaskStatus)
    assert all(len(sign) == 1 for sign in glyphs.kind.values())


@each("theme", OWN_THEMES)
def test_all_words_can_be_read(theme):
    grounds = [theme.background, theme.variables["head"]]
    needed = 7.0 if theme is HIGH_CONTRAST else 4.5
    for word in WORDS:
        colour = linear(theme.variables[word])
        for ground in grounds:
            at_least = 4.0 if word == "faint" and theme is not HIGH_CONTRAST else needed
            assert contrast(colour, linear(ground)) >= at_least, (word, ground)
        assert contrast(colour, linear(theme.variables["cursor"])) >= 3.0, (word, "cursor")


@each("eye", SEEN_AS)
@each("theme", OWN_THEMES)
def test_states_differ_without_red_or_green(theme, eye):
    colours = {name: seen(linear(theme.variables[name]), eye) for name in STATES}
    ground = seen(linear(theme.background), eye)
    for name, colour in colours.items():
        assert contrast(colour, ground) >= 4.0, name
    close = {
        (one, other): round(distance(colours[one], colours[other]), 1)
        for one, other in combinations(STATES, 2)
        if distance(colours[one], colours[other]) < 10
    }
    assert close == {}


def test_the_settings_know_every_theme():
    assert [theme_name(name) for name in NAMES] == [theme.name for theme in THEMES]
    assert next_theme(ANSI.name) == DARK.name
    assert {theme_name(each) for each in TEXTUAL_THEMES} < set(BUILTIN_THEMES)
    assert [next_theme(name, "nord") for name in (ANSI.name, "nord")] == ["nord", DARK.name]


@each("name", TEXTUAL_THEMES)
def test_all_words_can_be_read_in_textuals_themes_too(name):
    theme = BUILTIN_THEMES[name]
    colours = {word: linear(colour) for word, colour in defaults(theme).items() if word in (*WORDS, "cursor")}
    for word in WORDS:
        assert contrast(colours[word], linear(theme.background)) >= 2.9, word
        assert contrast(colours[word], colours["cursor"]) >= 2.0, word
