"""A double of CoinGecko and DefiLlama over real HTTP that fails as it is told, and a clock that nobody waits for."""

import asyncio
import datetime as dt
import heapq
import http.server
import json
import re
import threading
from collections import Counter
from contextlib import contextmanager
from itertools import count
from urllib.parse import parse_qs, urlsplit

USDC, DAI = "0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48", "0x6b175474e89094c44da98b954eedeac495271d0f"
NAMES = {"markets": "/coins/markets", "stablecoins": "/stablecoins", "pools": "/pools", "current": "/prices/current/"}


class CoinServer(http.server.ThreadingHTTPServer):
    """All sources in one; which one is asked is told by the path.

    Attributes:
        faults: By source, what the next requests meet: a status, "hang", "cut", "words" (no JSON), "other" (JSON of
            another form), or None for a good answer.
        dead: Sources of which every request meets 503.
        retry_after: Seconds that a 429 asks for.
        asked: How often each source was asked.
        told: Bodies that were sent whole, with their statuses, by source.
        prices: US dollars by id of CoinGecko.
        now_s: The time that answers speak of.
        headers: Of the last request of each source.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.faults = {}
        self.dead = set()
        self.retry_after = None
        self.asked = Counter()
        self.told = {}
        self.prices = {"usd-coin": 1.0, "dai": 0.999}
        self.circulating = 100.5
        self.now_s = lambda: 1_757_614_216
        self.headers = {}
        self.released = threading.Event()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request, client_address):
        pass


class _Handler(http.server.BaseHTTPRequestHandler):
    server: CoinServer

    def log_message(self, format, *args):
        pass

    def do_GET(self):
        server, parts = self.server, urlsplit(self.path)
        if parts.path == "/moved":
            self._send("moved", 200, json.dumps(DAYS).encode())
            return
        name = next((name for name, path in NAMES.items() if parts.path.startswith(path)), "past")
        server.asked[name] += 1
        server.headers[name] = dict(self.headers)
        faults = server.faults.get(name) or [None]
        fault = 503 if name in server.dead else faults.pop(0)
        body = self._body(name, parts)
        if fault == "hang":
            server.released.wait(5)
            self.close_connection = True
        elif fault == "words":
            self._send(name, 200, b"<html>busy</html>")
        elif fault == "other":
            self._send(name, 200, b'{"error":"another form"}')
        elif fault == "cut":
            self._send(name, 200, body, cut=len(body) // 2)
        elif fault is not None:
            self._send(name, fault, b'{"error":"busy"}')
        else:
            self._send(name, 200, body)

    def _body(self, name, parts):
        server, now = self.server, self.server.now_s()
        if name == "markets":
            ids = parse_qs(parts.query)["ids"][0].split(",")
            told = [market(coin, server.prices[coin], now) for coin in ids if coin in server.prices]
            return json.dumps(told).encode()
        if name == "stablecoins":
            return json.dumps(stablecoins(server.circulating)).encode()
        if name == "pools":
            return json.dumps(POOLS).encode()
        if name == "current":
            ids = parts.path.removeprefix(NAMES["current"]).split(",")
            held = {coin: server.prices.get(coin.removeprefix("coingecko:")) for coin in ids}
            prices = {coin: {"price": price, "timestamp": now - 30} for coin, price in held.items() if price}
            return json.dumps({"coins": prices}).encode()
        if match := re.match(r"/coins/(.+)/market_chart/range", parts.path):
            asked = parse_qs(parts.query)
            times = range(int(asked["from"][0]), int(asked["to"][0]) + 1, 3600)
            points = [[at * 1000, server.prices[match[1]]] for at in times]
            return json.dumps({"prices": points, "market_caps": [], "total_volumes": []}).encode()
        return b"{}"

    def _send(self, name, status, body, cut=None):
        server = self.server
        if self.path.startswith("/stablecoin/"):
            self.send_response(307)
            self.send_header("Location", "/moved")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(status)
        if status == 429 and server.retry_after is not None:
            self.send_header("Retry-After", str(server.retry_after))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:cut])
        if cut is None:
            server.told.setdefault(name, []).append((status, body))


def market(coin, price, now):
    stamp = dt.datetime.fromtimestamp(now, dt.UTC).isoformat()
    return {
        "id": coin, "symbol": coin, "name": coin, "last_updated": stamp, "current_price": price,
        "total_volume": 5e9, "market_cap": None, "circulating_supply": None, "total_supply": None,
    }  # fmt: skip


def stablecoins(circulating):
    def four(names, value):
        return {name: {"peggedUSD": value} for name in names}

    past = ("circulatingPrevDay", "circulatingPrevWeek", "circulatingPrevMonth")
    coin = {
        "id": "2", "name": "USD Coin", "symbol": "USDC", "pegType": "peggedUSD", "pegMechanism": "fiat-backed",
        "price": 1, **four(("circulating", *past), circulating),
        "chainCirculating": {
            "Ethereum": four(("current", *past), circulating - 0.5),
            "Hyperliquid L1": four(("current", *past), 0.5),
        },
    }  # fmt: skip
    return {"peggedAssets": [coin], "chains": []}


DAYS = {
    "id": "2", "symbol": "USDC", "pegType": "peggedUSD",
    "tokens": [{"date": 1_700_000_000 + n * 86_400, "circulating": {"peggedUSD": 50 + n}} for n in range(3)],
    "chainBalances": {
        "Ethereum": {"tokens": [{"date": 1_700_000_000, "circulating": {"peggedUSD": 49.5}}]},
        "Unheard Of": {"tokens": [{"date": 1_700_000_000, "circulating": {"peggedUSD": 0.5}}]},
    },
}  # fmt: skip


def pool(name, project, usd, tokens, chain="Ethereum"):
    return {
        "pool": name, "chain": chain, "project": project, "symbol": "A-B", "tvlUsd": usd, "apy": 1.5,
        "underlyingTokens": tokens,
    }  # fmt: skip


POOLS = {
    "status": "success",
    "data": [
        pool("one", "curve-dex", 1_000_000.5, [DAI, USDC.upper().replace("0X", "0x")]),
        pool("two", "uniswap-v3", 200_000, [USDC, "0x" + "11" * 20]),
        pool("lent", "aave-v3", 9e9, [USDC]),
        pool("vault", "convex-finance", 9e9, [DAI, USDC]),
        pool("elsewhere", "curve-dex", 9e9, [DAI, USDC], chain="Tron"),
        pool("unnamed", "curve-dex", 9e9, None),
    ],
}


@contextmanager
def serving_coins():
    with CoinServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.released.set()
            server.shutdown()
            thread.join()


class VirtualTime:
    """Seconds that pass only while every task sleeps: then the one that is to wake first does, at once.

    Attributes:
        tasks: How many tasks sleep by it; requests that are under way hold the time still.
    """

    START_NS = 1_757_614_216_000_000_000

    def __init__(self, tasks):
        self.now = 0.0
        self.tasks = tasks
        self._waiting = []
        self._order = count()

    def monotonic(self):
        return self.now

    def wall_ns(self):
        return self.START_NS + round(self.now * 1e9)

    async def sleep(self, seconds):
        woken = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (self.now + seconds, next(self._order), woken))
        self._pass()
        await woken

    def leave(self):
        """A task sleeps no more."""
        self.tasks -= 1
        self._pass()

    def _pass(self):
        if self._waiting and len(self._waiting) >= self.tasks:
            self.now, _, woken = heapq.heappop(self._waiting)
            woken.set_result(None)
