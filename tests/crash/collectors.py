"""What the spawned processes of the tests of collected lending markets run."""

import datetime as dt

from tests.jobs.lending_chain import MARKETS, QUICK, START
from tidelake.jobs.collect_lending import CollectSettings, collect_lending
from tidelake.raw.store import Store
from tidelake.transport.rates import Pace
from tidelake.transport.rpc_providers import Provider


def collect_days(url: str, addresses: list[str], days: int) -> int:
    """Collect the days of both markets; the exit code."""
    found = [Provider(f"node{i}", one, requests=Pace(1e6, 1.0)) for i, one in enumerate(addresses)]
    settings = CollectSettings(providers=lambda name: found, patience=QUICK)
    end = START + dt.timedelta(days=days)
    return collect_lending(Store.open(url), MARKETS, START, end, settings).exit_code
