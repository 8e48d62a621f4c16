"""Code of the EVM from words: opcodes, numbers, and places to jump to.

Source: https://ethereum.github.io/execution-specs/ (opcodes)
"""

OPCODES = {
    "STOP": 0x00, "ADD": 0x01, "SUB": 0x03, "LT": 0x10, "EQ": 0x14, "ISZERO": 0x15, "AND": 0x16, "OR": 0x17,
    "NOT": 0x19, "SHL": 0x1B, "SHR": 0x1C, "KECCAK256": 0x20, "CALLER": 0x33, "CALLDATALOAD": 0x35,
    "CALLDATASIZE": 0x36, "CALLDATACOPY": 0x37, "CODECOPY": 0x39, "RETURNDATASIZE": 0x3D, "RETURNDATACOPY": 0x3E,
    "POP": 0x50, "MLOAD": 0x51, "MSTORE": 0x52, "SLOAD": 0x54, "SSTORE": 0x55, "JUMP": 0x56, "JUMPI": 0x57,
    "GAS": 0x5A, "DUP1": 0x80, "DUP2": 0x81, "DUP3": 0x82, "DUP5": 0x84, "LOG0": 0xA0, "LOG1": 0xA1, "LOG2": 0xA2,
    "LOG3": 0xA3, "LOG4": 0xA4, "CREATE": 0xF0, "CALL": 0xF1, "RETURN": 0xF3, "DELEGATECALL": 0xF4, "REVERT": 0xFD,
}  # fmt: skip
JUMPDEST, PUSH0, PUSH2 = 0x5B, 0x5F, 0x61


def assemble(text: str) -> bytes:
    """Code of opcodes and numbers, which are pushed; `:name` is a place to jump to, `@name` pushes it.

    Raises:
        KeyError: A place is nowhere.
        ValueError: A word is neither.
    """
    code, places, wanted = bytearray(), dict[str, int](), dict[int, str]()
    for word in text.split():
        if word[0] == ":":
            places[word[1:]] = len(code)
            code.append(JUMPDEST)
        elif word[0] == "@":
            wanted[len(code) + 1] = word[1:]
            code += bytes((PUSH2, 0, 0))
        elif word in OPCODES:
            code.append(OPCODES[word])
        else:
            number = int(word, 0)
            octets = number.to_bytes((number.bit_length() + 7) // 8, "big")
            code += bytes((PUSH0 + len(octets),)) + octets
    for at, name in wanted.items():
        code[at : at + 2] = places[name].to_bytes(2, "big")
    return bytes(code)


def deploying(code: bytes) -> bytes:
    """What a transaction brings to put this code at a new address."""
    copied = bytes((0x80, 0x60, 10, PUSH0, OPCODES["CODECOPY"], PUSH0, OPCODES["RETURN"]))  # all that stands behind
    return bytes((PUSH2,)) + len(code).to_bytes(2, "big") + copied + code
