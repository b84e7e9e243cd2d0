"""Tells OpenLineage what a run has read and written; imported only if its Airflow provider is there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.openlineage.extractors import OperatorLineage
from openlineage.client.event_v2 import InputDataset, OutputDataset
from openlineage.client.generated.data_quality_assertions_dataset import (
    Assertion,
    DataQualityAssertionsDatasetFacet,
)
from openlineage.client.generated.data_quality_metrics_input_dataset import (
    DataQualityMetricsInputDatasetFacet,
)
from openlineage.client.generated.output_statistics_output_dataset import OutputStatisticsOutputDatasetFacet
from openlineage.client.generated.sql_job import SQLJobFacet

from http_enrich_spark.config import PipelineConfig

from ._datasets import dataset
from ._results import result_of

if TYPE_CHECKING:
    from ._run import Run


def lineage(run: Run) -> OperatorLineage[Any, Any]:
    """
    Return the datasets of *run*, with row counts and whether enough rows have got an answer.

    A query is told as SQL: which tables it reads, only Spark knows. What has no name is left out.
    """
    config, report = run.config, run.report or {}
    summary = report.get("summary", {})
    query = config.source.query
    return OperatorLineage(
        inputs=_inputs(config, report),
        outputs=_outputs(config, summary) if report.get("state") == "published" else [],
        job_facets={"sql": SQLJobFacet(query=query)} if query is not None else {},
    )


def _inputs(config: PipelineConfig, report: dict[str, Any]) -> list[InputDataset]:
    named = dataset(config.source)
    if named is None:
        return []
    rows, facets = report.get("summary", {}).get("rows_in"), dict[str, Any]()
    if rows is not None:
        facets["dataQualityMetrics"] = DataQualityMetricsInputDatasetFacet(rowCount=rows, columnMetrics={})
        if (enough := _enough(config, report)) is not None:
            assertion = Assertion(assertion="max_error_rate", success=enough)
            facets["dataQualityAssertions"] = DataQualityAssertionsDatasetFacet(assertions=[assertion])
    return [InputDataset(*named, inputFacets=facets)]


def _enough(config: PipelineConfig, report: dict[str, Any]) -> bool | None:
    """Say whether enough rows have got an answer; None for a run that something else has ended."""
    if report["state"] != "failed":
        return True
    too_many = result_of(report["summary"])["error_rate"] > config.execution.max_error_rate
    return False if too_many else None


def _outputs(config: PipelineConfig, summary: dict[str, Any]) -> list[OutputDataset]:
    written = [(config.sink, summary["rows_out"])]
    if config.dead_letter is not None:
        written.append((config.dead_letter, summary["dead"]))
    return [
        OutputDataset(
            *named, outputFacets={"outputStatistics": OutputStatisticsOutputDatasetFacet(rowCount=rows)}
        )
        for sink, rows in written
        if (named := dataset(sink)) is not None
    ]
