"""One frame, page or recorded line, and the JSON line that keeps it in a segment.

The line is an envelope around the payload's own bytes:

    {"n":7,"recv_ns":1618677817079762000,"mono_ns":51,"kind":"frame","payload":{"type":"match"}}

`payload` comes last and holds the bytes as received, so that they can be cut out of the line unchanged. A payload
that is not JSON on a single line of UTF-8, or has white space around it, stands in `b64` instead.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from tidelake.errors import FormatDrift

Kind = Literal["frame", "page", "sent", "open", "note"]
KINDS: tuple[Kind, ...] = ("frame", "page", "sent", "open", "note")

PAYLOAD_MARK = b'"payload":'
B64_MARK = b'"b64":"'


@dataclass(frozen=True, slots=True)
class Frame:
    """What arrived, when, and why.

    Attributes:
        n: Place in the lane, from 0, without holes.
        recv_ns: Wall clock at receipt, ns since 1970 UTC. A recording keeps its recorder's.
        mono_ns: Monotonic clock at receipt, ns; 0 where a recording has none.
        kind: "frame" came over a WebSocket, "page" answers `request`, "sent" went out, "open" is a connection made,
            "note" is a statement of the writer (see `raw.entry.Note`) or a line of a recording that carries no payload.
        payload: The bytes as received; empty where there was none.
        request: The request that caused it ("GET https://..", or the address of the socket); holds no secret.
        feed: Feed that a page was asked for, such as "trades"; "" where frames of many feeds are mixed.
        symbol: Canonical symbol that a page was asked for; "" as for `feed`.
        status: HTTP status of a page; 0 elsewhere.
        head: Bytes of a recorded line before the payload, as the recorder wrote them.
        tail: Bytes of a recorded line after the payload.
    """

    n: int
    recv_ns: int
    mono_ns: int
    kind: Kind
    payload: bytes
    request: str = ""
    feed: str = ""
    symbol: str = ""
    status: int = 0
    head: str = ""
    tail: str = ""


class _Envelope(msgspec.Struct, omit_defaults=True):
    n: int
    recv_ns: int
    mono_ns: int
    kind: Kind
    request: str = ""
    feed: str = ""
    symbol: str = ""
    status: int = 0
    head: str = ""
    tail: str = ""


class _Line(_Envelope):
    payload: msgspec.Raw = msgspec.Raw(b"")
    b64: str = ""


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Line).decode
_check = msgspec.json.Decoder(msgspec.Raw).decode  # reads over the values without making them
_check_all = msgspec.json.Decoder(list[msgspec.Raw]).decode


def is_single_line_json(payload: bytes) -> bool:
    """Whether the payload can stand in a line as it is: valid JSON, UTF-8, no newline, no white space around it."""
    if b"\n" in payload or payload != payload.strip():
        return False
    try:
        if not payload.isascii():
            payload.decode()
        _check(payload)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return False
    return True


def encode_line(frame: Frame) -> bytes:
    """The segment line of a frame, ending in a newline; `decode_line` gives the frame back."""
    envelope = _encode(
        _Envelope(
            frame.n,
            frame.recv_ns,
            frame.mono_ns,
            frame.kind,
            frame.request,
            frame.feed,
            frame.symbol,
            frame.status,
            frame.head,
            frame.tail,
        )
    )
    if not frame.payload:
        return envelope + b"\n"
    if is_single_line_json(frame.payload):
        return b"%s,%s%s}\n" % (envelope[:-1], PAYLOAD_MARK, frame.payload)
    return b'%s,%s%s"}\n' % (envelope[:-1], B64_MARK, base64.b64encode(frame.payload))


def encode_lines(first_n: int, heard: Sequence[tuple[int, int, Kind, bytes]], request: str) -> bytes:
    """The segment lines of what passed on one socket, as `encode_line` writes each; in a third of its time.

    Args:
        first_n: Place in the lane of the first.
        heard: Receive clock and monotonic clock in ns, kind, and payload of each.
        request: Address of the socket.
    """
    middle = b',"request":%s' % _encode(request) if request else b""
    plain = _are_single_lines([payload for _, _, _, payload in heard])
    lines = []
    for n, (recv_ns, mono_ns, kind, payload) in enumerate(heard, first_n):
        if plain and kind == "frame":
            lines.append(
                b'{"n":%d,"recv_ns":%d,"mono_ns":%d,"kind":"frame"%s,"payload":%s}\n'
                % (n, recv_ns, mono_ns, middle, payload)
            )
        else:
            lines.append(encode_line(Frame(n, recv_ns, mono_ns, kind, payload, request)))
    return b"".join(lines)


def _are_single_lines(payloads: list[bytes]) -> bool:
    """Whether each can stand in a line as it is, found by reading them as one list; False also where one is empty."""
    joined = b"[" + b",".join(payloads) + b"]"
    if b"\n" in joined:
        return False
    try:
        if not joined.isascii():
            joined.decode()
        found = _check_all(joined)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return False
    return len(found) == len(payloads) and all(map(bytes.__eq__, map(bytes, found), payloads))


def decode_line(line: bytes) -> Frame:
    """The frame of a segment line.

    Raises:
        FormatDrift: The line is not one that `encode_line` wrote.
    """
    try:
        row = _decode(line)
        payload = base64.b64decode(row.b64, validate=True) if row.b64 else bytes(row.payload)
    except (msgspec.MsgspecError, ValueError, RecursionError) as exc:
        raise FormatDrift(f"not a segment line: {exc}; found {line[:80]!r}") from exc
    return Frame(
        row.n,
        row.recv_ns,
        row.mono_ns,
        row.kind,
        payload,
        row.request,
        row.feed,
        row.symbol,
        row.status,
        row.head,
        row.tail,
    )
