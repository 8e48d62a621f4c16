"""Simulated Comets of Compound v3: a base asset that is lent, collateral that is not, and absorptions of several.

Form: compound-finance/comet at d5a30b0 (CometMainInterface.sol, CometCore.sol).
"""

from dataclasses import dataclass

from tidelake.lending.spec import Position
from tidelake.sim.chains.amounts import Course, Moment, Pool
from tidelake.sim.chains.code import Answering, Function, Functions, address_of, always, counting, refuse
from tidelake.sim.chains.draws import Draws
from tidelake.sim.chains.events import Liquidated, Log, Transaction, liquidations_a_day, transfer
from tidelake.sim.chains.families.place import Place
from tidelake.sim.chains.tokens import DECIMALS, TOTAL_SUPPLY, Token
from tidelake.sim.chains.words import address_topic, address_word, selector, topic, word, words

ABSORB_DEBT = topic("AbsorbDebt(address,address,uint256,uint256)")
ABSORB_COLLATERAL = topic("AbsorbCollateral(address,address,address,uint256,uint256)")
_MOST_ABSORBED = 3  # collaterals of one account


@dataclass(frozen=True)
class _Collateral:
    token: Token
    since: int
    total: Course


class Comet:
    """A market of Compound v3."""

    def __init__(self, place: Place) -> None:
        self.place = place
        base = place.market.base
        if base is None:
            raise ValueError(f"{place.market.id} has no base asset")
        self._comet = place.market.contracts["comet"].lower()
        self._base = place.tokens.take(base.address, base.symbol, base.decimals)
        self._pool = Pool(place.draws.within("base"), base.decimals)
        self._collaterals = sorted(self._found(), key=lambda one: one.since)
        self._by_token = {one.token.address: one for one in self._collaterals}
        self._base.holders[self._comet] = lambda moment: word(self._pool.available(moment))
        place.codes.put(self._comet, place.deployed, Functions(self._table()))

    def _table(self) -> dict[bytes, Function]:
        return {
            selector("baseToken()"): always(address_word(self._base.address)),
            TOTAL_SUPPLY: counting(self._pool.supplied),
            selector("totalBorrow()"): counting(self._pool.borrowed),
            selector("numAssets()"): counting(lambda moment: len(self._listed(moment.number))),
            selector("getAssetInfo(uint8)"): self._info,
            selector("totalsCollateral(address)"): self._total,
            selector("baseTokenPriceFeed()"): always(address_word(self._feed(self._base))),
            selector("getPrice(address)"): self._price,
            DECIMALS: always(word(self._base.decimals)),
        }

    def _found(self) -> list[_Collateral]:
        place = self.place
        known = [
            place.tokens.take(asset.asset, asset.symbol, asset.decimals)
            for asset in place.known
            if asset.role == "collateral" and asset.asset and asset.symbol and asset.decimals is not None
        ]
        others = [token for token in place.picked(6) if token is not self._base and token not in known]
        added = others[: 1 if known else 4]
        found = [self._collateral(token, place.deployed) for token in known]
        return found + [
            self._collateral(token, place.block_within(100, 900, token.address, "added")) for token in added
        ]

    def _collateral(self, token: Token, since: int) -> _Collateral:
        draws = self.place.draws.within("collateral", token.address)
        unit = 10**token.decimals
        return _Collateral(token, since, Course(draws, draws.between(10, 10**6, "base") * unit, unit))

    def _listed(self, number: int) -> list[_Collateral]:
        return [one for one in self._collaterals if one.since <= number]

    def _info(self, arguments: bytes) -> Answering:
        place = int.from_bytes(arguments[:32], "big")
        if place >= len(self._collaterals):
            return refuse
        one = self._collaterals[place]
        scale = 10**one.token.decimals
        begin = word(place) + address_word(one.token.address) + address_word(self._feed(one.token))
        answer = begin + words(scale, 8 * 10**17, 85 * 10**16, 93 * 10**16, 10**9 * scale)
        return lambda moment: answer if one.since <= moment.number else refuse(moment)

    def _feed(self, token: Token) -> str:
        return self.place.draws.address("feed", token.address)

    def _price(self, arguments: bytes) -> Answering:
        tokens = [self._base, *(one.token for one in self._collaterals)]
        token = next((token for token in tokens if self._feed(token) == address_of(arguments)), None)
        return refuse if token is None else lambda moment: word(self.place.prices.at(token, moment))

    def _total(self, arguments: bytes) -> Answering:
        one = self._by_token.get(address_of(arguments))
        if one is None:
            return lambda moment: words(0, 0)
        return lambda moment: words(one.total.at(moment) if one.since <= moment.number else 0, 0)

    def positions(self, moment: Moment) -> list[Position]:
        """See `SimMarket`."""
        base, pool = self._base, self._pool
        sums = (pool.supplied(moment), pool.borrowed(moment), pool.available(moment))
        loan = Position(base.address, base.symbol, base.decimals, "loan", *sums)
        return [loan, *(self._held(one, moment) for one in self._listed(moment.number))]

    def _held(self, one: _Collateral, moment: Moment) -> Position:
        token = one.token
        return Position(token.address, token.symbol, token.decimals, "collateral", one.total.at(moment), 0, None)

    def transactions(self, day: int, *, crash: bool) -> list[Transaction]:
        """See `SimMarket`."""
        count = liquidations_a_day(self.place.draws, day, crash=crash)
        made = (self._transaction(day, k) for k in range(count))
        return [found for found in made if found is not None]

    def _transaction(self, day: int, k: int) -> Transaction | None:
        draws, number = self.place.draws.within("liquidation", day, k), self.place.event_block(day, k)
        listed = self._listed(number)
        if number <= self.place.deployed or not listed:
            return None
        first = draws.below(len(listed), "first")
        count = min(draws.between(1, _MOST_ABSORBED, "absorbed"), len(listed))
        absorbed = [listed[(first + i) % len(listed)] for i in range(count)]
        told = [self._absorbed(draws, one) for one in absorbed]
        logs, truths = zip((transfer(draws, self._base.address), None), *told, self._paid(draws), strict=True)
        return Transaction(draws.digest("hash"), number, draws.address("absorber"), self._comet, logs, truths)

    def _absorbed(self, draws: Draws, one: _Collateral) -> tuple[Log, Liquidated]:
        token = one.token
        absorber, borrower = draws.address("absorber"), draws.address("borrower")
        seized = draws.between(1, 10 ** (token.decimals + 4), "seized", token.address)
        ends = (absorber, borrower, token.address)
        log = Log(self._comet, (ABSORB_COLLATERAL, *map(address_topic, ends)), words(seized, seized // 3))
        truth = Liquidated(
            market=self.place.market.id,
            event="AbsorbCollateral",
            borrower=borrower,
            liquidator=absorber,
            collateral_token=token.address,
            collateral_seized=seized,
            collateral_asset=token.address,
        )
        return log, truth

    def _paid(self, draws: Draws) -> tuple[Log, Liquidated]:
        absorber, borrower = draws.address("absorber"), draws.address("borrower")
        repaid = draws.between(1, 10 ** (self._base.decimals + 5), "repaid")
        topics = (ABSORB_DEBT, address_topic(absorber), address_topic(borrower))
        truth = Liquidated(
            market=self.place.market.id,
            event="AbsorbDebt",
            borrower=borrower,
            liquidator=absorber,
            debt_repaid=repaid,
            debt_asset=self._base.address,
        )
        return Log(self._comet, topics, words(repaid, repaid // 7)), truth
