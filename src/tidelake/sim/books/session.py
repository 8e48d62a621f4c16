"""What one receiver hears of two books of a venue, in order, with one fault planned, and the true book after each line.

    heard = session("kraken", seed=7, fault="lost")
    heard.lines[i].payload          the bytes
    heard.truth(symbol, version)    sizes by price, of bids and of asks

No socket and no clock: the same arguments give the same lines. The venue synchronises the receiver when a connection
is made, and both books once more near the end, so that whatever happened the last updates must find proven books.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Literal

from tidelake.sim.books.dialects import dialect
from tidelake.sim.books.faults import Happened, checked, corrupt, without_checksum
from tidelake.sim.books.model import Sides as Lots, TrueBook
from tidelake.sim.books.wire import UNNUMBERED, Asked, Wire

START_NS = 1_792_000_000 * 10**9  # October 2026: OKX sends no checksums any more
CHECKSUM_TIMES_NS = 1_760_000_000 * 10**9  # October 2025: it still does
FIRST, LAST = 12, 45  # changes between which a fault may fall
CHANGES, TAIL = 90, 12
DEPTH = 25
JUMPS_S = (-86_400, -3_600, -2, 3, 3_600, 86_400)
MS = 1_000_000
Sides = tuple[dict[Decimal, Decimal], dict[Decimal, Decimal]]


@dataclass(frozen=True, slots=True)
class Line:
    """One line that the receiver keeps.

    Attributes:
        kind: "open" is a connection made, "frame" came over it, "page" was answered by REST.
        payload, request: As in a lane.
        recv_ns: The receiver's clock.
        symbol: Product whose book it speaks of; "" of none.
        what: "update", "snapshot", "page", "quote", "trade", "silence", or "other".
        version: Version of the book that it tells, -1 where it tells none.
    """

    kind: Literal["open", "frame", "page"]
    payload: bytes
    request: str
    recv_ns: int
    symbol: str = ""
    what: str = "other"
    version: int = -1


@dataclass(frozen=True)
class Heard:
    """What was heard, and what happened on the way.

    Attributes:
        begun, settled: Places in `lines` at which both books have been synchronised for the first time, and begin to be
            for the last time.
        wires: By symbol, the venue's side.
    """

    source: str
    lines: list[Line]
    happened: list[Happened]
    begun: int
    settled: int
    wires: Mapping[str, Wire]

    def truth(self, symbol: str, version: int) -> Sides:
        """The true book of a version as a subscriber holds it: sizes by price, bids and asks."""
        wire = self.wires[symbol]
        tick, lot = wire.product.tick, wire.product.lot
        bids, asks = ({p * tick: q * lot for p, q in side.items()} for side in wire.view(version))
        return bids, asks


def session(source: str, seed: int, fault: str = "", *, changes: int = CHANGES, start_ns: int = START_NS) -> Heard:
    """The lines of one receiver.

    Args:
        source: Source id.
        seed: Of the books, and of where and how the fault falls.
        fault: One of `faults.FAULTS`; "" for none.
        changes: Steps of the two books together.
        start_ns: The venue's clock at the start.

    Raises:
        NotInLake: No such venue.
        ConfigError: No such fault.
    """
    made = _Session(source, seed, checked(fault) if fault else "", start_ns)
    made.run(changes)
    return Heard(source, made.lines, made.happened, made.begun, made.settled, made.wires)


class _Session:
    def __init__(self, source: str, seed: int, fault: str, start_ns: int) -> None:
        self.dialect = dialect(source)
        self.chance = random.Random(f"{seed} session {source} {fault}")
        products = self.dialect.products[:2]
        depth = DEPTH if source == "kraken" else 0
        books = [TrueBook(product, seed, start_ns) for product in products]
        self.wires = {book.product.symbol: self.dialect.wire(book, seed, depth) for book in books}
        self.lines: list[Line] = []
        self.happened: list[Happened] = []
        self.begun = self.settled = 0
        self.fault = fault
        self.at = self.chance.randrange(FIRST, LAST)
        self.clock = start_ns
        self.skew = 0
        self.number = 0
        self.zero = False
        self.held: list[tuple[int, Line]] = []  # updates of its book that must pass before a line arrives
        self.old: dict[str, list[tuple[bytes, int]]] = {symbol: [] for symbol in self.wires}

    def run(self, changes: int) -> None:
        self.connect()
        self.synchronise()
        self.begun = len(self.lines)
        for count in range(1, changes + 1):
            wire = self.chance.choice(list(self.wires.values()))
            if count == self.at and self.fault:
                self.bring_about(wire)
            else:
                self.step(wire)
            self.chatter(wire)
        self.release()
        self.settled = len(self.lines)
        self.synchronise(again=True)
        for _ in range(TAIL):
            for wire in self.wires.values():
                self.step(wire)

    def send(self, payload: bytes, wire: Wire | None = None, what: str = "other", version: int = -1,
             kind: Literal["frame", "page"] = "frame") -> Line:  # fmt: skip
        """A line on its way; what is numbered gets its number at the venue."""
        if kind == "frame" and self.dialect.numbers_connection:
            payload = payload.replace(UNNUMBERED, b'"sequence_num":%d' % self.number)
            self.number += 1
        if self.zero:
            payload = without_checksum(payload)
        host = self.dialect.address.split("/")[2].split(":")[0]
        request = self.dialect.address
        if kind == "page" and wire is not None:
            request = f"GET https://{host}{self.dialect.page_request(wire)}"
        recv_ns = self.clock + self.skew + self.chance.randrange(1, 20) * MS
        return Line(kind, payload, request, recv_ns, wire.product.symbol if wire else "", what, version)

    def receive(self, line: Line) -> None:
        """A line arrives, and what was held until then after it."""
        self.lines.append(line)
        if line.what != "update":
            return
        held, self.held = self.held, []
        for left, late in held:
            if late.symbol == line.symbol and left <= 1:
                self.lines.append(replace(late, recv_ns=line.recv_ns + 1))
            else:
                self.held.append((left - (late.symbol == line.symbol), late))

    def release(self) -> None:
        self.lines += [line for _, line in self.held]
        self.held = []

    def connect(self) -> None:
        self.release()
        self.number = 0
        recv_ns = self.clock + self.skew
        self.lines.append(Line("open", b"", self.dialect.address, recv_ns))
        for wire in self.wires.values():
            name = wire.names["book"]
            for answer in self.dialect.accept(Asked("subscribe", (name,), 1), [(name, wire)], [name]):
                self.receive(self.send(answer))

    def synchronise(self, *, again: bool = False) -> None:
        """Snapshots of all books; of venues with pages between the updates around them."""
        for wire in self.wires.values():
            if not self.dialect.pages:
                self.receive(self.snapshot(wire))
                continue
            for _ in range(2):
                self.step(wire)
            page = self.snapshot(wire)
            if self.chance.random() < 0.5 and not again:
                self.step(wire)
            self.receive(page)
            self.step(wire)

    def snapshot(self, wire: Wire) -> Line:
        version = wire.book.version
        if self.dialect.pages:
            return self.send(wire.snapshot(), wire, "page", version, "page")
        return self.send(wire.snapshot(), wire, "snapshot", version)

    def moved(self, wire: Wire, *, heard: bool = True) -> Line:
        """The next update, on its way; its trades are received, where the receiver is there."""
        if self.chance.random() < 0.2:
            self.old[wire.product.symbol].append((wire.snapshot(), wire.book.version))
        wire.book.clock_ns = self.clock
        change = wire.book.step()
        self.clock = wire.book.clock_ns
        payload = wire.change(change)
        for trade in change.prints if heard else ():
            self.receive(self.send(wire.trade(trade), wire, "trade"))
        return self.send(payload, wire, "update", change.version)

    def step(self, wire: Wire) -> None:
        self.receive(self.moved(wire))

    def chatter(self, wire: Wire) -> None:
        """What a venue sends beside updates."""
        draw = self.chance.random()
        if draw < 0.15 and (quote := wire.quote()) is not None:
            self.receive(self.send(quote, wire, "quote"))
        elif draw < 0.2 and (silence := wire.silence()) is not None:
            self.receive(self.send(silence, wire, "silence", wire.book.version))

    def note(self, wire: Wire, text: str = "", version: int | None = None) -> None:
        version = wire.book.version if version is None else version
        self.happened.append(Happened(self.fault, wire.product.symbol, version, len(self.lines), text))

    def bring_about(self, wire: Wire) -> None:
        getattr(self, "do_" + self.fault.replace("-", "_"))(wire)

    def do_lost(self, wire: Wire) -> None:
        self.moved(wire)
        self.note(wire)

    def do_doubled(self, wire: Wire) -> None:
        line = self.moved(wire)
        self.receive(line)
        later = self.chance.randrange(5)
        self.note(wire, f"again {later} updates later")
        if later:
            self.held.append((later, line))
        else:
            self.lines.append(line)

    def _hold(self, wire: Wire, later: int) -> None:
        line = self.moved(wire)
        self.note(wire, f"{later} updates late")
        self.held.append((later, line))

    def do_reordered(self, wire: Wire) -> None:
        self._hold(wire, 1)

    def do_late(self, wire: Wire) -> None:
        self._hold(wire, self.chance.randrange(2, 9))

    def do_corrupted(self, wire: Wire) -> None:
        while True:
            before = wire.view()
            line = self.moved(wire)
            if told := _told(before, wire.view(), line, wire):
                break
            self.receive(line)  # a change below the depth tells no level
        payload, text = corrupt(line.payload, wire, told, self.chance)
        self.note(wire, text)
        self.receive(replace(line, payload=payload))

    def _away(self, least: int) -> int:
        """Updates that are sent while nobody is connected."""
        missed = self.chance.randrange(least, 4)
        for _ in range(missed):
            self.moved(self.chance.choice(list(self.wires.values())), heard=False)
        return missed

    def do_reset(self, wire: Wire) -> None:
        self.note(wire, f"{self._away(0)} updates missed")
        self.connect()
        self.synchronise()

    def do_sync_disconnect(self, wire: Wire) -> None:
        self.note(wire, f"{self._away(0)} updates missed")
        self.connect()
        if self.dialect.pages:
            for each in self.wires.values():
                self.step(each)
        else:
            self.receive(self.snapshot(wire))
            self.step(wire)
        self._away(1)
        self.connect()
        self.synchronise()

    def do_stale_snapshot(self, wire: Wire) -> None:
        if not self.dialect.pages:
            body, version = self.chance.choice(self.old[wire.product.symbol] or [(wire.snapshot(), wire.book.version)])
            self.step(wire)
            self.note(wire, f"snapshot of version {version}", version)
            self.receive(self.send(body, wire, "snapshot", version))
            return
        stale = self.snapshot(wire)
        self.moved(wire)
        self.note(wire, f"page of version {stale.version}")
        self.step(wire)
        self.receive(replace(stale, recv_ns=self.clock + self.skew))
        for _ in range(3):
            self.step(wire)
        self.receive(self.snapshot(wire))

    def do_clock_jump(self, wire: Wire) -> None:
        leap = self.chance.choice(JUMPS_S)
        whose = self.chance.choice(("ours", "the venue's"))
        if whose == "ours":
            self.skew += leap * 10**9
        else:
            self.clock += leap * 10**9
        self.note(wire, f"{whose} by {leap} s")
        self.step(wire)

    def do_zero_checksum(self, wire: Wire) -> None:
        self.zero = True
        self.note(wire)
        self.step(wire)


def _told(before: Lots, after: Lots, line: Line, wire: Wire) -> list[tuple[int, int]]:
    """Ticks and lots of the levels that changed and that the message tells."""
    return sorted(
        (ticks, new.get(ticks, 0))
        for old, new in zip(before, after, strict=True)
        for ticks in old.keys() | new.keys()
        if old.get(ticks, 0) != new.get(ticks, 0) and (ticks in new or wire.price(ticks).encode() in line.payload)
    )
