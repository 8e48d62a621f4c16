"""Walks each simulated venue's trades with the venue's own paging, written apart from the product's connectors.

Every walker gives (trade_id, us, price, size, taker side) tuples in the order of the market.
"""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

from tidelake.sim.answer import Answer

Get = Callable[[str], Answer]
Row = tuple[str, int, Decimal, Decimal, str]
OTHER = {"buy": "sell", "sell": "buy"}


def coinbase(get: Get, name: str) -> list[Row]:
    rows: list[Row] = []
    after = ""
    while page := get(f"/products/{name}/trades?limit=700{after}").json():
        rows += [_coinbase_row(item) for item in page]
        after = f"&after={page[-1]['trade_id']}"
    return rows[::-1]


def _coinbase_row(item: dict[str, Any]) -> Row:
    moment = datetime.fromisoformat(item["time"])
    us = int(moment.replace(microsecond=0).timestamp()) * 10**6 + moment.microsecond
    return str(item["trade_id"]), us, Decimal(item["price"]), Decimal(item["size"]), OTHER[item["side"]]


def kraken(get: Get, name: str) -> list[Row]:
    rows: list[Row] = []
    since = "0"
    while True:
        result = get(f"/0/public/Trades?pair={name}&since={since}&count=800").json()["result"]
        (page,) = (value for key, value in result.items() if key != "last")
        rows += [
            (str(item[6]), round(item[2] * 1e6), Decimal(item[0]), Decimal(item[1]), {"b": "buy", "s": "sell"}[item[3]])
            for item in page
        ]
        since = result["last"]
        if not page:
            return rows


def binance(get: Get, name: str) -> list[Row]:
    rows: list[Row] = []
    start = 0
    while page := get(f"/api/v3/historicalTrades?symbol={name}&fromId={start}&limit=900").json():
        rows += [
            (
                str(item["id"]),
                item["time"] * 1000,
                Decimal(item["price"]),
                Decimal(item["qty"]),
                "sell" if item["isBuyerMaker"] else "buy",
            )
            for item in page
        ]
        start = page[-1]["id"] + 1
    return rows


def okx(get: Get, name: str) -> list[Row]:
    rows: list[Row] = []
    after = ""
    while page := get(f"/api/v5/market/history-trades?instId={name}&limit=100{after}").json()["data"]:
        rows += [
            (item["tradeId"], int(item["ts"]) * 1000, Decimal(item["px"]), Decimal(item["sz"]), item["side"])
            for item in page
        ]
        after = f"&after={page[-1]['tradeId']}"
    return rows[::-1]


def bybit(get: Get, name: str, category: str) -> list[Row]:
    page = get(f"/v5/market/recent-trade?category={category}&symbol={name}&limit=1000").json()["result"]["list"]
    return [
        (
            item["execId"],
            int(item["time"]) * 1000,
            Decimal(item["price"]),
            Decimal(item["size"]),
            item["side"].lower(),
        )
        for item in reversed(page)
    ]


def deribit(get: Get, name: str) -> list[Row]:
    rows: list[Row] = []
    start, more = 1, True
    base = "/api/v2/public/get_last_trades_by_instrument"
    while more:
        result = get(f"{base}?instrument_name={name}&start_seq={start}&count=900&sorting=asc").json()["result"]
        rows += [
            (
                item["trade_id"],
                item["timestamp"] * 1000,
                Decimal(str(item["price"])),
                Decimal(str(item["amount"])),
                item["direction"],
            )
            for item in result["trades"]
        ]
        start, more = start + len(result["trades"]), result["has_more"]
    return rows
