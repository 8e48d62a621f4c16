"""One market at one block: which calls are to be made next, and what follows from their answers. No I/O.

A family is driven over the answers that there are. What it asks for and has no answer yet goes out, together in calls
of Multicall3 where that stands. A call that fails in such a call without a word may have run out of its share of gas:
it is made again by itself, and what it answers then stands.

What is asked beside the state (the prices of the market's oracle) goes out with it in calls of its own: where that
fails, the day stands without it, and says why.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from tidelake.chains.hexadecimal import hex_text, octets
from tidelake.chains.multicall import Call, CallResult, encode_calls
from tidelake.chains.spec import Multicall3
from tidelake.errors import FormatDrift
from tidelake.lending.recorded import Answers, DayNote, DayState, Page, Unanswered, is_revert, page_of, replay
from tidelake.lending.spec import Asking, Position
from tidelake.transport.rpc_calls import Response, RpcAnswer, RpcCall

MOST_CALLS = 400  # in one call of Multicall3: about 20 of the 50 million gas that nodes allow a call
NOTHING = b'"0x"'


@dataclass(frozen=True, slots=True)
class Pin:
    """A block that a grid time is pinned to.

    Attributes:
        grid: The grid time.
        number, hash, time: The block, its clock in seconds since 1970.
        next_hash: Hash of the block after it; "" where that is not known.
        final: Whether the chain calls it final.
    """

    grid: str
    number: int
    hash: str
    time: int
    next_hash: str = ""
    final: bool = True


@dataclass(frozen=True, slots=True)
class Wanted:
    """A call that is to be sent.

    Attributes:
        rpc: The call.
        inner: The calls that are in it; none for the code of a contract.
        beside: Whether the day stands without it.
    """

    rpc: RpcCall
    inner: tuple[Call, ...] = ()
    beside: bool = False


class NoState(Exception):
    """A provider answered as if nothing stood there, and has not shown that it has the state of the block."""


Ask: TypeAlias = Callable[[], Asking[list[Position]]]
AskBeside: TypeAlias = Callable[[Sequence[Position]], Asking[object]]


@dataclass
class DayCalls:
    """The calls of one market at one block.

    A provider that keeps no old state may answer as if no contract stood anywhere. So where nothing seems to stand
    counts only from one that has shown at this block that it has the state (by an answer of Multicall3, or the code of
    the market's main contract), or, before Multicall3 stood, from two.

    Args:
        pin: The block.
        ask: Makes the family's generator.
        main: The contract that a market of the family must have.
        multicall: Where Multicall3 stands; calls go one by one before its block.
        likely: Calls that it will probably make: those of the day before. They go out at once.
        look: Whether it is not known since when the market is there.
        beside: Makes the generator of what is asked beside the state, of what the state says; None for nothing. It is
            not asked before Multicall3 stands.
        likely_beside: Calls that that one will probably make.

    Attributes:
        pages: The answers to keep, in their order.
        positions: What the family said.
        made, made_beside: The calls that were made for it, and beside it.
        state, reason: What became of it; None while calls are wanted.
        fault_beside: Why what was asked beside it is not known; "" where it is, or nothing was.
    """

    pin: Pin
    ask: Ask
    main: str
    multicall: Multicall3
    likely: Sequence[Call] = ()
    look: bool = False
    beside: AskBeside | None = None
    likely_beside: Sequence[Call] = ()
    pages: list[Page] = field(default_factory=list)
    positions: list[Position] = field(default_factory=list)
    made: list[Call] = field(default_factory=list)
    made_beside: list[Call] = field(default_factory=list)
    state: DayState | None = None
    reason: str = ""
    fault_beside: str = ""
    _queue: deque[Wanted] = field(default_factory=deque)
    _sent: int = 0
    _code_stands: bool = False
    _have_state: set[str] = field(default_factory=set)
    _tell_nothing: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.answers = Answers(self.multicall.address.lower())
        if not self.in_one:
            self._queue.append(self._code())
        if self.likely:
            self._enqueue(self.likely)
            if self.beside is not None and self.in_one:
                self._enqueue(self.likely_beside, beside=True)
        else:
            self._drive()

    @property
    def in_one(self) -> bool:
        """Whether Multicall3 stands at the block."""
        return self.pin.number >= self.multicall.since_block

    def take(self) -> list[Wanted]:
        """The calls to send now; each must come back by `answered`, `again` or `gave_up`."""
        taken = list(self._queue)
        self._queue.clear()
        self._sent += len(taken)
        return taken

    def again(self, wanted: Wanted) -> None:
        """A call was sent, and its answer does not count."""
        self._sent -= 1
        if wanted.beside and self.fault_beside:
            self._go_on()
        else:
            self._queue.append(wanted)

    def gave_up(self, wanted: Wanted, reason: str) -> None:
        """Nobody answers a call that was sent: the day failed, but for what is asked beside its state."""
        if self.state is None:
            self._sent -= 1
            self._fail(wanted, reason)
            self._go_on()

    def answered(self, wanted: Wanted, answer: RpcAnswer) -> None:
        """A call was answered at the pinned block.

        Raises:
            NoState: The answer does not count, because the provider has not shown that it has the state; the call is
                wanted again, of another.
        """
        if self.state is not None:
            return
        response = Response(answer.result, answer.error, answer.payload)
        try:
            if not wanted.inner:
                self._see_code(answer)
            elif wanted.rpc.params[0]["to"] == self.multicall.address:
                self._see_several(wanted, answer, response)
            else:
                self._see_single(wanted, answer, response)
        except NoState:
            self.again(wanted)
            raise
        except FormatDrift as exc:
            reason = f"{answer.provider}: {exc}"
            if wanted.beside:
                self._without_beside(reason)
            else:
                self._end("REFUSED", reason)
        self._sent -= 1
        self._go_on()

    def note(self) -> DayNote:
        """What is to be recorded of it, but for what the market knows besides."""
        assert self.state is not None, "calls are still wanted"
        pin = self.pin
        return DayNote(pin.grid, self.state, pin.number, pin.hash, pin.time, self.reason)

    def _see_several(self, wanted: Wanted, answer: RpcAnswer, response: Response) -> None:
        if answer.result is None:
            self.pages.append(page_of(answer))
            if wanted.beside:
                self._without_beside(f"{answer.provider}: {answer.error}")
            else:
                self._split(wanted)
            return
        if _is_nothing(answer):
            raise NoState(f"it says that Multicall3 does not stand at block {self.pin.number}")
        self.answers.keep(self.multicall.address, octets(wanted.rpc.params[0]["data"], "data of a call"), response)
        self._have_state.add(answer.provider)
        self.pages.append(page_of(answer))
        if len(wanted.inner) > 1:
            silent = [call for call in wanted.inner if self.answers.find(call) == CallResult(False, b"")]
            self._queue.extend(self._single(call, beside=wanted.beside) for call in silent)

    def _split(self, wanted: Wanted) -> None:
        """Too much for a node at once: in halves, and at last by itself."""
        if len(wanted.inner) == 1:
            self._queue.append(self._single(wanted.inner[0]))
            return
        half = len(wanted.inner) // 2
        self._queue += [self._several(wanted.inner[:half]), self._several(wanted.inner[half:])]

    def _see_single(self, wanted: Wanted, answer: RpcAnswer, response: Response) -> None:
        (call,) = wanted.inner
        if _is_nothing(answer) and answer.provider not in self._have_state:
            raise NoState(f"it says that nothing stands at {call.to} at block {self.pin.number}")
        self.pages.append(page_of(answer))
        self.answers.keep(call.to, call.data, response)
        if answer.error is not None and not is_revert(response):
            self._fail(wanted, f"{answer.provider}: a call of {call.to}: {answer.error}")

    def _see_code(self, answer: RpcAnswer) -> None:
        if answer.result is None:
            self._end("SOURCE_FAILED", f"{answer.provider}: the code of {self.main}: {answer.error}")
            return
        if not _is_nothing(answer):
            self._code_stands = True
            self._have_state.add(answer.provider)
        else:
            self._tell_nothing.add(answer.provider)
            if answer.provider not in self._have_state and len(self._tell_nothing) == 1:
                raise NoState(f"it says that no contract stands at {self.main} at block {self.pin.number}")
            self._end("NOT_DEPLOYED", f"no contract stands at {self.main} at block {self.pin.number}")
        self.pages.append(page_of(answer))

    def _go_on(self) -> None:
        if not self._queue and not self._sent and self.state is None:
            self._drive()

    def _drive(self) -> None:
        self.made = []
        try:
            self.positions = replay(self.ask, self.answers, self.made)
        except Unanswered as missing:
            self._enqueue(missing.calls)
        except FormatDrift as exc:
            self._settle("REFUSED", str(exc))
        else:
            self._drive_beside()

    def _drive_beside(self) -> None:
        """What is asked beside a state that is known; its fault is none of the state."""
        ask = self.beside
        if ask is not None and self.in_one and not self.fault_beside:
            self.made_beside = []
            try:
                replay(lambda: ask(self.positions), self.answers, self.made_beside)
            except Unanswered as missing:
                self._enqueue(missing.calls, beside=True)
                return
            except FormatDrift as exc:
                self._without_beside(str(exc))
        self._settle("OK", "")

    def _fail(self, wanted: Wanted, reason: str) -> None:
        if wanted.beside:
            self._without_beside(reason)
        else:
            self._end("SOURCE_FAILED", reason)

    def _without_beside(self, reason: str) -> None:
        self.fault_beside = self.fault_beside or reason
        self.made_beside = []
        self._queue = deque(wanted for wanted in self._queue if not wanted.beside)

    def _settle(self, state: DayState, reason: str) -> None:
        """End so, but where the main contract may not stand look first: then it is not deployed."""
        main = [result for (to, _), result in self.answers.held.items() if to == self.main.lower()]
        is_shown = self._code_stands or any(result.data or not result.success for result in main)
        if is_shown or (state == "OK" and not self.look):
            self._end(state, reason)
        elif not main:
            self._enqueue([Call(self.main, bytes(4))])
        else:
            self._queue.append(self._code())

    def _enqueue(self, calls: Iterable[Call], *, beside: bool = False) -> None:
        unique = list(dict.fromkeys(calls))
        if not self.in_one:
            self._queue.extend(map(self._single, unique))
            return
        for start in range(0, len(unique), MOST_CALLS):
            self._queue.append(self._several(unique[start : start + MOST_CALLS], beside=beside))

    def _several(self, calls: Sequence[Call], *, beside: bool = False) -> Wanted:
        return self._eth_call(self.multicall.address, encode_calls(calls), calls, beside=beside)

    def _single(self, call: Call, *, beside: bool = False) -> Wanted:
        return self._eth_call(call.to, call.data, (call,), beside=beside)

    def _eth_call(self, to: str, data: bytes, inner: Sequence[Call], *, beside: bool) -> Wanted:
        rpc = RpcCall("eth_call", [{"to": to, "data": hex_text(data)}, hex(self.pin.number)])
        return Wanted(rpc, tuple(inner), beside)

    def _code(self) -> Wanted:
        return Wanted(RpcCall("eth_getCode", [self.main, hex(self.pin.number)]))

    def _end(self, state: DayState, reason: str) -> None:
        self.state, self.reason = state, reason
        self._queue.clear()


def _is_nothing(answer: RpcAnswer) -> bool:
    return answer.result is not None and bytes(answer.result) == NOTHING
