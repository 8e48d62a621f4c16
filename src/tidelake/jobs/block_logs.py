"""The wanted logs of one block, asked for by its hash, and how they were shown to be all.

They belong to the hash: the same transaction in another block is another fact.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from tidelake.chains.headers import Header
from tidelake.chains.heads import Block
from tidelake.chains.logs import LogFact, LogFilter, parse_logs
from tidelake.chains.receipts import parse_receipts, prove_no_logs, prove_receipts
from tidelake.chains.spec import Chain
from tidelake.errors import FormatDrift, SourceError
from tidelake.jobs.provider_heads import ProviderHeads
from tidelake.transport.rpc_calls import RpcAnswer, RpcCall

TOGETHER_S = 2.0  # so long providers have to agree before the receipts of one are asked for


@dataclass(frozen=True, slots=True)
class BlockLogs:
    """The wanted logs of a block that is active: all of them.

    Attributes:
        chain: Name of the chain.
        block: Which block.
        logs: In their order; none is as good as some.
        proof: How it was shown that these are all: `logs bloom` or `receipts root` of its header, whose hash was
            recomputed; `two providers` (as many as must agree) told the same; `one provider`: its word, where no other
            speaks.
        seen_us: When that was known, our clock, microseconds UTC.
    """

    chain: str
    block: Block
    logs: tuple[LogFact, ...]
    proof: str
    seen_us: int


class BlockLogReader:
    """Reads the logs of blocks.

    Args:
        chain: Their chain.
        wanted: Which logs.
        quorum: So many providers must agree, or all that speak where there are fewer.
    """

    def __init__(self, chain: Chain, wanted: LogFilter, quorum: int) -> None:
        self._chain = chain
        self._wanted = wanted
        self._quorum = quorum

    async def read(self, block: Block, sources: Sequence[ProviderHeads]) -> BlockLogs:
        """The logs of a block, of the providers that speak now.

        Raises:
            SourceError: They cannot be had now, or nothing shows that they are all.
        """
        header = next((header for one in sources if (header := _proven(one, block)) is not None), None)
        if header is not None and prove_no_logs(self._chain, header, self._wanted).state == "proven":
            return self._found(block, (), "logs bloom")
        agree = min(self._quorum, len(sources))
        if agree > 1 and (logs := await self._agreed(block, sources, agree)) is not None:
            return self._found(block, logs, "two providers")
        for source in sources if header is not None else ():
            if (logs := await self._by_receipts(block, header, source)) is not None:
                return self._found(block, logs, "receipts root")
        if agree == 1 and (logs := await self._agreed(block, sources, 1)) is not None:
            return self._found(block, logs, "one provider")
        raise SourceError(f"{self._chain.name}: nothing shows which logs block {block.hash} has", retryable=True)

    async def _agreed(self, block: Block, sources: Sequence[ProviderHeads], agree: int) -> tuple[LogFact, ...] | None:
        """What so many give alike, as soon as they have."""
        tasks = [asyncio.ensure_future(self._told(block, source)) for source in sources]
        votes = Counter[tuple[LogFact, ...]]()
        try:
            for told in asyncio.as_completed(tasks, timeout=TOGETHER_S):
                try:
                    logs = await told
                except (SourceError, FormatDrift):
                    continue
                votes[logs] += 1
                if votes[logs] >= agree:
                    return logs
        except TimeoutError:
            pass
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return None

    async def _told(self, block: Block, source: ProviderHeads) -> tuple[LogFact, ...]:
        answer = await _ask(source, "eth_getLogs", self._wanted.of_block(block.hash))
        logs = parse_logs(self._chain.name, answer.value(msgspec.Raw))
        if strange := next(
            (log for log in logs if log.block_hash != block.hash or not self._wanted.matches(log)), None
        ):
            raise FormatDrift(f"{source.name}: log {strange.key} is none of those of {block.hash} that were asked for")
        return tuple(logs)

    async def _by_receipts(
        self, block: Block, header: Header | None, source: ProviderHeads
    ) -> tuple[LogFact, ...] | None:
        try:
            answer = await _ask(source, "eth_getBlockReceipts", block.hash)
            receipts = parse_receipts(self._chain.name, answer.value(msgspec.Raw))
        except (SourceError, FormatDrift):
            return None
        if header is None or receipts is None or prove_receipts(self._chain, header, receipts).state != "proven":
            return None
        return tuple(log for receipt in receipts for log in receipt.logs if self._wanted.matches(log))

    def _found(self, block: Block, logs: tuple[LogFact, ...], proof: str) -> BlockLogs:
        return BlockLogs(self._chain.name, block, logs, proof, time.time_ns() // 1_000)


def _proven(source: ProviderHeads, block: Block) -> Header | None:
    header, proven = source.headers.get(block.hash) or (None, False)
    return header if proven else None


async def _ask(source: ProviderHeads, method: str, parameter: object) -> RpcAnswer:
    (answer,) = await source.ask([RpcCall(method, [parameter])])
    return answer
