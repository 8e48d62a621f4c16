"""One provider's heads and headers, proven where their hashes can be, as the tracker takes them."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeAlias

import msgspec

from tidelake.chains.headers import Header, parse_header, prove_header
from tidelake.chains.heads import Ask, Block, Head
from tidelake.chains.spec import Chain, Tag
from tidelake.errors import FormatDrift, SourceError
from tidelake.jobs.pinned_calls import header_call
from tidelake.transport.rpc import RpcPool
from tidelake.transport.rpc_calls import RpcAnswer, RpcCall

KEPT = 20_000  # headers

Heard: TypeAlias = Callable[[RpcAnswer], None]


def block_of(header: Header) -> Block:
    """The block's place in the chain."""
    return Block(header.number, header.hash, header.number - 1, header.parent_hash, header.timestamp * 1_000_000)


class ProviderHeads:
    """What one provider is asked.

    Args:
        chain: Its chain.
        pool: A pool of this provider alone.
        name: Its name.
        heard: Told each of its answers, before anything follows from it.

    Attributes:
        headers: The newest that it told, by hash, and whether their hash is that of their fields; None where `forget`
            was called.
    """

    def __init__(self, chain: Chain, pool: RpcPool, name: str, heard: Heard | None = None) -> None:
        self.name = name
        self.pool = pool
        self._heard = heard
        self.headers: dict[str, tuple[Header, bool] | None] = {}
        self._chain = chain

    async def ask(self, calls: Sequence[RpcCall]) -> list[RpcAnswer]:
        """Its answers to calls, in their order.

        Raises:
            SourceError: It does not answer.
        """
        answers = await self.pool.ask(calls)
        if self._heard is not None:
            for answer in answers:
                self._heard(answer)
        return answers

    async def heads(self, tags: Sequence[Tag]) -> list[Head]:
        """Its newest block of each tag; a tag that it does not know is left out.

        Raises:
            SourceError: It does not answer, or tells no newest block.
            FormatDrift: A header is not of its form, or its hash is not that of its fields.
        """
        answers = await self.ask([RpcCall("eth_getBlockByNumber", [tag, False]) for tag in tags])
        found = []
        for tag, answer in zip(tags, answers, strict=True):
            header = self._header(answer) if answer.error is None else None
            if header is not None:
                found.append(Head(self.name, tag, block_of(header), answer.recv_ns // 1_000))
            elif tag == "latest":
                raise SourceError(f"{self.name}: tells no newest block: {answer.error or 'null'}", retryable=True)
        return found

    async def head_at(self, tag: Tag, number: int) -> Head | None:
        """Its block of that number, as its newest of a tag; None where it has none.

        Raises:
            SourceError, FormatDrift: As for `heads`.
        """
        (answer,) = await self.ask([header_call(number)])
        header = self._header(answer)
        return None if header is None else Head(self.name, tag, block_of(header), answer.recv_ns // 1_000)

    async def block_at(self, number: int) -> Block | None:
        """Its block of that number; None where it has none.

        Raises:
            SourceError, FormatDrift: As for `heads`.
        """
        head = await self.head_at("latest", number)
        return None if head is None else head.block

    async def blocks(self, ask: Ask) -> list[Block]:
        """The blocks that a tracker asks for, as far as it has them: the last by its hash, the others by number.

        Raises:
            SourceError, FormatDrift: As for `heads`.
        """
        calls = [RpcCall("eth_getBlockByHash", [ask.hash, False]), *map(header_call, range(ask.first, ask.last))]
        answers = await self.ask(calls)
        headers = [self._header(answer) for answer in answers if answer.error is None]
        return [block_of(header) for header in headers if header is not None]

    def forget(self, digest: str) -> None:
        """Let go of a header, also where it is told again: that of a block of Ethereum takes some 25 KB."""
        if digest in self.headers:
            self.headers[digest] = None

    def _header(self, answer: RpcAnswer) -> Header | None:
        header = parse_header(answer.value(msgspec.Raw))
        if header is None:
            return None
        proof = prove_header(self._chain, header)
        if proof.state == "differs":
            raise FormatDrift(f"{self.name}: {proof.reason}")
        kept = replace(header, told={}), proof.state == "proven"  # what was told is most of its memory
        self.headers[header.hash] = self.headers.pop(header.hash, kept) and kept
        if len(self.headers) > KEPT:
            del self.headers[next(iter(self.headers))]
        return header
