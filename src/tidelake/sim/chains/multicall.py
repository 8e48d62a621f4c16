"""Multicall3 as a simulated contract: `aggregate3`, the many calls of one answer."""

from functools import lru_cache

from tidelake.sim.chains.amounts import Moment
from tidelake.sim.chains.code import Answering, CodeBook, Function, Functions, Reverted, refuse
from tidelake.sim.chains.words import padded, reason, selector, word, words

AGGREGATE3 = selector("aggregate3((address,bool,bytes)[])")
_CACHED = 2_048  # lists of calls: a collector asks the same ones again for each day
_GOOD, _BAD = words(1, 64), words(0, 64)
_GOOD_WORD = _GOOD + word(32)


def multicall3(codes: CodeBook) -> Functions:
    """The contract over these others."""
    return Functions({AGGREGATE3: _aggregate3(codes)})


def _aggregate3(codes: CodeBook) -> Function:
    @lru_cache(_CACHED)
    def find(arguments: bytes) -> Answering:
        try:
            calls = [(codes.find(to, data), may_fail) for to, may_fail, data in parse_calls(arguments)]
        except ValueError:
            return refuse
        return lambda moment: _results([_result(answer, may_fail, moment) for answer, may_fail in calls])

    return find


def parse_calls(arguments: bytes) -> list[tuple[str, bool, bytes]]:
    """Address, whether it may fail, and data of each call.

    Raises:
        ValueError: The arguments are cut short.
    """
    begin = _integer(arguments, 0)
    count, heads = _integer(arguments, begin), begin + 32
    found = []
    for place in range(count):
        at = heads + _integer(arguments, heads + 32 * place)
        data_at = at + _integer(arguments, at + 64)
        length = _integer(arguments, data_at)
        data = arguments[data_at + 32 : data_at + 32 + length]
        if len(data) != length:
            raise ValueError("a call is cut short")
        found.append(("0x" + arguments[at + 12 : at + 32].hex(), bool(_integer(arguments, at + 32)), data))
    return found


def _integer(octets: bytes, at: int) -> int:
    found = octets[at : at + 32]
    if len(found) < 32:
        raise ValueError("a word is missing")
    return int.from_bytes(found, "big")


def _result(answer: Answering, may_fail: bool, moment: Moment) -> bytes:
    try:
        data = answer(moment)
    except Reverted as exc:
        if not may_fail:
            raise Reverted(reason("Multicall3: call failed")) from exc
        return _BAD + word(len(exc.data)) + padded(exc.data)
    return _GOOD_WORD + data if len(data) == 32 else _GOOD + word(len(data)) + padded(data)


def _results(results: list[bytes]) -> bytes:
    offsets, at = [], 32 * len(results)
    for result in results:
        offsets.append(at.to_bytes(32, "big"))
        at += len(result)
    return b"".join((words(32, len(results)), *offsets, *results))
