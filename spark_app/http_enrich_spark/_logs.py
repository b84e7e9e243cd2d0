"""Our logger, on the driver and in the workers."""

from __future__ import annotations

import logging
from typing import TextIO

logger = logging.getLogger("http_enrich")


def log_to(stream: TextIO) -> None:
    """Write our lines, and nobody else's, to *stream*, unless this process has its own idea of logging."""
    if logger.handlers or logging.getLogger().handlers:
        return
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_Lines("%(levelname)s %(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False


class _Lines(logging.Formatter):
    """Adds nothing to lines that are complete, such as those that are JSON."""

    def format(self, record: logging.LogRecord) -> str:
        return record.getMessage() if getattr(record, "complete", False) else super().format(record)
