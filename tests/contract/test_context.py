"""Frames that need what earlier frames said are read with it as it stood there, wherever segments end."""

from dataclasses import dataclass

import pytest

from tests.contract.samples import HERE, facts, frames_of
from tidelake.raw.frame import Frame, encode_line
from tidelake.raw.recordings import FORMATS
from tidelake.tables.decode import Decoded, decode
from tidelake.tables.registry import TABLES
from tidelake.tables.segment_lines import split

SECOND = 10**9
START = 1_700_000_000 * SECOND


def announce(at: int, channel: int, pair: str) -> Frame:
    payload = f'{{"event":"subscribed","channel":"trades","chanId":{channel},"symbol":"{pair}"}}'
    return Frame(at, START + at * SECOND, 0, "frame", payload.encode())


def trade(at: int, channel: int, number: int) -> Frame:
    payload = f'[{channel},"te",[{number},{(START + at * SECOND) // 10**6},1,100]]'
    return Frame(at, START + at * SECOND, 0, "frame", payload.encode())


@dataclass
class Lane:
    """Segments of one lane, read one after the other."""

    context: dict[str, str]

    def read(self, frames: list[Frame]) -> Decoded:
        plain = b"".join(map(encode_line, frames))
        lines = split(plain, first_n=frames[0].n, known_before_ns=0)
        return decode(TABLES["trades"], "bitfinex", lines, "0" * 16, self.context)


FRAMES = [announce(0, 17, "tBTCUSD"), trade(1, 17, 1), announce(2, 17, "tETHUSD"), trade(3, 17, 2)]
PAIRS = ["BTC-USD", "ETH-USD"]


def test_channel_dealt_again_means_the_new_pair_from_there_on():
    found = Lane({}).read(FRAMES)
    assert found.rows["symbol"].to_pylist() == PAIRS


@pytest.mark.parametrize("end", [1, 2, 3])
def test_segments_may_end_anywhere(end):
    lane = Lane({})
    parts = [lane.read(FRAMES[:end]), lane.read(FRAMES[end:])]
    assert [symbol for part in parts for symbol in part.rows["symbol"].to_pylist()] == PAIRS
    assert lane.context == {"channel:17": "tETHUSD"}


def test_announcement_with_white_space_is_heard():
    loose = b' {"event": "subscribed", "channel": "trades", "chanId": 17, "symbol": "tBTCUSD"}\n'
    frames = [Frame(0, START, 0, "frame", loose), trade(1, 17, 1)]
    assert Lane({}).read(frames).rows["symbol"].to_pylist() == ["BTC-USD"]


def test_trades_on_a_channel_that_nobody_announced_are_quarantined():
    late = [trade(0, 17, 1), announce(1, 17, "tBTCUSD"), trade(2, 17, 2)]
    found = Lane({}).read(late)
    assert found.rows["trade_id"].to_pylist() == ["2"]
    assert [(bad.line, "channel 17" in bad.reason) for bad in found.rejected] == [(0, True)]


def test_channel_that_becomes_a_book_gives_no_trades():
    book = b'{"event":"subscribed","channel":"book","chanId":17,"symbol":"tBTCUSD"}'
    level = Frame(2, START + 2 * SECOND, 0, "frame", b"[17,[[36500,2,0.5],[36501,1,-0.25]]]")
    found = Lane({}).read([announce(0, 17, "tBTCUSD"), Frame(1, START + SECOND, 0, "frame", book), level])
    assert (len(found.rows), found.rejected) == (0, [])


def test_update_repeats_no_trade():
    frames = list(frames_of(FORMATS["cryptofeed"], HERE / "BITFINEX.ws.1.0"))
    placed = [Frame(n, said.recv_ns, 0, said.kind, said.payload) for n, said in enumerate(frames)]
    found = Lane({}).read(placed)
    assert found.rows["trade_id"].to_pylist() == ["401", "398", "399", "405", "407", "409"]
    assert found.rows["side"].to_pylist() == ["buy", "sell", "sell", "sell", "buy", "buy"]
    assert [format(size.normalize(), "f") for size in found.rows["size"].to_pylist()] == [
        "0.005", "0.0125", "3", "0.00000001", "12.5", "1",
    ]  # fmt: skip
    assert sum(facts(found.rows).values()) == 6
