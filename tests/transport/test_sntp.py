import socket
import struct
import threading
import time

import pytest

from tidelake.errors import SourceError
from tidelake.transport.sntp import EPOCH, clock_offset


def serve(answer):
    """A time server for one question."""
    link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    link.bind(("127.0.0.1", 0))
    link.settimeout(5)

    def work():
        with link:
            question, peer = link.recvfrom(512)
            if (said := answer(question)) is not None:
                link.sendto(said, peer)

    threading.Thread(target=work, daemon=True).start()
    return link.getsockname()[1]


def stamp(ns):
    return struct.pack("!II", (ns // 10**9 + EPOCH) & 0xFFFFFFFF, (ns % 10**9 << 32) // 10**9)


def packet(question, ahead_ns, *, first=0x24, stratum=2, hold=0.0):
    received = time.time_ns() + ahead_ns
    time.sleep(hold)
    told = time.time_ns() + ahead_ns
    return bytes([first, stratum, 0, 0]) + bytes(20) + question[40:48] + stamp(received) + stamp(told)


@pytest.mark.parametrize("ahead_ns", [-1_200_000_000, 0, 3_600 * 10**9, 12 * 365 * 86_400 * 10**9])
def test_offset_is_the_servers_clock_less_ours_within_half_the_delay(ahead_ns):
    port = serve(lambda question: packet(question, ahead_ns, hold=0.05))
    began = time.monotonic_ns()
    found = clock_offset("127.0.0.1", port=port)
    took_ns = time.monotonic_ns() - began
    assert abs(found.offset_ns - ahead_ns) <= found.delay_ns / 2 + 1_000_000
    assert 0 <= found.delay_ns <= took_ns - 49_000_000  # the 50 ms that the server held it are not in it
    assert found.server == "127.0.0.1"


@pytest.mark.parametrize(
    "answer",
    [
        lambda question: None,
        lambda question: b"short",
        lambda question: packet(question, 0, stratum=0),
        lambda question: packet(question, 0, first=0xE4),
        lambda question: packet(bytes(48), 0),
    ],
)
def test_a_server_that_is_silent_or_unsynchronised_leaves_the_offset_unknown(answer):
    with pytest.raises(SourceError, match=r"time server 127\.0\.0\.1"):
        clock_offset("127.0.0.1", port=serve(answer), timeout=0.2)
