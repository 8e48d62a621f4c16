"""One client of a simulated venue: its streams, its numbers, and the faults on the way to it, without a socket."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from tidelake.sim.books.faults import Happened, corrupt, without_checksum
from tidelake.sim.books.wire import UNNUMBERED, Wire
from tidelake.sim.sockets.plan import FramePlan

LATEST = 8  # updates of its book, or frames of its stream, by which a late frame is late at most


@dataclass(frozen=True, slots=True)
class Sent:
    """A frame for a client.

    Attributes:
        payload: As it is sent.
        symbol: Product that it speaks of; "" of none.
        what: "update", "snapshot", "quote", "trade", "silence", "other"; of figures the name of their stream.
        version: Of the book which it tells, -1 where it tells none.
    """

    payload: bytes
    symbol: str = ""
    what: str = "other"
    version: int = -1


@dataclass
class Client:
    """A connection, as the venue sees it.

    Attributes:
        number: Counts the connections of the venue from 1.
        path: Of its address.
        plan: What goes wrong.
        names: Streams that it subscribed, in order.
        outbox: Frames to be sent.
        sent: Frames that were put into the outbox, where the venue records them.
        happened: Faults so far.
        over: Whether the venue ends the connection when the outbox is empty.
    """

    number: int
    path: str
    plan: FramePlan
    record: bool
    names: dict[str, None] = field(default_factory=dict)
    outbox: list[bytes] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)
    happened: list[Happened] = field(default_factory=list)
    over: bool = False

    def __post_init__(self) -> None:
        self._chance = random.Random(f"{self.plan.seed} client {self.number}")
        self._count = 0
        self._zero = False
        self._held: list[tuple[int, Sent]] = []

    def draw(self, kind: str) -> bool:
        """Whether the fault falls now."""
        chance = self.plan.chances.get(kind, 0.0)
        return chance > 0 and self._chance.random() < chance

    def note(self, kind: str, frame: Sent, note: str = "") -> None:
        """Records a fault."""
        self.happened.append(Happened(kind, frame.symbol, frame.version, self._count, note))

    def put(self, frame: Sent) -> None:
        """Sends a frame as it is, but for the connection's number, which the venue writes."""
        self._deliver(self._numbered(frame))

    def put_update(self, frame: Sent, wire: Wire, levels: Sequence[tuple[str, int, int]]) -> None:
        """Sends a book update, or what becomes of it on the way."""
        frame = self._numbered(frame)
        if not self._zero and self.draw("zero-checksum"):
            self._zero = True
            self.note("zero-checksum", frame)
        if self._zero:
            frame = replace(frame, payload=without_checksum(frame.payload))
        if self.draw("reset"):
            self.note("reset", frame)
            self.over = True
            return
        if self._kept_back(frame):
            return
        told = [(ticks, lots) for _, ticks, lots in levels]
        if told and self.draw("corrupted"):
            payload, text = corrupt(frame.payload, wire, told, self._chance)
            self.note("corrupted", frame, text)
            frame = replace(frame, payload=payload)
        self._arrive(frame)

    def put_figures(self, frame: Sent) -> None:
        """Sends a frame of bars, funding, open interest or liquidations, or what becomes of it on the way."""
        frame = self._numbered(frame)
        if not self._kept_back(frame):
            self._arrive(frame)

    def _kept_back(self, frame: Sent) -> bool:
        if self.draw("lost"):
            self.note("lost", frame)
            return True
        for kind, least, most in (("reordered", 1, 1), ("late", 2, LATEST)):
            if self.draw(kind):
                later = self._chance.randint(least, most)
                self.note(kind, frame, f"{later} {'updates' if frame.what == 'update' else 'frames'} late")
                self._held.append((later, frame))
                return True
        return False

    def _arrive(self, frame: Sent) -> None:
        """Once or twice, and after it what was held back until then."""
        self._deliver(frame)
        if self.draw("doubled"):
            self.note("doubled", frame)
            self._deliver(frame)
        held, self._held = self._held, []
        for left, late in held:
            passed = (late.symbol, late.what) == (frame.symbol, frame.what)
            if passed and left <= 1:
                self._deliver(late)
            else:
                self._held.append((left - passed, late))

    def _numbered(self, frame: Sent) -> Sent:
        if UNNUMBERED not in frame.payload:
            return frame
        self._count += 1
        return replace(frame, payload=frame.payload.replace(UNNUMBERED, b'"sequence_num":%d' % (self._count - 1)))

    def _deliver(self, frame: Sent) -> None:
        if self.over:
            return
        self.outbox.append(frame.payload)
        if self.record:
            self.sent.append(frame)
