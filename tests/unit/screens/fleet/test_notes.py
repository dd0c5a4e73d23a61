"""What is said of a citizen as a whole."""

from scheduler.core.views import Snapshot
from tests.each import each
from tui.fleet.broken import broken, near
from tui.fleet.notices import Severity, notices


@each(
    ("problem", "said"),
    [
        ("/srv/ai/opus/experience.toml:10: is not UTF-8", "opus/experience.toml:10: is not UTF-8"),
        (
            "see /srv/a/.config/experience/experience.toml: unknown key",
            "see experience/experience.toml: unknown key",
        ),
        ("/opus/experience.toml: no", "opus/experience.toml: no"),
        ("/srv/my home/opus/experience.toml: no", "/srv/my home/opus/experience.toml: no"),
        ("/srv/ai/opus/runs.db: Is a directory", "/srv/ai/opus/runs.db: Is a directory"),
    ],
)
def test_of_a_settings_file_only_its_folder_is_said_before_what_is_wrong_with_it(problem, said):
    assert near(problem) == said
    if not broken(Snapshot("opus", problems=(problem,), stale=problem)):
        wrong, stale = notices(Snapshot("opus", (), problems=(problem,), owner="here", stale=problem))[1::-1]
        assert (wrong.rank, wrong.text) == (Severity.PROBLEM, said)
        assert (stale.rank, stale.text) == (Severity.STALE, f"not live: {said}")


def test_the_name_in_front_of_why_it_is_not_live_is_left_out():
    stale, *_ = notices(Snapshot("opus", (), stale="opus: this process was started to own nothing"))
    assert stale.text == "not live: this process was started to own nothing"
