"""One provider's heads and blocks of a chain that numbers slots, as the tracker takes them.

A node tells blocks from the commitment `confirmed` on: so its newest block is its newest confirmed one. On the word of
one provider that is tier 1, on that of two tier 2, and where two call a block finalized tier 3.
"""

from collections.abc import Iterable, Sequence

from tidelake.chains.heads import Ask, Block, Head
from tidelake.chains.solana import SlotChain, parse_block
from tidelake.chains.spec import Tag
from tidelake.errors import FormatDrift, SourceError
from tidelake.jobs.provider_heads import Heard
from tidelake.transport.rpc import RpcPool
from tidelake.transport.rpc_calls import RpcAnswer, RpcCall

CONFIRMED, FINALIZED = "confirmed", "finalized"
LOOK_BACK = 64  # slots: so far back a block is looked for where a slot has none


class SlotHeads:
    """What one provider is asked.

    Args:
        chain: Its chain.
        pool: A pool of this provider alone.
        name: Its name.
        heard: Told each of its answers, before anything follows from it.
    """

    def __init__(self, chain: SlotChain, pool: RpcPool, name: str, heard: Heard | None = None) -> None:
        self.name = name
        self.pool = pool
        self._chain = chain
        self._heard = heard

    async def heads(self, tags: Sequence[Tag]) -> list[Head]:
        """Its newest block of each tag; a tag whose block it has not at hand is left out.

        Raises:
            SourceError: It does not answer, or tells no newest block.
            FormatDrift: An answer is not of its form.
        """
        commitments = {tag: self._commitment(tag) for tag in tags}
        asked = tuple(dict.fromkeys(commitments.values()))
        told = await self._results([RpcCall("getSlot", [{"commitment": one}]) for one in asked])
        slots = [answer.value(int) for answer in told]
        blocks = await self._ask([_block_call(slot, one) for slot, one in zip(slots, asked, strict=True)])
        found = dict(zip(asked, zip(slots, blocks, strict=True), strict=True))
        heads = []
        for tag, commitment in commitments.items():
            slot, answer = found[commitment]
            if (block := _block(slot, answer)) is not None:
                heads.append(Head(self.name, tag, block, answer.recv_ns // 1_000))
            elif tag == "latest":
                raise SourceError(f"{self.name}: no block in its newest slot {slot}: {answer.error}", retryable=True)
        return heads

    async def block_at(self, number: int) -> Block | None:
        """The finalized block of a slot, or the one before it where the slot was skipped; None where it has none.

        Raises:
            SourceError, FormatDrift: As for `heads`.
        """
        slots = await self._slots(max(0, number - LOOK_BACK), number, FINALIZED)
        blocks = await self._blocks(slots[-1:])
        return blocks[0] if blocks else None

    async def blocks(self, ask: Ask) -> list[Block]:
        """The blocks that a tracker asks for, as far as it has them: those of the slots that have one.

        Raises:
            SourceError, FormatDrift: As for `heads`.
        """
        return await self._blocks(await self._slots(ask.first, ask.last, CONFIRMED))

    async def _ask(self, calls: Sequence[RpcCall]) -> list[RpcAnswer]:
        answers = await self.pool.ask(calls)
        if self._heard is not None:
            for answer in answers:
                self._heard(answer)
        return answers

    def _commitment(self, tag: Tag) -> str:
        return FINALIZED if self._chain.commitments[tag] == FINALIZED else CONFIRMED

    async def _slots(self, first: int, last: int, commitment: str) -> list[int]:
        call = RpcCall("getBlocks", [first, last, {"commitment": commitment}])
        (answer,) = await self._results([call])
        slots = answer.value(list[int])
        if any(not first <= slot <= last for slot in slots) or slots != sorted(slots):
            raise FormatDrift(f"{self.name}: of the slots {first} to {last} it tells {slots[:3]}..{slots[-3:]}")
        return slots

    async def _blocks(self, slots: Iterable[int]) -> list[Block]:
        wanted = list(slots)
        answers = await self._ask([_block_call(slot, CONFIRMED) for slot in wanted])
        found = (_block(slot, answer) for slot, answer in zip(wanted, answers, strict=True))
        return [block for block in found if block is not None]

    async def _results(self, calls: Sequence[RpcCall]) -> list[RpcAnswer]:
        answers = await self._ask(calls)
        if wrong := next((answer for answer in answers if answer.error is not None), None):
            raise SourceError(f"{self.name}: {wrong.call.method}: {wrong.error}", retryable=True)
        return answers


def _block_call(slot: int, commitment: str) -> RpcCall:
    options = {
        "commitment": commitment,
        "transactionDetails": "none",
        "rewards": False,
        "maxSupportedTransactionVersion": 0,
    }
    return RpcCall("getBlock", [slot, options])


def _block(slot: int, answer: RpcAnswer) -> Block | None:
    return None if answer.error is not None else parse_block(slot, bytes(answer.result or b""))
