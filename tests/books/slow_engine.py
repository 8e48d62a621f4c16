"""The engine of books, slow and obvious: dicts of Decimal, zlib, and one `if` for each sentence of the rules.

It is the specification of `tidelake.books.engine` and shares no code with it. A message is a `Said`; those of one
connection go through one `SlowEngine`, and each answers (state, reason, rules, applied).
"""

import zlib
from collections import Counter, deque
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

VALID, SUSPECT, INVALID, UNPROVABLE = "VALID", "SUSPECT", "INVALID", "UNPROVABLE"
NOTHING = (UNPROVABLE, "the venue offers nothing to prove it by", "", False)
OKX_ZERO_FROM = 1_782_172_800 * 10**9  # 2026-06-23 UTC
MEMORY = 512


@dataclass(frozen=True)
class Said:
    """One message; prices and sizes are texts as they were sent."""

    kind: str
    symbol: str = ""
    channel: str = ""
    levels: tuple[tuple[str, str, str], ...] = ()  # side "bid" or "ask", price, size
    first_id: int | None = None
    last_id: int | None = None
    prev_id: int | None = None
    conn_seq: int | None = None
    checksum: int | None = None
    event_ns: int = 0
    recv_ns: int = 0
    item: int = 0


@dataclass
class Rule:
    link: str = ""
    pages: str = ""
    resets: str = ""
    checksum: str = ""
    connection: bool = False
    continues: bool = False
    quotes: bool = False

    @property
    def offers(self):
        return bool(self.link or self.checksum or self.connection)


def rule_of(source, channel):
    if source == "binance-spot" and channel.startswith("depth"):
        return Rule(link="counts", pages="next", continues=True, quotes=True)
    if source in ("binance-usdm", "binance-coinm") and channel.startswith("depth"):
        return Rule(link="names", pages="spans", continues=True, quotes=True)
    if source == "okx" and channel.startswith("books") and channel != "books5":
        return Rule(link="names", pages="names", resets="backwards", checksum="okx")
    if source == "kraken" and channel.startswith("book"):
        return Rule(checksum="kraken")
    if source == "coinbase-advanced":
        return Rule(connection=True)
    if source == "bybit" and channel.startswith("orderbook."):
        return Rule(link="steps", resets="one")
    if source == "deribit":
        return Rule(link="names")
    return Rule()


@dataclass
class Book:
    """One side is a dict from price to (price text, size text)."""

    bids: dict[Decimal, tuple[str, str]] = field(default_factory=dict)
    asks: dict[Decimal, tuple[str, str]] = field(default_factory=dict)

    @classmethod
    def of(cls, levels):
        book = cls()
        book.apply(levels)
        return book

    def copy(self):
        return Book(dict(self.bids), dict(self.asks))

    def apply(self, levels):
        for side, price, size in levels:
            held = self.bids if side == "bid" else self.asks
            if Decimal(size) == 0:
                held.pop(Decimal(price), None)
            else:
                held[Decimal(price)] = (price, size)

    def cut(self, depth):
        if depth:
            self.bids = dict(sorted(self.bids.items(), reverse=True)[:depth])
            self.asks = dict(sorted(self.asks.items())[:depth])

    def best(self):
        bid = max(self.bids, default=None)
        ask = min(self.asks, default=None)
        return (
            None if bid is None else (bid, Decimal(self.bids[bid][1])),
            None if ask is None else (ask, Decimal(self.asks[ask][1])),
        )

    def crossed(self):
        bid, ask = self.best()
        return bid is not None and ask is not None and bid[0] >= ask[0]

    def bounds(self):
        return min(self.bids, default=None), max(self.asks, default=None)

    def agrees(self, other, whole):
        """Whether all levels held here stand in the other, down to the prices to which that is whole."""
        bid, ask = whole
        for price, (_, size) in self.bids.items():
            known = price in other.bids or bid is None or price >= bid
            if known and (price not in other.bids or Decimal(other.bids[price][1]) != Decimal(size)):
                return False
        for price, (_, size) in self.asks.items():
            known = price in other.asks or ask is None or price <= ask
            if known and (price not in other.asks or Decimal(other.asks[price][1]) != Decimal(size)):
                return False
        return True

    def kraken_checksum(self, places):
        def text(value, decimals):
            if decimals >= 0:
                value = f"{Decimal(value):.{decimals}f}"
            return value.replace(".", "").lstrip("0") or "0"

        best = [self.asks[p] for p in sorted(self.asks)[:10]] + [self.bids[p] for p in sorted(self.bids)[::-1][:10]]
        return zlib.crc32("".join(text(p, places[0]) + text(s, places[1]) for p, s in best).encode())

    def okx_checksum(self):
        bids = [self.bids[p] for p in sorted(self.bids)[::-1][:25]]
        asks = [self.asks[p] for p in sorted(self.asks)[:25]]
        parts = []
        for i in range(25):
            parts += bids[i] if i < len(bids) else ()
            parts += asks[i] if i < len(asks) else ()
        crc = zlib.crc32(":".join(parts).encode())
        return crc - 2**32 if crc >= 2**31 else crc


@dataclass
class Kept:
    """What is known of one book of a stream."""

    rule: Rule
    depth: int = 0
    places: tuple[int, int] = (-1, -1)
    book: Book = field(default_factory=Book)
    live: bool = False
    reason: str = "no snapshot yet"
    last: int | None = None
    last_event: int | None = None
    taken_event: int = 0
    joining: int | None = None
    proves: bool = False
    standing: set[str] = field(default_factory=set)
    quote_bad: bool = False
    lost: bool = False
    kept: list[Said] = field(default_factory=list)
    bounds: tuple[Decimal | None, Decimal | None] = (None, None)
    tried: object = None
    tops: deque[Any] = field(default_factory=lambda: deque(maxlen=MEMORY))
    waiting: deque[Any] = field(default_factory=lambda: deque(maxlen=MEMORY))
    counts: Counter[str] = field(default_factory=Counter)

    def state(self):
        if not self.live:
            return INVALID, self.reason
        if self.lost:
            return INVALID, "connection lost"
        if self.book.crossed():
            return SUSPECT, "crossed or locked"
        if self.quote_bad:
            return SUSPECT, "differs from the quote with the same update id"
        if not self.proves:
            return UNPROVABLE, NOTHING[1]
        return VALID, ""

    def verdict(self, proven, applied):
        state, reason = self.state()
        rules = self.standing | proven if state in (VALID, SUSPECT) else set()
        return state, reason, frozenset(rules), applied

    def fall(self, reason):
        self.counts["falls"] += self.live
        self.live, self.lost, self.reason, self.joining = False, False, reason, None
        self.standing = set()
        self.kept = []
        self.tops.clear()
        self.waiting.clear()

    def start(self, book, bounds, last):
        self.book, self.bounds, self.last = book, bounds, last
        self.live, self.lost, self.quote_bad, self.joining, self.reason = True, False, False, None, ""
        self.standing = {"snapshot"}
        self.proves = self.rule.offers
        self.tops.clear()

    def follows(self, said):
        assert self.last is not None
        if self.rule.link == "counts":
            return said.first_id == self.last + 1 and said.last_id >= said.first_id
        if self.rule.link == "names":
            return said.prev_id == self.last
        return said.last_id == self.last + 1

    def joins(self, said, page):
        if self.rule.pages == "next":
            return said.first_id <= page + 1 <= said.last_id
        if self.rule.pages == "spans":
            return said.first_id <= page <= said.last_id or said.prev_id == page
        return said.prev_id == page

    def stale(self, said):
        if said.event_ns and self.last_event is not None and said.event_ns > self.last_event:
            return False
        if self.rule.resets:
            return said.last_id == self.last or (said.last_id < self.last and self.before_taken(said))
        return said.last_id <= self.last

    def before_taken(self, said):
        return bool(said.event_ns and self.taken_event and said.event_ns < self.taken_event)

    def is_old_snapshot(self, said):
        if not self.live or not self.rule.link or said.last_id is None or self.last is None:
            return False
        starts_anew = self.rule.resets == "one" and said.last_id == 1
        return not starts_anew and said.last_id < self.last and self.before_taken(said)

    def has_ids(self, said):
        needed = {"counts": (said.first_id, said.last_id), "names": (said.prev_id, said.last_id)}
        ids = needed.get(self.rule.link, (said.last_id,) if self.rule.link else (None,))
        return None not in ids

    def note_event(self, event_ns):
        self.taken_event = event_ns
        if event_ns:
            if self.last_event is not None and event_ns < self.last_event:
                self.counts["late_events"] += 1
            else:
                self.last_event = event_ns

    def note_top(self):
        if self.rule.quotes and self.last is not None:
            self.tops.append((self.last, self.book.best()))

    def compare(self, top, quote):
        self.counts["quotes_compared"] += 1
        self.counts["quotes_equal"] += top == quote
        self.quote_bad = top != quote
        return {"quote"} if top == quote else set()

    def compare_waiting(self):
        proven = set()
        if not self.rule.quotes or not self.tops:
            return proven
        last, top = self.tops[-1]
        while self.waiting and self.waiting[0][0] <= last:
            update_id, quote = self.waiting.popleft()
            if update_id == last:
                proven = self.compare(top, quote)
        return proven

    def meet_quote(self, said):
        book = Book.of(said.levels)
        for last, top in reversed(self.tops):
            if last == said.last_id:
                return self.compare(top, book.best())
            if last < said.last_id:
                break
        if self.last is None or said.last_id > self.last or not self.live:
            self.waiting.append((said.last_id, book.best()))
        return set()

    def check(self, said):
        proven = set()
        absent = self.rule.checksum == "okx" and said.checksum == 0 and said.recv_ns >= OKX_ZERO_FROM
        if self.rule.checksum and said.checksum is not None and not absent:
            okx = self.rule.checksum == "okx"
            right = self.book.okx_checksum() if okx else self.book.kraken_checksum(self.places)
            if right != said.checksum:
                self.counts["checksums_wrong"] += 1
                self.fall("wrong checksum")
                return set()
            self.counts["checksums_right"] += 1
            self.proves = True
            proven = {"checksum"}
        self.counts["crossed"] += self.book.crossed()
        return proven | self.compare_waiting()

    def snapshot(self, said):
        self.counts["snapshots"] += 1
        self.last_event = None
        self.note_event(said.event_ns)
        self.kept = []
        book = Book.of(said.levels)
        book.cut(self.depth)
        self.start(book, book.bounds(), said.last_id)
        return self.check(said), True

    def lose_message(self, said, page):
        self.counts["breaks"] += 1
        if self.live:
            self.fall("sequence break")
        self.kept = []
        self.note_event(said.event_ns)
        self.last = said.last_id
        if not self.rule.pages:
            return set(), False
        self.kept = [said]
        return set(), self.try_page(page)

    def update(self, said, page):
        linked = self.has_ids(said)
        if linked and self.live and self.joining is not None:
            if said.last_id <= self.joining:
                return set(), False
            if not self.joins(said, self.joining):
                return self.lose_message(said, page)
        elif linked and self.last is not None:
            if not self.follows(said):
                if self.stale(said):
                    self.counts["out_of_order"] += 1
                    return set(), False
                return self.lose_message(said, page)
        elif linked and self.live:
            return self.lose_message(said, page)
        self.note_event(said.event_ns)
        if linked or said.kind != "heartbeat":
            self.last = said.last_id
        if self.rule.pages:
            self.kept = [*self.kept, said] if linked else []
        if not self.live:
            return set(), self.try_page(page)
        if said.kind == "heartbeat" and not linked:
            return set(), False
        by_connection = self.rule.connection and said.conn_seq is not None
        self.lost = self.lost and not linked
        self.joining = None
        self.proves = linked or by_connection
        self.standing |= ({"sequence"} if linked else set()) | ({"connection"} if by_connection else set())
        self.book.apply(said.levels)
        self.book.cut(self.depth)
        self.note_top()
        proven = self.check(said)
        return proven | self.audit(page), True

    def try_page(self, page):
        if page is None or page.last_id is None or self.tried is page or not self.rule.pages:
            return False
        self.tried = page
        at = self.first_after(page)
        behind = at == len(self.kept) and self.last is not None and page.last_id < self.last
        if behind or (at < len(self.kept) and not self.joins(self.kept[at], page.last_id)):
            self.reason = "snapshot page older than the kept updates"
            return False
        book = Book.of(page.levels)
        self.start(book, book.bounds(), page.last_id)
        if at == len(self.kept):
            self.joining = page.last_id
        self.note_top()
        self.compare_waiting()
        for said in self.kept[at:]:
            self.book.apply(said.levels)
            self.last = said.last_id
            self.standing.add("sequence")
            self.note_top()
            self.compare_waiting()
        self.counts["crossed"] += self.book.crossed()
        return True

    def first_after(self, page):
        """Place of the kept update from which on all are newer than the page."""
        return min(i for i in range(len(self.kept) + 1) if all(s.last_id > page.last_id for s in self.kept[i:]))

    def audit(self, page):
        if not self.rule.pages or page is None or page.last_id is None or self.tried is page:
            return set()
        if not self.live or self.lost or self.last is None or self.last < page.last_id:
            return set()
        self.tried = page
        if self.joining is not None:
            return set()
        at = self.first_after(page)
        if at == len(self.kept):
            if self.last != page.last_id:
                return set()
        elif not self.joins(self.kept[at], page.last_id):
            return set()
        book = Book.of(page.levels)
        bounds = (self.bounds, book.bounds())
        for said in self.kept[at:]:
            book.apply(said.levels)
        self.counts["audits_compared"] += 1
        ours, theirs = self.book, book
        if ours.agrees(theirs, bounds[1]) and theirs.agrees(ours, bounds[0]):
            self.counts["audits_equal"] += 1
            self.quote_bad = False
            return {"audit"}
        self.fall("differs from an audit page")
        return set()


class SlowEngine:
    def __init__(self, source, streams):
        self.source = source
        self.streams = streams  # (symbol, channel) -> (depth, (price places, size places))
        self.books: dict[tuple[str, str], Kept] = {}
        self.pages: dict[str, Said] = {}
        self.conn_seq: int | None = None

    def run(self, messages):
        return [self.take(said) for said in messages]

    def take(self, said):
        old = said.conn_seq is not None and self.check_connection(said)
        if said.kind == "open":
            return self.lose_connection()
        if said.kind == "page":
            return self.page(said)
        if said.kind == "quote":
            books = self.of(said.symbol)
            met = [kept.rule.quotes and said.last_id is not None and kept.meet_quote(said) for kept in books]
            return self.worst([kept.verdict(found or set(), False) for kept, found in zip(books, met, strict=True)])
        if said.kind == "refused":
            return self.refused(said)
        if said.kind == "other" or not said.symbol:
            return NOTHING
        kept = self.born(said)
        kept.counts["frames"] += 1
        kept.counts["updates"] += said.kind == "update"
        if old:
            kept.counts["out_of_order"] += 1
            return kept.verdict(set(), False)
        if said.kind == "snapshot" and kept.is_old_snapshot(said):
            kept.counts["out_of_order"] += 1
            return kept.verdict(set(), False)
        if said.kind == "snapshot" or (kept.rule.resets == "one" and said.kind == "update" and said.last_id == 1):
            return kept.verdict(*kept.snapshot(said))
        return kept.verdict(*kept.update(said, self.pages.get(said.symbol)))

    def born(self, said):
        name = (said.symbol, said.channel)
        if name not in self.books:
            depth, places = self.streams.get(name, (0, (-1, -1)))
            self.books[name] = Kept(rule_of(self.source, said.channel), depth, places)
        return self.books[name]

    def of(self, symbol):
        return [kept for (name, _), kept in self.books.items() if name == symbol]

    def worst(self, verdicts):
        order = {INVALID: 0, SUSPECT: 1, UNPROVABLE: 2, VALID: 3}
        return min(verdicts, key=lambda v: order[v[0]], default=NOTHING)

    def page(self, said):
        said = replace(said)  # the same page again is another page
        self.pages[said.symbol] = said
        verdicts = []
        applied = False
        for kept in self.of(said.symbol):
            proven = set()
            if kept.rule.pages:
                if not kept.live or (
                    kept.lost and said.last_id is not None and (kept.last is None or said.last_id >= kept.last)
                ):
                    applied = kept.try_page(said) or applied
                else:
                    proven = kept.audit(said)
            verdicts.append(kept.verdict(proven, applied))
        return (*self.worst(verdicts)[:3], applied)

    def refused(self, said):
        if said.symbol:
            kept = self.born(said)
            kept.counts["frames"] += 1
            kept.counts["refused"] += 1
            kept.fall("a message could not be read")
            return kept.verdict(set(), False)
        for kept in self.books.values():
            kept.counts["refused"] += 1
            kept.fall("a message could not be read")
        return INVALID, "a message could not be read", "", False

    def lose_connection(self):
        self.conn_seq = None
        for kept in self.books.values():
            if kept.rule.continues:
                kept.lost = kept.live
            else:
                if kept.live:
                    kept.fall("connection lost")
                kept.kept = []
                kept.last = kept.last_event = None
                kept.taken_event = 0
        return NOTHING

    def check_connection(self, said):
        seen = self.conn_seq
        if seen is None or said.conn_seq == seen + 1:
            self.conn_seq = said.conn_seq
            return False
        if said.conn_seq == seen:
            return said.item == 0
        if said.conn_seq < seen:
            return True
        self.conn_seq = said.conn_seq
        for kept in self.books.values():
            if kept.rule.connection:
                kept.counts["breaks"] += 1
                kept.fall("gap in the connection's numbers")
        return False
