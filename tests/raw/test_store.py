import os
import subprocess
import sys
import time
from pathlib import Path

import obstore
import polars as pl
import pytest
from obstore.exceptions import GenericError
from polars.testing import assert_frame_equal

from tests.tables import lakes
from tidelake.errors import ConfigError, NotInLake, StoreError
from tidelake.raw import store as store_module
from tidelake.raw.store import Store
from tidelake.tables.derive import derive_table
from tidelake.tables.trades import TRADES


@pytest.fixture(params=["disk", "memory", "s3"])
def store(request, tmp_path):
    if request.param == "disk":
        return Store.open(tmp_path / "lake")
    if request.param == "memory":
        return Store.open(f"memory:///{request.node.name}")
    return Store.open(request.getfixturevalue("s3_lake_url"))


def test_second_put_of_a_key_is_refused_and_changes_nothing(store):
    assert store.put_new("ledger/a/000.json", b"first") is True
    assert store.put_new("ledger/a/000.json", b"second") is False
    assert store.get("ledger/a/000.json") == b"first"


def test_get_head_range_and_delete_of_an_object(store):
    store.put_new("raw/x", b"0123456789")
    assert store.head("raw/x") == 10
    assert store.get_range("raw/x", 3, 4) == b"3456"
    store.delete("raw/x")
    store.delete("raw/x")
    assert store.head("raw/x") is None
    with pytest.raises(NotInLake, match="raw/x"):
        store.get("raw/x")
    with pytest.raises(NotInLake, match="raw/x"):
        store.get_range("raw/x", 0, 1)


def test_list_is_in_order_and_starts_after_a_key(store):
    names = [f"ledger/lane%2Fx/{n:03d}.json" for n in (7, 1, 30, 12)]
    for name in [*names, "ledger/other/000.json", "raw/y"]:
        store.put_new(name, b"")
    assert list(store.list("ledger/lane%2Fx")) == sorted(names)
    assert list(store.list("ledger/lane%2Fx", after=sorted(names)[1])) == sorted(names)[2:]
    assert list(store.list("")) == sorted([*names, "ledger/other/000.json", "raw/y"])
    assert list(store.list("nothing")) == []


def test_folders_are_the_immediate_ones(store):
    for name in ("ledger/b/deep/0", "ledger/a%20/0", "raw/c/0"):
        store.put_new(name, b"")
    assert list(store.folders("ledger")) == ["a%20", "b"]
    assert list(store.folders("nothing")) == []


def test_left_over_temporary_file_is_not_an_object(tmp_path, monkeypatch):
    store = Store.open(tmp_path)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "link", killed)
    monkeypatch.setattr(Path, "unlink", lambda *_, **__: None)
    with pytest.raises(KeyboardInterrupt):
        store.put_new("raw/a/x", b"data")
    monkeypatch.undo()
    assert len(list((tmp_path / "raw" / "a").iterdir())) == 1
    assert list(store.list("")) == []
    assert store.put_new("raw/a/x", b"data")
    assert list(store.list("")) == ["raw/a/x"]


def test_local_put_syncs_the_file_before_its_name_and_every_new_folder(tmp_path, monkeypatch):
    store = Store.open(tmp_path / "lake")
    seen: list[str] = []
    fsync, link = os.fsync, os.link

    def note_fsync(handle: int) -> None:
        seen.append("sync " + os.path.relpath(os.readlink(f"/proc/self/fd/{handle}"), tmp_path))
        fsync(handle)

    def note_link(source: str, target: str) -> None:
        seen.append("link")
        link(source, target)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(os, "link", note_link)
    store.put_new("raw/a/x", b"data")
    assert [name if "#" not in name else "sync data" for name in seen] == [
        "sync lake", "sync lake/raw", "sync data", "link", "sync lake/raw/a",
    ]  # fmt: skip
    seen.clear()
    store.put_new("raw/a/x", b"data")  # taken: the name is synced all the same, its writer may have been killed
    assert seen == ["sync lake/raw/a"]


def test_full_disk_is_a_store_error_that_leaves_nothing(tmp_path, monkeypatch):
    store = Store.open(tmp_path)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match=r"raw/x.*No space left"):
        store.put_new("raw/x", b"data")
    monkeypatch.undo()
    assert list(store.list("")) == []


def test_put_whose_answer_was_lost_is_recognised_as_our_own(s3_lake_url, monkeypatch):
    store = Store.open(s3_lake_url)
    put, calls = obstore.put, []

    def lose_first_answer(*args, **options):
        calls.append(args[1])
        result = put(*args, **options)
        if len(calls) == 1:
            raise GenericError("timeout")
        return result

    monkeypatch.setattr(obstore, "put", lose_first_answer)
    monkeypatch.setattr(time, "sleep", lambda _: None)
    assert store.put_new("ledger/a/0.json", b"mine") is True
    assert len(calls) == 2
    calls.clear()
    monkeypatch.setattr(obstore, "put", put)
    assert store.put_new("ledger/a/0.json", b"mine") is False


def test_put_that_failed_before_another_writers_is_not_taken_for_our_own(s3_lake_url, monkeypatch):
    store = Store.open(s3_lake_url)
    put, calls = obstore.put, []

    def fail_first(objects, key, data, **options):
        calls.append(key)
        if len(calls) == 1:
            put(objects, key, b"theirs", **options)
            raise GenericError("timeout")
        return put(objects, key, data, **options)

    monkeypatch.setattr(obstore, "put", fail_first)
    monkeypatch.setattr(time, "sleep", lambda _: None)
    assert store.put_new("ledger/a/0.json", b"mine") is False
    assert store.get("ledger/a/0.json") == b"theirs"


def test_store_that_never_answers_is_a_retryable_error(s3_lake_url, monkeypatch):
    store = Store.open(s3_lake_url)
    calls = []

    def fail(*args, **_):
        calls.append(args[1])
        raise GenericError("503 slow down")

    monkeypatch.setattr(obstore, "put", fail)
    monkeypatch.setattr(time, "sleep", lambda _: None)
    with pytest.raises(StoreError, match="503 slow down") as raised:
        store.put_new("raw/x", b"data")
    assert raised.value.retryable
    assert len(calls) == store_module.PUT_ATTEMPTS


def test_memory_stores_are_shared_by_name():
    Store.open("memory:///one").put_new("raw/a", b"1")
    assert Store.open("memory:///one").get("raw/a") == b"1"
    assert Store.open("memory:///two").head("raw/a") is None


def test_local_forms_of_one_address_are_one_lake(tmp_path):
    Store.open(tmp_path / "my~lake").put_new("raw/a", b"1")
    assert Store.open(f"file://{tmp_path}/my%7Elake").get("raw/a") == b"1"
    assert Store.open(str(tmp_path / "my~lake")).is_local


def test_unknown_scheme_names_the_known_ones():
    with pytest.raises(ConfigError, match="s3://"):
        Store.open("ftp://host/lake")


def test_folder_that_cannot_be_made_is_a_config_error(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ConfigError, match="file"):
        Store.open(tmp_path / "file" / "lake")


def test_spool_of_a_remote_lake_is_its_own_folder(s3_lake_url, tmp_path, monkeypatch):
    monkeypatch.setenv("TIDELAKE_SPOOL", str(tmp_path))
    one, two = Store.open(s3_lake_url).spool(), Store.open(s3_lake_url + "-two").spool()
    assert one != two
    assert one.parent == two.parent == tmp_path
    assert Store.open(s3_lake_url).spool() == one


def test_tables_can_be_written_and_read_at_the_table_uri(store):
    import polars as pl
    from deltalake import DeltaTable, write_deltalake

    uri, options = store.table_uri("toy"), store.storage_options()
    write_deltalake(uri, pl.DataFrame({"a": [1, 2]}).to_arrow(), storage_options=options)
    assert DeltaTable(uri, storage_options=options).version() == 0
    assert pl.read_delta(uri, storage_options=options)["a"].to_list() == [1, 2]


def test_repr_holds_no_secret(s3_lake_url, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary-secret")
    assert "canary" not in repr(Store.open(s3_lake_url))


def test_lane_and_codec_load_no_engine():
    names = ", ".join(f"tidelake.raw.{name}" for name in ("lane", "verify", "coverage", "index", "explain"))
    code = f"import {names}, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"polars", "pyarrow", "deltalake", "duckdb", "numpy", "cryptography"}
    assert heavy.isdisjoint(done.stdout.split())


@pytest.mark.parametrize("char", [*' "#%<=>?[]\\^`{|}', "\u00e9", "\t", "\x7f"])
def test_place_that_tables_cannot_be_read_back_from_is_refused_before_anything_is_written(tmp_path, char):
    with pytest.raises(ConfigError, match="Nothing was written") as raised:
        Store.open(tmp_path / f"a{char}b" / "lake")
    assert repr(char) in str(raised.value)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ConfigError, match="Nothing was written"):
        Store.open(f"s3://bucket/a{char}b")


def assert_table_is_read_back(store: Store) -> None:
    uri, options = store.table_uri("t"), store.storage_options()
    rows = pl.DataFrame({"source": ["x", "y"], "n": [1, 2]})
    for _ in range(2):
        rows.write_delta(uri, mode="append", storage_options=options, delta_write_options={"partition_by": ["source"]})
    scanned = pl.scan_delta(uri, storage_options=options)
    assert scanned.filter(pl.col("source") == "y").collect()["n"].to_list() == [2, 2]
    files = list(store.list("tables/t/source=y"))
    assert len(files) == 2
    paths = [f"{store.url}/{key}" for key in files]
    read = pl.scan_parquet(paths, glob=False, hive_partitioning=True, storage_options=options).collect()
    assert read.rows() == [(2, "y")] * 2


def test_table_below_the_oddest_allowed_place_is_read_back(tmp_path):
    assert_table_is_read_back(Store.open(tmp_path / "a!$&'()*+,-.:;@_~b"))


@pytest.mark.parametrize("prefix", ["", "/a!$&'()*+,-.:;@_~b", *(f"/{char}/{char}" for char in "!$&'()*+,-:;@_~")])
def test_table_below_any_allowed_prefix_on_s3_is_read_back(s3_lake_url, prefix):
    bucket = s3_lake_url.rpartition("/")[0]
    store = Store.open(f"{bucket}{prefix}")
    assert_table_is_read_back(store)
    assert all(key.startswith("tables/t/") for key in store.list(""))


@pytest.mark.parametrize("prefix", ["/a/./b", "/a/../b", "/..", "/a//b", "//a"])
def test_prefix_that_is_read_in_two_ways_is_refused(s3_lake_url, prefix):
    with pytest.raises(ConfigError):
        Store.open(f"{s3_lake_url.rpartition('/')[0]}{prefix}")


@pytest.mark.parametrize("where", ["disk", "s3"])
def test_lake_at_the_oddest_allowed_place_is_derived_like_any_other(request, tmp_path, where):
    base = str(tmp_path) if where == "disk" else request.getfixturevalue("s3_lake_url")
    lanes = lakes.make_lanes(6, ("coinbase",), trades=4)
    stores = [Store.open(f"{base}/{name}") for name in ("plain", "a!$&'()*+,-.:;@_~b")]
    for store in stores:
        lakes.seal_all(store, lanes)
        derive_table(store, TRADES, max_entries=2)
    assert_frame_equal(lakes.standing_rows(stores[0]), lakes.standing_rows(stores[1]))


@pytest.mark.parametrize(
    "url",
    ["s3://AKIA:hush@bucket/lake", "s3://hush@bucket/lake", "gs://u:hush@b/l", "abfss://c:hush@acc/l",
     "s3://bucket/lake?secret=hush", "s3://bucket/lake#hush"],
)  # fmt: skip
def test_address_with_credentials_is_refused_without_printing_them(url):
    with pytest.raises(ConfigError, match="Nothing was written") as raised:
        Store.open(url)
    assert "hush" not in str(raised.value)
    assert "environment" in str(raised.value)
