"""Simulated answers have the fields and JSON types of recorded ones."""

import json
from pathlib import Path
from typing import Any

import pytest

from tidelake.sim.market import Market
from tidelake.sim.server import SimApi

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
START = 1_740_787_200 * 10**9
GONE = {  # fields that the venue has dropped since the recording
    "coinbase": {"base_min_size", "base_max_size", "max_market_funds"},
    "deribit": {"max_liquidation_commission", "max_leverage"},
}

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data is absent")


def simulated(source: str, target: str) -> Any:
    market = Market(seed=5, start_ns=START, clock=lambda: START + 3000 * 10**9)
    return SimApi(source, market).get(target).json()


def recorded(file: str, part: str) -> Any:
    with (DATA / "captures" / "cryptofeed" / file).open() as lines:
        line = next(line for line in lines if part in line.split(" ")[0])
    return json.loads(line.split(": ", 1)[1])


def first_of_kind(body: Any, kind: str) -> Any:
    return next(item for item in body["result"] if item["kind"] == kind)


PRODUCTS: list[tuple[str, str, str, str, Any]] = [
    ("coinbase", "COINBASE.0", "/products", "/products", lambda body: body[0]),
    ("kraken", "KRAKEN.0", "AssetPairs", "/0/public/AssetPairs", lambda body: body["result"]["XXBTZUSD"]),
    ("binance-spot", "BINANCE.0", "exchangeInfo", "/api/v3/exchangeInfo", lambda body: body["symbols"][0]),
    *(
        ("okx", "OKX.0", f"Type={kind}", f"/api/v5/public/instruments?instType={kind}", lambda body: body["data"][0])
        for kind in ("SPOT", "SWAP", "FUTURES")
    ),
    *(
        (
            "deribit",
            "DERIBIT.0",
            "currency=BTC",
            "/api/v2/public/get_instruments?currency=BTC",
            lambda body, kind=kind: first_of_kind(body, kind),
        )
        for kind in ("future", "option")
    ),
]


@pytest.mark.parametrize(("source", "file", "part", "target", "pick"), PRODUCTS)
def test_product_records_have_every_recorded_field_with_its_type(source, file, part, target, pick):
    real, made = pick(recorded(file, part)), pick(simulated(source, target))
    assert set(real) - GONE.get(source, set()) <= set(made)
    kinds = {key: (type(real[key]), type(made[key])) for key in real if key in made}
    assert all(left is right for left, right in kinds.values()), kinds


def test_kraken_trade_page_is_laid_out_as_a_recorded_one():
    real = json.loads((DATA / "rest" / "kraken_http_trades_XBTUSDT_1000.json").read_text())
    made = simulated("kraken", "/0/public/Trades?pair=XBTUSDT&since=0")
    assert real.keys() == made.keys()
    assert real["result"].keys() == made["result"].keys() == {"XBTUSDT", "last"}
    assert len(real["result"]["XBTUSDT"]) == len(made["result"]["XBTUSDT"]) == 1000
    for left, right in zip(real["result"]["XBTUSDT"], made["result"]["XBTUSDT"], strict=True):
        assert [type(value) for value in left] == [type(value) for value in right]
        assert {right[3], right[4]} <= {"b", "s", "m", "l"}
        assert len(left[0].partition(".")[2]) == len(right[0].partition(".")[2]) == 5
    assert abs(int(real["result"]["last"]) / 1e9 - real["result"]["XBTUSDT"][-1][2]) < 1e-6
    assert abs(int(made["result"]["last"]) / 1e9 - made["result"]["XBTUSDT"][-1][2]) < 1e-6
