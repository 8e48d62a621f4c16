"""Families of the registry driven over a simulated node, in process."""

from dataclasses import dataclass, field

from tidelake.chains.logs import LogFilter, parse_logs
from tidelake.chains.multicall import CallResult, decode_results, encode_calls
from tidelake.lending.families.registry import family
from tidelake.lending.market_files import read_assets
from tidelake.lending.registry import markets
from tidelake.sim.chains.chain import SimChain
from tidelake.sim.chains.node import SimNode
from tidelake.sim.chains.rpc_errors import RpcFault
from tidelake.sim.chains.truth import Truth

REGISTRY = markets()


@dataclass
class Contracts:
    """A market as families want to know it."""

    id: str
    known_tokens: list[str] = field(default_factory=list)

    def __post_init__(self):
        self.contracts = REGISTRY[self.id].contracts
        self.known_tokens = [
            asset.supply_token
            for asset in read_assets()
            if asset.market == self.id and asset.role == "ctoken" and asset.supply_token
        ]


class Driven:
    """One market of a simulated chain, read by its family over a node."""

    def __init__(self, market, seed=1, **span):
        self.market = market
        self.family = family(REGISTRY[market].family)
        self.chain = SimChain(REGISTRY[market].chain, seed, markets=[market], **span)
        self.node = SimNode(self.chain)
        self.truth = Truth(self.chain)

    def drive(self, asking, answer):
        try:
            calls = next(asking)
            while True:
                calls = asking.send(answer(calls))
        except StopIteration as done:
            return done.value

    def positions(self, number, *, one_by_one=False):
        """What the family reads at a block, through Multicall3 or call by call."""
        many = self.call_by_call if one_by_one else self.multicall
        return self.drive(
            self.family.positions(Contracts(self.market), self.parts(number)), lambda calls: many(calls, number)
        )

    def multicall(self, calls, number):
        to = self.chain.spec.multicall3.address
        found = self.node.ask("eth_call", {"to": to, "data": "0x" + encode_calls(calls).hex()}, hex(number))
        return decode_results(bytes.fromhex(found[2:]), calls)

    def call_by_call(self, calls, number):
        return [self.call(call, number) for call in calls]

    def call(self, call, number):
        try:
            found = self.node.ask("eth_call", {"to": call.to, "data": "0x" + call.data.hex()}, hex(number))
        except RpcFault as exc:
            return CallResult(False, bytes.fromhex((exc.data or "0x")[2:]))
        return CallResult(True, bytes.fromhex(found[2:]))

    def logs(self, addresses, events, first, last):
        asked = LogFilter(tuple(addresses), ([event.topic0 for event in events],)).parameters(first, last)
        return parse_logs(self.chain.spec.name, self.node.answer("eth_getLogs", [asked]))

    def parts(self, number):
        """Parts of the market as its logs tell them."""
        if self.family.parts is None:
            return []
        form, name = self.family.parts
        found = self.logs([REGISTRY[self.market].contracts["morpho"]], [form], 0, number)
        return ["0x" + form.decode(log.topics, log.data)[name].hex() for log in found]

    def liquidations(self, first, last):
        addresses = self.family.addresses(Contracts(self.market), self.positions(last))
        found = self.logs(addresses, self.family.events, first, last)
        return [self.family.liquidation(Contracts(self.market), log) for log in found]


def as_row(found):
    """A liquidation as a family reads it, without the log's own words."""
    log = found.log
    place = (log.block_number, log.block_hash, log.tx_hash, log.log_index)
    sides = (found.debt_token, found.debt_repaid, found.collateral_token, found.collateral_seized)
    return (*place, found.borrower, found.liquidator, *sides, found.bad_debt, found.part)


def as_true_row(found):
    """A true liquidation in the same order."""
    what = found.what
    place = (found.block_number, found.block_hash, found.tx_hash, found.log_index)
    sides = (what.debt_token, what.debt_repaid, what.collateral_token, what.collateral_seized)
    return (*place, what.borrower, what.liquidator, *sides, what.bad_debt, what.part)
