"""Blocks that come, go and come back, and logs that come late: the machine ends where the last chain says."""

import random
from dataclasses import replace

import msgspec
from hypothesis import given, settings, strategies as st

from tests.stablecoins import tokens
from tests.stablecoins.histories import BEGIN, S
from tests.stablecoins.tokens import Token, word
from tidelake.chains.heads import Block, Correction, Incident, LateLogs, LostLogs, Moved, Resumed, Standing, Tier, Tiers
from tidelake.stablecoins.chain_words import ChainWords
from tidelake.stablecoins.coin_setup import coin_setup
from tidelake.stablecoins.fleet import Fleet
from tidelake.stablecoins.observation import Head, Observation, Retraction, Violation
from tidelake.stablecoins.records import IncidentRow, WindowRow
from tidelake.stablecoins.registry import read_coins

COINS = {coin.symbol: coin for coin in read_coins()}
USDC, USDT = COINS["USDC"], COINS["USDT"]
NOW = 2 * 10**15
HOLDER = "0x" + "11" * 20


def block(number, name="a", parent="a"):
    return Block(number, f"0x{name}{number}", number - 1, f"0x{parent}{number - 1}", BEGIN + number * 12 * S)


def logs_of(of, *changes, coin=USDC, chain="ethereum"):
    """Logs of mints (above zero) and burns in a block."""
    token = Token(chain, next(one.address for one in coin.deployments if one.chain == chain), "usdc", 10**18)
    for units in changes:
        token.mint(HOLDER, HOLDER, units) if units > 0 else token.burn(HOLDER, -units)
    return [replaced(log, of) for log in token.logs]


def replaced(log, of):
    return replace(log, block_number=of.number, block_hash=of.hash)


def moved(*added, safe=-1, final=-1, seen=1):
    return Moved("ethereum", added, Tiers(added[-1].number if added else 0, safe, final), seen)


def correction(ancestor, out, adopted, seen=1):
    one: Tier = 1
    return Correction(
        chain="ethereum",
        ancestor=ancestor,
        out=tuple(out),
        adopted=tuple(adopted),
        tiers_out=tuple([one] * len(out)),
        tiers_in=tuple([one] * len(adopted)),
        providers=("x", "y"),
        reason="told",
        fork_seen_us=seen,
        seen_us=seen,
    )


def heads(seen):
    return [(one.chain, one.block_number, one.told) for one in seen if isinstance(one.told, Head)]


def test_head_is_told_only_as_far_as_the_logs_of_all_blocks_are_known():
    words = ChainWords("ethereum", [USDC])
    first, second, third = block(1), block(2), block(3)
    assert words.take(moved(first, second, third, safe=2, final=1)) == []
    assert words.take_logs(second, [], 5) == []
    told = words.take_logs(first, logs_of(first, 7), 6)
    assert [(one.feature, one.units, one.event_us, one.known_us) for one in told] == [
        ("supply", 7, first.time_us, 6),
        ("head", 0, second.time_us, 6),
    ]
    assert told[0].id == f"ethereum:0xa1:0x{word(10_000)}:0"
    assert heads(told) == [("ethereum", 2, Head(second.time_us, first.time_us, 2, 1))]
    assert words.take_logs(first, logs_of(first, 7), 8) == []  # told once
    assert heads(words.take_logs(third, [], 9)) == [("ethereum", 3, Head(second.time_us, first.time_us, 2, 1))]
    assert words.take(Standing("ethereum", "x", "LAGS", "", 9)) == []
    assert words.take(moved(safe=2, final=1)) == []  # nothing changed


def test_fact_whose_block_comes_back_stands_again_though_corrections_were_seen_before_its_logs_were_known():
    words = ChainWords("ethereum", [USDC])
    fleet = Fleet({"USDC": coin_setup(USDC, BEGIN, heads={"ethereum"}, chains={"ethereum"}, expects=())})
    base, old, new = block(1), block(2), block(2, "b")
    steps = [
        lambda: words.take(moved(base, old)),
        lambda: words.take_logs(base, [], NOW + 10),
        lambda: words.take_logs(old, logs_of(old, 7), NOW + 20),
        lambda: words.take(correction(base, [old], [new], seen=NOW + 15)),
        lambda: words.take_logs(new, logs_of(new, 7, 2), NOW + 16),
        lambda: words.take(correction(base, [new], [old], seen=NOW + 17)),
    ]
    minted, known, records = [], [], []
    for one in steps:
        for seen in one():
            known.append(seen.known_us)
            fleet.take(seen, records)
        row = next(row for row in fleet.machines["USDC"].open_rows() if row.chain == "ethereum")
        minted.append(row.minted and int(row.minted.scaleb(6)))
    assert minted[2:] == [7, None, 9, 7]
    assert known == sorted(known)
    assert not [one for one in records if isinstance(one, IncidentRow)]


def test_each_coin_and_lane_hears_of_its_own_facts_alone_and_all_of_the_reorganisation():
    words = ChainWords("avalanche", [USDC, USDT, COINS["GHO"], COINS["PYUSD"]])
    base, old, new = block(1), block(2), block(2, "b")
    words.take(moved(base, old))
    words.take_logs(base, [], 2)
    words.take_logs(old, logs_of(old, 7, coin=USDC, chain="avalanche"), 3)
    told = words.take(correction(base, [old], [new], seen=4))
    taken = {(one.coin, one.chain): one.told for one in told if isinstance(one.told, Retraction)}
    assert taken.pop(("USDC", "avalanche")).ids == (f"avalanche:0xa2:0x{word(10_000)}:0",)
    assert {("USDT", "avalanche"), ("USDT", "avalanche/USDT.e")} <= set(taken)
    assert set(taken.values()) == {Retraction((), ())}
    assert [(name, number) for name, number, _ in heads(told)] == [("avalanche", 1), ("avalanche/USDT.e", 1)]


def test_supply_is_unknown_after_a_contract_handed_over_or_logs_in_another_form_until_the_block_goes_out():
    words = ChainWords("ethereum", [USDT, USDC])
    base, old, new = block(1), block(2), block(2, "b")
    usdt = Token("ethereum", USDT.deployments[0].address, "usdt")
    usdt.log(tokens.DEPRECATE, data=(HOLDER,))
    strange = [replace(log, data=log.data + "00") for log in logs_of(old, 5)]
    words.take(moved(base, old))
    words.take_logs(base, [], 2)
    told = words.take_logs(old, [*(replaced(log, old) for log in usdt.logs), *strange], 3)
    down = [(one.coin, one.chain, one.source.split()[0], one.value) for one in told if one.feature == "source"]
    assert down == [("USDT", "ethereum", "logs", 0.0), ("USDC", "ethereum", "logs", 0.0)]
    assert not [one for one in told if one.feature == "supply"]
    told = words.take(correction(base, [old], [new], seen=4))
    assert [(one.coin, one.value) for one in told if one.feature == "source"] == [("USDT", 1.0), ("USDC", 1.0)]
    told = words.take(correction(base, [new], [old], seen=5))
    assert [(one.coin, one.value) for one in told if one.feature == "source"] == [("USDT", 0.0), ("USDC", 0.0)]


def test_incident_names_the_facts_of_final_blocks():
    words = ChainWords("ethereum", [USDC])
    base, old = block(1), block(2)
    words.take(moved(base, old, safe=2, final=2))
    words.take_logs(base, [], 2)
    words.take_logs(old, logs_of(old, 7), 3)
    (told,) = words.take(Incident("ethereum", base, (old,), ("x", "y"), "why", 4, 5))
    assert (told.feature, told.coin, told.chain) == ("violation", "USDC", "ethereum")
    assert told.told == Violation((f"ethereum:0xa2:0x{word(10_000)}:0",), "why")


def test_resumed_chain_says_so_and_names_the_last_block_that_stands_where_final_ones_are_given_up():
    words = ChainWords("ethereum", [USDC])
    base, old, new = block(1), block(2), block(2, "b")
    words.take(moved(base, old, safe=2, final=2))
    (told,) = words.take(Resumed("ethereum", 4))
    assert (told.feature, told.coin, told.chain) == ("resumed", "USDC", "ethereum")
    taken = replace(correction(base, [old], [new], seen=5), tiers_out=(3,))
    for output, stands in ((taken, (1, base.time_us)), (correction(base, [new], [old], seen=6), (-1, -1))):
        (gone,) = [one.told for one in words.take(output) if isinstance(one.told, Retraction)]
        assert (gone.ancestor, gone.ancestor_us) == stands


def test_late_logs_take_the_supply_down_until_all_of_them_came_went_out_or_are_lost():
    words = ChainWords("ethereum", [USDC])
    blocks = [block(number) for number in range(1, 6)]

    def sources(seen):
        return [(one.feature, one.event_us, one.value) for one in seen if one.feature in ("source", "lost")]

    words.take(moved(*blocks))
    words.take_logs(blocks[0], [], 2)
    assert sources(words.take(LateLogs("ethereum", blocks[0], "why", 3))) == []  # they came meanwhile
    assert sources(words.take(LateLogs("ethereum", blocks[1], "why", 3))) == [("source", blocks[1].time_us, 0.0)]
    for late in blocks[2:]:
        assert sources(words.take(LateLogs("ethereum", late, "why", 3))) == []
    assert sources(words.take_logs(blocks[2], logs_of(blocks[2], 5), 4)) == []
    other = block(5, "b")
    assert sources(words.take(correction(blocks[3], blocks[4:], [other], seen=5))) == []
    told = words.take(LostLogs("ethereum", (blocks[1], blocks[3], block(2, "c")), 6))
    at = blocks[3].time_us
    assert sources(told) == [("lost", at, 0.0), ("source", at, 1.0)]
    assert heads(told) == [("ethereum", 4, Head(-1, -1, -1, -1))]
    assert words.take_logs(blocks[1], logs_of(blocks[1], 9), 7) != []  # too late to count: the machine says so


def test_chain_whose_logs_tell_nothing_waits_for_none():
    words = ChainWords("solana", [USDC])
    assert words.wanted is None
    assert [number for _, number, _ in heads(words.take(moved(block(1), block(2))))] == [2]


def final(records):
    rows = [one for one in records if isinstance(one, WindowRow) and one.window_state == "FINAL"]
    learnt = {"known_us", "event_version", "confirmation_count"}
    return {
        (row.chain, row.window_s, row.window_start_us): {
            name: value for name, value in msgspec.structs.asdict(row).items() if name not in learnt
        }
        for row in rows
    }


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32))
def test_any_forks_with_logs_that_come_in_any_order_end_in_the_rows_of_the_last_chain(seed):
    dice = random.Random(seed)
    setup = coin_setup(USDC, BEGIN, heads={"ethereum"}, chains={"ethereum"}, expects=(), grace_us={"ethereum": 24 * S})
    words, fleet, records = ChainWords("ethereum", [USDC]), Fleet({"USDC": setup}), []
    chain, changes, wanted, known = [], {}, [], NOW
    gone = []  # branches that went out whole, each with what stood before it

    def give(told):
        for seen in told:
            fleet.take(seen, records)

    def fresh(number):
        parent = chain[-1].hash if chain else "0x0"
        made = Block(number, f"0x{len(changes):x}", number - 1, parent, BEGIN + number * 12 * S)
        changes[made.hash] = [dice.randrange(1, 50) * dice.choice((1, -1)) for _ in range(dice.choice((0, 0, 1, 2)))]
        return made

    def logs():
        dice.shuffle(wanted)
        for one in [wanted.pop() for _ in range(dice.randrange(len(wanted) + 1))]:
            give(words.take_logs(one, logs_of(one, *changes[one.hash]), known - dice.randrange(3)))

    for number in range(80):
        known += dice.randrange(3)
        safest = max(len(chain) - 12, -1)
        chain.append(fresh(number))
        wanted.append(chain[-1])
        give(words.take(moved(chain[-1], safe=max(len(chain) - 6, -1), final=safest, seen=known)))
        if dice.random() < 0.6:
            logs()
        if number > 14 and dice.random() < 0.3:
            depth = dice.randrange(1, 8)
            out, ancestor = chain[-depth:], chain[-depth - 1]
            del chain[-depth:]
            back = [branch for before, branch in gone if before == ancestor and len(branch) >= depth]
            gone.append((ancestor, out))
            came = list(dice.choice(back))[:depth] if back and dice.random() < 0.7 else []
            chain.extend(came)
            while len(came) < depth:
                came.append(fresh(out[len(came)].number))
                chain.append(came[-1])
            wanted.extend(came)
            give(words.take(correction(ancestor, out, came, seen=known)))
    for one in wanted:
        give(words.take_logs(one, logs_of(one, *changes[one.hash]), known))
    give(words.take(moved(safe=79, final=79, seen=known)))

    clean, told = Fleet({"USDC": setup}), []
    for one in chain:
        for log, units in zip(logs_of(one, *changes[one.hash])[::2], changes[one.hash], strict=True):
            place = f"ethereum:{log.block_hash}:{log.tx_hash}:{log.log_index}"
            clean.take(
                Observation("supply", one.time_us, NOW, "USDC", "ethereum", "logs", place, 0.0, units, one.number),
                told,
            )
    tip = chain[-1].time_us
    head = Head(tip, tip, 79, 79)
    clean.take(Observation("head", tip, NOW, "", "ethereum", "heads", block_number=79, told=head), told)
    assert len(final(told)) > 20
    assert final(records) == final(told)
    assert not [one for one in records if isinstance(one, IncidentRow)]
