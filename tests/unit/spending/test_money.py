"""Amounts and tokens: exact, and as a person reads them."""

from decimal import Decimal

from scheduler.core.costs import RunCost
from scheduler.spending.money import about, believed, brief, dollars, price, tokens, total
from tests.each import each


@each(
    ("amount", "shown"),
    [
        ("0.37", "$0.37"), ("0", "$0.00"), ("0.009", "<$.01"), ("0.005", "<$.01"), ("0.125", "$0.13"),
        ("1240", "$1,240.00"), ("12345678901234567890123456.5", "$12,345,678,901,234,567,890,123,456.50"),
    ],
)  # fmt: skip
def test_amounts_as_a_person_reads_them(amount: str, shown: str) -> None:
    assert dollars(Decimal(amount)) == shown


@each(
    ("amount", "shown"),
    [("78.4", "about $78"), ("4.2", "about $4.20"), ("9.999", "about $10.00"), ("1240", "about $1,240")],
)
def test_forecasts_are_whole_dollars_from_ten_on(amount: str, shown: str) -> None:
    assert about(Decimal(amount)) == shown


@each(
    ("amount", "shown"),
    [
        ("0.37", "$0.37"), ("0.004", "<$.01"), ("9.99", "$9.99"), ("12.44", "$12.4"), ("99.96", "$100"),
        ("124", "$124"), ("1240", "$1.2k"), ("12345", "$12k"),
    ],
)  # fmt: skip
def test_amounts_in_five_cells(amount: str, shown: str) -> None:
    assert brief(Decimal(amount)) == shown


def test_sums_lose_no_digit() -> None:
    assert str(total([Decimal("1E-40"), Decimal(10**9)])) == "1000000000." + "0" * 39 + "1"


@each("amount", ["-0.01", "NaN", "Infinity", "1E+400", "1E-400", "1000000000.01"])
def test_what_no_run_costs_is_not_believed(amount: str) -> None:
    assert not believed(Decimal(amount))


def test_what_a_run_may_cost_is_believed() -> None:
    assert all(believed(Decimal(amount)) for amount in ("0", "0.12", "1E-40", "1000000000"))


@each(
    ("cost", "shown"),
    [
        (None, ""), (RunCost("0.61"), "$0.61"), (RunCost(unknown=True), "$?"), (RunCost(tokens_in=5), ""),
        (RunCost("much"), "$?"),
    ],
)  # fmt: skip
def test_the_price_of_a_run(cost: RunCost | None, shown: str) -> None:
    assert price(cost) == shown


@each(
    ("sent", "made", "shown"),
    [
        (None, None, ""), (0, None, "0 tok"), (800, 50, "850 tok"), (12_300, 80, "12.3k tok"),
        (99_999, 0, "99.9k tok"), (999_999, None, "999k tok"), (1_240_000, 0, "1.24M tok"),
        (10**14, 0, "100T tok"),
    ],
)  # fmt: skip
def test_tokens_in_three_figures(sent: int | None, made: int | None, shown: str) -> None:
    assert tokens(RunCost(tokens_in=sent, tokens_out=made)) == shown


def test_a_run_without_a_cost_has_no_tokens() -> None:
    assert tokens(None) == ""
