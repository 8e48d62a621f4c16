"""Simulated nodes over HTTP, the command that serves them, and what their answers cost."""

import asyncio
import json
import signal
import subprocess
import sys
import time
import urllib.request

import pytest
from typer.testing import CliRunner

from tests.sim.chains.driving import REGISTRY, Driven
from tidelake.chains.logs import parse_logs
from tidelake.chains.multicall import Call, encode_calls
from tidelake.cli.app import app
from tidelake.lending.families import aave_v3
from tidelake.sim.chains.chain import SimChain
from tidelake.sim.chains.faults import ChainFaults
from tidelake.sim.chains.limits import Limits
from tidelake.sim.chains.node import SimNode
from tidelake.sim.chains.server import ChainServer
from tidelake.transport.rates import Pace
from tidelake.transport.rpc import RpcPool
from tidelake.transport.rpc_logs import get_logs
from tidelake.transport.rpc_providers import Provider


def ask(url, method, *parameters):
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}).encode()
    with urllib.request.urlopen(urllib.request.Request(url, body), timeout=30) as answer:
        return json.load(answer)["result"]


def test_nodes_of_several_chains_and_providers_share_a_port():
    gnosis = SimChain("gnosis", markets=[])
    nodes = {
        "gnosis": SimNode(gnosis),
        "gnosis/lagging": SimNode(gnosis, ChainFaults.parse("lag:7")),
        "celo": SimNode(SimChain("celo", markets=[])),
    }
    with ChainServer(nodes) as server:
        assert ask(server.url_of("celo"), "eth_chainId") == hex(42_220)
        heads = [int(ask(server.url_of(name), "eth_blockNumber"), 16) for name in ("gnosis", "gnosis/lagging")]
        assert heads == [gnosis.head, gnosis.head - 7]
        block = ask(server.url_of("gnosis"), "eth_getBlockByNumber", "latest", True)
        assert block["hash"] == gnosis.block(gnosis.head).hash


def test_latency_is_added_to_each_answer():
    with ChainServer({"gnosis": SimNode(SimChain("gnosis", markets=[]), latency_s=0.2)}) as server:
        begin = time.monotonic()
        ask(server.url, "eth_chainId")
        assert time.monotonic() - begin >= 0.2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--chain", "nowhere"], "no chain 'nowhere'"),
        (["--chain", "gnosis", "--start", "yesterday"], "is no day"),
        (["--chain", "gnosis", "--also", "lag:50"], "NAME=PLAN"),
        (["--chain", "gnosis", "--faults", "lost:1"], "not understood"),
    ],
)
def test_command_refuses_what_it_does_not_understand(arguments, said):
    found = CliRunner().invoke(app, ["sim", "chain", *arguments])
    assert found.exit_code != 0
    assert said in f"{found.output} {found.exception}".replace("\n", " ")


def test_command_serves_until_it_is_ended():
    command = [sys.executable, "-m", "tidelake", "sim", "chain", "--chain", "celo", "--also", "lagging=lag:9"]
    with subprocess.Popen(
        [*command, "--format", "csv"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        lines = [server.stdout.readline().strip() for _ in range(3)]
        urls = dict(line.split(",") for line in lines[1:])
        heads = [int(ask(urls[name], "eth_blockNumber"), 16) for name in ("celo", "celo/lagging")]
        server.send_signal(signal.SIGTERM)
        _, err = server.communicate(timeout=20)
    assert heads == [SimChain("celo").head, SimChain("celo").head - 9]
    assert "Traceback" not in err


def test_pool_reads_a_year_of_logs_from_limited_and_pruned_nodes():
    driven = Driven("aave_v3_gnosis")
    chain = driven.chain
    limits = Limits(log_blocks=400_000, logs=40)
    nodes = {"pruned": SimNode(chain, ChainFaults.parse("pruned:128"), limits), "good": SimNode(chain, limits=limits)}
    first = chain.clock.first_of(chain.first_day)

    async def read(server):
        providers = [Provider(name, server.url_of(name), requests=Pace(10_000, 1.0)) for name in nodes]
        async with RpcPool("gnosis", providers, chain_id=100) as pool:
            pool_address = REGISTRY["aave_v3_gnosis"].contracts["pool"]
            return await get_logs(pool, [pool_address], [sorted(driven.family.by_topic)], first, chain.head)

    with ChainServer(nodes) as server:
        ranges = asyncio.run(read(server))
    found = [log.key[1:] for one in ranges for log in parse_logs("gnosis", bytes(one.answer.result))]
    expected = driven.truth.liquidations("aave_v3_gnosis", first, chain.head)
    assert found == [(row.block_hash, row.tx_hash, row.log_index) for row in expected]
    assert len(ranges) > 5
    assert nodes["pruned"].meter.requests > 0


def test_answers_are_cheap(record_property):
    driven = Driven("aave_v3_ethereum")
    node, chain = driven.node, driven.chain
    tokens = [position.asset for position in driven.positions(chain.head)]
    pool = REGISTRY["aave_v3_ethereum"].contracts["pool"]
    calls = [Call(pool, aave_v3.RESERVE_DATA.encode(token)) for token in tokens]
    asked = {"to": chain.spec.multicall3.address, "data": "0x" + encode_calls(calls).hex()}
    days = [chain.clock.first_of(chain.first_day + i) - 1 for i in range(2, 200)]
    begin = time.process_time()
    for number in days:
        node.answer("eth_call", [asked, hex(number)])
        node.answer("eth_getBlockByNumber", [hex(number), False])
    spent = time.process_time() - begin
    record_property("cpu_us_per_inner_call", round(spent / (len(days) * len(calls)) * 1e6, 1))
    assert spent / (len(days) * len(calls)) < 1e-3
