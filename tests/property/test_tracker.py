"""The tracker of heads against whole chains compared the slow way."""

from hypothesis import given, settings, strategies as st

from tests.chains.block_trees import SlowTracker, Tree, genesis
from tidelake.chains.ethereum import CHAIN
from tidelake.chains.heads import Correction, Head
from tidelake.chains.tracker import Tracker

NAMES = ("a", "b", "c", "d")


@st.composite
def trees(draw):
    """A tree of up to 24 blocks, some of which skip numbers as slots do."""
    tree = Tree(genesis())
    for at in range(draw(st.integers(1, 24))):
        blocks = list(tree.blocks.values())
        parent = blocks[-1 - min(draw(st.integers(0, 4)), len(blocks) - 1)]
        skipped = draw(st.sampled_from((0, 0, 0, 0, 1, 2)))
        tree.add(parent, f"{at:02d}", number=parent.number + 1 + skipped)
    return tree


def answer(tree, ask):
    """What a provider whose chain holds the wanted block tells of it."""
    chain = tree.chain(tree.blocks[ask.hash])
    return [block for block in chain if ask.first <= block.number <= ask.last]


def tell(tree, tracker, name, block, at):
    """A head, and all headers that it takes to link it."""
    outputs = tracker.hear([Head(name, "latest", block, at)])
    rounds = 0
    while asks := tracker.asks():
        for ask in asks:
            outputs += tracker.link(ask.provider, answer(tree, ask), at)
        rounds += 1
        assert rounds < 60, f"does not stop asking: {asks}"
    return outputs


@settings(deadline=None, max_examples=200)
@given(trees(), st.integers(1, 4), st.sampled_from((1, 2, 2, 2, 3)), st.data())
def test_active_blocks_and_corrections_are_those_of_whole_chains_compared(tree, count, quorum, data):
    tracker = Tracker("ethereum", CHAIN.finality, tree.root, providers=NAMES[:count], quorum=quorum)
    slow = SlowTracker(tree, quorum)
    blocks = list(tree.blocks.values())
    told = data.draw(
        st.lists(st.tuples(st.sampled_from(NAMES[:count]), st.none() | st.sampled_from(blocks)), max_size=40)
    )
    for at, (name, block) in enumerate(told, start=1):
        if block is None:
            outputs = tracker.gone(name, "down", at)
        else:  # all headers before the head: which of two corrections comes first may hang on when it is linked
            assert not tracker.link(name, tree.chain(block), at)
            outputs = tracker.hear([Head(name, "latest", block, at)])
        changes = slow.hear(name, block)
        assert tracker.active() == slow.active
        corrections = [one for one in outputs if isinstance(one, Correction)]
        assert [(set(one.out), set(one.adopted)) for one in corrections] == changes


@settings(deadline=None, max_examples=100)
@given(trees(), st.data())
def test_whatever_a_single_provider_tells_nothing_is_retracted(tree, data):
    tracker = Tracker("ethereum", CHAIN.finality, tree.root, providers=("honest", "liar"))
    blocks = list(tree.blocks.values())
    truth = tree.chain(blocks[-1])
    told = data.draw(st.lists(st.tuples(st.booleans(), st.sampled_from(blocks), st.sampled_from(truth)), max_size=30))
    held = tracker.active()
    for at, (lies, lie, true) in enumerate(told, start=1):
        outputs = tell(tree, tracker, *(("liar", lie) if lies else ("honest", true)), at)
        for one in outputs:
            if isinstance(one, Correction):  # only the two together, for a chain that both tell
                assert one.providers == ("honest", "liar")
                assert one.adopted[0] in truth
                assert not one.hashes_out & {block.hash for block in truth}
        if not any(isinstance(one, Correction) for one in outputs):
            assert tracker.active()[: len(held)] == held
        held = tracker.active()


@settings(deadline=None, max_examples=100)
@given(trees(), st.data())
def test_late_and_doubled_headers_change_nothing_once_two_providers_tell_the_true_head(tree, data):
    tracker = Tracker("ethereum", CHAIN.finality, tree.root, providers=NAMES[:3])
    blocks = list(tree.blocks.values())
    true = blocks[-1]
    steps = data.draw(st.lists(st.tuples(st.sampled_from(NAMES[:3]), st.sampled_from(blocks), st.booleans())))
    for at, (name, block, answered) in enumerate(steps, start=1):
        tracker.hear([Head(name, "latest", block, at)] * 2)
        for ask in tracker.asks() if answered else ():
            tracker.link(ask.provider, reversed(answer(tree, ask)), at)
    for name in ("a", "b"):
        tell(tree, tracker, name, true, 1_000)
    assert tracker.active()[: len(tree.chain(true))] == tree.chain(true)
