"""How far our clock is from that of a time server, by one SNTP exchange over UDP (RFC 4330)."""

import socket
import struct
import time
from dataclasses import dataclass

from tidelake.errors import SourceError

PORT = 123
EPOCH = 2_208_988_800  # seconds from 1900 to 1970
REQUEST = b"\x23" + bytes(47)  # version 4, client


@dataclass(frozen=True, slots=True)
class ClockOffset:
    """What one exchange told.

    Attributes:
        server: Asked host.
        offset_ns: Its clock less ours: add it to our clock to get its time.
        delay_ns: Of the way there and back; the offset is wrong by at most half of it.
        at_ns: Our clock then, ns since 1970 UTC.
    """

    server: str
    offset_ns: int
    delay_ns: int
    at_ns: int


def clock_offset(server: str, *, port: int = PORT, timeout: float = 2.0) -> ClockOffset:
    """Ask a time server. Blocks for at most `timeout` seconds after the name is found.

    Raises:
        SourceError: It did not answer, or its answer is not to be trusted.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(server, port, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind, protocol) as link:
            link.settimeout(timeout)
            link.connect(address)
            sent, began = time.time_ns(), time.monotonic_ns()
            link.send(REQUEST[:40] + struct.pack("!II", sent // 10**9 + EPOCH & 0xFFFFFFFF, sent % 10**9))
            answer = link.recv(512)
            took = time.monotonic_ns() - began
    except OSError as exc:
        text = f"time server {server}: no answer ({type(exc).__name__}); the clock offset stays unknown"
        raise SourceError(text, retryable=True) from exc
    received, told = _read(server, answer, sent)
    return ClockOffset(server, (received + told - sent - (sent + took)) // 2, took - (told - received), sent)


def _read(server: str, answer: bytes, sent: int) -> tuple[int, int]:
    """The server's clock when it received and when it sent."""
    mode, stratum = answer[0] & 7, answer[1] if len(answer) >= 48 else 0
    if len(answer) < 48 or mode != 4 or not 1 <= stratum <= 15 or answer[0] >> 6 == 3:
        raise SourceError(f"time server {server}: an answer that is not synchronised time", retryable=True)
    if answer[24:32] != struct.pack("!II", sent // 10**9 + EPOCH & 0xFFFFFFFF, sent % 10**9):
        raise SourceError(f"time server {server}: an answer to another question", retryable=True)
    received, told = (_ns(*struct.unpack("!II", answer[at : at + 8])) for at in (32, 40))
    return received, told


def _ns(seconds: int, fraction: int) -> int:
    since = seconds - EPOCH if seconds & 0x80000000 else seconds + (1 << 32) - EPOCH  # the era changes in 2036
    return since * 10**9 + (fraction * 10**9 >> 32)
