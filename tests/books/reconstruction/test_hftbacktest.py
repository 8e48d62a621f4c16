"""The array for hftbacktest: a dictionary that obeys it holds the true book after each message."""

import random

import pytest

import tidelake
from tests.books.reconstruction.ready_files import make_ready
from tests.vendor_files import DAY, LAKE_PLACE, TARDIS_PLACE, day_start_ns, write_csv, write_parquet
from tidelake.books.reconstruction.hftbacktest import AT_EXCHANGE, AT_LOCAL, BUY, CLEAR, DEPTH, SELL, SNAPSHOT
from tidelake.jobs.reconstruct import ReconstructSettings, plan_days, reconstruct

SOURCE, SYMBOL = "binance-spot", "BTC-USDT"
MID = 6_000_000
LEVELS_TOLD = [(30, 30), (5, 5), (30, 30), (25, 25), (40, 0), (0, 12), (33, 33), (0, 7)]


def hftbacktest_books(events, flag):
    """Time and size by price, bids and asks, after each event that one side of hftbacktest sees."""
    sides: dict[int, dict[float, float]] = {BUY: {}, SELL: {}}
    clock = "local_ts" if flag == AT_LOCAL else "exch_ts"
    for event in events[(events["ev"] & flag) != 0]:
        ev, px, qty = int(event["ev"]), float(event["px"]), float(event["qty"])
        side, kind = ev & (BUY | SELL), ev & 0xFF
        if kind == CLEAR:
            assert 0 < px < 2 * MID / 100, "each tick up to it is visited"
            sides[side] = {p: q for p, q in sides[side].items() if (p < px if side == BUY else p > px)}
        elif kind in (DEPTH, SNAPSHOT):
            sides[side].pop(px, None)
            if qty:
                sides[side][px] = qty
        yield int(event[clock]), dict(sides[BUY]), dict(sides[SELL])


def last_of_each_time(books):
    return {at: (bids, asks) for at, bids, asks in books}


def side_of(rng, sign, count):
    return {(MID + sign * (1 + n)) / 100: rng.randint(1, 900) / 1000 for n in range(count)}


def tardis_rows(rng, start_ns, changes=6):
    """Whole books of `LEVELS_TOLD`, messages of one level between them; and the book at each clock, in ns."""
    rows, books, at_us = [], {}, start_ns // 1000 + 1_000_000
    for bid_count, ask_count in LEVELS_TOLD:
        sides = {"bid": side_of(rng, -1, bid_count), "ask": side_of(rng, 1, ask_count)}
        told = [(name, *level) for name, side in sides.items() for level in side.items()]
        whole = [(at_us, "true", *level) for level in told]
        messages = []
        books[at_us * 1000] = {name: dict(side) for name, side in sides.items()}
        signs = [(name, sign) for name, sign in (("bid", -1), ("ask", 1)) if sides[name]]
        for _ in range(changes):
            at_us += 1_000_000
            name, sign = rng.choice(signs)
            price, size = (MID + sign * rng.randint(3, 60)) / 100, rng.choice((0, 5, 70)) / 1000
            sides[name].pop(price, None)
            sides[name] |= {price: size} if size else {}
            messages.append((at_us, "false", name, price, size))
            books[at_us * 1000] = {each: dict(side) for each, side in sides.items()}
        at_us += 1_000_000
        rows += [
            {**TARDIS_PLACE, "timestamp": us, "local_timestamp": us, "is_snapshot": is_whole, "side": name,
             "price": f"{price:.2f}", "amount": f"{size:.3f}"}
            for us, is_whole, name, price, size in whole + messages
        ]  # fmt: skip
    return rows, books


@pytest.mark.parametrize("flag", [AT_LOCAL, AT_EXCHANGE], ids=["local", "exchange"])
@pytest.mark.parametrize("every_ns", [0, 10**9], ids=["every event", "grid"])
def test_a_whole_book_leaves_no_level_of_the_one_before(tmp_path, every_ns, flag):
    rows, books = tardis_rows(random.Random(1), day_start_ns(DAY))
    lake = tidelake.open(tmp_path / "lake")
    path = write_csv(tmp_path / "deltas.csv.gz", rows)
    make_ready(lake.store, path, vendor="tardis", table="incremental_book_L2", source=SOURCE, symbol=SYMBOL, day=DAY)
    reconstruct(lake.store, plan_days(lake.store, strategy="full_event_replay"), ReconstructSettings(every_ns=every_ns))
    found = last_of_each_time(hftbacktest_books(lake.book(SOURCE, SYMBOL).hftbacktest(), flag))
    true = {at: (sides["bid"], sides["ask"]) for at, sides in books.items()}
    assert found == true


@pytest.mark.parametrize("flag", [AT_LOCAL, AT_EXCHANGE], ids=["local", "exchange"])
def test_a_side_told_with_fewer_levels_than_the_vendors_depth_is_the_whole_side(tmp_path, flag):
    rng, deltas, books, true = random.Random(2), [], [], {}
    for number, (bid_count, ask_count) in enumerate([(20, 20), (4, 20), (20, 6), (20, 20), (3, 2), (20, 20), (9, 9)]):
        at = day_start_ns(DAY) + (number + 1) * 60 * 10**9
        row = {"origin_time": at, "received_time": at, "sequence_number": 10 * number + 10, **LAKE_PLACE}
        row |= {f"{name}_{n}_{what}": None for name in ("bid", "ask") for n in range(20) for what in ("price", "size")}
        sides = {"bid": side_of(rng, -1, bid_count), "ask": side_of(rng, 1, ask_count)}
        for name, side in sides.items():
            for level, (price, size) in enumerate(side.items()):
                row |= {f"{name}_{level}_price": price, f"{name}_{level}_size": size}
        books.append(
            {f"{name}_{n}_{what}": None for name in sides for n in range(20) for what in ("price", "size")} | row
        )
        true[at] = sides["bid"], sides["ask"]
        deltas.append({"origin_time": at + 10**9, "received_time": at + 10**9, "sequence_number": 10 * number + 11,
                       "side_is_bid": True, "price": (MID - 1) / 100, "size": 7.0, **LAKE_PLACE})  # fmt: skip
        true[at + 10**9] = sides["bid"] | {(MID - 1) / 100: 7.0}, sides["ask"]
    lake = tidelake.open(tmp_path / "lake")
    for table, rows in (("book_delta_v2", deltas), ("book", books)):
        path = write_parquet(tmp_path / table / "0.parquet", rows)
        make_ready(lake.store, path, vendor="crypto-lake", table=table, source=SOURCE, symbol=SYMBOL, day=DAY)
    reconstruct(lake.store, plan_days(lake.store, strategy="full_event_replay"), ReconstructSettings())
    found = last_of_each_time(hftbacktest_books(lake.book(SOURCE, SYMBOL).hftbacktest(), flag))
    for at, (bids, asks) in found.items():
        assert ({p: bids[p] for p in sorted(bids)[-20:]}, {p: asks[p] for p in sorted(asks)[:20]}) == true[at]
    assert set(found) == set(true)
