"""Fixtures that all tests share."""

import importlib
import itertools
import logging
import threading
import warnings
from collections.abc import Iterator

import pytest

_buckets = itertools.count()


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """A simulated S3 API on a free local port."""
    server_module = pytest.importorskip("moto.server")
    from werkzeug.serving import make_server

    app = server_module.DomainDispatcherApplication(server_module.create_backend_app)
    one_at_a_time = threading.Lock()

    def serve(environ, start_response):
        # The simulation looks whether a key is there and then puts it; on S3 the two are one step.
        with one_at_a_time:
            return list(app(environ, start_response))

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server("127.0.0.1", 0, serve, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


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
