"""The logger of this layer: structlog where it is configured; else logging, which is silent where nobody listens."""

import logging
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    import structlog


def logger() -> "structlog.stdlib.BoundLogger":
    """A logger whose values are fields."""
    import structlog

    if structlog.is_configured():
        return cast("structlog.stdlib.BoundLogger", structlog.get_logger())
    return cast(
        "structlog.stdlib.BoundLogger",
        structlog.wrap_logger(
            logging.getLogger("tidelake.transport"),
            processors=[structlog.stdlib.filter_by_level, structlog.processors.KeyValueRenderer(key_order=["event"])],
            wrapper_class=structlog.stdlib.BoundLogger,
        ),
    )
