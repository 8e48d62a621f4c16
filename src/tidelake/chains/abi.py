"""Calls, answers and logs of contracts, by their declared types.

What is not exactly of the declared types is refused: data of another length, padding that is not zero, offsets that
point elsewhere than an encoder puts them. A contract that answers with more or fewer words than we know was changed,
and its first word may mean something else.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from tidelake.chains.fixed_words import fixed_reader
from tidelake.chains.hexadecimal import octets
from tidelake.chains.keccak import keccak
from tidelake.errors import FormatDrift

WORD = 32
SHORT = 4_096  # octets of an answer that is remembered
KEPT = 16_384  # answers, and calls, that are
Types = tuple[str, ...]
_NAMED = re.compile(r"\s*(?:event\s+|function\s+)?([A-Za-z_$][\w$]*)\s*\((.*)\)\s*;?\s*", re.DOTALL)
_DYNAMIC = re.compile(r"bytes(?!\d)|string|\[\]")
_TYPED = re.compile(r"(\(.*\)(?:\[\d*\])*|[^\s()]+)\s*([^()]*)", re.DOTALL)
_ARRAY = re.compile(r"\[(\d+)\]$")


@dataclass(frozen=True)
class Function:
    """A function of a contract.

    Attributes:
        name: Its name.
        inputs: Canonical types of its arguments: "address", "uint256", "(address,bool,bytes)[]".
        outputs: Canonical types of what it returns.
    """

    name: str
    inputs: Types
    outputs: Types

    @cached_property
    def signature(self) -> str:
        """Name and types of arguments, as they are hashed."""
        return f"{self.name}({','.join(self.inputs)})"

    @cached_property
    def selector(self) -> bytes:
        """The four octets that a call begins with."""
        return keccak(self.signature.encode())[:4]

    def encode(self, *arguments: object) -> bytes:
        """The data of a call. Addresses are "0x.." texts, integers ints, octets bytes.

        Raises:
            ValueError: The arguments are not of the declared types.
        """
        from eth_abi.exceptions import EncodingError

        try:
            return self.selector + _encode(self.inputs, arguments)
        except (EncodingError, TypeError) as exc:
            raise ValueError(f"{self.signature}: {exc}") from exc

    def decode(self, answer: bytes) -> tuple[Any, ...]:
        """What a call returned, one value for each of `outputs`; addresses as "0x.." in small letters.

        Raises:
            FormatDrift: The answer is not exactly of these types; an empty one means that no contract stood there.
        """
        if not answer and self.outputs:
            raise FormatDrift(
                f"{self.signature} answered nothing: no contract at that address and block, or not this one"
            )
        return _decode(self.outputs, answer, self.signature)


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of an event; an indexed one stands in a topic."""

    name: str
    type: str
    indexed: bool


@dataclass(frozen=True)
class Event:
    """An event that a contract logs."""

    name: str
    parameters: tuple[Parameter, ...]

    @cached_property
    def signature(self) -> str:
        """Name and types, as they are hashed."""
        return f"{self.name}({','.join(parameter.type for parameter in self.parameters)})"

    @cached_property
    def topic0(self) -> str:
        """The first topic of its logs."""
        return "0x" + keccak(self.signature.encode()).hex()

    @cached_property
    def _indexed(self) -> tuple[Parameter, ...]:
        return tuple(parameter for parameter in self.parameters if parameter.indexed)

    @cached_property
    def _plain(self) -> tuple[Parameter, ...]:
        return tuple(parameter for parameter in self.parameters if not parameter.indexed)

    def decode(self, topics: Sequence[str], data: str) -> dict[str, Any]:
        """The values of a log by name, in the order of declaration.

        An indexed parameter of a type without fixed length stands there as its hash, and is given as those 32 octets.

        Raises:
            FormatDrift: The log is another event's, or its topics or data are not exactly of the declared types.
        """
        if not topics or topics[0].lower() != self.topic0:
            raise FormatDrift(f"a log with first topic {topics[0] if topics else None} is not {self.signature}")
        if len(topics) - 1 != len(self._indexed):
            raise FormatDrift(
                f"a log of {self.signature} has {len(topics) - 1} topics after the first, expected {len(self._indexed)}"
            )
        found = {
            parameter.name: self._topic(parameter, topic)
            for parameter, topic in zip(self._indexed, topics[1:], strict=True)
        }
        plain = _decode(tuple(p.type for p in self._plain), octets(data, f"data of {self.signature}"), self.signature)
        found.update(zip((parameter.name for parameter in self._plain), plain, strict=True))
        return {parameter.name: found[parameter.name] for parameter in self.parameters}

    def _topic(self, parameter: Parameter, topic: str) -> Any:
        word = octets(topic, f"topic {parameter.name} of {self.signature}", WORD)
        if parameter.type.endswith(("]", ")")) or is_dynamic(parameter.type):
            return word
        return _decode((parameter.type,), word, f"{self.signature}, topic {parameter.name}")[0]


def function(declaration: str, returns: str = "") -> Function:
    """A function from `name(types)` and the types that it returns; names of parameters may stand after the types.

    Raises:
        ValueError: It is no declaration.
    """
    name, inputs = _named(declaration)
    return Function(name, _types(inputs), _types(split_types(returns)))


def event(declaration: str) -> Event:
    """An event from `event Name(type indexed name, ..)`.

    Raises:
        ValueError: It is no declaration, or a parameter has no name, or two have the same.
    """
    name, parts = _named(declaration)
    parameters = tuple(_parameter(part) for part in parts)
    names = [parameter.name for parameter in parameters]
    if "" in names or len(set(names)) < len(names):
        raise ValueError(f"each parameter needs a name of its own: {declaration}")
    return Event(name, parameters)


def split_types(text: str) -> list[str]:
    """What stands between the commas that are in no parentheses."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    found = [part.strip() for part in parts]
    if depth or ("" in found and found != [""]):
        raise ValueError(f"{text!r} is no list of types")
    return [part for part in found if part]


def is_dynamic(type_: str) -> bool:
    """Whether the length of a value of the type depends on the value."""
    return _DYNAMIC.search(type_) is not None


def words(type_: str) -> int:
    """How many words a value of a type of fixed length takes."""
    if array := _ARRAY.search(type_):
        return int(array[1]) * words(type_[: array.start()])
    if type_.startswith("("):
        return sum(words(part) for part in split_types(type_[1:-1]))
    return 1


def _named(declaration: str) -> tuple[str, list[str]]:
    found = _NAMED.fullmatch(declaration)
    if found is None:
        raise ValueError(f"{declaration!r} is no declaration: expected name(types)")
    return found[1], split_types(found[2])


def _type_and_rest(part: str) -> tuple[str, list[str]]:
    """A type, and the words after it."""
    found = _TYPED.fullmatch(part)
    if found is None:
        raise ValueError(f"{part!r} begins with no type")
    return "".join(found[1].split()), found[2].split()


def _types(parts: Sequence[str]) -> Types:
    return tuple(_type_and_rest(part)[0] for part in parts)


def _parameter(part: str) -> Parameter:
    type_, rest = _type_and_rest(part)
    name = [word for word in rest if word != "indexed"]
    return Parameter(name[-1] if name else "", type_, "indexed" in rest)


def _encode(types: Types, values: Sequence[object]) -> bytes:
    if all(type(value) in (str, int, bytes) for value in values):  # True would be looked up as 1
        return _encoded(types, tuple(values))
    return _encode_anew(types, values)


@lru_cache(KEPT)
def _encoded(types: Types, values: tuple[object, ...]) -> bytes:
    """The same calls are made day after day."""
    return _encode_anew(types, values)


def _encode_anew(types: Types, values: Sequence[object]) -> bytes:
    from eth_abi.abi import encode

    if len(types) != len(values):
        raise TypeError(f"{len(values)} values for {len(types)} types")
    return encode(types, values)


def _decode(types: Types, data: bytes, what: str) -> tuple[Any, ...]:
    if (reader := fixed_reader(types)) is not None and (read := reader(data)) is not None:
        return read
    if len(data) > SHORT:
        return decode_slowly(types, data, what)
    return _decoded(types, data, what)


@lru_cache(KEPT)
def _decoded(types: Types, data: bytes, what: str) -> tuple[Any, ...]:
    """Names and lists are told alike day after day."""
    return decode_slowly(types, data, what)


def decode_slowly(types: Types, data: bytes, what: str) -> tuple[Any, ...]:
    """The values of data of any types; raises FormatDrift where it is not exactly of these."""
    from eth_abi.abi import decode
    from eth_abi.exceptions import DecodingError

    dynamic = any(map(is_dynamic, types))
    if not dynamic and len(data) != (expected := WORD * sum(map(words, types))):
        raise FormatDrift(f"{what}: {len(data)} octets, expected {expected}")
    try:
        found: tuple[Any, ...] = decode(types, data)
    except (DecodingError, UnicodeDecodeError, OverflowError) as exc:
        raise FormatDrift(f"{what}: {len(data)} octets that are not ({','.join(types)}): {exc}") from exc
    if dynamic and _encode(types, found) != data:
        raise FormatDrift(f"{what}: {len(data)} octets that no encoder makes of ({','.join(types)})")
    return found
