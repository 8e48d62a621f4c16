"""Simulated Morpho Blue: one contract, markets that anybody makes over time, most of them empty, and moved collateral.

Form: morpho-org/morpho-blue (IMorpho.sol, EventsLib.sol).
"""

from dataclasses import dataclass

from tidelake.lending.spec import Position
from tidelake.sim.chains.amounts import Moment, Pool
from tidelake.sim.chains.clock import DAY_S
from tidelake.sim.chains.code import Answering, Functions
from tidelake.sim.chains.draws import Draws
from tidelake.sim.chains.events import Liquidated, Log, Transaction, liquidations_a_day, transfer
from tidelake.sim.chains.families.place import Place
from tidelake.sim.chains.tokens import Token
from tidelake.sim.chains.words import address_topic, address_word, selector, topic, word, words

CREATE = topic("CreateMarket(bytes32,(address,address,address,address,uint256))")
LIQUIDATE = topic("Liquidate(bytes32,address,address,uint256,uint256,uint256,uint256,uint256)")
SUPPLIED = topic("SupplyCollateral(bytes32,address,address,uint256)")
WITHDRAWN = topic("WithdrawCollateral(bytes32,address,address,address,uint256)")
BEFORE, WITHIN = 30, 40  # markets made before the span, and within it
_NEVER = 2**63


@dataclass(frozen=True)
class _Market:
    """One market.

    Attributes:
        id: "0x" and 64 digits.
        since: Block in which it was made.
        filled, emptied: Times between which somebody supplies.
        parameters: The five words that made it.
    """

    id: str
    since: int
    loan: Token
    collateral: Token
    pool: Pool
    filled: int
    emptied: int
    parameters: bytes

    def holds(self, moment: Moment) -> bool:
        return self.since <= moment.number and self.filled <= moment.time < self.emptied


class Morpho:
    """The contract with all its markets."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._morpho = place.market.contracts["morpho"].lower()
        made = [self._market(i) for i in range(BEFORE + WITHIN)]
        self._markets = sorted(made, key=lambda one: (one.since, one.id))
        self._by_id = {bytes.fromhex(one.id[2:]): one for one in self._markets}
        table = {
            selector("market(bytes32)"): self._state,
            selector("idToMarketParams(bytes32)"): self._parameters,
        }
        place.codes.put(self._morpho, place.deployed, Functions(table))

    def _market(self, i: int) -> _Market:
        place, draws = self.place, self.place.draws.within("market", i)
        loan, collateral = place.picked(8)[i % 7], place.picked(8)[(i + 1 + i // 7) % 8]
        ends = (loan.address, collateral.address, draws.address("oracle"), draws.address("irm"))
        since = self._since(i, draws)
        kind = draws.below(5, "kind")
        filled = place.clock.time_of(since) + draws.below(20 * DAY_S, "filled")
        return _Market(
            id=draws.digest("id"),
            since=since,
            loan=loan,
            collateral=collateral,
            pool=Pool(draws, loan.decimals),
            filled=_NEVER if kind > 1 else filled,  # three of five are never used
            emptied=filled + 40 * DAY_S if kind == 1 and i % 2 else _NEVER,
            parameters=b"".join(map(address_word, ends)) + word(86 * 10**16),
        )

    def _since(self, i: int, draws: Draws) -> int:
        place = self.place
        if i >= BEFORE:
            return place.event_block(place.first_day + place.days * (i - BEFORE) // WITHIN, "made", i)
        begin = place.deployed + 1
        end = max(begin + 1, place.clock.first_of(place.first_day))
        return begin + draws.below(end - begin, "since") | 1

    def _state(self, arguments: bytes) -> Answering:
        one = self._by_id.get(arguments)
        nothing = words(0, 0, 0, 0, 0, 0)
        if one is None:
            return lambda moment: nothing
        pool = one.pool

        def answer(moment: Moment) -> bytes:
            if not one.holds(moment):
                return nothing
            supplied, borrowed = pool.supplied(moment), pool.borrowed(moment)
            return words(supplied, supplied * 10**6, borrowed, borrowed * 10**6, moment.time, 0)

        return answer

    def _parameters(self, arguments: bytes) -> Answering:
        one = self._by_id.get(arguments)
        nothing = words(0, 0, 0, 0, 0)
        return lambda moment: one.parameters if one is not None and one.since <= moment.number else nothing

    def parts(self, number: int) -> list[str]:
        """Ids of the markets made up to a block, as they were made."""
        return [one.id for one in self._markets if one.since <= number]

    def positions(self, moment: Moment) -> list[Position]:
        """See `SimMarket`."""
        return [self._position(one, moment) for one in self._markets if one.holds(moment)]

    def _position(self, one: _Market, moment: Moment) -> Position:
        loan, supplied, borrowed = one.loan, one.pool.supplied(moment), one.pool.borrowed(moment)
        facts = (loan.address, loan.symbol, loan.decimals)
        return Position(*facts, "loan", supplied, borrowed, supplied - borrowed, part=one.id)

    def creations(self) -> list[Transaction]:
        """The transactions that made the markets, by block."""
        return [self._creation(one) for one in self._markets]

    def _creation(self, one: _Market) -> Transaction:
        draws = self.place.draws.within("creation", one.id)
        log = Log(self._morpho, (CREATE, one.id), one.parameters)
        return Transaction(draws.digest("hash"), one.since, draws.address("maker"), self._morpho, (log,), (None,))

    def transactions(self, day: int, *, crash: bool) -> list[Transaction]:
        """See `SimMarket`: collateral is supplied first, and less of it withdrawn and seized later."""
        place = self.place
        used = [one for one in self._markets if one.filled < day * DAY_S and one.emptied > (day + 1) * DAY_S]
        if not used:
            return []
        found = []
        for k in range(2 + liquidations_a_day(place.draws, day, crash=crash)):
            draws = place.draws.within("moves", day, k)
            one = used[draws.below(len(used), "which")]
            blocks = sorted(place.event_block(day, k, i) for i in range(3))
            amount = draws.between(4, 10 ** (one.collateral.decimals + 5), "supplied")
            if blocks[0] <= one.since or blocks[0] == blocks[1]:
                continue
            found.append(self._moved(draws, one, blocks[0], amount, SUPPLIED))
            if k < 2:
                found.append(self._moved(draws, one, blocks[1], amount // 4, WITHDRAWN))
            else:
                found.append(self._liquidated(draws, one, blocks[2], amount // 4))
        return found

    def _moved(self, draws: Draws, one: _Market, number: int, amount: int, event: str) -> Transaction:
        owner = draws.address("owner")
        caller, on_behalf = address_topic(owner), address_topic(owner)
        if event == SUPPLIED:
            log, moved = Log(self._morpho, (event, one.id, caller, on_behalf), word(amount)), amount
        else:
            topics = (event, one.id, on_behalf, address_topic(draws.address("receiver")))
            log, moved = Log(self._morpho, topics, address_word(owner) + word(amount)), -amount
        return Transaction(
            draws.digest("hash", event), number, owner, self._morpho, (log,), (None,), ((one.id, moved),)
        )

    def _liquidated(self, draws: Draws, one: _Market, number: int, seized: int) -> Transaction:
        caller, borrower = draws.address("caller"), draws.address("borrower")
        repaid = draws.between(1, 10 ** (one.loan.decimals + 5), "repaid")
        unpaid = draws.between(1, repaid, "unpaid") if draws.below(3, "bad debt") == 0 else 0
        topics = (LIQUIDATE, one.id, address_topic(caller), address_topic(borrower))
        log = Log(self._morpho, topics, words(repaid, repaid * 10**6, seized, unpaid, unpaid * 10**6))
        truth = Liquidated(
            market=self.place.market.id,
            event="Liquidate",
            borrower=borrower,
            liquidator=caller,
            debt_repaid=repaid,
            collateral_seized=seized,
            bad_debt=unpaid,
            part=one.id,
            debt_asset=one.loan.address,
            collateral_asset=one.collateral.address,
        )
        logs = (transfer(draws, one.collateral.address), log)
        moves = ((one.id, -seized),)
        return Transaction(draws.digest("liquidation"), number, caller, self._morpho, logs, (None, truth), moves)
