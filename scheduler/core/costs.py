"""What runs use and cost, and what they may: values. Amounts are US dollars."""

from collections.abc import Mapping
from dataclasses import field
from datetime import tzinfo
from decimal import Decimal

from scheduler.core.values import value


@value
class Budget:
    """The most that runs may cost; None sets no limit."""

    run: Decimal | None = None
    day: Decimal | None = None
    month: Decimal | None = None
    zone: tzinfo | None = None  # in which days and months end; None: the machine's


@value
class Price:
    """Dollars for a million tokens sent to a model, and for a million of its own."""

    input: Decimal
    output: Decimal


Prices = Mapping[str, Price]  # by the name of a model or of a program; one that ends in * is a beginning


@value
class SpendingRules:
    """What the settings say of money: limits of one citizen, of all of its root `together`, and prices."""

    budget: Budget = Budget()
    together: Budget = Budget()
    prices: Prices = field(default_factory=dict)


@value
class Usage:
    """Tokens of one model in one run; None is what was not counted."""

    model: str = ""
    tokens_in: int | None = None  # everything sent, cache included
    tokens_out: int | None = None


@value
class RunCost:
    """What a run said of its cost: amounts as text, so that no digit is lost."""

    cost_usd: str = ""
    unknown: bool = False  # it costs money, how much is unknown
    tokens_in: int | None = None
    tokens_out: int | None = None
    turns: int | None = None
    model: str = ""
    session: str = ""
    summary: str = ""


@value
class Money:
    """What a citizen has spent and may spend: amounts as text, empty where there is none."""

    today: str = ""
    month: str = ""
    day_limit: str = ""  # with what was added for today
    month_limit: str = ""
    forecast: str = ""  # of the month at its end
    unknown: int = 0  # runs of this month whose cost is unknown
    forecast_day: str = ""  # of the next day
    run_limit: str = ""
