"""Serves simulated nodes over HTTP; each has a path of its own, so that one port stands for many providers."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tidelake.sim.answer import Answer
from tidelake.sim.server import BackgroundServer, http_response


class Node(Protocol):
    """A node without a socket: `chains.node.SimNode`, or `slots.node.SlotNode`."""

    def respond(self, body: bytes) -> Answer: ...


class ChainServer(BackgroundServer):
    """Serves nodes by name under `/<name>`, and a single one at `/` too.

    Args:
        nodes: By name: of the chain, or of the chain and a provider ("ethereum/other").
        host, port: Where to listen; port 0 takes a free one.
    """

    def __init__(self, nodes: Mapping[str, Node], *, host: str = "127.0.0.1", port: int = 0) -> None:
        self.nodes = dict(nodes)
        routes = [Route(f"/{name}", _handler(node), methods=["POST"]) for name, node in self.nodes.items()]
        if len(self.nodes) == 1:
            routes += [Route("/", _handler(node), methods=["POST"]) for node in self.nodes.values()]
        super().__init__(Starlette(routes=routes), host=host, port=port)

    def url_of(self, name: str) -> str:
        """Address of a node."""
        return f"{self.url}/{name}"


def _handler(node: Node) -> Callable[[Request], Awaitable[Response]]:
    async def handle(request: Request) -> Response:
        answer = node.respond(await request.body())
        if answer.delay_s:
            await asyncio.sleep(answer.delay_s)
        return http_response(answer)

    return handle
