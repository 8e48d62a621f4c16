"""What a simulated node answers to each method of JSON-RPC: results as JSON text, or faults."""

from collections.abc import Callable
from typing import Any, TypeAlias

import msgspec

from tidelake.sim.chains import rpc_errors, wire
from tidelake.sim.chains.blocks import Block
from tidelake.sim.chains.code import Reverted
from tidelake.sim.chains.faults import Done
from tidelake.sim.chains.limits import Limits
from tidelake.sim.chains.log_queries import LogQueries
from tidelake.sim.chains.rpc_errors import RpcFault
from tidelake.sim.chains.view import ChainView

Parameters: TypeAlias = list[Any]
NULL = b"null"


class Methods:
    """The methods of one node.

    Args:
        view: The chain as the node sees it.
        limits: Of its logs.
    """

    def __init__(self, view: ChainView, limits: Limits) -> None:
        self._view = view
        self._logs = LogQueries(view, limits)
        self._by_name: dict[str, Callable[[Parameters], bytes]] = {
            "eth_chainId": lambda parameters: _hex(view.chain_id),
            "net_version": lambda parameters: f'"{view.chain_id}"'.encode(),
            "web3_clientVersion": lambda parameters: b'"tidelake-sim"',
            "eth_syncing": lambda parameters: b"false",
            "eth_blockNumber": lambda parameters: _hex(view.head),
            "eth_getBlockByNumber": self._block_by_number,
            "eth_getBlockByHash": self._block_by_hash,
            "eth_getBlockReceipts": self._block_receipts,
            "eth_getTransactionReceipt": self._receipt,
            "eth_getCode": self._code,
            "eth_call": self._call,
            "eth_getLogs": self._get_logs,
            "sim_setTime": self._set_time,
            "sim_reorganise": self._reorganise,
        }

    @property
    def faulty_logs(self) -> list[Done]:
        """What went wrong with logs by plan."""
        return self._logs.faulty.done

    def answer(self, method: object, parameters: object) -> bytes:
        """The result, as JSON.

        Raises:
            RpcFault: An error stands in its place.
        """
        found = self._by_name.get(method) if isinstance(method, str) else None
        if found is None:
            raise rpc_errors.no_such_method(str(method))
        if not isinstance(parameters, list):
            raise rpc_errors.bad_parameters("expected a list")
        try:
            return found(parameters)
        except (IndexError, KeyError, TypeError, ValueError) as exc:
            raise rpc_errors.bad_parameters(str(exc)) from exc

    def _tagged(self, tag: str) -> int:
        """A number or a tag as a number, which may be beyond the head."""
        if tag.startswith("0x"):
            return int(tag, 16)
        found = self._view.tagged(tag)
        if found is None:
            raise RpcFault(-32000, f"{tag} block not found")
        return found

    def _at(self, asked: object) -> int:
        """The block of a state call: a number, a tag, or an object of EIP-1898."""
        if isinstance(asked, dict) and "blockHash" in asked:
            found = self._view.number_of(str(asked["blockHash"]).lower())
            if found is None:
                raise rpc_errors.hash_not_found()
            return found
        number = self._tagged(str(asked["blockNumber"] if isinstance(asked, dict) else asked))
        if number > self._view.head:
            raise rpc_errors.header_not_found()
        return number

    def _block_by_number(self, parameters: Parameters) -> bytes:
        block = self._view.block(self._tagged(parameters[0]))
        return NULL if block is None else wire.block_json(block, full=bool(parameters[1]))

    def _block_by_hash(self, parameters: Parameters) -> bytes:
        number = self._view.number_of(str(parameters[0]).lower())
        block = None if number is None else self._view.block(number)
        return NULL if block is None else wire.block_json(block, full=bool(parameters[1]))

    def _block_receipts(self, parameters: Parameters) -> bytes:
        asked = str(parameters[0]).lower()
        number = self._view.number_of(asked) if len(asked) == 66 else self._tagged(asked)
        block = None if number is None else self._view.block(number)
        if block is None:
            return NULL
        if self._view.is_pruned(block.number):
            return wire.EMPTY if self._view.faults.pruned_empty else NULL
        return wire.receipts_json(block)

    def _receipt(self, parameters: Parameters) -> bytes:
        digest = str(parameters[0]).lower()
        number = self._view.number_with(digest)
        block = None if number is None else self._view.block(number)
        if block is None or self._view.is_pruned(block.number):
            return NULL  # also of a transaction that a reorganisation left without a block
        place = next((i for i, sent in enumerate(block.transactions) if sent.hash == digest), None)
        return NULL if place is None else wire.receipt_json(block, place)

    def _state_at(self, asked: object) -> int | None:
        """The block of a state call whose state is kept; None where it is not, and nothing is answered."""
        number = self._at(asked)
        self._view.check_up(number)
        if not self._view.is_pruned(number):
            return number
        if self._view.faults.pruned_empty:
            return None
        raise rpc_errors.pruned(self._state_root(self._view.block(number)))

    def _state_root(self, block: Block | None) -> str:
        return "" if block is None else block.fields["stateRoot"]

    def _code(self, parameters: Parameters) -> bytes:
        number = self._state_at(parameters[1])
        stands = number is not None and self._view.chain.codes.stands(parameters[0], number)
        return b'"0x6080604052"' if stands else b'"0x"'

    def _call(self, parameters: Parameters) -> bytes:
        asked = parameters[0]
        number = self._state_at(parameters[1] if len(parameters) > 1 else "latest")
        if number is None:
            return b'"0x"'
        data = bytes.fromhex(str(asked.get("input") or asked.get("data") or "0x")[2:])
        answer = self._view.chain.codes.find(asked["to"], data)
        try:
            return wire.quoted(answer(self._view.moment(number)))
        except Reverted as exc:
            raise rpc_errors.reverted(exc.data) from exc

    def _get_logs(self, parameters: Parameters) -> bytes:
        asked = parameters[0]
        if "blockHash" in asked:
            first = last = self._at({"blockHash": asked["blockHash"]})
        else:
            first, last = (self._tagged(asked.get(end, "latest")) for end in ("fromBlock", "toBlock"))
        return self._logs.answer(asked, first, last)

    def _set_time(self, parameters: Parameters) -> bytes:
        """The present of the chain, in seconds since 1970: a number; answers the head."""
        self._view.chain.now_s = int(parameters[0])
        return _hex(self._view.head)

    def _reorganise(self, parameters: Parameters) -> bytes:
        """Other blocks from a number on, as `SimChain.reorganise` makes them; answers what became of transactions."""
        done = self._view.chain.reorganise(int(parameters[0], 16))
        return msgspec.json.encode({"gone": done.gone, "moved": done.moved, "kept": done.kept})


def _hex(number: int) -> bytes:
    return f'"{number:#x}"'.encode()
