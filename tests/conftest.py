"""Fixtures that all tests share."""

import importlib
import itertools
import subprocess
import sys
import urllib.request
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.anvil_node import anvil_program as anvil_program, start_anvil as start_anvil

settings.register_profile("tidelake", deadline=None)  # how long an example takes says more of the machine than of it
settings.load_profile("tidelake")

_buckets = itertools.count()


@pytest.fixture(autouse=True)
def _logs_of_its_own() -> Iterator[None]:
    """No test logs in the way that another set up."""
    yield
    if (structlog := sys.modules.get("structlog")) is not None:
        structlog.reset_defaults()


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """A simulated S3 API on a free local port."""
    pytest.importorskip("moto.server")
    script = Path(__file__).parent / "s3_server.py"
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        port = server.stdout.readline().strip()
        assert port.isdecimal(), "the simulated S3 API did not start"
        yield f"http://127.0.0.1:{port}"
        server.kill()


@pytest.fixture
def s3_lake_url(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of an empty lake on a simulated S3 API, with the AWS_* environment that child processes inherit."""
    settings = {
        "AWS_ENDPOINT_URL": s3_endpoint,
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    bucket = f"tidelake-{next(_buckets)}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        boto3 = importlib.import_module("boto3")
        client = boto3.client("s3", endpoint_url=s3_endpoint, region_name="us-east-1")
        client.create_bucket(Bucket=bucket)
        client.close()
    return f"s3://{bucket}/lake"


@pytest.fixture
def lose_answers(s3_endpoint: str) -> Iterator[Callable[[int], None]]:
    """Tells the simulated S3 API to do each Nth put of a new object and to lose its answer; 0 for none."""

    def every(count: int) -> None:
        with urllib.request.urlopen(f"{s3_endpoint}/lose-answers?every={count}") as answer:
            answer.read()

    yield every
    every(0)
