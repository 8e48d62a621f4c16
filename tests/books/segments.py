"""Recorded files as the lines of a segment."""

from functools import cache
from pathlib import Path

import pytest

from tests.recorded.independent_reader import CRYPTOFEED, HFTBACKTEST
from tidelake.raw.recordings import recording_format
from tidelake.raw.recordings.bulk import encode_block
from tidelake.raw.recordings.files import RecordingFile
from tidelake.tables.segment_lines import SegmentLines, split

FILES = {
    CRYPTOFEED / "BINANCE.ws.1.0": "binance-spot",
    CRYPTOFEED / "BINANCE.http.0.0": "binance-spot",
    CRYPTOFEED / "BINANCE_FUTURES.ws.1.0": "binance-usdm",
    CRYPTOFEED / "BINANCE_FUTURES.http.0.0": "binance-usdm",
    CRYPTOFEED / "KRAKEN.ws.48.0": "kraken",
    CRYPTOFEED / "KRAKEN.ws.50.0": "kraken",
    CRYPTOFEED / "OKX.ws.1.0": "okx",
    CRYPTOFEED / "DERIBIT.ws.1.0": "deribit",
    CRYPTOFEED / "COINBASE.ws.28.0": "coinbase",
    CRYPTOFEED / "BYBIT.ws.25.0": "bybit",
    CRYPTOFEED / "BYBIT.ws.26.0": "bybit",
}


@cache
def recorded(path: Path) -> bytes:
    """The segment lines of a recorded file; skips the test where it is absent."""
    if not path.exists():
        pytest.skip("needs the recorded data in ../shared/data/captures")
    form = recording_format("hftbacktest" if HFTBACKTEST in path.parents else "cryptofeed")
    lines, count, last_ns = [], 0, 0
    with path.open("rb") as file:
        for block in RecordingFile(file, path.stat().st_size).blocks():
            encoded = encode_block(form, block, count, last_ns)
            lines.append(encoded.lines)
            count, last_ns = count + encoded.count, encoded.last_ns
    return b"".join(lines)


def as_segment(plain: bytes, first_n: int = 0) -> SegmentLines:
    return split(plain, first_n=first_n, known_before_ns=0)
