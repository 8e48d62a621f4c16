"""Recordings of hftbacktest's collector, one text file per symbol and day.

Source:  https://github.com/nkaz001/hftbacktest (`collector/`, `examples/`)
Lines:   `<local ns> <frame>`, frames of a combined stream; the REST book snapshot stands inline near the start.
Quirks:  The snapshot names neither its request nor, on spot, its symbol: the file's other lines do.
         The folder says the market: spot, usdm, cm.
"""

import re
from types import MappingProxyType

import numpy as np

from tidelake.raw.recordings.spec import Bytes, Flags, Integers, Recorded, RecordingFormat

SNAPSHOT_REQUEST = "depth snapshot, request not recorded"

_DIGITS = 19
_HEAD = re.compile(rb"([0-8]\d{18})(?: +|$)")
_STREAM = np.frombuffer(b' {"stream":', np.uint8)
_NS = 10 ** np.arange(_DIGITS - 1, -1, -1, dtype=np.int64)


def read_line(line: bytes) -> Recorded | None:
    """What a line says; None where it is not a line of this format."""
    if match := _HEAD.match(line):
        if b'"lastUpdateId"' in line and b'"stream"' not in line:
            return Recorded(match.end(), int(match[1]), "page", SNAPSHOT_REQUEST, 200)
        return Recorded(match.end(), int(match[1]))
    return None if line else Recorded(0, None, "note")


def plain(prefix: Bytes) -> tuple[Flags, Integers, Integers]:
    """Finds the lines `<19 digits> {"stream":`, their clocks and the lengths of their heads."""
    digits = prefix[:, :_DIGITS].astype(np.int64) - ord("0")
    good = ((digits >= 0) & (digits <= 9)).all(axis=1)
    good &= digits[:, 0] < 9  # up to the year 2255, so that it fits int64
    good &= (prefix[:, _DIGITS : _DIGITS + len(_STREAM)] == _STREAM).all(axis=1)
    return good, digits @ _NS, np.full(len(prefix), _DIGITS + 1)


HFTBACKTEST = RecordingFormat(
    name="hftbacktest",
    looks_like='`1723161256172216566 {"stream":...}`',
    read_line=read_line,
    plain=plain,
    source_of_folder=MappingProxyType({"spot": "binance-spot", "usdm": "binance-usdm", "cm": "binance-coinm"}),
)
