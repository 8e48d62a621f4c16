"""Command that plays issuers on a real node: sim tokens."""

import sys
import time
from typing import Annotated

import typer

from tidelake.cli.options import options


def tokens(
    ctx: typer.Context,
    node: Annotated[str, typer.Argument(help="Address of an `anvil` that runs with --no-mining.", metavar="URL")],
    chain: Annotated[str, typer.Option(help="Chain that the node plays; its --chain-id must be that one's.")] = (
        "ethereum"
    ),
    seed: Annotated[int, typer.Option(help="Same seed on a fresh node, same calls.")] = 1,
    every: Annotated[float, typer.Option(min=0, help="Seconds between two blocks.")] = 12.0,
    blocks: Annotated[int, typer.Option(min=0, help="End after so many steps; 0: when stopped.")] = 0,
    reorg_one_in: Annotated[
        int, typer.Option("--reorg-one-in", min=0, help="One step in so many is a reorganisation; 0: none is.")
    ] = 20,
    deepest: Annotated[int, typer.Option(min=1, max=64, help="Most blocks that one replaces.")] = 12,
) -> None:
    """Play the issuers of USDC and USDT on a node of yours: mint, burn, redeem, destroy, reorganise.

    ERC-20 tokens in the manner of each issuer are put where the registry says that they stand, so that `stablecoins
    watch` follows them like the real ones. Coins and addresses go to stdout, what happens to stderr.
    """
    opts = options(ctx)
    from tidelake.sim.tokens.play import TokenPlay

    with TokenPlay(node, chain, seed=seed, reorg_one_in=reorg_one_in, deepest=deepest) as play:
        play.place()
        opts.show([{"coin": coin, "address": address} for coin, address in play.addresses.items()])
        sys.stdout.flush()
        done = 0
        try:
            while not blocks or done < blocks:
                step = play.step()
                done += 1
                if step.depth:
                    opts.say(f"block {step.block}: {step.depth} blocks replaced, {step.again} transactions stand again")
                for call in step.calls:
                    opts.say(f"block {step.block}: {call}")
                time.sleep(every)
        except KeyboardInterrupt:
            opts.say("stopped")
