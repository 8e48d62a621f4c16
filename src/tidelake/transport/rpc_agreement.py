"""Whether two providers said the same.

Nodes differ in what they add: only these differences are passed over. Everything else must be equal.
"""

import msgspec

from tidelake.transport.rpc_calls import RpcAnswer

# Fields that some clients give and others leave out: newer geth and reth tell a log's block time, headers after the
# merge may lack the total difficulty, Parity and Nethermind tell an author.
OPTIONAL = frozenset({"blockTimestamp", "totalDifficulty", "author", "sealFields", "size"})
SHOWN = 80


def difference(one: RpcAnswer, other: RpcAnswer) -> str:
    """Where two answers to the same call differ and how, for people; "" where they say the same.

    Two errors say the same where their data do: their texts are the client's own.
    """
    if one.result is None or other.result is None:
        if one.error is not None and other.error is not None:
            told = one.error.data, other.error.data
            return "" if not all(told) or told[0] == told[1] else _shown("error data", *told)
        return _shown("result", one.error or "a result", other.error or "a result")
    return _difference(msgspec.json.decode(one.result), msgspec.json.decode(other.result), "result")


def _difference(one: object, other: object, place: str) -> str:
    if isinstance(one, dict) and isinstance(other, dict):
        names = sorted((one.keys() | other.keys()) - (OPTIONAL - (one.keys() & other.keys())))
        pairs = [(one.get(name), other.get(name), f"{place}.{name}") for name in names]
    elif isinstance(one, list) and isinstance(other, list):
        if len(one) != len(other):
            return _shown(place, f"{len(one)} items", f"{len(other)} items")
        pairs = [(*both, f"{place}[{at}]") for at, both in enumerate(zip(one, other, strict=True))]
    else:
        return "" if _folded(one) == _folded(other) else _shown(place, one, other)
    return next((found for pair in pairs if (found := _difference(*pair))), "")


def _folded(value: object) -> object:
    """Hex digits count, their case does not: addresses may carry a checksum in it."""
    return value.lower() if isinstance(value, str) and value.startswith("0x") else (type(value), value)


def _shown(place: str, one: object, other: object) -> str:
    return f"{place}: {str(one)[:SHOWN]} against {str(other)[:SHOWN]}"
