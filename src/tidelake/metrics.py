"""Figures of a running process for Prometheus: its text format 0.0.4, at http://HOST:PORT/metrics.

Whatever serves metrics does it by `serving_metrics`; what is served are the metrics of the registry that it is given.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tidelake.errors import ConfigError

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

HOST = "127.0.0.1"


def metrics_address(text: str) -> tuple[str, int]:
    """Host and port of "PORT" (of this machine alone), "HOST:PORT" or "[HOST]:PORT"; port 0 is any that is free.

    Raises:
        ConfigError: The text is none of them.
    """
    host, _, port = text.rpartition(":")
    if not port.isascii() or not port.isdigit() or int(port) > 65535 or (not host and ":" in text):
        raise ConfigError(f"{text!r} is no place for metrics; say a port, or HOST:PORT such as 0.0.0.0:9464")
    return host.strip("[]") or HOST, int(port)


@contextmanager
def serving_metrics(registry: "CollectorRegistry", address: str) -> Iterator[str]:
    """Answer whoever asks, in threads beside the caller's; gives the URL.

    Raises:
        ConfigError: The address is none, or cannot be listened on.
    """
    from prometheus_client import start_http_server

    host, port = metrics_address(address)
    try:
        server, thread = start_http_server(port, host, registry)
    except OSError as exc:
        raise ConfigError(f"metrics cannot be served at {address}: {exc.strerror or exc}") from exc
    try:
        shown = f"[{host}]" if ":" in host else host
        yield f"http://{shown}:{server.server_port}/metrics"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
