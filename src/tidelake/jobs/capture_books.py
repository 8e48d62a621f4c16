"""The judge of a connection's books: the same reading and the same engine as `books verify` has for a sealed lane."""

from collections.abc import Mapping, Sequence

import pyarrow as pa

from tidelake.books.engine import BookEngine, Verdicts
from tidelake.books.frames import read_book_frames
from tidelake.books.messages import BookFrames
from tidelake.books.rows import judged_quotes
from tidelake.books.states import STATES, WORST_FIRST
from tidelake.jobs.capture_flow import BookCounts, Wanted
from tidelake.jobs.capture_told import BookTeller
from tidelake.raw.frame import Frame, encode_line
from tidelake.tables.segment_lines import SegmentLines, split

WARMING = (
    b'{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":1,"s":"BTCUSDT","U":1,"u":2,'
    b'"b":[["1.0","2.0"]],"a":[["1.1","0.0"]]}}'
)


def warm_up() -> None:
    """Have the kernels of books compiled and loaded, before a connection is made whose frames would wait for it."""
    line = encode_line(Frame(0, 1, 1, "frame", WARMING, "wss://stream.binance.com:9443/stream"))
    BookVerifier("binance-spot", ["BTC-USDT"], pages=True, levels=1).take(split(line, first_n=0, known_before_ns=0))


class BookVerifier:
    """Books of these symbols over one connection. `take`, `judged` and `told` are of one thread, the others of any.

    Args:
        source: Source id.
        symbols: Canonical symbols.
        pages: Whether the venue's REST pages start a book.
        levels: Best levels of each side that `told` gives after each change; 0 where nobody listens.
    """

    def __init__(self, source: str, symbols: Sequence[str], *, pages: bool, levels: int = 0) -> None:
        self._source = source
        self._symbols = list(symbols)
        self._pages = pages
        self._engine = BookEngine(source)
        self._teller = BookTeller(self._engine, levels) if levels else None
        self._context: dict[str, str] = {}
        self._wanted: list[Wanted] = []
        self._states: dict[str, str] = {}
        self._counts: dict[str, BookCounts] = {}
        self._taken: tuple[BookFrames, Verdicts] | None = None

    def take(self, lines: SegmentLines) -> None:
        frames = read_book_frames(self._source, lines, self._context)
        self._taken = None
        if not len(frames):
            return
        self._taken = frames, (self._teller or self._engine).run(frames, lines.recv_ns[frames.line])
        self._look()

    def judged(self, quotes: pa.Table) -> pa.Table:
        return judged_quotes(quotes, *self._taken) if self._taken else quotes

    def told(self) -> pa.Table | None:
        return self._teller.rows() if self._teller else None

    def _look(self) -> None:
        """What the other threads may see, put in place at once."""
        wanted = {want.stream.symbol: want.by for want in self._engine.wanted}
        order = [STATES[state] for state in WORST_FIRST]
        states: dict[str, str] = {}
        counts: dict[str, BookCounts] = {}
        for stream in self._engine.streams():
            state, _ = self._engine.state(stream)
            before = states.get(stream.symbol, state)
            states[stream.symbol] = min(state, before, key=order.index)
            counted, so_far = self._engine.counters(stream), counts.get(stream.symbol, BookCounts())
            counts[stream.symbol] = BookCounts(
                so_far.breaks + counted["breaks"],
                so_far.falls + counted["falls"],
                so_far.audits + counted["audits_compared"],
                so_far.audits_equal + counted["audits_equal"],
            )
        mine = [symbol for symbol in self._symbols if symbol in wanted]
        # A venue without pages brings the snapshot by itself when it is subscribed again.
        self._wanted = [Wanted(symbol, wanted[symbol] if self._pages else "subscription") for symbol in mine]
        self._states, self._counts = states, counts

    def wanted(self) -> Sequence[Wanted]:
        return self._wanted

    def in_step(self) -> bool:
        return not self._wanted and all(symbol in self._states for symbol in self._symbols)

    def states(self) -> Mapping[str, str]:
        return self._states

    def counts(self) -> Mapping[str, BookCounts]:
        return self._counts
