"""What is logged of a followed chain: reorganisations, a halt, and how its providers stand to it."""

from tidelake.chains.heads import Correction, Incident, Output, Resumed, Standing
from tidelake.transport.logger import logger

GOOD = ("FOLLOWS", "SILENT")  # a provider is silent until it has told something


def log_output(output: Output) -> None:
    """Log what a tracker says; that its chain went on is too much to log."""
    if isinstance(output, Correction):
        logger().warning(
            "reorganisation",
            chain=output.chain,
            depth=len(output.out),
            ancestor=output.ancestor.number,
            blocks_out=[f"{block.number}:{block.hash}" for block in output.out],
            blocks_in=[f"{block.number}:{block.hash}" for block in output.adopted],
            highest_tier_out=max(output.tiers_out, default=1),
            providers=output.providers,
            corrected_after_s=(output.seen_us - output.fork_seen_us) / 1e6,
            reason=output.reason,
        )
    elif isinstance(output, Incident):
        logger().error(
            "chain halted",
            chain=output.chain,
            ancestor=output.ancestor.number if output.ancestor else None,
            contradicted=[f"{block.number}:{block.hash}" for block in output.contradicted],
            providers=output.providers,
            reason=output.reason,
        )
    elif isinstance(output, Resumed):
        logger().warning("chain resumed", chain=output.chain)
    elif isinstance(output, Standing):
        told = logger().info if output.state in GOOD else logger().warning
        told("node", chain=output.chain, node=output.provider, state=output.state, reason=output.reason)
