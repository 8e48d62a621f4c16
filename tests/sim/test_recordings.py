"""Generated recordings hold the market's trades, in the layouts of real ones."""

import gzip
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tidelake.sim.market import Market
from tidelake.sim.recordings import STREAMS, items, write_cryptofeed, write_hftbacktest

START = 1_740_787_200 * 10**9
SINCE, UNTIL = START + 600 * 10**9, START + 720 * 10**9
SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "captures" / "cryptofeed"


def market() -> Market:
    return Market(seed=2, start_ns=START, clock=lambda: START + 3600 * 10**9)


def frames_of(path: Path) -> list[tuple[float, Any]]:
    lines = path.read_text().splitlines()
    pairs = [line.split(": ", 1) for line in lines if line[:1].isdigit()]
    return [(float(moment), json.loads(text, parse_float=Decimal)) for moment, text in pairs]


def coinbase(frame):
    if frame["type"] in ("match", "last_match"):
        yield (
            frame["product_id"],
            frame["trade_id"],
            frame["price"],
            frame["size"],
            {"buy": "sell", "sell": "buy"}[frame["side"]],
        )


def kraken(frame):
    if isinstance(frame, list):
        for price, size, _, side, _, _ in frame[1]:
            yield (
                frame[3].replace("XBT", "BTC").replace("XDG", "DOGE").replace("/", "-"),
                None,
                price,
                size,
                {"b": "buy", "s": "sell"}[side],
            )


def okx(frame):
    for row in frame.get("data", ()):
        yield row["instId"].replace("SWAP", "PERP"), int(row["tradeId"]), row["px"], row["sz"], row["side"]


def legacy(frame):
    for row in frame.get("data", ()):
        name = {"BTCUSDT": "BTC-USDT-PERP", "ETHUSDT": "ETH-USDT-PERP", "BTCUSD": "BTC-USD-PERP"}[row["symbol"]]
        yield name, row["trade_id"], row["price"], row["size"], row["side"].lower()


def bybit(frame):
    for row in frame.get("data", ()):
        yield "BTC-USDT-PERP", row["i"], row["p"], row["v"], row["S"].lower()


def deribit(frame):
    for row in frame.get("params", {}).get("data", ()):
        name = row["instrument_name"].replace("PERPETUAL", "USD-PERP")
        yield name, row["trade_seq"], row["price"], row["amount"], row["direction"]


READERS = {
    "coinbase": coinbase,
    "kraken": kraken,
    "okx": okx,
    "bybit-legacy": legacy,
    "bybit": bybit,
    "deribit": deribit,
}


def test_frames_of_every_connection_hold_exactly_the_trades_told(tmp_path):
    for recorded in write_cryptofeed(tmp_path, market(), SINCE, UNTIL):
        if recorded.layout not in READERS:
            continue
        found: dict[str, list[tuple[Decimal, Decimal, str]]] = {}
        for _, frame in frames_of(recorded.path):
            for symbol, _, price, size, side in READERS[recorded.layout](frame):
                found.setdefault(symbol, []).append((Decimal(str(price)), Decimal(str(size)), side))
        for symbol, trades in recorded.trades.items():
            sides = ["buy" if buy else "sell" for buy in trades.buy.tolist()]
            assert len(trades) > 80
            expected = zip(map(Decimal, trades.prices()), map(Decimal, trades.sizes()), sides, strict=True)
            assert found[symbol] == list(expected), (recorded.path.name, symbol)


def test_binance_aggregates_cover_the_trades_and_are_numbered_alike_in_every_recording(tmp_path):
    def aggregates(folder: str, since: int):
        first = next(
            r for r in write_cryptofeed(tmp_path / folder, market(), since, UNTIL) if r.source == "binance-spot"
        )
        rows = [frame["data"] for _, frame in frames_of(first.path) if frame["data"]["s"] == "BTCUSDT"]
        return rows, first.trades["BTC-USDT"]

    rows, trades = aggregates("a", SINCE)
    assert [n for row in rows for n in range(row["f"], row["l"] + 1)] == trades.seq.tolist()
    assert [row["a"] for row in rows] == list(range(rows[0]["a"], rows[0]["a"] + len(rows)))
    assert sum(Decimal(row["q"]) for row in rows) == sum(map(Decimal, trades.sizes()))
    later, _ = aggregates("b", SINCE + 60 * 10**9)
    assert [row for row in rows if row["a"] >= later[0]["a"]] == later


def test_receive_times_rise_and_follow_the_events(tmp_path):
    for recorded in write_cryptofeed(tmp_path, market(), SINCE, UNTIL):
        moments = [moment for moment, _ in frames_of(recorded.path)]
        assert moments == sorted(moments)
        assert moments[0] >= SINCE / 1e9
        assert moments[-1] <= UNTIL / 1e9 + 0.1


def test_hftbacktest_files_hold_every_trade_of_the_stream(tmp_path):
    for recorded in write_hftbacktest(tmp_path, market(), SINCE, UNTIL):
        (trades,) = recorded.trades.values()
        rows = []
        for line in gzip.decompress(recorded.path.read_bytes()).splitlines():
            local, frame = line.split(b" ", 1)
            event = json.loads(frame)["data"]
            assert int(local) > event["T"] * 10**6
            rows.append((event["t"], Decimal(event["p"]), Decimal(event["q"]), event["m"]))
        assert [row[0] for row in rows] == trades.number.tolist()
        assert [row[1] for row in rows] == list(map(Decimal, trades.prices()))
        assert [row[2] for row in rows] == list(map(Decimal, trades.sizes()))
        assert [row[3] for row in rows] == [not buy for buy in trades.buy.tolist()]


def test_same_seed_writes_the_same_files(tmp_path):
    for folder in ("a", "b"):
        write_cryptofeed(tmp_path / folder, market(), SINCE, UNTIL)
        write_hftbacktest(tmp_path / folder, market(), SINCE, UNTIL)
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert len(names) == len(STREAMS) + 6 + 2
    assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in names)


def test_items_start_with_the_connection_and_the_subscription():
    lines = items(market(), STREAMS[2], SINCE, UNTIL)
    assert [line.kind for line in lines[:5]] == ["open", "sent", "frame", "frame", "frame"]
    assert b'"subscriptionStatus"' in lines[3].payload


def trade_shapes(path: Path, layout: str) -> set[str]:
    """Keys and JSON types of the trade records in a file."""
    shapes = set()
    for _, frame in frames_of(path):
        if layout == "kraken":
            rows = frame[1] if isinstance(frame, list) and frame[-2] == "trade" else []
        elif layout == "coinbase":
            rows = [frame] if frame.get("type") in ("match", "last_match") else []
        elif layout == "binance-aggTrade":
            rows = [frame["data"]] if "@aggTrade" in frame.get("stream", "") else []
        elif layout == "okx":
            rows = frame.get("data", []) if frame.get("arg", {}).get("channel") == "trades" else []
        else:
            rows = frame["data"] if frame.get("topic", "").startswith("trade.") else []
        for row in rows:
            pairs = row.items() if isinstance(row, dict) else enumerate(row)
            kinds = {key: "number" if type(value) in (int, Decimal) else type(value).__name__ for key, value in pairs}
            shapes.add(json.dumps(kinds))
    return shapes


@pytest.mark.parametrize(
    ("file", "layout", "real"),
    [
        ("BINANCE.ws.1.0", "binance-aggTrade", "BINANCE.ws.1.0"),
        ("COINBASE.ws.1.0", "coinbase", "COINBASE.ws.28.0"),
        ("KRAKEN.ws.1.0", "kraken", "KRAKEN.ws.48.0"),
        ("OKX.ws.1.0", "okx", "OKX.ws.1.0"),
        ("BYBIT.ws.1.0", "bybit-legacy", "BYBIT.ws.25.0"),
        ("BYBIT.ws.2.0", "bybit-legacy", "BYBIT.ws.26.0"),
    ],
)
def test_generated_trades_have_the_keys_order_and_types_of_real_frames(tmp_path, file, layout, real):
    if not SHARED.is_dir():
        pytest.skip(f"{SHARED.name} recordings are absent")
    write_cryptofeed(tmp_path, market(), SINCE, UNTIL)
    assert trade_shapes(tmp_path / file, layout) == trade_shapes(SHARED / real, layout)
