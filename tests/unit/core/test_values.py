"""Values: made, compared, hashed and shown as Python's own dataclasses are."""

from dataclasses import dataclass, field, fields, replace

from scheduler.core.values import value


@value
class Ours:
    """One with all that a field may say."""

    name: str
    key: str = field(default="", repr=False)
    cache: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Theirs:
    """The same."""

    name: str
    key: str = field(default="", repr=False)
    cache: int = field(default=0, compare=False)


def test_a_value_is_shown_without_what_it_hides():
    assert repr(Ours("a", "secret")) == repr(Theirs("a", "secret")).replace("Theirs", "Ours")


def test_values_are_equal_and_hash_alike_by_the_fields_that_count():
    assert Ours("a", cache=1) == Ours("a", cache=2)
    assert hash(Ours("a", cache=1)) == hash(Ours("a", cache=2))
    assert len({Ours("a"), Ours("b"), Ours("a", "k"), Ours("a")}) == 3
    assert Ours("a") != Theirs("a")


def test_a_value_of_one_field_or_none_can_be_looked_up():
    @value
    class One:
        number: int

    @value
    class Nothing:
        pass

    assert {One(1): "one", Nothing(): "none"}[One(1)] == "one"
    assert Nothing() == Nothing()


def test_a_value_is_copied_with_other_fields():
    assert replace(Ours("a", "k"), name="b") == Ours("b", "k")
    assert [each.name for each in fields(Ours)] == [each.name for each in fields(Theirs)]
