import importlib
import random
import warnings
from pathlib import Path

import pytest

from tests.http_server import serving
from tidelake.errors import ConfigError, SourceError
from tidelake.transport.files.download import download, told_of
from tidelake.transport.files.place import open_place
from tidelake.transport.files.spec import FilePlace, ObjectChanged, RemoteFile

DATA = random.Random(4).randbytes(9 << 20)  # larger than what is read at once


def put_s3(endpoint: str, url: str, files: dict[str, bytes]) -> None:
    bucket, _, prefix = url.removeprefix("s3://").partition("/")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        client = importlib.import_module("boto3").client("s3", endpoint_url=endpoint, region_name="us-east-1")
        for key, data in files.items():
            client.put_object(Bucket=bucket, Key=f"{prefix}/{key}", Body=data)
        client.close()


def write(root: Path, files: dict[str, bytes]) -> None:
    for key, data in files.items():
        (root / key).parent.mkdir(parents=True, exist_ok=True)
        (root / key).write_bytes(data)


@pytest.fixture(params=["folder", "http", "s3"])
def put_place(request, tmp_path):
    """A place, and what puts files there."""
    root = tmp_path / "source"
    root.mkdir()
    if request.param == "folder":
        yield lambda files: write(root, files), open_place(str(root))
    elif request.param == "http":
        with serving(root) as server:
            place = open_place(server.url)
            yield lambda files: write(root, files), place
            place.close()
    else:
        url = request.getfixturevalue("s3_lake_url")
        endpoint = request.getfixturevalue("s3_endpoint")
        yield lambda files: put_s3(endpoint, url, files), open_place(url)


def the_file(place: FilePlace, key: str) -> RemoteFile:
    (found,) = place.find(key)
    return found


def test_files_are_found_by_key_and_in_folders_of_theirs_alone(put_place):
    put, place = put_place
    put({"t/dt=1/b.parquet": b"22", "t/dt=1/a.parquet": b"1", "t/dt=1/deep/c.parquet": b"3", "t/dt=10/d.parquet": b"4"})
    found = place.find("t/dt=1/")
    assert [(file.key, file.bytes) for file in found if file.key.endswith("t")] == [
        ("t/dt=1/a.parquet", 1),
        ("t/dt=1/b.parquet", 2),
    ]
    assert the_file(place, "t/dt=1/b.parquet").bytes == 2
    assert place.find("t/dt=1/none.parquet") == []
    assert place.find("t/dt=2/") == []


def test_file_is_fetched_whole_and_a_part_of_it_is_gone_on_with(put_place, tmp_path):
    put, place = put_place
    put({"a.bin": DATA})
    file, part, seen = the_file(place, "a.bin"), tmp_path / "in" / "a.part", []
    download(place, file, part, received=seen.append)
    assert part.read_bytes() == DATA
    assert sum(seen) == len(DATA)
    part.write_bytes(DATA[:1_000_001])
    seen.clear()
    download(place, file, part, received=seen.append)
    assert part.read_bytes() == DATA
    assert sum(seen) == len(DATA) - 1_000_001
    seen.clear()
    download(place, file, part, received=seen.append)
    assert seen == []


def test_part_of_another_version_is_begun_anew(put_place, tmp_path):
    put, place = put_place
    put({"a.bin": DATA})
    part = tmp_path / "a.part"
    download(place, the_file(place, "a.bin"), part)
    part.write_bytes(DATA[:5_000_000])
    put({"a.bin": DATA[::-1]})
    download(place, the_file(place, "a.bin"), part)
    assert part.read_bytes() == DATA[::-1]
    assert told_of(part) == the_file(place, "a.bin")


def test_file_that_was_replaced_since_it_was_found_is_refused(put_place, tmp_path):
    put, place = put_place
    put({"a.bin": DATA})
    file = the_file(place, "a.bin")
    put({"a.bin": DATA[::-1]})
    for start in (b"", DATA[:100]):
        (tmp_path / "a.part").write_bytes(start)
        with pytest.raises(ObjectChanged):
            download(place, file, tmp_path / "a.part")


def test_cut_connections_are_gone_on_with_and_errors_asked_again(tmp_path):
    write(tmp_path / "source", {"a.bin": DATA})
    waits: list[float] = []
    with serving(tmp_path / "source") as server:
        place = open_place(server.url)
        file = the_file(place, "a.bin")
        server.cut_after["a.bin"] = [3_000_000, 2_000_000]
        server.errors["a.bin"] = [503]
        sent = server.sent
        download(place, file, tmp_path / "a.part", sleep=waits.append)
        assert (tmp_path / "a.part").read_bytes() == DATA
        assert server.sent - sent < len(DATA) + 1000  # nothing was sent twice
        assert len(waits) == 3
        place.close()


def test_server_without_ranges_sends_the_file_again(tmp_path):
    write(tmp_path / "source", {"a.bin": DATA})
    with serving(tmp_path / "source") as server:
        place = open_place(server.url)
        file = the_file(place, "a.bin")
        server.ranges = False
        server.cut_after["a.bin"] = [3_000_000]
        download(place, file, tmp_path / "a.part", sleep=lambda _: None)
        assert (tmp_path / "a.part").read_bytes() == DATA
        place.close()


def test_server_that_cuts_at_the_same_place_for_ever_is_given_up(tmp_path):
    write(tmp_path / "source", {"a.bin": DATA})
    waits: list[float] = []
    with serving(tmp_path / "source") as server:
        place = open_place(server.url)
        file = the_file(place, "a.bin")
        server.ranges, server.cut_after["a.bin"] = False, [1_000_000] * 50
        with pytest.raises(SourceError, match="no whole answer"):
            download(place, file, tmp_path / "a.part", sleep=waits.append)
        assert len(waits) == 5
        place.close()


def test_refusal_is_not_asked_again_and_the_key_is_sent(tmp_path):
    write(tmp_path, {"a.bin": b"x"})
    with serving(tmp_path) as server:
        server.key = "secret-key"
        stranger, customer = open_place(server.url), open_place(server.url, secret="secret-key")
        with pytest.raises(SourceError, match="status 401") as raised:
            stranger.find("a.bin")
        assert not raised.value.retryable
        assert customer.find("a.bin")[0].bytes == 1
        server.has_head = False
        assert customer.find("a.bin")[0].bytes == 1
        stranger.close()
        customer.close()


@pytest.mark.parametrize(
    ("url", "match"),
    [
        ("ftp://x/y", "known are"),
        ("https://user:secret@x/y", "credentials"),
        ("https://x/y?token=secret", "query"),
        ("/no/such/folder", "no folder"),
    ],
)
def test_addresses_that_cannot_be_used_are_refused_without_showing_secrets(url, match):
    with pytest.raises(ConfigError, match=match) as raised:
        open_place(url)
    assert "secret" not in str(raised.value)


def test_s3_tells_the_md5_of_objects_that_were_put_at_once(s3_endpoint, s3_lake_url):
    put_s3(s3_endpoint, s3_lake_url, {"a.bin": b"abc"})
    file = the_file(open_place(s3_lake_url), "a.bin")
    assert (file.md5, file.md5_by) == ("900150983cd24fb0d6963f7d28e17f72", "ETag")
