"""A user backfills five days in the browser, and reads the report."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import date, timedelta

from playwright.sync_api import expect

from http_enrich_provider.links import TAB_ROUTE
from tests.support.airflow_pages import airflow_pages
from tests.support.leaks import leaks
from tests.support.real_airflow import ROWS, TOKEN, RealAirflow

FIRST, DAYS = date(2026, 4, 1), 5


def test_a_backfill_of_five_days_in_the_browser(airflow: RealAirflow) -> None:
    days = [FIRST + timedelta(days=number) for number in range(DAYS)]
    airflow.wait_for(lambda: "airports_daily" in airflow.dag_ids(), "the DAG")
    with airflow_pages(airflow.rest) as user:
        user.open("/dags/airports_daily")
        user.switch_on()
        user.fill_in_backfill(days[0], days[-1])
        start = user.page.get_by_role("button", name="Run Backfill")
        expect(start).to_be_enabled()  # it has counted the runs
        user.screenshot("backfill-form")
        start.click()
        user.page.get_by_text("Backfill in progress").wait_for()
        user.open("/dags/airports_daily/runs?run_type=backfill")
        user.page.get_by_text("Running").first.wait_for()
        user.screenshot("backfill-running")
        # Scheduled for the day after, of which the id tells; other tests may have backfilled other months.
        runs = user.page.locator("tbody tr").filter(has_text=f"backfill__{FIRST:%Y-%m}")
        expect(runs.filter(has_text="Success")).to_have_count(DAYS)
        user.screenshot("backfill-done")
        runs.get_by_role("link", name="backfill__").first.click()
        user.page.locator("a[href*='/runs/'][href$='/tasks/enrich']").first.click()
        user.page.locator(f"a[href$='/plugin/{TAB_ROUTE}']:not([target])").first.click()
        report = user.page.frame_locator("iframe[title='Enrichment report']")
        report.locator(".plot svg.main-svg").first.wait_for()
        user.page.set_viewport_size({"width": 1280, "height": 1900})
        user.screenshot("enrichment-report")
        shown = report.locator("body").inner_text()

    assert "airports" in shown
    assert str(ROWS) in shown
    assert [airflow.check_day(day).rows for day in days] == [ROWS] * DAYS
    assert [airflow.states("airports_daily")[str(day)] for day in days] == ["success"] * DAYS


def test_what_airflow_keeps_has_no_secret(airflow: RealAirflow) -> None:
    """After all else of this folder: the database with its XComs and rendered fields, logs, and ledgers."""
    assert leaks(TOKEN, airflow.home, airflow.data, airflow.log) == []
    with closing(sqlite3.connect(airflow.home / "airflow.db")) as database:
        for table in ("rendered_task_instance_fields", "xcom"):
            ((rows,),) = database.execute(f"SELECT count(*) FROM {table} WHERE dag_id LIKE 'airports%'")
            assert rows > 0, table
    logs = [each for each in airflow.home.rglob("*.log") if each.is_file()]
    assert any(b"airports" in each.read_bytes() for each in logs)
