"""DefiLlama, coins API: prices of many tokens at a moment.

Source:  https://api-docs.defillama.com (coins: /prices/historical/{timestamp}/{coins}); chain names as
         DefiLlama/defillama-server@0df9395fba66:common/chainToCoingeckoId.ts has them.
Quirks:  A token that it does not know is left out of the answer. The price is the one that it holds nearest to the
         moment, within `searchWidth` on either side; `timestamp` says when that was. The zero address stands for a
         chain's own coin. `confidence` is from 0 to 1.
Samples: tests/lending/test_prices.py
"""

import datetime as dt
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence

import msgspec

from tidelake.chains.addresses import NATIVE, ZERO_ADDRESS
from tidelake.chains.registry import CHAINS
from tidelake.errors import FormatDrift
from tidelake.providers.spec import MOST_AWAY_S, PricePage, PriceProvider, PriceTold, Token, day_ending, end_of

MOST_TOKENS = 60  # of about 55 characters: addresses of some servers end at 4,096
WIDTH = f"{MOST_AWAY_S // 3600}h"
_REQUEST = re.compile(r"/prices/historical/(\d+)/([^?\s]+)\?searchWidth=\w+")
_NAMES = {chain.defillama: name for name, chain in CHAINS.items()}


class _Coin(msgspec.Struct):
    price: msgspec.Raw
    timestamp: int
    confidence: msgspec.Raw = msgspec.Raw(b"null")
    symbol: str | None = None
    decimals: int | None = None


class _Answer(msgspec.Struct):
    coins: dict[str, _Coin]


_decode = msgspec.json.Decoder(_Answer).decode


def _coin(token: Token) -> str:
    address = ZERO_ADDRESS if token.address == NATIVE else token.address
    return f"{CHAINS[token.chain].defillama}:{address}"


def _token(coin: str) -> Token:
    chain, _, address = coin.partition(":")
    if chain not in _NAMES or not address:
        raise FormatDrift(f"{coin!r} is no token of a chain that we know")
    return Token(_NAMES[chain], NATIVE if address == ZERO_ADDRESS else address)


def pages(wanted: Mapping[Token, Sequence[dt.date]]) -> list[PricePage]:
    """One request for each day and so many tokens."""
    by_day: dict[dt.date, list[Token]] = defaultdict(list)
    for token in sorted(wanted):
        for day in wanted[token]:
            by_day[day].append(token)
    found = []
    for day, tokens in sorted(by_day.items()):
        for at in range(0, len(tokens), MOST_TOKENS):
            some = tuple(tokens[at : at + MOST_TOKENS])
            path = f"/prices/historical/{end_of(day)}/{','.join(map(_coin, some))}?searchWidth={WIDTH}"
            found.append(PricePage(path, some, (day,)))
    return found


def asked(request: str) -> PricePage:
    """What a request asked for.

    Raises:
        FormatDrift: It is none of these.
    """
    match = _REQUEST.search(request)
    if match is None:
        raise FormatDrift(f"{request[:200]!r} asks for no prices at a moment")
    try:
        day = day_ending(int(match[1]))
    except ValueError as exc:
        raise FormatDrift(str(exc)) from exc
    return PricePage(match[0], tuple(_token(coin) for coin in match[2].split(",")), (day,))


def read(request: str, body: bytes) -> list[PriceTold]:
    """What an answer says of each token that was asked for.

    Raises:
        FormatDrift: It is of another form.
    """
    page = asked(request)
    try:
        told = {coin.lower(): said for coin, said in _decode(body).coins.items()}
    except msgspec.MsgspecError as exc:
        raise FormatDrift(f"prices of defillama: {exc}") from exc
    return [_told(token, page.days[0], told.get(_coin(token).lower())) for token in page.tokens]


def _told(token: Token, day: dt.date, coin: _Coin | None) -> PriceTold:
    if coin is None or abs(coin.timestamp - end_of(day)) > MOST_AWAY_S:
        return PriceTold(token, day)
    price, confidence = bytes(coin.price).decode(), bytes(coin.confidence).decode()
    told = None if confidence == "null" else confidence
    return PriceTold(token, day, coin.timestamp, price, told, coin.symbol, coin.decimals)


PROVIDER = PriceProvider(
    name="defillama",
    url="https://coins.llama.fi",
    requests=5,  # our choice: no limit is stated for the free API
    seconds=1.0,
    serves=lambda token: token.chain in CHAINS,
    pages=pages,
    asked=asked,
    read=read,
)
