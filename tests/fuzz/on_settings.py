"""The settings reader: whatever is in the files and the environment, it gives settings or problems."""

import re
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import strategies as st

from scheduler.config.loader import fingerprint, load
from tests.fuzz.bent import bent

DOCS = Path(__file__).parents[2] / "docs"
NOW = 1_782_000_000.0


def _examples() -> list[bytes]:
    pages = "".join((DOCS / page).read_text("utf-8") for page in ("settings.md", "tasks.md", "alerts.md"))
    found = re.findall(r"```toml\n(.*?)```", pages, re.DOTALL)
    return [example.encode() for example in found if "module" not in example]


TOKENS = (
    b"[wake]\n",
    b"[tasks.a]\n",
    b"[[tasks.a]]\n",
    b"[citizens.opus.tasks.b]\n",
    b'cron = "',
    b'every = "',
    b'"5m"',
    b"*/5 * * * *",
    b"@reboot",
    b"0 0 L * 5#2",
    b'timezone = "',
    b"command = [",
    b'"sh", "-c", "',
    b"input = ",
    b"working_folder = ",
    b"environment = {",
    b"1979-05-27T07:32:00Z",
    b"root = ",
    b"llm = 5\n",
    b"workers = 0\n",
    b"a.b.c = 1\n",
)
ENVIRONMENT = st.dictionaries(
    st.sampled_from(("X", "HOME", "EXPERIENCE_CITIZENS__OPUS__WAKE__EVERY", "REPORT_TOKEN", "LLM_KEY")),
    st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=20),
    max_size=3,
)
CASES = st.tuples(
    bent(_examples(), TOKENS),
    bent(_examples(), TOKENS),
    bent([b"A=1\nexport B='two'\nC=\"${A}\"\n"], [b"=", b"export "]),
    ENVIRONMENT,
)


def check(case: tuple[bytes, bytes, bytes, dict[str, str]]) -> None:
    main, own, env, environ = case
    if b"handler" in main + own:  # importing what happens to be named would run it
        main, own = (each.replace(b"handler", b"hamdler") for each in (main, own))
    with TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "opus").mkdir()
        (root / "main.toml").write_bytes(main)
        (root / "opus" / "experience.toml").write_bytes(own)
        (root / "opus" / ".env").write_bytes(env)
        environ = {**environ, "EXPERIENCE_ROOT": folder}
        settings = load(config=root / "main.toml", environ=environ)
        fingerprint(settings)
        assert all(isinstance(line, str) for line in settings.problems)
        for citizen in settings.citizens:
            for task in citizen.tasks:
                assert task.schedule.after(NOW) > NOW
            assert citizen.wake.schedule.after(NOW) > NOW
