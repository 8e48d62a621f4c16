"""`eth_getLogs` of a simulated node: filters, limits, and logs that are left out or changed by plan."""

from collections.abc import Iterator, Mapping
from typing import Any

from tidelake.sim.chains import rpc_errors, wire
from tidelake.sim.chains.blocks import Block
from tidelake.sim.chains.faults import OF_LOGS, FaultyRequests
from tidelake.sim.chains.limits import Limits
from tidelake.sim.chains.view import ChainView

ALL_BLOCKS = 5_000  # a query without addresses, which needs every block, spans at most so many
Place = tuple[Block, int, int]  # block, transaction, log in it


class LogQueries:
    """Answers queries for logs."""

    def __init__(self, view: ChainView, limits: Limits) -> None:
        self._view = view
        self._limits = limits
        self.faulty = FaultyRequests(view.faults)

    def answer(self, asked: Mapping[str, Any], first: int, last: int) -> bytes:
        """The logs of blocks between two, both included, as JSON.

        Raises:
            RpcFault: The range or the answer is too large, beyond the head, or no longer kept.
        """
        view = self._view
        if first > last:
            raise rpc_errors.RpcFault(-32602, "invalid block range params")
        self._check_range(first, last)
        if view.touches_down(first, last):
            raise rpc_errors.internal()
        if view.is_pruned(first):
            if view.faults.pruned_empty:
                return wire.EMPTY
            raise rpc_errors.pruned_logs()
        return self._faulted(self._found(asked, first, min(last, view.head)), repr(sorted(asked.items())).encode())

    def _check_range(self, first: int, last: int) -> None:
        widest = self._limits.log_blocks
        if widest is not None and last - first + 1 > widest:
            raise rpc_errors.range_too_wide(widest)
        if last > self._view.head:
            raise rpc_errors.beyond_head()

    def _found(self, asked: Mapping[str, Any], first: int, last: int) -> list[Place]:
        addresses, topics = _wanted(asked.get("address")), [_wanted(topic) for topic in asked.get("topics") or ()]
        found: list[Place] = []
        for number in self._numbers(first, last, addresses):
            found += self._matching(number, addresses, topics)
            most = self._limits.logs
            if most is not None and len(found) > most:
                end = found[most][0].number - 1
                raise rpc_errors.too_many_logs(most, first, max(first, end))
        return found

    def _numbers(self, first: int, last: int, addresses: frozenset[str]) -> Iterator[int]:
        """The blocks that may hold a match: transactions of others are no market's, nor of its tokens."""
        if addresses:
            yield from self._view.chain.busy_blocks(first, last)
        elif last - first >= ALL_BLOCKS:
            raise rpc_errors.range_too_wide(ALL_BLOCKS)
        else:
            yield from range(first, last + 1)

    def _matching(self, number: int, addresses: frozenset[str], topics: list[frozenset[str]]) -> list[Place]:
        chain = self._view.chain
        sent = chain.branches.transactions(number, self._view.branch(number))
        if addresses and not any(wire.matches(log, addresses, topics) for one in sent for log in one.logs):
            return []
        block = self._view.block(number)
        if block is None:
            return []
        return [
            (block, place, i)
            for place, one in enumerate(block.transactions)
            for i, log in enumerate(one.logs)
            if wire.matches(log, addresses, topics)
        ]

    def _faulted(self, found: list[Place], asked: bytes) -> bytes:
        hit = {rule.kind for rule in self.faulty.hit(OF_LOGS, asked, "eth_getLogs")}
        if "empty-logs" in hit:
            found = []
        if "truncated-logs" in hit:
            found = found[: len(found) // 2]
        told = [wire.log_json(*place) for place in found]
        if "changed-logs" in hit and told:
            told[0] = _changed(told[0])
        return b"[" + b",".join(told) + b"]"


def _changed(log: bytes) -> bytes:
    """A log with another last digit of its data."""
    begin, _, end = log.partition(b'","blockHash"')
    return begin[:-1] + (b"1" if begin[-1:] == b"0" else b"0") + b'","blockHash"' + end


def _wanted(asked: object) -> frozenset[str]:
    """Of one text or several those in small letters; none for None."""
    if asked is None:
        return frozenset()
    if isinstance(asked, str):
        return frozenset((asked.lower(),))
    if isinstance(asked, list):
        return frozenset(str(one).lower() for one in asked)
    raise TypeError(f"{asked!r} is no text and no list")
