"""JSON-RPC calls and answers, their JSON, and which block a call is about. Nothing here opens a socket.

Numbers stay what the node wrote: `RpcAnswer.result` is its JSON text, so no integer passes through a float.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from tidelake.errors import FormatDrift, SourceError
from tidelake.logs import redact

T = TypeVar("T")

# Place of the block among the parameters (ethereum/execution-apis, src/eth/*.yaml).
BLOCK_PLACE = {
    "eth_call": 1,
    "eth_estimateGas": 1,
    "eth_getBalance": 1,
    "eth_getCode": 1,
    "eth_getTransactionCount": 1,
    "eth_getStorageAt": 2,
    "eth_getProof": 2,
    "eth_getBlockByNumber": 0,
    "eth_getBlockByHash": 0,
    "eth_getBlockReceipts": 0,
    "eth_getBlockTransactionCountByHash": 0,
    "eth_getBlockTransactionCountByNumber": 0,
    "eth_getTransactionByBlockHashAndIndex": 0,
    "eth_getTransactionByBlockNumberAndIndex": 0,
}
OF_STATE = frozenset(
    {"eth_call", "eth_estimateGas", "eth_getBalance", "eth_getCode", "eth_getTransactionCount", "eth_getStorageAt"}
    | {"eth_getProof"}
)
HASH_LENGTH = 66  # 0x and 32 bytes


@dataclass(frozen=True, slots=True)
class RpcCall:
    """One question to a node.

    Args:
        method: Such as "eth_call".
        params: Strings, integers, booleans, None, and lists and dicts of these; a float is refused.
    """

    method: str
    params: Sequence[Any] = ()

    def __post_init__(self) -> None:
        _refuse_floats(self.params, self.method)


@dataclass(frozen=True, slots=True)
class RpcError:
    """An error that a node answered with.

    Attributes:
        code: Its number; None where the node gave none.
        message: Its text, without secrets.
        data: JSON text of its data, such as '"0x08c379a0.."' for a revert; "" where there is none.
    """

    code: int | None
    message: str
    data: str = ""

    def __str__(self) -> str:
        return self.message if self.code is None else f"{self.code} {self.message}"


@dataclass(frozen=True, slots=True)
class RpcAnswer:
    """What a provider said to one call.

    Attributes:
        call: The call.
        result: JSON text of the result; None where an error came in its place.
        error: The error; None where a result came.
        payload: The response object of this call, verbatim.
        provider: Name of the provider, never its address.
        recv_ns, mono_ns: Wall and monotonic clock when the answer was complete.
        attempts: How often the call was sent, to whichever providers.
        agreed: Names of the other providers that gave an equal answer when asked for one.
    """

    call: RpcCall
    result: msgspec.Raw | None
    error: RpcError | None
    payload: bytes
    provider: str
    recv_ns: int
    mono_ns: int
    attempts: int
    agreed: tuple[str, ...] = ()

    def value(self, type: type[T] = object) -> T:  # type: ignore[assignment]
        """The result, decoded as `type`.

        Raises:
            SourceError: The answer is an error.
            FormatDrift: The result is not of that type.
        """
        if self.result is None:
            raise SourceError(f"{self.provider}: {self.call.method}: {self.error}", retryable=False)
        try:
            return msgspec.json.decode(self.result, type=type)
        except msgspec.MsgspecError as exc:
            raise FormatDrift(f"{self.provider}: {self.call.method}: {exc}") from exc


def rpc_request(call: RpcCall) -> str:
    """Canonical JSON of a call's method and parameters: the same call has the same text; holds no address."""
    return msgspec.json.encode({"method": call.method, "params": list(call.params)}, order="deterministic").decode()


def encode_calls(calls: Sequence[RpcCall]) -> bytes:
    """The body that asks: one request object for one call, else a batch; ids are 1, 2, .. in order."""
    asked = [
        {"jsonrpc": "2.0", "id": number, "method": call.method, "params": list(call.params)}
        for number, call in enumerate(calls, start=1)
    ]
    return msgspec.json.encode(asked[0] if len(asked) == 1 else asked)


class _Response(msgspec.Struct):
    id: object = None
    result: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()


@dataclass(frozen=True, slots=True)
class Response:
    """One response object: a result or an error, and its own bytes."""

    result: msgspec.Raw | None
    error: RpcError | None
    payload: bytes


@dataclass(frozen=True, slots=True)
class Reading:
    """What the body of an answer held.

    Attributes:
        responses: The response to each call, in order; None where there is none, or more than one.
        whole: An error that speaks of the whole request; None where there is none.
        fault: What is wrong with the body; "" where each call has exactly one response.
    """

    responses: tuple[Response | None, ...]
    whole: RpcError | None = None
    fault: str = ""


def read_responses(body: bytes, count: int) -> Reading:
    """Match a body to the calls that `encode_calls` sent."""
    nothing = (None,) * count
    try:
        single = not body.lstrip().startswith(b"[")
        items = [msgspec.Raw(body.strip())] if single else msgspec.json.decode(body, type=list[msgspec.Raw])
        found = [_read_response(bytes(item)) for item in items]
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return Reading(nothing, fault="no whole JSON-RPC answer")
    if single and count > 1:
        response = found[0][1]
        fault = "a single object in answer to a batch"
        return Reading(nothing, whole=response.error if response else None, fault=fault)
    return _match([(1, found[0][1])] if _says_of_one(found, count) else found, count)


def _says_of_one(found: list[tuple[object, Response | None]], count: int) -> bool:
    """An error with the id null can only be meant for the one call that was sent."""
    return count == 1 and len(found) == 1 and found[0][0] is None and bool(found[0][1] and found[0][1].error)


def _match(found: list[tuple[object, Response | None]], count: int) -> Reading:
    places: list[list[Response]] = [[] for _ in range(count)]
    whole: RpcError | None = None
    broken = strange = 0
    for number, response in found:
        if response is None:
            broken += 1
        elif type(number) is int and 1 <= number <= count:
            places[number - 1].append(response)
        elif response.error is not None and number is None:
            whole = response.error
        else:
            strange += 1
    parts = (
        (sum(not place for place in places), "missing"),
        (sum(len(place) > 1 for place in places), "doubled"),
        (strange, "with a foreign id"),
        (broken, "neither result nor error"),
    )
    fault = ", ".join(f"{number} {what}" for number, what in parts if number)
    responses = tuple(place[0] if len(place) == 1 else None for place in places)
    return Reading(responses, whole, f"of {count} answers {fault}" if fault else "")


def read_response(payload: bytes) -> Response | None:
    """One response object; None where it holds neither a result nor an error.

    Raises:
        msgspec.MsgspecError: It is no JSON object.
    """
    return _read_response(payload)[1]


def _read_response(payload: bytes) -> tuple[object, Response | None]:
    read = msgspec.json.decode(payload, type=_Response)
    result, error = bytes(read.result), bytes(read.error)
    if error and error != b"null":
        return read.id, Response(None, _read_error(error), payload)
    return read.id, Response(msgspec.Raw(result), None, payload) if result else None


def _read_error(text: bytes) -> RpcError:
    """Some gateways send a text, or no code."""
    told = msgspec.json.decode(text)
    if not isinstance(told, dict):
        return RpcError(None, redact(str(told)))
    code = told.get("code")
    data = redact(msgspec.json.encode(told["data"]).decode()) if told.get("data") is not None else ""
    return RpcError(code if type(code) is int else None, redact(str(told.get("message", ""))), data)


def block_of(call: RpcCall) -> int | str | None:
    """The block that a call is about.

    Returns:
        Its number; a text where it is named by its hash ("0x.." of 32 bytes) or a tag ("latest"); for `eth_getLogs` the
        last block of the range; None where the call is about no block that can be told.
    """
    if call.method == "eth_getLogs":
        wanted = call.params[0]
        return _block(wanted["blockHash"] if "blockHash" in wanted else wanted.get("toBlock", "latest"))
    place = BLOCK_PLACE.get(call.method)
    if place is None:
        return None
    return _block(call.params[place]) if place < len(call.params) else "latest"


def blocks_wide(call: RpcCall) -> int | None:
    """How many blocks an `eth_getLogs` between two numbers spans; None for everything else."""
    if call.method != "eth_getLogs" or "fromBlock" not in call.params[0]:
        return None
    first, last = _block(call.params[0]["fromBlock"]), block_of(call)
    return last - first + 1 if isinstance(first, int) and isinstance(last, int) else None


def _block(told: object) -> int | str | None:
    if isinstance(told, dict):  # EIP-1898
        told = told.get("blockHash", told.get("blockNumber"))
    if isinstance(told, str) and told.startswith("0x") and len(told) != HASH_LENGTH:
        return int(told, 16)
    return told if isinstance(told, str) else None


def _refuse_floats(value: object, method: str) -> None:
    if isinstance(value, float):
        raise ValueError(f"{method}: a float among the parameters ({value}); integers go as hex strings")
    children = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
    for child in children:
        _refuse_floats(child, method)
