"""Says which worker process sent a request."""

from __future__ import annotations

import os
import socket
from datetime import UTC, datetime
from typing import ClassVar, Literal

from http_enrich_middleware import Middleware, MiddlewareConfig, Step, WorkerRuntime


class Config(MiddlewareConfig):
    """`worker.host`, `worker.pid` and `worker.started_at` in the metadata."""

    changes_answers: ClassVar[bool] = False
    type: Literal["worker_identity"] = "worker_identity"


def build(config: Config, runtime: WorkerRuntime) -> Middleware:
    """Build the middleware; the facts are gathered once per worker process."""
    facts = {
        "worker.host": socket.gethostname(),
        "worker.pid": str(os.getpid()),
        "worker.started_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
    }

    return Step(before=lambda exchange: exchange.metadata.update(facts), bulk=True)
