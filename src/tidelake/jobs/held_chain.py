"""A tracker brought to where it was when its chain was followed last."""

from tidelake.chains.finality import policy_at
from tidelake.chains.heads import Head, HeldChain
from tidelake.chains.solana import SlotChain
from tidelake.chains.spec import Chain
from tidelake.chains.tracker import Tracker


def recall(tracker: Tracker, chain: Chain | SlotChain, held: HeldChain, seen_us: int) -> None:
    """Let a new tracker, begun at the oldest block that is held, take the others as active and of their tiers.

    Its providers tell nothing yet: each has a voice once it is heard. What it gives out is what was told before. A
    chain that was halted is halted.
    """
    active = {block.number: block for block in held.blocks}
    tip = held.blocks[-1]
    policy = policy_at(chain.finality, tip.number)
    words = ((policy.safe, held.tiers.safe), (policy.final, held.tiers.final))
    for name in tuple(tracker.standings):
        tracker.link(name, held.blocks, seen_us)
        heads = [Head(name, "latest", tip, seen_us)]
        heads += [Head(name, tag, active[number], seen_us) for tag, number in words if tag and number in active]
        tracker.hear(heads)
    for name in tuple(tracker.standings):
        tracker.gone(name, "was not asked yet", seen_us)
    tracker.halted = held.halted
