"""One trial of the detection matrix: a session with one fault, read and judged as a capture reads and judges it.

The lines go through `tables.segment_lines.split`, `books.frames.read_book_frames` and `books.engine.BookEngine`; after
each message the engine's book is compared with the true book of the newest update that had arrived.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tidelake.books.engine import BookEngine
from tidelake.books.frames import read_book_frames
from tidelake.books.messages import BookFrames, BookStream
from tidelake.books.states import REASONS
from tidelake.raw.frame import Frame, encode_line
from tidelake.sim.books.session import START_NS, Heard, Line, session
from tidelake.tables.segment_lines import SegmentLines, split

VALID = "VALID"
GOOD = (VALID, "UNPROVABLE")
TAIL_MESSAGES = 8
TELLS = ("update", "snapshot", "silence")


@dataclass
class Trial:
    """What came of one session.

    Attributes:
        found: Reason of the first state other than VALID and UNPROVABLE at or after the fault (of a session without
            one: at or after the first synchronisation) and before the last synchronisation; "" for none.
        messages, ms: Messages of books and quotes, and time, from the fault to that state.
        wrong: Messages up to there after which a wrong book was VALID.
        unproven: The same, of books called UNPROVABLE.
        first_wrong: Place of the first of the former; -1.
        audited: Whether the last synchronisation found it, comparing the book with a page.
        repaired: Whether the last messages of all left both books right, and VALID or UNPROVABLE.
    """

    heard: Heard
    found: str = ""
    messages: int = 0
    ms: float = 0.0
    wrong: int = 0
    unproven: int = 0
    first_wrong: int = -1
    audited: bool = False
    repaired: bool = True

    @property
    def undetected(self) -> bool:
        """A wrong book was called VALID, and no message said otherwise."""
        return self.wrong > 0 and not self.found


def as_lines(lines: list[Line]) -> SegmentLines:
    """The lines as those of a segment."""
    plain = b"".join(
        encode_line(Frame(n, line.recv_ns, n, line.kind, line.payload, line.request, *_page_of(line)))
        for n, line in enumerate(lines)
    )
    return split(plain, first_n=0, known_before_ns=0)


def _page_of(line: Line) -> tuple[str, str, int]:
    return ("book", line.symbol, 200) if line.kind == "page" else ("", "", 0)


def book_of(engine: BookEngine, symbol: str) -> BookStream | None:
    """The stream of a symbol's full book."""
    found = (s for s in engine.streams() if s.symbol == symbol and s.channel != "orderbook.1")
    return next(found, None)


def run_trial(source: str, seed: int, fault: str = "", start_ns: int = START_NS) -> Trial:
    """Make a session, and judge it message by message."""
    heard = session(source, seed, fault, start_ns=start_ns)
    lines = as_lines(heard.lines)
    frames = read_book_frames(source, lines, {})
    assert not frames.refused, frames.refused[0]
    return _Judge(heard, frames, lines.recv_ns).run()


class _Judge:
    def __init__(self, heard: Heard, frames: BookFrames, recv_ns: npt.NDArray[np.int64]) -> None:
        self.heard, self.frames, self.recv_ns = heard, frames, recv_ns
        self.engine = BookEngine(heard.source)
        self.newest: dict[str, int] = {}
        self.trial = Trial(heard)
        self.place = heard.happened[0].place if heard.happened else heard.begun

    def run(self) -> Trial:
        fault, settled = np.searchsorted(self.frames.line, (self.place, self.heard.settled)).tolist()
        tail = len(self.frames) - TAIL_MESSAGES
        self._run(0, fault)
        at = fault
        while at < settled and not self.trial.found:
            self._run(at, at + 1)
            at += 1
            self.trial.messages += 1
            self._look(at - 1)
        self._run(at, settled)
        reasons = self._run(settled, tail)
        self.trial.audited = REASONS.index("differs from an audit page") in reasons
        for at in range(tail, len(self.frames)):
            self._run(at, at + 1)
            symbol = self._line(at).symbol
            right = not symbol or (self.state(symbol)[0] in GOOD and self.right(symbol))
            self.trial.repaired = self.trial.repaired and right
        return self.trial

    def _line(self, at: int) -> Line:
        return self.heard.lines[int(self.frames.line[at])]

    def _run(self, start: int, stop: int) -> list[int]:
        """Judge messages, and note what the books should be after them; the reasons of their states."""
        if start >= stop:
            return []
        part = self.frames.part(start, stop)
        verdicts = self.engine.run(part, self.recv_ns[part.line])
        for at, applied in zip(range(start, stop), verdicts.applied.tolist(), strict=True):
            line = self._line(at)
            if line.what in TELLS or (line.what == "page" and applied):
                self.newest[line.symbol] = max(self.newest.get(line.symbol, -1), line.version)
        return [int(code) for code in verdicts.reason]

    def state(self, symbol: str) -> tuple[str, str]:
        stream = book_of(self.engine, symbol)
        return self.engine.state(stream) if stream else ("INVALID", "no snapshot yet")

    def right(self, symbol: str) -> bool:
        """Whether the book is the true one of the newest update that has arrived."""
        stream = book_of(self.engine, symbol)
        ours = (
            tuple({level.price: level.size for level in side} for side in self.engine.levels(stream)) if stream else ()
        )
        return ours == self.heard.truth(symbol, self.newest[symbol])

    def _look(self, at: int) -> None:
        """After a message between the fault and the last synchronisation."""
        line, trial = self._line(at), self.trial
        for symbol in [line.symbol] if line.symbol else list(self.newest):
            state, reason = self.state(symbol)
            if state not in GOOD:
                trial.found = trial.found or reason
                before = self.heard.lines[self.place - 1].recv_ns
                trial.ms = (line.recv_ns - before) / 1e6
            elif line.symbol and not self.right(symbol):
                trial.wrong += state == VALID
                trial.unproven += state != VALID
                if trial.wrong and trial.first_wrong < 0:
                    trial.first_wrong = int(self.frames.line[at])
