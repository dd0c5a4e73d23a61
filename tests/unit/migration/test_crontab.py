"""Reading a crontab: every byte is in some line, and each line says what cron would see in it."""

import random
from pathlib import Path

from scheduler.migration.crontab import BOM, LineKind, has_users, read, split_input, split_user


def one(text: str):
    (line,) = read(text.encode())
    return line


def test_jobs():
    for text, when, rest in [
        ("* * * * * true", "* * * * *", "true"),
        ("  \t*/10\t *   * \t* *\t  /bin/ws  ", "*/10 * * * *", "/bin/ws"),
        ("0 9 * * mon-fri cd x && y # not a comment", "0 9 * * mon-fri", "cd x && y # not a comment"),
        ("@daily /usr/bin/backup --all", "@daily", "/usr/bin/backup --all"),
        ("@reboot\tx", "@reboot", "x"),
        ("*/5 * * * * true\r\n", "*/5 * * * *", "true"),
        ("* * * * * A=1 x", "* * * * *", "A=1 x"),
        ("* * * * *", "* * * * *", ""),
        ("@hourly", "@hourly", ""),
    ]:
        line = one(text)
        assert (line.kind, line.when, line.rest) == (LineKind.JOB, when, rest), text


def test_settings():
    for text, name, value in [
        ("A=1", "A", "1"),
        ("A = 1", "A", "1"),
        ('MAILTO=""', "MAILTO", ""),
        ("MAILTO=", "MAILTO", ""),
        ('B= "two words" ', "B", "two words"),
        ("C='q # not comment'", "C", "q # not comment"),
        ('"D"=x', "D", "x"),
        ("'E F' = x", "E F", "x"),
        ("PATH=/usr/bin:$HOME/bin", "PATH", "/usr/bin:$HOME/bin"),
        ("G=a b  c  ", "G", "a b  c"),
        ("H=it's", "H", "it's"),
        ("I=a=b", "I", "a=b"),
    ]:
        line = one(text)
        assert (line.kind, line.name, line.value) == (LineKind.SETTING, name, value), text


def test_what_cron_would_not_understand_is_nonsense_but_still_a_line():
    assert one("\u00a0* * * * * x").when == "\u00a0* * * * *"
    for text in ["FOO", "=bar", 'A= "', 'A="unclosed', "A='x' y", "* * * /bin/short", "export A=1"]:
        assert one(text).kind is LineKind.NONSENSE, text


def test_comments_blanks_and_the_end_of_the_file():
    lines = read(b"# a\n\n \t\r\n   # b\n* * * * * x")
    assert [line.kind for line in lines] == [
        LineKind.COMMENT,
        LineKind.BLANK,
        LineKind.BLANK,
        LineKind.COMMENT,
        LineKind.JOB,
    ]
    assert [line.number for line in lines] == [1, 2, 3, 4, 5]
    assert read(b"") == ()


def test_a_byte_order_mark_hides_nothing():
    first, second = read(BOM + b"* * * * * x\n" + BOM + b"# no\n")
    assert (first.kind, first.raw[:3]) == (LineKind.JOB, BOM)
    assert second.kind is LineKind.NONSENSE


def test_whatever_the_bytes_are_the_lines_in_a_row_are_the_file_again():
    dice = random.Random(7)
    pieces = [
        b"* * * * * x\n",
        b"A=1\n",
        b"\r",
        b"\n",
        b"\0",
        b"\xff\xfe",
        b"# c\n",
        b"@daily ",
        b" ",
        b"\x0c",
        BOM,
    ]
    for _ in range(300):
        content = b"".join(dice.choices(pieces, k=dice.randint(0, 30)))
        assert b"".join(line.raw for line in read(content)) == content


# What Debian's cron 3.0pl1-162 was seen to hand to the shell and to its standard input.
def test_percent_signs():
    for text, command, given in [
        ("cat %line one%line \\% two%%four \\\\ \\x", "cat ", "line one\nline % two\n\nfour \\\\ \\x\n"),
        ("cat%", "cat", ""),
        ("printf '\\%s' 'a\\\\b' 'c\\%d' 'e\\x' '\\\\\\%'", "printf '%s' 'a\\b' 'c%d' 'e\\x' '\\%'", None),
        ("date +\\%Y-\\%m", "date +%Y-%m", None),
        ("mail root%hi%", "mail root", "hi\n"),
        ("true", "true", None),
        ("echo \\", "echo \\", None),
    ]:
        assert split_input(text) == (command, given), text


def test_the_column_of_users():
    assert split_user("root  cd / && x") == ("root", "cd / && x")
    assert split_user("root") == ("root", "")
    assert split_user("") == ("", "")


def users_in(place: str | None, *jobs: str) -> bool:
    lines = read("".join(f"0 0 * * * {job}\n" for job in jobs).encode())
    return has_users(Path(place) if place else None, lines, "opus")


def test_the_place_says_whether_there_is_a_column_of_users():
    assert users_in("/etc/crontab", "x")
    assert users_in("/etc/cron.d/munin", "x")
    assert not users_in("/var/spool/cron/crontabs/me", "root x")
    assert not users_in(None, "root x")  # `crontab -l`


def test_in_any_other_file_root_or_a_plain_word_before_every_program_does():
    for jobs in (
        ["root cd / && run-parts /etc/cron.hourly"],
        ["opus x"],
        ["/usr/bin/true", "root /y"],
        ["no_such_login /y", "root\t/y"],
        ["minecraft /srv/update.sh", "minecraft if true; then /srv/purge.sh; fi"],
    ):
        assert users_in("/home/opus/crontab", *jobs), jobs
    for jobs in (
        ["mail -s hi root"],
        ["minecraft -x"],
        ["forecast json", "pass_like git pull"],
        ["/usr/bin/true", "echo root"],
        ["cd /tmp && pwd", "minecraft /srv/update.sh"],
        ["sync now"],
        ["root"],
        [],
    ):
        assert not users_in("/home/opus/crontab", *jobs), jobs
