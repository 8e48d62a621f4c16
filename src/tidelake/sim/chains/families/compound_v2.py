"""Simulated comptrollers of Compound v2 and its forks, with their cTokens.

Compound's own cannot list its markets before `LISTS_AFTER` of the simulated span, as before its upgrade; new cTokens
come over time. Form: compound-finance/compound-protocol (CTokenInterfaces.sol); VenusProtocol/isolated-pools.
"""

from dataclasses import dataclass

from tidelake.lending.spec import NATIVE, Position
from tidelake.sim.chains.amounts import Course, Moment, Pool
from tidelake.sim.chains.code import Answering, Functions, Reverted, always, changing, counting
from tidelake.sim.chains.draws import Draws
from tidelake.sim.chains.events import Liquidated, Log, Transaction, liquidations_a_day, transfer
from tidelake.sim.chains.families.place import Place
from tidelake.sim.chains.tokens import DECIMALS, TOTAL_SUPPLY, Token
from tidelake.sim.chains.words import address_list, address_topic, address_word, selector, topic, word, words

LIQUIDATE = topic("LiquidateBorrow(address,address,uint256,address,uint256)")
LISTS_AFTER = 120  # thousandths of the span
COULD_NOT_LIST = ("compound_v2_ethereum",)
NATIVE_TOKENS = ("cether", "vbnb", "qiavax")  # contracts of the registry that are the market of the chain's own coin
ONE = 10**18


@dataclass(frozen=True)
class _CToken:
    """One market of a comptroller; `token` is None for the chain's own coin."""

    address: str
    comptroller: str
    since: int
    token: Token | None
    pool: Pool
    rate_course: Course

    @property
    def asset(self) -> str:
        return NATIVE if self.token is None else self.token.address

    def rate(self, moment: Moment) -> int:
        """Units of the asset for one of the cToken, times 10**18."""
        return self.rate_course.at(moment)

    def count(self, moment: Moment) -> int:
        """How many cTokens there are."""
        return self.pool.supplied(moment) * ONE // self.rate(moment)


class Comptroller:
    """A market of Compound v2: one comptroller, or two."""

    def __init__(self, place: Place) -> None:
        self.place = place
        contracts = place.market.contracts
        self._comptrollers = [value.lower() for name, value in contracts.items() if name.startswith("comptroller")]
        self._lists_since = (
            place.block_within(LISTS_AFTER, LISTS_AFTER, "list") if place.market.id in COULD_NOT_LIST else 0
        )
        self._c_tokens = self._known() + self._made()
        for c_token in self._c_tokens:
            self._put(c_token)
        for i, comptroller in enumerate(self._comptrollers):
            since = place.block_within(300, 500, "other") if i else place.deployed
            table = {selector("getAllMarkets()"): changing(self._list(comptroller))}
            place.codes.put(comptroller, since, Functions(table))

    def _known(self) -> list[_CToken]:
        made = []
        for asset in self.place.known:
            if asset.role == "ctoken" and asset.supply_token:
                symbol = asset.symbol or (asset.supply_symbol or "cX")[1:]
                decimals = 18 if asset.decimals is None else asset.decimals
                token = self.place.tokens.take(asset.asset, symbol, decimals) if asset.asset else None
                made.append(self._c_token(asset.supply_token, token, asset.since_block or self.place.deployed))
        return made

    def _made(self) -> list[_CToken]:
        place, have = self.place, {asset.supply_token for asset in self.place.known}
        native = [place.market.contracts[name] for name in NATIVE_TOKENS if name in place.market.contracts]
        made = [self._c_token(address, None, place.deployed) for address in native if address not in have]
        tokens = place.picked(4 if have else 14)
        for i, token in enumerate(tokens):
            late = bool(have) or i % 4 == 3
            since = place.block_within(LISTS_AFTER + 80, 900, i, "listed") if late else place.deployed
            other = len(self._comptrollers) > 1 and i == len(tokens) - 1
            address = place.draws.address("ctoken", token.address)
            made.append(self._c_token(address, token, since, self._comptrollers[-1 if other else 0]))
        return made

    def _c_token(self, address: str, token: Token | None, since: int, comptroller: str = "") -> _CToken:
        draws = self.place.draws.within("ctoken", address)
        decimals = 18 if token is None else token.decimals
        rate = 2 * 10 ** (16 + decimals - 8) + draws.below(10**decimals, "rate")
        return _CToken(
            address=address.lower(),
            comptroller=comptroller or self._comptrollers[0],
            since=since,
            token=token,
            pool=Pool(draws, decimals),
            rate_course=Course(draws.within("rates"), rate, max(1, rate // 10**9)),
        )

    def _put(self, c_token: _CToken) -> None:
        pool, token = c_token.pool, c_token.token
        table = {
            TOTAL_SUPPLY: counting(c_token.count),
            selector("exchangeRateStored()"): counting(c_token.rate),
            selector("totalBorrows()"): counting(pool.borrowed),
            selector("getCash()"): counting(pool.available),
            DECIMALS: always(word(8)),
        }
        if token is not None:
            table[selector("underlying()")] = always(address_word(token.address))
            token.holders[c_token.address] = lambda moment: word(pool.available(moment))
        self.place.codes.put(c_token.address, c_token.since, Functions(table))

    def _list(self, comptroller: str) -> Answering:
        def answer(moment: Moment) -> bytes:
            if moment.number < self._lists_since:
                raise Reverted
            return address_list([one.address for one in self._listed(moment.number) if one.comptroller == comptroller])

        return answer

    def _listed(self, number: int) -> list[_CToken]:
        return [one for one in self._c_tokens if one.since <= number]

    def _standing(self, number: int) -> list[_CToken]:
        """Those that a reader can find: by comptroller, once that stands and lists; else those that files know."""
        found = self._listed(number)
        return [
            one
            for comptroller in self._comptrollers
            for one in found
            if one.comptroller == comptroller and self.place.codes.stands(comptroller, number)
        ]

    def positions(self, moment: Moment) -> list[Position]:
        """See `SimMarket`."""
        return [self._position(one, moment) for one in self._standing(moment.number)]

    def _position(self, c_token: _CToken, moment: Moment) -> Position:
        token = c_token.token
        return Position(
            asset=c_token.asset,
            symbol="" if token is None else token.symbol,
            decimals=18 if token is None else token.decimals,
            role="loan",
            supplied=c_token.count(moment) * c_token.rate(moment) // ONE,
            borrowed=c_token.pool.borrowed(moment),
            available=c_token.pool.available(moment),
            part=c_token.address,
            shares=c_token.count(moment),
        )

    def transactions(self, day: int, *, crash: bool) -> list[Transaction]:
        """See `SimMarket`."""
        count = liquidations_a_day(self.place.draws, day, crash=crash)
        made = (self._transaction(day, k) for k in range(count))
        return [found for found in made if found is not None]

    def _transaction(self, day: int, k: int) -> Transaction | None:
        draws, number = self.place.draws.within("liquidation", day, k), self.place.event_block(day, k)
        standing = [one for one in self._standing(number) if one.since < number]
        if number <= self.place.deployed or not standing:
            return None
        debt, collateral = (standing[draws.below(len(standing), side)] for side in ("debt", "collateral"))
        log, truth = self._liquidation(draws, debt, collateral)
        logs = (transfer(draws, collateral.address), log)
        return Transaction(draws.digest("hash"), number, truth.liquidator, debt.address, logs, (None, truth))

    def _liquidation(self, draws: Draws, debt: _CToken, collateral: _CToken) -> tuple[Log, Liquidated]:
        liquidator, borrower = draws.address("liquidator"), draws.address("borrower")
        decimals = 18 if debt.token is None else debt.token.decimals
        repaid, seized = draws.between(1, 10 ** (decimals + 5), "repaid"), draws.between(1, 10**14, "seized")
        ends = (liquidator, borrower, collateral.address)
        if self.place.market.variant == "venus_isolated":
            log = Log(debt.address, (LIQUIDATE, *map(address_topic, ends)), words(repaid, seized))
        else:
            first, second, third = map(address_word, ends)
            log = Log(debt.address, (LIQUIDATE,), first + second + word(repaid) + third + word(seized))
        truth = Liquidated(
            market=self.place.market.id,
            event="LiquidateBorrow",
            borrower=borrower,
            liquidator=liquidator,
            debt_repaid=repaid,
            collateral_token=collateral.address,
            collateral_seized=seized,
            part=debt.address,
            debt_asset=debt.asset,
            collateral_asset=collateral.asset,
        )
        return log, truth
