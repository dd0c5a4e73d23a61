"""price_monitor: every source, every way of having no price, and a move reported once."""

import json
from decimal import Decimal
from pathlib import Path

import pytest

from scheduler.core.secrets import Sensitive
from scheduler.core.task import Context, Report
from scheduler.errors import TaskFailed
from scheduler.handlers.price_monitor import files as price_files
from scheduler.handlers.price_monitor.handler import price_monitor
from scheduler.handlers.price_monitor.moves import POINTS, Point, Track
from scheduler.handlers.price_monitor.options import NEEDS, Options
from scheduler.handlers.price_monitor.sources import NoPrice, Number, document, fresh, price, step_into
from scheduler.handlers.registry import built_in
from scheduler.schema.table import Problems, read
from tests.each import each
from tests.fakes import NOON
from tests.handlers.net.web_servers import Reply, Site, site

SAMPLES = Path(__file__).parents[3] / "shared" / "data" / "prices"
SECRET = "s3cr3t-t0ken"
MARCH_2024 = 1711356300.0  # the time in the samples


@pytest.fixture(autouse=True)
def moment(monkeypatch):
    """The time of the runs, to be set."""
    now = {"now": NOON}
    monkeypatch.setattr("scheduler.system.clock.SystemClock.now", lambda: now["now"])
    return now


def options(**given) -> Options:
    problems = Problems({})
    found = read(Options, given, ("tasks", "price_monitor"), problems)
    assert problems.found == []
    return found


async def run(home: Path, **given) -> str | Report:
    return await price_monitor(Context("opus", home, "price_monitor", options(**given)))


def coinbase(there: Site, pair: str, amount: object) -> None:
    what, currency = pair.split("-")
    body = {"data": {"amount": amount, "base": what, "currency": currency}}
    there.at(f"/v2/prices/{pair}/spot", Reply(json.dumps(body).encode()))


def written(home: Path) -> list[dict]:
    return [json.loads(line) for line in (home / "prices.jsonl").read_text().splitlines()]


def queued(home: Path) -> list[dict]:
    return [json.loads(file.read_bytes()) for file in (home / "tasks" / "queue").glob("*.json")]


# ------------------------------------------------------------------ the samples

ANY = "price"
VERDICTS = [
    # file, status, source, pair, price or problem
    ("coinbase_spot.json", 200, "coinbase", "BTC/USD", "64123.455"),
    ("coinbase_spot.json", 200, "coinbase", "ETH/USD", "another pair"),
    ("coinbase_spot_404.json", 404, "coinbase", "XXX/USD", "is not there (HTTP 404): Invalid base currency"),
    ("kraken_ticker.json", 200, "kraken", "BTC/USD", "64300.10000"),
    ("kraken_ticker.json", 200, "kraken", "XBTUSD", "64300.10000"),
    ("kraken_error_unknown_pair.json", 200, "kraken", "A/B", "EQuery:Unknown asset pair"),
    ("kraken_error_rate_limit.json", 200, "kraken", "A/B", "EGeneral:Too many requests"),
    ("binance_ticker_price.json", 200, "binance", "BTC/USDT", "64200.10000000"),
    ("binance_ticker_price_list.json", 200, "binance", "ETHBTC", "0.07946600"),
    ("binance_error_-1121.json", 400, "binance", "A/B", "answers HTTP 400: Invalid symbol."),
    ("binance_error_-1003_429.json", 429, "binance", "A/B", "fewer requests (HTTP 429): Too much request"),
    ("binance_docs_ticker_price_0.jsonc", 200, "binance", "LTC/BTC", "4.00000200"),
    ("binance_docs_ticker_price_1.jsonc", 200, "binance", "ETH/BTC", "0.07946600"),
    ("binance_docs_ticker_price_2.jsonc", 200, "binance", "LTC/BTC", "there is no lastPrice"),
    ("binance_docs_ticker_price_3.jsonc", 200, "binance", "LTC/BTC", "there is no lastPrice"),
    ("binance_docs_ticker_24hr_0.jsonc", 200, "binance", "BNB/BTC", "invalid JSON"),
    ("binance_docs_ticker_24hr_1.jsonc", 200, "binance", "BNB/BTC", "invalid JSON"),
    ("binance_docs_ticker_24hr_2.jsonc", 200, "binance", "BNB/BTC", "invalid JSON"),
    ("binance_docs_ticker_24hr_3.jsonc", 200, "binance", "LTC/BTC", "the price is stale: from 2022-07-05"),
    ("coingecko_simple_price.json", 200, "coingecko", "bitcoin/usd", "67187.3358936566"),
    ("coingecko_simple_price.json", 200, "coingecko", "ethereum/eur", "3220.4"),
    ("coingecko_simple_price.json", 200, "coingecko", "bitcoin/eur", "there is no price in eur"),
    ("coingecko_simple_price_null_fields.json", 200, "coingecko", "some-dead-coin/usd", "the price is null"),
    ("coingecko_simple_price_unknown_id.json", 200, "coingecko", "btc/usd", "does not know btc"),
    ("coingecko_429.json", 429, "coingecko", "bitcoin/usd", "You've exceeded the Rate Limit"),
    ("coingecko_429.json", 200, "coingecko", "bitcoin/usd", "You've exceeded the Rate Limit"),
    ("html_instead_of_json_503.html", 503, "coinbase", "BTC/USD", "answers HTTP 503"),
    ("html_instead_of_json_503.html", 200, "coinbase", "BTC/USD", "a web page (HTML) came"),
    ("truncated.json.txt", 200, "coingecko", "bitcoin/usd", "the answer is invalid JSON"),
    ("yahoo_chart.json", 200, "json", ANY, "172.28"),
    ("yahoo_chart_not_found.json", 404, "json", ANY, "is not there (HTTP 404)"),
    ("yahoo_chart_not_found.json", 200, "json", ANY, "there is no chart.result.0 in the answer"),
]
YAHOO = "chart.result.0.meta.regularMarket"


async def test_the_verdict_on_every_sample(tmp_path, moment):
    if not SAMPLES.is_dir():
        pytest.skip("the shared samples are not here")
    moment["now"] = MARCH_2024 + 60
    for number, case in enumerate(VERDICTS):
        home = tmp_path / str(number)
        home.mkdir()
        price, problem = await verdict_on(home, *case[:4])
        expected = case[4]
        assert price == expected if expected[0].isdigit() else expected in problem and not price, case


async def verdict_on(home: Path, sample: str, status: int, source: str, pair: str) -> tuple[str, str]:
    """The price as it was written, or the problem with which the run failed."""
    given = {"source": source, "pairs": [pair]}
    async with site() as there:
        there.default = lambda path: Reply((SAMPLES / sample).read_bytes(), status)
        if source == "json":
            given |= {"url": there.base, "path": f"{YAHOO}Price", "time_path": f"{YAHOO}Time", "stale": "7d"}
        else:
            given["endpoint"] = there.base
        try:
            text = await run(home, **given)
        except TaskFailed as error:
            assert not (home / "prices.jsonl").exists()
            assert str(error).startswith(f"no price from {source}: ")
            return "", str(error)
    assert [line["pair"] for line in written(home)] == [pair]
    assert text == f"{pair} {written(home)[0]['price']}"
    return written(home)[0]["price"], ""


def test_no_sample_is_left_out():
    if not SAMPLES.is_dir():
        pytest.skip("the shared samples are not here")
    assert {file.name for file in SAMPLES.iterdir()} <= {sample for sample, *_ in VERDICTS}


# ------------------------------------------------------------------ a price, and none


@each(
    ("found", "words"),
    [
        (None, "is null"),
        (Number("-1.5"), "is negative"),
        (Number("0.00"), "is 0"),
        (Number("NaN"), "is not finite"),
        (Number("-Infinity"), "is not finite"),
        ("inf", "is not finite"),
        ("", "is not a number"),
        ("1_000", "is not a number"),
        ("١٢", "is not a number"),
        ("1e999999999", "is not a number"),
        ("9" * 500, "is not a number"),
        (True, "is not a number"),
        ([], "is not a number"),
    ],
)
def test_what_is_no_price(found, words):
    with pytest.raises(NoPrice, match=words):
        price(found)


def test_decimals_are_exact():
    body = b'{"a": 0.10000000000000000555, "b": 12345678901234567890, "c": "64.10", "d": 1e-8}'
    found = document(body)
    texts = {name: price(value).text for name, value in found.items()}
    assert texts == {"a": "0.10000000000000000555", "b": "12345678901234567890", "c": "64.10", "d": "1e-8"}
    assert price(found["a"]).value == Decimal("0.10000000000000000555")


@each(
    ("at", "words"),
    [
        (Number(str(int(NOON - 3601))), "is stale: from 2026-03-02 10:59"),
        (Number(str(int((NOON - 3601) * 1000))), "is stale"),
        ("2026-03-02T10:00:00Z", "is stale"),
        ("2026-03-02T10:00:00", "is stale"),
        (Number(str(int(NOON + 301))), "from the future"),
    ],
)
def test_old_prices_and_those_to_come(at, words):
    with pytest.raises(NoPrice, match=words):
        fresh(price("1", at), NOON, 3600)


@each("at", [None, Number(str(int(NOON))), "never", Number("1e99"), "2026-03-02T12:00:00Z"])
def test_a_price_of_now_or_of_no_time_is_fresh(at):
    if at == Number("1e99"):
        with pytest.raises(NoPrice, match="future: an invalid time"):
            fresh(price("1", at), NOON, 3600)
    else:
        assert fresh(price("1", at), NOON, 3600).value == 1


def test_a_path_names_the_step_that_is_missing():
    found = {"a": [{"b": 1}]}
    assert step_into(found, "a.0.b") == 1
    for path, missing in (
        ("a.1.b", "a.1"),
        ("a.b", "a.b"),
        ("x.y", "x"),
        ("a.0.b.c", "a.0.b.c"),
        ("a.²", "a.²"),
    ):
        with pytest.raises(NoPrice, match=f"there is no {missing} in the answer$"):
            step_into(found, path)
    for answer, said in (
        ({"code": 429, "message": "no credits left", "status": "error"}, "; it says: no credits left"),
        ({"Information": "one request a\nsecond"}, "; it says: one request a second"),
        ({"chart": {"result": None, "error": {"description": "No data"}}}, "; it says: No data"),
        ({"status": {"error_message": " ", "error_code": 1}}, ""),
    ):
        with pytest.raises(NoPrice) as missed:
            step_into(answer, "price")
        assert str(missed.value) == f"there is no price in the answer{said}"


@each("body", [b"", b" ", b"[" * 100_000, b"{", b"\xff\xfe", b'{"a": \xff}'])
def test_what_is_no_document(body):
    with pytest.raises(NoPrice):
        document(body)


# ------------------------------------------------------------------ runs


async def test_the_other_pairs_count(tmp_path):
    async with site() as there:
        coinbase(there, "BTC-USD", "64123.455")
        coinbase(there, "ETH-USD", None)
        found = await run(
            tmp_path, source="coinbase", endpoint=there.base, pairs=["BTC/USD", "ETH-USD", "DOGE"]
        )
    assert isinstance(found, Report) and found.warning and not found.urgent
    assert found.text.startswith("BTC/USD 64123.455; 2 with problems: ")
    assert "ETH-USD: the price is null" in found.text and "DOGE: a pair has two sides" in found.text
    assert written(tmp_path) == [
        {
            "time": "2026-03-02T12:00:00+00:00",
            "pair": "BTC/USD",
            "price": "64123.455",
            "source": "coinbase",
        }
    ]
    assert (tmp_path / "prices.jsonl").stat().st_mode & 0o777 == 0o600


async def test_a_move_is_told_once_also_over_a_restart(tmp_path, moment):
    async with site() as there:

        async def at(amount: str) -> str | Report:
            coinbase(there, "BTC-USD", amount)
            moment["now"] += 900
            return await run(tmp_path, source="coinbase", endpoint=there.base, pairs=["BTC/USD"])

        assert await at("100.00") == "BTC/USD 100.00"
        assert await at("105") == "BTC/USD 105"  # not over the limit
        assert queued(tmp_path) == []
        risen = await at("105.01")
        assert risen == Report("BTC/USD rose 5.01% in 30m: 100.00 to 105.01", urgent=True)
        assert await at("105.02") == "BTC/USD 105.02"
        assert await at("101") == "BTC/USD 101"
        assert len(queued(tmp_path)) == 1
        fallen = await at("99")
        assert fallen == Report("BTC/USD fell 5.73% in 30m: 105.02 to 99", urgent=True)
        works = queued(tmp_path)
    assert len(works) == 2
    work = next(each for each in works if "rose" in each["description"])
    assert (work["type"], work["priority"]) == ("price_alert", "high")
    assert work["price"]["before"]["price"] == "100.00" and work["price"]["percent"] == "5.0100"


async def test_the_window_is_the_window(tmp_path, moment):
    async with site() as there:
        given = {"source": "coinbase", "endpoint": there.base, "pairs": ["A/B"], "alert_window": "1h"}
        for minutes, amount, urgent in ((0, "100", False), (67, "200", False), (60, "300", True)):
            moment["now"] += 60 * minutes
            coinbase(there, "A-B", amount)
            assert isinstance(await run(tmp_path, **given), Report) is urgent


async def test_a_run_that_died_before_it_could_remember_does_not_queue_twice(tmp_path, moment):
    async with site() as there:
        given = {"source": "coinbase", "endpoint": there.base, "pairs": ["A/B"]}
        coinbase(there, "A-B", "100")
        await run(tmp_path, **given)
        state = (tmp_path / ".experience" / "prices.json").read_bytes()
        coinbase(there, "A-B", "200")
        for _ in range(2):
            moment["now"] += 60
            await run(tmp_path, **given)
            (tmp_path / ".experience" / "prices.json").write_bytes(state)
    assert len(queued(tmp_path)) == 1


async def test_a_json_source_without_pairs_and_with_many(tmp_path):
    async with site() as there:
        there.at("/all", Reply(b'{"a": {"p": 1.50}, "b": {"p": "2"}}'))
        there.at("/c%2Fd", Reply(b'{"p": 3}'))
        url = there.base + "/all"
        assert await run(tmp_path, source="json", url=url, path="a.p") == "price 1.50"
        found = await run(tmp_path, source="json", url=url, path="{pair}.p", pairs=["a", "b"])
        assert found == "a 1.50, b 2"
        assert len(there.asked) == 2  # one request for both
        assert (
            await run(tmp_path, source="json", url=there.base + "/{pair}", path="p", pairs=["c/d"]) == "c/d 3"
        )


async def test_coingecko_is_asked_once_for_all(tmp_path):
    async with site() as there:
        there.default = lambda path: Reply(b'{"bitcoin": {"usd": 1, "eur": 2}, "ethereum": {"usd": 3}}')
        pairs = ["bitcoin/usd", "bitcoin/eur", "ethereum/usd"]
        found = await run(tmp_path, source="coingecko", endpoint=there.base, pairs=pairs)
        assert found == "bitcoin/usd 1, bitcoin/eur 2, ethereum/usd 3"
        assert [path.partition("&include")[0] for path, _ in there.asked] == [
            "/api/v3/simple/price?ids=bitcoin,ethereum&vs_currencies=usd,eur"
        ]


async def test_a_rate_limited_source_is_not_asked(tmp_path, moment):
    async with site() as there:
        there.default = lambda path: Reply(status=429, headers={"Retry-After": "1800"})
        given = {"source": "kraken", "endpoint": there.base, "pairs": ["A/B"]}
        with pytest.raises(TaskFailed, match="fewer requests \\(HTTP 429\\): come back in 1800 s"):
            await run(tmp_path, **given)
        moment["now"] += 900
        with pytest.raises(TaskFailed, match="rate limited; next request in 900 s"):
            await run(tmp_path, **given)
        assert len(there.asked) == 1
        moment["now"] += 901
        with pytest.raises(TaskFailed, match="come back in 1800 s"):
            await run(tmp_path, **given)


async def test_no_secret_is_told(tmp_path, caplog):
    caplog.set_level("DEBUG")
    async with site() as there:
        there.default = lambda path: Reply(b'{"error": ["bad key %b"]}' % SECRET.encode(), 403)
        given = {"source": "kraken", "endpoint": there.base, "pairs": ["A/B"], "headers": {"X-Key": SECRET}}
        with pytest.raises(TaskFailed) as failed:
            await run(tmp_path, **given)
        assert there.asked[0][1]["x-key"] == SECRET
    url = Sensitive(f"http://127.0.0.1:1/{SECRET}")
    with pytest.raises(TaskFailed) as unreachable:
        await run(tmp_path, source="json", url=url, path="a")
    given |= {"url": f"http://u:{SECRET}@example.org/?{SECRET}"}
    shown = f"{failed.value} {unreachable.value} {caplog.text} {options(**given)!r}"
    assert SECRET not in shown and "bad key ***" in shown
    assert all(SECRET not in file.read_text() for file in tmp_path.rglob("*") if file.is_file())


async def test_missing_pairs_are_said(tmp_path):
    with pytest.raises(TaskFailed, match="no pairs"):
        await run(tmp_path, source="kraken")


def test_a_source_of_ones_own_without_its_path_is_said_when_the_settings_are_read():
    problems = Problems({})
    read(Options, {"source": "json", "url": "http://a/"}, ("tasks", "price_monitor"), problems)
    assert ["needs url and path" in line for _, line in problems.found] == [True]


@each(
    ("key", "value", "words"),
    [
        ("source", "yahoo", "is none of coinbase, kraken"),
        ("pairs", [], "is empty"),
        ("pairs", "BTC/USD", "write it as a list"),
        ("pairs", [" "], "empty pair"),
        ("alert_percent", 0, "is 0"),
        ("alert_percent", "much", "is text"),
        ("url", "example.org", "is not an address"),
        ("headers", "x", "write it as a table"),
        ("stale", "soon", "soon"),
    ],
)
def test_settings_that_cannot_be_used(key, value, words):
    problems = Problems({})
    read(Options, {key: value}, ("tasks", "price_monitor"), problems)
    assert words in problems.found[0][1]


def test_without_settings_it_is_not_set_up():
    builtin = built_in("price_monitor")
    assert builtin is not None and builtin.needs == NEEDS
    assert builtin.lacks({"source": 1}) == "pairs|url"


# ------------------------------------------------------------------ what is kept


def test_a_track_is_bounded():
    track = Track()
    for number in range(POINTS + 50):
        track.add(Point(number, price("1")), 1e9)
    assert len(track.points) == POINTS + 1


async def test_prices_are_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(price_files, "MOST", 2000)
    for number in range(100):
        price_files.append(tmp_path, [{"n": number, "x": "y" * 20}])
        assert (tmp_path / "prices.jsonl").stat().st_size <= 2000
    numbers = [line["n"] for line in written(tmp_path)]
    assert numbers == list(range(numbers[0], 100)) and len(numbers) > 20
    assert [path.name for path in tmp_path.iterdir()] == ["prices.jsonl"]


def test_half_a_line_is_ended(tmp_path):
    (tmp_path / "prices.jsonl").write_text('{"half')
    price_files.append(tmp_path, [{"n": 1}])
    assert (tmp_path / "prices.jsonl").read_text().splitlines() == ['{"half', '{"n": 1}']


async def test_a_full_queue_is_said(tmp_path, moment, monkeypatch):
    monkeypatch.setattr(price_files, "FULL", 1)
    (tmp_path / "tasks" / "queue").mkdir(parents=True)
    (tmp_path / "tasks" / "queue" / "other.json").write_text("{}")
    async with site() as there:
        given = {"source": "coinbase", "endpoint": there.base, "pairs": ["A/B"]}
        coinbase(there, "A-B", "1")
        await run(tmp_path, **given)
        coinbase(there, "A-B", "2")
        moment["now"] += 60
        found = await run(tmp_path, **given)
    assert isinstance(found, Report) and found.urgent and found.warning
    assert "tasks/queue is full" in found.text


@each("content", ["", "[]", '{"pairs": 3}', '{"pairs": {"a": [[1], ["x", 2], [1, "-1"]]}, "later": []}'])
async def test_a_memory_that_is_none_is_set_aside_or_skipped(tmp_path, content):
    (tmp_path / ".experience").mkdir()
    (tmp_path / ".experience" / "prices.json").write_text(content)
    async with site() as there:
        coinbase(there, "A-B", "1")
        assert await run(tmp_path, source="coinbase", endpoint=there.base, pairs=["A/B"]) == "A/B 1"


async def test_what_cannot_be_written_fails(tmp_path):
    (tmp_path / "prices.jsonl").mkdir()
    async with site() as there:
        coinbase(there, "A-B", "1")
        with pytest.raises(TaskFailed, match=r"prices\.jsonl cannot be written: Is a directory"):
            await run(tmp_path, source="coinbase", endpoint=there.base, pairs=["A/B"])
