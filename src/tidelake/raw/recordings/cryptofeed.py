"""Recordings of cryptofeed, one text file per connection.

Source:  https://github.com/bmoscon/cryptofeed (`cryptofeed/raw_data_collection.py`, `sample_data/`)
Lines:   `<unix seconds>: <frame>`             a frame received
         `<url> <- <unix seconds>: <frame>`    a frame sent
         `<url> <-> <unix seconds>`            a connection made
         `<url> -> <unix seconds>: <answer>`   the answer to a GET
         `configuration: <json>`, blank        no clock of their own
Quirks:  The seconds are a printed float with one to seven decimals; they are read as text, so that no digit moves.
         Files end in up to three blank lines; some end without a newline.
"""

import re

import numpy as np

from tidelake.raw.frame import Kind
from tidelake.raw.recordings.spec import Bytes, Flags, Integers, Recorded, RecordingFormat

_CLOCK = rb"(\d{1,9}|[0-8]\d{9})(?:\.(\d{1,9}))?"  # up to the year 2255, so that it fits int64 in ns
_FRAME = re.compile(_CLOCK + rb":(?: +|$)")
_SOCKET = re.compile(rb"([!-~]+) (<->|<-|->) " + _CLOCK + rb"(?::(?: +|$)|$)")
_KINDS: dict[bytes, Kind] = {b"<->": "open", b"<-": "sent", b"->": "page"}

_SECONDS, _DECIMALS = 10, 9
_SECOND_NS: Integers = 10 ** np.arange(_SECONDS - 1, -1, -1, dtype=np.int64) * 10**9
_DECIMAL_NS: Integers = 10 ** np.arange(_DECIMALS - 1, -1, -1, dtype=np.int64)
_PLACES = np.arange(_DECIMALS)


def read_line(line: bytes) -> Recorded | None:
    """What a line says; None where it is not a line of this format."""
    if match := _FRAME.match(line):
        return Recorded(match.end(), _nanoseconds(match[1], match[2]))
    if match := _SOCKET.match(line):
        kind, url = _KINDS[match[2]], match[1].decode()
        recv_ns = _nanoseconds(match[3], match[4])
        if kind == "page":
            return Recorded(match.end(), recv_ns, kind, f"GET {url}", 200)
        return Recorded(match.end(), recv_ns, kind, url)
    if not line or line.startswith(b"configuration: "):
        return Recorded(len(line), None, "note")
    return None


def _nanoseconds(seconds: bytes, decimals: bytes | None) -> int:
    return int(seconds) * 10**9 + int((decimals or b"").ljust(_DECIMALS, b"0"))


def plain(prefix: Bytes) -> tuple[Flags, Integers, Integers]:
    """Finds the lines `<10 digits>.<1 to 9 digits>: {` or `: [`, their clocks and the lengths of their heads."""
    digits = prefix[:, : _SECONDS + 1 + _DECIMALS].astype(np.int64) - ord("0")
    is_digit = (digits >= 0) & (digits <= 9)
    colon = np.argmax(prefix == ord(":"), axis=1)
    is_decimal = (colon - _SECONDS - 1)[:, None] > _PLACES
    rows = np.arange(len(prefix))
    opener = prefix[rows, np.minimum(colon + 2, prefix.shape[1] - 1)]
    good = (
        is_digit[:, :_SECONDS].all(axis=1)
        & (digits[:, 0] < 9)
        & (prefix[:, _SECONDS] == ord("."))
        & (colon > _SECONDS + 1)
        & (colon <= _SECONDS + 1 + _DECIMALS)
        & (is_digit[:, _SECONDS + 1 :] | ~is_decimal).all(axis=1)
        & (prefix[rows, np.minimum(colon + 1, prefix.shape[1] - 1)] == ord(" "))
        & ((opener == ord("{")) | (opener == ord("[")))
    )
    clocks: Integers = digits[:, :_SECONDS] @ _SECOND_NS + (digits[:, _SECONDS + 1 :] * is_decimal) @ _DECIMAL_NS
    return good, clocks, colon + 2


CRYPTOFEED = RecordingFormat(
    name="cryptofeed",
    looks_like="`1618677817.079762: {...}`",
    read_line=read_line,
    plain=plain,
    source_of_file=True,
)
