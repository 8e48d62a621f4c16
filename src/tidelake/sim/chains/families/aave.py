"""Simulated pools of Aave v2 and v3 and their forks: reserves that come, freeze, pause and go.

Form of answers and logs: aave-dao/aave-v3-origin at fd1fbd9 (IPool.sol, DataTypes.sol); aave/protocol-v2; of Radiant
        messari/subgraphs at 2711ac9.
"""

from dataclasses import dataclass

from tidelake.lending.spec import Position
from tidelake.sim.chains.amounts import Moment, Pool
from tidelake.sim.chains.clock import DAY_S
from tidelake.sim.chains.code import Answering, Functions, address_of, changing, counting
from tidelake.sim.chains.draws import Draws
from tidelake.sim.chains.events import Liquidated, Log, Transaction, liquidations_a_day, transfer
from tidelake.sim.chains.families.place import Place
from tidelake.sim.chains.prices import aave_oracle
from tidelake.sim.chains.tokens import TOTAL_SUPPLY, Token
from tidelake.sim.chains.words import (
    ZERO,
    address_list,
    address_topic,
    address_word,
    selector,
    topic,
    word,
    words,
)

LIQUIDATION = topic("LiquidationCall(address,address,address,uint256,uint256,address,bool)")
RADIANT = topic("LiquidationCall(address,address,address,uint256,uint256,address,bool,address)")
DEFICIT = topic("DeficitCreated(address,address,uint256)")
_NEVER = 2**63


@dataclass(frozen=True)
class _Reserve:
    """One reserve.

    Attributes:
        listed, dropped: Blocks from which it is in the list, and no longer.
        stable_debt: `ZERO` where there is none.
        frozen, paused: Times from which and to which it is, in seconds since 1970.
        inactive: Time from which it is.
    """

    token: Token
    pool: Pool
    listed: int
    dropped: int
    a_token: str
    stable_debt: str
    variable_debt: str
    frozen: tuple[int, int]
    paused: tuple[int, int]
    inactive: int

    def stable(self, moment: Moment) -> int:
        return 0 if self.stable_debt == ZERO else self.pool.borrowed(moment) // 13

    def variable(self, moment: Moment) -> int:
        return self.pool.borrowed(moment) - self.stable(moment)

    def is_listed(self, number: int) -> bool:
        return self.listed <= number < self.dropped

    def flags(self, moment: Moment) -> tuple[bool, bool, bool]:
        """Active, frozen, paused."""
        inside = [begin <= moment.time < end for begin, end in (self.frozen, self.paused)]
        return moment.time < self.inactive, inside[0], inside[1]


class AavePool:
    """A pool; of v2 unless `is_v3`."""

    def __init__(self, place: Place, *, is_v3: bool) -> None:
        self.place = place
        self._is_v3 = is_v3
        self._radiant = place.market.variant == "radiant"
        self._pool = place.market.contracts["pool"].lower()
        dies = place.time_within(200, 700, "dies") if place.market.status == "deprecated" else None
        self._reserves = [self._reserve(i, *found, dies) for i, found in enumerate(self._assets())]
        self._by_asset = {reserve.token.address: reserve for reserve in self._reserves}
        for reserve in self._reserves:
            self._put(reserve)
        table = {
            selector("getReservesList()"): changing(self._list),
            selector("getReserveData(address)"): lambda arguments: self._data(address_of(arguments)),
        }
        place.codes.put(self._pool, place.deployed, Functions(table))
        if oracle := place.market.contracts.get("oracle"):
            known = {reserve.token.address: reserve.token for reserve in self._reserves}
            place.codes.put(oracle, place.deployed, aave_oracle(place.prices, known))

    def _assets(self) -> list[tuple[Token, str | None, str | None]]:
        """Token, aToken and debt token of each reserve; None where they are made."""
        tokens = self.place.tokens
        known = [
            (tokens.take(asset.asset, asset.symbol, asset.decimals), asset.supply_token, asset.debt_token)
            for asset in self.place.known
            if asset.role == "reserve" and asset.asset and asset.symbol and asset.decimals is not None
        ]
        return known or [(token, None, None) for token in self.place.picked(10)]

    def _reserve(self, i: int, token: Token, a_token: str | None, debt: str | None, dies: int | None) -> _Reserve:
        place, draws = self.place, self.place.draws.within("reserve", token.address)
        late, fate = i >= 3 and i % 5 == 4, draws.below(8, "fate")
        frozen, paused = place.time_within(50, 900, i, "frozen"), place.time_within(50, 900, i, "paused")
        has_stable = not self._is_v3 or draws.below(2, "stable") == 0
        return _Reserve(
            token=token,
            pool=Pool(draws, token.decimals, dies),
            listed=place.block_within(20, 800, i, "listed") if late else place.deployed,
            dropped=place.block_within(850, 950, i, "dropped") if self._is_v3 and i == 5 else _NEVER,
            a_token=(a_token or draws.address("a")).lower(),
            stable_debt=draws.address("stable") if has_stable else ZERO,
            variable_debt=(debt or draws.address("debt")).lower(),
            frozen=(frozen if dies is None else dies, _NEVER) if fate == 1 or dies else (0, 0),
            paused=(paused, paused + draws.between(2, 20, "long") * DAY_S) if fate == 2 and self._is_v3 else (0, 0),
            inactive=frozen if fate == 3 and i % 2 else _NEVER,
        )

    def _put(self, reserve: _Reserve) -> None:
        counted = (
            (reserve.a_token, reserve.pool.supplied),
            (reserve.stable_debt, reserve.stable),
            (reserve.variable_debt, reserve.variable),
        )
        for address, amount in counted:
            if address != ZERO:
                self.place.codes.put(address, reserve.listed, Functions({TOTAL_SUPPLY: counting(amount)}))
        reserve.token.holders[reserve.a_token] = lambda moment: word(reserve.pool.available(moment))

    def _list(self, moment: Moment) -> bytes:
        return address_list([one.token.address for one in self._reserves if one.is_listed(moment.number)])

    def _data(self, asset: str) -> Answering:
        reserve = self._by_asset.get(asset)
        size = 15 if self._is_v3 else 12
        if reserve is None:
            return lambda moment: words(*[0] * size)
        tokens = b"".join(map(address_word, (reserve.a_token, reserve.stable_debt, reserve.variable_debt)))
        rates = words(1_020 * 10**24 + 7, 31 * 10**24, 1_050 * 10**24 + 3, 45 * 10**24, 60 * 10**24)
        strategy = address_word(self.place.draws.address("strategy", asset))

        def answer(moment: Moment) -> bytes:
            if not reserve.is_listed(moment.number):
                return words(*[0] * size)
            begin = word(_configuration(reserve, moment)) + rates + word(moment.time)
            if self._is_v3:
                return begin + word(3) + tokens + strategy + words(moment.noise, 5, 0)
            return begin + tokens + strategy + word(3)

        return answer

    def positions(self, moment: Moment) -> list[Position]:
        """See `SimMarket`."""
        return [self._position(one, moment) for one in self._reserves if one.is_listed(moment.number)]

    def _position(self, reserve: _Reserve, moment: Moment) -> Position:
        active, frozen, paused = reserve.flags(moment)
        return Position(
            asset=reserve.token.address,
            symbol=reserve.token.symbol,
            decimals=reserve.token.decimals,
            role="loan",
            supplied=reserve.pool.supplied(moment),
            borrowed=reserve.pool.borrowed(moment),
            available=reserve.pool.available(moment),
            active=active,
            frozen=frozen,
            paused=paused if self._is_v3 else None,
        )

    def transactions(self, day: int, *, crash: bool) -> list[Transaction]:
        """See `SimMarket`."""
        count = liquidations_a_day(self.place.draws, day, crash=crash)
        made = (self._transaction(day, k) for k in range(count))
        return [found for found in made if found is not None]

    def _transaction(self, day: int, k: int) -> Transaction | None:
        place, draws = self.place, self.place.draws.within("liquidation", day, k)
        number = place.event_block(day, k)
        listed = [one for one in self._reserves if one.is_listed(number)]
        if number <= place.deployed or not listed:
            return None
        collateral, debt = (listed[draws.below(len(listed), side)].token for side in ("collateral", "debt"))
        found = [(transfer(draws, debt.address), None), self._liquidation(draws, collateral, debt)]
        if self._is_v3 and draws.below(6, "deficit") == 0:
            found.append(self._deficit(draws, debt))
        logs, truths = zip(*found, strict=True)
        return Transaction(draws.digest("hash"), number, draws.address("liquidator"), self._pool, logs, truths)

    def _liquidation(self, draws: Draws, collateral: Token, debt: Token) -> tuple[Log, Liquidated]:
        repaid, seized = (_amount(draws, side, token) for side, token in (("repaid", debt), ("seized", collateral)))
        borrower, liquidator = draws.address("borrower"), draws.address("liquidator")
        data = words(repaid, seized) + address_word(liquidator) + word(draws.below(2, "receives"))
        if self._radiant:
            data += address_word(draws.address("fees"))
        ends = (collateral.address, debt.address, borrower)
        log = Log(self._pool, (RADIANT if self._radiant else LIQUIDATION, *map(address_topic, ends)), data)
        truth = Liquidated(
            market=self.place.market.id,
            event="LiquidationCall",
            borrower=borrower,
            liquidator=liquidator,
            debt_token=debt.address,
            debt_repaid=repaid,
            collateral_token=collateral.address,
            collateral_seized=seized,
            debt_asset=debt.address,
            collateral_asset=collateral.address,
        )
        return log, truth

    def _deficit(self, draws: Draws, debt: Token) -> tuple[Log, Liquidated]:
        borrower, unpaid = draws.address("borrower"), _amount(draws, "unpaid", debt)
        log = Log(self._pool, (DEFICIT, address_topic(borrower), address_topic(debt.address)), word(unpaid))
        truth = Liquidated(
            market=self.place.market.id,
            event="DeficitCreated",
            borrower=borrower,
            liquidator="",
            debt_token=debt.address,
            bad_debt=unpaid,
            debt_asset=debt.address,
        )
        return log, truth


def _configuration(reserve: _Reserve, moment: Moment) -> int:
    """The bits of a reserve, with caps and others around those that are read."""
    active, frozen, paused = reserve.flags(moment)
    read = reserve.token.decimals << 48 | active << 56 | frozen << 57 | paused << 60
    return 7_500 | 8_000 << 16 | 10_500 << 32 | read | 1 << 58 | 1_000 << 64 | 5_000_000 << 80 | 9_000_000 << 116


def _amount(draws: Draws, side: str, token: Token) -> int:
    return draws.between(1, 50_000 * 10**token.decimals, side)
