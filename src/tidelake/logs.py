"""Logging for the command line, and the redaction that everything it prints passes through.

A library user configures structlog as they like; only the command line calls `configure`.
"""

import json
import logging
import os
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TextIO, cast

HIDDEN = "***"
SECRET_VARIABLE = re.compile(r"_(?:KEY|SECRET|TOKEN|PASSWORD|PASSPHRASE)$", re.IGNORECASE)
SHORTEST_SECRET = 6  # shorter values ("1", "true") would blank out ordinary words

_hidden: set[str] = set()

_IN_QUERY = re.compile(
    r"([?&;](?:[\w-]*(?:key|token|secret|signature|password|passphrase)|sig|auth)=)[^&;\s\"'<>]+", re.IGNORECASE
)
_IN_USERINFO = re.compile(r"(\w[\w+.-]*://)[^/@\s]+@")
_IN_PATH = re.compile(r"(://[^\s\"']*?/v\d+/)[A-Za-z0-9_-]{20,}")  # node providers put the key in the path
_IN_HEADER = re.compile(
    r"((?:authorization|[\w-]*(?:api-?key|-key|-token|-secret|-sign|-signature|-passphrase))[\"']?\s*[:=]\s*[\"']?)"
    r"(?:(?:bearer|basic)\s+)?[^\s\"',}]+",
    re.IGNORECASE,
)


def secrets(environ: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """The secret values that the environment holds, longest first."""
    held = os.environ if environ is None else environ
    found = {value for name, value in held.items() if SECRET_VARIABLE.search(name) and len(value) >= SHORTEST_SECRET}
    return tuple(sorted(found, key=len, reverse=True))


def hide(secret: str) -> None:
    """Take a value for a secret from now on, in the whole process; one too short to be one is left alone."""
    if len(secret) >= SHORTEST_SECRET:
        _hidden.add(secret)


def redact(text: str, environ: Mapping[str, str] | None = None) -> str:
    """The text with every secret of the environment, and whatever stands where a URL or header keeps one, as ***.

    So are the values that `hide` was told.
    """
    for secret in sorted({*secrets(environ), *_hidden}, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    text = _IN_USERINFO.sub(rf"\1{HIDDEN}@", text)
    text = _IN_QUERY.sub(rf"\1{HIDDEN}", text)
    text = _IN_PATH.sub(rf"\1{HIDDEN}", text)
    return _IN_HEADER.sub(rf"\1{HIDDEN}", text)


class StderrNow:
    """Writes to whatever `sys.stderr` is at that moment, so that a progress bar can stand in between."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


class _RedactingFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


class _RedactingJsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        told = {"event": record.getMessage(), "logger": record.name, "level": record.levelname.lower()}
        told["timestamp"] = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds")
        if record.exc_info:
            told["exception"] = self.formatException(record.exc_info)
        return redact(json.dumps(told))


def configure(level: str, *, as_json: bool = False) -> None:
    """Send the logs of Tidelake (structlog) and of its libraries (logging) to stderr, redacted, from `level` up.

    Args:
        as_json: An object a line, its time in ISO 8601 and UTC; else lines for people.
    """
    import structlog

    stream = cast(TextIO, StderrNow())
    lines = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)
    render = structlog.processors.JSONRenderer() if as_json else lines

    def render_redacted(logger: Any, name: str, event: structlog.typing.EventDict) -> str:
        return redact(str(render(logger, name, event)))

    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso" if as_json else "%H:%M:%S", utc=True),
            structlog.processors.StackInfoRenderer(),
            *([structlog.processors.format_exc_info] if as_json else []),
            render_redacted,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=stream),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    plain = _RedactingFormatter("%(levelname)s %(name)s: %(message)s")
    handler.setFormatter(_RedactingJsonFormatter() if as_json else plain)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.DEBUG if level == "debug" else logging.WARNING)
