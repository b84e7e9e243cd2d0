"""Builds what a worker builds, where a mistake is cheap."""

from __future__ import annotations

from http_enrich_middleware import WorkerRuntime, build_chain
from http_enrich_spark.config import PipelineConfig
from http_enrich_spark.worker import WorkerPlan
from http_enrich_transport import MemoryEngine

from ._errors import RunError, first_line


def check_middleware(config: PipelineConfig) -> None:
    """
    Build each middleware of *config* once, without sending anything.

    A key that is no key, a library or a package that is not installed: the driver
    has what the executors have, and knows before a cluster is at work. Raises `RunError`.
    """
    redactor = WorkerPlan.of(config).redactor
    runtime = WorkerRuntime(base_url=config.endpoint.base_url, pipeline=config.name, redactor=redactor)
    for position, each in enumerate(config.middleware):
        try:
            build_chain([each], MemoryEngine.always(200), runtime)
        except Exception as error:  # noqa: BLE001 - whatever it is, it would end every task
            msg = f"middleware[{position}] ({each.type}): {redactor.text(first_line(error))}"
            raise RunError(msg) from None
