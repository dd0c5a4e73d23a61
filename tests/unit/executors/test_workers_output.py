"""What a run wrote is bounded, however much it was."""

import threading

from scheduler.executors.output import KEEP, OutputBuffer

MIB = 1024 * 1024


def written(*chunks: bytes) -> OutputBuffer:
    output = OutputBuffer()
    for chunk in chunks:
        output.write(chunk)
    return output


def test_little_is_kept_whole():
    assert written(b"one\n", b"", b"two\n").text() == "one\ntwo\n"
    assert written().text() == written().tail_line() == ""


def test_a_character_across_the_seam_of_head_and_tail_stays_whole():
    text = "x" * (KEEP - 1) + "é" + "y" * (KEEP - 1)
    assert written(text.encode()).text() == text


def test_200_million_bytes_keep_their_two_ends_and_say_what_is_missing():
    chunk = b"a" * 65536
    output = written(b"first\n", *(chunk for _ in range(200_000_000 // 65536)), b"\nlast\n")
    text = output.text()
    assert text.startswith("first\n") and text.endswith("\nlast\n")
    assert f"\n… {output.size - 2 * KEEP:,} bytes left out …\n" in text
    assert output.tail_line() == "last" and output.first_line() == "first"
    assert len(output._head) + len(output._tail) <= 4 * KEEP


def test_one_write_larger_than_everything_keeps_no_more_either():
    output = written(b"<" + b"x" * (10 * MIB) + b">")
    assert output.text()[0] == "<" and output.text()[-1] == ">"
    assert len(output._head) + len(output._tail) <= 4 * KEEP


def test_the_ends_are_exact_for_any_size_of_writes():
    whole = bytes(i * 7 % 251 for i in range(3 * KEEP))
    for size in (1, 7, 1000, KEEP - 1, KEEP, KEEP + 1, 2 * KEEP, 3 * KEEP):
        output = written(*(whole[i : i + size] for i in range(0, len(whole), size)))
        assert bytes(output._head) == whole[:KEEP]
        assert bytes(output._tail[-KEEP:]) == whole[-KEEP:]
        assert output.size == len(whole)


def test_bytes_that_are_no_text_are_replaced():
    assert written(b"caf\xe9\n").text() == "caf\ufffd\n"


def test_the_line_for_a_row_is_the_last_that_says_anything():
    output = written(b"\n\x1b[32mchecking\x1b[0m\n10%\r100% done  \n\x1b[0m\n\n   \n")
    assert output.first_line() == "checking"
    assert output.tail_line() == "100% done"
    assert len(written(b"x" * 9000).tail_line()) == 500


def test_threads_may_write_at_once():
    output = OutputBuffer()
    threads = [
        threading.Thread(target=lambda: [output.write(b"x" * 10) for _ in range(5000)]) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert output.size == 4 * 5000 * 10
    assert set(output.text().replace("left out", "")) >= {"x"}


async def test_bytes_that_never_came_are_counted_where_they_are_missing():
    output = OutputBuffer()
    output.write(b"begin ")
    output.skip(1000)
    output.write(b"end")
    output.close()
    assert output.text() == "begin \n… 1,000 bytes left out …\nend"
    assert [(each.skipped, each.text) async for each in output.subscribe()] == [(0, "begin "), (1000, "end")]
