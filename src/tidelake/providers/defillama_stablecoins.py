"""DefiLlama, stablecoins API: what circulates of all coins, by chain; of one coin, day by day.

Source:  https://api-docs.defillama.com (stablecoins: /stablecoins, /stablecoin/{id}); how it counts each coin
         DefiLlama/peggedassets-server@60cfca169fed:src/adapters/peggedAssets; the form of a coin's days
         DefiLlama/peggedassets-server@161bb96be989:src/getStablecoin.ts
Quirks:  One answer holds all coins and says no time: it tells of when it was received, and of a day, a week and a month
         before. An amount that it does not have is the number 0 where an object would stand. Amounts are coins, under
         the name of their peg, also where that is not the dollar. A price may be a text, 0, or null. Its sums are made
         in doubles. `tvl` of a chain is that of all protocols there (0 for many); a coin's liquidity is not told.
         Days of a coin begin on 2022-05-11, the last one is of the newest hour; an answer above 5.5 MB is a redirect.
Samples: tests/providers/test_coin_answers.py, tests/providers/test_coin_sources.py
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from tidelake.errors import FormatDrift
from tidelake.providers.coin_answers import (
    FIRST_US,
    MOMENTS,
    MOST_PRICE,
    MOST_UNITS,
    Amounts,
    ChainAmounts,
    ChainTotal,
    CoinCirculating,
    Moment,
    Refusals,
    Refused,
    SumDifference,
)
from tidelake.providers.coin_source import CoinAnswer, CoinFact, CoinRef, CoinSource, received_us

URL = "https://stablecoins.llama.fi"
PATH = "/stablecoins?includePrices=true"
TOLERANCE = Decimal("1e-12")  # of a total: sums of some hundred doubles lose less
_ONE_COIN = re.compile(r"/stablecoin/(\w+)$")
ALL_CHAINS = "TotalCirculating"  # the name that stands for all chains together

# Its names of chains -> ours, as the answer recorded in 2025-09 has them. "Hyperliquid L1" is left out: it is not said
# whether that is HyperEVM alone.
CHAIN_NAMES = {
    "Arbitrum": "arbitrum",
    "Avalanche": "avalanche",
    "BSC": "bnb",
    "Base": "base",
    "Celo": "celo",
    "Ethereum": "ethereum",
    "Fantom": "fantom",
    "Gnosis": "gnosis",
    "Ink": "ink",
    "Linea": "linea",
    "Mantle": "mantle",
    "Metis": "metis",
    "Moonbeam": "moonbeam",
    "OP Mainnet": "optimism",
    "Polygon": "polygon",
    "Ronin": "ronin",
    "Scroll": "scroll",
    "Solana": "solana",
    "Soneium": "soneium",
    "Sonic": "sonic",
    "Unichain": "unichain",
    "X Layer": "xlayer",
    "ZKsync Era": "zksync",
}
_TOTALS: dict[Moment, str] = {
    "now": "circulating",
    "day": "circulatingPrevDay",
    "week": "circulatingPrevWeek",
    "month": "circulatingPrevMonth",
}
_OF_CHAINS: dict[Moment, str] = {**_TOTALS, "now": "current"}


class StablecoinsTold(msgspec.Struct, frozen=True):
    """What an answer says.

    Attributes:
        coins: In the answer's order.
        chains: Worth of all coins by chain and peg, without that of all chains together.
        differences: Totals that are not the sums of their parts, of coins and over all chains.
        refused: What was not taken.
    """

    coins: tuple[CoinCirculating, ...]
    chains: tuple[ChainTotal, ...]
    differences: tuple[SumDifference, ...]
    refused: tuple[Refused, ...]


class _Coin(msgspec.Struct):
    id: str
    name: str
    symbol: str
    pegType: str  # noqa: N815
    pegMechanism: str  # noqa: N815
    price: Any
    circulating: Any
    circulatingPrevDay: Any  # noqa: N815
    circulatingPrevWeek: Any  # noqa: N815
    circulatingPrevMonth: Any  # noqa: N815
    chainCirculating: dict[str, dict[str, Any]]  # noqa: N815


class _Chain(msgspec.Struct):
    name: str
    totalCirculatingUSD: dict[str, Decimal]  # noqa: N815


class _Answer(msgspec.Struct):
    peggedAssets: list[msgspec.Raw]  # noqa: N815
    chains: list[msgspec.Raw]


class _Day(msgspec.Struct):
    date: int
    circulating: Any


class _Days(msgspec.Struct):
    tokens: list[_Day]


class _OneCoin(msgspec.Struct):
    id: str
    symbol: str
    pegType: str  # noqa: N815
    chainBalances: dict[str, _Days]  # noqa: N815
    tokens: list[_Day]


_decode = msgspec.json.Decoder(_Answer, float_hook=Decimal).decode
_coin_of = msgspec.json.Decoder(_Coin, float_hook=Decimal).decode
_chain_of = msgspec.json.Decoder(_Chain, float_hook=Decimal).decode
_one_coin_of = msgspec.json.Decoder(_OneCoin, float_hook=Decimal).decode


def read(body: bytes) -> StablecoinsTold:
    """What an answer says of each coin and chain.

    Raises:
        FormatDrift: It has no lists of coins and chains. A coin or chain of another form, or told twice, is refused
            alone.
    """
    try:
        answer = _decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
        raise FormatDrift(f"stablecoins of defillama: {exc}") from exc
    refusals = Refusals()
    coins = _coins(answer.peggedAssets, refusals)
    totals = _chain_totals(answer.chains, refusals)
    differences = [difference for coin in coins for difference in _coin_differences(coin)]
    return StablecoinsTold(
        coins,
        tuple(total for total in totals if total.name != ALL_CHAINS),
        (*differences, *_chain_differences(totals)),
        tuple(refusals.found),
    )


def _coins(told: Sequence[msgspec.Raw], refusals: Refusals) -> tuple[CoinCirculating, ...]:
    coins: dict[str, CoinCirculating] = {}
    for place, raw in enumerate(told):
        try:
            coin = _coin_of(raw)
            found = _circulating(coin, refusals)
        except (msgspec.MsgspecError, UnicodeDecodeError, FormatDrift) as exc:
            refusals.refuse(f"[{place}]", "", str(exc))
            continue
        if coin.id in coins:
            refusals.refuse(coin.id, "", "it is told twice in one answer")
        coins.setdefault(coin.id, found)
    return tuple(coins.values())


def _circulating(coin: _Coin, refusals: Refusals) -> CoinCirculating:
    return CoinCirculating(
        coin=coin.id,
        symbol=coin.symbol,
        name=coin.name,
        peg=coin.pegType,
        mechanism=coin.pegMechanism,
        price_usd=refusals.number(coin.id, "price", coin.price, MOST_PRICE, positive=True),
        total=_amounts(coin, "", {name: getattr(coin, name) for name in _TOTALS.values()}, _TOTALS, refusals),
        chains=tuple(
            ChainAmounts(name, CHAIN_NAMES.get(name), _amounts(coin, f"{name}.", told, _OF_CHAINS, refusals))
            for name, told in coin.chainCirculating.items()
        ),
    )


def _amounts(
    coin: _Coin, where: str, told: Mapping[str, Any], names: Mapping[Moment, str], refusals: Refusals
) -> Amounts:
    if told.keys() != set(names.values()):
        raise FormatDrift(f"{coin.symbol} ({coin.id}) {where}: {sorted(told)}, expected {sorted(names.values())}")
    found = {moment: _amount(coin, where + name, told[name], refusals) for moment, name in names.items()}
    return Amounts(**found)


def _amount(coin: _Coin | _OneCoin, field: str, told: Any, refusals: Refusals) -> Decimal | None:
    """The amount under the coin's peg; None for the number 0, which stands where there is none."""
    if told == 0 and not isinstance(told, bool):
        return None
    if not isinstance(told, dict) or told.keys() != {coin.pegType}:
        raise FormatDrift(f"{coin.symbol} ({coin.id}) {field}: {str(told)[:60]}, expected an amount of {coin.pegType}")
    return refusals.number(coin.id, field, told[coin.pegType], MOST_UNITS)


def _chain_totals(told: Sequence[msgspec.Raw], refusals: Refusals) -> list[ChainTotal]:
    found: dict[tuple[str, str], ChainTotal] = {}
    for place, raw in enumerate(told):
        try:
            chain = _chain_of(raw)
        except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
            refusals.refuse(f"chains[{place}]", "", str(exc))
            continue
        for peg, usd in chain.totalCirculatingUSD.items():
            if (chain.name, peg) in found:
                refusals.refuse(chain.name, peg, "it is told twice in one answer")
            elif (taken := refusals.number(chain.name, peg, usd, MOST_UNITS)) is not None:
                found[chain.name, peg] = ChainTotal(chain.name, CHAIN_NAMES.get(chain.name), peg, taken)
    return list(found.values())


def _coin_differences(coin: CoinCirculating) -> Iterable[SumDifference]:
    for moment in MOMENTS:
        told = getattr(coin.total, moment)
        parts = [part for chain in coin.chains if (part := getattr(chain.amounts, moment)) is not None]
        if (told is not None or parts) and not _equal(told, parts):
            yield SumDifference(coin.coin, moment, told, sum(parts, Decimal(0)))


def _chain_differences(totals: Iterable[ChainTotal]) -> Iterable[SumDifference]:
    whole: dict[str, Decimal] = {}
    parts: dict[str, list[Decimal]] = defaultdict(list)
    for total in totals:
        if total.name == ALL_CHAINS:
            whole[total.peg] = total.usd
        else:
            parts[total.peg].append(total.usd)
    for peg in dict.fromkeys((*whole, *parts)):
        if not _equal(whole.get(peg), parts[peg]):
            yield SumDifference(peg, "now", whole.get(peg), sum(parts[peg], Decimal(0)))


def _equal(told: Decimal | None, parts: Sequence[Decimal]) -> bool:
    return told is not None and abs(sum(parts, Decimal(0)) - told) <= TOLERANCE * max(told, Decimal(1))


def _live(coins: Sequence[CoinRef]) -> list[str]:
    return [PATH] if any(coin.defillama for coin in coins) else []


def _history(coins: Sequence[CoinRef], first_s: int, last_s: int) -> list[str]:
    """All days of each coin: the source cannot be asked for fewer."""
    return [f"/stablecoin/{coin.defillama}" for coin in coins if coin.defillama]


def _answer(request: str, body: bytes, recv_ns: int, coins: Sequence[CoinRef]) -> CoinAnswer:
    symbols = {coin.defillama: coin.symbol for coin in coins if coin.defillama}
    recv_us = received_us(recv_ns)
    if _ONE_COIN.search(request):
        refusals = Refusals()
        return CoinAnswer(tuple(_daily_facts(body, recv_us, symbols, refusals)), tuple(refusals.found))
    told = read(body)
    found = [fact for coin in told.coins if coin.coin in symbols for fact in _facts(coin, symbols[coin.coin], recv_us)]
    return CoinAnswer(tuple(found), tuple(one for one in told.refused if one.coin in symbols or "[" in one.coin))


def _facts(coin: CoinCirculating, symbol: str, recv_us: int) -> Iterator[CoinFact]:
    if coin.total.now is not None:
        yield CoinFact("circulating", symbol, "", SOURCE.source, recv_us, coin.total.now)
    for part in coin.chains:
        if part.chain is not None and part.amounts.now is not None:
            yield CoinFact("circulating", symbol, part.chain, SOURCE.source, recv_us, part.amounts.now)


def _daily_facts(body: bytes, recv_us: int, symbols: Mapping[str, str], refusals: Refusals) -> Iterator[CoinFact]:
    try:
        coin = _one_coin_of(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
        raise FormatDrift(f"stablecoin of defillama: {exc}") from exc
    if coin.id not in symbols:
        return
    parts = [("", coin.tokens), *((CHAIN_NAMES.get(name), days.tokens) for name, days in coin.chainBalances.items())]
    for chain, days in parts:
        for day in days if chain is not None else ():
            value = _amount(coin, f"{chain or 'tokens'}.{day.date}", day.circulating, refusals)
            if not FIRST_US <= day.date * 1_000_000 <= recv_us:
                refusals.refuse(coin.id, "date", f"{day.date} is no time in s between 2013 and its receipt")
            elif value is not None:
                yield CoinFact("circulating", symbols[coin.id], chain or "", SOURCE.source, day.date * 1_000_000, value)


SOURCE = CoinSource(
    name="defillama-stablecoins",
    source="defillama",
    features=("circulating",),
    url=URL,
    requests=1,  # our choice: no limit is stated for the free API
    seconds=1.0,
    interval_s=180.0,
    live=_live,
    read=_answer,
    history=_history,
)
