"""What a collection of lending markets leaves in the raw log: the one place that writes and reads these frames.

A lane is a row of sections: pages, each the verbatim answer to one call (`rpc_request` is its `request`), and a note
that closes them. Pages that no note of the same entry closes belong to a collection that was cut off: they say nothing.
Of several sections of one grid time, or of one block, the last stands.

    lending.<market>    feed `lending_positions`: the state calls of one grid time at its pinned block; `DayNote`
    blocks.<chain>      feed `chain_blocks`: the header of the last block before a moment and the one after; `BlockNote`
    logs.<chain>        feed `chain_events`: logs of a range of blocks, and headers of those that hold any; `LogsNote`
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeAlias, TypeVar

import msgspec

from tidelake.chains.hexadecimal import octets
from tidelake.chains.multicall import AGGREGATE3, Call, CallResult, decode_calls, decode_results
from tidelake.errors import FormatDrift, TidelakeError
from tidelake.lending.spec import Asking
from tidelake.raw.frame import Frame
from tidelake.raw.ledger import lane_name
from tidelake.transport.rpc_calls import Response, RpcAnswer, read_response, rpc_request

POSITIONS, BLOCKS, LOGS = "lending_positions", "chain_blocks", "chain_events"

# OK: every call that the market's family makes is answered.       NOT_DEPLOYED: it was not there yet; nothing is asked.
# SOURCE_FAILED: nobody answered; asked again, somebody may.       REFUSED: the answers do not say what they must.
# RETRACTED: an earlier section of the grid time is void, because its block is none of the chain any more.
DayState: TypeAlias = Literal["OK", "NOT_DEPLOYED", "SOURCE_FAILED", "REFUSED", "RETRACTED"]
Proof: TypeAlias = Literal["two providers", "receipts root", "one provider"]
# What logs that were asked for tell: all liquidations of the markets; all their parts; or all that no call tells
# (`Family.state_events`). The last two are asked for from a market's deployment on.
Told: TypeAlias = Literal["liquidations", "parts", "state"]
T = TypeVar("T")
NoteT = TypeVar("NoteT", "DayNote", "BlockNote", "LogsNote")


class DayNote(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known of a market at a grid time.

    Attributes:
        grid: The grid time: a UTC day ("2024-01-01"), hour ("2024-01-01T05") or block ("18900000").
        state: See `DayState`.
        block, hash, time: The last block before the day or hour ended, and its clock in seconds since 1970; of
            RETRACTED the block that is void. None and "" where none is known.
        reason: Why it is not OK.
        parts: What was handed to the family as the parts of the market that are known.
        addresses: The contracts whose logs tell its liquidations, as its state at the block says.
        oracle_fault: Why the market's own oracle told no prices at the block; "" where it did, or was not asked.
    """

    grid: str
    state: DayState
    block: int | None = None
    hash: str = ""
    time: int | None = None
    reason: str = ""
    parts: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    oracle_fault: str = ""


class BlockNote(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which block a grid time is pinned to.

    Attributes:
        grid: As in `DayNote`.
        state: "PINNED", or "RETRACTED": another block stands there now.
        block, hash, time: The last block before the day or hour ended, its clock in seconds since 1970.
        next_hash: Hash of the block after it, which begins what comes next.
        final: Whether the chain's finality policy called it final then.
        reason: Why it is retracted.
    """

    grid: str
    state: Literal["PINNED", "RETRACTED"]
    block: int
    hash: str
    time: int
    next_hash: str = ""
    final: bool = True
    reason: str = ""


class LogsNote(msgspec.Struct, frozen=True, omit_defaults=True):
    """A range of blocks whose logs are known.

    Attributes:
        first, last: Blocks, both inclusive.
        hash_first, hash_last: Of these two blocks; the first is "" where it was not asked for.
        state: "COVERED"; "SOURCE_FAILED": nobody answered, or providers do not agree; or "RETRACTED": the last block is
            none of the chain any more, so that an earlier section of the same blocks is void behind `stands`.
        proof: "two providers": each answer was given alike by two. "receipts root": one gave it, and the headers of all
            blocks prove it, by their bloom or by their receipts. "one provider": an answer without logs proves nothing.
        markets: Whose logs were asked for.
        told: See `Told`.
        reason: Why it is not covered; of a covered one why it was to be proven and is not.
        stands, hash_stands: Of RETRACTED: the last block that is known to be of the chain still. What was told up to
            it, inclusive, holds. None and "" where all is void.
    """

    first: int
    last: int
    hash_first: str
    hash_last: str
    state: Literal["COVERED", "SOURCE_FAILED", "RETRACTED"]
    proof: Proof = "one provider"
    markets: tuple[str, ...] = ()
    told: Told = "liquidations"
    reason: str = ""
    stands: int | None = None
    hash_stands: str = ""

    @property
    def end(self) -> tuple[int, str]:
        """The last block up to which a covered range holds, and its hash; see `after`."""
        return (self.last, self.hash_last) if self.stands is None else (self.stands, self.hash_stands)

    def is_void_by(self, retraction: "LogsNote") -> bool:
        """Whether a retraction, told later, takes back of this range what lies behind its `stands`."""
        void = retraction
        return self.state == "COVERED" and (self.first, self.last, self.told) == (void.first, void.last, void.told)

    def after(self, retraction: "LogsNote") -> "LogsNote | None":
        """What holds of a covered range after a retraction that was told later; None where nothing does."""
        if not self.is_void_by(retraction):
            return self
        if retraction.stands is None or retraction.stands < self.first:
            return None
        if retraction.stands >= self.end[0]:
            return self
        return msgspec.structs.replace(self, stands=retraction.stands, hash_stands=retraction.hash_stands)


@dataclass(frozen=True, slots=True)
class Section(Generic[NoteT]):
    """A note, and the pages that it closes.

    Attributes:
        note: What it says.
        frame: The frame of the note.
        pages: The frames before it, in their order.
    """

    note: NoteT
    frame: Frame
    pages: tuple[Frame, ...]


def positions_lane(market: str) -> str:
    """The lane of a market's state."""
    return lane_name("lending", market)


def blocks_lane(chain: str) -> str:
    """The lane of a chain's pinned blocks."""
    return lane_name("blocks", chain)


def logs_lane(chain: str) -> str:
    """The lane of a chain's logs."""
    return lane_name("logs", chain)


def read_sections(frames: Iterable[Frame], kind: type[NoteT]) -> Iterator[Section[NoteT]]:
    """The sections of one entry of a lane, in their order; what no note closes is left out.

    Raises:
        FormatDrift: A note is not of that kind.
    """
    pages: list[Frame] = []
    for frame in frames:
        if frame.kind == "page":
            pages.append(frame)
        elif frame.kind == "note":
            yield Section(_note(frame, kind), frame, tuple(pages))
            pages = []


def _note(frame: Frame, kind: type[NoteT]) -> NoteT:
    try:
        return msgspec.json.decode(frame.payload, type=kind)
    except msgspec.MsgspecError as exc:
        raise FormatDrift(f"line {frame.n} is no {kind.__name__}: {exc}", line=frame.n) from exc


class _Request(msgspec.Struct):
    method: str
    params: tuple[msgspec.Raw, ...]


class _StateCall(msgspec.Struct):
    to: str
    data: str


def read_page(frame: Frame) -> tuple[str, Response]:
    """The method that a page was asked with, and the response.

    Raises:
        FormatDrift: It is no page of a JSON-RPC call.
    """
    try:
        method = msgspec.json.decode(frame.request, type=_Request).method
        response = read_response(frame.payload)
    except msgspec.MsgspecError as exc:
        raise FormatDrift(f"line {frame.n} is no answer of JSON-RPC: {exc}", line=frame.n) from exc
    if response is None:
        raise FormatDrift(f"line {frame.n} holds neither a result nor an error", line=frame.n)
    return method, response


Key: TypeAlias = tuple[str, bytes]


@dataclass(slots=True)
class Answers:
    """What a market's contracts answered at one block, by call. The last answer to a call stands.

    Attributes:
        multicall: Address of Multicall3, in small letters: its answers hold those of the calls in it.
        held: The answers by contract, in small letters, and data.
    """

    multicall: str
    held: dict[Key, CallResult] = field(default_factory=dict)

    def keep(self, to: str, data: bytes, response: Response) -> None:
        """Take over what one `eth_call` was answered. A revert is an answer; every other error says nothing.

        Raises:
            FormatDrift: The result is not of its form.
        """
        if response.result is None:
            if response.error is not None and is_revert(response):
                self.held[to.lower(), data] = CallResult(False, b"")
            return
        found = octets(msgspec.json.decode(response.result), f"result of a call of {to}")
        if to.lower() != self.multicall or not data.startswith(AGGREGATE3.selector):
            self.held[to.lower(), data] = CallResult(True, found)
            return
        calls = decode_calls(data)
        for call, result in zip(calls, decode_results(found, calls), strict=True):
            self.held[call.to.lower(), call.data] = result

    def find(self, call: Call) -> CallResult | None:
        """What the call was answered; None where it was not made, or not answered."""
        return self.held.get((call.to.lower(), call.data))


def is_revert(response: Response) -> bool:
    """Whether the contract refused the call, and not the node."""
    error = response.error
    return error is not None and (error.code == 3 or "revert" in error.message.lower())


def recorded_answers(section: Section[DayNote], multicall: str) -> Answers:
    """What a section's pages say.

    Raises:
        FormatDrift: A page is not of its form.
    """
    found = Answers(multicall.lower())
    for page in section.pages:
        method, response = read_page(page)
        if method != "eth_call":
            continue
        asked = msgspec.json.decode(page.request, type=_Request).params[0]
        call = msgspec.json.decode(asked, type=_StateCall)
        found.keep(call.to, octets(call.data, "data of a call"), response)
    return found


class Unanswered(TidelakeError):
    """Calls that a family makes and that are not answered yet; `calls` lists them."""

    def __init__(self, message: str, *, calls: Sequence[Call]) -> None:
        super().__init__(message)
        self.calls = tuple(calls)


def replay(asking: Callable[[], Asking[T]], answers: Answers, made: list[Call] | None = None) -> T:
    """What a family's generator returns over these answers; the calls that it makes are appended to `made`.

    Raises:
        Unanswered: It makes calls that they do not hold.
        FormatDrift: They are not what it expects.
    """
    driven = asking()
    try:
        calls = next(driven)
        while True:
            if made is not None:
                made += calls
            found = [answers.find(call) for call in calls]
            if missing := [call for call, result in zip(calls, found, strict=True) if result is None]:
                raise Unanswered(f"{len(missing)} of {len(calls)} calls are not answered", calls=missing)
            calls = driven.send([result for result in found if result is not None])
    except StopIteration as done:
        value: T = done.value
        return value
    finally:
        driven.close()


@dataclass(frozen=True, slots=True)
class Page:
    """An answer that is to be kept."""

    request: str
    payload: bytes
    recv_ns: int
    mono_ns: int


def page_of(answer: RpcAnswer) -> Page:
    """What is kept of an answer: the call without its provider's address, and the response verbatim."""
    return Page(rpc_request(answer.call), answer.payload, answer.recv_ns, answer.mono_ns)
