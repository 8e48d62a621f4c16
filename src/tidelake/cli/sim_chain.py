"""Command that serves simulated chains: sim chain."""

import datetime as dt
import time
from typing import Annotated

import typer

from tidelake.cli.options import options
from tidelake.cli.serving import Host, Port, serve

_FAULTS = "What goes wrong, such as 429:0.1,lag:50,pruned:128,down:2025-03-04,truncated-logs:0.2."


def chain(
    ctx: typer.Context,
    names: Annotated[
        list[str], typer.Option("--chain", help="Chain, such as ethereum; several share one port.", metavar="NAME")
    ],
    host: Host = "127.0.0.1",
    port: Port = 0,
    seed: Annotated[int, typer.Option(help="Seed of chains and faults: same seed, same blocks.")] = 1,
    start: Annotated[str, typer.Option(help="First UTC day on which something happens.")] = "2025-01-01",
    days: Annotated[int, typer.Option(min=1, help="Days from then on until the head.")] = 365,
    faults: Annotated[str, typer.Option(help=_FAULTS, metavar="PLAN")] = "",
    also: Annotated[
        list[str] | None,
        typer.Option(
            help="A further node of each chain with faults of its own, such as lagging=lag:50.", metavar="N=PLAN"
        ),
    ] = None,
    requests: Annotated[float, typer.Option(min=0, help="HTTP requests a second; 0: any number.")] = 0,
    units: Annotated[float, typer.Option(min=0, help="Compute units a second; 0: any number.")] = 0,
    batch: Annotated[int, typer.Option(min=1, help="Most calls of one request.")] = 1_000,
    log_blocks: Annotated[int, typer.Option(min=0, help="Most blocks of one eth_getLogs; 0: any number.")] = 0,
    logs: Annotated[int, typer.Option(min=1, help="Most logs that it answers.")] = 10_000,
    latency: Annotated[float, typer.Option(min=0, help="Milliseconds that each answer takes.")] = 0,
) -> None:
    """Serve simulated chains until stopped.

    JSON-RPC with archive state of the lending markets in the registry, made from the seed: reserves, debt, collateral,
    liquidations, blocks whose hashes and receipts prove. Of solana the slots up to now, some without a block, and a
    fork once in five minutes; of its options --seed and --also count. Addresses of the nodes go to stdout.
    """
    opts = options(ctx)
    from tidelake.chains.registry import SLOT_CHAINS
    from tidelake.sim.chains.chain import SimChain
    from tidelake.sim.chains.faults import ChainFaults
    from tidelake.sim.chains.limits import Limits
    from tidelake.sim.chains.node import SimNode
    from tidelake.sim.chains.server import ChainServer, Node
    from tidelake.sim.slots.chain import SlotChainSim
    from tidelake.sim.slots.node import SlotNode

    limits = Limits(requests or None, units or None, batch, log_blocks or None, logs)
    plans = {"": faults} | dict(_named(text) for text in also or ())
    slots = SlotChainSim(seed, int(time.time()) - 3_600, fork_every=750, depth=12)  # an hour of them
    chains = {name: SimChain(name, seed, start=_day(start), days=days) for name in names if name not in SLOT_CHAINS}
    nodes: dict[str, Node] = {
        f"{name}/{node}".rstrip("/"): SimNode(found, ChainFaults.parse(plan, seed), limits, latency_s=latency / 1000)
        for name, found in chains.items()
        for node, plan in plans.items()
    }
    nodes |= {
        f"{name}/{node}".rstrip("/"): SlotNode(slots, time.time)
        for name in names
        if name in SLOT_CHAINS
        for node in plans
    }
    with ChainServer(nodes, host=host, port=port) as server:
        serve(opts, [{"node": name, "url": server.url_of(name)} for name in nodes])


def _named(text: str) -> tuple[str, str]:
    name, _, plan = text.partition("=")
    if not name.isidentifier():
        raise typer.BadParameter(f"--also: {text!r} has no name: expected NAME=PLAN, such as lagging=lag:50")
    return name, plan


def _day(text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"--start: {text!r} is no day such as 2025-01-01") from None
