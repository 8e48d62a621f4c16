"""Reorganisations of a chain with both mint styles, followed to the machines of both coins: exact, soon, never by one.

Corrections, windows and tiers are held against dictionaries that are read from the node itself before and after.
"""

import sys
import time

import pytest

from tests.jobs.chain_relay import relay
from tests.jobs.issuer_chain import S, Watch, assert_windows_say, followed, issuers
from tests.jobs.test_follow_heads import FAST, provider, run
from tidelake.chains.heads import Correction
from tidelake.stablecoins.records import CorrectionRow, IncidentRow

SLOTS = 32  # a block is final once 64 stand on it
SECONDS = 5.0


async def settled(chain, watch, listener):
    """What the chain is once all of it is known; every window is held against it."""
    tags = chain.tags()
    await listener.until(lambda: watch.knows(tags))
    count = chain.count()
    assert_windows_say(watch.windows(), count, tags[1])
    return count, tags[0]


def assert_exact(rows, before, after, depth):
    """The rows are what the dictionaries differ by: each fact that went out once, with its units and time."""
    for name, gone in ((name, {i: x for i, x in before[name].items() if i not in after[name]}) for name in before):
        mine = [row for row in rows if row.coin == name]
        assert {row.event_id: (int(row.net_supply_change.scaleb(6)), row.event_us) for row in mine} == {
            place: told[:2] for place, told in gone.items()
        }
        assert len(mine) == len(gone)
        assert {row.status for row in mine} <= {"invalidated"}
        assert {row.reason for row in mine} <= {"chain_reorg"}
    assert rows, depth


def reorg_of(depth, *, every_s, start_anvil, seed):
    """Seconds from the fork of that depth to the record of the last fact that it took back."""

    async def scenario(listener, following):
        chain.grow(70)
        again = chain.grow(depth)
        before, tiers = await settled(chain, watch, listener)
        began = time.monotonic()
        chain.fork(depth, again)
        after = chain.count()
        await listener.until(lambda: watch.corrected_at != [])
        assert_exact(watch.of(CorrectionRow), before, after, depth)
        seconds = watch.corrected_at[-1] - began
        (told,) = [one for one in listener.told if isinstance(one, Correction)]
        assert [block.number for block in told.out] == list(range(tiers.head - depth + 1, tiers.head + 1))
        assert told.tiers_out == tuple(tiers.of(block.number) for block in told.out)
        assert told.providers == ("alpha", "beta")
        again_now = [place for place in after["USDC"] | after["USDT"] if place.split(":")[2] == again]
        again_then = [place for place in before["USDC"] | before["USDT"] if place.split(":")[2] == again]
        assert again_now != again_then  # the same transaction in another block is another fact
        await settled(chain, watch, listener)
        chain.grow(80)  # all that was changed becomes final
        await settled(chain, watch, listener)
        assert not watch.of(IncidentRow)
        assert len(watch.of(CorrectionRow)) == sum(len(set(before[name]) - set(after[name])) for name in before)
        return seconds

    with issuers(start_anvil, SLOTS, seed) as (chain, node, second):
        watch = Watch()
        both = provider("alpha", node), provider("beta", second.url)
        return run(followed(chain, watch, both, scenario, every_s))


def depths():
    """Five of them in every run, all of them in the soak."""
    return [pytest.param(n, marks=() if n in (1, 2, 12, 32, 64) else pytest.mark.soak) for n in range(1, 65)]


@pytest.mark.parametrize("depth", depths())
def test_reorg_of_both_mint_styles_is_corrected_exactly_within_five_seconds(start_anvil, depth):
    seconds = reorg_of(depth, every_s=FAST, start_anvil=start_anvil, seed=depth)
    assert seconds < SECONDS


@pytest.mark.soak
@pytest.mark.parametrize("depth", range(1, 65))
def test_reorg_is_corrected_within_five_seconds_at_the_ordinary_pace_of_questions(start_anvil, depth):
    seconds = reorg_of(depth, every_s=2.0, start_anvil=start_anvil, seed=1_000 + depth)
    sys.stdout.write(f"depth {depth}: {seconds:.3f} s\n")
    assert seconds < SECONDS


def test_nothing_is_taken_back_on_the_word_of_one_where_others_lag_are_down_or_lie(start_anvil):
    async def scenario(listener, following):
        async def fork_that_only_one_tells(hold_back, let_go):
            """A fork of five blocks, which two tell only once the second is let go."""
            again = chain.grow(5)
            before, _ = await settled(chain, watch, listener)
            times = chain.tags()[1]
            known, records = len(watch.corrected_at), len(watch.of(CorrectionRow))
            hold_back()
            chain.fork(5, again)
            after = chain.count()
            await listener.until(lambda: following.tracker.state == "DISAGREE")
            asked = second.asked + third.asked
            await listener.until(lambda: second.asked + third.asked > asked + 20)  # they are heard some rounds long
            assert len(watch.of(CorrectionRow)) == records
            assert_windows_say(watch.windows(), before, times)
            let_go()
            await listener.until(lambda: following.tracker.standings["beta"] != "GONE")  # asked again
            began = time.monotonic()
            await listener.until(lambda: len(watch.corrected_at) > known)
            assert watch.corrected_at[-1] - began < SECONDS
            assert_exact(watch.of(CorrectionRow)[records:], before, after, 5)
            await settled(chain, watch, listener)

        def both_freeze():
            second.freeze()
            third.freeze()

        def goes_down():
            second.down = True

        def comes_back():
            second.down = False

        chain.grow(70)
        await settled(chain, watch, listener)
        await fork_that_only_one_tells(both_freeze, second.thaw)  # the third still tells the blocks that went out
        third.node_url = liar
        third.thaw()
        await listener.until(lambda: following.tracker.standings["gamma"] == "DISAGREES")
        await fork_that_only_one_tells(goes_down, comes_back)  # and the third tells another chain
        second.hides_logs = True
        records = len(watch.of(CorrectionRow))
        chain.grow(10)
        await settled(chain, watch, listener)
        assert len(watch.of(CorrectionRow)) == records
        assert not watch.of(IncidentRow)

    with issuers(start_anvil, SLOTS, 5) as (chain, node, second), issuers(start_anvil, SLOTS, 6) as (other, liar, _):
        assert chain.zero() == other.zero()
        other.grow(60)
        watch = Watch()
        with relay(node) as third:
            providers = provider("alpha", node), provider("beta", second.url), provider("gamma", third.url)
            run(followed(chain, watch, providers, scenario))


def test_final_blocks_contradicted_halt_both_coins_until_the_chain_is_resumed_and_final_windows_stay(start_anvil):
    async def scenario(listener, following):
        chain.grow(30)
        again = chain.grow(12)
        before, tiers = await settled(chain, watch, listener)
        final = watch.final()
        assert len(final) > 5
        chain.fork(12, again)  # final after eight blocks
        await listener.until(lambda: following.tracker.state == "HALTED" and following._outputs.empty())
        violated = [one for one in watch.of(IncidentRow) if one.kind == "finality_violated"]
        assert {one.coin for one in violated} == {"USDC", "USDT"}
        of_final = {place for told in before.values() for place, (_, _, at) in told.items() if at > tiers.head - 12}
        named = {one.event_id for one in violated if one.event_id}
        assert {place for place in of_final if before_block(before, place) <= tiers.final} == named
        chain.grow(20)
        asked = second.asked
        await listener.until(lambda: second.asked > asked + 30)
        assert watch.final() == final
        assert not watch.of(CorrectionRow)
        following.resume()
        after = chain.count()
        await listener.until(lambda: watch.knows(chain.tags()))
        out = {place for name in before for place in set(before[name]) - set(after[name])}
        unapplied = {one.event_id for one in watch.of(IncidentRow) if one.kind == "after_final"}
        corrected = {one.event_id for one in watch.of(CorrectionRow)}
        assert corrected | (unapplied & out) == out  # each fact that went out is corrected, or said to stand in FINAL
        assert not corrected & unapplied
        assert watch.final().items() >= final.items()
        assert len(watch.final()) > len(final) + 5
        frontier = max(at for (_, _, length, start) in final for at in [start + length * S])
        fresh = {key: row for key, row in watch.windows().items() if key[3] >= frontier}
        assert_windows_say(fresh, after, chain.tags()[1])

    with issuers(start_anvil, 4, 7) as (chain, node, second):
        watch = Watch()
        run(followed(chain, watch, (provider("alpha", node), provider("beta", second.url)), scenario))


def before_block(count, place):
    return next(told[place][2] for told in count.values() if place in told)


def test_logs_that_never_come_are_told_to_be_late_and_lost_and_what_comes_after_them_becomes_final(start_anvil):
    async def scenario(listener, following):
        chain.grow(20)
        await settled(chain, watch, listener)
        mute(True)
        chain.grow(10)
        lost = chain.tags()[1][0] - 9 * 12 * S  # the first of the ten holds changes
        await listener.until(lambda: [one.kind for one in watch.of(IncidentRow)] == ["source_down"] * 2)
        for _ in range(5):  # blocks without logs; with a hold of 64 those before them are given up
            chain.mine(30)
            head = chain.head()
            await listener.until(lambda head=head: following.tracker.tip.number == head)
        await listener.until(lambda: len([one for one in watch.of(IncidentRow) if one.kind == "source_back"]) == 2)
        kinds = {one.kind for one in watch.of(IncidentRow)}
        assert kinds == {"source_down", "source_back", "let_go"}
        assert len(following._tracker.active()) < 64 * 1.25 + 64
        assert not following._failing
        before = watch.final()
        mute(False)
        chain.grow(40)
        await listener.until(lambda: watch.knows(chain.tags()))
        count, (_, times) = chain.count(), chain.tags()
        assert_windows_say(watch.final(), count, times)
        assert len(watch.final()) > len(before) + 5
        states = {
            row.window_state for row in watch.windows().values() if row.window_start_us <= lost < row.window_end_us
        }
        assert states == {"PROVISIONAL"}

    with issuers(start_anvil, 4, 8) as (chain, node, second), relay(node) as first:
        watch = Watch()

        def mute(silent):
            for one in (first, second):
                one.hides_all_logs = silent

        providers = provider("alpha", first.url), provider("beta", second.url)
        run(followed(chain, watch, providers, scenario, hold=64, late_s=0.2))
