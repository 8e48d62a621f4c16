"""DefiLlama, coins API: prices of coins now, asked while CoinGecko does not answer.

Source:  https://api-docs.defillama.com (coins: /prices/current/{coins}, coins as coingecko:{id})
Quirks:  A coin that it does not know is left out of the answer. Under these ids it tells what it last took from
         CoinGecko: facts name CoinGecko, for it is no second witness of a price. `timestamp` says when that was, in
         seconds.
Samples: tests/providers/test_coin_sources.py
"""

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from tidelake.errors import FormatDrift
from tidelake.providers import coingecko_markets, defillama
from tidelake.providers.coin_answers import FIRST_US, MOST_PRICE, Refusals
from tidelake.providers.coin_source import CoinAnswer, CoinFact, CoinRef, CoinSource, received_us

MOST_COINS = 60  # addresses of some servers end at 4,096
_PREFIX = "coingecko:"


class _Price(msgspec.Struct):
    price: Decimal | None
    timestamp: int


class _Answer(msgspec.Struct):
    coins: dict[str, msgspec.Raw]


_decode = msgspec.json.Decoder(_Answer).decode
_price_of = msgspec.json.Decoder(_Price).decode


def _live(coins: Sequence[CoinRef]) -> list[str]:
    ids = [_PREFIX + coin.coingecko for coin in coins if coin.coingecko]
    return ["/prices/current/" + ",".join(ids[at : at + MOST_COINS]) for at in range(0, len(ids), MOST_COINS)]


def read(request: str, body: bytes, recv_ns: int, coins: Sequence[CoinRef]) -> CoinAnswer:
    """The price of each coin that it tells.

    Raises:
        FormatDrift: It holds no coins. A coin of another form is refused alone.
    """
    try:
        told = _decode(body).coins
    except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
        raise FormatDrift(f"current prices of defillama: {exc}") from exc
    refusals = Refusals()
    facts = []
    for coin in coins:
        raw = told.get(_PREFIX + coin.coingecko)
        if raw is None:
            continue
        try:
            found = _price_of(raw)
        except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
            refusals.refuse(coin.coingecko, "", str(exc))
            continue
        price = refusals.number(coin.coingecko, "price", found.price, MOST_PRICE, positive=True)
        event_us = found.timestamp * 1_000_000
        if not FIRST_US <= event_us <= received_us(recv_ns) + coingecko_markets.AHEAD_US:
            text = f"{found.timestamp} is no time in s between 2013 and its receipt"
            refusals.refuse(coin.coingecko, "timestamp", text)
        elif price is not None:
            facts.append(CoinFact("price", coin.symbol, "", SOURCE.witness, event_us, price))
    return CoinAnswer(tuple(facts), tuple(refusals.found))


SOURCE = CoinSource(
    name="defillama-current",
    source="defillama",
    features=("price",),
    url=defillama.PROVIDER.url,
    requests=defillama.PROVIDER.requests,
    seconds=defillama.PROVIDER.seconds,
    interval_s=coingecko_markets.SOURCE.interval_s,
    live=_live,
    read=read,
    no_history="it only stands in; CoinGecko is asked for the past",
    stands_in_for=coingecko_markets.SOURCE.name,
    witness=coingecko_markets.SOURCE.source,
)
