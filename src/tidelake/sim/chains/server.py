"""Serves simulated nodes over HTTP; each has a path of its own, so that one port stands for many providers."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tidelake.sim.chains.node import SimNode
from tidelake.sim.server import BackgroundServer, http_response


class ChainServer(BackgroundServer):
    """Serves nodes by name under `/<name>`, and a single one at `/` too.

    Args:
        nodes: By name: of the chain, or of the chain and a provider ("ethereum/other").
        host, port: Where to listen; port 0 takes a free one.
    """

    def __init__(self, nodes: Mapping[str, SimNode], *, host: str = "127.0.0.1", port: int = 0) -> None:
        self.nodes = dict(nodes)
        routes = [Route(f"/{name}", _handler(node), methods=["POST"]) for name, node in self.nodes.items()]
        if len(self.nodes) == 1:
            routes += [Route("/", _handler(node), methods=["POST"]) for node in self.nodes.values()]
        super().__init__(Starlette(routes=routes), host=host, port=port)

    def url_of(self, name: str) -> str:
        """Address of a node."""
        return f"{self.url}/{name}"


def _handler(node: SimNode) -> Callable[[Request], Awaitable[Response]]:
    async def handle(request: Request) -> Response:
        answer = node.respond(await request.body())
        if answer.delay_s:
            await asyncio.sleep(answer.delay_s)
        return http_response(answer)

    return handle
