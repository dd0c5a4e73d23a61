"""What a program printed is shown as it comes, and never steers the terminal."""

from scheduler.cli.printing import LINE, Printout, readable
from scheduler.core.views import OutputChunk
from tests.each import each


def shown(*pieces: str, prefix: str = "") -> str:
    printout = Printout(prefix)
    return "".join(printout.add(OutputChunk(text)) for text in pieces) + printout.end()


@each(
    ("printed", "seen"),
    [
        ("a\tb\n", "a    b\n"),
        ("\x1b[1;31mred\x1b[0m\n", "red\n"),
        ("10%\r20%\r\n", "10%\n20%\n"),
        ("\x1b]0;title\x07plain\n", "plain\n"),
        ("bell \x07 and \x9b and \u202e\n", "bell \\x07 and \\x9b and \\u202e\n"),
        ("\x1b[31", "\\x1b[31\n"),
        ("no end", "no end\n"),
        ("", ""),
    ],
)
def test_it_is_readable_text(printed, seen):
    assert shown(printed) == seen
    assert "".join(readable(printed)) in (seen, seen.removesuffix("\n"))
    assert shown(*printed) == seen, "and the same if it comes in single characters"


def test_half_a_line_is_shown_at_once_and_half_a_sequence_is_not():
    printout = Printout()
    assert printout.add(OutputChunk("working...")) == "working..."
    assert printout.add(OutputChunk(" \x1b[3")) == " "
    assert printout.add(OutputChunk("1mdone\r")) == "done"
    assert printout.add(OutputChunk("\n")) == "\n"
    assert printout.end() == ""


def test_with_a_prefix_it_is_whole_lines():
    printout = Printout("opus/a: ")
    assert printout.add(OutputChunk("one\ntw")) == "opus/a: one\n"
    assert printout.add(OutputChunk("o\n\nthree")) == "opus/a: two\nopus/a: \n"
    assert printout.end() == "opus/a: three\n"
    assert len(printout.add(OutputChunk("x" * (LINE + 1)))) == len("opus/a: ") + LINE + 1


@each("prefix", ["", "opus/a: "])
def test_what_was_skipped_has_a_line_of_its_own(prefix):
    printout = Printout(prefix)
    printout.add(OutputChunk("half"))
    gap = f"{prefix}… 1,234 bytes left out …\n"
    said = printout.add(OutputChunk("rest\n", 1234))
    assert said == (f"{prefix}half\n" if prefix else "\n") + gap + f"{prefix}rest\n"
