"""ERC-20 tokens in the two manners of issuers, as code of the EVM.

USDC's: `mint(address,uint256)` and `burn(uint256)` log Mint and Burn, and a Transfer from or to nobody beside each.
USDT's: `issue(uint256)`, `redeem(uint256)` and `destroyBlackFunds(address)` log Issue, Redeem and DestroyedBlackFunds,
none of whose parameters has an index, and no Transfer.

They keep what they say: balances, allowances and `totalSupply()` follow, and nobody can spend what is not there. But
anybody may mint, issue (for himself) and destroy what anybody has: they are to be simulated with.

Source: the files that stablecoins/facts/usdc.toml and usdt.toml name for each event
"""

from collections.abc import Mapping, Sequence

from tidelake.chains.keccak import keccak
from tidelake.sim.tokens.assembler import assemble

DECIMALS = 6

# In the code: the total stands at place 0 of the storage, a balance at the place of its address, an allowance at that
# of the hash of owner and spender.
TOTAL, FIRST, SECOND, THIRD = "0", "4 CALLDATALOAD", "36 CALLDATALOAD", "68 CALLDATALOAD"
NOBODY, ME = "0", "CALLER"
DONE, TRUE = "STOP", "1 0 MSTORE 32 0 RETURN"


def selector(signature: str) -> bytes:
    """The four octets that call a function."""
    return keccak(signature.encode())[:4]


def _more(place: str, amount: str) -> str:
    """Refuses what does not fit into a word."""
    return f"{amount} {amount} {place} SLOAD ADD LT @refuse JUMPI {amount} {place} SLOAD ADD {place} SSTORE"


def _less(place: str, amount: str) -> str:
    """Refuses where there is less."""
    return f"{amount} {place} SLOAD LT @refuse JUMPI {amount} {place} SLOAD SUB {place} SSTORE"


def _log(signature: str, indexed: Sequence[str], rest: Sequence[str]) -> str:
    stored = " ".join(f"{value} {32 * at} MSTORE" for at, value in enumerate(rest))
    topics = " ".join((*reversed(indexed), f"0x{keccak(signature.encode()).hex()}"))
    return f"{stored} {topics} {32 * len(rest)} 0 LOG{1 + len(indexed)}"


def _moved(sender: str, receiver: str, amount: str) -> str:
    return _log("Transfer(address,address,uint256)", (sender, receiver), (amount,))


def _allowance(owner: str, spender: str) -> str:
    return f"{owner} 0 MSTORE {spender} 32 MSTORE 64 0 KECCAK256"


def _telling(value: str) -> str:
    return f"{value} 0 MSTORE 32 0 RETURN"


def _move(sender: str, receiver: str, amount: str) -> str:
    return f"{_less(sender, amount)} {_more(receiver, amount)} {_moved(sender, receiver, amount)}"


ERC20 = {
    "totalSupply()": _telling(f"{TOTAL} SLOAD"),
    "balanceOf(address)": _telling(f"{FIRST} SLOAD"),
    "decimals()": _telling(str(DECIMALS)),
    "allowance(address,address)": _telling(f"{_allowance(FIRST, SECOND)} SLOAD"),
    "transfer(address,uint256)": f"{_move(ME, FIRST, SECOND)} {TRUE}",
    "approve(address,uint256)": " ".join(
        (
            f"{SECOND} {_allowance(ME, FIRST)} SSTORE",
            _log("Approval(address,address,uint256)", (ME, FIRST), (SECOND,)),
            TRUE,
        )
    ),
    "transferFrom(address,address,uint256)": " ".join(
        (_less(_allowance(FIRST, ME), THIRD), _move(FIRST, SECOND, THIRD), TRUE)
    ),
}
USDC = ERC20 | {
    "mint(address,uint256)": " ".join(
        (
            _more(TOTAL, SECOND),
            _more(FIRST, SECOND),
            _log("Mint(address,address,uint256)", (ME, FIRST), (SECOND,)),
            _moved(NOBODY, FIRST, SECOND),
            TRUE,
        )
    ),
    "burn(uint256)": " ".join(
        (
            _less(ME, FIRST),
            _less(TOTAL, FIRST),
            _log("Burn(address,uint256)", (ME,), (FIRST,)),
            _moved(ME, NOBODY, FIRST),
            DONE,
        )
    ),
}
USDT = ERC20 | {
    "issue(uint256)": f"{_more(TOTAL, FIRST)} {_more(ME, FIRST)} {_log('Issue(uint256)', (), (FIRST,))} {DONE}",
    "redeem(uint256)": f"{_less(ME, FIRST)} {_less(TOTAL, FIRST)} {_log('Redeem(uint256)', (), (FIRST,))} {DONE}",
    "destroyBlackFunds(address)": " ".join(
        (
            _less(TOTAL, f"{FIRST} SLOAD"),
            _log("DestroyedBlackFunds(address,uint256)", (), (FIRST, f"{FIRST} SLOAD")),
            f"0 {FIRST} SSTORE",
            DONE,
        )
    ),
}


def _code(functions: Mapping[str, str]) -> bytes:
    chosen = " ".join(
        f"DUP1 0x{selector(signature).hex()} EQ @f{place} JUMPI" for place, signature in enumerate(functions)
    )
    bodies = " ".join(f":f{place} {body}" for place, body in enumerate(functions.values()))
    return assemble(f"0 CALLDATALOAD 224 SHR {chosen} :refuse 0 0 REVERT {bodies}")


def usdc_style() -> bytes:
    """Code of a token in the manner of USDC."""
    return _code(USDC)


def usdt_style() -> bytes:
    """Code of a token in the manner of USDT."""
    return _code(USDT)
