"""What tokens tell of themselves.

Source: https://eips.ethereum.org/EIPS/eip-20
Quirks: Some early tokens (MKR, SAI) tell their symbol as bytes32; some tell none.
"""

from tidelake.chains.abi import function
from tidelake.chains.multicall import CallResult
from tidelake.errors import FormatDrift

TOTAL_SUPPLY = function("totalSupply()", "uint256")
BALANCE_OF = function("balanceOf(address)", "uint256")
DECIMALS = function("decimals()", "uint8")
SYMBOL = function("symbol()", "string")
SYMBOL_BYTES = function("symbol()", "bytes32")


def symbol_of(result: CallResult) -> str:
    """The symbol that a token tells; "" where it tells none that can be read."""
    if not result.success:
        return ""
    for form in (SYMBOL, SYMBOL_BYTES):
        try:
            (value,) = form.decode(result.data)
        except FormatDrift:
            continue
        text = value if isinstance(value, str) else bytes(value).rstrip(b"\0").decode("utf-8", "replace")
        return text.strip()
    return ""
