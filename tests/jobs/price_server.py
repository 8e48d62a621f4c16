"""A double of DefiLlama and CoinGecko over real HTTP, with truth that the test sets and can restate."""

import http.server
import json
import re
import threading
from collections.abc import Callable
from contextlib import contextmanager
from urllib.parse import parse_qs, urlsplit

HOUR = 3600


class PriceServer(http.server.ThreadingHTTPServer):
    """Prices stand as JSON text by coin; one that stands there under no name is unknown.

    Attributes:
        prices: By "chain:address" (DefiLlama) or "platform/address" (CoinGecko), JSON text of the price at a moment
            in seconds.
        errors: Statuses that the next requests are answered with.
        asked: Paths of all requests; headers: of the last.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.prices: dict[str, Callable[[int], str]] = {}
        self.errors: list[int] = []
        self.asked: list[str] = []
        self.headers: dict[str, str] = {}
        self.away_s = -60
        self.confidence = "0.99"

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(http.server.BaseHTTPRequestHandler):
    server: PriceServer

    def log_message(self, format, *args):
        pass

    def do_GET(self):
        server = self.server
        server.asked.append(self.path)
        server.headers = dict(self.headers)
        if server.errors:
            self._answer(server.errors.pop(0), b'{"error":"busy"}')
            return
        parts, asked = urlsplit(self.path), parse_qs(urlsplit(self.path).query)
        if match := re.match(r"/prices/historical/(\d+)/(.+)", parts.path):
            self._answer(200, self._llama(int(match[1]), match[2].split(",")))
        elif match := re.match(r"/coins/(.+)/contract/(.+)/market_chart/range", parts.path):
            self._gecko(f"{match[1]}/{match[2]}", int(asked["from"][0]), int(asked["to"][0]))
        else:
            self._answer(404, b'{"error":"no such path"}')

    def _llama(self, moment, coins):
        held = {coin: self.server.prices[coin](moment) for coin in coins if coin in self.server.prices}
        told = ",".join(
            f'"{coin}":{{"decimals":18,"symbol":"T","price":{price},"timestamp":{moment + self.server.away_s},'
            f'"confidence":{self.server.confidence}}}'
            for coin, price in held.items()
        )
        return f'{{"coins":{{{told}}}}}'.encode()

    def _gecko(self, coin, first, last):
        if coin not in self.server.prices:
            self._answer(404, b'{"error":"coin not found"}')
            return
        points = range(first - first % HOUR + HOUR, last + 1, HOUR)
        told = ",".join(f"[{at * 1000},{self.server.prices[coin](at)}]" for at in points)
        self._answer(200, f'{{"prices":[{told}],"market_caps":[],"total_volumes":[]}}'.encode())

    def _answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def serving_prices():
    with PriceServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def text(value):
    return lambda moment: json.dumps(value) if not isinstance(value, str) else value
