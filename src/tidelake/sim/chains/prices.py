"""What tokens of a simulated chain are worth in dollars, as protocols' own oracles tell it: eight places.

Form: aave-dao/aave-v3-origin (IPriceOracleGetter.sol, IAaveOracle.sol); compound-finance/comet (getPrice).
"""

from tidelake.sim.chains.amounts import Course, Moment
from tidelake.sim.chains.code import Answering, Functions, Reverted, address_of, always
from tidelake.sim.chains.draws import Draws
from tidelake.sim.chains.tokens import Token
from tidelake.sim.chains.words import ZERO, selector, word, words

UNIT = 10**8
# Dollars, by what a symbol begins with or holds.
_ABOUT = (("BTC", 90_000), ("ETH", 3_000), ("USD", 1), ("DAI", 1), ("EUR", 1), ("MKR", 1_500))


class Prices:
    """The price of each token: its own, by address."""

    def __init__(self, draws: Draws) -> None:
        self._draws = draws
        self._courses: dict[str, Course] = {}

    def at(self, token: Token, moment: Moment) -> int:
        """Dollars for one whole token, times `UNIT`."""
        found = self._courses.get(token.address)
        if found is None:
            base = self._about(token) * UNIT + self._draws.below(UNIT // 50, "rest", token.address)
            found = self._courses[token.address] = Course(self._draws.within(token.address), base, base // 500)
        return found.at(moment)

    def _about(self, token: Token) -> int:
        symbol = token.symbol.upper()
        drawn = self._draws.between(2, 40, "about", token.address)
        return next((dollars for part, dollars in _ABOUT if part in symbol), drawn)


def aave_oracle(prices: Prices, tokens: dict[str, Token]) -> Functions:
    """The oracle of a pool of these tokens by address; it refuses others, as where no feed is set."""

    def price(address: str, moment: Moment) -> int:
        if address not in tokens:
            raise Reverted
        return prices.at(tokens[address], moment)

    def one(arguments: bytes) -> Answering:
        asset = address_of(arguments)
        return lambda moment: word(price(asset, moment))

    def several(arguments: bytes) -> Answering:
        count = int.from_bytes(arguments[32:64], "big")
        assets = [address_of(arguments, 2 + i) for i in range(count)]
        return lambda moment: words(32, count, *(price(asset, moment) for asset in assets))

    return Functions(
        {
            selector("getAssetPrice(address)"): one,
            selector("getAssetsPrices(address[])"): several,
            selector("BASE_CURRENCY_UNIT()"): always(word(UNIT)),
            selector("BASE_CURRENCY()"): always(word(int(ZERO, 16))),
        }
    )
