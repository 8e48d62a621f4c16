"""Messages as a test says them, as the columns that the engine takes."""

from decimal import Decimal

import numpy as np

from tidelake.books.messages import KINDS, NONE, BookFrames, BookStream

SIDES = {"bid": 0, "ask": 1}


def as_frames(messages, streams):
    """`BookFrames` of slow messages; `streams` maps (symbol, channel) to depth and decimals."""
    names = list(streams) + [(s, "") for s in dict.fromkeys(symbol for symbol, _ in streams)]
    listed = [BookStream(*name, *_attributes(streams.get(name))) for name in names]
    levels = [level for said in messages for level in said.levels]
    price = [_digits(p) for _, p, _ in levels]
    size = [_digits(s) for _, _, s in levels]
    n = len(messages)

    def ids(name):
        return np.array([NONE if getattr(m, name) is None else getattr(m, name) for m in messages], np.int64)

    return BookFrames(
        streams=listed,
        line=np.arange(n, dtype=np.int64),
        item=np.array([m.item for m in messages], np.int32),
        stream=np.array([_stream(m, names) for m in messages], np.int32),
        kind=np.array([KINDS.index(m.kind) for m in messages], np.uint8),
        event_ns=np.array([m.event_ns for m in messages], np.int64),
        first_id=ids("first_id"),
        last_id=ids("last_id"),
        prev_id=ids("prev_id"),
        conn_seq=ids("conn_seq"),
        checksum=ids("checksum"),
        level_from=np.cumsum([0, *(len(m.levels) for m in messages)]).astype(np.int64),
        side=np.array([SIDES[side] for side, _, _ in levels], np.uint8),
        price=np.array([m for m, _ in price], np.int64),
        price_exponent=np.array([e for _, e in price], np.int8),
        size=np.array([m for m, _ in size], np.int64),
        size_exponent=np.array([e for _, e in size], np.int8),
    )


def recv_ns(messages):
    return np.array([m.recv_ns for m in messages], np.int64)


def _attributes(given):
    depth, places = given or (0, (-1, -1))
    return depth, *places


def _stream(said, names):
    channel = "" if said.kind == "page" else said.channel
    return names.index((said.symbol, channel)) if said.symbol else -1


def _digits(text):
    _, digits, exponent = Decimal(text).as_tuple()
    return int("".join(map(str, digits))), exponent
