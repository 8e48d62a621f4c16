"""Reading of payloads and requests that the venue files share: exact numbers, query parameters, bars."""

import json
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tidelake.raw.frame import Frame
from tidelake.venues.spec import Record, Unreadable

MOST_DIGITS = 30  # of a time or a count
INTERVAL_SECONDS = {"1m": 60, "5m": 300, "15m": 900, "1h": 3_600, "1d": 86_400}


# What reading an item that is not as documented may raise.
DAMAGE = (ValueError, KeyError, TypeError, IndexError, AttributeError, ArithmeticError, RecursionError)


class _Doubled(dict[str, Any]):
    """An object that holds a key twice: nothing can be read from it, so it alone is refused, wherever it lies."""

    def _refuse(self, *_: Any) -> Any:
        raise ValueError("an object holds a key twice")

    __getitem__ = get = __contains__ = __iter__ = keys = values = items = _refuse


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    return found if len(found) == len(pairs) else _Doubled(found)


def _no_constant(word: str) -> Any:
    raise ValueError(f"{word} is not JSON")


def _bounded(text: str) -> Decimal:
    """A number of any length; NaN, which no column takes, where its exponent is beyond what Decimal holds."""
    try:
        return Decimal(text)
    except ArithmeticError:
        return Decimal("NaN")


def parse_json(text: bytes | str, hook: Callable[[list[tuple[str, Any]]], Any]) -> Any:
    """JSON with exact numbers, int and Decimal; `hook` makes each object of its pairs.

    Raises:
        ValueError: It is not JSON.
    """
    plain = partial(json.loads, text, parse_constant=_no_constant, object_pairs_hook=hook)
    try:
        try:
            return plain(parse_float=Decimal)
        except (json.JSONDecodeError, UnicodeDecodeError):
            raise
        except (ValueError, ArithmeticError):  # a number of thousands of digits, or a huge exponent: JSON all the same
            return plain(parse_float=_bounded, parse_int=_bounded)
    except RecursionError as exc:
        raise ValueError("nested too deep") from exc


def decode(payload: bytes) -> Any:
    """The payload with every decimal number as an exact Decimal; reading from an object with a doubled key raises.

    Raises:
        ValueError: It is not JSON.
    """
    return parse_json(payload, _object)


def each(items: object, read: Callable[[Any], Record | None]) -> Iterator[Record | Unreadable]:
    """The record of each item, none where `read` answers None; an item that cannot be read spoils no other.

    Raises:
        ValueError: `items` is not a list.
    """
    if not isinstance(items, list):
        raise ValueError("no list where the items should stand")
    for item in items:
        try:
            record = read(item)
        except DAMAGE as exc:
            yield Unreadable(f"{type(exc).__name__}: {exc}")
            continue
        if record is not None:
            yield record


def as_object(item: object) -> dict[str, Any]:
    """The item itself.

    Raises:
        ValueError: It is no JSON object.
    """
    if not isinstance(item, dict):
        raise ValueError(f"{item!r} is not an object")
    return item


def request_url(frame: Frame) -> str:
    """The address that a page answers, without the method before it."""
    return frame.request.removeprefix("GET ")


def request_path(frame: Frame) -> str:
    """The path of the address that a page answers."""
    return urlsplit(request_url(frame)).path


def request_query(frame: Frame) -> dict[str, str]:
    """The query parameters of the address that a page answers."""
    return dict(parse_qsl(urlsplit(request_url(frame)).query))


def ms(event_ns: int) -> int:
    """Whole milliseconds at or before the time."""
    return event_ns // 1_000_000


def ms_up(event_ns: int) -> int:
    """Whole milliseconds at or after the time."""
    return -(-event_ns // 1_000_000)


def whole(value: object) -> int:
    """The whole number that an int or its digits spell.

    Raises:
        ValueError: It is another number or none; one of many zeros would take hours to write out.
    """
    if isinstance(value, bool) or not isinstance(value, int | str) or len(str(value)) > MOST_DIGITS:
        raise ValueError(f"{value!r} is not a whole number")
    return int(value)


def finished(frame: Frame, start_ms: object, interval: str) -> bool:
    """Whether a bar had ended when it was received; a bar that still grows is no fact yet."""
    return (whole(start_ms) + INTERVAL_SECONDS[interval] * 1_000) * 1_000_000 <= frame.recv_ns


def interval_of(names: Iterable[tuple[str, str]], word: str) -> str:
    """Our name of the venue's interval word, from (ours, theirs) pairs.

    Raises:
        ValueError: No pair has that word.
    """
    for ours, theirs in names:
        if theirs == word:
            return ours
    raise ValueError(f"interval {word!r} is none that we ask for")


def exact(value: object) -> str | int | Decimal | None:
    """The number as it came, or None for an absent or empty one."""
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise ValueError(f"{value!r} is not a number")
    return value
