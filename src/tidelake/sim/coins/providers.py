"""CoinGecko and DefiLlama as they answer about a simulated history, over HTTP, by its clock.

    with CoinServer(history, HistoryClock(history.plan.start_us, speed=60)) as server:
        server.url_of("coingecko")    # in place of https://api.coingecko.com/api/v3
        server.url_of("defillama")    # in place of https://stablecoins.llama.fi

They tell what the history's sources have told by then, with its lags and restatements; a day, a week or a month before
to the hour. CoinGecko cuts times to milliseconds. A provider that the plan says is down answers 503.

Source: forms of answers recorded in 2025-09; https://docs.coingecko.com/reference/coins-markets,
    https://docs.coingecko.com/reference/contract-address-market-chart-range, https://api-docs.defillama.com
"""

import asyncio
import math
import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tidelake.sim.answer import Answer, Limit, Query, gateway_error, integer, json_answer, retry_after
from tidelake.sim.coins.clock import HistoryClock
from tidelake.sim.coins.events import DAY_US, MICROS
from tidelake.sim.coins.history import CoinHistory
from tidelake.sim.coins.told_so_far import Pair, ToldSoFar
from tidelake.sim.limiter import Limiter
from tidelake.sim.server import BackgroundServer, http_response
from tidelake.stablecoins.registry import read_coins

CHAIN_NAMES = {
    "ethereum": ("Ethereum", "ethereum", "ETH"),
    "arbitrum": ("Arbitrum", "arbitrum", "ARB"),
    "solana": ("Solana", "solana", "SOL"),
}
PLATFORMS = {"ethereum": "ethereum", "arbitrum-one": "arbitrum"}
MOMENTS = {"": 0, "PrevDay": DAY_US, "PrevWeek": 7 * DAY_US, "PrevMonth": 30 * DAY_US}
MOST_HOURLY_S = 90 * 86_400  # a longer span is told by the day
_CHART = re.compile(r"/coins/([a-z-]+)/contract/(0x[0-9a-fA-F]{40})/market_chart/range")


@dataclass(frozen=True)
class Provider:
    """One of them: how it answers, its limit (of a client, by the history's clock), and how it refuses."""

    name: str
    respond: Callable[[ToldSoFar, str, Query, int], Answer]
    limit: Limit
    refuse: Callable[[float | None], Answer]
    weight: Callable[[str, Query], int] = lambda path, query: 1
    weight_header: str = ""
    banned: Callable[[float], Answer] | None = None


class CoinProviders:
    """Both providers of one history, without a socket.

    Args:
        clock: The history's time; answers follow it.
        limits: Whether a client that asks too often is refused.
    """

    def __init__(self, history: CoinHistory, clock: HistoryClock, *, limits: bool = False) -> None:
        self._plan, self._clock = history.plan, clock
        self._told = ToldSoFar(history)
        self._lock = threading.Lock()
        answers = _Answers(history)
        self.providers = {each.name: each for each in (_coingecko(answers), _defillama(answers))}
        self._limiters = {
            name: Limiter(each, enforce=limits, clock=lambda: clock.now_us() / MICROS)
            for name, each in self.providers.items()
        }

    def respond(self, name: str, path: str, query: Query, client: str = "") -> Answer:
        """The answer of a provider to a request, its path without what stands before it in `url_of`."""
        with self._lock:
            now_us = self._clock.now_us()
            refused, _ = self._limiters[name].check(path, query, client)
            if refused is not None:
                return refused
            if any(out.source == name and out.start_us <= now_us < out.end_us for out in self._plan.outages):
                return gateway_error(503)
            self._told.follow(now_us)
            return self.providers[name].respond(self._told, path, query, now_us)


class CoinServer(BackgroundServer):
    """Serves both under paths of their own."""

    def __init__(
        self,
        history: CoinHistory,
        clock: HistoryClock,
        *,
        limits: bool = False,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.providers = CoinProviders(history, clock, limits=limits)

        async def handle(request: Request) -> Response:
            name, path = request.path_params["name"], "/" + request.path_params["path"]
            if name not in self.providers.providers:
                return Response(status_code=404)
            client = request.client.host if request.client else ""
            query = dict(request.query_params)
            return http_response(await asyncio.to_thread(self.providers.respond, name, path, query, client))

        super().__init__(Starlette(routes=[Route("/{name}/{path:path}", handle)]), host=host, port=port)

    def url_of(self, name: str) -> str:
        """Address of "coingecko" or "defillama"."""
        return f"{self.url}/{name}"


class _Answers:
    """The bodies of answers."""

    def __init__(self, history: CoinHistory) -> None:
        self.pairs = history.pairs
        self.home = history.plan.chains[0]
        facts = {coin.symbol: coin for coin in read_coins()}
        self.coins = {name: facts[name] for name in history.plan.coins if name in facts}
        self.contracts = {
            (deployment.chain, deployment.address.lower()): name
            for name, coin in self.coins.items()
            for deployment in coin.deployments
            if (name, deployment.chain) in self.pairs
        }

    def markets(self, told: ToldSoFar, path: str, query: Query, now_us: int) -> Answer:
        """CoinGecko."""
        if path == "/ping":
            return json_answer({"gecko_says": "(V3) To the Moon!"})
        if path == "/coins/markets":
            if query.get("vs_currency") != "usd":
                return json_answer({"error": "invalid vs_currency"}, 422)
            ids = [coin for coin in query.get("ids", "").split(",") if coin]
            found = {coin.ids.coingecko: name for name, coin in self.coins.items() if coin.ids.coingecko}
            rows = [self._market(told, found[each], each) for each in (ids or found) if each in found]
            return json_answer([row for row in rows if row is not None])
        if match := _CHART.fullmatch(path):
            return self._chart(told, match[1], match[2].lower(), query, now_us)
        return json_answer({"error": "Incorrect path. Please check https://docs.coingecko.com/"}, 404)

    def _market(self, told: ToldSoFar, name: str, provider_id: str) -> dict[str, Any] | None:
        last = told.last.get(("price", name, self.home))
        if last is None:
            return None
        price, volume = last.value, told.value("volume", (name, self.home))
        supply = self._sum(told, name)
        hours = [fact.value for fact in list(told.hours["price", name, self.home])[-24:]]
        day = hours[0]
        worth = int(price * supply)
        return {
            "id": provider_id,
            "symbol": name.lower(),
            "name": name,
            "image": "",
            "current_price": price,
            "market_cap": worth,
            "market_cap_rank": 1 + list(self.coins).index(name),
            "fully_diluted_valuation": worth,
            "total_volume": None if volume is None else int(volume),
            "high_24h": max(hours),
            "low_24h": min(hours),
            "price_change_24h": round(price - day, 8),
            "price_change_percentage_24h": round(100 * (price - day) / day, 5),
            "market_cap_change_24h": 0,
            "market_cap_change_percentage_24h": 0.0,
            "circulating_supply": supply,
            "total_supply": supply,
            "max_supply": None,
            "ath": 1.0,
            "ath_change_percentage": round(100 * (price - 1), 5),
            "ath_date": "2018-07-24T00:00:00.000Z",
            "atl": 1.0,
            "atl_change_percentage": round(100 * (price - 1), 5),
            "atl_date": "2015-03-02T00:00:00.000Z",
            "roi": None,
            "last_updated": _iso_ms(last.event_us),
            "price_change_percentage_24h_in_currency": 100 * (price - day) / day,
        }

    def _chart(self, told: ToldSoFar, platform: str, address: str, query: Query, now_us: int) -> Answer:
        chain = PLATFORMS.get(platform, "")
        name = self.contracts.get((chain, address))
        first, last = integer(query, "from"), integer(query, "to")
        if name is None or first is None or last is None or query.get("vs_currency") != "usd":
            return json_answer({"error": "coin not found"}, 404)
        every = 3_600 if last - first <= MOST_HOURLY_S else 86_400
        points: dict[str, list[list[float]]] = {"prices": [], "market_caps": [], "total_volumes": []}
        seen = -1
        for price in told.hours.get(("price", name, chain), ()):
            time_s = price.event_us // MICROS
            if first <= time_s <= last and time_s // every != seen:
                seen = time_s // every
                points["prices"].append([price.event_us // 1_000, price.value])
        return json_answer(points)

    def circulating(self, told: ToldSoFar, path: str, query: Query, now_us: int) -> Answer:
        """DefiLlama."""
        if path != "/stablecoins":
            return json_answer({"message": "Not Found"}, 404)
        with_prices = query.get("includePrices") == "true"
        assets = [self._asset(told, name, now_us, with_prices=with_prices) for name in self.coins]
        chains = [self._chain(told, chain) for chain in dict.fromkeys(chain for _, chain in self.pairs)]
        total = sum(chain["totalCirculatingUSD"]["peggedUSD"] for chain in chains)
        chains.append(_chain_row(None, total, None, None, "TotalCirculating"))
        return json_answer({"peggedAssets": assets, "chains": chains})

    def _asset(self, told: ToldSoFar, name: str, now_us: int, *, with_prices: bool) -> dict[str, Any]:
        coin = self.coins[name]
        chains = [chain for each, chain in self.pairs if each == name]
        amounts = {
            (chain, when): self._amount(told, (name, chain), now_us, back)
            for chain in chains
            for when, back in MOMENTS.items()
        }
        by_chain = {
            CHAIN_NAMES[chain][0]: {
                f"circulating{when}" if when else "current": _pegged([amounts[chain, when]]) for when in MOMENTS
            }
            for chain in chains
        }
        totals = {f"circulating{when}": _pegged([amounts[chain, when] for chain in chains]) for when in MOMENTS}
        row = {
            "id": coin.ids.defillama,
            "name": name,
            "symbol": name,
            "gecko_id": coin.ids.coingecko,
            "pegType": "peggedUSD",
            "priceSource": "defillama",
            "pegMechanism": coin.peg_mechanism,
            **totals,
            "chainCirculating": by_chain,
            "chains": [CHAIN_NAMES[chain][0] for chain in chains],
        }
        return {**row, "price": self._price(told, name)} if with_prices else row

    def _price(self, told: ToldSoFar, name: str) -> float | None:
        """Of a chain where it is told by this provider, else what the other one told."""
        for each, chain in reversed(self.pairs):
            if each == name and (price := told.value("price", (name, chain))) is not None:
                return price
        return None

    def _amount(self, told: ToldSoFar, pair: Pair, now_us: int, back_us: int) -> float | None:
        if not back_us:
            return told.value("circulating", pair)
        return told.before("circulating", pair, now_us - back_us)

    def _sum(self, told: ToldSoFar, name: str) -> float:
        return sum(told.value("circulating", pair) or 0 for pair in self.pairs if pair[0] == name)

    def _chain(self, told: ToldSoFar, chain: str) -> dict[str, Any]:
        title, provider_id, token = CHAIN_NAMES[chain]
        worth = [
            (told.value("circulating", pair) or 0) * (self._price(told, pair[0]) or 0)
            for pair in self.pairs
            if pair[1] == chain and pair[0] in self.coins
        ]
        return _chain_row(provider_id, sum(worth), token, 0, title)


def _pegged(amounts: Sequence[float | None]) -> dict[str, float] | int:
    """The sum of those that there are; the bare number 0 where there is none, as the source writes it."""
    there = [amount for amount in amounts if amount is not None]
    return {"peggedUSD": math.fsum(there)} if there else 0


def _chain_row(provider_id: str | None, usd: float, token: str | None, tvl: int | None, name: str) -> dict[str, Any]:
    return {
        "gecko_id": provider_id,
        "totalCirculatingUSD": {"peggedUSD": usd},
        "tokenSymbol": token,
        "tvl": tvl,
        "name": name,
    }


def _iso_ms(time_us: int) -> str:
    moment = datetime.fromtimestamp(time_us // MICROS, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{time_us % MICROS // 1_000:03d}Z"


def _coingecko(answers: _Answers) -> Provider:
    def refuse(wait_s: float | None) -> Answer:
        told = {"status": {"error_code": 429, "error_message": "You've exceeded the Rate Limit."}}
        return json_answer(told, 429, retry_after(wait_s))

    # 30 in a minute: https://docs.coingecko.com/docs/errors-and-rate-limits, of a demo key
    return Provider("coingecko", answers.markets, Limit(30, 60.0), refuse)


def _defillama(answers: _Answers) -> Provider:
    def refuse(wait_s: float | None) -> Answer:
        return Answer(429, {"content-type": "text/plain", **retry_after(wait_s)}, b"Too Many Requests")

    return Provider("defillama", answers.circulating, Limit(300, 60.0), refuse)  # our choice: it states none
