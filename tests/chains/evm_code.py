"""Contracts for tests on a real node, assembled here: no compiler is at hand, and none is needed for so little.

A `STAGE` plays any contract. A transaction brings it a script, which runs in its place: so it emits logs of any form
from its address, and keeps answers in its storage. Every other call is answered by what was kept for its data, to the
last octet; where nothing was, it reverts. `MULTICALL3` is the function `aggregate3` of Multicall3 and nothing else.

Source: https://ethereum.github.io/execution-specs/ (opcodes); mds1/multicall, src/Multicall3.sol
"""

from collections.abc import Sequence

from eth_abi.abi import encode
from eth_hash.auto import keccak

from tidelake.sim.tokens.assembler import assemble, deploying

ZERO = "0x" + "00" * 20
SCRIPT = bytes(4)  # the data of a transaction that brings a script begins so, as no selector in use does


# Kept for data: at the slot of its hash how many octets the answer has, and its words in the slots after it.
STAGE = assemble("""
    0 CALLDATALOAD 224 SHR ISZERO @script JUMPI
    CALLDATASIZE 0 0 CALLDATACOPY  CALLDATASIZE 0 KECCAK256
    DUP1 SLOAD DUP1 ISZERO @refuse JUMPI
    0
    :word   DUP2 DUP2 LT ISZERO @told JUMPI
            DUP3 DUP2 ADD 1 ADD SLOAD DUP2 MSTORE
            32 ADD @word JUMP
    :told   POP 0 RETURN
    :script 4 CALLDATASIZE SUB DUP1 4 0 CALLDATACOPY  0 0 CREATE
            0 0 0 0 DUP5 GAS DELEGATECALL ISZERO @refuse JUMPI STOP
    :refuse 0 0 REVERT
""")

# Memory: 0 how many calls, 32 where their list begins, 64 the number of this one, 96 where its result goes, 128 the
# call, 160 its data; the answer stands from 256 on.
MULTICALL3 = assemble("""
    32 256 MSTORE  4 CALLDATALOAD 4 ADD
    DUP1 CALLDATALOAD DUP1 0 MSTORE 288 MSTORE  32 ADD 32 MSTORE
    0 MLOAD 5 SHL 320 ADD 96 MSTORE
    :next   0 MLOAD 64 MLOAD LT ISZERO @end JUMPI
            64 MLOAD 5 SHL 32 MLOAD ADD CALLDATALOAD 32 MLOAD ADD 128 MSTORE
            320 96 MLOAD SUB 64 MLOAD 5 SHL 320 ADD MSTORE
            128 MLOAD 64 ADD CALLDATALOAD 128 MLOAD ADD 160 MSTORE
            160 MLOAD CALLDATALOAD 160 MLOAD 32 ADD 96 MLOAD 96 ADD CALLDATACOPY
            0 0 160 MLOAD CALLDATALOAD 96 MLOAD 96 ADD 0 128 MLOAD CALLDATALOAD GAS CALL
            96 MLOAD MSTORE  64 96 MLOAD 32 ADD MSTORE  RETURNDATASIZE 96 MLOAD 64 ADD MSTORE
            RETURNDATASIZE 0 96 MLOAD 96 ADD RETURNDATACOPY
            0 96 MLOAD 96 ADD RETURNDATASIZE ADD MSTORE
            128 MLOAD 32 ADD CALLDATALOAD 96 MLOAD MLOAD OR ISZERO @refuse JUMPI
            31 NOT RETURNDATASIZE 31 ADD AND 96 ADD 96 MLOAD ADD 96 MSTORE
            64 MLOAD 1 ADD 64 MSTORE  @next JUMP
    :end    256 96 MLOAD SUB 256 RETURN
    :refuse 0 0 REVERT
""")


def script(*parts: str) -> bytes:
    """The data of a transaction that makes a stage do all of this, in order."""
    return SCRIPT + deploying(assemble(" ".join((*parts, "STOP"))))


def emitting(signature: str, indexed: Sequence[tuple[str, object]], rest: Sequence[tuple[str, object]]) -> str:
    """Part of a script: emit this event.

    Args:
        signature: As the topic hashes it, such as "Transfer(address,address,uint256)".
        indexed, rest: Types and values of its parameters that are indexed, and of the others.
    """
    topics = [keccak(signature.encode()), *(encode([kind], [value]) for kind, value in indexed)]
    data = encode([kind for kind, _ in rest], [value for _, value in rest])
    words = " ".join(f"0x{data[at : at + 32].hex()} {at} MSTORE" for at in range(0, len(data), 32))
    pushed = " ".join(f"0x{topic.hex()}" for topic in reversed(topics))
    return f"{words} {pushed} {len(data)} 0 LOG{len(topics)}"


def answering(signature: str, types: Sequence[str], values: Sequence[object], *arguments: tuple[str, object]) -> str:
    """Part of a script: answer this function, called with these arguments, so from now on."""
    data = keccak(signature.encode())[:4] + encode([kind for kind, _ in arguments], [value for _, value in arguments])
    answer, slot = encode(types, values), int.from_bytes(keccak(data), "big")
    words = (f"0x{answer[at : at + 32].hex()} {slot + 1 + at} SSTORE" for at in range(0, len(answer), 32))
    return " ".join((f"{len(answer)} {slot} SSTORE", *words))


def adding(signature: str, amount: int) -> str:
    """Part of a script: answer this function, called without arguments, by so much more than before (0 at first)."""
    slot = int.from_bytes(keccak(keccak(signature.encode())[:4]), "big")
    change = f"{amount} {slot + 1} SLOAD ADD" if amount >= 0 else f"{-amount} {slot + 1} SLOAD SUB"
    return f"{change} {slot + 1} SSTORE 32 {slot} SSTORE"


# Tokens in the two manners of issuers: what a call of the contract logs, and what it makes of `totalSupply()`.
# Source: those that stablecoins/facts/usdc.toml and usdt.toml name for each event; none of USDT's has an index


def moving(sender: str, receiver: str, units: int) -> str:
    """Part of a script: what any ERC-20 logs of a transfer."""
    ends = [("address", sender), ("address", receiver)]
    return emitting("Transfer(address,address,uint256)", ends, [("uint256", units)])


def usdc_mint(minter: str, receiver: str, units: int) -> tuple[str, ...]:
    """Parts of a script: USDC is minted, which it logs twice."""
    ends = [("address", minter), ("address", receiver)]
    minted = emitting("Mint(address,address,uint256)", ends, [("uint256", units)])
    return adding("totalSupply()", units), minted, moving(ZERO, receiver, units)


def usdc_burn(burner: str, units: int) -> tuple[str, ...]:
    """Parts of a script: USDC is burned, which it logs twice."""
    burned = emitting("Burn(address,uint256)", [("address", burner)], [("uint256", units)])
    return adding("totalSupply()", -units), burned, moving(burner, ZERO, units)


def usdt_issue(units: int) -> tuple[str, ...]:
    """Parts of a script: USDT is issued to its owner, without a Transfer."""
    return adding("totalSupply()", units), emitting("Issue(uint256)", [], [("uint256", units)])


def usdt_redeem(units: int) -> tuple[str, ...]:
    """Parts of a script: USDT of its owner is redeemed, without a Transfer."""
    return adding("totalSupply()", -units), emitting("Redeem(uint256)", [], [("uint256", units)])


def usdt_destroy(holder: str, units: int) -> tuple[str, ...]:
    """Parts of a script: USDT of a holder on the black list is destroyed, without a Transfer."""
    told = [("address", holder), ("uint256", units)]
    return adding("totalSupply()", -units), emitting("DestroyedBlackFunds(address,uint256)", [], told)
