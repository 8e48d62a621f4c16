"""A simulated node: JSON-RPC over HTTP bodies, batches, limits and faults; without a socket."""

import json
import math
from collections.abc import Sequence
from typing import Any

import msgspec

from tidelake.sim.answer import Answer, gateway_error
from tidelake.sim.chains import rpc_errors
from tidelake.sim.chains.chain import SimChain
from tidelake.sim.chains.faults import OF_REQUESTS, ChainFaults, Done, FaultyRequests, Rule
from tidelake.sim.chains.limits import Limits, Meter
from tidelake.sim.chains.methods import Methods
from tidelake.sim.chains.rpc_errors import RpcFault
from tidelake.sim.chains.view import ChainView

_JSON = {"content-type": "application/json"}
_STATUS_5XX = (500, 502, 503, 504)


class SimNode:
    """One provider's node of a simulated chain.

    Args:
        chain: Which several nodes may share.
        faults: What is wrong with it; by default nothing.
        limits: What it allows.
        latency_s: Seconds that each answer takes.

    Attributes:
        view: The chain as it sees it.
        meter: What it was asked.
    """

    def __init__(
        self,
        chain: SimChain,
        faults: ChainFaults | None = None,
        limits: Limits | None = None,
        *,
        latency_s: float = 0.0,
    ) -> None:
        plan, self.limits = faults or ChainFaults(), limits or Limits()
        self.view = ChainView(chain, plan)
        self.meter = Meter(self.limits)
        self.latency_s = latency_s
        self._methods = Methods(self.view, self.limits)
        self._faulty = FaultyRequests(plan)

    @property
    def done(self) -> list[Done]:
        """What went wrong by plan so far, of requests and then of calls."""
        return [*self._faulty.done, *self._methods.faulty_logs]

    def ask(self, method: str, *parameters: object) -> Any:
        """The result of one call, decoded; for tests.

        Raises:
            RpcFault: An error stands in its place.
        """
        return msgspec.json.decode(self.answer(method, parameters))

    def answer(self, method: str, parameters: Sequence[object]) -> bytes:
        """The same as the JSON that is sent."""
        return self._methods.answer(method, list(parameters))

    def respond(self, body: bytes) -> Answer:
        """The answer to the body of an HTTP request."""
        try:
            asked = msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return _answer(_error(None, RpcFault(-32700, "parse error")))
        calls = asked if isinstance(asked, list) else [asked]
        hit = self._faulty.hit(OF_REQUESTS, body)
        wait = self.meter.wait([str(call.get("method")) if isinstance(call, dict) else "" for call in calls])
        slow = self.latency_s + sum(rule.seconds for rule in hit if rule.kind == "slow")
        rule = next((rule for rule in hit if rule.kind != "slow"), None)
        if wait:
            found = _busy(wait)
        elif rule is not None and rule.kind != "torn":
            found = self._refused(rule, body)
        else:
            found = _answer(self._body(asked, calls))
        cut = len(found.body) // 2 if rule is not None and rule.kind == "torn" else None
        return Answer(found.status, found.headers, found.body, slow, cut)

    def _body(self, asked: object, calls: list[Any]) -> bytes:
        if not isinstance(asked, list):
            return self._one(asked)
        if not calls:
            return _error(None, RpcFault(-32600, "empty batch"))
        if self.limits.batch is not None and len(calls) > self.limits.batch:
            return _error(None, rpc_errors.batch_too_large(self.limits.batch))
        return b"[" + b",".join(map(self._one, calls)) + b"]"

    def _one(self, call: object) -> bytes:
        if not isinstance(call, dict):
            return _error(None, RpcFault(-32600, "invalid request"))
        try:
            result = self._methods.answer(call.get("method"), call.get("params", []))
        except RpcFault as exc:
            return _error(call.get("id"), exc)
        return b'{"jsonrpc":"2.0","id":' + msgspec.json.encode(call.get("id")) + b',"result":' + result + b"}"

    def _refused(self, rule: Rule, body: bytes) -> Answer:
        if rule.kind == "429":
            return _busy(rule.seconds)
        if rule.kind == "429-bare":
            return _busy(None)
        if rule.kind == "html":
            return Answer(200, {"content-type": "text/html"}, gateway_error(503).body)
        return gateway_error(_STATUS_5XX[sum(body) % len(_STATUS_5XX)])


def _busy(wait_s: float | None) -> Answer:
    """As a provider refuses; `Retry-After` in whole seconds, rounded up."""
    headers = {} if wait_s is None else {"retry-after": str(math.ceil(wait_s))}
    return Answer(429, {**_JSON, **headers}, _error(None, rpc_errors.too_many_requests()))


def _answer(body: bytes) -> Answer:
    return Answer(200, _JSON, body)


def _error(number: object, fault: RpcFault) -> bytes:
    told: dict[str, object] = {"code": fault.code, "message": fault.message}
    if fault.data is not None:
        told["data"] = fault.data
    return json.dumps({"jsonrpc": "2.0", "id": number, "error": told}, separators=(",", ":")).encode()
