"""The assembled contracts on a real node: what they answer is what eth-abi writes."""

from eth_abi.abi import encode
from eth_hash.auto import keccak

from tests.chains.evm_code import MULTICALL3, answering, script
from tests.jobs.anvil_markets import CHAIN, OPTIONS, Markets, Node

NUMBERS = keccak(b"numbers(uint8)")[:4]


def test_multicall3_answers_calls_that_succeed_fail_and_reach_nothing_as_an_encoder_writes_them(start_anvil):
    node = Node(start_anvil(*OPTIONS))
    stage = Markets(node).at["usdc"]
    node.send(script(answering("numbers(uint8)", ["uint256[]"], [[1, 2, 3]], ("uint8", 7))), stage)
    node.mine(up_to=22)
    seven = NUMBERS + encode(["uint8"], [7])
    calls = [(stage, True, seven), (stage, True, NUMBERS), ("0x" + "99" * 20, True, b""), (stage, True, seven)]
    listed = encode(["uint256[]"], [[1, 2, 3]])
    results = [(True, listed), (False, b""), (True, b""), (True, listed)]
    asked = keccak(b"aggregate3((address,bool,bytes)[])")[:4] + encode(["(address,bool,bytes)[]"], [calls])
    call = {"to": CHAIN.multicall3.address, "data": "0x" + asked.hex()}
    assert node.ask("eth_call", call, "latest") == "0x" + encode(["(bool,bytes)[]"], [results]).hex()
    assert node.ask("eth_getCode", call["to"], "latest") == "0x" + MULTICALL3.hex()
    assert (
        node.ask("eth_call", call, hex(21))
        == "0x" + encode(["(bool,bytes)[]"], [[(False, b""), (False, b""), (True, b""), (False, b"")]]).hex()
    )  # as it was before the answer was kept
