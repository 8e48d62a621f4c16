"""Questions to simulated nodes, in process."""

import json

import pytest

from tidelake.chains.headers import parse_header
from tidelake.sim.chains.rpc_errors import RpcFault


def post(node, *calls, one=False):
    """The HTTP answer to a batch of (method, parameters), or to one call alone."""
    bodies = [{"jsonrpc": "2.0", "id": i, "method": name, "params": asked} for i, (name, asked) in enumerate(calls)]
    return node.respond(json.dumps(bodies[0] if one else bodies).encode())


def fault(node, method, *parameters):
    """The error that a call must meet."""
    with pytest.raises(RpcFault) as found:
        node.ask(method, *parameters)
    return found.value


def header(node, number):
    """A header as the product reads it."""
    return parse_header(node.answer("eth_getBlockByNumber", [hex(number), False]))
