"""Tokens of a simulated chain: symbols (some as bytes32, one with none), decimals, and who holds how much."""

from collections.abc import Iterable

from tidelake.lending.market import KnownAsset
from tidelake.sim.chains.code import Answering, CodeBook, address_of, always, refuse
from tidelake.sim.chains.draws import Draws
from tidelake.sim.chains.words import octets_answer, selector, word

SYMBOL, DECIMALS = selector("symbol()"), selector("decimals()")
TOTAL_SUPPLY, BALANCE_OF = selector("totalSupply()"), selector("balanceOf(address)")
_BYTES32 = ("MKR", "SAI")  # tokens that tell their symbol so
_SILENT = "(silent)"  # one that tells none
_MADE = (
    ("WETH", 18), ("USDC", 6), ("WBTC", 8), ("DAI", 18), ("USDT", 6), ("wstETH", 18), ("LINK", 18), ("MKR", 18),
    ("GUSD", 2), ("PEPE", 18), ("cbBTC", 8), ("weETH", 18), ("USDe", 18), ("EURC", 6), (_SILENT, 18), ("ARB", 18),
)  # fmt: skip


class Token:
    """A token.

    Attributes:
        address: In small letters.
        symbol: As a reader finds it; "" where it tells none.
        holders: What an address holds at a block.
    """

    def __init__(self, address: str, symbol: str, decimals: int) -> None:
        self.address = address.lower()
        self.symbol = "" if symbol == _SILENT else symbol
        self.decimals = decimals
        self.holders: dict[str, Answering] = {}

    def find(self, data: bytes) -> Answering:
        """See `code.Contract`."""
        if data[:4] == SYMBOL:
            return always(self._told_symbol())(b"") if self.symbol else refuse
        if data == DECIMALS:
            return always(word(self.decimals))(b"")
        if data[:4] == BALANCE_OF:
            return self.holders.get(address_of(data[4:]), always(word(0))(b""))
        return refuse

    def _told_symbol(self) -> bytes:
        text = self.symbol.encode()
        return text.ljust(32, b"\0") if self.symbol in _BYTES32 else octets_answer(text)


class TokenBook:
    """The tokens of a chain: those that files know, and made ones beside them.

    Attributes:
        common: Those that any market may take.
    """

    def __init__(self, draws: Draws, codes: CodeBook, known: Iterable[KnownAsset]) -> None:
        self._codes = codes
        self._by_address: dict[str, Token] = {}
        for asset in known:
            if asset.asset and asset.symbol and asset.decimals is not None:
                self.take(asset.asset, asset.symbol, asset.decimals)
        have = {token.symbol for token in self._by_address.values()}
        for symbol, decimals in _MADE:
            if symbol not in have:
                self.take(draws.address("token", symbol), symbol, decimals)
        self.common = tuple(self._by_address.values())

    def take(self, address: str, symbol: str, decimals: int) -> Token:
        """The token of that address, made where there is none."""
        found = self._by_address.get(address.lower())
        if found is None:
            found = self._by_address[address.lower()] = Token(address, symbol, decimals)
            self._codes.put(address, 0, found)
        return found

    def of(self, address: str) -> Token:
        """The token of an address.

        Raises:
            KeyError: There is none.
        """
        return self._by_address[address.lower()]
