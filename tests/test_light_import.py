"""What `import tidelake` and the help must not load; the times themselves are measured by `make bench`."""

import subprocess
import sys

import pytest

import tidelake
from tests.tables.lakes import START_US, Lane, Received, seal_lane, trade
from tidelake.raw.store import Store

HEAVY = (
    "polars", "pyarrow", "deltalake", "duckdb", "numba", "numpy", "obstore", "httpx", "websockets", "structlog",
    "plotly", "prometheus_client", "starlette", "uvicorn", "cryptography", "pydantic", "eth_abi", "eth_utils",
    "eth_hash", "Crypto",
)  # fmt: skip


def loaded_after(code: str) -> set[str]:
    """The top-level modules that a fresh interpreter holds after `code`."""
    script = f"{code}\nimport sys\nprint('\\n'.join(sorted({{name.split('.')[0] for name in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_import_loads_nothing_heavy():
    assert loaded_after("import tidelake").isdisjoint({*HEAVY, "typer", "rich", "msgspec", "yaml"})


def test_command_line_loads_nothing_heavy_before_a_command_runs():
    loaded = loaded_after("from tidelake.cli.app import app; import typer; typer.main.get_command(app)")
    assert loaded.isdisjoint(set(HEAVY) - {"pydantic"})
    assert "typer" in loaded


def test_public_errors_come_lazily_from_the_package():
    from tidelake.errors import NotInLake

    assert tidelake.NotInLake is NotInLake
    assert {"open", "Lake", "NotInLake"} <= set(dir(tidelake))


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no_such_name"):
        tidelake.no_such_name  # noqa: B018


def test_reading_trades_loads_neither_pyarrow_nor_duckdb(tmp_path):
    seal_lane(
        Store.open(tmp_path),
        Lane("a", "coinbase", (Received(START_US * 1_000, trade("coinbase", 1, START_US, "5")),), 1),
    )
    lake = tidelake.open(tmp_path)
    lake.derive(["trades"])
    loaded = loaded_after(
        f"import tidelake\nfound = tidelake.open({str(tmp_path)!r}).trades('BTC-USD', start='1970-01-01T00:00:00Z')\n"
        "assert found.height == 1"
    )
    assert {"polars", "deltalake"} <= loaded
    assert loaded.isdisjoint({"pyarrow", "duckdb", "numpy", "numba", "yaml", "cryptography"})
