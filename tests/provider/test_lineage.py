"""What OpenLineage is told, with its provider installed."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException
from airflow.providers.openlineage.extractors import OperatorLineage
from airflow.providers.openlineage.extractors.base import DefaultExtractor

from http_enrich_provider.operators import HttpEnrichSparkOperator
from tests.support.fake_spark import FakeSpark
from tests.support.pipelines import pipeline
from tests.support.tasks import PUBLISHED, REPORT, context

pytestmark = pytest.mark.usefixtures("connections")

LAKE = pipeline({"source.path": "s3a://lake/in/airports", "sink.path": "s3a://lake/out/airports"})


def lineage(spark: FakeSpark, source: dict[str, Any]) -> OperatorLineage[Any, Any]:
    """What Airflow's extractor finds after the task has ended, well or not."""
    task = HttpEnrichSparkOperator(task_id="enrich", pipeline=source, spark_binary=spark.program)
    extractor = DefaultExtractor(task)
    try:
        task.execute(context())
        found = extractor.extract_on_complete(None)
    except AirflowException:
        found = extractor.extract_on_failure(None)
    assert found is not None
    return found


def test_datasets_are_named_as_openlineage_names_them_and_have_their_rows(fake_spark: FakeSpark) -> None:
    found = lineage(fake_spark.will(PUBLISHED), LAKE)

    ((source,), (sink,)) = found.inputs, found.outputs
    assert (source.namespace, source.name) == ("s3://lake", "in/airports")
    assert (sink.namespace, sink.name) == ("s3://lake", "out/airports")
    assert source.inputFacets["dataQualityMetrics"].rowCount == 10
    (enough,) = source.inputFacets["dataQualityAssertions"].assertions
    assert (enough.assertion, enough.success) == ("max_error_rate", True)
    assert sink.outputFacets["outputStatistics"].rowCount == 10


def test_a_local_folder_is_a_file(fake_spark: FakeSpark) -> None:
    found = lineage(fake_spark.will(PUBLISHED), pipeline({"source.path": "file:///data/in"}))

    assert [(each.namespace, each.name) for each in found.inputs] == [("file", "/data/in")]
    assert found.outputs[0].name.endswith("/out/airports")


def test_a_query_is_told_as_sql(fake_spark: FakeSpark) -> None:
    found = lineage(
        fake_spark.will(PUBLISHED), pipeline({"source": {"query": "SELECT 1 AS icao", "id": ["icao"]}})
    )

    assert found.inputs == []
    assert found.job_facets["sql"].query == "SELECT 1 AS icao"


def test_the_dead_letter_is_an_output_of_its_own(fake_spark: FakeSpark) -> None:
    found = lineage(
        fake_spark.will(PUBLISHED),
        pipeline({"errors": {"dead_letter": {"path": "/dead"}}, "sink": {"path": "/out"}}),
    )

    rows = {each.name: each.outputFacets["outputStatistics"].rowCount for each in found.outputs}
    assert rows == {"/out": 10, "/dead": 0}


def test_a_run_that_failed_has_written_nothing_and_says_that_its_rows_are_too_bad(
    fake_spark: FakeSpark,
) -> None:
    outcome = {"error": "too many", "report": {**REPORT, "state": "failed"}}

    found = lineage(fake_spark.will(outcome), LAKE)

    assert found.outputs == []
    (enough,) = found.inputs[0].inputFacets["dataQualityAssertions"].assertions
    assert not enough.success


def test_a_task_that_knew_no_tables_has_nothing_to_tell() -> None:
    task = HttpEnrichSparkOperator(task_id="enrich", pipeline=LAKE)

    assert task.get_openlineage_facets_on_failure(None) is None
