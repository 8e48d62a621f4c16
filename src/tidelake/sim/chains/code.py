"""Contracts of a simulated chain: which stands where since when, and what each answers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from tidelake.sim.chains.amounts import Moment

Answering: TypeAlias = Callable[[Moment], bytes]
Function: TypeAlias = Callable[[bytes], Answering]  # arguments of a call -> what it answers at a block
_SHORT = 100  # octets of a call's data


class Reverted(Exception):
    """A contract refuses a call; `data` is the reason that it gives, or nothing."""

    def __init__(self, data: bytes = b"") -> None:
        super().__init__(data.hex())
        self.data = data


class Contract(Protocol):
    """A contract."""

    def find(self, data: bytes) -> Answering:
        """What a call answers; raises Reverted there or when it is asked for a block."""


@dataclass(frozen=True)
class Functions:
    """A contract of a table of functions, by selector; it refuses all others."""

    by_selector: Mapping[bytes, Function]

    def find(self, data: bytes) -> Answering:
        """See `Contract`."""
        function = self.by_selector.get(data[:4])
        if function is None:
            return refuse
        return function(data[4:])


def refuse(moment: Moment) -> bytes:
    """The answer of a contract that has no such function."""
    raise Reverted


def always(answer: bytes) -> Function:
    """A function that answers the same at every block."""
    return lambda arguments: lambda moment: answer


def changing(answer: Answering) -> Function:
    """A function without arguments."""
    return lambda arguments: answer


def counting(amount: Callable[[Moment], int]) -> Function:
    """A function without arguments that answers an amount."""
    return lambda arguments: lambda moment: amount(moment).to_bytes(32, "big")


def address_of(arguments: bytes, place: int = 0) -> str:
    """The address that is the argument at a place."""
    return "0x" + arguments[32 * place + 12 : 32 * place + 32].hex()


def _nothing(moment: Moment) -> bytes:
    return b""


class CodeBook:
    """All contracts of a chain.

    A call to where none stands succeeds and answers nothing, as on a real chain.
    """

    def __init__(self) -> None:
        self._at: dict[str, tuple[int, Contract]] = {}
        self._found: dict[tuple[str, bytes], Answering] = {}

    def put(self, address: str, since: int, contract: Contract) -> None:
        """A contract that stands there from a block on; the earlier one stays where two are put."""
        self._at.setdefault(address.lower(), (since, contract))

    def stands(self, address: str, number: int) -> bool:
        """Whether a contract stands there at a block."""
        found = self._at.get(address.lower())
        return found is not None and found[0] <= number

    def find(self, address: str, data: bytes) -> Answering:
        """What a call answers at any block; short ones are found once and kept."""
        if len(data) > _SHORT:
            return self._find(address.lower(), data)
        key = (address, data)
        found = self._found.get(key)
        if found is None:
            found = self._found[key] = self._find(address.lower(), data)
        return found

    def _find(self, address: str, data: bytes) -> Answering:
        since, contract = self._at.get(address, (0, None))
        if contract is None:
            return _nothing
        answer = contract.find(data)
        if since <= 0:
            return answer
        return lambda moment: answer(moment) if moment.number >= since else b""
