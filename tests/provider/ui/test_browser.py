"""The tab in a real browser; what it looked like stays in build/screenshots."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Dialog, Page, ViewportSize, expect

from tests.support import reports
from tests.support.airflow_web import DAG_ID, RUN_ID, Web

SCREENSHOTS = Path(__file__).resolve().parents[3] / "build" / "screenshots"
PATIENCE = 120_000
"""Milliseconds; a loaded machine is no reason to fail."""
CHARTS = 5
PHONE: ViewportSize = {"width": 390, "height": 800}

Open = Callable[[str], Page]


@pytest.fixture(params=["light", "dark"])
def theme(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def complaints() -> list[str]:
    """What pages write to the console as warnings and errors; violations of their policy are among them."""
    return []


@pytest.fixture
def context(web: Web, browser: Browser, theme: str) -> Iterator[BrowserContext]:
    context = browser.new_context(color_scheme=theme, viewport={"width": 1280, "height": 900})  # type: ignore[arg-type]
    context.set_default_timeout(PATIENCE)
    context.add_cookies([{"name": "_token", "value": web.token("viewer"), "url": web.url}])
    yield context
    context.close()


@pytest.fixture
def open_page(web: Web, context: BrowserContext, complaints: list[str]) -> Open:
    def note(message: ConsoleMessage) -> None:
        # Airflow gives all pages of plugins these two rights.
        if message.type in ("error", "warning") and "allow-scripts and allow-same-origin" not in message.text:
            complaints.append(message.text)

    def refuse(dialog: Dialog) -> None:
        complaints.append(f"a dialog: {dialog.message}")
        dialog.dismiss()

    def open_(address: str) -> Page:
        page = context.new_page()
        page.on("console", note)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", refuse)
        page.goto(f"{web.url}/{address}")
        return page

    return open_


def report(task_id: str) -> str:
    return f"http-enrich/report/{DAG_ID}?run_id={quote(RUN_ID, safe='')}&task_id={task_id}"


def test_charts_are_drawn_in_light_and_dark(open_page: Open, complaints: list[str], theme: str) -> None:
    page = open_page(report("enrich"))
    page.locator(f":root[data-drawn={theme}]").wait_for(state="attached")
    page.screenshot(path=SCREENSHOTS / f"report-{theme}.png", full_page=True)

    assert page.locator(".plot svg.main-svg").count() >= CHARTS
    assert page.locator("details table").count() == CHARTS
    assert complaints == []


def test_nothing_that_an_api_says_is_run(open_page: Open, complaints: list[str], theme: str) -> None:
    page = open_page(report("hostile"))
    page.locator(f":root[data-drawn={theme}]").wait_for(state="attached")

    assert page.locator("img, b:has(*), [onerror], .plot a").count() == 0
    shown = page.locator(".plot").nth(2).inner_text()
    assert "<script>alert(1)" in shown
    assert reports.LINK in shown
    assert complaints == []


def test_a_phone_shows_all_of_it(open_page: Open, theme: str) -> None:
    page = open_page(report("enrich"))
    page.set_viewport_size(PHONE)
    page.locator(f":root[data-drawn={theme}]").wait_for(state="attached")
    # Charts follow the width a moment later.
    expect(page.locator(":root")).to_have_js_property("scrollWidth", PHONE["width"], timeout=PATIENCE)
    page.screenshot(path=SCREENSHOTS / f"report-phone-{theme}.png", full_page=True)


def test_tab_has_the_theme_of_airflow_and_not_that_of_the_browser(
    open_page: Open, context: BrowserContext, complaints: list[str], theme: str
) -> None:
    other = {"light": "dark", "dark": "light"}[theme]
    context.add_init_script(f"localStorage.setItem('theme', '{other}')")
    page = open_page(f"dags/{DAG_ID}/runs/{quote(RUN_ID, safe='')}/tasks/enrich/plugin/http-enrich-report")
    frame = page.frame_locator("iframe[title='Enrichment report']")
    frame.locator(f":root[data-drawn={other}]").wait_for(state="attached")
    page.screenshot(path=SCREENSHOTS / f"tab-{other}.png")

    assert frame.locator(".plot svg.main-svg").count() >= CHARTS
    assert complaints == []


def test_link_of_a_mapped_task_leads_to_its_tab(web: Web, open_page: Open) -> None:
    place = f"dags/{DAG_ID}/runs/{quote(RUN_ID, safe='')}/tasks/mapped/mapped/1/plugin/http-enrich-report"
    page = open_page(place)

    frame = page.frame_locator("iframe[title='Enrichment report']")
    assert frame.locator("h1").inner_text() == "second of two"
