"""The simulated venues over real sockets."""

import concurrent.futures
import logging
import time

import httpx
import pytest

from tests.sim import walkers
from tidelake.sim.faults import FaultPlan
from tidelake.sim.market import Market
from tidelake.sim.server import SimApi, SimServer

START = 1_740_787_200 * 10**9
NOW = START + 3000 * 10**9


def market() -> Market:
    return Market(seed=5, start_ns=START, clock=lambda: NOW)


def test_socket_gives_the_same_bytes_and_headers_as_the_call():
    with SimServer("coinbase", market()) as server, httpx.Client(base_url=server.url) as client:
        target = "/products/BTC-USD/trades?after=1500&limit=700"
        answer, direct = client.get(target), SimApi("coinbase", market()).get(target)
        assert answer.content == direct.body
        assert answer.headers["cb-after"] == direct.headers["cb-after"] == "800"
        assert answer.headers["content-type"] == "application/json; charset=utf-8"
        assert client.get("/nowhere").status_code == 404


def test_several_venues_share_one_server_and_one_market():
    with SimServer(["kraken", "okx"], market()) as server:
        with httpx.Client() as client:
            rows = walkers.kraken(lambda target: _answer(client, server.url_of("kraken") + target), "XBTUSD")
            recent = client.get(server.url_of("okx") + "/api/v5/market/trades?instId=BTC-USDT&limit=2").json()
        assert [row[0] for row in rows] == [row["trade_id"] for row in server.market.truth_rows("kraken", "BTC-USD")]
        assert len(recent["data"]) == 2


def _answer(client: httpx.Client, url: str):
    return client.get(url)


def test_torn_answer_breaks_the_connection_in_mid_body():
    with SimServer("coinbase", market(), FaultPlan.parse("torn:#2")) as server:
        with httpx.Client(base_url=server.url) as client:
            assert client.get("/products/BTC-USD/trades").status_code == 200
            with pytest.raises(httpx.RemoteProtocolError):
                client.get("/products/BTC-USD/trades")
            assert len(client.get("/products/BTC-USD/trades").json()) == 1000
        assert [record.kind for record in server.injected] == ["torn"]


def test_slow_answer_is_slow_and_others_are_not_held_up():
    plan = FaultPlan.parse("slow:#1=4")
    with SimServer("coinbase", market(), plan) as server, concurrent.futures.ThreadPoolExecutor(1) as pool:
        slow = pool.submit(httpx.get, server.url + "/products/BTC-USD/trades?limit=1", timeout=60)
        while not server.injected:
            time.sleep(0.01)
        assert httpx.get(server.url + "/products/ETH-USD/trades?limit=1").status_code == 200
        assert not slow.done()
        assert slow.result().elapsed.total_seconds() >= 4


def test_many_clients_at_once_get_whole_pages():
    with SimServer("binance-spot", market()) as server:
        urls = [
            f"{server.url}/api/v3/historicalTrades?symbol=BTCUSDT&fromId={n}&limit=100" for n in range(1, 2001, 100)
        ]
        with httpx.Client() as client, concurrent.futures.ThreadPoolExecutor(4) as pool:
            pages = list(pool.map(lambda url: client.get(url).json(), urls))
    assert [item["id"] for page in pages for item in page] == list(range(1, 2001))


def test_limits_hold_over_the_socket():
    with SimServer("deribit", market(), limits=True) as server, httpx.Client(base_url=server.url) as client:
        server.apis["deribit"].limiter.clock = lambda: 100.0
        statuses = [client.get("/api/v2/public/get_time").status_code for _ in range(22)]
    assert statuses == [200] * 20 + [429] * 2


def test_server_says_nothing_on_the_logs_and_its_port_is_free_again(caplog):
    caplog.set_level(logging.INFO)
    server = SimServer("coinbase", market(), FaultPlan.parse("torn:#1"))
    with server:
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.get(server.url + "/products/BTC-USD/trades")
        port = server.port
    assert not [record for record in caplog.records if record.name.startswith("uvicorn")]
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{port}/time")
    with SimServer("coinbase", market(), port=port) as again:
        assert httpx.get(again.url + "/time").status_code == 200


def test_blocking_server_tells_its_address_and_stops_when_told():
    server = SimServer("coinbase", market())
    seen: list[int] = []

    def ready(url: str) -> None:
        seen.append(httpx.get(url + "/time").status_code)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        server.serve(ready)
    assert seen == [200]
    with pytest.raises(httpx.ConnectError):
        httpx.get(server.url + "/time")
