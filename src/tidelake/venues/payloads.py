"""Reading of payloads and requests that the venue files share: exact numbers, query parameters, bars."""

import json
from collections.abc import Iterable
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tidelake.raw.frame import Frame

INTERVAL_SECONDS = {"1m": 60, "5m": 300, "15m": 900, "1h": 3_600, "1d": 86_400}


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("an object holds a key twice")
    return found


def _no_constant(word: str) -> Any:
    raise ValueError(f"{word} is not JSON")


def decode(payload: bytes) -> Any:
    """The payload with every decimal number as an exact Decimal.

    Raises:
        ValueError: It is not JSON, or an object in it holds a key twice.
    """
    try:
        return json.loads(payload, parse_float=Decimal, parse_constant=_no_constant, object_pairs_hook=_unique)
    except RecursionError as exc:
        raise ValueError("nested too deep") from exc


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


def finished(frame: Frame, start_ms: int, interval: str) -> bool:
    """Whether a bar had ended when it was received; a bar that still grows is no fact yet."""
    return (start_ms + INTERVAL_SECONDS[interval] * 1_000) * 1_000_000 <= frame.recv_ns


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
