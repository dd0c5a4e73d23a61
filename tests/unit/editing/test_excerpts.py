"""Where a problem stands in its file: the line, what of it is wrong, and no secret beside it."""

from scheduler.core.secrets import Masks
from scheduler.editing.editor import FileEditor
from scheduler.editing.excerpts import excerpt
from tests.each import each

TEXT = """\
# mine
[tasks.report]
evry = "1h"
command = ["sh", "hunter2"]

[tasks.digest]
cron = "0 9 * * mon-fry"
"""


@each(
    ("line", "key", "words", "found"),
    [
        (0, "tasks.report.evry", "unknown key; did you mean every?", (3, "evry")),
        (0, "tasks.digest.cron", "'0 9 * * mon-fry': Bad day-of-week", (7, "mon-fry")),
        (0, "tasks.report.command", "is a number", (4, '["sh", "***"]')),
        (0, "tasks.report", "has no schedule", (2, "report")),
        (7, "", "Invalid value at column 4", (7, '"0 9 * * mon-fry"')),
    ],
)
def test_the_line_and_what_is_wrong_in_it(line, key, words, found):
    place = excerpt(TEXT, line, key, words, Masks(frozenset({"hunter2"})))
    assert place is not None
    shown = place.lines[place.line - place.first]
    assert (place.line, shown[place.at : place.at + place.wrong]) == found
    assert "hunter2" not in "".join(place.lines) and len(place.lines) <= 3


def test_what_is_not_found_has_no_excerpt():
    masks = Masks(frozenset())
    assert excerpt(TEXT, 0, "tasks.none.every", "x", masks) is None
    assert excerpt(TEXT, 99, "", "x", masks) is None
    assert excerpt("this is no TOML", 0, "tasks.report", "x", masks) is None


def test_only_a_file_of_the_settings_is_read(tmp_path):
    (tmp_path / "opus").mkdir()
    own = tmp_path / "opus/experience.toml"
    own.write_text(TEXT)
    (tmp_path / "main.toml").write_text(f'root = "{tmp_path}"\n')
    other = tmp_path / "other.toml"
    other.write_text(TEXT)
    editor = FileEditor(tmp_path / "main.toml")
    asked = 0, "tasks.report.evry", "unknown key"
    found = editor.excerpt("opus", own, *asked)
    assert found is not None and found.line == 3
    assert editor.excerpt("opus", other, *asked) is None


@each("key", ["tasks.report.x.y", "a"])
def test_a_key_that_is_not_there_is_no_error(key):
    assert excerpt(TEXT, 0, key, "x", Masks(frozenset())) is None or key == "tasks.report.x.y"
