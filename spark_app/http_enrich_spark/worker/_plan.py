"""What travels from the driver to the workers."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import uuid4

from http_enrich_spark.config import PipelineConfig


@dataclass(frozen=True)
class WorkerPlan:
    """
    Configuration only: no session, no loop, no open file.

    `key` names the resources of this plan in a worker process; the same plan
    finds them again in the next task.
    """

    config: PipelineConfig
    key: str = field(default_factory=lambda: uuid4().hex)
