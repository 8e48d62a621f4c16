"""A small node that speaks JSON-RPC over real HTTP, with limits and faults as planned.

Its blocks, logs and state follow from their numbers, so that a test knows what must come.
"""

import hashlib
import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tidelake.transport.rates import Pace
from tidelake.transport.rpc_providers import Provider

SILENCE = 0.6  # seconds; longer than the patience of the tests
CONTRACT = "0x" + "ab" * 20


def state_at(params: Any, block: int) -> str:
    """What `eth_call` answers: 32 bytes that follow from call and block."""
    return "0x" + hashlib.sha256(json.dumps([params, block], sort_keys=True).encode()).hexdigest()


def hash_of(block: int) -> str:
    return "0x" + hashlib.sha256(b"block %d" % block).hexdigest()


def log_of(block: int, index: int) -> dict[str, Any]:
    return {
        "address": CONTRACT,
        "topics": ["0x" + "11" * 32],
        "data": "0x",
        "blockNumber": hex(block),
        "blockHash": hash_of(block),
        "transactionHash": hash_of(-block),
        "transactionIndex": "0x0",
        "logIndex": hex(index),
        "removed": False,
    }


@dataclass
class Refused(Exception):
    """An error that answers one call."""

    code: int
    message: str
    data: Any = None


@dataclass
class Fault:
    """What happens to one HTTP request in place of, or to, its answer.

    Attributes:
        status, body, headers: An answer of these, if status is not 200.
        silence: Seconds without a word, and then none.
        cut: Only half of the body comes.
        change: Makes of the response objects what is sent.
    """

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    silence: float = 0.0
    cut: bool = False
    change: Callable[[list[dict[str, Any]]], Any] | None = None


@dataclass
class Node:
    """The node behind an address; tests change its attributes as they like.

    Attributes:
        logs: How many logs a block has.
        head: Its newest block.
        pruned_to: State up to here is gone.
        max_batch, max_log_blocks, max_logs: Beyond these it refuses, in geth's and Infura's words.
        silent_over: Asked for logs of more blocks it says nothing in time.
        cut_logs: It leaves out logs after so many, and says nothing.
        answers: Calls by method that are answered in the test's own way.
        faults: For the next requests, in order; None is no fault.
        always: A fault of all requests.
        asked: The calls of each HTTP request.
    """

    chain_id: int = 1
    head: int = 1_000_000
    logs: Callable[[int], int] = lambda block: 0
    pruned_to: int = -1
    max_batch: int = 10**9
    max_log_blocks: int = 10**9
    max_logs: int = 10**9
    silent_over: int = 10**9
    cut_logs: int = 10**9
    answers: dict[str, Callable[[list[Any]], Any]] = field(default_factory=dict)
    faults: deque[Fault | None] = field(default_factory=deque)
    always: Fault | None = None
    asked: list[list[dict[str, Any]]] = field(default_factory=list)
    url: str = ""

    def provider(self, name: str = "one", **options: Any) -> Provider:
        return Provider(name, self.url, **{"requests": Pace(1e6, 1.0), **options})

    def falls_silent(self, calls: list[dict[str, Any]]) -> bool:
        wanted = [call["params"][0] for call in calls if call["method"] == "eth_getLogs"]
        return any(int(one["toBlock"], 16) - int(one["fromBlock"], 16) >= self.silent_over for one in wanted)

    def methods(self) -> list[str]:
        return [call["method"] for request in self.asked for call in request]

    def respond(self, calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if len(calls) > self.max_batch:
            error = {"code": -32600, "message": "batch too large"}
            return [{"jsonrpc": "2.0", "id": calls[0]["id"], "error": error}]
        return [self._respond(call) for call in calls]

    def _respond(self, call: dict[str, Any]) -> dict[str, Any]:
        head = {"jsonrpc": "2.0", "id": call["id"]}
        try:
            return {**head, "result": self._result(call["method"], call["params"])}
        except Refused as exc:
            error = {"code": exc.code, "message": exc.message}
            return {**head, "error": error if exc.data is None else {**error, "data": exc.data}}

    def _result(self, method: str, params: list[Any]) -> Any:
        if method in self.answers:
            return self.answers[method](params)
        if method == "eth_chainId":
            return hex(self.chain_id)
        if method == "eth_blockNumber":
            return hex(self.head)
        if method == "eth_getBlockByNumber":
            number = int(params[0], 16)
            return {"number": hex(number), "hash": hash_of(number)} if number <= self.head else None
        if method == "eth_getLogs":
            return self._logs(params[0])
        if method == "eth_call":
            return self._call(params)
        raise Refused(-32601, f"the method {method} does not exist/is not available")

    def _call(self, params: list[Any]) -> str:
        block = int(params[1], 16)
        if block > self.head:
            raise Refused(-32000, "header not found")
        if block <= self.pruned_to:
            raise Refused(-32000, f"missing trie node {hash_of(block)[2:]} (path )")
        return state_at(params[0], block)

    def _logs(self, wanted: dict[str, Any]) -> list[dict[str, Any]]:
        first, last = int(wanted["fromBlock"], 16), int(wanted["toBlock"], 16)
        if last - first + 1 > self.max_log_blocks:
            raise Refused(-32602, f"range {last - first + 1} exceeds limit of {self.max_log_blocks}")
        blocks = range(first, min(last, self.head) + 1)
        found = [log_of(block, index) for block in blocks for index in range(self.logs(block))]
        if len(found) > self.max_logs:
            raise Refused(-32005, f"query returned more than {self.max_logs} results")
        return found[: self.cut_logs]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet: apart they wait for each other's acknowledgement
    node: Node

    def do_POST(self) -> None:
        calls = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        batch = isinstance(calls, list)
        self.node.asked.append(calls if batch else [calls])
        fault = (self.node.faults.popleft() if self.node.faults else None) or self.node.always or Fault()
        if self.node.falls_silent(self.node.asked[-1]):
            fault = Fault(silence=SILENCE)
        if fault.silence:
            time.sleep(fault.silence)
            self.close_connection = True
            return
        if fault.status != 200:
            self._send(fault.status, fault.body, fault)
            return
        found = self.node.respond(calls if batch else [calls])
        told = fault.change(found) if fault.change else found
        self._send(200, json.dumps(told if batch or fault.change else told[0]).encode(), fault)

    def _send(self, status: int, body: bytes, fault: Fault) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in fault.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if fault.cut else body)
        self.close_connection |= fault.cut

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def node(**attributes: Any) -> Iterator[Node]:
    """A node on a free local port."""
    found = Node(**attributes)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"node": found}))
    server.daemon_threads = True
    found.url = f"http://127.0.0.1:{server.server_address[1]}/rpc"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
