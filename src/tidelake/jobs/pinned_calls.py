"""State calls of many markets at many pinned blocks, sent together; no answer counts without the block's header.

Each HTTP request asks for the headers of its blocks too. Calls whose header did not come in the same response with the
pinned hash are asked of another provider: the one that answered lags, or follows another branch.
"""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import msgspec

from tidelake.errors import AskedTooMuch, ConfigError, FormatDrift, NotServed, SourceError
from tidelake.lending.day_calls import DayCalls, NoState, Wanted
from tidelake.lending.recorded import is_revert
from tidelake.transport.rpc import RpcPool
from tidelake.transport.rpc_calls import Response, RpcAnswer, RpcCall

MOST_BYTES = 1_000_000  # of one request, about: gateways refuse bodies of a few megabytes
MOST_TRIES = 6  # of a call whose header came in another response

Item = tuple["Asked", Wanted]


class _Hashed(msgspec.Struct):
    hash: str


@dataclass(eq=False)
class Asked:
    """One market at one block, on its way.

    Attributes:
        day: Its calls.
        apart: Providers whose answers did not count, and why.
        only: The one to ask, because it has the state and the header came of another; "" for any.
        tries: How often a header was missing.
    """

    day: DayCalls
    apart: dict[str, str] = field(default_factory=dict)
    only: str = ""
    tries: int = 0

    def not_asked(self, names: Iterable[str]) -> frozenset[str]:
        """Those of all providers that are not to be asked."""
        return frozenset(name for name in names if name in self.apart or self.only not in ("", name))


def header_call(number: int) -> RpcCall:
    """Asks for the header of a block, with hashes of transactions alone."""
    return RpcCall("eth_getBlockByNumber", [hex(number), False])


async def ask_days(pool: RpcPool, days: Sequence[DayCalls]) -> None:
    """Ask until each has a state. Errors of sources end the days that they hit."""
    asked = [Asked(day) for day in days]
    while items := [(one, wanted) for one in asked for wanted in one.day.take()]:
        await asyncio.gather(*(_send(pool, batch) for batch in _batches(pool, items)))


def _batches(pool: RpcPool, items: Iterable[Item]) -> Iterator[list[Item]]:
    """Items of the same providers, as many as one request takes, in the order of their blocks."""
    by_apart: dict[frozenset[str], list[Item]] = {}
    for item in items:
        by_apart.setdefault(item[0].not_asked(pool.usage), []).append(item)
    for group in by_apart.values():
        group.sort(key=lambda item: item[0].day.pin.number)
        while group:
            count = _room(pool, group)
            yield group[:count]
            del group[:count]


def _room(pool: RpcPool, items: Sequence[Item]) -> int:
    """How many of these fit into one request with their headers: at least one."""
    calls: list[RpcCall] = []
    ends: list[int] = []
    seen: set[int] = set()
    size = 0
    room = pool.room([header_call(0)] * 10_000)
    for asked, wanted in items:
        number = asked.day.pin.number
        calls += [wanted.rpc] if number in seen else [header_call(number), wanted.rpc]
        seen.add(number)
        size += len(wanted.rpc.params[0]["data"]) if wanted.inner else 0
        if ends and (len(calls) > room or size > MOST_BYTES):
            break
        ends.append(len(calls))
    fit = pool.room(calls[: ends[-1]])
    return max(1, sum(end <= fit for end in ends))


async def _send(pool: RpcPool, items: list[Item]) -> None:
    headers = [header_call(number) for number in dict.fromkeys(asked.day.pin.number for asked, _ in items)]
    calls = headers + [wanted.rpc for _, wanted in items]
    highest = max(asked.day.pin.number for asked, _ in items)
    try:
        answers = await pool.ask(calls, head=highest, apart=items[0][0].not_asked(pool.usage))
    except (NotServed, AskedTooMuch, FormatDrift) as exc:
        await _send_fewer(pool, items, exc)
    except (SourceError, ConfigError) as exc:
        needed = [item for item in items if not item[1].beside]
        if len(needed) in (0, len(items)):
            _fail(items, exc)
            return
        _fail([item for item in items if item[1].beside], exc)
        await _send(pool, needed)  # what is asked beside the state may be what nobody answers
    else:
        hashes = _hashes(answers[: len(headers)])
        for item, answer in zip(items, answers[len(headers) :], strict=True):
            _settle(*item, answer, hashes)


async def _send_fewer(pool: RpcPool, items: list[Item], exc: Exception) -> None:
    """One of them cannot be answered: find out which."""
    if len(items) == 1:
        _fail(items, exc)
        return
    half = len(items) // 2
    await _send(pool, items[:half])
    await _send(pool, items[half:])


def _fail(items: Iterable[Item], exc: Exception) -> None:
    for asked, wanted in items:
        reasons = [f"{name}: {reason}" for name, reason in asked.apart.items()]
        asked.day.gave_up(wanted, "; ".join([*reasons, str(exc)]))


def _hashes(headers: Iterable[RpcAnswer]) -> dict[tuple[str, int, int], str]:
    """The hash of each header, by provider and clock of the response that it came in, and its number."""
    found = {}
    for answer in headers:
        number = int(answer.call.params[0], 16)
        told = answer.value(_Hashed | None) if answer.result is not None else None  # type: ignore[arg-type]
        found[answer.provider, answer.mono_ns, number] = told.hash.lower() if told else ""
    return found


def _settle(asked: Asked, wanted: Wanted, answer: RpcAnswer, hashes: dict[tuple[str, int, int], str]) -> None:
    day = asked.day
    if day.state is not None:
        return
    told = hashes.get((answer.provider, answer.mono_ns, day.pin.number))
    if told == day.pin.hash or _says_no_state(answer):
        try:
            day.answered(wanted, answer)
        except NoState as exc:
            asked.only = ""
            asked.apart[answer.provider] = str(exc)
        return
    if told is None:
        asked.tries += 1
        asked.only = answer.provider
        if asked.tries >= MOST_TRIES:
            day.gave_up(wanted, f"{answer.provider}: the header never came with the state")
            return
    else:
        asked.only = ""
        asked.apart[answer.provider] = f"it has another block {day.pin.number}: {told or 'none'}"
    day.again(wanted)


def _says_no_state(answer: RpcAnswer) -> bool:
    """Whether it is an error of the node: that needs no header, as nothing is read from it."""
    return answer.error is not None and not is_revert(Response(answer.result, answer.error, answer.payload))
