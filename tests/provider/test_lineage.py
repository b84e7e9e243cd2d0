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
from tests.support.tasks import PUBLISHED, REPORT, SUMMARY, context

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


DATABASE = "jdbc:postgresql://db.test/air?currentSchema=flight&ssl=true"


@pytest.mark.parametrize(
    ("url", "table", "namespace", "name"),
    [
        (DATABASE, "airports", "postgres://db.test:5432", "air.flight.airports"),
        ("jdbc:postgresql://db.test:6543/air", "airports", "postgres://db.test:6543", "air.public.airports"),
        ("jdbc:postgresql://a.test:1,b.test:2/air", "s.t", "postgres://a.test:1", "air.s.t"),
    ],
)
def test_a_table_of_a_database_is_named_by_its_address(
    fake_spark: FakeSpark, url: str, table: str, namespace: str, name: str
) -> None:
    options = {"url": url, "password": "${conn.api.password}"}
    source = {"format": "jdbc", "options": {**options, "dbtable": table}, "id": ["icao"]}
    sink = {"format": "jdbc", "options": options, "table": table}
    found = lineage(
        fake_spark.will(PUBLISHED),
        pipeline({"source": source, "sink": sink, "execution": {"checkpoint": "/stage"}}),
    )

    places = [(each.namespace, each.name) for each in (*found.inputs, *found.outputs)]
    assert places == [(namespace, name)] * 2


@pytest.mark.parametrize(
    "source",
    [
        {"format": "jdbc", "options": {"url": "jdbc:postgresql://db.test/air", "dbtable": "(SELECT 1) t"}},
        {"format": "jdbc", "options": {"url": "jdbc:other:db.test", "dbtable": "airports"}},
        {"format": "kafka", "options": {"subscribe": "airports"}},
    ],
)
def test_what_has_no_name_is_left_out(fake_spark: FakeSpark, source: dict[str, Any]) -> None:
    found = lineage(fake_spark.will(PUBLISHED), pipeline({"source": {**source, "id": ["icao"]}}))

    assert found.inputs == []
    assert len(found.outputs) == 1


def test_a_table_of_the_catalog_is_one_of_spark(fake_spark: FakeSpark) -> None:
    found = lineage(
        fake_spark.will(PUBLISHED), pipeline({"source": {"table": "db.airports", "id": ["icao"]}})
    )

    assert [(each.namespace, each.name) for each in found.inputs] == [("spark", "db.airports")]


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
    summary = {**SUMMARY, "ok": 4, "failed": 6}
    outcome = {"error": "too many", "report": {**REPORT, "state": "failed", "summary": summary}}

    found = lineage(fake_spark.will(outcome), LAKE)

    assert found.outputs == []
    (enough,) = found.inputs[0].inputFacets["dataQualityAssertions"].assertions
    assert not enough.success


def test_a_run_that_something_else_has_ended_says_nothing_of_its_rows(fake_spark: FakeSpark) -> None:
    outcome = {"error": "execution.deadline is over", "report": {**REPORT, "state": "failed"}}

    found = lineage(fake_spark.will(outcome), LAKE)

    assert found.inputs[0].inputFacets["dataQualityMetrics"].rowCount == 10
    assert "dataQualityAssertions" not in found.inputs[0].inputFacets


def test_a_task_that_knew_no_tables_has_nothing_to_tell() -> None:
    task = HttpEnrichSparkOperator(task_id="enrich", pipeline=LAKE)

    assert task.get_openlineage_facets_on_failure(None) is None
