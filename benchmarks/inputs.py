"""Inputs of the benchmarks. Each says in `label` how it was made.

Frames are recorded ones of `../shared/data`, multiplied. Where these are absent, frames of the same form are generated.
"""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from itertools import cycle, islice
from pathlib import Path

from benchmarks.multiply import read_recording

RECORDED = Path(__file__).resolve().parents[2] / "shared" / "data" / "captures" / "cryptofeed" / "COINBASE.ws.28.0"
START = datetime(2021, 4, 17, 16, 43, 37, tzinfo=UTC)
RATE = 125  # trades a second, all products together, at random times
SEED = 7
PRODUCTS = {"BTC-USD": "61234.56", "ETH-USD": "2312.07", "SKL-USD": "0.7910", "DASH-BTC": "0.005312"}
MADE = "recorded Coinbase match frames, multiplied: ids shifted, times, order ids, prices and sizes drawn anew"
GENERATED = "generated Coinbase match frames (no recordings beside the project)"


@dataclass(frozen=True)
class Matches:
    """Match frames in two forms: a recording (with receive times) and the bare frames as JSON lines."""

    recording: Path
    frames: Path
    count: int
    label: str

    @property
    def bytes(self) -> int:
        """Bytes of the bare frames."""
        return self.frames.stat().st_size


def _models() -> tuple[list[dict[str, object]], str]:
    if RECORDED.is_file():
        lines = read_recording(RECORDED, b'"type":"match"')
        return [json.loads(line.partition(b": ")[2]) for line in lines], MADE
    names = ("type", "trade_id", "maker_order_id", "taker_order_id", "side", "size", "price", "product_id", "sequence")
    made = [
        dict(zip(names, ("match", 1000, "", "", "buy", "0.05310000", price, product, 10**9), strict=True))
        for product, price in PRODUCTS.items()
    ]
    return made, GENERATED


def _order_id(draw: random.Random) -> str:
    text = f"{draw.getrandbits(128):032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _near(draw: random.Random, text: str, spread: float) -> str:
    """A number near another one, with as many digits behind the point."""
    _, exponent = Decimal(text).normalize().as_tuple()[1:]
    digits = max(-int(exponent), 2)
    least = 10.0**-digits
    return f"{max(float(text) * (1 + draw.gauss(0, spread)), least):.{digits}f}"


def match_frames(count: int, seed: int = SEED) -> Iterator[tuple[datetime, bytes]]:
    """Receive time and frame; ids of a product count on by one, no trade comes twice."""
    models, _ = _models()
    draw = random.Random(seed)
    ids: dict[object, int] = {}
    at = START
    for place, model in enumerate(islice(cycle(models), count)):
        product = model["product_id"]
        ids[product] = ids.get(product, int(str(model["trade_id"]))) + 1
        at += timedelta(microseconds=1 + int(draw.expovariate(RATE) * 1e6))
        sent = at - timedelta(microseconds=draw.randint(15_000, 60_000))
        frame = {
            **model,
            "trade_id": ids[product],
            "maker_order_id": _order_id(draw),
            "taker_order_id": _order_id(draw),
            "side": draw.choice(("buy", "sell")),
            "size": _near(draw, str(model["size"]), 0.5),
            "price": _near(draw, str(model["price"]), 0.002),
            "sequence": int(str(model["sequence"])) + place,
            "time": sent.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        }
        yield at, json.dumps(frame, separators=(",", ":")).encode()


def matches(folder: Path, count: int) -> Matches:
    """Match frames in files of the folder; made once for each count."""
    made = Matches(folder / f"matches-{count}.0", folder / f"matches-{count}.jsonl", count, _models()[1])
    if not made.frames.exists():
        half = made.frames.with_suffix(".half")
        with made.recording.open("wb") as recording, half.open("wb") as frames:
            for at, frame in match_frames(count):
                recording.write(b"%d.%06d: %s\n" % (int(at.timestamp()), at.microsecond, frame))
                frames.write(frame + b"\n")
        half.rename(made.frames)
    return made


def blocks(path: Path, size: int = 1 << 24) -> Iterator[bytes]:
    """A file, in pieces."""
    with path.open("rb") as file:
        yield from iter(partial(file.read, size), b"")
