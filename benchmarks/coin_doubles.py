"""Nodes of two chains and providers of coins in a process of their own, by the wall clock.

Blocks of `ethereum` come each 12 s and of `arbitrum` each 0.25 s, with a mint of one coin in every third. Prices move a
little at each request, and one coin at a time is off its peg. Headers are not those of their hashes: what is not proven
has to be told by two nodes, as on chains whose headers cannot be recomputed.
"""

import hashlib
import json
import multiprocessing
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

TRANSFER = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
BLOCK_S = {"ethereum": 12.0, "arbitrum": 0.25}
CHAIN_IDS = {"ethereum": 1, "arbitrum": 42_161}
BEHIND = {"latest": 0, "safe": 32, "finalized": 64}  # blocks
OFF_PEG_S = 4.0


def address(coin: int, chain: str) -> str:
    """The token of a coin."""
    return f"0x{CHAIN_IDS[chain]:020x}{coin:020x}"


def _hash(chain: str, number: int, what: str = "block") -> str:
    """A hash that ends in the block's number."""
    return "0x" + hashlib.sha256(f"{chain} {number} {what}".encode()).hexdigest()[:48] + f"{number:016x}"


def _number(chain: str) -> int:
    return int(time.time() / BLOCK_S[chain])


def _header(chain: str, number: int) -> dict[str, Any] | None:
    if number > _number(chain):
        return None
    zeros = "0x" + "00" * 32
    return {
        "number": hex(number), "hash": _hash(chain, number), "parentHash": _hash(chain, number - 1),
        "timestamp": hex(int(number * BLOCK_S[chain])), "logsBloom": "0x" + "ff" * 256, "miner": "0x" + "00" * 20,
        "sha3Uncles": zeros, "stateRoot": zeros, "transactionsRoot": zeros, "receiptsRoot": zeros, "mixHash": zeros,
        "nonce": "0x" + "00" * 8, "difficulty": "0x0", "gasLimit": "0x1", "gasUsed": "0x1", "extraData": "0x",
        "baseFeePerGas": "0x1", "transactions": [_hash(chain, number, "mint")], "uncles": [], "size": "0x1",
    }  # fmt: skip


class _Doubles(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, coins: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.coins = coins
        self.rng = random.Random(11)

    def rpc(self, chain: str, method: str, params: list[Any]) -> Any:
        if method == "eth_chainId":
            return hex(CHAIN_IDS[chain])
        if method == "eth_getBlockByNumber":
            asked = params[0]
            number = _number(chain) - BEHIND[asked] if asked in BEHIND else int(asked, 16)
        elif method == "eth_getBlockByHash":
            number = int(params[0][-16:], 16)
        elif method == "eth_getLogs":
            return self._logs(chain, params[0]["blockHash"])
        else:
            raise LookupError(method)
        return _header(chain, number)

    def _logs(self, chain: str, digest: str) -> list[dict[str, Any]]:
        number = int(digest[-16:], 16)
        if number % 3:
            return []
        holder, nobody = "0x" + "00" * 31 + "11", "0x" + "00" * 32
        return [
            {
                "address": address(number // 3 % self.coins, chain), "topics": [TRANSFER, nobody, holder],
                "data": f"0x{1_000_000 * (number % 50 + 1):064x}", "blockNumber": hex(number), "blockHash": digest,
                "transactionHash": _hash(chain, number, "mint"), "transactionIndex": "0x0", "logIndex": "0x0",
                "removed": False,
            }
        ]  # fmt: skip

    def told(self, path: str) -> Any:
        """What a provider answers; whatever is not CoinGecko's tells of no coin that is asked for."""
        parts = urlsplit(path)
        if parts.path == "/coins/markets":
            off = int(time.time() / OFF_PEG_S) % self.coins
            stamp = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())
            return [
                {
                    "id": name, "symbol": name, "name": name, "last_updated": stamp,
                    "current_price": round(1 + self.rng.gauss(0, 0.0005) - 0.1 * (int(name[5:]) == off), 6),
                    "total_volume": 5e9, "market_cap": None, "circulating_supply": None, "total_supply": None,
                }
                for name in parse_qs(parts.query)["ids"][0].split(",")
            ]  # fmt: skip
        if parts.path == "/pools":
            return {"status": "success", "data": []}
        return {"peggedAssets": [], "chains": []}


class _Handler(BaseHTTPRequestHandler):
    server: _Doubles
    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def do_POST(self) -> None:
        calls = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        chain = self.path.split("/")[1]
        answers = [
            {"jsonrpc": "2.0", "id": call["id"], "result": self.server.rpc(chain, call["method"], call["params"])}
            for call in (calls if isinstance(calls, list) else [calls])
        ]
        self._send(answers if isinstance(calls, list) else answers[0])

    def do_GET(self) -> None:
        self._send(self.server.told(self.path))

    def _send(self, told: Any) -> None:
        body = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words: object) -> None:
        pass


def _run(port: "multiprocessing.Queue[int]", coins: int) -> None:
    server = _Doubles(coins)
    port.put(server.server_port)
    server.serve_forever()


@contextmanager
def serving_doubles(coins: int) -> Iterator[str]:
    """Their address while the block runs: providers at it, nodes of a chain at "/chain/name" behind it."""
    spawn = multiprocessing.get_context("spawn")
    port: multiprocessing.Queue[int] = spawn.Queue()
    child = spawn.Process(target=_run, args=(port, coins), daemon=True)
    child.start()
    try:
        yield f"http://127.0.0.1:{port.get(timeout=60)}"
    finally:
        child.terminate()
        child.join()
