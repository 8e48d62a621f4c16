"""What a simulated venue answers, and the words that all venues share to build it."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from tidelake.sim.listing import Listing, Trades

Query = Mapping[str, str]


@dataclass(frozen=True)
class Answer:
    """One HTTP answer.

    Attributes:
        status, headers, body: As sent.
        delay_s: Seconds to wait before sending.
        cut_at: Bytes of the body after which the connection is cut; None sends all.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    delay_s: float = 0.0
    cut_at: int | None = None

    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)


class View(Protocol):
    """What answers are made from: `sim.market.Market`, or the same with trades missing (`sim.faults`)."""

    seed: int
    start_ns: int

    def listings(self, source: str) -> tuple[Listing, ...]: ...

    def tape(self, listing: Listing) -> "TapeView": ...


class TapeView(Protocol):
    """The trades of one listing as the venue shows them; see `sim.market.Tape`."""

    def between(self, first: int, last: int) -> Trades: ...

    def happened(self, now_ns: int) -> int: ...

    def seq_since(self, time_ns: int) -> int: ...

    def seq_from(self, number: int) -> int: ...

    def visible(self, first: int, last: int, now_ns: int, *, limit: int, newest: bool) -> Trades: ...


Respond = Callable[[View, str, str, Query, int], Answer]


@dataclass(frozen=True)
class Limit:
    """At most `weight` units per `seconds` for one client, counted in fixed windows."""

    weight: int
    seconds: float


@dataclass(frozen=True)
class SimVenue:
    """One simulated venue.

    Attributes:
        source: Source id.
        listings: What it lists, from the market's start time.
        respond: The answer to (market, method, path, query, now_ns); pure.
        trade_ids: The ids that its answers give these trades, from the market's seed.
        refuse: The venue's rate-limit answer; the argument is the seconds of `Retry-After`, None leaves it out.
        fail: The venue's answer of a 5xx status.
        limit: Its documented limit.
        weight: Weight of a request (path, query) against the limit.
        weight_header: Header that tells the weight used so far; "" where there is none.
        trade_paths: Parts of a path that mark a request for trades.
        empty: The well-formed answer to a trade request, without any trade (path, query).
        banned: The answer to a client that goes on after `refuse`; None where the venue has none.
    """

    source: str
    listings: Callable[[int], tuple[Listing, ...]]
    respond: Respond
    trade_ids: Callable[[Trades, int], list[str]]
    refuse: Callable[[float | None], Answer]
    limit: Limit
    trade_paths: tuple[str, ...]
    empty: Callable[[str, Query], Answer]
    fail: Callable[[int], Answer] = field(default=lambda status: gateway_error(status))
    weight: Callable[[str, Query], int] = field(default=lambda path, query: 1)
    weight_header: str = ""
    banned: Callable[[float], Answer] | None = None

    def asks_trades(self, path: str) -> bool:
        """Whether the path asks for trades."""
        return any(part in path for part in self.trade_paths)


def json_answer(body: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """A JSON body without white space, as the venues send it."""
    text = json.dumps(body, separators=(",", ":"), ensure_ascii=False)
    return raw_json(text, status, headers)


def raw_json(text: str, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """A JSON body given as text, for numbers that `json.dumps` would write in another way."""
    return Answer(status, {"content-type": "application/json; charset=utf-8", **(headers or {})}, text.encode())


def gateway_error(status: int) -> Answer:
    """The HTML page of a proxy in front of the venue."""
    names = {500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout"}
    title = f"{status} {names.get(status, 'Error')}"
    page = f"<html>\r\n<head><title>{title}</title></head>\r\n<body><center><h1>{title}</h1></center></body>\r\n</html>"
    return Answer(status, {"content-type": "text/html"}, page.encode())


def retry_after(seconds: float | None) -> dict[str, str]:
    """The header, in whole seconds, rounded up; nothing for None."""
    return {} if seconds is None else {"retry-after": str(math.ceil(seconds))}


def integer(query: Query, name: str) -> int | None:
    """The parameter as an integer, None where it is absent or empty.

    Raises:
        ValueError: It is not an integer.
    """
    text = query.get(name, "")
    return int(text) if text else None


def iso_us(time_ns: int) -> str:
    """ISO 8601 in UTC with six decimals and Z."""
    seconds, rest = divmod(time_ns, 10**9)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest // 1000:06d}Z"


def number_text(text: str) -> str:
    """A JSON number as most venues write it: no zeros at the end, but at least one decimal ("60000.0")."""
    text = text.rstrip("0") if "." in text else text + "."
    return text + "0" if text.endswith(".") else text
