"""email_check against a real Dovecot over TLS, and against servers that do what no good one does."""

import asyncio
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter, process_time

import pytest

from scheduler.core.secrets import Sensitive
from scheduler.core.task import Context, Report
from scheduler.errors import TaskFailed
from scheduler.handlers.email_check import connection as imap_client
from scheduler.handlers.email_check import handler as module
from scheduler.handlers.email_check import mailbox
from scheduler.handlers.email_check import queued_mail as mail_queue
from scheduler.handlers.email_check.connection import CuttableSocket
from scheduler.handlers.email_check.handler import check, email_check
from scheduler.handlers.email_check.message import read_headers
from scheduler.handlers.email_check.options import Options
from scheduler.handlers.email_check.queued_mail import MailQueue
from scheduler.handlers.email_check.rules import priority
from scheduler.handlers.registry import built_in
from scheduler.schema.table import Problems, read
from scheduler.system.clock import SystemClock
from tests.each import each
from tests.fakes import until
from tests.handlers.email_check.dovecot import PASSWORD, USER, Dovecot, dovecot, free_port
from tests.handlers.email_check.mail_servers import CUT, Scripted, cutting, fetched, greeting, serving, silent

SAMPLES = Path(__file__).parents[3] / "../shared/data/emails"
DAY = 86400.0

real = pytest.mark.needs("dovecot", "openssl")
with_openssl = pytest.mark.needs("openssl")


def options(port: int, authority: Path | None, **more: object) -> Options:
    given = {
        "host": "localhost",
        "port": port,
        "user": USER,
        "password": PASSWORD,
        "urgent_from": ["ct@example.org"],
    }
    problems = Problems({})
    found = read(Options, given | ({"ca_file": str(authority)} if authority else {}) | more, (), problems)
    assert not problems.found
    return found


def message(
    sender: str = "ct@example.org", subject: str = "Fire", ident: str = "", body: str = "Come."
) -> bytes:
    lines = [
        f"From: {sender}",
        f"Subject: {subject}",
        "Date: Mon, 2 Mar 2026 12:00:00 +0000",
        "To: opus@example.org",
    ]
    head = [*lines, f"Message-ID: <{ident}>"] if ident else lines
    return "\r\n".join([*head, "", body, ""]).encode()


def look(home: Path, given: Options, at: float | None = None) -> str | Report:
    return check(home, given, at or SystemClock.now(), lambda *step: None, CuttableSocket())


def failure(home: Path, given: Options) -> str:
    with pytest.raises(TaskFailed) as error:
        look(home, given)
    text = str(error.value)
    assert "\n" not in text
    assert PASSWORD not in text
    return text.replace(f"localhost:{given.port}", "SERVER")


def queue(home: Path) -> list[dict]:
    return [json.loads(file.read_text()) for file in sorted((home / "tasks" / "queue").glob("*"))]


def append(server: Dovecot, *messages: bytes) -> None:
    with server.box() as box:
        for each in messages:
            box.append(each, "INBOX", dt=None, flag_set=())


@pytest.fixture(scope="module")
def shared() -> Iterator[Dovecot]:
    """One server for all tests; each begins with an empty mailbox."""
    with dovecot() as server:
        yield server


@pytest.fixture
def server(shared: Dovecot) -> Dovecot:
    shared.empty()
    return shared


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imap_client, "TIMEOUT", 0.3)


# ------------------------------------------------------------------ work


@real
def test_an_urgent_message_becomes_one_file_as_v2_wrote_it(server, home):
    append(
        server,
        message("Ada <ct@example.org>", "=?utf-8?q?F=C3=BCr?= you", "a@example.org"),
        message("x@example.com"),
    )
    given = options(server.port, server.authority)
    assert look(home, given) == "URGENT:1 of 2 unread: ct@example.org: Für you"
    (work,) = queue(home)
    assert work.pop("created").endswith("+00:00")
    assert work == {
        "type": "process_email",
        "description": "Process email: Für you",
        "email": {
            "id": "<a@example.org>",
            "from": "Ada <ct@example.org>",
            "to": "opus@example.org",
            "subject": "Für you",
            "date": "Mon, 2 Mar 2026 12:00:00 +0000",
            "body": "Come.",
            "size": work["email"]["size"],
            "truncated": False,
        },
        "priority": "urgent",
    }
    (file,) = (home / "tasks" / "queue").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert (home / ".experience").stat().st_mode & 0o777 == 0o700
    assert look(home, given) == "2 unread, 1 urgent, queued before"


@real
def test_the_results_in_words(server, home):
    given = options(server.port, server.authority, urgent_subjects=["help"])
    assert look(home, given) == "no unread mail"
    append(server, *(message("notct@example.org", "helpful", f"{n}@x") for n in range(3)))
    assert look(home, given) == "3 unread, none urgent"
    append(server, *(message("a@example.com", "Help!", f"h{n}@x") for n in range(4)))
    assert (
        look(home, given)
        == "URGENT:4 of 7 unread: " + "; ".join(["a@example.com: Help!"] * 3) + " and 1 more"
    )
    assert {work["priority"] for work in queue(home)} == {"high"}


@real
@pytest.mark.timeout(60)
def test_the_samples_are_queued_once_over_runs_restarts_and_new_uids_and_no_flag_changes(server, home):
    files = sorted(SAMPLES.rglob("*.eml"))
    if not files:
        pytest.skip("the folder of sample messages is not there")
    samples = [file.read_bytes() for file in files]
    variations = [
        b"From: Ct <ct@example.org>\r\nMessage-ID: <v%d@x>\r\n" % n + raw for n, raw in enumerate(samples)
    ]
    append(server, *samples, *variations)
    given = options(
        server.port, server.authority, urgent_from=["ct@example.org", "example.com", "lindsaar.net"]
    )
    expected = {
        found.key
        for found in map(read_headers, (*samples, *variations))
        if priority(found.addresses, found.subject, given.urgent_from, ())
    }
    assert len(expected) > len(samples)
    flags = server.flags()
    assert len(flags) == 2 * len(samples) >= 150
    first = look(home, given)
    assert str(first).startswith(f"URGENT:{len(expected)} of {len(flags)} unread: ")
    assert {file.stem for file in (home / "tasks" / "queue").iterdir()} == {
        f"email_{key}" for key in expected
    }
    shutil.rmtree(home / "tasks")  # the agent has done it all
    results = [look(home, given)]
    server.restart()
    results.append(look(home, given))
    assert server.flags() == flags
    server.stop()
    for index in server.mail.glob("dovecot*"):
        index.unlink()  # new UIDs, new UIDVALIDITY
    server.start()
    results.append(look(home, given))
    assert len(set(results)) == 1
    assert " urgent, queued before" in str(results[0])
    assert not (home / "tasks").exists()
    assert set(server.flags().values()) == set(flags.values()) == {()}


@real
def test_read_mail_is_left_alone(server, home):
    append(server, message(ident="a@x"))
    with server.box() as box:
        box.flag(box.uids(), "\\Seen", True)
    assert look(home, options(server.port, server.authority)) == "no unread mail"


@real
def test_old_mail_is_not_looked_at(server, home):
    append(server, message(ident="a@x"))
    given = options(server.port, server.authority, since="2d")
    now = SystemClock.now()
    assert look(home, given, now + 2.5 * DAY) == "no unread mail"
    assert look(home, given, now + 1.5 * DAY) == "URGENT:1 of 1 unread: ct@example.org: Fire"


@real
def test_a_limit_looks_at_the_newest(server, home):
    append(server, message(ident="old@x"), message("a@example.com"), message("b@example.com"))
    given = options(server.port, server.authority, limit=2)
    assert look(home, given) == "3 unread, none urgent in the newest 2"


@real
def test_another_folder(server, home):
    with server.box() as box:
        box.folder.create("Für mich")
        box.append(message(ident="a@x"), "Für mich", dt=None, flag_set=())
    try:
        assert str(look(home, options(server.port, server.authority, folder="Für mich"))).startswith(
            "URGENT:1"
        )
    finally:
        with server.box() as box:
            box.folder.delete("Für mich")


@real
@pytest.mark.timeout(60)
def test_fifty_megabytes_are_never_downloaded_whole(server, home):
    part = "--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nJä.\r\n".encode()
    load = b"--b\r\nContent-Type: application/zip; name=a.zip\r\nContent-Disposition: attachment\r\n\r\n"
    load += (b"A" * 76 + b"\r\n") * (50 * 1024 * 1024 // 78)
    kind = b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n"
    for name, parts in (("text first", part + load), ("text last", load + part)):
        head = (
            message(subject=name, ident=name.replace(" ", "-")).split(b"\r\n\r\n")[0]
            + b"\r\n"
            + kind
            + b"\r\n"
        )
        server.deliver([head + parts + b"--b--\r\n"])
    spent: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(imap_client.Client, "_spend", lambda self, size: spent.append(size))
        assert str(look(home, options(server.port, server.authority))).startswith("URGENT:2 of 2")
    assert sum(spent) < 400_000
    assert {(work["email"]["body"], work["email"]["truncated"]) for work in queue(home)} == {("Jä.", True)}
    assert all(work["email"]["size"] > 50_000_000 for work in queue(home))


@real
@pytest.mark.timeout(60)
def test_ten_thousand_unread(server, home):
    server.deliver(message("a@example.com", f"number {n}", f"{n}@x") for n in range(9_998))
    server.deliver([message(ident="first@x"), message(ident="second@x")])
    given = options(server.port, server.authority)
    assert str(look(home, given)).startswith("URGENT:2 of 10000 unread")  # Dovecot's own index is made here
    start = process_time()  # of this process, whatever else the machine does
    assert look(home, given) == "10000 unread, 2 urgent, queued before"
    assert process_time() - start < 3


@real
async def test_the_loop_is_free_while_mail_is_read(server, home):
    server.deliver(message("a@example.com", f"number {n}", f"{n}@x") for n in range(2_000))
    server.deliver([message(ident="first@x")])
    seen: list[tuple[float, float, str]] = []
    context = Context(
        "opus",
        home,
        "email_check",
        options(server.port, server.authority),
        report=lambda p: seen.append((p.done, p.total, p.text)),
    )
    gaps, last = [0.0, 0.0], perf_counter()
    run = asyncio.create_task(email_check(context))
    while not run.done():
        await asyncio.sleep(0.001)
        gaps.append(perf_counter() - last)
        last = perf_counter()
    assert str(await run).startswith("URGENT:1 of 2001")
    assert sorted(gaps)[-2] < 0.2  # one may be the machine's
    assert seen[-1] == (2001, 2001, "unread messages")


# ------------------------------------------------------------------ once


@real
def test_a_run_that_died_after_the_queue_file_neither_loses_nor_doubles(server, home, monkeypatch):
    append(server, message(ident="a@x"))
    given = options(server.port, server.authority)

    class Died(BaseException): ...

    def die(self: MailQueue) -> None:
        raise Died

    with monkeypatch.context() as patch:
        patch.setattr(MailQueue, "save", die)
        with pytest.raises(Died):
            look(home, given)
    (file,) = (home / "tasks" / "queue").iterdir()
    file.write_text(json.dumps(json.loads(file.read_text()) | {"seen": True}))
    assert str(look(home, given)).startswith("URGENT:1")  # its wake has not been heard of either
    assert [work["seen"] for work in queue(home)] == [True]
    assert look(home, given) == "1 unread, 1 urgent, queued before"


def test_what_was_not_seen_for_long_is_forgotten(home):
    now = SystemClock.now()
    memory = MailQueue(home, now, DAY)
    memory.add("old", {}), memory.add("new", {})
    memory.save()
    later = MailQueue(home, now + 300 * DAY, DAY)
    assert later.knows("new")
    later.save()
    last = MailQueue(home, now + 500 * DAY, DAY)
    assert last.knows("new")
    assert not last.knows("old")


def test_a_memory_that_is_no_json_is_set_aside(home):
    (home / ".experience").mkdir()
    (home / ".experience" / "urgent_mail.json").write_text("half a fi")
    MailQueue(home, 0.0, DAY).add("a", {})
    assert len([*(home / ".experience").glob("urgent_mail.json.corrupt-*")]) == 1


@each("junk", [{"seen": []}, {"seen": {"a": "b", "c": None, "d": True}}, {}])
def test_odd_memories_remember_nothing(home, junk):
    (home / ".experience").mkdir()
    (home / ".experience" / "urgent_mail.json").write_text(json.dumps(junk))
    assert not MailQueue(home, SystemClock.now(), DAY).knows("a")


@real
def test_a_full_queue_makes_messages_wait_not_vanish(server, home, monkeypatch):
    monkeypatch.setattr(mail_queue, "FULL", 2)
    append(server, *(message(ident=f"{n}@x") for n in range(3)))
    given = options(server.port, server.authority)
    report = look(home, given)
    assert isinstance(report, Report)
    assert (report.urgent, report.warning) == (True, True)
    assert "; 1 more are urgent and wait: tasks/queue holds" in report.text
    report = look(home, given)
    assert isinstance(report, Report)
    assert not report.urgent
    shutil.rmtree(home / "tasks")
    assert str(look(home, given)).startswith("URGENT:1 of 3")


@real
def test_one_run_queues_so_many_and_the_next_goes_on(server, home, monkeypatch):
    monkeypatch.setattr(module, "A_RUN", 2)
    append(server, *(message(ident=f"{n}@x") for n in range(3)))
    given = options(server.port, server.authority)
    assert str(look(home, given)).endswith("; 1 more are urgent and wait: the next run goes on")
    assert str(look(home, given)).startswith("URGENT:1 of 3")
    assert len(queue(home)) == 3


@real
@each("blocked", ["tasks", ".experience"])
def test_what_cannot_be_saved_fails(server, home, blocked):
    append(server, message(ident="a@x"))
    (home / blocked).write_text("a file where the folder should be")
    assert "cannot be" in failure(home, options(server.port, server.authority))


# ------------------------------------------------------------------ failures, each with its own message


@real
def test_a_wrong_password(server, home):
    said = failure(home, options(server.port, server.authority, password="not-it"))
    assert said == (
        "SERVER refuses the login; check user and password: [AUTHENTICATIONFAILED] Authentication failed."
    )


@real
def test_passwords_beyond_ascii_and_with_quotes(server, home):
    assert "refuses the login" in failure(home, options(server.port, server.authority, password='pä\\ß"€'))


@real
@each(
    ("certificate", "known", "words"),
    [
        ("expired", True, "has expired; its server needs a new one"),
        ("alone", True, "is signed by itself alone; if it is the right one, name its file as ca_file"),
        ("other", True, "is for another host; write host as the certificate has it"),
        (
            "good",
            False,
            "comes from an authority that is not known here; name that authority's file as ca_file",
        ),
    ],
)
def test_certificates(server, home, certificate, known, words):
    server.restart(f"{certificate}.pem")
    try:
        said = failure(home, options(server.port, server.authority if known else None))
    finally:
        server.restart()
    assert said == f"the certificate of SERVER {words}"


@real
def test_a_certificate_that_signed_itself_may_be_named(server, home):
    server.restart("alone.pem")
    try:
        assert look(home, options(server.port, server.folder / "alone.pem")) == "no unread mail"
    finally:
        server.restart()


@each(("content", "words"), [(None, "No such file or directory"), ("junk", "no certificates in PEM form")])
def test_a_ca_file_that_is_none(tmp_path, home, content, words):
    file = tmp_path / "ca.pem"
    if content:
        file.write_text(content)
    assert failure(home, options(1, file)) == f"ca_file {file}: {words}"


@real
def test_a_folder_that_is_not_there(server, home):
    said = failure(home, options(server.port, server.authority, folder="Nowhere"))
    assert said.startswith("SERVER does not open the folder; check folder: Mailbox doesn't exist: Nowhere")


@real
@each("after", [0, 100, 2000, 4000, 6000, 12_000])
def test_a_connection_that_is_cut(server, home, after):
    server.deliver(message("a@example.com", "x" * 50, f"{n}@x") for n in range(60))
    with serving(cutting(server.port, after)) as port:
        said = failure(home, options(port, server.authority))
    assert said == "SERVER cut the connection; the next run tries again"
    assert not (home / "tasks").exists()


@with_openssl
@each("begun", [b"", b"* 1 FE", b"* 1 FETCH (UID 1 BODY[] {50}\r\nFrom: ct@exa", b"* 1 FETCH (UID 1)\r\n"])
def test_a_connection_that_is_cut_at_the_worst_place(tmp_path, home, begun):
    with serving(script := Scripted(tmp_path, fetch=begun + CUT)) as port:
        said = failure(home, options(port, script.authority))
    assert said == "SERVER cut the connection; the next run tries again"


@real
def test_what_was_urgent_before_the_cut_wakes_all_the_same(server, home, monkeypatch):
    monkeypatch.setattr(mailbox, "BATCH", 1)
    server.deliver(message("a@example.com", "x", f"{n}@x") for n in range(60))
    append(server, message(ident="new@x"))
    with serving(cutting(server.port, 9_000)) as port:
        report = look(home, options(port, server.authority))
    assert isinstance(report, Report)
    assert report.urgent
    assert report.warning
    assert report.text.endswith(f"; localhost:{port} cut the connection; the next run tries again")
    assert look(home, options(server.port, server.authority)) == "61 unread, 1 urgent, queued before"


def test_a_server_that_hangs(home, impatient):
    with serving(silent) as port:
        assert failure(home, options(port, None)) == "SERVER does not answer: silent for 0.3s"


@with_openssl
@each("command", ["search", "fetch", "login", "logout"])
def test_a_server_that_hangs_later(tmp_path, home, impatient, monkeypatch, command):
    monkeypatch.setattr(mailbox, "FAREWELL", 0.1)
    answers = {"search": b"* SEARCH\r\n$ OK done\r\n"} if command == "logout" else {}
    with serving(script := Scripted(tmp_path, **{**answers, command: b""})) as port:
        given = options(port, script.authority)
        if command == "logout":
            assert look(home, given) == "no unread mail"
        else:
            assert failure(home, given) == "SERVER does not answer: silent for 0.3s"


async def test_a_run_that_is_cancelled_lets_go_of_its_server(home, monkeypatch):
    reached = asyncio.Event()
    loop = asyncio.get_running_loop()
    ended: list[bool] = []

    def talk(connection) -> None:
        loop.call_soon_threadsafe(reached.set)
        silent(connection)
        ended.append(True)

    with serving(talk) as port:
        run = asyncio.create_task(email_check(Context("opus", home, "email_check", options(port, None))))
        await asyncio.wait_for(reached.wait(), 5)
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        await until(lambda: ended, "the connection is over")


def test_a_port_without_tls(home):
    with serving(greeting(b"* OK IMAP4rev1 ready\r\n")) as port:
        assert (
            failure(home, options(port, None))
            == "SERVER speaks no TLS; set port to its port for TLS, mostly 993"
        )


def test_nothing_listens(home):
    assert failure(home, options(free_port(), None)) == "SERVER refuses connections; check host and port"


def test_a_host_that_is_not_there(home):
    said = failure(home, options(993, None, host="nowhere.invalid"))
    assert said.startswith(
        ("there is no host nowhere.invalid", "the host nowhere.invalid cannot be looked up now")
    )


@with_openssl
@each(
    "welcome, words",
    [
        (b"220 mail.example.org ESMTP\r\n", "SERVER speaks no IMAP; check host and port"),
        (b"\xff\xfe\r\n", "SERVER speaks no IMAP; check host and port"),
        (b"* BYE too many connections\r\n", "SERVER does not do what was asked: * BYE too many connections"),
    ],
)
def test_odd_welcomes(tmp_path, home, welcome, words):
    with serving(script := Scripted(tmp_path, welcome)) as port:
        assert failure(home, options(port, script.authority)) == words


@with_openssl
@each(
    "answer",
    [b"$ NO no such user: \\L\r\n", b"$ BAD what is \\L\r\n", b"* BYE \\L\r\n$ NO \\L\r\n", b"junk \\L\r\n"],
)
def test_a_server_that_repeats_the_password(tmp_path, home, answer):
    with serving(script := Scripted(tmp_path, login=answer)) as port:
        said = failure(home, options(port, script.authority, password='s3"cr\\et'))
    assert "s3" not in said
    assert any("s3" in line for line in script.heard)


@with_openssl
def test_a_server_that_repeats_the_password_as_it_went_over_the_line(tmp_path, home):
    answers = [b"+ \r\n", b"$ NO \\L\r\n"]
    with serving(
        script := Scripted(tmp_path, authenticate=b"+ \r\n", **{"AGFSAWNLAA==": answers[1]})
    ) as port:
        said = failure(home, options(port, script.authority, password="pässwörd"))
    assert "pässwörd" not in said
    assert script.heard[-1].strip() not in said


@with_openssl
@each(
    "answer",
    [
        b"* 1 FETCH (UID 1 BODY[] {99999999999}\r\n",
        (b"* SEARCH" + b" 1234567" * 1000 + b"\r\n") * 1400,
        b"* 1 FETCH (" + b"x" * 11_000_000 + b")\r\n$ OK done\r\n",
    ],
)
def test_a_server_that_sends_without_end(tmp_path, home, answer):
    with serving(script := Scripted(tmp_path, fetch=answer)) as port:
        assert (
            failure(home, options(port, script.authority))
            == "SERVER does not do what was asked: its answer is longer than 10 MiB"
        )


@with_openssl
def test_answers_in_any_order_and_of_other_messages(tmp_path, home):
    urgent = message(ident="a@x").split(b"\r\n\r\n")[0]
    first = b"* 7 FETCH (UID 70 FLAGS (\\Seen))\r\n" + fetched(1, urgent + b"\r\n", uid_last=True)
    more = b"* 7 FETCH (UID 70 FLAGS ())\r\n* 8 EXISTS\r\n$ NO [EXPUNGEISSUED] some are gone\r\n"
    text = fetched(1, urgent + b"\r\n", b"Come.\r\n") + b"$ OK done\r\n"
    with serving(script := Scripted(tmp_path, fetch=[first + more, text])) as port:
        assert str(look(home, options(port, script.authority))).startswith("URGENT:1 of 1")
    assert "FETCH 1 (UID BODY.PEEK[]<0." in script.heard[-2]
    assert [work["email"]["body"] for work in queue(home)] == ["Come."]


@with_openssl
@each("answer", [b"$ NO not now\r\n", b"$ OK done\r\n", b"* 1 FETCH (UID 1)\r\n$ OK done\r\n"])
def test_an_urgent_message_without_its_text_is_queued(tmp_path, home, answer):
    urgent = fetched(1, message(ident="a@x").split(b"\r\n\r\n")[0] + b"\r\n") + b"$ OK done\r\n"
    with serving(script := Scripted(tmp_path, fetch=[urgent, answer])) as port:
        report = look(home, options(port, script.authority))
    assert isinstance(report, Report) and report.urgent and report.warning
    assert report.text.startswith("URGENT:1 of 1") and "text of 1 urgent message cannot be" in report.text
    assert [(work["email"]["body"], work["email"]["truncated"]) for work in queue(home)] == [("", True)]


@with_openssl
def test_nothing_is_asked_for_that_changes_a_flag(tmp_path, home):
    urgent = fetched(1, message(ident="a@x").split(b"\r\n\r\n")[0] + b"\r\n") + b"$ OK done\r\n"
    with serving(script := Scripted(tmp_path, fetch=urgent)) as port:
        look(home, options(port, script.authority))
    verbs = [line.split(" ", 1)[1].strip() for line in script.heard]
    assert not [each for each in verbs if each.startswith(("SELECT", "UID STORE", "STORE"))]
    assert all("BODY.PEEK[" in each and "BODY[" not in each for each in verbs if "FETCH" in each)


# ------------------------------------------------------------------ settings


@each(
    ("wrong", "words"),
    [
        ({"host": "imaps://imap.example.org"}, "is not a host name"),
        ({"host": "imap.example.org:993"}, "is not a host name"),
        ({"host": ""}, "is empty"),
        ({"host": "x" * 64 + ".org"}, "is not a host name"),
        ({"port": 0}, "write a number from 1 to 65535"),
        ({"user": "a\r\nb"}, "control characters"),
        ({"password": "hunter2\r\nA1 DELETE INBOX"}, "line breaks"),
        ({"password": ""}, "is empty"),
        ({"folder": "a\nb"}, "control characters"),
        ({"ca_file": "ca.pem"}, "is not an absolute path"),
        ({"urgent_from": "ct@example.org"}, "write it as a list"),
        ({"urgent_from": ["ct@"]}, "is neither an address nor a domain"),
        ({"urgent_subjects": "help"}, "write it as a list"),
        ({"urgent_subjects": [" "]}, "is empty"),
        ({"since": "1m"}, "at least 3600 seconds"),
        ({"limit": 0}, "write a number from 1 to"),
        ({"urgent_form": []}, "did you mean urgent_from?"),
    ],
)
def test_settings_that_cannot_be_used(wrong, words):
    problems = Problems({})
    read(Options, wrong, (), problems)
    ((_, line),) = problems.found
    assert words in line
    assert "hunter2" not in line


def test_what_it_needs_and_the_lines_to_add():
    builtin = built_in("email_check")
    assert builtin is not None
    assert builtin.needs == ("host", "user", "password")
    assert builtin.lacks(["host", "user"]) == "password"
    assert 'host = "imap.example.org"' in builtin.lines


def test_the_password_is_not_in_the_repr():
    assert "hunter2" not in repr(Options(password=Sensitive("hunter2")))
