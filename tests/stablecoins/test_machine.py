"""The machine of one coin, case by case."""

from decimal import Decimal

import pytest
from msgspec.structs import replace

from tests.stablecoins.histories import BEGIN, S
from tidelake.stablecoins.attestation import broken_link
from tidelake.stablecoins.fleet import Fleet
from tidelake.stablecoins.machine import Machine
from tidelake.stablecoins.observation import Head, Observation, Retraction, Violation
from tidelake.stablecoins.records import AttestationRow, CorrectionRow, IncidentRow, WindowRow
from tidelake.stablecoins.setup import ChainSetup, CoinSetup

MILLION = 10**12  # of units of six decimals


def setup(*names, coin="USDC", expects=("price",), **changed):
    grace = {"ethereum": 900 * S, "arbitrum": 120 * S, "solana": 30 * S}
    chains = tuple(ChainSetup(name=name, grace_us=grace[name], expects=("supply",)) for name in names)
    return CoinSetup(coin=coin, chains=chains, begin_us=BEGIN, expects=expects, **changed)


def price(second, value, source="kraken", coin="USDC", late=0):
    at = BEGIN + second * S
    return Observation("price", at, at + late * S, coin, "", source, f"{source}:{coin}:price:{at}", value)


def change(second, chain, units, name, block=0, coin="USDC"):
    at = BEGIN + second * S
    return Observation("supply", at, at, coin, chain, "logs", f"{chain}:b{block}{name}:{name}:0", 0.0, units, block)


def head(second, chain, tier2=-1, tier3=-1, block=0, tier3_block=-1):
    at = BEGIN + second * S
    two, three = (BEGIN + s * S if s >= 0 else -1 for s in (tier2, tier3))
    return Observation("head", at, at, "", chain, "node", block_number=block, told=Head(two, three, -1, tier3_block))


def clock(second):
    return Observation("clock", BEGIN + second * S, BEGIN + second * S)


def run(machine, *seen):
    return [record for one in seen for record in machine.step(one)]


def finals(records):
    return [r for r in records if isinstance(r, WindowRow) and r.window_state == "FINAL"]


def rows(records, chain="", length=60, start=0):
    at = BEGIN + start * S
    wanted = (chain, length, at)
    return [r for r in records if isinstance(r, WindowRow) and (r.chain, r.window_s, r.window_start_us) == wanted]


def test_the_burn_that_a_reorg_took_back_is_corrected_before_anything_is_final():
    """The failure that the source document fears most: three chains, and Ethereum reorganises after the window."""
    machine = Machine(setup("ethereum", "arbitrum", "solana"))
    records = run(
        machine,
        change(0, "solana", 100 * MILLION, "mint", 5),
        change(5, "arbitrum", -50 * MILLION, "out", 50),
        change(10, "ethereum", -30 * MILLION, "burn", 1),
        head(300, "solana", 299, 290, 900),
        head(300, "arbitrum", 200, -1, 900),
        head(300, "ethereum", -1, -1, 25),
    )
    told = rows(records, length=300)
    assert told[-1].net_supply_change == Decimal(20_000_000)
    assert told[-1].window_state == "PROVISIONAL"
    assert told[-1].temporal_confidence < 0.6
    gone = Retraction(("ethereum:b1burn:burn:0",))
    at = BEGIN + 600 * S
    corrected = run(machine, Observation("retract", at, at, "", "ethereum", "node", told=gone))
    assert [r.net_supply_change for r in rows(corrected, length=300)] == [Decimal(50_000_000)]
    (correction,) = [r for r in corrected if isinstance(r, CorrectionRow)]
    assert (correction.status, correction.reason) == ("invalidated", "chain_reorg")
    assert (correction.net_supply_change, correction.windows_reopened) == (Decimal(-30_000_000), 4)
    settled = run(
        machine,
        head(1600, "solana", 1600, 1600),
        head(1600, "arbitrum", 1600, 1600),
        head(1600, "ethereum", 1600, 1600),
    )
    (last,) = rows(settled, length=300)
    assert (last.window_state, last.net_supply_change, last.is_finalized) == ("FINAL", Decimal(50_000_000), True)


def test_a_window_is_final_only_when_grace_has_passed_and_its_blocks_are_final():
    machine = Machine(setup("ethereum"))
    run(machine, price(1, 1.0))
    assert [r.window_state for r in rows(run(machine, head(61, "ethereum", 20, -1)))] == ["PROVISIONAL"]
    assert [r.finality_tier for r in rows(run(machine, head(200, "ethereum", 100, -1)))] == ["tier2"]
    assert [r.finality_tier for r in rows(run(machine, head(900, "ethereum", 800, 60)))] == ["tier3"]  # grace until 960
    assert [r.window_state for r in rows(run(machine, clock(960)))] == ["FINAL"]
    other = Machine(setup("ethereum"))
    run(other, price(1, 1.0), head(61, "ethereum", 61, -1))
    assert not [r for r in rows(run(other, clock(5000))) if r.window_state == "FINAL"]
    assert [r.window_state for r in rows(run(other, head(5000, "ethereum", 4000, 60)))] == ["FINAL"]


def test_tier_2_falls_with_the_word_on_it_and_a_late_copy_of_an_earlier_head_changes_nothing():
    machine = Machine(setup("ethereum"))
    run(machine, price(1, 1.0), head(130, "ethereum", -1))
    second, third = head(140, "ethereum", 125), head(150, "ethereum", -1)
    assert [(r.finality_tier, r.window_state) for r in rows(run(machine, second))] == [("tier2", "PROVISIONAL")]
    assert [r.finality_tier for r in rows(run(machine, third))] == ["tier1"]
    assert rows(run(machine, second)) == []
    assert [r.finality_tier for r in rows(run(machine, head(160, "ethereum", 126)))] == ["tier2"]


def test_supply_is_unknown_again_where_a_reorganised_chain_has_not_come_yet():
    machine = Machine(setup("ethereum"))
    (known,) = rows(run(machine, head(130, "ethereum")), "ethereum")
    assert known.net_supply_change == Decimal(0)
    (unknown,) = rows(run(machine, replace(head(50, "ethereum"), known_us=BEGIN + 131 * S)), "ethereum")
    assert (unknown.net_supply_change, unknown.supply_events) == (None, 0)
    (again,) = rows(run(machine, head(140, "ethereum")), "ethereum")
    assert again.net_supply_change == Decimal(0)


@pytest.mark.parametrize("value", [0.87, 0.0, 1.5, 0.7999, 999.0])
def test_no_price_is_clipped(value):
    records = run(Machine(setup("ethereum")), price(1, value), clock(60))
    (row,) = rows(records)
    assert (row.price, row.price_low, row.off_peg_sources) == (value, value, 1)


def test_of_two_prices_that_differ_the_one_off_the_peg_stands_and_nobody_agrees():
    machine = Machine(setup("ethereum", price_sources=2))
    (row,) = rows(run(machine, price(1, 0.87), price(2, 1.0, "coinbase"), clock(60)))
    assert (row.price, row.price_low, row.price_high) == (0.87, 0.87, 1.0)
    assert (row.price_sources, row.price_agreeing, row.off_peg_sources) == (2, 1, 1)
    (row,) = rows(run(machine, price(61, 0.871), price(62, 0.872, "coinbase"), clock(120)), start=60)
    assert (row.price_agreeing, row.off_peg_sources) == (2, 2)


def test_what_is_missing_is_null_and_what_is_filled_carries_its_age():
    machine = Machine(setup("ethereum", expects=("price", "sentiment")))
    records = run(machine, price(10, 1.0), clock(180))
    filled = rows(records, start=120)[-1]
    assert (filled.price, filled.price_age_us, filled.price_sources, filled.price_low) == (1.0, 170 * S, 0, None)
    assert (filled.sentiment_score, filled.sentiment_age_us) == (None, None)
    assert filled.net_supply_change is None  # the head has not passed: it is not known that there was none
    passed = rows(run(machine, head(181, "ethereum")), start=120)[-1]
    assert passed.net_supply_change == Decimal(0)
    assert filled.confidence_breakdown.completeness == pytest.approx(1 / 3)
    assert passed.confidence_breakdown.completeness == pytest.approx(2 / 3)


def test_supply_across_chains_counts_each_token_once():
    chains = (
        ChainSetup(name="ethereum", decimals=6, expects=("supply",)),
        ChainSetup(name="bnb", decimals=18, expects=("supply",), counted=False),
    )
    machine = Machine(CoinSetup(coin="USDC", chains=chains, begin_us=BEGIN, expects=()))
    seen = [change(1, "ethereum", 5 * MILLION, "a"), change(2, "bnb", 3 * 10**24, "b")]
    records = run(machine, *seen, head(60, "ethereum"), head(60, "bnb"))
    row = rows(records)[-1]
    assert (row.net_supply_change, row.uncounted_supply_change) == (Decimal(5_000_000), Decimal(3_000_000))
    assert rows(records, "bnb")[-1].net_supply_change == Decimal(3_000_000)


def test_a_restated_value_replaces_the_earlier_one_however_they_come():
    for order in ((0, 1), (1, 0)):
        machine = Machine(setup("ethereum"))
        told = [price(1, 0.5, late=1), price(1, 0.99, late=30)]
        (row,) = rows(run(machine, *(told[place] for place in order), clock(60)))
        assert row.price == 0.99


def test_a_fact_for_a_final_window_is_recorded_and_never_applied():
    machine = Machine(setup("ethereum"))
    run(machine, price(1, 1.0), head(2000, "ethereum", 2000, 2000))
    late = run(machine, price(2, 0.5, late=2000), change(3, "ethereum", 7, "late"))
    assert [(r.kind, r.event_id) for r in late] == [
        ("after_final", price(2, 0.5).id),
        ("after_final", "ethereum:b0late:late:0"),
    ]
    assert not rows(run(machine, clock(2060)))
    assert machine.state.after_final == 2


def test_a_final_block_that_is_contradicted_halts_its_chain_alone():
    machine = Machine(setup("ethereum", "arbitrum"))
    run(machine, change(100, "ethereum", MILLION, "m", 8), change(100, "arbitrum", MILLION, "m", 8))
    run(machine, head(400, "ethereum", 400, 200, 30, 16), head(400, "arbitrum", 400, 200, 30, 16))
    gone = Observation(
        "retract", BEGIN + 401 * S, BEGIN + 401 * S, "", "ethereum", "node", told=Retraction(("ethereum:b8m:m:0",))
    )
    (incident,) = run(machine, gone)
    assert (incident.kind, incident.event_id) == ("finality_violated", "ethereum:b8m:m:0")
    records = run(machine, head(5000, "ethereum", 5000, 5000), head(5000, "arbitrum", 5000, 5000))
    final = {r.chain for r in records if isinstance(r, WindowRow) and r.window_state == "FINAL"}
    assert final == {"arbitrum"}
    assert rows(records, "ethereum", start=60) == []  # and nothing of it is told anew


def test_a_halted_chain_that_is_resumed_takes_the_new_blocks_keeps_what_was_final_and_becomes_final_again():
    machine = Machine(setup("ethereum"))
    early, late = change(30, "ethereum", MILLION, "early", 2), change(1000, "ethereum", MILLION, "late", 83)
    first = run(machine, early, late, head(1100, "ethereum", 1100, 1060, 91, 88))
    assert [r.window_state for r in rows(first, "ethereum")] == ["PROVISIONAL", "FINAL"]

    def word(second, feature, told=None):
        at = BEGIN + second * S
        return Observation(feature, at, at, "USDC", "ethereum", "heads", told=told)

    run(machine, word(1101, "violation", Violation((late.id,), "told otherwise")))
    assert not finals(run(machine, head(2500, "ethereum", 2500, 2500)))
    gone = Retraction((early.id, late.id), (), "chain_reorg", 1, BEGIN + 12 * S)
    told = run(machine, word(2501, "resumed"), word(2501, "retract", gone))
    incidents = [(r.kind, r.event_id) for r in told if isinstance(r, IncidentRow)]
    assert incidents == [("resumed", ""), ("after_final", early.id)]
    assert [(r.event_id, r.status) for r in told if isinstance(r, CorrectionRow)] == [(late.id, "invalidated")]
    assert not finals(told)  # no block of the new chain is final yet
    told = run(machine, change(1010, "ethereum", 2 * MILLION, "new", 84), head(2600, "ethereum", 2600, 2600, 220, 220))
    found = {r.window_start_us: r for r in finals(told) if (r.chain, r.window_s) == ("ethereum", 60)}
    assert found[BEGIN + 960 * S].minted == Decimal(2_000_000)
    assert BEGIN not in found


@pytest.mark.parametrize("hindrance", ["logs are down", "no block is final", "halted"])
def test_windows_that_cannot_become_final_are_let_go_so_that_memory_is_flat_and_later_ones_do(hindrance):
    machine = Machine(setup("ethereum", "arbitrum", held_us=3600 * S))

    def word(second, feature, value=0.0, told=None):
        at = BEGIN + second * S
        return Observation(feature, at, at, "", "ethereum", "logs", value=value, told=told)

    if hindrance == "logs are down":
        run(machine, word(1, "source"))
    if hindrance == "halted":
        run(machine, word(1, "violation", told=Violation((), "told otherwise")))
    sizes, records = [], []
    for second in range(0, 6 * 3600, 20):
        tier3 = -1 if hindrance == "no block is final" else second - 30
        records += run(machine, head(second, "ethereum", second - 20, tier3), head(second, "arbitrum", second, second))
        records += run(machine, change(second, "ethereum", 5, f"m{second}"))
        if second % 3600 == 3580:
            sizes.append(len(machine.save()))
    assert sizes[-1] < 1.3 * sizes[1]
    gone = [r for r in records if isinstance(r, IncidentRow) and r.kind == "let_go"]
    assert {r.chain for r in gone} == {"", "ethereum"}
    why = {"logs are down": "logs of ethereum are down", "halted": "contradicted", "no block is final": "do not become"}
    assert all(why[hindrance] in r.reason for r in gone)
    states = {(r.chain, r.window_start_us): r.window_state for r in records if isinstance(r, WindowRow)}
    assert {state for (chain, _), state in states.items() if chain == "ethereum"} == {"PROVISIONAL"}
    assert "FINAL" in {state for (chain, _), state in states.items() if chain == "arbitrum"}
    known = machine.state.tracks[0].final_us
    assert [r.kind for r in run(machine, change(60, "ethereum", 5, "late"))] == ["after_final"]
    end = 6 * 3600
    back = run(machine, word(end, "source", 1.0), word(end, "resumed"), head(end, "ethereum", end, end))
    final = [r for r in finals(back) if r.chain == "ethereum"]
    assert min(r.window_start_us for r in final) == known
    assert {r.supply_events for r in final if r.window_s == 60} == {3}


def test_windows_of_which_logs_are_lost_are_let_go_and_those_after_them_become_final():
    machine = Machine(setup("ethereum"))
    run(machine, change(130, "ethereum", MILLION, "m"), head(600, "ethereum", 600, 300))
    lost = Observation("lost", BEGIN + 70 * S, BEGIN + 600 * S, "USDC", "ethereum", "logs")
    told = run(machine, lost)
    assert {(r.chain, r.reason) for r in told} == {
        (chain, f"{many} from then on stay PROVISIONAL: logs of ethereum are lost")
        for chain in ("", "ethereum")
        for many in ("2 windows of 60 s", "1 windows of 300 s")
    }
    final = finals(run(machine, head(3000, "ethereum", 3000, 3000)))
    starts = {(r.chain, r.window_s, (r.window_start_us - BEGIN) // S) for r in final}
    assert {start for chain, length, start in starts if length == 60} == set(range(120, 2100, 60))
    assert {start for chain, length, start in starts if length == 300} == set(range(300, 2100, 300))


def test_a_copy_of_an_orphaned_fact_that_comes_late_does_not_bring_it_back_but_its_block_does():
    machine = Machine(setup("ethereum"))
    lost = change(1, "ethereum", MILLION, "m", 1)

    def word(second, out=(), back=()):
        at = BEGIN + second * S
        return Observation("retract", at, at, "", "ethereum", "node", told=Retraction(tuple(out), tuple(back)))

    run(machine, lost, head(61, "ethereum"), word(62, [lost.id]), lost)
    assert rows(run(machine, clock(120)), start=0) == []
    back = run(machine, word(130, back=[lost.id]))
    assert rows(back)[-1].net_supply_change == Decimal(1_000_000)
    assert [r.status for r in back if isinstance(r, CorrectionRow)] == ["restored"]


def test_windows_wait_while_the_logs_of_a_chain_are_not_told():
    machine = Machine(setup("ethereum"))
    down = Observation("source", BEGIN + S, BEGIN + S, "", "ethereum", "logs", value=0.0)
    run(machine, down, head(2000, "ethereum", 2000, 2000))
    found = change(5, "ethereum", MILLION, "m")
    back = Observation("source", BEGIN + 2001 * S, BEGIN + 2001 * S, "", "ethereum", "logs", value=1.0)
    records = run(machine, found, back)
    last = rows(records)[-1]
    assert (last.window_state, last.net_supply_change) == ("FINAL", Decimal(1_000_000))


@pytest.mark.parametrize(
    "bad",
    [
        price(5, float("nan")),
        price(5, float("inf")),
        price(5, -0.5),
        Observation("sentiment", BEGIN + S, BEGIN + S, "USDC", "", "vader", "v", 1.5),
        Observation("price", BEGIN + 10**15, BEGIN + S, "USDC", "", "kraken", "k", 1.0),
        Observation("price", BEGIN + S, BEGIN + S, "USDC", "tron", "kraken", "k", 1.0),
        Observation("price", BEGIN + S, BEGIN + S, "USDC", "", "kraken", "", 1.0),
    ],
)
def test_what_cannot_be_is_refused_with_its_reason_and_changes_nothing(bad):
    machine = Machine(setup("ethereum"))
    before = machine.save()
    (incident,) = run(machine, bad)
    assert (incident.kind, machine.state.refused) == ("refused", 1)
    assert incident.reason
    machine.state.refused = 0
    assert machine.save() == before


class Explosive(float):
    """A value whose first comparison fails, as a defect of ours would."""

    def __lt__(self, other):
        raise RuntimeError("boom")


def test_a_poisoned_coin_changes_nothing_in_the_others():
    setups = {coin: setup("ethereum", coin=coin) for coin in ("USDC", "USDT", "DAI")}
    seen = [price(s, 1.0 + s / 1e6, coin=coin) for s in range(200) for coin in setups]
    poison = [
        price(50, Explosive(1.0), coin="USDT"),
        price(51, float("nan"), coin="USDT"),
        price(52, 1e300, coin="USDT"),
    ]
    told = {}
    for poisoned in (False, True):
        fleet, out = Fleet(setups), []
        for one in [*seen[:300], *(poison if poisoned else ()), *seen[300:], head(2000, "ethereum", 2000, 2000)]:
            fleet.take(one, out)
        told[poisoned] = [record for record in out if record.coin != "USDT"]
        assert bool(fleet.failed) is poisoned
        if poisoned:
            assert [r.kind for r in out if isinstance(r, IncidentRow)] == ["machine_failed"]
    assert told[True] == told[False]
    assert told[True]


def test_attestations_are_of_final_windows_of_a_score_of_eight_tenths_and_linked():
    machine = Machine(setup("ethereum"))
    seen = [price(s, 1.0) for s in range(0, 1800, 30)]
    records = run(machine, *seen, head(3000, "ethereum", 3000, 3000))
    chain = [r for r in records if isinstance(r, AttestationRow) and (r.chain, r.window_s) == ("", 60)]
    assert len(chain) == 30 + 1  # then the last price is older than two of its intervals
    assert broken_link(chain) is None
    assert broken_link([*chain[:3], *chain[4:]]) is chain[4]


def test_memory_is_flat_however_long_it_runs():
    machine = Machine(setup("ethereum"))
    sizes = []
    for second in range(0, 4 * 3600, 10):
        run(machine, price(second, 1.0), head(second, "ethereum", second - 100, second - 800))
        run(machine, change(second, "ethereum", 5, f"m{second}"))
        if second % 3600 == 3590:
            sizes.append(len(machine.save()))
    assert sizes[-1] < 1.15 * sizes[0]
