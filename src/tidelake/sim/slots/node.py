"""A double of a Solana node: the methods by which its blocks are followed, over HTTP bodies; without a socket."""

import json
from collections.abc import Callable
from typing import Any

import msgspec

from tidelake.sim.answer import Answer, gateway_error
from tidelake.sim.chains.rpc_errors import RpcFault, bad_parameters, no_such_method
from tidelake.sim.slots.chain import SlotBlock, SlotChainSim

_JSON = {"content-type": "application/json"}
MOST_SLOTS = 500_000  # of one getBlocks
COMMITMENTS = ("confirmed", "finalized")


class SlotNode:
    """One provider's node.

    Args:
        chain: Which several nodes may share.
        now_s: Its clock: the newest slot is that of this time.
        lag: Slots that it is behind.

    Attributes:
        lag: As given; may be changed.
        frozen: The newest slot that it knows for ever; None where it follows.
        down: Whether it answers 503.
        asked: Calls so far, by method.
    """

    def __init__(self, chain: SlotChainSim, now_s: Callable[[], float], *, lag: int = 0) -> None:
        self.chain, self.lag = chain, lag
        self.frozen: int | None = None
        self.down = False
        self.asked: dict[str, int] = {}
        self._now_s = now_s

    @property
    def head(self) -> int:
        """The newest slot that it knows."""
        return self.frozen if self.frozen is not None else max(0, self.chain.slot_at(self._now_s()) - self.lag)

    def respond(self, body: bytes) -> Answer:
        """The answer to the body of an HTTP request."""
        if self.down:
            return gateway_error(503)
        try:
            asked = msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return _answer({"jsonrpc": "2.0", "id": None, "error": {"code": -32700, "message": "Parse error"}})
        return _answer([self._one(call) for call in asked] if isinstance(asked, list) else self._one(asked))

    def _one(self, call: Any) -> dict[str, object]:
        if not isinstance(call, dict):
            return {"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": "Invalid request"}}
        told: dict[str, object] = {"jsonrpc": "2.0", "id": call.get("id")}
        try:
            return told | {"result": self.answer(str(call.get("method")), list(call.get("params") or []))}
        except RpcFault as exc:
            return told | {"error": {"code": exc.code, "message": exc.message}}

    def answer(self, method: str, params: list[Any]) -> object:
        """The result of one call.

        Raises:
            RpcFault: An error stands in its place.
        """
        self.asked[method] = self.asked.get(method, 0) + 1
        options = params.pop() if params and isinstance(params[-1], dict) else {}
        commitment = str(options.get("commitment", "finalized"))
        if any(not isinstance(one, int) or one < 0 for one in params):
            raise bad_parameters("a slot is a whole number")
        if method == "getSlot":
            return self._newest(commitment).slot if commitment != "processed" else self.head
        if commitment not in COMMITMENTS and method in ("getBlock", "getBlocks"):
            raise RpcFault(-32602, "Method does not support commitment below `confirmed`")
        if method == "getBlocks" and params:
            return self._slots(params[0], params[1] if len(params) > 1 else self.head, commitment)
        if method == "getBlock" and params:
            return self._block(params[0], commitment)
        if method == "getHealth":
            return "ok"
        raise no_such_method(method)

    def _newest(self, commitment: str) -> SlotBlock:
        return self.chain.finalized(self.head) if commitment == "finalized" else self.chain.newest(self.head)

    def _slots(self, first: int, last: int, commitment: str) -> list[int]:
        if last - first > MOST_SLOTS:
            raise RpcFault(-32602, f"Slot range too large; max {MOST_SLOTS}")
        end = min(last, self._newest(commitment).slot)
        head = self.head
        return [slot for slot in range(first, end + 1) if self.chain.block(slot, head) is not None]

    def _block(self, slot: int, commitment: str) -> dict[str, object]:
        if slot > self._newest(commitment).slot:
            raise RpcFault(-32004, f"Block not available for slot {slot}")
        found = self.chain.block(slot, self.head)
        if found is None:
            raise RpcFault(-32007, f"Slot {slot} was skipped, or missing due to ledger jump to recent snapshot")
        return {
            "blockHeight": slot,
            "blockTime": found.time_s,
            "blockhash": found.hash,
            "parentSlot": found.parent_slot,
            "previousBlockhash": found.parent_hash,
        }


def _answer(told: object) -> Answer:
    return Answer(200, _JSON, json.dumps(told, separators=(",", ":")).encode())
