"""What a collection of lending markets is to do, and what that costs, before anybody is asked."""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from tidelake.chains.registry import chain
from tidelake.chains.spec import Chain
from tidelake.jobs.lending_lanes import DaysHeld, LogsHeld, days_held, logs_held, pins_held
from tidelake.jobs.log_proofs import can_prove
from tidelake.jobs.logs_since_deployment import BLOCK_MS, since_deployment
from tidelake.lending.day_calls import MOST_CALLS
from tidelake.lending.grid import Moment, moment_before
from tidelake.lending.market import Market
from tidelake.lending.oracle_prices import has_oracle
from tidelake.lending.recorded import BlockNote, Told
from tidelake.raw.store import Store
from tidelake.transport.rpc_calls import RpcCall
from tidelake.transport.rpc_providers import Provider

RETRIED = ("", "SOURCE_FAILED", "REFUSED")
HEADERS_A_PIN = 8  # asked by the search, about, as measured on uneven clocks of a year of days
SPAN = 30  # grid times of a partition
LATENCY_S = 0.1  # of one request, as supposed
PER_WIDTH = 10_000  # blocks in one request for logs, as supposed
BUSY_BLOCKS = 200  # a day, with logs that tell amounts: each has its header asked for; as supposed
UNDECIDED = 4  # of so many blocks the bloom of one does not rule logs out, as supposed
DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Partition:
    """Grid times of one market, collected by themselves: they need nothing of others and can be collected again."""

    chain: str
    market: str
    moments: tuple[Moment, ...]


@dataclass(frozen=True, slots=True)
class Cost:
    """What is to be asked, estimated.

    Attributes:
        calls: JSON-RPC calls.
        requests: HTTP requests: a batch is one.
        units: Compute units, as the first provider counts them.
        seconds: Time, by the first provider's limits.
        supposed: Calls among them for headers of blocks with logs that tell amounts, of which it is not known how many
            there are: `BUSY_BLOCKS` a day, likely far fewer.
    """

    calls: int = 0
    requests: int = 0
    units: int = 0
    seconds: float = 0.0
    supposed: int = 0


def wanted_moments(moments: Iterable[Moment], held: DaysHeld, *, retry_failed: bool) -> list[Moment]:
    """The grid times of a market to collect: those without a word, with `retry_failed` those that failed as well."""
    again = RETRIED if retry_failed else RETRIED[:1]
    return [moment for moment in moments if held.state(moment.label) in again]


def partitions(market: Market, moments: Sequence[Moment]) -> list[Partition]:
    """Wanted grid times in spans of at most 30, in order."""
    return [Partition(market.chain, market.id, tuple(moments[at : at + SPAN])) for at in range(0, len(moments), SPAN)]


@dataclass
class ChainPlan:
    """What is to be done on one chain.

    Attributes:
        chain: The chain.
        markets: By id.
        parts: Partitions, in order of markets and time.
        pins: Grid times without a pinned block.
        logs: Grid times with a market whose logs are not known.
        since: Ranges of blocks whose logs are needed since a market's deployment and are not known; where the last
            grid time has no pinned block, its number is estimated.
        agree: How many providers must agree.
        prove: Whether logs are held against the headers of all blocks.
        every_block: Whether each block of a grid time is read; the cost then supposes that none is in the lake.
    """

    chain: Chain
    markets: Mapping[str, Market]
    parts: list[Partition] = field(default_factory=list)
    pins: list[Moment] = field(default_factory=list)
    logs: list[Moment] = field(default_factory=list)
    since: list[tuple[Told, int, int]] = field(default_factory=list)
    agree: int = 1
    prove: bool = False
    every_block: bool = False

    def wanted(self) -> dict[str, list[Moment]]:
        """The grid times by market."""
        found: dict[str, list[Moment]] = {}
        for part in self.parts:
            found.setdefault(part.market, []).extend(part.moments)
        return found

    def cost(self, calls_of: Mapping[str, int], provider: Provider | None) -> Cost:
        """What it costs.

        Args:
            calls_of: Calls of contracts that a market makes at a block.
            provider: Whose limits and prices count; None where there is none.
        """
        wanted = self.wanted()
        each = DAY_S * 1000 // (self.chain.block_ms or BLOCK_MS) if self.every_block else 1
        state = each * sum(len(found) * self._state_calls(market, calls_of[market]) for market, found in wanted.items())
        days = len({moment.label for found in wanted.values() for moment in found})
        days *= 1 + (1 + self.agree) * each if self.every_block else 1
        proven = self._blocks() if self.prove else 0
        ends, busy = self._headers_since()
        headers = len(self.pins) * (HEADERS_A_PIN + 2 * self.agree) + days + self.agree * (ends + busy) + proven
        logs = -(-self._blocks() // PER_WIDTH) + sum(
            -(-(last - first + 1) // PER_WIDTH) for _, first, last in self.since
        )
        found = _cost(state, headers, self.agree * logs, proven // UNDECIDED, provider)
        return replace(found, supposed=self.agree * busy)

    def _state_calls(self, market: str, inner: int) -> int:
        """Calls at a block, about: of Multicall3, and one more of the market's oracle."""
        found = self.markets[market]
        return -(-inner // MOST_CALLS) + has_oracle(found.family, found.contracts)

    def _blocks(self) -> int:
        """Blocks whose logs of liquidations are asked for, about."""
        if not self.logs:
            return 0
        step = self.logs[-1].end_s - self.logs[-2].end_s if len(self.logs) > 1 else DAY_S
        return len(self.logs) * step * 1000 // (self.chain.block_ms or BLOCK_MS)

    def _headers_since(self) -> tuple[int, int]:
        """Headers beside logs that tell amounts: of the ends of ranges, and of the blocks of logs, as supposed."""
        blocks = [last - first + 1 for told, first, last in self.since if told == "state"]
        days = sum(blocks) * (self.chain.block_ms or BLOCK_MS) // (DAY_S * 1000)
        return len(blocks), days * BUSY_BLOCKS


def _cost(state: int, headers: int, logs: int, receipts: int, provider: Provider | None) -> Cost:
    batch = provider.max_batch if provider else 100
    calls = state + headers + logs + receipts
    requests = -(-(state + headers + receipts) // batch) + logs
    if provider is None:
        return Cost(calls, requests)
    counts = (
        ("eth_call", state),
        ("eth_getBlockByNumber", headers),
        ("eth_getLogs", logs),
        ("eth_getBlockReceipts", receipts),
    )
    units = sum(count * provider.units.price(RpcCall(method, [{}, "0x0"])) for method, count in counts)
    pace = provider.requests.weight / provider.requests.seconds
    seconds = max(requests / pace, requests * LATENCY_S / provider.parallel)
    if provider.load is not None:
        seconds = max(seconds, units * provider.load.seconds / provider.load.weight)
    return Cost(calls, requests, units, seconds)


def total(costs: Iterable[Cost]) -> Cost:
    """Of chains that are asked side by side."""
    found = list(costs)
    return Cost(
        sum(one.calls for one in found),
        sum(one.requests for one in found),
        sum(one.units for one in found),
        max((one.seconds for one in found), default=0.0),
        sum(one.supposed for one in found),
    )


def plan_chain(
    store: Store,
    chain_markets: Sequence[Market],
    moments: Sequence[Moment],
    *,
    retry_failed: bool,
    agree: int = 1,
    prove: bool = False,
    every_block: bool = False,
    key: bytes | None = None,
) -> ChainPlan:
    """What a collection would do on one chain; touches nothing.

    Args:
        store: The lake's store.
        chain_markets: Markets of one chain.
        moments: The grid times that are asked for.
        retry_failed: Whether what failed is asked for again.
        agree: How many providers must tell logs alike.
        prove: Whether logs that one provider alone tells are to be proven, where the chain allows it.
        every_block: Whether each block of the grid times, which are days, is to be read.
        key: Of encrypted segments.
    """
    name = chain_markets[0].chain
    found = chain(name)
    prove = prove and agree == 1 and can_prove(found)
    plan = ChainPlan(found, {market.id: market for market in chain_markets}, agree=agree, prove=prove)
    plan.every_block = every_block
    pins = pins_held(store, name, key)
    logs = logs_held(store, name, key)
    without: dict[str, Moment] = {}
    for market in chain_markets:
        held = days_held(store, market.id, key)
        wanted_of = moments if every_block else wanted_moments(moments, held, retry_failed=retry_failed)
        plan.parts += partitions(market, wanted_of)
        for moment in moments:
            if not _logs_known(logs, pins, market.id, moment, held, proven=agree > 1 or prove):
                without[moment.label] = moment
        if moments:
            wanted = _since(market, found, moments[-1], pins, logs, proven=agree > 1, retry_failed=retry_failed)
            plan.since += wanted
    plan.pins = [moment for moment in moments if moment.label not in pins]
    plan.logs = sorted(without.values(), key=lambda moment: moment.end_s)
    return plan


def _since(
    market: Market,
    chain: Chain,
    moment: Moment,
    pins: Mapping[str, BlockNote],
    logs: LogsHeld,
    *,
    proven: bool,
    retry_failed: bool,
) -> list[tuple[Told, int, int]]:
    last = _number_at(market, chain, moment, pins)
    return [
        (asked.told, *one)
        for asked in since_deployment(market)
        for one in asked.lacking(logs, chain, last, proven=proven, retry_failed=retry_failed)
    ]


def _number_at(market: Market, chain: Chain, moment: Moment, pins: Mapping[str, BlockNote]) -> int:
    """The last block before a grid time ends, about: counted from the nearest pinned block, or the deployment."""
    told = market.deployment
    if pins:
        pin = pins.get(moment.label) or min(pins.values(), key=lambda pin: abs(pin.time - moment.end_s))
        if pin.grid == moment.label:
            return pin.block
        begin, begin_s = pin.block, float(pin.time)
    elif told.time is not None:
        begin, begin_s = told.block or 0, told.time.timestamp()
    elif day := told.date or told.defillama_start or told.listed_by:
        begin, begin_s = told.block or 0, dt.datetime.combine(day, dt.time(), dt.UTC).timestamp()
    else:
        return told.block or 0
    return begin + int(moment.end_s - begin_s) * 1000 // (chain.block_ms or BLOCK_MS)


def _logs_known(
    logs: LogsHeld, pins: dict[str, BlockNote], market: str, moment: Moment, held: DaysHeld, *, proven: bool
) -> bool:
    if held.state(moment.label) not in ("", "OK"):
        return True
    before, pin = pins.get(moment_before(moment).label), pins.get(moment.label)
    if before is None or pin is None:
        return False
    return logs.covers(market, before.block + 1, pin.block, proven=proven)
