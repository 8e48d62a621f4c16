"""CoinGecko: prices of one token over a span.

Source:  https://docs.coingecko.com/reference/contract-address-market-chart-range; hosts, headers and limits of keys
         https://docs.coingecko.com/docs/errors-and-rate-limits; platforms
         DefiLlama/defillama-server@0df9395fba66:common/chainToCoingeckoId.ts
Quirks:  A span of up to 90 days is told by the hour, a longer one by the day at 00:00 UTC. Without a key or with a demo
         key, 365 days back are answered. A contract that it does not know is answered by 404. A chain's own coin is
         asked for as its wrapped token. It tells no confidence.
Samples: tests/lending/test_prices.py
"""

import datetime as dt
import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping, Sequence

import msgspec

from tidelake.chains.addresses import NATIVE
from tidelake.chains.registry import CHAINS
from tidelake.errors import FormatDrift
from tidelake.providers.spec import (
    MOST_AWAY_S,
    Key,
    PricePage,
    PriceProvider,
    PriceTold,
    Token,
    day_ending,
    end_of,
)

PLATFORMS = {
    "arbitrum": "arbitrum-one",
    "avalanche": "avalanche",
    "base": "base",
    "bnb": "binance-smart-chain",
    "celo": "celo",
    "ethereum": "ethereum",
    "fantom": "fantom",
    "gnosis": "xdai",
    "hyperevm": "hyperliquid",
    "linea": "linea",
    "mantle": "mantle",
    "metis": "metis-andromeda",
    "moonbeam": "moonbeam",
    "optimism": "optimistic-ethereum",
    "polygon": "polygon-pos",
    "scroll": "scroll",
    "sonic": "sonic",
    "xlayer": "x-layer",
    "zksync": "zksync",
}
MOST_DAYS = 365
_CHAINS = {platform: chain for chain, platform in PLATFORMS.items()}
_REQUEST = re.compile(
    r"/coins/([a-z-]+)/contract/(0x[0-9a-f]{40})/market_chart/range\?vs_currency=usd&from=(\d+)&to=(\d+)"
)


_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_points_of = msgspec.json.Decoder(list[tuple[int, msgspec.Raw]]).decode


def _contract(token: Token) -> str | None:
    if token.address != NATIVE:
        return token.address
    wrapped = CHAINS[token.chain].wrapped_native
    return wrapped.lower() if wrapped else None


def serves(token: Token) -> bool:
    """Whether its chain is one of CoinGecko's platforms, and its contract is known."""
    return token.chain in PLATFORMS and _contract(token) is not None


def pages(wanted: Mapping[Token, Sequence[dt.date]]) -> list[PricePage]:
    """One request for each contract and so many days, from the first to the last that is wanted."""
    by_contract: dict[tuple[str, str], set[dt.date]] = defaultdict(set)
    for token, days in wanted.items():
        if contract := _contract(token):
            by_contract[token.chain, contract] |= set(days)
    found = []
    for (chain, contract), together in sorted(by_contract.items()):
        left = sorted(together)
        while left:
            last = max(day for day in left if day < left[0] + dt.timedelta(days=MOST_DAYS))
            found.append(_page(chain, contract, left[0], last))
            left = [day for day in left if day > last]
    return found


def _page(chain: str, contract: str, first: dt.date, last: dt.date) -> PricePage:
    span = f"from={end_of(first) - MOST_AWAY_S}&to={end_of(last) + MOST_AWAY_S}"
    path = f"/coins/{PLATFORMS[chain]}/contract/{contract}/market_chart/range?vs_currency=usd&{span}"
    return PricePage(path, _tokens(chain, contract), _days(first, last))


def _tokens(chain: str, contract: str) -> tuple[Token, ...]:
    """The token, and the chain's own coin where the token wraps it."""
    own = Token(chain, NATIVE)
    return (Token(chain, contract), own) if _contract(own) == contract else (Token(chain, contract),)


def _days(first: dt.date, last: dt.date) -> tuple[dt.date, ...]:
    return tuple(first + dt.timedelta(days=n) for n in range((last - first).days + 1))


def asked(request: str) -> PricePage:
    """What a request asked for.

    Raises:
        FormatDrift: It is none of these.
    """
    match = _REQUEST.search(request)
    if match is None or match[1] not in _CHAINS:
        raise FormatDrift(f"{request[:200]!r} asks for no prices of a token over a span")
    try:
        first, last = day_ending(int(match[3]) + MOST_AWAY_S), day_ending(int(match[4]) - MOST_AWAY_S)
    except ValueError as exc:
        raise FormatDrift(str(exc)) from exc
    return PricePage(match[0], _tokens(_CHAINS[match[1]], match[2]), _days(first, last))


def read(request: str, body: bytes) -> list[PriceTold]:
    """What an answer says of its token, day by day.

    Raises:
        FormatDrift: It is of another form.
    """
    page = asked(request)
    points = _points(body)
    times = [time_ms for time_ms, _ in points]
    if times != sorted(times):
        raise FormatDrift("prices of coingecko are not in the order of their times")
    return [_nearest(token, day, times, points) for token in page.tokens for day in page.days]


def _points(body: bytes) -> list[tuple[int, str]]:
    """Times in ms and prices; none where there is no such token."""
    try:
        told = _decode(body)
        if "prices" not in told and "error" in told:
            return []
        found = _points_of(told["prices"])
    except (msgspec.MsgspecError, KeyError) as exc:
        raise FormatDrift(f"prices of coingecko: {exc}") from exc
    return [(time_ms, bytes(price).decode()) for time_ms, price in found]


def _nearest(token: Token, day: dt.date, times: list[int], points: list[tuple[int, str]]) -> PriceTold:
    """The price told nearest to the day's end, the earlier of two as near."""
    end_ms = end_of(day) * 1_000
    at = bisect_left(times, end_ms)
    near = [place for place in (at - 1, at) if 0 <= place < len(times)]
    near = [place for place in near if abs(times[place] - end_ms) <= MOST_AWAY_S * 1_000]
    if not near:
        return PriceTold(token, day)
    best = min(near, key=lambda place: (abs(times[place] - end_ms), place))
    return PriceTold(token, day, points[best][0] // 1_000, points[best][1])


PROVIDER = PriceProvider(
    name="coingecko",
    url="https://api.coingecko.com/api/v3",
    requests=5,  # our choice: without a key the limit is that of the address; with a demo key 100 in a minute
    seconds=60.0,
    serves=serves,
    pages=pages,
    asked=asked,
    read=read,
    keys=(
        Key("TIDELAKE_COINGECKO_PRO_KEY", "x-cg-pro-api-key", "https://pro-api.coingecko.com/api/v3", 250, 60.0),
        Key("TIDELAKE_COINGECKO_DEMO_KEY", "x-cg-demo-api-key", "https://api.coingecko.com/api/v3", 30, 60.0),
    ),
    answers=frozenset({404}),
)
