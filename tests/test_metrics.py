"""Metrics served as Prometheus asks for them."""

import urllib.request

import pytest
from prometheus_client import CollectorRegistry, Counter

from tidelake.errors import ConfigError
from tidelake.metrics import metrics_address, serving_metrics


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("9464", ("127.0.0.1", 9464)),
        ("0.0.0.0:9464", ("0.0.0.0", 9464)),
        ("[::1]:0", ("::1", 0)),
        ("box:1", ("box", 1)),
    ],
)
def test_port_alone_is_of_this_machine_and_a_host_may_be_named(text, address):
    assert metrics_address(text) == address


@pytest.mark.parametrize("text", ["", "x", "localhost", "localhost:", ":9464", "65536", "1.5", "-1", "²"])
def test_text_that_names_no_port_is_refused(text):
    with pytest.raises(ConfigError, match="no place for metrics"):
        metrics_address(text)


def test_registry_is_told_in_text_format_and_its_port_cannot_be_taken_twice():
    registry = CollectorRegistry()
    Counter("tidelake_things", "Things.", ("kind",), registry=registry).labels('a"b').inc(3)
    with serving_metrics(registry, "0") as url:
        assert url.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(url, timeout=10) as answer:
            assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
            told = answer.read().decode()
        with (
            pytest.raises(ConfigError, match="cannot be served"),
            serving_metrics(registry, url.split("/")[2].removeprefix("127.0.0.1:")),
        ):
            pass
    assert '# TYPE tidelake_things_total counter\ntidelake_things_total{kind="a\\"b"} 3.0\n' in told
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(url, timeout=10)
