"""DefiLlama, yields API: what lies in the pools of exchanges, and so the liquidity of a coin on a chain.

Source:  https://api-docs.defillama.com (yields: /pools); DefiLlama/yield-server: fields in src/types/Pool.d.ts, those
         that are answered in @006471397910:src/handlers/triggerEnrichment.js, made anew at 20 past each hour by
         @012f4e3bc18d:serverless.yml, names of chains in @2541d4f67d70:src/adaptors/utils.js
Rule:    The liquidity of a coin on a chain is the sum of `tvlUsd` of the pools of `EXCHANGES` there that hold its token
         among at least two. That is all that lies in these pools, also what is not the coin: what the coin can be
         exchanged against, and the coin. Lending markets are left out, and vaults that hold shares of such pools, since
         they would count the same tokens again.
Quirks:  One answer (about 12 MB) holds all pools and says no time: it tells of when it was received, and is up to an
         hour old. A pool's tokens may be null.
Samples: tests/providers/test_coin_sources.py
"""

from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal

import msgspec

from tidelake.errors import FormatDrift
from tidelake.providers.coin_answers import MOST_UNITS, Refusals
from tidelake.providers.coin_source import CoinAnswer, CoinFact, CoinRef, CoinSource, received_us
from tidelake.providers.defillama_stablecoins import CHAIN_NAMES

# Our choice among the adaptors of yield-server: exchanges whose pools hold tokens themselves.
EXCHANGES = frozenset(
    {
        "aerodrome-slipstream",
        "aerodrome-v1",
        "balancer-v2",
        "balancer-v3",
        "camelot-v2",
        "camelot-v3",
        "curve-dex",
        "fluid-dex",
        "orca-dex",
        "pancakeswap-amm",
        "pancakeswap-amm-v3",
        "quickswap-dex",
        "raydium-amm",
        "sushiswap",
        "sushiswap-v3",
        "uniswap-v2",
        "uniswap-v3",
        "uniswap-v4",
        "velodrome-v2",
        "velodrome-v3",
    }
)
# Names that the yields API has besides those of the stablecoins API.
_CHAINS = CHAIN_NAMES | {"Binance": "bnb", "Optimism": "optimism", "zkSync Era": "zksync"}


class _Pool(msgspec.Struct):
    pool: str
    chain: str
    project: str
    tvlUsd: Decimal | None  # noqa: N815
    underlyingTokens: list[str | None] | None = None  # noqa: N815


class _Answer(msgspec.Struct):
    status: str
    data: list[msgspec.Raw]


_decode = msgspec.json.Decoder(_Answer).decode
_pool_of = msgspec.json.Decoder(_Pool).decode


def _live(coins: Sequence[CoinRef]) -> list[str]:
    return ["/pools"] if any(coin.tokens for coin in coins) else []


def read(request: str, body: bytes, recv_ns: int, coins: Sequence[CoinRef]) -> CoinAnswer:
    """The liquidity of each coin on each chain where a pool holds it; a chain without a pool is not told, never zero.

    Raises:
        FormatDrift: It is no list of pools, or says itself that it is no success. A pool of another form, or told
            twice, is refused alone.
    """
    try:
        answer = _decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
        raise FormatDrift(f"pools of defillama: {exc}") from exc
    if answer.status != "success":
        raise FormatDrift(f"pools of defillama: status {answer.status[:60]!r}, expected 'success'")
    owners = {token: coin.symbol for coin in coins for token in coin.tokens}
    refusals = Refusals()
    seen: set[str] = set()
    sums: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for place, raw in enumerate(answer.data):
        try:
            pool = _pool_of(raw)
        except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
            refusals.refuse(f"[{place}]", "", str(exc))
            continue
        held = _held(pool, owners)
        if not held:
            continue
        if pool.pool in seen:
            refusals.refuse(pool.pool, "", "it is told twice in one answer")
            continue
        seen.add(pool.pool)
        usd = refusals.number(pool.pool, "tvlUsd", pool.tvlUsd, MOST_UNITS)
        for symbol in held if usd is not None else ():
            sums[symbol, _CHAINS[pool.chain]] += usd or 0
    event_us = received_us(recv_ns)
    facts = (
        CoinFact("liquidity", symbol, chain, SOURCE.source, event_us, usd)
        for (symbol, chain), usd in sorted(sums.items())
    )
    return CoinAnswer(tuple(facts), tuple(refusals.found))


def _held(pool: _Pool, owners: dict[tuple[str, str], str]) -> set[str]:
    """The coins that the pool counts for."""
    chain = _CHAINS.get(pool.chain)
    if chain is None or pool.project not in EXCHANGES:
        return set()
    tokens = {token if chain == "solana" else token.lower() for token in pool.underlyingTokens or () if token}
    return {owners[chain, token] for token in tokens if (chain, token) in owners} if len(tokens) > 1 else set()


SOURCE = CoinSource(
    name="defillama-pools",
    source="defillama",
    features=("liquidity",),
    url="https://yields.llama.fi",
    requests=1,  # our choice: no limit is stated for the free API
    seconds=10.0,
    interval_s=1_800.0,
    live=_live,
    read=read,
    no_history="the past of pools is told pool by pool, and pools that are gone are not told",
)
