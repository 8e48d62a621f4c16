"""Simulated chains behind real HTTP in a process of their own, which shares no interpreter with what is tested."""

from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.processes import CONTEXT, process
from tidelake.jobs.collect_lending import CollectSettings
from tidelake.sim.chains.chain import SimChain
from tidelake.sim.chains.faults import ChainFaults
from tidelake.sim.chains.limits import Limits
from tidelake.sim.chains.node import SimNode
from tidelake.sim.chains.server import ChainServer
from tidelake.transport.http import Patience
from tidelake.transport.rates import Pace
from tidelake.transport.rpc_providers import UNITS, Provider

PATIENCE = Patience(attempts=4, total=20.0, timeout=15.0, first_wait=0.01, longest_wait=0.1)
Addresses = Mapping[str, Sequence[tuple[str, str]]]


@dataclass(frozen=True)
class Asked:
    """What all nodes together were asked for."""

    requests: int
    calls: int
    units: int

    def __sub__(self, other):
        return Asked(self.requests - other.requests, self.calls - other.calls, self.units - other.units)


def _serve(pipe: Any, names: Sequence[str], span: Mapping[str, Any], plans: Mapping[str, str], node: Any) -> None:
    requests, latency_s = node
    chains = {name: SimChain(name, **span) for name in names}
    limits = Limits(requests=requests)
    nodes = {
        f"{name}/{of}": SimNode(found, ChainFaults.parse(plan), limits, latency_s=latency_s)
        for name, found in chains.items()
        for of, plan in plans.items()
    }
    with ChainServer(nodes) as server:
        pipe.send({name: [(f"{name}-{of}", server.url_of(f"{name}/{of}")) for of in plans] for name in names})
        while pipe.recv() == "asked":
            meters = [one.meter for one in nodes.values()]
            pipe.send([sum(getattr(meter, name) for meter in meters) for name in ("requests", "calls", "units")])


@dataclass(frozen=True)
class ServedChains:
    """Nodes of simulated chains.

    Attributes:
        addresses: Name and address of each chain's nodes.
        paced: HTTP requests a second that each takes.
    """

    addresses: Addresses
    paced: float
    pipe: Any

    def asked(self) -> Asked:
        """What they were asked for so far, as they count it themselves."""
        self.pipe.send("asked")
        return Asked(*self.pipe.recv())


def settings(addresses: Addresses, paced: float = 1e6, **options: Any) -> CollectSettings:
    """Settings of a collection from these nodes."""

    def providers(chain):
        return [
            Provider(name, url, requests=Pace(paced, 1.0), units=UNITS["alchemy"]) for name, url in addresses[chain]
        ]

    return CollectSettings(providers=providers, **{"patience": PATIENCE, **options})


@contextmanager
def serving_nodes(chain: SimChain, plans: Mapping[str, str]):
    """Serves one chain that the test holds, and may reorganise: a node for each plan of faults; their addresses."""
    name = chain.spec.name
    nodes = {f"{name}/{of}": SimNode(chain, ChainFaults.parse(plan)) for of, plan in plans.items()}
    with ChainServer(nodes) as server:
        yield {name: [(of, server.url_of(f"{name}/{of}")) for of in plans]}


@contextmanager
def serving_chains(
    names: Sequence[str],
    *,
    plans: Mapping[str, str] | None = None,
    requests: float | None = None,
    latency_s: float = 0.0,
    **span: Any,
):
    """Serves chains, a node of each for each plan of faults: by default two without any. `span` is of `SimChain`."""
    here, there = CONTEXT.Pipe()
    node = (requests, latency_s)
    child = process(_serve, there, list(names), span, plans or {"one": "", "two": ""}, node)
    child.daemon = True
    child.start()
    try:
        yield ServedChains(here.recv(), requests or 1e6, here)
        here.send("end")
        child.join(20)
    finally:
        child.kill()
        child.join()
