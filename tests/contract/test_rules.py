"""What every registered venue owes beside its rows: names, requests, refusals, mappings that fit, light imports."""

import importlib
import pkgutil
import re
import subprocess
import sys
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from hypothesis import given, settings, strategies as st

import tidelake.venues
from tests.contract.samples import sample
from tidelake.tables.mapping import load_mappings
from tidelake.tables.registry import TABLES
from tidelake.venues import symbols
from tidelake.venues.registry import venues
from tidelake.venues.spec import Request, Venue

SOURCES = sorted(venues())
JUNK = (
    "",
    " ",
    "-",
    "/",
    "_",
    ":",
    "BTC-",
    "-USD",
    "BTC USD",
    "BTC-USD\n",
    "BTC--USD",
    "BTC-USD-2021",
    "BTC-USD-20211399",
)
NOW_NS = 1_714_521_600_000_000_000
HEAVY = {"polars", "pyarrow", "deltalake", "duckdb", "numba", "numpy", "obstore", "httpx", "websockets", "starlette"}
WORDS = {
    "grain": {"trade", "aggregate"},
    "transport": {"ws", "rest", "archive"},
    "size_unit": {"base", "quote", "contracts"},
    "side": {"buy", "sell"},
    "origin": {"venue"},
    "validity": {"UNPROVABLE"},
    "price_kind": {"order", "bankruptcy", "trade"},
}

every_venue = pytest.mark.parametrize("venue", [pytest.param(venues()[source], id=source) for source in SOURCES])
every_mapping = pytest.mark.parametrize("mapping", load_mappings(), ids=lambda m: f"{m.source}/{m.spec.name}")


def symbols_of(venue: Venue) -> set[str]:
    """Canonical symbols of the venue's samples, those of its products included."""
    found: set[str] = set()
    for origin in ("made", "recorded"):
        if some := sample(venue.source, origin):
            for table in ("trades", "instruments"):
                found |= set(some.decode(table).rows["symbol"].to_pylist())
    return found


@every_venue
def test_symbols_of_the_sample_are_canonical_and_lead_back(venue):
    found = symbols_of(venue)
    assert found
    for symbol in found:
        assert str(symbols.parse(symbol)) == symbol
        name = venue.venue_symbol(symbol)
        assert venue.canonical(name) == symbol, name


@every_venue
@pytest.mark.parametrize("junk", JUNK)
def test_junk_is_no_symbol(venue, junk):
    with pytest.raises(ValueError):
        venue.canonical(junk)
    with pytest.raises(ValueError):
        venue.venue_symbol(junk)


@every_venue
@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    text=st.text(max_size=30)
    | st.from_regex(r"[A-Zt0-9]{1,9}[-_:/]?[A-Z0-9]{0,6}([-_][A-Z0-9]{1,9}){0,3}", fullmatch=True)
)
def test_any_text_is_a_symbol_or_a_value_error(venue, text):
    for read in (venue.canonical, venue.venue_symbol):
        try:
            found = read(text)
        except ValueError:
            continue
        assert found
        assert read is venue.venue_symbol or str(symbols.parse(found)) == found


def requests_of(venue: Venue, name: str) -> list[Request]:
    """One request of every builder."""
    asked = list(venue.instruments)
    if (pages := venue.trades) is not None:
        asked.append(pages.newest(name))
        asked += [pages.below(name, 1_000)] if pages.below else []
        asked += [pages.above(name, 1_000, NOW_NS)] if pages.above else []
        asked += [build(name, NOW_NS) for build in (pages.since, pages.below_time) if build]
    if (bars := venue.candles) is not None:
        asked += [bars.page(name, interval, at) for interval in bars.intervals for at in (0, NOW_NS)]
    return asked


@every_venue
def test_requests_are_well_formed(venue):
    for symbol in sorted(symbols_of(venue))[:20]:
        name = venue.venue_symbol(symbol)
        for request in requests_of(venue, name):
            assert re.fullmatch(r"/[!-~]+", request.path)
            parts = urlsplit(request.path)
            assert parts.netloc == parts.fragment == ""
            query = parse_qsl(parts.query, strict_parsing=True) if parts.query else []
            assert len({key for key, _ in query}) == len(query)
            assert request.weight > 0
            if request not in venue.instruments:
                said = {*unquote(parts.path).split("/"), *(value for _, value in query)}
                # A name may say the category of the product before a colon.
                assert said & {name, name.rpartition(":")[2]}, request.path


@every_venue
def test_limits_and_addresses_make_sense(venue):
    assert re.fullmatch(r"[a-z][a-z0-9-]*", venue.source)
    assert re.fullmatch(r"https://[a-z0-9.-]+(/[!-~]*[^/])?", venue.rest_url)
    assert venue.rate.weight > 0
    assert venue.rate.seconds > 0
    assert all(name == name.upper() for name in venue.recording_names)
    if venue.trades is not None:
        assert venue.trades.page_size > 0
        builders = {"backward": venue.trades.below or venue.trades.below_time, "forward": venue.trades.above}
        assert venue.trades.order == "latest" or builders[venue.trades.order] is not None


def test_recorders_names_lead_to_one_venue():
    names = [name for venue in venues().values() for name in venue.recording_names]
    assert len(names) == len(set(names))


@every_venue
@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    body=st.binary(max_size=60)
    | st.sampled_from([b"", b"null", b"[]", b"{}", b"0", b'"x"', b"[[[", b"[" * 3_000, b'{"error":null}', b"\xff\xfe"])
    | st.builds(
        lambda key, value: f'{{"{key}":{value}}}'.encode(),
        st.sampled_from(["error", "code", "msg", "retCode", "retMsg", "result", "message", "success"]),
        st.sampled_from(
            ["null", "0", "1", "-1", "1e99", "[]", "{}", '""', '"x"', "[null]", "[[]]", "true", '{"code":"x"}']
        ),
    )
)
def test_refusal_answers_any_bytes(venue, body):
    if venue.refusal is None:
        return
    found = venue.refusal(body)
    if found is not None:
        text, retryable = found
        assert isinstance(text, str)
        assert isinstance(retryable, bool)


@every_mapping
def test_mapping_names_what_exists(mapping):
    spec, table = mapping.spec, TABLES[mapping.spec.table]
    columns = {field.name for field in table.facts}
    assert mapping.source in venues()
    assert set(spec.fields) | set(spec.set_) <= columns - {"source"}
    assert not set(spec.fields) & set(spec.set_)
    assert set(table.required) <= set(spec.fields) | set(spec.set_) | {"source"}
    assert not spec.flatten or spec.flatten in venues()[mapping.source].flatten
    assert not (spec.flatten and spec.rows)
    assert spec.kind == "frame" or spec.requests
    assert all(word.startswith("/") for word in (*spec.requests, *spec.not_request))
    addresses = [sockets.url for sockets in venues()[mapping.source].sockets]
    asked = spec.requests if spec.kind == "frame" else []
    assert not asked or any(word in url for word in asked for url in addresses)
    for name, rule in spec.fields.items():
        assert bool(rule.path) + bool(rule.frame) + rule.nth + rule.digest == 1, name
        assert bool(rule.values) == (rule.as_ == "enum"), name
        assert set(rule.values.values()) <= WORDS.get(name, set(rule.values.values())), name
    assert all(word in WORDS.get(name, {word}) for name, word in spec.set_.items())


@every_venue
def test_every_flatten_is_named_by_a_mapping_and_every_listing_is_mapped(venue):
    own = [mapping.spec for mapping in load_mappings() if mapping.source == venue.source]
    assert set(venue.flatten) == {spec.flatten for spec in own if spec.flatten}
    assert "trades" in {spec.table for spec in own}
    asked = [request.path for request in venue.instruments]
    listed = [word for spec in own if spec.table == "instruments" for word in spec.requests]
    assert all(any(text in path for text in listed) for path in asked)


@pytest.mark.parametrize("name", [module.name for module in pkgutil.iter_modules(tidelake.venues.__path__)])
def test_venue_files_import_nothing_heavy(name):
    code = f"import sys, tidelake.venues.{name}; print(*{{m.split('.')[0] for m in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not HEAVY & set(done.stdout.split())


@every_venue
def test_docstring_says_source_quirks_limits_and_samples(venue):
    module = importlib.import_module(venue.canonical.__module__)
    for word in ("Source:", "Quirks:", "Limits:", "Samples:"):
        assert word in (module.__doc__ or ""), word
