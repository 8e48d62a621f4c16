"""What nodes told of a chain as it was followed, in the raw log: the one place that knows the form of these frames.

    coins.<chain>   feed `chain_answers`: each answer verbatim; its request is "<provider> <call>"
                    feed `chain_notes`: what followed from them, a `ChainNote`

An answer that repeats what its provider said last to the same call is left out: it says that nothing changed. An answer
stands before the notes that rest on it. Several watches may write one lane: each numbers its own notes.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

from tidelake.chains.heads import Block, Correction, HeldChain, Incident, LateLogs, LostLogs, Moved, Resumed, Tiers
from tidelake.chains.logs import LogFact, parse_logs
from tidelake.chains.receipts import parse_receipts
from tidelake.errors import FormatDrift
from tidelake.raw.codec import key_from_environment
from tidelake.raw.frame import Frame
from tidelake.raw.ledger import Ledger, lane_name
from tidelake.raw.segments import iter_frames
from tidelake.raw.store import Store
from tidelake.transport.rpc_calls import read_response

ANSWERS, NOTES = "chain_answers", "chain_notes"
HEADERS = ("eth_getBlockByNumber", "eth_getBlockByHash")
LOGS, RECEIPTS = "eth_getLogs", "eth_getBlockReceipts"
MOST_ANSWERED = 4_096  # blocks whose answers wait for their note
MARGIN_US = 60_000_000  # answers are asked for so long before the note that rests on them, at most


def chain_lane(chain: str) -> str:
    """The lane of what nodes of a chain told."""
    return lane_name("coins", chain)


class LogsTold(msgspec.Struct, frozen=True):
    """Which logs an active block has, of those that are wanted; the logs themselves stand in an answer.

    Attributes:
        block: Which block.
        keys: Transaction hash and log index of each, in order.
        digest: `digest_of` them.
        proof: As for `jobs.block_logs.BlockLogs`.
        seen_us: When that was known, us UTC.
    """

    block: Block
    keys: tuple[tuple[str, int], ...]
    digest: str
    proof: str
    seen_us: int


class ChainNote(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that followed: what a follower told (`output`), or which logs a block has.

    Attributes:
        run: Whose conclusion it is.
        place: Its place among those of the run on this chain, from 1.
        safe, final: Hashes of the last active blocks of tiers 2 and 3 from then on; "" where that is not known.
    """

    run: str
    place: int
    moved: Moved | None = None
    correction: Correction | None = None
    incident: Incident | None = None
    logs: LogsTold | None = None
    resumed: Resumed | None = None
    late: LateLogs | None = None
    lost: LostLogs | None = None
    safe: str = ""
    final: str = ""

    @property
    def seen_us(self) -> int:
        """When it was known, us UTC."""
        told = self.output or self.logs
        return told.seen_us if told else 0

    @property
    def output(self) -> Moved | Correction | Incident | Resumed | LateLogs | LostLogs | None:
        """What the follower told; None where it is logs."""
        return self.moved or self.correction or self.incident or self.resumed or self.late or self.lost

    @property
    def adopted(self) -> tuple[Block, ...]:
        """Blocks that became active with it."""
        return self.moved.added if self.moved else self.correction.adopted if self.correction else ()


def digest_of(logs: Sequence[LogFact]) -> str:
    """A hash of logs, in their order."""
    return hashlib.sha256(msgspec.json.encode(logs)).hexdigest()


class _Call(msgspec.Struct):
    method: str
    params: tuple[msgspec.Raw, ...]


class _OfBlock(msgspec.Struct):
    blockHash: str  # noqa: N815  as nodes spell it


@dataclass(frozen=True, slots=True)
class NodeAnswer:
    """An answer as it was kept.

    Attributes:
        provider: Who gave it.
        method: What was asked.
        block_hash: Of logs and receipts the block that they were asked of; "" elsewhere.
        result: JSON text; None where it is an error.
    """

    provider: str
    method: str
    block_hash: str
    result: bytes | None


def read_answer(frame: Frame) -> NodeAnswer:
    """The answer that a frame holds.

    Raises:
        FormatDrift: It holds none.
    """
    provider, _, text = frame.request.partition(" ")
    try:
        call = msgspec.json.decode(text, type=_Call)
        response = read_response(frame.payload)
        digest = ""
        if call.method == LOGS:
            digest = msgspec.json.decode(call.params[0], type=_OfBlock).blockHash
        elif call.method == RECEIPTS:
            digest = msgspec.json.decode(call.params[0], type=str)
    except (msgspec.MsgspecError, IndexError) as exc:
        raise FormatDrift(f"line {frame.n} is no answer of a node: {exc}", line=frame.n) from exc
    result = None if response is None or response.result is None else bytes(response.result)
    return NodeAnswer(provider, call.method, digest, result)


def read_note(frame: Frame) -> ChainNote:
    """The note that a frame holds.

    Raises:
        FormatDrift: It holds none.
    """
    try:
        return msgspec.json.decode(frame.payload, type=ChainNote)
    except msgspec.MsgspecError as exc:
        raise FormatDrift(f"line {frame.n} is no note on a chain: {exc}", line=frame.n) from exc


def logs_among(chain: str, told: LogsTold, answers: Sequence[NodeAnswer]) -> tuple[LogFact, ...] | None:
    """The logs that a note names, out of answers about its block; None where none of them holds them."""
    if not told.keys:
        return ()
    for answer in answers:
        if answer.result is None:
            continue
        try:
            held = _logs_in(chain, answer.method, answer.result)
        except FormatDrift:
            continue
        by_key = {(log.tx_hash, log.log_index): log for log in held}
        found = tuple(by_key[key] for key in told.keys if key in by_key)
        if digest_of(found) == told.digest:
            return found
    return None


def _logs_in(chain: str, method: str, result: bytes) -> list[LogFact]:
    if method == LOGS:
        return parse_logs(chain, result)
    return [log for receipt in parse_receipts(chain, result) or () for log in receipt.logs]


@dataclass(frozen=True, slots=True)
class ChainTold:
    """A note with the logs that it names; None where no answer holds them."""

    note: ChainNote
    logs: tuple[LogFact, ...] | None = ()


def read_chain(store: Store, chain: str, run: str, since_us: int = 0) -> Iterator[ChainTold]:
    """What a run concluded of a chain, in its order, as it was heard; what is not sealed yet is not told.

    Args:
        since_us: Entries that were whole a minute before this time are not read, us UTC.

    Raises:
        FormatDrift: A frame is not of its form.
        LedgerBroken: The lane does not hold.
    """
    answers: dict[str, list[NodeAnswer]] = {}
    floor_ns = (since_us - MARGIN_US) * 1_000
    for entry in Ledger(store).entries(chain_lane(chain)):
        if entry.known_ns < floor_ns:
            continue
        for frame in iter_frames(store, entry.segment, key_from_environment()):
            if frame.feed == ANSWERS and (LOGS in frame.request or RECEIPTS in frame.request):
                answer = read_answer(frame)
                answers.setdefault(answer.block_hash, []).append(answer)
                if len(answers) > MOST_ANSWERED:
                    del answers[next(iter(answers))]
            elif frame.feed == NOTES and (note := read_note(frame)).run == run:
                told = note.logs
                logs = logs_among(chain, told, answers.pop(told.block.hash, ())) if told else ()
                yield ChainTold(note, logs)


class ChainMemory:
    """The active blocks of a chain that may still go out, as notes tell them.

    Args:
        back: Blocks that are held before the last final one.
        hold: Blocks that are held where none is final, and at most where logs of one are awaited.

    Attributes:
        place: That of the last note.
        awaits: Whether logs are wanted: a block of which they are not told is held, final or not.
    """

    def __init__(self, *, back: int, hold: int) -> None:
        self.place = 0
        self.awaits = True
        self._back, self._hold = back, hold
        self._blocks: dict[int, tuple[Block, int]] = {}  # with the time at which it was known to be active
        self._told: set[str] = set()
        self._tiers = Tiers(-1, -1, -1)
        self._halted = ""

    @property
    def base_us(self) -> int:
        """When the oldest block that is held became known; 0 where none is held."""
        return next(iter(self._blocks.values()))[1] if self._blocks else 0

    def hash_of(self, number: int) -> str:
        """Hash of an active block; "" where it is not held."""
        return self._blocks[number][0].hash if number in self._blocks else ""

    def take(self, note: ChainNote, *, with_logs: bool = True) -> None:
        """Take a note; without its logs the block goes on being awaited."""
        self.place = note.place
        if note.logs is not None and with_logs:
            self._told.add(note.logs.block.hash)
        if note.lost is not None:
            self._told |= {block.hash for block in note.lost.blocks}
        if note.correction is not None:
            last = note.correction.ancestor.number
            self._tiers = Tiers(last, min(self._tiers.safe, last), min(self._tiers.final, last))
            for block in note.correction.out:
                self._blocks.pop(block.number, None)
                self._told.discard(block.hash)
        if note.moved is not None:
            self._tiers = note.moved.tiers
        if note.incident is not None:
            self._halted = note.incident.reason
        if note.resumed is not None:
            self._halted = ""
        for block in note.adopted:
            self._blocks[block.number] = block, note.seen_us
        self._forget()

    def held(self) -> HeldChain | None:
        """What can be followed on from; None where nothing is held."""
        blocks = tuple(block for block, _ in self._blocks.values())
        if not blocks:
            return None
        awaited = tuple(block for block in blocks if block.hash not in self._told)
        return HeldChain(blocks, self._tiers, awaited, self._halted)

    def _forget(self) -> None:
        tip = next(reversed(self._blocks), -1)
        floor = self._tiers.final - self._back if self._tiers.final >= 0 else tip - self._hold
        while self._blocks and (number := next(iter(self._blocks))) < min(floor, tip):
            digest = self._blocks[number][0].hash
            if self.awaits and digest not in self._told and number >= tip - self._hold:
                return
            del self._blocks[number]
            self._told.discard(digest)
