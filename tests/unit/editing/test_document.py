"""One change in the text of a TOML file leaves everything else as it is, to the byte."""

import tomllib

import pytest

from scheduler.editing.document import (
    CannotEdit,
    line_of,
    value_at,
    with_table,
    with_value,
    without_table,
)

FILE = """\
#:schema ./.experience/schema.json
# The settings of opus.
workers = 2   # two

# what it does each morning
[tasks.report]
cron = "0 9 * * *"
# timeout = "1h"

# a text that looks like a table
[tasks.odd]
every = "1h"
command = ["sh", "-c", '''
[tasks.report]
echo
''']
[tasks.odd.environment]
A = "1"

# the last words
"""
REPORT = ("tasks", "report")


def test_a_new_table_goes_to_the_end_and_its_removal_restores_every_byte():
    for text in ("", FILE, FILE.rstrip("\n"), "\ufeff" + FILE, FILE.replace("\n", "\r\n")):
        longer = with_table(text, ("tasks", "new"), {"every": "1h", "command": ["sh", "-c", 'a "b"']})
        assert longer.startswith(text)
        assert value_at(longer, ("tasks", "new", "command")) == ["sh", "-c", 'a "b"']
        assert without_table(longer, ("tasks", "new")).rstrip("\r\n") == text.rstrip("\r\n")


def test_a_file_keeps_its_line_ends():
    longer = with_table("a = 1\r\n", ("b",), {"c": 1})
    assert longer == "a = 1\r\n\r\n[b]\r\nc = 1\r\n"


def test_a_removed_table_takes_its_own_comments_along_and_leaves_those_of_the_next():
    assert without_table(FILE, REPORT) == FILE.replace(
        '[tasks.report]\ncron = "0 9 * * *"\n# timeout = "1h"\n', "", 1
    )


def test_a_removed_table_takes_the_tables_in_it_along():
    shorter = without_table(FILE, ("tasks", "odd"))
    assert shorter == FILE[: FILE.index("[tasks.odd]")] + "\n# the last words\n"


def test_a_header_in_a_text_of_several_lines_is_none():
    assert line_of(FILE, REPORT) == 6
    assert line_of(FILE.replace("[tasks.report]\ncron", "[tasks.other]\ncron"), REPORT) is None


def test_a_value_goes_right_below_the_header_and_replaces_one_that_is_there():
    off = with_value(FILE, (*REPORT, "enabled"), False)
    assert off == FILE.replace("[tasks.report]\ncron", "[tasks.report]\nenabled = false\ncron", 1)
    noted = off.replace("enabled = false", "enabled = false  # until May")
    assert with_value(noted, (*REPORT, "enabled"), True) == noted.replace("= false ", "= true ")
    assert with_value("", ("tasks", "a", "enabled"), False) == "[tasks.a]\nenabled = false\n"


def test_tables_on_one_line_and_with_dots_are_changed_where_they_are():
    texts = {
        'tasks = {a = {every = "1h"}, b = {every = "2h"}}  # two\n': "tasks = {",
        'tasks.a.every = "1h"\ntasks.b.every = "2h"  # two\n': "tasks.b",
        '[tasks]\na = {every = "1h"}\nb = {every = "2h"}  # two\n': "[tasks]",
    }
    for text, kept in texts.items():
        shorter = without_table(text, ("tasks", "a"))
        assert tomllib.loads(shorter) == {"tasks": {"b": {"every": "2h"}}}
        assert kept in shorter
        assert "# two" in shorter
        off = with_value(text, ("tasks", "a", "enabled"), False)
        assert tomllib.loads(off)["tasks"] == {
            "a": {"every": "1h", "enabled": False},
            "b": {"every": "2h"},
        }


def test_what_would_change_anything_else_is_refused():
    with pytest.raises(CannotEdit, match=r"tasks\.new"):
        with_table('tasks = "none"\n', ("tasks", "new"), {"every": "1h"})
