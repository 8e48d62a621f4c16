"""Each simulated venue, walked with its own paging, tells exactly the market's truth."""

from collections.abc import Callable
from decimal import Decimal

import pytest

from tests.sim import walkers
from tests.sim.walkers import Get, Row
from tidelake.sim.faults import FaultPlan
from tidelake.sim.market import Market
from tidelake.sim.server import SimApi
from tidelake.sim.venues import MODULES, simulated

START = 1_740_787_200 * 10**9
NOW = START + 4000 * 10**9

WALKS: list[tuple[str, str, Callable[[Get], list[Row]]]] = [
    ("coinbase", "BTC-USD", lambda get: walkers.coinbase(get, "BTC-USD")),
    ("kraken", "BTC-USD", lambda get: walkers.kraken(get, "XBTUSD")),
    ("kraken", "SOL-USD", lambda get: walkers.kraken(get, "SOLUSD")),
    ("binance-spot", "BTC-USDT", lambda get: walkers.binance(get, "BTCUSDT")),
    ("okx", "BTC-USDT", lambda get: walkers.okx(get, "BTC-USDT")),
    ("okx", "BTC-USDT-PERP", lambda get: walkers.okx(get, "BTC-USDT-SWAP")),
    ("okx", "BTC-USD-20250627", lambda get: walkers.okx(get, "BTC-USD-250627")),
    ("deribit", "BTC-USD-PERP", lambda get: walkers.deribit(get, "BTC-PERPETUAL")),
    ("deribit", "BTC-USD-20250627-60000-C", lambda get: walkers.deribit(get, "BTC-27JUN25-60000-C")),
]


def api(source: str, plan: str = "", *, limits: bool = False) -> SimApi:
    market = Market(seed=5, start_ns=START, clock=lambda: NOW)
    return SimApi(source, market, FaultPlan.parse(plan), limits=limits)


def truth(source: str, symbol: str, sim: SimApi) -> list[Row]:
    rows = sim.market.truth_rows(source, symbol)
    return [(r["trade_id"], r["event_us"], r["price"], r["size"], r["side"]) for r in rows]  # type: ignore[misc]


@pytest.mark.parametrize(("source", "symbol", "walk"), WALKS, ids=[f"{s}-{n}" for s, n, _ in WALKS])
def test_walking_all_pages_gives_the_truth_in_order(source, symbol, walk):
    sim = api(source)
    expected = truth(source, symbol, sim)
    assert 3500 < len(expected) < 4500
    assert walk(sim.get) == expected


@pytest.mark.parametrize(
    ("category", "name", "symbol", "size"),
    [
        ("spot", "BTCUSDT", "BTC-USDT", 60),
        ("linear", "BTCUSDT", "BTC-USDT-PERP", 1000),
        ("inverse", "BTCUSD", "BTC-USD-PERP", 1000),
    ],
)
def test_bybit_shows_only_its_newest_trades(category, name, symbol, size):
    sim = api("bybit")
    assert walkers.bybit(sim.get, name, category) == truth("bybit", symbol, sim)[-size:]


def test_walking_meets_jumps_of_the_ids_and_loses_nothing():
    sim = api("kraken", "jump:1000+50")
    found = walkers.kraken(sim.get, "XBTUSD")
    assert found == truth("kraken", "BTC-USD", sim)
    ids = [int(row[0]) for row in found]
    assert ids[998:1002] == [999, 1000, 1051, 1052]
    sim = api("coinbase", "jump:1000+50")
    assert walkers.coinbase(sim.get, "ETH-USD") == truth("coinbase", "ETH-USD", sim)


def test_coinbase_before_gives_the_newest_page_and_names_its_cursors():
    answer = api("coinbase").get("/products/BTC-USD/trades?before=10&limit=5")
    ids = [item["trade_id"] for item in answer.json()]
    newest = len(api("coinbase").market.truth("coinbase", "BTC-USD"))
    assert ids == [newest, newest - 1, newest - 2, newest - 3, newest - 4]
    assert answer.headers["cb-before"] == str(newest)
    assert answer.headers["cb-after"] == str(newest - 4)


def test_coinbase_tells_the_maker_side():
    sim = api("coinbase")
    newest = sim.get("/products/BTC-USD/trades?limit=1").json()[0]
    taker_bought = bool(sim.market.truth("coinbase", "BTC-USD").buy[-1])
    assert newest["side"] == ("sell" if taker_bought else "buy")


def test_okx_before_alone_gives_the_newest_page_and_time_paging_works():
    sim = api("okx")
    newest = len(sim.market.truth("okx", "BTC-USDT"))
    page = sim.get("/api/v5/market/history-trades?instId=BTC-USDT&before=10&limit=3").json()["data"]
    assert [item["tradeId"] for item in page] == [str(newest), str(newest - 1), str(newest - 2)]
    middle = (START + 2000 * 10**9) // 10**6
    page = sim.get(f"/api/v5/market/history-trades?instId=BTC-USDT&type=2&after={middle}").json()["data"]
    assert len(page) == 100
    assert int(page[0]["ts"]) < middle
    assert (
        int(page[0]["tradeId"]) == sim.market.tape(sim.market.listing("okx", "BTC-USDT")).seq_since(middle * 10**6) - 1
    )


def test_binance_aggregates_hold_every_trade_once():
    sim = api("binance-spot")
    found, start = [], 0
    while page := sim.get(f"/api/v3/aggTrades?symbol=BTCUSDT&fromId={start}&limit=1000").json():
        found += page
        start = page[-1]["a"] + 1
    trades = walkers.binance(sim.get, "BTCUSDT")
    assert [item["a"] for item in found] == list(range(1, len(found) + 1))
    assert [seq for item in found for seq in range(item["f"], item["l"] + 1)] == [
        int(row[0]) for row in trades[: found[-1]["l"]]
    ]
    assert len(found) < len(trades) <= found[-1]["l"] + 20
    for item in found[:500]:
        part = trades[item["f"] - 1 : item["l"]]
        assert sum(row[3] for row in part) == Decimal(item["q"])
        assert {(row[1], row[2], row[4]) for row in part} == {
            (item["T"] * 1000, Decimal(item["p"]), "sell" if item["m"] else "buy")
        }


def test_binance_aggregates_by_time_start_at_that_time():
    sim = api("binance-spot")
    middle = (START + 1000 * 10**9) // 10**6
    page = sim.get(f"/api/v3/aggTrades?symbol=BTCUSDT&startTime={middle}&endTime={middle + 60_000}").json()
    inside = [
        row for row in truth("binance-spot", "BTC-USDT", sim) if middle * 1000 <= row[1] <= (middle + 60_000) * 1000
    ]
    assert page[0]["f"] == int(inside[0][0])
    assert page[-1]["l"] == int(inside[-1][0])
    newest = sim.get("/api/v3/aggTrades?symbol=BTCUSDT&limit=10").json()
    assert len(newest) == 10
    assert newest[-1]["l"] >= len(truth("binance-spot", "BTC-USDT", sim)) - 20


def test_deribit_pages_downwards_by_default_and_says_whether_there_is_more():
    base = "/api/v2/public/get_last_trades_by_instrument"
    result = api("deribit").get(f"{base}?instrument_name=BTC-PERPETUAL&end_seq=20&count=15").json()["result"]
    assert [item["trade_seq"] for item in result["trades"]] == list(range(20, 5, -1))
    assert result["has_more"] is True
    result = api("deribit").get(f"{base}?instrument_name=BTC-PERPETUAL&end_seq=5&count=15").json()["result"]
    assert result["has_more"] is False


def coinbase_bars(body):
    return [(row[0], row[3], row[2], row[1], row[4], row[5]) for row in body]


def kraken_bars(body):
    return [(*row[:5], row[6]) for row in body["result"]["XXBTZUSD"]]


def binance_bars(body):
    return [(row[0] // 1000, *row[1:6]) for row in body]


def okx_bars(body):
    return [(int(row[0]) // 1000, *row[1:6]) for row in body["data"]]


def bybit_bars(body):
    return [(int(row[0]) // 1000, *row[1:6]) for row in body["result"]["list"]]


ONE_MINUTE = [
    ("coinbase", "BTC-USD", "/products/BTC-USD/candles?granularity=60", coinbase_bars),
    ("kraken", "BTC-USD", "/0/public/OHLC?pair=XBTUSD&interval=1", kraken_bars),
    ("binance-spot", "BTC-USDT", "/api/v3/klines?symbol=BTCUSDT&interval=1m", binance_bars),
    ("okx", "BTC-USDT", "/api/v5/market/candles?instId=BTC-USDT&bar=1m", okx_bars),
    ("bybit", "BTC-USDT-PERP", "/v5/market/kline?category=linear&symbol=BTCUSDT&interval=1", bybit_bars),
]


@pytest.mark.parametrize(("source", "symbol", "path", "read"), ONE_MINUTE, ids=[row[0] for row in ONE_MINUTE])
def test_candles_are_those_of_the_true_trades(source, symbol, path, read):
    sim = api(source)
    got = {row[0]: tuple(map(Decimal, map(str, row[1:]))) for row in read(sim.get(path).json())}
    by_minute: dict[int, list[Row]] = {}
    for row in truth(source, symbol, sim):
        by_minute.setdefault(row[1] // 60_000_000 * 60, []).append(row)
    assert len(got) >= 60
    for start, bar in got.items():
        prices = [row[2] for row in by_minute[start]]
        size = sum(row[3] for row in by_minute[start])
        assert [Decimal(str(float(x))) for x in bar] == [
            Decimal(str(float(x))) for x in (prices[0], max(prices), min(prices), prices[-1], size)
        ]


def test_deribit_chart_has_one_value_per_bar():
    path = "/api/v2/public/get_tradingview_chart_data?instrument_name=BTC-PERPETUAL&resolution=1"
    sim = api("deribit")
    body = sim.get(f"{path}&start_timestamp={START // 10**6}&end_timestamp={NOW // 10**6}").json()["result"]
    assert body["status"] == "ok"
    assert {len(body[name]) for name in ("open", "high", "low", "close", "volume", "cost", "ticks")} == {67}
    assert sum(body["cost"]) == sum(row[3] for row in truth("deribit", "BTC-USD-PERP", sim))


UNKNOWN = [
    ("coinbase", "/products/NO-NO/trades", 404, {"message": "NotFound"}),
    ("kraken", "/0/public/Trades?pair=NONO", 200, {"error": ["EQuery:Unknown asset pair"]}),
    ("binance-spot", "/api/v3/trades?symbol=NONO", 400, {"code": -1121, "msg": "Invalid symbol."}),
]


@pytest.mark.parametrize(("source", "path", "status", "body"), UNKNOWN, ids=[row[0] for row in UNKNOWN])
def test_unknown_symbol_is_refused_in_the_venues_words(source, path, status, body):
    answer = api(source).get(path)
    assert (answer.status, answer.json()) == (status, body)


def test_unknown_symbol_is_refused_by_code_where_the_venue_uses_codes():
    assert api("okx").get("/api/v5/market/history-trades?instId=NO-NO").json()["code"] == "51001"
    assert api("bybit").get("/v5/market/recent-trade?category=spot&symbol=NONO").json()["retCode"] == 10001
    answer = api("deribit").get("/api/v2/public/get_last_trades_by_instrument?instrument_name=NO-NO")
    assert (answer.status, answer.json()["error"]["code"]) == (400, 13020)


REFUSALS = [
    ("coinbase", "/products/BTC-USD/trades", 10, lambda a: a.status == 429 and "retry-after" in a.headers),
    ("kraken", "/0/public/Trades?pair=XBTUSD", 15, lambda a: a.json()["error"] == ["EGeneral:Too many requests"]),
    ("binance-spot", "/api/v3/trades?symbol=BTCUSDT", 240, lambda a: a.status == 429 and a.json()["code"] == -1003),
    ("okx", "/api/v5/market/trades?instId=BTC-USDT", 20, lambda a: a.status == 429 and a.json()["code"] == "50011"),
    ("bybit", "/v5/market/time", 600, lambda a: a.json()["retCode"] == 10006),
    ("deribit", "/api/v2/public/get_time", 20, lambda a: a.status == 429 and a.json()["error"]["code"] == 10028),
]  # fmt: skip


@pytest.mark.parametrize(("source", "path", "allowed", "refused"), REFUSALS, ids=[row[0] for row in REFUSALS])
def test_limit_is_enforced_in_the_venues_words_and_ends_with_the_window(source, path, allowed, refused):
    sim = api(source, limits=True)
    now = [1_000_000.0 * sim.venue.limit.seconds]
    sim.limiter.clock = lambda: now[0]
    answers = [sim.get(path) for _ in range(allowed + 1)]
    assert not any(refused(answer) for answer in answers[:allowed] if answer.body.startswith(b"{"))
    assert refused(answers[-1])
    now[0] += sim.venue.limit.seconds
    assert sim.get(path).status == 200


def test_binance_tells_the_used_weight_and_bans_who_goes_on():
    sim = api("binance-spot", limits=True)
    sim.limiter.clock = lambda: 6000.0
    path = "/api/v3/historicalTrades?symbol=BTCUSDT&limit=1"
    assert [sim.get(path).headers["x-mbx-used-weight-1m"] for _ in range(3)] == ["25", "50", "75"]
    statuses = [sim.get(path).status for _ in range(400)]
    assert (statuses[0], statuses[300], statuses[399]) == (200, 429, 418)


@pytest.mark.parametrize("source", list(MODULES))
def test_products_name_every_listing(source):
    sim = api(source)
    paths = {
        "coinbase": ["/products"],
        "kraken": ["/0/public/AssetPairs"],
        "binance-spot": ["/api/v3/exchangeInfo"],
        "okx": [f"/api/v5/public/instruments?instType={kind}" for kind in ("SPOT", "SWAP", "FUTURES")],
        "bybit": [f"/v5/market/instruments-info?category={kind}" for kind in ("spot", "linear", "inverse")],
        "deribit": [f"/api/v2/public/get_instruments?currency={coin}" for coin in ("BTC", "ETH")],
    }[source]
    text = b"".join(sim.get(path).body for path in paths).decode()
    listings = simulated(source).listings(START)
    assert all(f'"{listing.venue_symbol}"' in text for listing in listings)
    assert len({listing.symbol for listing in listings}) == len(listings)
