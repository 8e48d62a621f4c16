import datetime as dt
import json
import logging

import pytest
import structlog

from tidelake.logs import configure, hide, redact, secrets


@pytest.fixture
def restored():
    """Puts the logging of the process back as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.mark.parametrize(
    "name", ["TIDELAKE_KEY", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "NODE_API_KEY", "OKX_SECRET", "DB_PASSWORD"]
)
def test_value_of_a_secret_variable_is_hidden(name):
    assert redact("got s3cr3t-value.", {name: "s3cr3t-value"}) == "got ***."


def test_other_variables_and_short_values_stay():
    environ = {"HOME": "/home/someone", "CI_TOKEN": "1", "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE"}
    assert secrets(environ) == ()
    assert redact("/home/someone 1", environ) == "/home/someone 1"


def test_longer_secret_goes_first_where_one_holds_the_other():
    assert redact("abcdefgh", {"A_KEY": "abcdef", "B_KEY": "abcdefgh"}) == "***"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://user:pw@host/a", "https://***@host/a"),
        ("https://h/a?symbol=BTC&apikey=abc", "https://h/a?symbol=BTC&apikey=***"),
        ("https://h/a?access_token=abc&limit=5", "https://h/a?access_token=***&limit=5"),
        ("https://node/v3/0123456789abcdef0123456789abcdef", "https://node/v3/***"),
        ("{'X-API-Key': 'abc'}", "{'X-API-Key': '***'}"),
        ("Authorization: Bearer abc.def", "Authorization: ***"),
    ],
)
def test_what_stands_where_a_url_or_header_keeps_a_key_is_hidden(text, shown):
    assert redact(text, {}) == shown


@pytest.mark.parametrize(
    "text",
    [
        "https://api.exchange.coinbase.com/products/BTC-USD/trades?limit=1000&after=5",
        "raw/coinbase/coinbase.trades.BTC-USD/2024-05-01/000000000007-9f2c41d0a1b2c3d4.jsonl.zst",
        "trades BTC-USD: 1000 rows, natural key (source, symbol, trade_id)",
    ],
)
def test_ordinary_text_stays(text):
    assert redact(text, {}) == text


def test_logs_go_to_stderr_redacted_and_from_the_level_up(restored, capsys, monkeypatch):
    monkeypatch.setenv("VENUE_API_KEY", "canary-77aa")
    configure("info")
    log = structlog.get_logger()
    log.debug("hidden_event")
    log.info("page_fetched", url="https://h/x?key=abc", header="canary-77aa")
    logging.getLogger("library").warning("saw canary-77aa")
    try:
        raise RuntimeError("with canary-77aa")
    except RuntimeError:
        log.exception("failed")
    out, err = capsys.readouterr()
    assert out == ""
    assert "page_fetched" in err
    assert "hidden_event" not in err
    assert "Traceback" in err
    assert "canary-77aa" not in err
    assert "abc" not in err


def test_a_value_that_was_declared_secret_is_redacted_and_a_short_one_is_a_word():
    hide("canary-declared-secret")
    hide("word")
    assert redact("a word at http://x/canary-declared-secret/y", {}) == "a word at http://x/***/y"


def test_logs_as_json_are_an_object_a_line_redacted_with_values_as_fields(restored, monkeypatch, capsys):
    monkeypatch.setenv("CANARY_API_KEY", "canary-77aa")
    configure("info", as_json=True)
    structlog.get_logger().warning("alert fired", coin="USDC", confidence=0.4, chains=["a", "b"], note="canary-77aa")
    logging.getLogger("library").warning("saw canary-77aa")
    try:
        raise RuntimeError("broken")
    except RuntimeError:
        structlog.get_logger().exception("failed")
    alert, library, failed = map(json.loads, capsys.readouterr().err.splitlines())
    assert dt.datetime.fromisoformat(alert.pop("timestamp")).tzinfo is not None
    assert alert == {
        "event": "alert fired", "level": "warning", "coin": "USDC", "confidence": 0.4, "chains": ["a", "b"],
        "note": "***",
    }  # fmt: skip
    assert (library["event"], library["logger"], library["level"]) == ("saw ***", "library", "warning")
    assert "RuntimeError: broken" in failed["exception"]
