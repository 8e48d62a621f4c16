"""Book messages of the recordings, counted a second time with json alone."""

import gzip
import json
import re
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.books.segments import as_segment, recorded
from tests.recorded.independent_reader import CRYPTOFEED, DATA, HFTBACKTEST
from tidelake.books.frames import read_book_frames
from tidelake.books.messages import KINDS, PAGE, QUOTE, BookFrames, BookStream
from tidelake.raw.frame import Frame, encode_line

LINE = re.compile(r"(?:(\S+) -> )?[0-9.]+:? (?=[\[{])")
Counted = Counter[
    tuple[str, str]
]  # (venue's symbol, kind): number of messages, and of levels under (.., kind + " levels")


def payloads(path: Path) -> Iterator[tuple[str, Any]]:
    """The address that each frame answers, "" for frames of a socket, and the frame."""
    lines = gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text()
    for line in lines.splitlines():
        if match := LINE.match(line):
            yield match[1] or "", json.loads(line[match.end() :], parse_float=Decimal)


def binance(address: str, frame: Any) -> Iterator[tuple[str, str, int]]:
    if "lastUpdateId" in frame:
        symbol = re.search(r"symbol=(\w+)", address)
        yield symbol[1] if symbol else frame.get("symbol", "the only one"), "page", len(frame["bids"] + frame["asks"])
    elif "@depth" in frame.get("stream", ""):
        yield frame["data"]["s"], "update", len(frame["data"]["b"] + frame["data"]["a"])
    elif "@bookTicker" in frame.get("stream", ""):
        yield frame["data"]["s"], "quote", 2


def kraken(_: str, frame: Any) -> Iterator[tuple[str, str, int]]:
    if isinstance(frame, list) and frame[-2].startswith("book-"):
        held = {key: value for part in frame[1:-2] for key, value in part.items()}
        snapshot = "as" in held or "bs" in held
        yield frame[-1], "snapshot" if snapshot else "update", sum(len(v) for k, v in held.items() if k != "c")


def okx(_: str, frame: Any) -> Iterator[tuple[str, str, int]]:
    if frame.get("arg", {}).get("channel") == "books" and "data" in frame:
        for book in frame["data"]:
            yield frame["arg"]["instId"], frame["action"], len(book["bids"] + book["asks"])


def deribit(_: str, frame: Any) -> Iterator[tuple[str, str, int]]:
    if frame.get("params", {}).get("channel", "").startswith("book."):
        book = frame["params"]["data"]
        kind = {"change": "update", "snapshot": "snapshot"}[book["type"]]
        yield book["instrument_name"], kind, len(book["bids"] + book["asks"])


def coinbase(_: str, frame: Any) -> Iterator[tuple[str, str, int]]:
    if frame["type"] == "snapshot":
        yield frame["product_id"], "snapshot", len(frame["bids"] + frame["asks"])
    elif frame["type"] == "l2update":
        yield frame["product_id"], "update", len(frame["changes"])


def bybit(_: str, frame: Any) -> Iterator[tuple[str, str, int]]:
    if frame.get("topic", "").startswith("orderBookL2_25."):
        symbol, book = frame["topic"].partition(".")[2], frame["data"]
        if frame["type"] == "snapshot":
            yield symbol, "snapshot", len(book if isinstance(book, list) else book["order_book"])
        else:
            yield symbol, "update", len(book["delete"] + book["update"] + book["insert"])


FILES: dict[str, tuple[str, Callable[[str, Any], Iterator[tuple[str, str, int]]]]] = {
    "BINANCE.ws.1.0": ("binance-spot", binance),
    "BINANCE.http.0.0": ("binance-spot", binance),
    "BINANCE_FUTURES.ws.1.0": ("binance-usdm", binance),
    "BINANCE_FUTURES.http.0.0": ("binance-usdm", binance),
    "KRAKEN.ws.50.0": ("kraken", kraken),
    "OKX.ws.1.0": ("okx", okx),
    "DERIBIT.ws.1.0": ("deribit", deribit),
    "COINBASE.ws.28.0": ("coinbase", coinbase),
    "BYBIT.ws.25.0": ("bybit", bybit),
    "BYBIT.ws.26.0": ("bybit", bybit),
}


def counted(path: Path, read: Callable[[str, Any], Iterator[tuple[str, str, int]]]) -> Counted:
    found: Counted = Counter()
    for address, frame in payloads(path):
        for symbol, kind, levels in read(address, frame):
            found[symbol, kind] += 1
            found[symbol, f"{kind} levels"] += levels
    return found


def counted_frames(frames: BookFrames) -> Counted:
    found: Counted = Counter()
    for i in range(len(frames)):
        if frames.stream[i] >= 0:
            symbol, kind = frames.streams[frames.stream[i]].symbol, KINDS[frames.kind[i]]
            found[symbol, kind] += 1
            found[symbol, f"{kind} levels"] += int(frames.level_from[i + 1] - frames.level_from[i])
    return found


def read(source: str, path: Path) -> BookFrames:
    return read_book_frames(source, as_segment(recorded(path)), {})


@pytest.mark.parametrize("name", FILES)
def test_every_message_of_a_recording_is_read_with_its_levels(name: str):
    source, reader = FILES[name]
    found = read(source, CRYPTOFEED / name)
    mine, independent = counted_frames(found), counted(CRYPTOFEED / name, reader)
    assert sorted(mine.values()) == sorted(independent.values())
    assert sum(1 for symbol, _ in mine) == sum(1 for symbol, _ in independent)
    assert not found.refused


def test_kraken_digits_are_those_of_the_frames():
    found = read("kraken", CRYPTOFEED / "KRAKEN.ws.50.0")
    told = [
        (level[0], level[1])
        for _, frame in payloads(CRYPTOFEED / "KRAKEN.ws.50.0")
        if isinstance(frame, list)
        for part in frame[1:-2]
        for key in ("a", "b", "as", "bs")
        for level in part.get(key, ())
    ]
    ours = zip(found.price, found.price_exponent, found.size, found.size_exponent, strict=True)
    assert sorted(told) == sorted((spelled(p, pe), spelled(s, se)) for p, pe, s, se in ours)


def spelled(mantissa: int, exponent: int) -> str:
    """The number as the venue writes it, every digit behind the point."""
    digits = str(mantissa).rjust(1 - exponent, "0")
    return f"{digits[:exponent]}.{digits[exponent:]}" if exponent else digits


def test_every_message_of_a_bybit_v5_file_is_read_with_its_levels():
    path = DATA / "captures" / "bybit-v5" / "xrpusdt-ob500.data.zip"
    if not path.exists():
        pytest.skip("needs the recorded data in ../shared/data/captures")
    with zipfile.ZipFile(path) as archive:
        payloads = archive.read(archive.namelist()[0]).splitlines()
    frames = (Frame(n, 1_733_011_200_000_000_000, 0, "frame", payload) for n, payload in enumerate(payloads))
    found = read_book_frames("bybit", as_segment(b"".join(map(encode_line, frames))), {})
    books = [json.loads(payload) for payload in payloads]
    assert found.streams == [BookStream("XRP-USDT-PERP", "orderbook.500")]
    assert found.kind.tolist() == [1] + [0] * 49
    assert found.last_id.tolist() == [book["data"]["u"] for book in books]
    assert (found.event_ns // 10**6).tolist() == [book["ts"] for book in books]
    assert (found.level_from[1:] - found.level_from[:-1]).tolist() == [
        len(book["data"]["b"] + book["data"]["a"]) for book in books
    ]


@pytest.mark.parametrize("path", sorted(HFTBACKTEST.glob("*/*.gz")), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_message_of_a_combined_stream_is_read_with_its_levels(path: Path):
    source = {"spot": "binance-spot", "usdm": "binance-usdm", "cm": "binance-coinm"}[path.parent.name]
    found = read(source, path)
    mine, independent = counted_frames(found), counted(path, binance)
    assert sorted(mine.values()) == sorted(independent.values())
    assert not found.refused
    assert len({stream.symbol for stream in found.streams}) == 1
    assert (found.level_from[1:] - found.level_from[:-1])[found.kind == QUOTE].tolist() == [2] * int(
        (found.kind == QUOTE).sum()
    )
    assert (found.last_id[found.kind == PAGE] > 0).all()
