"""What is shown of values that may be secret."""

from scheduler.core.secrets import LONGEST, Masks, Sensitive, SensitiveBytes
from tests.each import each

MASKS = Masks(["s3cret-value", "abc", "yes"])


@each(
    ("text", "shown"),
    [
        ("plain words", "plain words"),
        ("has s3cret-value inside", "has *** inside"),
        ("S3CRET-VALUE", "***"),
        ("yes and abc are too short", "yes and abc are too short"),
        (Sensitive("whatever"), "***"),
        ("PASSWORD=hunter2 next", "PASSWORD=*** next"),
        ("api_key: hunter2", "api_key: ***"),
        ("curl -H 'Authorization: Bearer abcdef'", "curl -H 'Authorization: ***'"),
        ("Bearer abcdef", "Bearer ***"),
        ("https://me:hunter2@host/path", "https://me:***@host/path"),
        ("https://host/?token=hunter2&page=2", "https://host/?token=***&page=2"),
        ("run --password hunter2 -v", "run --password *** -v"),
        ("run --api-key=hunter2 -v", "run --api-key=*** -v"),
        ("disk 91% full", "disk 91% full"),
    ],
)
def test_text_is_shown_without_its_secrets(text, shown):
    assert MASKS.text(text) == shown


def test_the_word_after_a_secret_flag_is_masked():
    assert MASKS.words(["x", "--token", "hunter2", "-v", "--passwd", "-p"]) == [
        *("x", "--token", "***", "-v", "--passwd", "***")
    ]


@each(
    ("name", "value", "shown"),
    [
        ("password", "hunter2", "***"),
        ("api_key", ("hunter2", "other"), "***"),
        ("api_key", (), "none"),
        ("key_limit", 5, "5"),
        ("keywords", ("agents",), "agents"),
        ("KEY_ID", "hunter2", "***"),
        ("tokens", ("hunter2",), "***"),
        ("tokens", True, "yes"),
        ("anything", Sensitive("x"), "***"),
        ("anything", Sensitive(""), "none"),
        ("input", SensitiveBytes(b"x"), "***"),
        ("headers", {"Accept": "json", "X-Token": "hunter2"}, "Accept = json\nX-Token = ***"),
        ("limit", 85.0, "85"),
        ("nothing", None, "none"),
        ("nothing", (), "none"),
    ],
)
def test_a_setting_is_shown_by_its_name_and_where_it_came_from(name, value, shown):
    assert MASKS.value(name, value) == shown


def test_a_long_text_takes_no_longer_than_a_short_one():
    assert MASKS.text("key" * 400_000).startswith("keykey")
    assert len(MASKS.text("key" * 400_000)) == LONGEST + 1
    assert "s3cret" not in MASKS.text("x" * (LONGEST - 5) + "s3cret-value")
