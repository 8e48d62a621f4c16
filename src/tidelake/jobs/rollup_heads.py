"""Tiers of an Arbitrum rollup's blocks by what its parent chain holds, for `HeadFollower(settled=..)`.

    parent = HeadFollower(chain("ethereum"), .., wanted=batch_filter(chain("arbitrum").rollup))
    batches = RollupHeads(chain("arbitrum"), lambda: parent.tracker)
    rollup = HeadFollower(chain("arbitrum"), .., settled=batches.heads)

What the parent's follower tells is handed to `hear`. See `chains/batches.py` for what counts as evidence.
"""

from collections.abc import Callable

from tidelake.chains.batches import FIND_BATCH, BatchSearch, Posted, batch_filter, read_batch
from tidelake.chains.heads import Correction, Head, Tier
from tidelake.chains.hexadecimal import hex_text, octets
from tidelake.chains.spec import Chain, Tag
from tidelake.chains.tracker import Tracker
from tidelake.errors import ConfigError
from tidelake.jobs.block_logs import BlockLogs
from tidelake.jobs.follow_heads import Followed
from tidelake.jobs.provider_heads import ProviderHeads
from tidelake.transport.rpc_calls import RpcCall

LEAST: tuple[tuple[Tag, Tier], ...] = (("safe", 1), ("finalized", 3))  # tier that the posting block must have


class RollupHeads:
    """Which blocks of a rollup are posted, and which in a final block of the parent.

    Args:
        chain: The rollup.
        parent: The tracker of its parent chain.

    Attributes:
        wanted: Logs of the parent that tell of batches.
        posted: The batches that were seen.

    Raises:
        ConfigError: The chain is no rollup with a sequencer inbox.
    """

    def __init__(self, chain: Chain, parent: Callable[[], Tracker]) -> None:
        if chain.rollup is None or "node_interface" not in chain.rollup.system:
            raise ConfigError(f"{chain.name}: no rollup whose nodes say in which batch a block is")
        self.posted = Posted()
        self._rollup = chain.rollup
        self.wanted = batch_filter(chain.rollup)
        self._parent = parent
        self._searches: dict[str, BatchSearch] = {}

    def hear(self, output: Followed) -> None:
        """Take what the parent's follower tells: batches that were posted, and that its chain was corrected.

        Raises:
            FormatDrift: A log of the inbox that should be of a batch has another form.
        """
        if isinstance(output, BlockLogs):
            for log in filter(self.wanted.matches, output.logs):
                self.posted.add(read_batch(self._rollup, log))
        elif isinstance(output, Correction):
            self._searches.clear()  # a batch posted anew may hold other blocks

    async def heads(self, source: ProviderHeads, tracker: Tracker) -> list[Head]:
        """The last blocks, as one provider says, that are in posted batches and in those of final blocks of the parent.

        Raises:
            SourceError, FormatDrift: As for `ProviderHeads.heads`.
        """
        search = self._searches.setdefault(source.name, BatchSearch(tracker.base.number))
        search.renew()
        found = []
        for tag, least in LEAST:
            batch = self.posted.newest(self._parent().tier, least)
            while batch >= 0 and (block := search.probe(batch, tracker.tip.number)) is not None:
                search.answer(block, await self._batch_of(source, block))
            last = search.last_in(batch)
            if batch >= 0 and last > tracker.base.number and (head := await source.head_at(tag, last)) is not None:
                found.append(head)
                if least == 3:
                    self.posted.forget_before(batch)
                    search.forget_before(last)
        return found

    async def _batch_of(self, source: ProviderHeads, block: int) -> int | None:
        """The batch of a block; None where the node says that none holds it."""
        call = {"to": self._rollup.system["node_interface"], "data": hex_text(FIND_BATCH.encode(block))}
        (answer,) = await source.ask([RpcCall("eth_call", [call, "latest"])])
        if answer.error is not None:
            return None
        return int(FIND_BATCH.decode(octets(answer.value(str), "a batch's number"))[0])
