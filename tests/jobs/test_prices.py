"""Prices: asked once, kept verbatim, read exactly, restated as revisions, judged between sources."""

import datetime as dt
import random
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given, settings as hypothesis_settings, strategies as st

import tidelake
from tests.jobs.price_server import serving_prices, text
from tests.lending.silver_frames import COMET, LaneOf, comet_chain, market_of, record_day
from tidelake.chains.addresses import NATIVE, ZERO_ADDRESS
from tidelake.chains.registry import CHAINS
from tidelake.cli.app import run
from tidelake.errors import FormatDrift, NotInLake
from tidelake.jobs.prices import PriceSettings, every_day, fetch_prices, wanted_by_markets
from tidelake.lending.position_rows import PositionReader
from tidelake.lending.price_judgement import TOLERANCE, judge, judge_prices
from tidelake.lending.price_rows import price_of, prices_lane
from tidelake.lending.recorded import positions_lane
from tidelake.providers import coingecko, defillama
from tidelake.providers.registry import PROVIDERS
from tidelake.providers.spec import Token, end_of
from tidelake.raw.ledger import Ledger
from tidelake.raw.segments import iter_frames
from tidelake.tables.derive import derive_table
from tidelake.tables.lending_positions import LENDING_POSITIONS
from tidelake.tables.token_prices import TOKEN_PRICES
from tidelake.transport.http import Patience
from tidelake.transport.rates import Pace

DAY = dt.date(2024, 12, 1)
A, B = Token("ethereum", "0x" + "a1" * 20), Token("bnb", "0x" + "b2" * 20)
OWN = Token("ethereum", NATIVE)
WETH = str(CHAINS["ethereum"].wrapped_native).lower()
FAST = Pace(1e6, 1.0)


@pytest.fixture
def server():
    with serving_prices() as server:
        server.prices = {
            f"ethereum:{A.address}": text("1.0000000000000000123"),
            f"bsc:{B.address}": text("0.00001234567890123456789"),
            f"ethereum:{ZERO_ADDRESS}": text("3700.5"),
            f"binance-smart-chain/{B.address}": text("1.2e-5"),
            f"ethereum/{WETH}": text("3701"),
        }
        yield server


@pytest.fixture
def lake(tmp_path):
    return tidelake.open(tmp_path / "lake")


def settings(server, **others):
    names = tuple(PROVIDERS)
    told = {"patience": Patience(attempts=2, first_wait=0.01), "paces": dict.fromkeys(names, FAST), **others}
    return PriceSettings(urls=dict.fromkeys(names, server.url), **told)


def fetch(lake, server, tokens=(A, B, OWN), days=2, sources=tuple(PROVIDERS), refresh=False, **others):
    wanted = every_day(tokens, DAY, DAY + dt.timedelta(days=days))
    return fetch_prices(lake.store, wanted, sources, refresh=refresh, settings=settings(server, **others))


def prices(lake, **how):
    lake.derive(["token_prices"])
    return lake.scan("token_prices", **how).collect().sort("price_source", "chain", "token", "grid_time").to_dicts()


def test_each_token_and_day_is_asked_once_and_kept_as_it_was_told(lake, server):
    report = fetch(lake, server)
    assert [(row.state, row.tokens, row.days, row.requests) for row in report.rows] == [
        ("done", 3, 6, 2), ("done", 3, 6, 3),
    ]  # fmt: skip
    assert report.exit_code == 0
    asked = list(server.asked)
    assert min(asked[:2]) == (
        f"/prices/historical/{end_of(DAY)}/bsc:{B.address},ethereum:{A.address},ethereum:{ZERO_ADDRESS}?searchWidth=6h"
    )
    frames = [
        frame for name in PROVIDERS for entry in Ledger(lake.store).entries(prices_lane(name))
        for frame in iter_frames(lake.store, entry.segment)
    ]  # fmt: skip
    assert sorted(frame.request for frame in frames) == sorted(f"GET {server.url}{path}" for path in asked)
    assert b"0.00001234567890123456789" in frames[0].payload
    assert [row.state for row in fetch(lake, server).rows] == ["nothing", "nothing"]
    assert server.asked == asked
    fetch(lake, server, days=3)
    assert len(server.asked) == len(asked) + 1 + 3


def test_numbers_are_read_exactly_and_rounded_where_the_column_ends(lake, server):
    fetch(lake, server, days=1)
    found = {(row["price_source"], row["chain"], row["token"]): row for row in prices(lake)}
    assert len(found) == 7  # CoinGecko tells the wrapped token beside the coin
    first = found["defillama", "ethereum", A.address]
    assert (first["price_told"], first["price_usd"]) == ("1.0000000000000000123", Decimal("1.000000000000000012"))
    assert found["defillama", "bnb", B.address]["price_usd"] == Decimal("0.000012345678901235")
    assert (first["confidence"], first["symbol"], first["decimals"]) == (Decimal("0.99"), "T", 18)
    assert first["event_time"] == dt.datetime(2024, 12, 1, 23, 59, tzinfo=dt.UTC)
    assert first["grid_time"] == dt.datetime(2024, 12, 1, tzinfo=dt.UTC)
    assert found["coingecko", "bnb", B.address]["price_usd"] == Decimal("0.000012")
    assert found["coingecko", "ethereum", NATIVE]["price_usd"] == 3701
    lost = found["coingecko", "ethereum", A.address]
    assert (lost["state"], lost["price_usd"], lost["price_told"]) == ("NOT_PRICED", None, None)


def test_a_price_that_is_told_of_another_time_is_none(lake, server):
    server.away_s = -7 * 3600
    fetch(lake, server, days=1, sources=["defillama"])
    assert {row["state"] for row in prices(lake)} == {"NOT_PRICED"}


def test_a_restated_price_is_a_revision_and_as_of_before_it_is_the_old_one(lake, server):
    fetch(lake, server, [A], 1, ["defillama"])
    (first,) = prices(lake)
    fetch(lake, server, [A], 1, ["defillama"], refresh=True)
    assert [row["revision"] for row in prices(lake)] == [1]  # told alike again
    server.prices[f"ethereum:{A.address}"] = text("0.87")
    fetch(lake, server, [A], 1, ["defillama"], refresh=True)
    (row,) = prices(lake)
    assert (row["price_usd"], row["revision"]) == (Decimal("0.87"), 2)
    assert prices(lake, as_of=first["known_at"]) == [first]
    before = prices(lake)
    lake.rebuild(["token_prices"])
    assert prices(lake) == before
    assert lake.sql("select price_usd, price_usd_exact from token_prices").row(0) == (0.87, Decimal("0.87"))


@pytest.mark.parametrize("price", ["0", "-1", "1e30", '"x"'])
def test_prices_that_cannot_be_are_refused_and_those_beside_them_stay(lake, server, price):
    server.prices[f"ethereum:{A.address}"] = text(price)
    fetch(lake, server, [A, B], 1, ["defillama"])
    assert [row["chain"] for row in prices(lake)] == ["bnb"]
    (reason,) = lake.sql("select reason from quarantine")["reason"]
    assert A.address in reason
    assert "2024-12-01" in reason


def test_a_request_without_an_answer_is_asked_again_by_the_next_run(lake, server):
    server.errors = [503, 503]
    report = fetch(lake, server, days=3, sources=["defillama"], workers=1)
    assert [(row.state, row.requests, row.failed) for row in report.rows] == [("failed", 2, 1)]
    assert report.exit_code == 3
    assert "503" in report.summary
    (row,) = fetch(lake, server, days=3, sources=["defillama"]).rows
    assert (row.state, row.requests, row.days) == ("done", 1, 3)
    assert fetch(lake, server, days=3, sources=["defillama"]).rows[0].state == "nothing"


def test_keys_go_to_their_own_host_alone_and_stand_nowhere(lake, server, monkeypatch):
    monkeypatch.setenv("TIDELAKE_COINGECKO_DEMO_KEY", "CG-a-secret-of-some-length")
    fetch(lake, server, [A], 1, ["coingecko"])
    assert "x-cg-demo-api-key" not in {name.lower() for name in server.headers}
    key = coingecko.PROVIDER.keys[1]
    own = coingecko.PROVIDER.__class__(
        **{**coingecko.PROVIDER.__dict__, "keys": (key.__class__(key.variable, key.header, server.url, 1e6, 1.0),)}
    )
    monkeypatch.setitem(PROVIDERS, "coingecko", own)
    bare = PriceSettings(patience=Patience(attempts=1))
    fetch_prices(lake.store, every_day([B], DAY, DAY + dt.timedelta(days=1)), ["coingecko"], settings=bare)
    assert server.headers["x-cg-demo-api-key"] == "CG-a-secret-of-some-length"
    raw = b"".join(path.read_bytes() for path in lake.store.root.rglob("*") if path.is_file())
    assert b"a-secret" not in raw


def test_days_that_have_not_ended_and_unknown_sources_are_not_asked(lake, server):
    wanted = every_day([A], DAY, DAY + dt.timedelta(days=2))
    clock = lambda: end_of(DAY) * 10**9  # noqa: E731
    given_ = settings(server, clock=clock)
    assert [row.days for row in fetch_prices(lake.store, wanted, dry_run=True, settings=given_).rows] == [1, 1]
    assert server.asked == []
    with pytest.raises(NotInLake, match="defillama, coingecko"):
        fetch_prices(lake.store, wanted, ["nobody"])


def test_tokens_and_days_are_those_that_markets_hold(lake):
    market = market_of("pretended", "compound_v3", comet=COMET[0])
    lane = LaneOf(lake.store, positions_lane("pretended"))
    for n in range(3):
        day = DAY + dt.timedelta(days=n)
        record_day(lane, comet_chain(), market, day.isoformat(), 100 + n, end_of(day) - 1)
    lane.seal()
    derive_table(lake.store, LENDING_POSITIONS, reader=PositionReader(lambda: {"pretended": market}))
    found = wanted_by_markets(lake.store, start=DAY + dt.timedelta(days=1))
    assert found == {
        Token("ethereum", asset): [DAY + dt.timedelta(days=1), DAY + dt.timedelta(days=2)]
        for asset in sorted(COMET[1:])
    }
    assert wanted_by_markets(lake.store, markets=["another"]) == {}


def test_command_plans_and_fetches(lake, server, capsys):
    words = ["--lake", str(lake.store.root), "--format", "csv", "lending", "prices", "--token", f"ethereum:{A.address}"]
    words += ["--start", "2024-12-01", "--end", "2024-12-03", "--sources", "defillama", "--url", server.url]
    assert run([*words, "--dry-run"]) == 0
    assert "defillama,planned,1,2,0,2" in capsys.readouterr().out
    assert server.asked == []
    assert run(words) == 0
    assert "defillama,done,1,2,0,2" in capsys.readouterr().out
    assert len(prices(lake)) == 2


def test_command_refuses_markets_and_tokens_that_there_are_not(lake, capsys):
    words = ["--lake", str(lake.store.root), "lending", "prices", "--start", "2024-12-01", "--end", "2024-12-03"]
    assert run([*words, "--markets", "nope"]) != 0
    assert "nope" in capsys.readouterr().err
    assert run([*words, "--token", "ethereum:0x12"]) == 2
    assert "40 hexadecimal digits" in capsys.readouterr().err


TOKENS = st.sampled_from(
    [A, B, OWN, Token("ethereum", WETH), Token("avalanche", NATIVE), Token("ink", "0x" + "c3" * 20)]
)
WANTED = st.dictionaries(
    TOKENS, st.lists(st.dates(dt.date(2023, 1, 1), dt.date(2024, 12, 31)), min_size=1, unique=True), min_size=1
)


@given(WANTED, st.sampled_from(list(PROVIDERS.values())))
def test_requests_ask_for_all_that_is_wanted_and_are_read_back(wanted, provider):
    served = {token: days for token, days in wanted.items() if provider.serves(token)}
    pages = provider.pages(served)
    covered = {(token, day) for page in pages for token in page.tokens for day in page.days}
    assert {(token, day) for token, days in served.items() for day in days} <= covered
    for page in pages:
        assert provider.asked(f"GET https://example.org/v3{page.path}") == page


@pytest.mark.parametrize("body", [b"[]", b'{"coins":[]}', b'{"coins":{"x":{"timestamp":1}}}', b"{"])
def test_answers_of_another_form_are_drift(body):
    request = defillama.pages({A: [DAY]})[0].path
    with pytest.raises(FormatDrift):
        defillama.read(request, body)


@pytest.mark.parametrize(
    "body", [b"[]", b'{"prices":{}}', b'{"prices":[[1]]}', b'{"prices":[[2,1],[1,1]]}', b"{", b"{}"]
)
def test_charts_of_another_form_are_drift(body):
    with pytest.raises(FormatDrift):
        coingecko.read(coingecko.pages({A: [DAY]})[0].path, body)


@pytest.mark.parametrize(
    ("told", "status", "price", "source", "sources"),
    [
        ([], "NOT_PRICED", None, "", 0),
        ([("defillama", None), ("coingecko", None)], "NOT_PRICED", None, "", 0),
        ([("coingecko", "2"), ("defillama", None)], "ALONE", "2", "coingecko", 1),
        ([("coingecko", "102"), ("defillama", "100")], "AGREED", "100", "defillama", 2),
        ([("coingecko", "102.0001"), ("defillama", "100")], "DISAGREE", "100", "defillama", 2),
        ([("coingecko", "200"), ("defillama", "100"), ("oracle:x", "99")], "AGREED", "100", "defillama", 3),
        ([("oracle:y", "100"), ("oracle:x", "99")], "ALONE", "99", "oracle:x", 1),
        ([("coingecko", "200"), ("nobody", "100")], "ALONE", "200", "coingecko", 1),
    ],
)
def test_judgement_of_prices(told, status, price, source, sources):
    found = judge([(name, None if value is None else Decimal(value)) for name, value in told])
    assert (found.status, found.source, found.sources) == (status, source, sources)
    assert found.price == (None if price is None else Decimal(price))


SOURCES = ("defillama", "coingecko", "oracle:x", "oracle:y", "nobody")


@hypothesis_settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32 - 1))
def test_judgement_of_a_table_is_that_of_each_token_and_day(seed):
    rng = random.Random(seed)
    told = {
        (chain, token, day, source): rng.choice([None, Decimal(100), Decimal(102), Decimal("102.01"), Decimal(3)])
        for chain in "xy" for token in "ab" for day in (1, 2) for source in SOURCES
        if rng.random() < 0.7
    }  # fmt: skip
    facts = [
        {"chain": c, "token": t, "grid_time": dt.datetime(2024, 1, d, tzinfo=dt.UTC), "price_source": s, "price_usd": p,
         "event_time": dt.datetime(2024, 1, d + 1, tzinfo=dt.UTC), "confidence": None}
        for (c, t, d, s), p in told.items()
    ]  # fmt: skip
    rng.shuffle(facts)
    schema = pl.DataFrame(pl.from_arrow(TOKEN_PRICES.no_rows)).schema
    frame = pl.DataFrame(facts, schema={name: schema[name] for name in facts[0]} if facts else schema)
    found = {(r["chain"], r["token"], r["grid_time"].day): r for r in judge_prices(frame).to_dicts()}
    assert found.keys() == {key[:3] for key in told if key[3] != "nobody"}
    for key, row in found.items():
        expected = judge([(s, p) for (*place, s), p in told.items() if tuple(place) == key], tolerance=TOLERANCE)
        assert (row["price_status"], row["price_usd"], row["price_source"] or "", row["price_sources"]) == (
            expected.status, expected.price, expected.source, expected.sources,
        )  # fmt: skip


@given(st.decimals(min_value="1e-18", max_value="1e19", allow_nan=False, allow_infinity=False))
def test_a_price_is_within_half_a_unit_of_what_was_told(value):
    assert abs(price_of(str(value)) - value) <= Decimal("0.5e-18")
