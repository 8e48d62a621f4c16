"""What each venue's dialect must say: `dialects/<venue>.py` holds the words, `session` and `sim.sockets` speak them."""

import json
import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from tidelake.sim.books.figures import Amounts, State, Told
from tidelake.sim.books.model import ASK, BID, Change, Print, Product, Sides, TrueBook

Tell = Callable[[str, Told], list[bytes]]
UNNUMBERED = b'"sequence_num":-1'  # stands where a connection's number goes


@dataclass(frozen=True, slots=True)
class Asked:
    """A message of a client: what it wants, of which streams, under which number."""

    verb: Literal["subscribe", "unsubscribe", "ping", "other"]
    names: tuple[str, ...] = ()
    number: int = -1


def compact(value: object) -> bytes:
    """JSON without white space."""
    return json.dumps(value, separators=(",", ":")).encode()


class Wire(ABC):
    """One product as its venue tells it; holds the venue's numbers of its book.

    Args:
        book: The truth.
        seed: Of the numbers.
        depth: Levels of a side that subscribers hold, where the venue cuts; 0: all.
    """

    def __init__(self, book: TrueBook, seed: int, depth: int = 0) -> None:
        self.book = book
        self.product = book.product
        self.depth = depth
        self.chance = random.Random(f"{seed} wire {book.product.symbol}")
        self.id = self.chance.randrange(10_000, 1_000_000)

    @property
    @abstractmethod
    def names(self) -> Mapping[str, str]:
        """The stream of each channel (book, trades, quotes) of the product."""

    def figures(self) -> Mapping[str, Tell]:
        """By stream: the messages in which it tells what is new. Bars; of perpetuals their state and liquidations."""
        return {}

    def interest_page(self, state: State) -> bytes:
        """The body of a REST page of the open interest."""
        raise NotImplementedError

    @abstractmethod
    def change(self, change: Change) -> bytes:
        """The message of a step that was just made; moves the venue's numbers."""

    @abstractmethod
    def snapshot(self) -> bytes:
        """The whole book as it stands: a frame, or of venues with pages the body of one."""

    def page(self) -> bytes:
        """The body of a REST page of the book."""
        return self.snapshot()

    def quote(self) -> bytes | None:
        """The best bid and ask; None where the venue has no such stream."""
        return None

    @abstractmethod
    def trade(self, trade: Print) -> bytes:
        """The message of one trade."""

    def silence(self) -> bytes | None:
        """What the venue says of a book that did not change; None where it says nothing."""
        return None

    def price(self, ticks: int) -> str:
        """The price as the venue writes it."""
        return f"{ticks * self.product.tick:f}"

    def size(self, lots: int) -> str:
        """The size as the venue writes it."""
        return f"{lots * self.product.lot:f}"

    def turnover(self, much: Amounts) -> str:
        """What the sizes are worth: in the quote asset, of inverse products in the base asset."""
        return f"{much.base if self.product.inverse else much.quote:f}"

    def pair(self, ticks: int, lots: int) -> list[str]:
        """Price and size."""
        return [self.price(ticks), self.size(lots)]

    def pairs(self, levels: Sequence[tuple[str, int, int]], side: str) -> list[list[str]]:
        """Price and size of the levels of a side."""
        return [self.pair(ticks, lots) for its, ticks, lots in levels if its == side]

    def view(self, version: int | None = None) -> Sides:
        """The book that a subscriber holds at a version, by default now: lots by ticks, cut to the depth."""
        bids, asks = self.book.at(self.book.version if version is None else version)
        if not self.depth:
            return bids, asks
        return (
            dict(sorted(bids.items(), reverse=True)[: self.depth]),
            dict(sorted(asks.items())[: self.depth]),
        )

    def whole(self) -> list[tuple[str, int, int]]:
        """The levels of the view, best first, bids before asks."""
        bids, asks = self.view()
        return [(BID, p, bids[p]) for p in sorted(bids, reverse=True)] + [(ASK, p, asks[p]) for p in sorted(asks)]

    def best(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Ticks and lots of the best bid and of the best ask."""
        bid, ask = max(self.book.bids), min(self.book.asks)
        return (bid, self.book.bids[bid]), (ask, self.book.asks[ask])


class Dialect(ABC):
    """One venue: what it lists, and how it talks with clients.

    Attributes:
        source: Source id.
        wire: How it tells a product.
        products: What it lists.
        pages: Path of the page with which books are synchronised; "" where snapshots come over the socket.
        page_path: Path under which REST answers pages of books; "" where the simulated venue has none.
        interest_path: Path under which REST answers the open interest; "" where a stream tells it.
        bar_seconds: Length of the bars that are told.
        numbers_connection: Whether every message of a connection is numbered.
        refuses_whole: Whether one bad stream refuses the others of its message.
        address: Where its sockets are.
    """

    source: ClassVar[str]
    wire: ClassVar[type[Wire]]
    products: ClassVar[tuple[Product, ...]]
    pages: ClassVar[str] = ""
    page_path: ClassVar[str] = ""
    interest_path: ClassVar[str] = ""
    bar_seconds: ClassVar[int] = 60
    numbers_connection: ClassVar[bool] = False
    refuses_whole: ClassVar[bool] = True
    address: ClassVar[str]

    @abstractmethod
    def read(self, message: bytes) -> Asked:
        """What a client wants. Raises ValueError where it is no message of this venue."""

    @abstractmethod
    def accept(self, asked: Asked, wires: Sequence[tuple[str, Wire | None]], held: Sequence[str]) -> list[bytes]:
        """The answers to a subscription: its streams with their products, and all streams held now."""

    @abstractmethod
    def refuse(self, asked: Asked, bad: Sequence[str]) -> list[bytes]:
        """The answers to a subscription of streams that do not exist."""

    def serves(self, path: str, product: Product) -> bool:
        """Whether the product is to be had at this path."""
        return True

    def pong(self, message: bytes) -> bytes | None:
        """The answer to a ping."""
        return None

    def beat(self, name: str, now_ns: int, count: int) -> bytes | None:
        """What a heartbeat stream says every second; None for all other names."""
        return None

    def page_request(self, wire: Wire) -> str:
        """Path and query of a product's page."""
        raise NotImplementedError

    def page_symbol(self, query: Mapping[str, str]) -> str:
        """The venue's name of the product that a page is asked of."""
        raise NotImplementedError

    def bad_page(self) -> bytes:
        """The answer where there is no such product."""
        raise NotImplementedError


def loaded(message: bytes) -> dict[str, Any]:
    """A JSON object. Raises ValueError where it is none."""
    found = json.loads(message)
    if not isinstance(found, dict):
        raise ValueError(f"not an object: {message[:80]!r}")
    return found
