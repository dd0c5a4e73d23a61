"""[llm]: for all, for one, in a citizen's own file; checked like the rest, its key shown nowhere."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from scheduler.config.loader import CitizenSettings, load
from scheduler.config.merge import merge
from scheduler.core.task import Context, Isolated, Llm
from scheduler.executors.isolated_protocol import context_of, encode_call
from scheduler.schema.table import Source
from tests.each import each

KEY = "sk-hunter2"
FOR_ALL = "[llm]\nurl = 'http://127.0.0.1:11434/'\nmodel = 'llama3.2'\n"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "opus"
    home.mkdir()
    (home / ".env").write_text(f"LLM_KEY={KEY}\n")
    return home


def opus(home: Path, main: str, own: str = "", **environ: str) -> CitizenSettings:
    (home / "experience.toml").write_text(own)
    file = home.parent / "main.toml"
    file.write_text(main)
    settings = load(config=file, environ={"EXPERIENCE_ROOT": str(home.parent), **environ})
    return settings.citizens[0]


def test_without_the_table_there_is_none(home):
    assert opus(home, "").llm is None


def test_one_table_serves_all_citizens(home):
    assert opus(home, FOR_ALL).llm == Llm("http://127.0.0.1:11434", "llama3.2", "ollama", "", 120.0)


def test_a_citizen_may_have_its_own_key_by_key(home):
    main = FOR_ALL + "timeout = '30s'\n[citizens.opus.llm]\nmodel = 'big'"
    found = opus(home, main, "[llm]\napi = 'openai'\nkey = '${LLM_KEY}'").llm
    assert found == Llm("http://127.0.0.1:11434", "big", "openai", KEY, 30.0)


def test_the_environment_wins(home):
    assert opus(home, FOR_ALL, EXPERIENCE_CITIZENS__OPUS__LLM__MODEL="other").llm.model == "other"


def test_the_key_of_one_server_does_not_reach_another(home):
    main = FOR_ALL + "key = 'sk-of-the-first'"
    assert opus(home, main).llm.key == "sk-of-the-first"
    assert opus(home, main, "[llm]\nurl = 'https://elsewhere.example.org'").llm.key == ""
    own = "[llm]\nurl = 'https://elsewhere.example.org'\nkey = 'its own'"
    assert "key: contains spaces" in opus(home, main, own).problems[0]


def test_only_the_tables_for_a_choice_drop_keys():
    low, high = {"tasks": {"x": {"options": {"key": 1}}}}, {"tasks": {"x": {"options": {"url": 2}}}}
    assert merge([(high, Source("b")), (low, Source("a"))])[0]["tasks"]["x"]["options"] == {
        "key": 1,
        "url": 2,
    }


def test_no_repr_shows_the_key(home):
    citizen = opus(home, FOR_ALL + "key = '${LLM_KEY}'")
    assert citizen.llm is not None and citizen.llm.key == KEY
    context = Context("opus", home, "x", llm=citizen.llm)
    on_edited = Llm("http://x", "m", key=KEY)
    for shown in (citizen, citizen.llm, context, citizen.llm.key, on_edited):
        assert KEY not in repr(shown)


def test_a_process_of_its_own_gets_it_too(home):
    llm = Llm("http://x", "m", "openai", KEY, 5.0)
    context = Context("opus", home, "x", llm=llm)
    for given in (context, replace(context, llm=None)):
        call = json.loads(encode_call(Isolated("a", "b"), given, None))
        assert context_of(call["context"], print, print).llm == given.llm


@each(
    ("table", "expected"),
    [
        ("model = 'x'", 'llm: has no url; add url = "http://127.0.0.1:11434"'),
        ("url = 'http://x'", 'llm: has no model; add model = "..."'),
        ("url = 'http://x'\nmodel = ''", "llm: has no model"),
        ("url = 'x:1'\nmodel = 'm'", "llm.url: is not the address of a server; write it like"),
        ("url = 'ftp://x'\nmodel = 'm'", "llm.url: is not the address of a server"),
        ("url = 'http://'\nmodel = 'm'", "llm.url: is not the address of a server"),
        ("url = 'http://[::1'\nmodel = 'm'", "llm.url: is not the address of a server"),
        ("url = 'http://x:99999'\nmodel = 'm'", "llm.url: is not the address of a server"),
        ("url = 'http://x y'\nmodel = 'm'", "llm.url: is not the address of a server"),
        (
            "url = 'http://me:pw@x'\nmodel = 'm'",
            'llm.url: contains a password; write that as key = "${LLM_KEY}"',
        ),
        ("url = 'http://x?key=1'\nmodel = 'm'", "llm.url: contains ? or #"),
        ("url = 'http://x'\nmodel = 'm'\napi = 'gpt'", "llm.api: is unknown"),
        ("url = 'http://x'\nmodel = 3", "llm.model: is a number; write it as text"),
        ("url = 'http://x'\nmodel = 'm'\ntimeout = 0", "llm.timeout: is 0; write at least 0.1 seconds"),
        ("url = 'http://x'\nmodel = 'm'\nmodle = 'm'", "llm.modle: unknown key; did you mean model?"),
        ("url = 'http://x'\nmodel = 'm'\nkey = \"a\\nb\"", "llm.key: contains spaces or characters"),
    ],
)
def test_what_is_wrong_is_said_with_file_and_key(home, table, expected):
    for main, own, file in ((f"[llm]\n{table}", "", "main.toml"), ("", f"[llm]\n{table}", "experience.toml")):
        (line,) = opus(home, main, own).problems
        assert line.partition(f"{file}: ")[2].startswith(expected), line


def test_a_key_that_is_no_key_is_not_quoted(home):
    (home / ".env").write_text("LLM_KEY='two words'\n")
    (line,) = opus(home, FOR_ALL + "key = '${LLM_KEY}'").problems
    assert "two words" not in line
