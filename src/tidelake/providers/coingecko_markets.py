"""CoinGecko: price, volume and supplies of coins now; price and volume of a coin over a span.

Source:  https://docs.coingecko.com/reference/coins-markets and ../reference/coins-id-market-chart-range; hosts, headers
         and limits of keys as `coingecko.PROVIDER`
Quirks:  A coin that it does not know is left out of the answer. `last_updated` is the coin's own, and may be weeks old;
         several values are null where a coin is not traded. Supplies are of whole coins. It tells no liquidity.
         A span of up to 90 days is told by the hour; without a key or with a demo key, 365 days back are answered.
Samples: tests/providers/test_coin_answers.py, tests/providers/test_coin_sources.py
"""

import datetime as dt
import re
from collections.abc import Iterator, Sequence
from decimal import Decimal

import msgspec

from tidelake.errors import FormatDrift
from tidelake.providers import coingecko
from tidelake.providers.coin_answers import FIRST_US, MOST_PRICE, MOST_UNITS, CoinMarket, Refusals, Refused
from tidelake.providers.coin_source import CoinAnswer, CoinFact, CoinRef, CoinSource, received_us

MOST_COINS = 250  # of one request
AHEAD_US = 600_000_000  # our choice: so far the two clocks may differ
HOURLY_S = 90 * 86_400  # the longest span that is told by the hour
_SPAN = re.compile(r"/coins/([^/?\s]+)/market_chart/range\?")


class MarketsTold(msgspec.Struct, frozen=True):
    """What an answer says: its coins in its order, and what was not taken."""

    coins: tuple[CoinMarket, ...]
    refused: tuple[Refused, ...]


class _Coin(msgspec.Struct):
    id: str
    symbol: str
    name: str
    last_updated: str
    current_price: Decimal | None
    total_volume: Decimal | None
    market_cap: Decimal | None
    circulating_supply: Decimal | None
    total_supply: Decimal | None


_decode = msgspec.json.Decoder(list[msgspec.Raw]).decode


class _Chart(msgspec.Struct):
    prices: list[tuple[int, Decimal | None]]
    total_volumes: list[tuple[int, Decimal | None]]


_coin_of = msgspec.json.Decoder(_Coin).decode
_chart_of = msgspec.json.Decoder(_Chart).decode


def paths(coins: Sequence[str]) -> list[str]:
    """The fewest requests, without the host, that ask for coins by their ids, in their order."""
    pages = [coins[at : at + MOST_COINS] for at in range(0, len(coins), MOST_COINS)]
    return [
        f"/coins/markets?vs_currency=usd&ids={','.join(page)}&per_page={MOST_COINS}&precision=full" for page in pages
    ]


def read(body: bytes, *, recv_ns: int) -> MarketsTold:
    """What an answer says of each coin.

    Args:
        body: The answer, a JSON list.
        recv_ns: When it was received, our clock, nanoseconds UTC: no coin can have changed after it.

    Raises:
        FormatDrift: It is no list. A coin of another form, or told twice, is refused alone.
    """
    try:
        told = _decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
        raise FormatDrift(f"markets of coingecko: {exc}") from exc
    refusals = Refusals()
    coins: dict[str, CoinMarket] = {}
    for place, raw in enumerate(told):
        try:
            coin = _coin_of(raw)
        except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
            refusals.refuse(f"[{place}]", "", str(exc))
            continue
        if coin.id in coins:
            refusals.refuse(coin.id, "", "it is told twice in one answer")
        elif (found := _market(coin, recv_ns // 1_000, refusals)) is not None:
            coins[coin.id] = found
    return MarketsTold(tuple(coins.values()), tuple(refusals.found))


def _market(coin: _Coin, recv_us: int, refusals: Refusals) -> CoinMarket | None:
    event_us = _time(coin.last_updated)
    if event_us is None or not FIRST_US <= event_us <= recv_us + AHEAD_US:
        refusals.refuse(coin.id, "last_updated", f"{coin.last_updated[:60]!r} is no time between 2013 and its receipt")
        return None
    return CoinMarket(
        coin=coin.id,
        symbol=coin.symbol,
        name=coin.name,
        event_us=event_us,
        price_usd=refusals.number(coin.id, "current_price", coin.current_price, MOST_PRICE, positive=True),
        volume_usd_24h=refusals.number(coin.id, "total_volume", coin.total_volume, MOST_UNITS),
        market_cap_usd=refusals.number(coin.id, "market_cap", coin.market_cap, MOST_UNITS),
        circulating=refusals.number(coin.id, "circulating_supply", coin.circulating_supply, MOST_UNITS),
        total=refusals.number(coin.id, "total_supply", coin.total_supply, MOST_UNITS),
    )


def _time(text: str) -> int | None:
    """Microseconds since 1970 of a time in ISO 8601 with its zone; None where it is none."""
    try:
        time = dt.datetime.fromisoformat(text)
    except ValueError:
        return None
    return (time - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1) if time.tzinfo else None


def _live(coins: Sequence[CoinRef]) -> list[str]:
    return paths([coin.coingecko for coin in coins if coin.coingecko])


def _history(coins: Sequence[CoinRef], first_s: int, last_s: int) -> list[str]:
    """A request for each coin and each span that is told by the hour."""
    starts = range(first_s, last_s + 1, HOURLY_S)
    return [
        f"/coins/{coin.coingecko}/market_chart/range?vs_currency=usd&from={start}"
        f"&to={min(start + HOURLY_S - 1, last_s)}&precision=full"
        for coin in coins
        if coin.coingecko
        for start in starts
    ]


def _answer(request: str, body: bytes, recv_ns: int, coins: Sequence[CoinRef]) -> CoinAnswer:
    symbols = {coin.coingecko: coin.symbol for coin in coins if coin.coingecko}
    if match := _SPAN.search(request):
        refusals = Refusals()
        symbol = symbols.get(match[1])
        facts = () if symbol is None else tuple(_chart_facts(match[1], symbol, body, recv_ns, refusals))
        return CoinAnswer(facts, tuple(refusals.found))
    told = read(body, recv_ns=recv_ns)
    found = [fact for coin in told.coins if coin.coin in symbols for fact in _market_facts(coin, symbols[coin.coin])]
    return CoinAnswer(tuple(found), tuple(one for one in told.refused if one.coin in symbols or "[" in one.coin))


def _market_facts(coin: CoinMarket, symbol: str) -> Iterator[CoinFact]:
    if coin.price_usd is not None:
        yield CoinFact("price", symbol, "", SOURCE.source, coin.event_us, coin.price_usd)
    if coin.volume_usd_24h is not None:
        yield CoinFact("volume", symbol, "", SOURCE.source, coin.event_us, coin.volume_usd_24h)


def _chart_facts(coin: str, symbol: str, body: bytes, recv_ns: int, refusals: Refusals) -> Iterator[CoinFact]:
    try:
        chart = _chart_of(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
        raise FormatDrift(f"chart of coingecko: {exc}") from exc
    last_us = received_us(recv_ns) + AHEAD_US
    for time_ms, told in chart.prices:
        price = refusals.number(coin, "prices", told, MOST_PRICE, positive=True)
        if price is not None and _is_time(coin, time_ms, last_us, refusals):
            yield CoinFact("price", symbol, "", SOURCE.source, time_ms * 1_000, price)
    for time_ms, told in chart.total_volumes:
        volume = refusals.number(coin, "total_volumes", told, MOST_UNITS)
        if volume is not None and _is_time(coin, time_ms, last_us, refusals):
            yield CoinFact("volume", symbol, "", SOURCE.source, time_ms * 1_000, volume)


def _is_time(coin: str, time_ms: int, last_us: int, refusals: Refusals) -> bool:
    if FIRST_US <= time_ms * 1_000 <= last_us:
        return True
    refusals.refuse(coin, "time", f"{time_ms} is no time in ms between 2013 and its receipt")
    return False


SOURCE = CoinSource(
    name="coingecko",
    source="coingecko",
    features=("price", "volume"),
    url=coingecko.PROVIDER.url,
    requests=coingecko.PROVIDER.requests,
    seconds=coingecko.PROVIDER.seconds,
    interval_s=60.0,
    live=_live,
    read=_answer,
    keys=coingecko.PROVIDER.keys,
    history=_history,
)
