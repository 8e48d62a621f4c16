"""Which streams of a venue are taken over which connections."""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from tidelake.errors import ConfigError
from tidelake.jobs.session import Urls
from tidelake.venues.spec import Sockets, Venue


@dataclass(frozen=True, slots=True)
class Stream:
    """One stream to subscribe: its name at the venue, and what it carries; of a polled one the page that tells it."""

    name: str
    symbol: str
    channel: str
    polled: bool = False


@dataclass(frozen=True, slots=True)
class PlannedLink:
    """One connection.

    Attributes:
        venue, sockets: Of whom, and at which of its addresses.
        url: Address, that of the venue unless another was given.
        streams: What is subscribed over it.
    """

    venue: Venue
    sockets: Sockets
    url: str
    streams: tuple[Stream, ...]

    def symbols(self, *channels: str) -> list[str]:
        """Symbols of which it carries one of the channels; of any channel where none is named."""
        return list(dict.fromkeys(s.symbol for s in self.streams if not channels or s.channel in channels))


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What was asked for and is not to be had."""

    source: str
    symbol: str
    channel: str
    reason: str


def plan_links(
    venue: Venue, symbols: Sequence[str], channels: Sequence[str], url: Urls = None
) -> tuple[list[PlannedLink], list[LeftOut]]:
    """The connections that carry these channels of these symbols, and what no connection can carry.

    Args:
        venue: The venue.
        symbols: Canonical symbols.
        channels: Our channel words.
        url: Asked instead of the venue: one address, or one for each source id; the path stays the venue's.

    Raises:
        ConfigError: The venue has no sockets, or none with one of the channels.
    """
    known = sorted({channel for sockets in venue.sockets for channel in (*sockets.channels, *sockets.polled)})
    if unknown := [channel for channel in channels if channel not in known]:
        has = f"it has {', '.join(known)}" if known else "it cannot be captured"
        raise ConfigError(f"{venue.source} has no channel {', '.join(unknown)} over WebSocket; {has}")
    streams: dict[int, list[Stream]] = {place: [] for place in range(len(venue.sockets))}
    left: list[LeftOut] = []
    for symbol in dict.fromkeys(symbols):
        for channel in dict.fromkeys(channels):
            try:
                place, found = _streams(venue, symbol, channel)
            except ValueError as exc:
                left.append(LeftOut(venue.source, symbol, channel, str(exc)))
            else:
                streams[place] += found
    return [
        PlannedLink(venue, sockets, _address(venue, sockets, url), tuple(part))
        for sockets, mine in zip(venue.sockets, streams.values(), strict=True)
        for part in _parts(mine, sockets.streams_per_connection - len(sockets.always))
    ], left


def _streams(venue: Venue, symbol: str, channel: str) -> tuple[int, list[Stream]]:
    for place, sockets in enumerate(venue.sockets):
        name = (sockets.symbol or venue.venue_symbol)(symbol)
        if channel in sockets.channels and sockets.serves(name, channel):
            return place, [Stream(word, symbol, channel) for word in sockets.channels[channel](name)]
        if channel in sockets.polled and sockets.serves(name, channel):
            page = sockets.polled[channel].page(venue.venue_symbol(symbol))
            return place, [Stream(f"GET {page.path}", symbol, channel, polled=True)]
    raise ValueError(f"{venue.source} has no live {channel} of {symbol}")


def _parts(streams: Sequence[Stream], width: int) -> list[tuple[Stream, ...]]:
    """Streams shared out to connections; all streams of a symbol stay together where that is possible."""
    parts: list[list[Stream]] = []
    for symbol in dict.fromkeys(stream.symbol for stream in streams):
        mine = [stream for stream in streams if stream.symbol == symbol]
        for at in range(0, len(mine), width):
            piece = mine[at : at + width]
            if parts and len(parts[-1]) + len(piece) <= width:
                parts[-1] += piece
            else:
                parts.append(piece)
    return [tuple(part) for part in parts]


def _address(venue: Venue, sockets: Sockets, url: Urls) -> str:
    given = url if isinstance(url, str) else (url or {}).get(venue.source)
    if not given:
        return sockets.url
    parts, own = urlsplit(given), urlsplit(sockets.url)
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    return f"{scheme}://{parts.netloc}{parts.path.rstrip('/')}{own.path}"
