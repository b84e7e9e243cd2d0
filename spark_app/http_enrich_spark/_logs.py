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
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
