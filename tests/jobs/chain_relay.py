"""A second provider in front of a real node: it hands calls on, stays behind, or tells a chain that is gone."""

import json
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


def rpc(url, method, *params):
    """One call to a node, with nothing of ours in between."""
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}).encode()
    request = urllib.request.Request(url, body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        told = json.load(answer)
    assert "error" not in told, told
    return told["result"]


def mine(url, count):
    rpc(url, "anvil_mine", hex(count))


def reorganise(url, depth):
    """Replace the newest blocks by as many others; a payment in the first sees to it that they are others."""
    payer = rpc(url, "eth_accounts")[1]
    rpc(url, "anvil_reorg", depth, [[{"from": payer, "to": payer, "value": hex(depth)}, 0]])


class Relay:
    """Hands calls on, but as its attributes say.

    Attributes:
        behind: So many of the newest blocks it hides.
        down: It answers 503.
        hides_logs: It tells no logs.
        hides_all_logs: It has neither logs nor receipts any more, and says so.
        asked: Calls that it was asked.
        url: Where it is.
    """

    def __init__(self, node_url):
        self.node_url = node_url
        self.behind = 0
        self.down = False
        self.hides_logs = self.hides_all_logs = False
        self.asked = 0
        self.url = ""
        self._frozen: dict[Any, Any] | None = None

    def freeze(self):
        """Tell the chain as it is now from now on."""
        head = int(rpc(self.node_url, "eth_blockNumber"), 16)
        blocks = [rpc(self.node_url, "eth_getBlockByNumber", hex(at), False) for at in range(head + 1)]
        frozen = {key: block for block in blocks for key in (block["number"], block["hash"])}
        for tag in ("latest", "safe", "finalized"):
            frozen[tag] = rpc(self.node_url, "eth_getBlockByNumber", tag, False)
        self._frozen = frozen

    def thaw(self):
        self._frozen = None

    def said(self, call):
        """Its result or error, as it stands in an answer."""
        try:
            return {"result": self.answer(call)}
        except LookupError as exc:
            return {"error": {"code": -32000, "message": str(exc)}}

    def answer(self, call):
        method, params = call["method"], call["params"]
        self.asked += 1
        if self.hides_all_logs and method in ("eth_getLogs", "eth_getBlockReceipts"):
            raise LookupError("pruned history unavailable")
        if self.hides_logs and method == "eth_getLogs":
            return []
        if self._frozen is not None and method.startswith("eth_getBlockBy"):
            return self._frozen.get(params[0])
        if self.behind and method == "eth_getBlockByNumber":
            newest = int(rpc(self.node_url, "eth_blockNumber"), 16) - self.behind
            if params[0] == "latest":
                return rpc(self.node_url, method, hex(newest), False)
            if params[0].startswith("0x") and int(params[0], 16) > newest:
                return None
        return rpc(self.node_url, method, *params)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    relay: Relay

    def do_POST(self):
        calls = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        one = isinstance(calls, dict)
        status, body = 503, b"{}"
        if not self.relay.down:
            told = [
                {"jsonrpc": "2.0", "id": call["id"], **self.relay.said(call)} for call in ([calls] if one else calls)
            ]
            status, body = 200, json.dumps(told[0] if one else told).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format, *args):
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """Clients leave in the middle of an answer where they have agreed without it."""


@contextmanager
def relay(node_url) -> Iterator[Relay]:
    """A relay on a free local port."""
    found = Relay(node_url)
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"relay": found}))
    found.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
