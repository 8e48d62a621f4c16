"""Keeps what nodes of a chain answer, and what followed from it, in lane `coins.<chain>`."""

import asyncio
import hashlib
import time
from collections.abc import Callable

import msgspec

from tidelake.chains.heads import Correction, Incident, LateLogs, LostLogs, Moved, Resumed
from tidelake.chains.tracker import HOLD
from tidelake.errors import StoreError
from tidelake.jobs.block_logs import BlockLogs
from tidelake.jobs.follow_heads import BACK
from tidelake.raw.codec import key_from_environment
from tidelake.raw.crash_points import reach
from tidelake.raw.lane import LaneWriter
from tidelake.raw.sealing import claim_nothing
from tidelake.raw.store import Store
from tidelake.stablecoins.sources.chain_lane import (
    ANSWERS,
    NOTES,
    ChainMemory,
    ChainNote,
    LogsTold,
    chain_lane,
    digest_of,
)
from tidelake.transport.logger import logger
from tidelake.transport.rpc_calls import RpcAnswer, rpc_request

SEAL_S = 300.0
MOST_BYTES = 8_000_000  # of a part file, about
REMEMBERED = 10_000  # calls whose last answer is known
_NAMES = {Correction: "correction", Incident: "incident", Resumed: "resumed", LateLogs: "late", LostLogs: "lost"}


class ChainKeeper:
    """Writes the lane of one chain for one run.

    Opening it seals what a killed writer left, so that the lane can be read whole.

    Args:
        store: The lake's store.
        chain: Name of the chain.
        run: Whose notes these are.
        clock: Wall clock, ns since 1970, of notes.
        monotonic: Seconds, for seals.

    Attributes:
        memory: What the notes say is active; those of before are to be taken by `memory.take`.
    """

    def __init__(
        self,
        store: Store,
        chain: str,
        run: str,
        *,
        clock: Callable[[], int] = time.time_ns,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.chain, self._run = chain, run
        self.memory = ChainMemory(back=BACK, hold=HOLD)
        key = key_from_environment()
        self._lane = LaneWriter(store, chain_lane(chain), chain, describe=claim_nothing, key=key, clock=clock)
        self._last: dict[tuple[str, str], bytes] = {}
        self._monotonic = monotonic
        self._sealed_s = monotonic()

    def heard(self, answer: RpcAnswer) -> None:
        """Keep an answer, unless its provider said the same last time."""
        told = b"error" if answer.result is None else bytes(answer.result)
        place = answer.provider, rpc_request(answer.call)
        digest = hashlib.sha256(told).digest()
        if self._last.pop(place, b"") != digest:
            self._lane.append(
                payload=answer.payload,
                kind="page",
                request=" ".join(place),
                feed=ANSWERS,
                recv_ns=answer.recv_ns,
                mono_ns=answer.mono_ns,
            )
        self._last[place] = digest
        if len(self._last) > REMEMBERED:
            del self._last[next(iter(self._last))]

    def conclude(self, output: Moved | Correction | Incident | Resumed | LateLogs | LostLogs | BlockLogs) -> None:
        """Keep what followed; on return it outlives the process."""
        note = ChainNote(self._run, self.memory.place + 1)
        if isinstance(output, BlockLogs):
            keys = tuple((log.tx_hash, log.log_index) for log in output.logs)
            told = LogsTold(output.block, keys, digest_of(output.logs), output.proof, output.seen_us)
            note = msgspec.structs.replace(note, logs=told)
        elif not isinstance(output, Moved):
            note = msgspec.structs.replace(note, **{_NAMES[type(output)]: output})
        else:
            added = {block.number: block.hash for block in output.added}
            safe, final = (
                added.get(number) or self.memory.hash_of(number) for number in (output.tiers.safe, output.tiers.final)
            )
            note = msgspec.structs.replace(note, moved=output, safe=safe, final=final)
        self._lane.append(payload=msgspec.json.encode(note), kind="note", feed=NOTES)
        self.memory.take(note)
        reach("chain-noted")

    async def seal_when_due(self) -> None:
        """Seal what was kept for five minutes, or is large."""
        now = self._monotonic()
        if now - self._sealed_s < SEAL_S and self._lane.part_bytes < MOST_BYTES:
            return
        self._sealed_s = now
        try:
            if self._lane.detach():
                await asyncio.to_thread(self._lane.seal_detached)
        except StoreError as exc:  # the frames stay in the part file, and are sealed the next time
            logger().warning("not sealed", chain=self.chain, reason=str(exc))

    def close(self) -> None:
        """Seal what is left."""
        self._lane.close()
