"""Canonical symbols of every venue, there and back."""

import datetime as dt

import pytest
from hypothesis import given, strategies as st

from tidelake.venues import symbols
from tidelake.venues.registry import venue, venues

CASES = [
    ("coinbase", "BTC-USD", "BTC-USD", True),
    ("kraken", "XBTUSD", "BTC-USD", True),
    ("kraken", "XXBTZUSD", "BTC-USD", False),
    ("kraken", "XBT/USD", "BTC-USD", False),
    ("kraken", "BTC/USD", "BTC-USD", False),
    ("kraken", "XDGUSD", "DOGE-USD", True),
    ("kraken", "XXDGXXBT", "DOGE-BTC", False),
    ("kraken", "XTZUSD", "XTZ-USD", True),
    ("kraken", "USDTZUSD", "USDT-USD", False),
    ("kraken", "ZEURZUSD", "EUR-USD", False),
    ("kraken", "XBTUSDT", "BTC-USDT", True),
    ("binance-spot", "BTCUSDT", "BTC-USDT", True),
    ("binance-spot", "ADAEUR", "ADA-EUR", True),
    ("binance-spot", "BNBGBP", "BNB-GBP", True),
    ("binance-spot", "LRCBTC", "LRC-BTC", True),
    ("binance-spot", "BTCFDUSD", "BTC-FDUSD", True),
    ("binance-usdm", "BTCUSDT", "BTC-USDT-PERP", True),
    ("binance-usdm", "1000SHIBUSDT", "1000SHIB-USDT-PERP", True),
    ("binance-usdm", "BTCUSDT_210924", "BTC-USDT-20210924", True),
    ("binance-coinm", "BTCUSD_PERP", "BTC-USD-PERP", True),
    ("binance-coinm", "BTCUSD_210924", "BTC-USD-20210924", True),
    ("okx", "BTC-USDT", "BTC-USDT", True),
    ("okx", "BTC-USDT-SWAP", "BTC-USDT-PERP", True),
    ("okx", "BTC-USD-220527", "BTC-USD-20220527", True),
    ("okx", "BTC-USD-220514-22000-C", "BTC-USD-20220514-22000-C", True),
    ("bybit", "BTCUSDT", "BTC-USDT-PERP", True),
    ("bybit", "spot:BTCUSDT", "BTC-USDT", True),
    ("bybit", "BTCUSD", "BTC-USD-PERP", True),
    ("bybit", "BTCPERP", "BTC-USDC-PERP", True),
    ("bybit", "BTCUSDU21", "BTC-USD-20210924", True),
    ("bybit", "BTCUSDH26", "BTC-USD-20260327", True),
    ("bybit", "BTC-26DEC25", "BTC-USDC-20251226", True),
    ("bybit", "BTCUSDT-26DEC25", "BTC-USDT-20251226", True),
    ("bybit", "BTC-29JUL22-25000-C", "BTC-USDC-20220729-25000-C", True),
    ("bybit", "BTC-29JUL22-25000-C-USDT", "BTC-USDT-20220729-25000-C", True),
    ("deribit", "BTC-PERPETUAL", "BTC-USD-PERP", True),
    ("deribit", "UNI_USDC-PERPETUAL", "UNI-USDC-PERP", True),
    ("deribit", "BTC-24SEP21", "BTC-USD-20210924", True),
    ("deribit", "BTC-1JAN22", "BTC-USD-20220101", True),
    ("deribit", "BTC-24SEP21-8000-P", "BTC-USD-20210924-8000-P", True),
    ("deribit", "XRP_USDC-28JUN24-0d5-C", "XRP-USDC-20240628-0.5-C", True),
    ("deribit", "BTC_USDC", "BTC-USDC", True),
]
REFUSED = [
    ("coinbase", "BTC-USD-PERP"),
    ("coinbase", "BTCUSD"),
    ("kraken", "XXBTZUSD.d"),
    ("kraken", "BTCXYZ"),
    ("binance-spot", "USDT"),
    ("binance-spot", "BTCXYZ"),
    ("binance-usdm", "BTCUSDT_219924"),
    ("binance-coinm", "BTCUSD"),
    ("okx", "BTC-USD_UM-SWAP"),
    ("okx", "BTC"),
    ("okx", "BTC-USD-SWAP-1"),
    ("bybit", "BTC-32DEC25"),
    ("bybit", "BTCXYZ"),
    ("deribit", "BTC-FS-27DEC24_PERP"),
    ("deribit", "BTC"),
    ("deribit", "BTC-PERPETUAL-8000-P"),
]


@pytest.mark.parametrize(("source", "name", "canonical", "back"), CASES)
def test_names_there_and_back(source, name, canonical, back):
    found = venue(source)
    assert found.canonical(name) == canonical
    assert found.canonical(found.venue_symbol(canonical)) == canonical
    if back:
        assert found.venue_symbol(canonical) == name


@pytest.mark.parametrize(("source", "name"), REFUSED)
def test_a_name_without_a_rule_is_refused(source, name):
    with pytest.raises(ValueError):
        venue(source).canonical(name)


@pytest.mark.parametrize("source", sorted(venues()))
@pytest.mark.parametrize("name", ["", "-", "BTC", "BTC-", "-USD", "BTC USD", "BTC-USD-PERP-X", "BTC-USD-20211399"])
def test_no_venue_writes_what_is_not_canonical(source, name):
    with pytest.raises(ValueError):
        venue(source).venue_symbol(name)


@given(
    base=st.sampled_from(["BTC", "1000SHIB", "ETH2.S"]),
    quote=st.sampled_from(["USD", "USDT"]),
    perpetual=st.booleans(),
    day=st.none() | st.dates(dt.date(2010, 1, 1), dt.date(2040, 1, 1)),
    strike=st.sampled_from(["", "8000", "0.5"]),
)
def test_symbols_are_read_as_they_are_written(base, quote, perpetual, day, strike):
    expiry = None if perpetual else day
    option = strike if expiry else ""
    symbol = symbols.Symbol(base, quote, perpetual, expiry, option, "P" if option else "")
    assert symbols.parse(symbols.canonical(symbol)) == symbol


@pytest.mark.parametrize("source", ["coinbase", "coinbase-advanced"])
@pytest.mark.parametrize("name", ["BTC-USD-PERP", "BTC-USD-20220527", "BTC-USD-20210924-8000-P"])
def test_what_is_no_spot_pair_is_refused_by_the_name_of_the_source(source, name):
    with pytest.raises(ValueError, match=f"^{source} lists no (perpetual|future|option) '{name}'"):
        venue(source).canonical(name)


@pytest.mark.parametrize("source", ["coinbase", "coinbase-advanced"])
def test_a_spot_pair_in_small_letters_is_refused_with_the_name_that_is_meant(source):
    with pytest.raises(ValueError, match=f"^{source} writes its symbols in capitals: 'BTC-USD', not 'btc-USD'"):
        venue(source).venue_symbol("btc-USD")
