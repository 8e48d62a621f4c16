"""Seeded rows of the tables that the panel rests on, with every status, and the panel of them the slow way."""

import datetime as dt
import random
from collections import defaultdict
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal, localcontext
from functools import cache
from typing import Any

import polars as pl

from tidelake.lending.panel.assembling import Facts
from tidelake.lending.registry import markets as read_markets
from tidelake.tables.lending_liquidations import LENDING_LIQUIDATIONS
from tidelake.tables.lending_positions import LENDING_POSITIONS

IDS = ("aave_v2_ethereum", "aave_v3_ethereum", "compound_v2_ethereum", "compound_v3_eth_usdc", "morpho_blue_ethereum")
START = dt.date(2024, 1, 1)
DAY = dt.timedelta(days=1)
STATES = ("OK",) * 7 + ("NOT_DEPLOYED", "SOURCE_FAILED", "REFUSED", "RETRACTED", "")
TOKENS = {f"0x{n:040x}": decimals for n, decimals in enumerate((6, 18, 8, 18, 24, 0), start=1)}


@cache
def markets():
    """The registry, read once."""
    return read_markets()


def columns(table):
    """The columns of a table as Polars types."""
    empty = pl.DataFrame(pl.from_arrow(table.schema.empty_table()))
    return dict(empty.schema)


def moment(day, hour=0):
    return dt.datetime.combine(day, dt.time(hour), dt.UTC)


@dataclass
class Rows:
    """Rows as dicts, before they become frames."""

    positions: list[dict[str, Any]] = field(default_factory=list)
    liquidations: list[dict[str, Any]] = field(default_factory=list)
    prices: list[dict[str, Any]] = field(default_factory=list)
    log_days: list[dict[str, Any]] = field(default_factory=list)
    blocks: list[dict[str, Any]] = field(default_factory=list)
    collateral_days: list[dict[str, Any]] = field(default_factory=list)
    parts: list[dict[str, Any]] = field(default_factory=list)

    def facts(self):
        date = {"date": pl.Date}
        time = pl.Datetime("us", "UTC")
        text = pl.String
        price = {"chain": text, "token": text, "date": pl.Date, "price_usd": pl.Decimal(38, 18)}
        price |= {"price_source": text, "price_status": text, "known_at": time}
        schemas = {
            "positions": columns(LENDING_POSITIONS) | date,
            "liquidations": columns(LENDING_LIQUIDATIONS) | date,
            "prices": price,
            "log_days": {"market": text, "date": pl.Date, "logs_state": text, "known_at": time},
            "blocks": {"chain": text, "block_hash": text, "finality": text},
            "collateral_days": {"market": text, "date": pl.Date},
            "parts": {"market": text, "part": text, "loan": text, "collateral": text},
        }
        frames = {name: pl.DataFrame(getattr(self, name), schema=schema) for name, schema in schemas.items()}
        decimals = pl.DataFrame(
            [("ethereum", token, places) for token, places in TOKENS.items()],
            schema={"chain": text, "asset": text, "decimals": pl.Int32},
            orient="row",
        )
        return Facts(**frames, decimals=decimals)


def seeded(seed, days=4):
    """Rows of five markets, one of each family, over some days."""
    draw = random.Random(seed)
    rows = Rows()
    known = markets()
    for n in range(days):
        day = START + n * DAY
        for token in TOKENS:
            rows.prices += _price(draw, token, day)
        for number, id in enumerate(IDS):
            _market_day(draw, rows, known[id], day, block=1_000 * n + number)
    loan, collateral, *_ = TOKENS
    rows.parts = [{"market": IDS[4], "part": "m0", "loan": loan, "collateral": collateral}]
    draw.shuffle(rows.positions)
    draw.shuffle(rows.liquidations)
    return rows


def _price(draw, token, day):
    if draw.random() < 0.25:
        return []
    price = Decimal(draw.choice((1, 10**18, 2_500 * 10**18, draw.randrange(1, 10**22)))).scaleb(-18)
    if draw.random() < 0.03:
        price = Decimal(10) ** 19  # cannot be true
    told = {"chain": "ethereum", "token": token, "date": day, "price_usd": price, "known_at": _clock(draw, day)}
    status = draw.choice(("AGREED", "ALONE", "DISAGREE"))
    return [told | {"price_source": draw.choice(("defillama", "coingecko")), "price_status": status}]


def _clock(draw, day):
    return moment(day) + dt.timedelta(seconds=draw.randrange(86_400, 200_000))


def _market_day(draw, rows, market, day, block):
    state = draw.choice(STATES)
    if not state:
        return
    hash = f"0x{block:064x}"
    told = {
        "chain": "ethereum", "market": market.id, "granularity": "daily", "grid_time": moment(day), "date": day,
        "state": state, "reason": None if state == "OK" else f"why {draw.randrange(9)}", "event_time": moment(day, 23),
        "block_number": block, "block_hash": hash, "protocol": market.protocol, "family": market.family,
        "known_at": _clock(draw, day), "status": "active", "asset": "", "role": "", "part": "",
    }  # fmt: skip
    if draw.random() < 0.7:
        rows.blocks.append({"chain": "ethereum", "block_hash": hash, "finality": draw.choice(("safe", "final"))})
    if draw.random() < 0.8:
        logs = {"market": market.id, "date": day, "logs_state": draw.choice(("OK", "UNPROVEN"))}
        logs |= {"logs_state": "REFUSED"} if (len(market.id) + day.day) % 6 == 0 else {}
        rows.log_days.append(logs | {"known_at": _clock(draw, day)})
    if market.family == "morpho_blue" and draw.random() < 0.5:
        rows.collateral_days.append({"market": market.id, "date": day})
    held = [_position(draw, market, n) for n in range(draw.choice((0, 1, 3, 5)))] if state == "OK" else []
    rows.positions += [told | position for position in held] or [told]
    for n in range(draw.choice((0, 0, 1, 4))):
        rows.liquidations += _liquidation(draw, market, day, hash, n)


def _amount(draw):
    return draw.choice((0, 1, draw.randrange(10**9), draw.randrange(10**24), 10**45))


def _told(name, raw, decimals):
    """An amount as the tables hold it: exactly, or null where it does not fit."""
    if raw is None:
        return {f"{name}_raw": None, name: None}
    with localcontext(prec=200):
        exact = Decimal(raw).scaleb(-decimals)
        fits = abs(exact) < 10**20 and exact == exact.quantize(Decimal("1e-18"))
        return {f"{name}_raw": str(raw), name: exact.quantize(Decimal("1e-18")) if fits else None}


def _position(draw, market, n):
    asset = draw.choice(list(TOKENS))
    decimals = TOKENS[asset]
    is_loan = market.family not in ("compound_v3", "morpho_blue") or draw.random() < 0.5
    supplied = _amount(draw)
    told = {"asset": asset, "symbol": draw.choice((f"T{asset[-1]}", None)), "decimals": decimals, "part": f"m{n}"}
    told |= {"role": "loan" if is_loan else "collateral"}
    told |= {"shares_raw": str(draw.choice((0, 10**9 + 7, 10**20))) if market.family == "compound_v2" else None}
    told |= _told("supplied", supplied, decimals)
    told |= _told("borrowed", _amount(draw) if is_loan else 0, decimals)
    return told | _told("available", _amount(draw) if is_loan and draw.random() < 0.9 else None, decimals)


def _liquidation(draw, market, day, hash, n):
    """The rows of one liquidation; of Compound v3 a debt, and each collateral by itself."""
    row = {
        "chain": "ethereum", "block_hash": hash, "tx_hash": f"0xt{n // 2}", "market": market.id,
        "protocol": market.protocol, "family": market.family, "event_time": moment(day, 5), "date": day,
        "block_number": 1, "event": "", "borrower": f"0xb{n}", "liquidator": "0xl", "part": f"m{draw.randrange(3)}",
        "proof": "two providers", "status": "active", "collateral_asset": "",
    }  # fmt: skip
    debt, collateral = draw.choices(list(TOKENS), k=2)
    paid = _debt(draw, debt)
    if market.family in ("compound_v2", "morpho_blue") and draw.random() < 0.7:
        paid |= {"debt_asset": None, "debt_decimals": None, "debt_repaid": None}
    taken = _seized(draw, collateral)
    if market.family == "compound_v2":
        taken |= {"collateral_asset": f"m{draw.randrange(5)}", "collateral_decimals": 8, "collateral_seized": None}
    if market.family == "morpho_blue" and draw.random() < 0.7:
        taken |= {"collateral_asset": "", "collateral_decimals": None, "collateral_seized": None}
        paid |= {"bad_debt_raw": str(draw.choice((0, 10**6))), "bad_debt": None}
    parts = [paid | taken]
    if market.family == "compound_v3":
        parts = [paid, taken, _seized(draw, debt)][: draw.choice((1, 2, 3))]
    if market.family == "aave_v3" and draw.random() < 0.5:
        parts.append({"debt_asset": debt, "debt_decimals": TOKENS[debt], **_told("bad_debt", 5, TOKENS[debt])})
    return [row | {"log_index": 10 * n + m, "known_at": _clock(draw, day)} | part for m, part in enumerate(parts)]


def _debt(draw, asset):
    return {"debt_asset": asset, "debt_decimals": TOKENS[asset], **_told("debt_repaid", _amount(draw), TOKENS[asset])}


def _seized(draw, asset):
    told = _told("collateral_seized", _amount(draw), TOKENS[asset])
    return {"collateral_asset": asset, "collateral_decimals": TOKENS[asset], **told}


def slow_panel(rows, ids, days):
    """The panel of rows, one market and day after the other, by dictionaries."""
    prices = {(price["token"], price["date"]): price for price in rows.prices}
    with localcontext(prec=200):
        return [_slow_row(rows, prices, id, day) for id in sorted(ids) for day in sorted(days)]


def _worth(raw, decimals, price):
    """Rounded twice, as the columns are: the amount to 18 places, then its value."""
    if raw is None or decimals is None or price is None:
        return None
    amount = Decimal(raw).scaleb(-decimals).quantize(Decimal("1e-18"))
    value = (amount * price["price_usd"]).quantize(Decimal("1e-18"), ROUND_HALF_UP)
    return value if abs(amount) < 10**20 and abs(value) <= 10**15 else None


def _sum(values, is_needed):
    known = [value for value, needed in zip(values, is_needed, strict=True) if needed and value is not None]
    if any(is_needed) and not known:
        return None
    return sum((value for value in values if value is not None), Decimal(0))


def _slow_row(rows, prices, id, day):
    market = markets()[id]
    mine = [row for row in rows.positions if (row["market"], row["date"]) == (id, day)]
    found = {"date": day, "market": id, "protocol": market.protocol, "version": market.version}
    found |= {"family": market.family, "chain": market.chain, "status": "NOT_COLLECTED"}
    known = [row["known_at"] for row in mine]
    if mine:
        first = mine[0]
        found |= {"status": first["state"], "reason": first["reason"]}
        found |= {"block_number": first["block_number"], "block_hash": first["block_hash"]}
        seen = [block["finality"] for block in rows.blocks if block["block_hash"] == first["block_hash"]]
        found |= {"finality": seen[0] if seen else None}
    held = [row for row in mine if row["asset"]]
    if found["status"] == "OK":
        is_known = market.family != "morpho_blue" or any(
            (row["market"], row["date"]) == (id, day) for row in rows.collateral_days
        )
        found |= _slow_holdings(held, prices, day, is_known, known)
    return (
        found
        | _slow_liquidations(rows, prices, market, day, held, found["status"], known)
        | {"known_at": max(known, default=None)}
    )


def _slow_holdings(held, prices, day, is_known, known):
    valued = []
    for row in held:
        price = prices.get((row["asset"], day))
        side = {
            name: _worth(row[f"{name}_raw"], row["decimals"], price) for name in ("supplied", "borrowed", "available")
        }
        has = row["supplied_raw"] != "0" or row["borrowed_raw"] != "0"
        good = side["supplied"] is not None and side["borrowed"] is not None
        if has and price:
            known.append(price["known_at"])
        valued.append((row, price, side, has, good))
    loans = [one for one in valued if one[0]["role"] == "loan"]
    others = [one for one in valued if one[0]["role"] != "loan"]
    supplied = _sum([one[2]["supplied"] for one in loans], [one[3] for one in loans])
    borrowed = _sum([one[2]["borrowed"] for one in loans], [one[3] for one in loans])
    collateral = _sum([one[2]["supplied"] for one in others], [one[3] for one in others]) if is_known else None
    untold = any(has and good and row["available_raw"] is None for row, _, _, has, good in loans)
    available = None if untold else _sum([one[2]["available"] for one in loans], [one[3] for one in loans])
    total = None if None in (supplied, borrowed, collateral) else supplied + collateral - borrowed
    assets = defaultdict(list)
    for one in valued:
        assets[one[0]["asset"]].append(one)
    in_use = {asset: rows for asset, rows in assets.items() if any(has for *_, has, _ in rows)}
    priced = [asset for asset, rows in in_use.items() if all(good or not has for *_, has, good in rows)]
    owned = sum(one[2]["supplied"] for one in valued if one[2]["supplied"] is not None)
    agreed = [one[2]["supplied"] for one in valued if one[1] and one[1]["price_status"] == "AGREED"]
    agreed = sum(value for value in agreed if value is not None)
    sources = sorted({price["price_source"] for _, price, _, has, good in valued if has and good})
    disagreed = [
        asset for asset, rows in in_use.items() if prices.get((asset, day), {}).get("price_status") == "DISAGREE"
    ]
    told = {
        "supplied_usd": supplied,
        "collateral_usd": collateral,
        "borrowed_usd": borrowed,
        "available_usd": available,
    }
    told |= {
        "total_value_usd": total,
        "utilisation": float(borrowed / supplied) if supplied and borrowed is not None else None,
    }
    told |= {"assets": len(assets), "assets_held": len(in_use), "assets_priced": len(priced)}
    told |= {"share_priced": len(priced) / len(in_use) if in_use else None, "assets_disagreed": len(disagreed)}
    told |= {"share_agreed": float(agreed / owned) if owned else None, "price_sources": " ".join(sources) or None}
    if len(priced) < len(in_use):
        names = []
        for asset in in_use:
            symbols = [row["symbol"] for row, *_ in assets[asset] if row["symbol"]]
            names += [symbols[0] if symbols else asset] if asset not in priced else []
        told |= {"reason": f"no price: {', '.join(sorted(names))}"}
        is_any = any(has and good for *_, has, good in valued)
        told |= {"status": "PARTLY_PRICED" if is_any else "NOT_PRICED"}
    return told


def _slow_liquidations(rows, prices, market, day, held, status, known):
    logs = [row for row in rows.log_days if (row["market"], row["date"]) == (market.id, day)]
    known += [row["known_at"] for row in logs]
    if status == "NOT_DEPLOYED" or not logs:
        return {"liquidations_status": "NOT_DEPLOYED" if status == "NOT_DEPLOYED" else "NOT_COLLECTED"}
    if logs[0]["logs_state"] == "REFUSED":
        return {"liquidations_status": "REFUSED"}
    by_part = {row["part"]: row for row in held if row["role"] == "loan"}
    shares = {row["part"]: row for row in held if row["shares_raw"] is not None}
    tokens = {part["part"]: part for part in rows.parts if part["market"] == market.id}
    events, unknown = set(), set()
    sums = {name: [] for name in ("debt", "seized", "unpaid")}
    for row in rows.liquidations:
        if (row["market"], row["date"]) != (market.id, day):
            continue
        known.append(row["known_at"])
        part = tokens.get(row["part"], {})
        debt = row.get("debt_asset") or by_part.get(row["part"], {}).get("asset") or part.get("loan")
        seized, raw = row["collateral_asset"] or part.get("collateral"), row.get("collateral_seized_raw")
        if market.family == "compound_v2":
            behind = shares.get(row["collateral_asset"])
            seized = behind and behind["asset"]
            if behind is None or raw is None or not int(behind["shares_raw"]):
                raw = None
            else:
                raw = str(int(raw) * int(behind["supplied_raw"]) // int(behind["shares_raw"]))
        known += [price["known_at"] for token in (debt, seized) if (price := prices.get((token, day)))]
        event = (row["tx_hash"], row["borrower"] if market.family == "compound_v3" else row["log_index"])
        if row.get("debt_repaid_raw") is not None or row.get("collateral_seized_raw") is not None:
            events.add(event)
        for name, told, amount, token in (
            ("debt", row.get("debt_repaid_raw"), row.get("debt_repaid_raw"), debt),
            ("seized", row.get("collateral_seized_raw"), raw, seized),
            ("unpaid", row.get("bad_debt_raw"), row.get("bad_debt_raw"), debt),
        ):
            value = _worth(amount, TOKENS.get(token), prices.get((token, day)))
            sums[name].append((value, told not in (None, "0"), told))
            if told not in (None, "0") and value is None:
                unknown.add(event)
    total = {name: _sum([one[0] for one in each], [one[1] for one in each]) for name, each in sums.items()}
    is_told = any(told is not None for *_, told in sums["unpaid"])
    if not is_told:
        total["unpaid"] = Decimal(0) if market.family == "morpho_blue" and not sums["debt"] else None
    return {
        "liquidations_status": logs[0]["logs_state"], "liquidations": len(events),
        "liquidations_unpriced": len(unknown), "liquidations_usd": total["debt"], "seized_usd": total["seized"],
        "bad_debt_usd": total["unpaid"],
    }  # fmt: skip
