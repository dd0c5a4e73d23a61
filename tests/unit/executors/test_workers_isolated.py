"""Python functions in a process of their own: the same answers, and nothing of theirs reaches ours."""

import os
from dataclasses import dataclass, field

import pytest

from scheduler.core.costs import Usage
from scheduler.core.task import Isolated, Outcome, Progress, Trigger
from scheduler.errors import TaskFailed
from scheduler.executors.executor import Executor
from scheduler.executors.isolated import _Mail
from scheduler.executors.isolated_protocol import LONGEST
from tests.each import each
from tests.fakes import until
from tests.watching import Watching, cancelled, context, gone, task, under_way

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs Unix pipes")


@pytest.fixture
async def workers():
    workers = Executor()
    yield workers
    await workers.close()


@pytest.fixture
def run(workers, home):
    async def run(code, watching=None, function="main", **more):
        (home / "chore.py").write_text(code)
        work = Isolated("chore.py", function)
        return await workers.run(task(work), context(home, **more), watching or Watching())

    return run


@each(
    "code",
    [
        "def main(ctx): return ctx.citizen",
        "async def main(ctx): return ctx.citizen",
        "def main(citizen): return citizen",
        "def main(who: str): return who",
        "def main(): return 'opus'",
        "async def later(name): return name\ndef main(name): return later(name)",
        "from scheduler import Report\ndef main(ctx): return Report(ctx.citizen)",
    ],
)
async def test_every_shape_is_called_as_it_wants(run, code):
    result = await run(code)
    assert (result.outcome, result.text) == (Outcome.OK, "opus")


@dataclass
class Inner:
    level: int = 3


@dataclass
class Options:
    host: str = "example.org"
    inner: Inner = field(default_factory=Inner)


async def test_it_gets_all_of_its_context(run, monkeypatch):
    monkeypatch.delenv("PYTHONPATH", raising=False)
    code = """
import os
def main(ctx):
    assert os.getcwd() == str(ctx.home) and ctx.task == 'chore'
    assert ctx.options == {'host': 'example.org', 'inner': {'level': 3}}, ctx.options
    assert ctx.secrets == {'KEY': 's'} == {'KEY': os.environ['KEY']}
    assert ctx.last_success == 12.5 and ctx.trigger == 'force'
    assert os.environ['CITIZEN'] == 'opus' and 'PYTHONPATH' not in os.environ
    ctx.log.info('there is a logger')
    return 'all there'
"""
    given = {"options": Options(), "secrets": {"KEY": "s"}, "last_success": 12.5, "trigger": Trigger.FORCE}
    result = await run(code, **given)
    assert result.text == "all there", result.traceback


async def test_reports_and_urgency_come_back(run):
    warning = await run("from scheduler import Report\ndef main(): return Report('half', warning=True)")
    assert (warning.outcome, warning.text, warning.urgent) == (Outcome.WARNING, "half", False)
    assert (await run("def main(): return 'URGENT: mail'")).urgent
    assert (await run("def main(): return None")).text == ""


async def test_progress_is_seen_while_it_runs(run):
    seen: list[Progress] = []
    code = """
def main(ctx):
    for n in range(10_000):
        ctx.progress(n, 10_000, 'é' * 1000)
    ctx.progress(1, text='done')
"""
    assert (await run(code, report=seen.append)).outcome is Outcome.OK
    assert seen[-1] == Progress(1, 0, "done")
    assert len(seen) < 10_000, "of a flood only the newest is looked at"


async def test_every_use_of_a_model_is_counted(run):
    used: list[Usage] = []
    code = "def main(ctx):\n for n in range(99): ctx.used('m', n, None)"
    assert (await run(code, usage=used.append)).outcome is Outcome.OK
    assert used == [Usage("m", n, None) for n in range(99)]


async def test_prints_are_captured_and_are_not_answers(run):
    watching = Watching()
    result = await run(
        "import sys\ndef main(): print('out'); print('err', file=sys.stderr); return 'ok'", watching
    )
    assert result.text == "ok"
    assert sorted(watching.output.text().split()) == ["err", "out"]


@each(
    ("code", "text", "traced"),
    [
        ("def main(): raise ValueError('too\\nmany')", "ValueError: too\nmany", True),
        ("def main(): raise ValueError", "ValueError", True),
        ("async def main(): raise KeyError('k')", "KeyError: 'k'", True),
        ("def main(): raise KeyboardInterrupt", "KeyboardInterrupt", True),
        ("def main(): main()", "RecursionError: maximum recursion depth exceeded", True),
        ("import experience_nowhere", "ModuleNotFoundError: No module named 'experience_nowhere'", True),
        ("def main(:", "SyntaxError: invalid syntax (chore.py, line 1)", True),
        ("from scheduler import TaskFailed\ndef main(): raise TaskFailed('no host')", "no host", False),
        ("def main(): return {}", "returned a dict, not text", False),
        ("def other(): pass", "chore.py has no function 'main'; correct the name in handler", False),
        ("import sys\ndef main(): print('bye'); sys.exit(3)", "exit 3: bye", False),
        ("import sys\ndef main(): sys.exit('sorry')", "exit 1: sorry", False),
        ("import sys\ndef main(): sys.exit()", "it left before it had an answer", False),
        ("import os\ndef main(): os.kill(os.getpid(), 11)", "killed by SIGSEGV", False),
        (
            "import os\ndef main(): os.closerange(3, 99)",
            "exit 1: OSError: [Errno 9] Bad file descriptor",
            False,
        ),
        (
            "import atexit, os\ndef main():\n atexit.register(os.abort)\n return 'done'",
            "killed by SIGABRT after it had answered: done",
            False,
        ),
    ],
)
async def test_whatever_goes_wrong_is_a_failure_with_its_reason(run, code, text, traced):
    result = await run(code)
    assert result.outcome is Outcome.FAILED
    assert result.text.startswith(text)
    assert ("Traceback" in result.traceback or "SyntaxError" in result.traceback) is traced
    assert len(result.traceback) <= 20_000


async def test_modules_and_files_bring_what_lies_beside_them(workers, home, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", ".")  # the home, in the child
    (home / "body").mkdir()
    (home / "body" / "beside.py").write_text("word = 'beside'")
    (home / "in_home.py").write_text("def main(): return 'module'")
    (home / "json.py").write_text("raise SystemExit('not the real one')")
    (home / "scheduler.py").write_text("raise SystemExit('not the real one')")
    (home / "body" / "chore.py").write_text("import beside, in_home\ndef main(): return beside.word")
    for source, text in [
        ("body/chore.py", "beside"),
        (str(home / "body/chore.py"), "beside"),
        ("in_home", "module"),
    ]:
        result = await workers.run(task(Isolated(source, "main")), context(home), Watching())
        assert result.text == text, result.traceback


async def test_a_missing_file_or_home_is_said_clearly(workers, home):
    work = task(Isolated("nowhere.py", "main"))
    assert "there is no file" in (await workers.run(work, context(home), Watching())).text
    with pytest.raises(TaskFailed, match="there is no folder"):
        await workers.run(work, context(home / "gone"), Watching())


async def test_what_it_starts_sees_the_python_path_of_before(run, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/before:.")
    code = "import os, sys\ndef main(): return os.environ['PYTHONPATH'] * ('/before' in sys.path)"
    assert (await run(code)).text == "/before:."


async def test_its_forked_child_answers_nothing(run):
    code = """
import os
def main():
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        os._exit(3)
    return 'child'
"""
    assert (await run(code)).text == "exit 3"


async def test_cancelled_it_is_killed_though_it_resists(run, workers, home):
    (home / "chore.py").write_text(
        "import signal, time\n"
        "def main():\n signal.signal(signal.SIGTERM, signal.SIG_IGN)\n print('up')\n time.sleep(60)"
    )
    watching = Watching()
    async with under_way(workers, Isolated("chore.py", "main"), home, watching) as running:
        await until(lambda: watching.said("up"), "it runs")
        workers.stop_now()
        await cancelled(running)
    assert watching.running and gone(watching.running.pid)


def test_nonsense_on_the_answer_pipe_is_passed_over():
    seen: list[Progress | Usage] = []
    mail = _Mail(seen.append, seen.append)
    for junk in (
        b"\n\n",
        b'["answer"]\n["answer", 1]\n',
        b'["answer", "fine", "", false, ""]\n',
        b'["progress", "1"]\n',
        b'["used", 5, 1, 1]\n["used", "m", 1.5, 1]\n',
    ):
        mail.take(junk)
    mail.take(b'["progress"' + b"[" * 200_000 + b"\n")
    for _ in range(100):
        mail.take(b"x" * 65536)
        assert len(mail._begun) <= LONGEST
    mail.take(b'\n["answer", "ok", "don')
    mail.take(b'e", true, ""]\n')
    assert seen == [] and mail.answer is not None
    assert (mail.answer.outcome, mail.answer.text, mail.answer.urgent) == (Outcome.OK, "done", True)
