"""The collateral of Morpho's markets: the sum of their logs, against adding them up one by one."""

import random

import pytest
from eth_abi.abi import encode

from tests.lending.contracts import address
from tidelake.chains.logs import LogFact
from tidelake.lending.families.morpho_blue import CREATE, LIQUIDATE, SUPPLY_COLLATERAL, WITHDRAW_COLLATERAL
from tidelake.lending.panel.morpho_collateral import Tokens, collateral_held, tokens_by_part

WHO = "0x" + "0" * 24 + "ab" * 20
PARTS = [f"0x{n:064x}" for n in range(3)]
FORMS = {  # what stands in the data: types, values by amount, and the sign
    SUPPLY_COLLATERAL: (["uint256"], lambda amount: [amount], 1),
    WITHDRAW_COLLATERAL: (["address", "uint256"], lambda amount: [address(1), amount], -1),
    LIQUIDATE: (["uint256"] * 5, lambda amount: [7, 7, amount, 7, 7], -1),
}


def log(event, part, data, block, index):
    topics = (event.topic0, part) if event is CREATE else (event.topic0, part, WHO, WHO)
    return LogFact("ethereum", block, f"0x{block}", "0xt", 0, index, address(9), topics, "0x" + data.hex())


@pytest.mark.parametrize("seed", range(20))
def test_collateral_is_the_sum_of_what_moved(seed):
    draw = random.Random(seed)
    logs, moved = [], []
    for index in range(60):
        event, part, block = draw.choice(list(FORMS)), draw.choice(PARTS), draw.randrange(30)
        types, values, sign = FORMS[event]
        amount = draw.randrange(2**100)
        logs.append(log(event, part, encode(types, values(amount)), block, index))
        moved.append((block, part, sign * amount))
    draw.shuffle(logs)
    blocks = draw.sample(range(32), 5)
    found = collateral_held(logs, blocks)
    for block in blocks:
        wanted = {part: sum(n for at, of, n in moved if of == part and at <= block) for part in PARTS}
        assert found[block] == {part: amount for part, amount in wanted.items() if amount}


def test_assets_of_a_part_are_those_of_its_creation():
    types = ["(address,address,address,address,uint256)"]
    told = encode(types, [(address(1), address(2), address(3), address(4), 5)])
    assert tokens_by_part([log(CREATE, PARTS[0], told, 1, 1)]) == {PARTS[0]: Tokens(address(1), address(2))}
