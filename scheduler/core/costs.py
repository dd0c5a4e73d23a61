"""Values for what runs use, cost and may cost. Amounts are US dollars."""

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
    zone: tzinfo | None = None  # the time zone of its days and months; None: the machine's


@value
class Price:
    """Dollars for a million tokens sent to a model, and for a million tokens of its answers."""

    input: Decimal
    output: Decimal


Prices = Mapping[str, Price]  # by name of a model or program; a trailing * matches any ending


@value
class SpendingRules:
    """The settings for money: limits of one citizen, limits of all of its root `together`, and prices."""

    budget: Budget = Budget()
    together: Budget = Budget()
    prices: Prices = field(default_factory=dict)


@value
class Usage:
    """Tokens of one model in one run; None if not counted."""

    model: str = ""
    tokens_in: int | None = None  # everything sent, cache included
    tokens_out: int | None = None


@value
class RunCost:
    """The cost that a run reported: amounts as text, so that no digit is lost."""

    cost_usd: str = ""
    unknown: bool = False  # it cost money, but how much is unknown
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
    day_limit: str = ""  # including what was added for today
    month_limit: str = ""
    forecast: str = ""  # the expected total of this month
    unknown: int = 0  # runs of this month whose cost is unknown
    forecast_day: str = ""  # the expected total of the next day
    run_limit: str = ""
