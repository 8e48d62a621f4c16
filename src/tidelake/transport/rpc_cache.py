"""A cache of answers that can never change: those about a block by its hash, or at a height that is final.

In memory the answers used last are kept, up to a number of bytes; a folder keeps all, one small file each. A file that
cannot be read, or holds another call, is as if it were not there.
"""

import hashlib
import os
import tempfile
from collections import OrderedDict
from pathlib import Path

import msgspec

from tidelake.transport.rpc_calls import HASH_LENGTH, RpcAnswer, RpcCall, block_of, read_response, rpc_request

Key = tuple[str, str]


class _Kept(msgspec.Struct):
    request: str
    provider: str
    agreed: tuple[str, ...]
    recv_ns: int
    mono_ns: int
    attempts: int
    payload: str


def never_changes(call: RpcCall, final: int | None) -> bool:
    """Whether the answer to a call will be the same for ever, if blocks up to and with `final` are final."""
    if call.method == "eth_chainId":
        return True
    block = block_of(call)
    if isinstance(block, int):
        return final is not None and block <= final
    return isinstance(block, str) and len(block) == HASH_LENGTH


class RpcCache:
    """Answers of one chain.

    Args:
        chain: Name of the chain.
        folder: Where they are kept beyond this process; None keeps them in memory alone.
        most_bytes: Payload bytes that memory holds.
    """

    def __init__(self, chain: str, folder: Path | None = None, *, most_bytes: int = 64_000_000) -> None:
        self.chain = chain
        self.hits = 0
        self._folder = folder
        self._most_bytes = most_bytes
        self._bytes = 0
        self._held: OrderedDict[str, RpcAnswer] = OrderedDict()

    def find(self, call: RpcCall, *, agree: int = 1) -> RpcAnswer | None:
        """The answer to a call, as it came, if at least so many providers gave it."""
        request = rpc_request(call)
        found = self._held.get(request) or self._read(call, request)
        if found is None or len(found.agreed) + 1 < agree:
            return None
        self._hold(request, found)
        self.hits += 1
        return found

    def keep(self, answer: RpcAnswer) -> None:
        """Keep an answer to a call that `never_changes`.

        Errors are not kept, nor is nothing (null, or no logs) on the word of a single provider.
        """
        empty = answer.result is not None and bytes(answer.result) in (b"null", b"[]")
        if answer.result is None or (empty and not answer.agreed):
            return
        request = rpc_request(answer.call)
        self._hold(request, answer)
        if self._folder is not None:
            self._write(self._path(self._folder, request), request, answer)

    def _hold(self, request: str, answer: RpcAnswer) -> None:
        if (before := self._held.pop(request, None)) is not None:
            self._bytes -= len(before.payload)
        self._held[request] = answer
        self._bytes += len(answer.payload)
        while self._bytes > self._most_bytes:
            _, oldest = self._held.popitem(last=False)
            self._bytes -= len(oldest.payload)

    def _path(self, folder: Path, request: str) -> Path:
        digest = hashlib.sha256(request.encode()).hexdigest()
        return folder / self.chain / digest[:2] / f"{digest[2:]}.json"

    def _write(self, path: Path, request: str, answer: RpcAnswer) -> None:
        kept = _Kept(
            request=request,
            provider=answer.provider,
            agreed=answer.agreed,
            recv_ns=answer.recv_ns,
            mono_ns=answer.mono_ns,
            attempts=answer.attempts,
            payload=answer.payload.decode(),
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(msgspec.json.encode(kept))
        os.replace(name, path)

    def _read(self, call: RpcCall, request: str) -> RpcAnswer | None:
        if self._folder is None:
            return None
        try:
            kept = msgspec.json.decode(self._path(self._folder, request).read_bytes(), type=_Kept)
            response = read_response(kept.payload.encode())
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            return None
        if kept.request != request or response is None or response.result is None:
            return None
        return RpcAnswer(
            call=call,
            result=response.result,
            error=None,
            payload=response.payload,
            provider=kept.provider,
            recv_ns=kept.recv_ns,
            mono_ns=kept.mono_ns,
            attempts=kept.attempts,
            agreed=kept.agreed,
        )
