"""The words in which a venue is described; `venues/<name>.py` holds one `Venue` each."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from tidelake.raw.frame import Frame

if TYPE_CHECKING:
    from tidelake.venues.book_format import BookFeed

Record = Mapping[str, object]  # str, int, Decimal, bool or None under each field name
Context = dict[str, str]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Stands in a record's place where an item could not be read; the items beside it go on."""

    reason: str


Flatten = Callable[[Frame, Context], Iterable[Record | Unreadable]]


@dataclass(frozen=True, slots=True)
class Request:
    """One GET: the path with its query, relative to the venue's REST base, and its weight against the rate."""

    path: str
    weight: int = 1


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `weight` units per `seconds` for one host."""

    weight: float
    seconds: float


@dataclass(frozen=True, slots=True)
class TradePages:
    """How a venue pages through its public trades. All builders take the venue's own symbol.

    Attributes:
        order: "backward": `below` pages downwards from an id. "forward": `above` pages upwards. "latest": only the
            newest page exists.
        newest: The newest page.
        below: The page of trades with trade_seq < seq, nearest first.
        above: The page of trades from (seq, event_ns) on, oldest first; a venue uses the one of the two that it pages
            by. The trade itself is answered again where the venue still has it: proof that nothing lies between.
        since: The page that starts at the first trade at or after event_ns, oldest first.
        below_time: The page of trades older than event_ns, newest first.
        page_size: Trades that a full page holds.
        reach: How far back the venue answers; None where it answers all.
    """

    order: Literal["backward", "forward", "latest"]
    newest: Callable[[str], Request]
    page_size: int
    below: Callable[[str, int], Request] | None = None
    above: Callable[[str, int, int], Request] | None = None
    since: Callable[[str, int], Request] | None = None
    below_time: Callable[[str, int], Request] | None = None
    reach: timedelta | None = None


@dataclass(frozen=True, slots=True)
class CandlePages:
    """How a venue answers candles: a page of `interval` bars that starts at event_ns, or the newest page at 0."""

    page: Callable[[str, str, int], Request]
    intervals: tuple[str, ...]
    page_size: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What a frame says to the connection itself, and not about a market.

    Attributes:
        kind: "subscribed" and "refused" answer a subscription, "pong" our heartbeat; "ping" wants `reply` sent back;
            "closing" announces that the venue is about to end the connection.
        names: Stream names that it speaks of; empty where it names none.
        request: Number of the request that it answers; -1 where it says none.
        whole: A refusal of the whole message: names beside those refused were not subscribed either.
        reason: The venue's own words.
        reply: What to send back.
    """

    kind: Literal["subscribed", "refused", "pong", "ping", "closing"]
    names: tuple[str, ...] = ()
    request: int = -1
    whole: bool = True
    reason: str = ""
    reply: bytes = b""


def _one_group(_: str) -> str:
    return ""


def _serves_all(_: str, __: str) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Poll:
    """A channel that the venue tells by REST alone: the page of one symbol, asked once in so many seconds."""

    page: Callable[[str], Request]
    seconds: float


@dataclass(frozen=True, slots=True)
class Sockets:
    """How a venue streams from one address. A stream name is whatever text names one of its streams without doubt.

    Attributes:
        url: Address, "wss://..", without streams in it.
        channels: By our word (trades, book, quotes, candles, funding, open_interest, liquidations): the names of the
            streams that carry it for one symbol of the venue; a channel that it does not have is left out.
        subscribe, unsubscribe: Stream names and a request number -> the message to send.
        answer: Reads what a frame says to the connection; None for all others. It never raises.
        answer_tokens: Bytes of which each such frame holds at least one, so that others need not be read.
        names_per_message: Most names in one message.
        rate: Messages that may be sent on one connection.
        streams_per_connection: Most names subscribed on one connection.
        connects: New connections from one address.
        symbol: The name that a canonical symbol has on the socket, where REST has another.
        serves: Whether a symbol (as `channels` takes it) and channel are to be had at this address.
        group: Names may share a message where this is equal for them.
        always: Streams that every connection takes beside its own, such as heartbeats.
        hello: Messages sent first on every connection.
        ping: Text message of the venue's own heartbeat; None where protocol pings do.
        ping_seconds: Between two heartbeats.
        silence_seconds: Without any frame for so long, the connection is dead.
        renew_after: The venue ends a connection at about this age: it is renewed before.
        book_page: REST snapshot of a book, by the venue's REST symbol, where the book rule needs one.
        audit_page: REST snapshot with its update id, to be laid beside a standing book from time to time; fewer levels
            than `book_page` where that weighs less.
        polled: Channels that are asked for by REST beside what is streamed from here; the pages stand in the same lane.
    """

    url: str
    channels: Mapping[str, Callable[[str], tuple[str, ...]]]
    subscribe: Callable[[Sequence[str], int], bytes]
    unsubscribe: Callable[[Sequence[str], int], bytes]
    answer: Callable[[bytes], Answer | None]
    answer_tokens: tuple[bytes, ...]
    names_per_message: int
    rate: Rate
    streams_per_connection: int
    connects: Rate
    symbol: Callable[[str], str] | None = None
    serves: Callable[[str, str], bool] = _serves_all
    group: Callable[[str], str] = _one_group
    always: tuple[str, ...] = ()
    hello: tuple[bytes, ...] = ()
    ping: bytes | None = None
    ping_seconds: float = 20.0
    silence_seconds: float = 30.0
    renew_after: timedelta | None = None
    book_page: Callable[[str], Request] | None = None
    audit_page: Callable[[str], Request] | None = None
    polled: Mapping[str, Poll] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Venue:
    """One venue.

    Attributes:
        source: Source id, such as "binance-spot".
        rest_url: Base of its public REST interface, without a slash at the end.
        rate: Limit of that host as documented.
        canonical: Canonical symbol of the venue's own; raises ValueError where it knows no rule for it.
        venue_symbol: The venue's own symbol for REST of a canonical one; raises ValueError likewise.
        size_unit: Unit of the sizes of a product, by the venue's own symbol; None where all products have the same one.
        numbered: Whether `trade_seq` counts each trade of a symbol by one, so that holes show.
        trades, candles: Paging, where the venue has it.
        instruments: Requests that together list all products.
        flatten: Functions that mappings name in `flatten`, for payloads that a mapping cannot say.
        tokens: By flatten function: bytes that each payload with records holds (unless it escapes letters), so that
            others need not be parsed.
        note_context: Reads what later frames need from a frame (such as channel id to symbol) into the context;
            `context_token` is bytes that such frames always hold, so that others need not be parsed.
        recording_names: Upper-case file name prefixes under which recorders keep this venue's frames.
        instruments_next: The request that continues a list of products, read from an answer; None at its end.
        key_header: Header name and environment variable of an API key that the venue takes for public data; it is
            sent where the variable is set, to the venue's own host alone, and never logged.
        refusal: Finds an error that the venue wraps in an answer with status 200: returns its text, None where the
            answer is good, and whether the same request may succeed later.
        sockets: Its WebSocket addresses; more than one where products or channels are apart.
    """

    source: str
    rest_url: str
    rate: Rate
    canonical: Callable[[str], str]
    venue_symbol: Callable[[str], str]
    numbered: bool
    trades: TradePages | None = None
    candles: CandlePages | None = None
    instruments: tuple[Request, ...] = ()
    flatten: Mapping[str, Flatten] = field(default_factory=dict)
    tokens: Mapping[str, bytes] = field(default_factory=dict)
    note_context: Callable[[Frame, Context], None] | None = None
    context_token: bytes = b""
    recording_names: tuple[str, ...] = ()
    instruments_next: Callable[[Request, bytes], Request | None] | None = None
    key_header: tuple[str, str] | None = None
    refusal: Callable[[bytes], tuple[str, bool] | None] | None = None
    books: "BookFeed | None" = None
    sockets: tuple[Sockets, ...] = ()
    size_unit: Callable[[str], str] | None = None
