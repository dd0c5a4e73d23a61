"""A few letters find what is meant, the likeliest first, fast enough for every key."""

from tests.screens.situations import task
from tui.common.task_ref import TaskRef
from tui.palette.entries import Entry, action_words, best


def found(query: str, *names: str) -> list[str]:
    return [entry.label for entry in best(query, [Entry(name, "", list) for name in names], 10)[0]]


NAMES = (
    "opus/heartbeat",
    "opus/news_scan",
    "mira/news_scan",
    "mira/email_check",
    "newton/tick",
    "sort panels",
)


def test_the_likeliest_is_first():
    for query, first in {
        "news": "opus/news_scan",
        "mira news": "mira/news_scan",
        "mns": "mira/news_scan",
        "NEWT": "newton/tick",
        "ehk": "mira/email_check",
        "hea": "opus/heartbeat",
    }.items():
        assert found(query, *NAMES)[0] == first, query


def test_letters_in_a_row_count_more_than_scattered_ones_and_the_start_of_a_word_more_than_its_middle():
    assert found("scan", "s_c_a_n", "rescans", "news_scan") == ["news_scan", "rescans", "s_c_a_n"]


def test_all_words_have_to_be_there():
    assert found("mira tick", *NAMES) == []
    assert found("zzz", *NAMES) == []
    assert found("ba", "ab") == []


def test_without_a_query_all_are_there_in_their_own_order():
    assert found("", "b", "a") == found("  ", "b", "a") == ["b", "a"]


def test_what_fits_alike_stays_in_its_order():
    assert found("tick", "aa/tick", "bb/tick", "cc/tick") == ["aa/tick", "bb/tick", "cc/tick"]


def test_what_is_called_that_comes_before_what_mentions_it_however_long_its_words():
    filter = "filter: show only what matches; ! in front inverts"
    assert found("filter", "drop the filter", filter) == [filter, "drop the filter"]


def test_how_many_were_found_is_counted_beyond_those_that_are_listed():
    entries = [Entry(f"tick{number}", "", list) for number in range(30)]
    listed, count = best("tick", entries, 10)
    assert (len(listed), count, best("", entries, 10)[1], best("zz", entries, 10)[1]) == (10, 30, 30, 0)


def test_an_action_is_one_sentence_that_names_the_row_it_is_done_to():
    row = TaskRef("opus", task("report"))
    for name, verb, about, said in [
        ("table", "table", "table, and back to the panels", "table, and back to the panels"),
        ("table", "panels", "back to the panels", "back to the panels"),
        ("failing", "failing", "force all that fail", "failing: force all that fail"),
        ("force", "force", "force: run the task now", "force opus/report: run the task now"),
        ("pause", "pause", "pause or resume", "pause or resume opus/report"),
        ("stop", "stop", "stop the run; asks first", "stop opus/report: it is not running"),
    ]:
        assert action_words(name, verb, about, row) == said
